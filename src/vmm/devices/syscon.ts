/** SiFive's test device (`sifive,test0`): how a guest powers off, reboots, or ends a test with an exit code. */
import type { StateIO } from '../../base/state.ts';
import type { AccessSize, Device, DeviceHost } from '../device.ts';

/** Low half of the value written at offset 0; the high half is the exit code of a failure. */
const FINISH = { PASS: 0x5555, FAIL: 0x3333, RESET: 0x7777 } as const;

export class Syscon implements Device {
  readonly name: string;
  readonly #host: DeviceHost;

  constructor(name: string, host: DeviceHost) {
    this.name = name;
    this.#host = host;
  }

  read(_offset: number, _size: AccessSize): number {
    return 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset !== 0 || size < 2) return;
    switch (value & 0xffff) {
      case FINISH.PASS:
        this.#host.stop({ kind: 'power-off', exitCode: 0 });
        break;
      case FINISH.FAIL:
        // A failure without a code must not look like a success.
        this.#host.stop({ kind: 'power-off', exitCode: value >>> 16 || 1 });
        break;
      case FINISH.RESET:
        this.#host.stop({ kind: 'reboot' });
        break;
    }
  }

  /** The device has no state: what it asks for happens at once. */
  sync(_s: StateIO): void {}
}
