/** Console device (virtio 1.2, section 5.3) with one port. */
import type { StateIO } from '../../../base/state.ts';
import type { AccessSize, DeviceHost } from '../../device.ts';
import { ByteQueue } from '../byte-queue.ts';
import { VirtioMmio } from './mmio.ts';
import { gather, scatter, totalLength } from './queue.ts';

const DEVICE_ID = 3;
/** The driver may write a character to the configuration space before it has set up queues (5.3.3). */
const EMERG_WRITE = 1n << 2n;
const QUEUE_SIZE = 128;
/** receiveq(port0) and transmitq(port0) (5.3.2). */
const RECEIVE = 0;
const TRANSMIT = 1;
/** Segments may overlap, so a short ring can name terabytes. Far above what a driver sends at once. */
const TRANSMIT_BYTES_MAX = 2 ** 20;
/** Offset of emerg_wr in the configuration space (5.3.4), which ends after it. */
const CONFIG_EMERG_WRITE = 8;
const CONFIG_BYTES = 12;

export class VirtioConsole extends VirtioMmio {
  readonly #waiting = new ByteQueue();
  readonly #config = new Uint8Array(CONFIG_BYTES);

  constructor(name: string, host: DeviceHost) {
    super(name, host, { deviceId: DEVICE_ID, features: EMERG_WRITE, queueSizes: [QUEUE_SIZE, QUEUE_SIZE] });
  }

  /** Input bytes that `receive` would take now. */
  get room(): number {
    return this.#waiting.room;
  }

  receive(data: Uint8Array): void {
    this.#waiting.push(data);
    if (this.running) this.#fillBuffers();
  }

  protected override config(): Uint8Array {
    return this.#config;
  }

  protected override writeConfig(offset: number, _size: AccessSize, value: number): void {
    if (offset === CONFIG_EMERG_WRITE) this.host.emit(Uint8Array.of(value & 0xff));
  }

  protected override notified(queue: number): void {
    if (queue === RECEIVE) this.#fillBuffers();
    if (queue === TRANSMIT) this.#sendBuffers();
  }

  /** Input that waits is not the driver's: it survives a reset. */
  protected override resetDevice(): void {}

  protected override syncDevice(s: StateIO): void {
    this.#waiting.sync(s, 'waiting');
  }

  #fillBuffers(): void {
    const queue = this.queues[RECEIVE];
    while (this.#waiting.length > 0) {
      const chain = queue.take();
      if (!chain) break;
      const bytes = this.#waiting.take(totalLength(chain.writable));
      queue.give(chain.head, scatter(this.host.memory, chain.writable, bytes));
    }
    queue.finish();
  }

  #sendBuffers(): void {
    const queue = this.queues[TRANSMIT];
    for (let chain = queue.take(); chain; chain = queue.take()) {
      if (totalLength(chain.readable) > TRANSMIT_BYTES_MAX) {
        this.fail();
        return;
      }
      this.host.emit(gather(this.host.memory, chain.readable));
      queue.give(chain.head, 0);
    }
    queue.finish();
  }
}
