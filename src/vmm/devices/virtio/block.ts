/**
 * Block device (virtio 1.2, section 5.2). Requests complete in order, each after a latency in virtual time, so that the
 * position of a completion is a function of virtual time alone. The data moves at completion; requests in flight are state.
 * Times are ns, offsets and lengths bytes unless a name says sectors.
 */
import { assert } from '../../../base/assert.ts';
import type { StateIO } from '../../../base/state.ts';
import type { Alarm, DeviceHost, DiskStorage } from '../../device.ts';
import { syncAlarm } from '../sync-alarm.ts';
import { VirtioMmio } from './mmio.ts';
import { type Chain, gather, type Segment, scatter, slice, totalLength } from './queue.ts';

const DEVICE_ID = 2;
/** Feature bits (5.2.3). */
const FEATURE = { SEG_MAX: 1n << 2n, RO: 1n << 5n, BLK_SIZE: 1n << 6n, FLUSH: 1n << 9n } as const;

/** Request types and status (5.2.6). */
const TYPE = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8 } as const;
const STATUS = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;
const HEADER_BYTES = 16;
const ID_BYTES = 20;

const SECTOR_BYTES = 512;
const QUEUE_SIZE = 256;
/** Data segments of a request: a queue's worth of descriptors less the header's and the status byte's. */
const SEGMENTS_MAX = QUEUE_SIZE - 2;
/** Segments may overlap, so a short ring can ask for terabytes. Far above what any driver asks for at once. */
const TRANSFER_BYTES_MAX = 64 * 2 ** 20;

/** Offsets in the configuration space (5.2.4). */
const CONFIG = { CAPACITY: 0, SEG_MAX: 12, BLK_SIZE: 20, BYTES: 60 } as const;

export interface VirtioBlockOptions {
  storage: DiskStorage;
  /** Serial number that GET_ID gives; up to 20 bytes of ASCII. */
  id?: string;
  /** Of each request, and more for each byte moved; the defaults are those of a modest SSD. */
  latencyNs?: number;
  nsPerByte?: number;
}

interface Request {
  readonly head: number;
  readonly type: number;
  readonly sector: number;
  /** Virtual time of its completion. */
  readonly due: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
}

export class VirtioBlock extends VirtioMmio {
  readonly #storage: DiskStorage;
  readonly #id: Uint8Array;
  readonly #latencyNs: number;
  readonly #nsPerByte: number;
  readonly #config: Uint8Array;
  readonly #alarm: Alarm;
  #inFlight: Request[] = [];

