/** The bus: which device answers at a physical address below RAM. */
import { assert } from '../base/assert.ts';
import type { AccessSize, Device } from './device.ts';

interface Region {
  readonly base: number;
  readonly end: number;
  readonly device: Device;
}

export class Bus {
  readonly #regions: Region[] = [];
  #last: Region | undefined;
  /** Called before an access, which may change the device that answers. */
  accessed: () => void = () => {};

  get devices(): readonly Device[] {
    return this.#regions.map((region) => region.device);
  }

  attach(base: number, size: number, device: Device): void {
    const overlap = this.#regions.find((r) => base < r.end && r.base < base + size);
    assert(!overlap, `${device.name} overlaps ${overlap?.device.name}`);
    this.#regions.push({ base, end: base + size, device });
  }

  /** Reads 1, 2, 4 or 8 bytes into `value` (little-endian); false where nothing answers. */
  read(address: number, size: number, value: DataView, at: number): boolean {
    const region = this.#find(address, size);
    if (!region) return false;
    this.accessed();
    const offset = address - region.base;
    const narrow = Math.min(size, 4) as AccessSize;
    value.setUint32(at, region.device.read(offset, narrow), true);
    value.setUint32(at + 4, size === 8 ? region.device.read(offset + 4, 4) : 0, true);
    return true;
  }

  write(address: number, size: number, value: DataView, at: number): boolean {
    const region = this.#find(address, size);
    if (!region) return false;
    this.accessed();
    const offset = address - region.base;
    const low = value.getUint32(at, true);
    if (size === 8) {
      region.device.write(offset, 4, low);
      region.device.write(offset + 4, 4, value.getUint32(at + 4, true));
    } else {
      region.device.write(offset, size as AccessSize, size === 4 ? low : low & (2 ** (8 * size) - 1));
    }
    return true;
  }

  #find(address: number, size: number): Region | undefined {
    const holds = (r: Region | undefined) => r !== undefined && address >= r.base && address + size <= r.end;
    if (!holds(this.#last)) this.#last = this.#regions.find(holds);
    return this.#last;
  }
}
