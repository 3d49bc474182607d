/** A board for one device: memory, a clock that the test moves, and a record of all that the device asks for. */
import assert from 'node:assert/strict';
import { StateReader, StateWriter } from '../../src/base/state.ts';
import type { Alarm, Device, DeviceHost, GuestMemory, StopRequest } from '../../src/vmm/device.ts';

export const RAM = 0x80000000;

export class FakeMemory implements GuestMemory {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(size = 0x100000) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }
  contains(address: number, length: number): boolean {
    return address >= RAM && length >= 0 && address + length <= RAM + this.bytes.length;
  }
  read(address: number, length: number): Uint8Array {
    return this.bytes.slice(this.#at(address, length), this.#at(address, length) + length);
  }
  write(address: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#at(address, bytes.length));
  }
  u8(address: number): number {
    return this.#view.getUint8(this.#at(address, 1));
  }
  u16(address: number): number {
    return this.#view.getUint16(this.#at(address, 2), true);
  }
  u32(address: number): number {
    return this.#view.getUint32(this.#at(address, 4), true);
  }
  u64(address: number): number {
    return Number(this.#view.getBigUint64(this.#at(address, 8), true));
  }
  setU8(address: number, value: number): void {
    this.#view.setUint8(this.#at(address, 1), value);
  }
  setU16(address: number, value: number): void {
    this.#view.setUint16(this.#at(address, 2), value, true);
  }
  setU32(address: number, value: number): void {
    this.#view.setUint32(this.#at(address, 4), value, true);
  }
  setU64(address: number, value: number | bigint): void {
    this.#view.setBigUint64(this.#at(address, 8), BigInt(value), true);
  }
  #at(address: number, length: number): number {
    assert.ok(this.contains(address, length), `${length} bytes at 0x${address.toString(16)} are RAM`);
    return address - RAM;
  }
}

interface FakeAlarm extends Alarm {
  deadline: number;
  fire(): void;
}

export class FakeHost implements DeviceHost {
  readonly memory = new FakeMemory();
  readonly alarms: FakeAlarm[] = [];
  readonly stops: StopRequest[] = [];
  readonly emitted: number[] = [];
  level = false;
  time = 0;
  #entropy = 0;

  readonly irq = {
    set: (level: boolean) => {
      this.level = level;
    },
  };
  get text(): string {
    return Buffer.from(this.emitted).toString('latin1');
  }
  now(): number {
    return this.time;
  }
  alarm(fire: () => void): Alarm {
    const alarm: FakeAlarm = {
      fire,
      deadline: Number.POSITIVE_INFINITY,
      set(deadline: number) {
        this.deadline = deadline;
      },
    };
    this.alarms.push(alarm);
    return alarm;
  }
  emit(data: Uint8Array): void {
    this.emitted.push(...data);
  }
  entropy(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => ++this.#entropy);
  }
  stop(reason: StopRequest): void {
    this.stops.push(reason);
  }

  /** Lets time pass, and fires what falls due on the way at its time. */
  advance(ns: number): void {
    const end = this.time + ns;
    for (;;) {
      const next = this.alarms.reduce((a, b) => (b.deadline < a.deadline ? b : a), { deadline: Infinity } as FakeAlarm);
      if (next.deadline > end) break;
      this.time = Math.max(this.time, next.deadline);
      next.deadline = Number.POSITIVE_INFINITY;
      next.fire();
    }
    this.time = end;
  }
}

export function save(device: Device): Uint8Array {
  const writer = new StateWriter();
  device.sync(writer);
  return writer.finish();
}

export function restore(device: Device, state: Uint8Array): void {
  const reader = new StateReader(state);
  device.sync(reader);
  assert.ok(reader.done, 'the whole state was read');
}

/**
 * The law of every device: saving has no effect, what is restored saves as the same bytes, and its alarms are set as before.
 * Gives back the restored twin and its host, which continues with the same memory, time and interrupt level.
 */
export function twin<T extends Device>(
  device: T,
  host: FakeHost,
  make: (host: FakeHost) => T,
): { device: T; host: FakeHost } {
  const state = save(device);
  assert.deepEqual(save(device), state, 'saving has no effect');
  const other = new FakeHost();
  other.time = host.time;
  other.level = host.level;
  other.memory.bytes.set(host.memory.bytes);
  const restored = make(other);
  restore(restored, state);
  assert.deepEqual(save(restored), state, 'save, restore and save give equal bytes');
  const deadlines = (h: FakeHost) => h.alarms.map((alarm) => alarm.deadline);
  assert.deepEqual(deadlines(other), deadlines(host), 'alarms are set as before');
  return { device: restored, host: other };
}