  constructor(name: string, host: DeviceHost, options: VirtioBlockOptions) {
    const { storage } = options;
    const features = FEATURE.SEG_MAX | FEATURE.BLK_SIZE | FEATURE.FLUSH | (storage.readOnly ? FEATURE.RO : 0n);
    super(name, host, { deviceId: DEVICE_ID, features, queueSizes: [QUEUE_SIZE] });
    assert(storage.size % SECTOR_BYTES === 0, `disk size ${storage.size} is a multiple of ${SECTOR_BYTES}`);
    this.#storage = storage;
    this.#id = identifier(options.id ?? name);
    this.#latencyNs = options.latencyNs ?? 100_000;
    this.#nsPerByte = options.nsPerByte ?? 1;
    this.#config = new Uint8Array(CONFIG.BYTES);
    const view = new DataView(this.#config.buffer);
    view.setBigUint64(CONFIG.CAPACITY, BigInt(storage.size / SECTOR_BYTES), true);
    view.setUint32(CONFIG.SEG_MAX, SEGMENTS_MAX, true);
    view.setUint32(CONFIG.BLK_SIZE, SECTOR_BYTES, true);
    this.#alarm = host.alarm(() => this.#completeDue());
  }

  protected override config(): Uint8Array {
    return this.#config;
  }

  protected override notified(_queue: number): void {
    for (let chain = this.queues[0].take(); chain; chain = this.queues[0].take()) {
      const request = this.#request(chain);
      if (!request) {
        this.fail();
        break;
      }
      this.#inFlight.push(request);
    }
    this.#schedule();
  }

  protected override resetDevice(): void {
    this.#inFlight = [];
    this.#schedule();
  }

  protected override queueStopped(_queue: number): void {
    this.resetDevice();
  }

  protected override syncDevice(s: StateIO): void {
    const count = s.u32('in-flight', this.#inFlight.length);
    const requests: Request[] = [];
    for (let i = 0; i < count; i++)
      s.part(`request${i}`, (part) => requests.push(syncRequest(part, this.#inFlight[i])));
    this.#inFlight = requests;
    syncAlarm(s, 'alarm', this.#alarm);
  }

  /** Reads a request's header (5.2.6); null if it has none, or no room for a status. */
  #request(chain: Chain): Request | null {
    const { head, readable, writable } = chain;
    const header = gather(this.host.memory, slice(readable, 0, HEADER_BYTES));
    if (header.length < HEADER_BYTES || writable.length === 0) return null;
    const view = new DataView(header.buffer);
    const type = view.getUint32(0, true);
    const bytes = totalLength(readable) - HEADER_BYTES + totalLength(writable) - 1;
    const start = this.#inFlight.at(-1)?.due ?? this.host.now();
    const moved = type === TYPE.IN || type === TYPE.OUT ? Math.min(bytes, TRANSFER_BYTES_MAX) : 0;
    return {
      head,
      type,
      sector: Number(view.getBigUint64(8, true)),
      due: Math.max(start, this.host.now()) + this.#latencyNs + Math.round(moved * this.#nsPerByte),
      readable,
      writable,
    };
  }

  #schedule(): void {
    this.#alarm.set(this.#inFlight[0]?.due ?? Number.POSITIVE_INFINITY);
  }

  #completeDue(): void {
    if (this.running) {
      const now = this.host.now();
      while (this.#inFlight.length > 0 && this.#inFlight[0].due <= now) this.#complete(this.#inFlight.shift()!);
      this.queues[0].finish();
    } else {
      // The driver broke a rule or stopped the device: nothing of it is touched any more.
      this.#inFlight = [];
    }
    this.#schedule();
  }

  #complete(request: Request): void {
    const { head, writable } = request;
    const room = totalLength(writable) - 1;
    const { status, written } = this.#execute(request, slice(writable, 0, room));
    scatter(this.host.memory, slice(writable, room, 1), Uint8Array.of(status));
    this.queues[0].give(head, written + 1);
  }

  #execute(request: Request, into: readonly Segment[]): { status: number; written: number } {
    const { memory } = this.host;
    switch (request.type) {
      case TYPE.IN: {
        const at = this.#range(request.sector, totalLength(into));
        if (at === null) return { status: STATUS.IOERR, written: 0 };
        let offset = at;
        for (const { address, length } of into) {
          memory.write(address, this.#storage.read(offset, length));
          offset += length;
        }
        return { status: STATUS.OK, written: offset - at };
      }
      case TYPE.OUT: {
        const bytes = totalLength(request.readable) - HEADER_BYTES;
        const at = this.#range(request.sector, bytes);
        if (at === null || this.#storage.readOnly) return { status: STATUS.IOERR, written: 0 };
        let offset = at;
        for (const { address, length } of slice(request.readable, HEADER_BYTES, bytes)) {
          this.#storage.write(offset, memory.read(address, length));
          offset += length;
        }
        return { status: STATUS.OK, written: 0 };
      }
      case TYPE.FLUSH:
        // Writes are as durable as the machine itself the moment they complete.
        return { status: STATUS.OK, written: 0 };
      case TYPE.GET_ID:
        return { status: STATUS.OK, written: scatter(memory, into, this.#id) };
      default:
        return { status: STATUS.UNSUPP, written: 0 };
    }
  }

  /** Offset of a transfer on the disk; null unless it is whole sectors that all exist (5.2.6.2). */
  #range(sector: number, length: number): number | null {
    const offset = sector * SECTOR_BYTES;
    if (length % SECTOR_BYTES !== 0 || length > TRANSFER_BYTES_MAX) return null;
    return offset + length <= this.#storage.size ? offset : null;
  }
}

function syncRequest(s: StateIO, request: Request | undefined): Request {
  return {
    head: s.u16('head', request?.head ?? 0),
    type: s.u32('type', request?.type ?? 0),
    sector: s.num('sector', request?.sector ?? 0),
    due: s.num('due', request?.due ?? 0),
    readable: syncSegments(s, 'readable', request?.readable ?? []),
    writable: syncSegments(s, 'writable', request?.writable ?? []),
  };
}

function syncSegments(s: StateIO, name: string, segments: readonly Segment[]): Segment[] {
  const numbers = s.nums(
    name,
    segments.flatMap(({ address, length }) => [address, length]),
  );
  const result: Segment[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) result.push({ address: numbers[i], length: numbers[i + 1] });
  return result;
}

/** An ASCII string of 20 bytes, padded with zeros (5.2.6, VIRTIO_BLK_T_GET_ID). */
function identifier(id: string): Uint8Array {
  const bytes = new Uint8Array(ID_BYTES);
  bytes.set(new TextEncoder().encode(id).subarray(0, ID_BYTES));
  return bytes;
}
