/** Entropy device (virtio 1.2, section 5.4). Its random bytes come from outside: they are inputs. */
import type { StateIO } from '../../../base/state.ts';
import type { DeviceHost } from '../../device.ts';
import { VirtioMmio } from './mmio.ts';
import { scatter, totalLength } from './queue.ts';

const DEVICE_ID = 4;
const QUEUE_SIZE = 8;
/** The device may return less than the driver asks for (5.4.6.2); each byte given is a byte of the trace. */
const REQUEST_BYTES_MAX = 4096;

export class VirtioRng extends VirtioMmio {
  constructor(name: string, host: DeviceHost) {
    super(name, host, { deviceId: DEVICE_ID, features: 0n, queueSizes: [QUEUE_SIZE] });
  }

  protected override config(): Uint8Array {
    return new Uint8Array(0);
  }

  protected override notified(_queue: number): void {
    const queue = this.queues[0];
    for (let chain = queue.take(); chain; chain = queue.take()) {
      const count = Math.min(totalLength(chain.writable), REQUEST_BYTES_MAX);
      if (count === 0) {
        // Only buffers that the device may write make sense here (5.4.6.1).
        this.fail();
        return;
      }
      queue.give(chain.head, scatter(this.host.memory, chain.writable, this.host.entropy(count)));
    }
    queue.finish();
  }

  protected override resetDevice(): void {}
  protected override syncDevice(_s: StateIO): void {}
}
