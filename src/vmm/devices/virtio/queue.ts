/**
 * The device's side of a split virtqueue (virtio 1.2, section 2.7), with indirect descriptors and event indexes.
 *
 * Everything in a ring is written by the guest. What breaks the rules is reported through `fail` and stops the queue, with
 * work bounded by the ring's size: a ring can neither make the device loop nor make it allocate without end.
 */
import type { StateIO } from '../../../base/state.ts';
import type { GuestMemory } from '../../device.ts';

/** Descriptor flags (2.7.5). */
const DESC = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;
const DESC_BYTES = 16;
/** Flag of the available ring: the driver asks for no interrupts (2.7.6). */
const AVAIL_NO_INTERRUPT = 1;
/**
 * Descriptors of a chain. The specification allows as many as the queue has (2.7.5.3.1); the bound is wider because
 * drivers are known to use longer indirect tables, and the widest that QEMU takes.
 */
const CHAIN_DESCRIPTORS_MAX = 1024;

/** A piece of guest memory that a descriptor names; all of it is RAM. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** A buffer that the driver made available. */
export interface Chain {
  /** Index of its first descriptor, by which it is handed back. */
  readonly head: number;
  /** What the device may read, then what it may write. */
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
}

export interface QueueHost {
  readonly memory: GuestMemory;
  /** True if the feature bits were negotiated. */
  readonly indirect: boolean;
  readonly eventIndex: boolean;
  /** Used buffer notification (2.3). */
  interrupt(): void;
  /** The driver broke the rules: the device needs a reset. */
  fail(): void;
}

export class Virtqueue {
  /** Largest size that the driver may choose. */
  readonly maxSize: number;
  readonly #host: QueueHost;
  size = 0;
  ready = false;
  /** Guest-physical addresses of the descriptor table, available ring and used ring; any u64 until `ready`. */
  descriptors = 0n;
  available = 0n;
  used = 0n;
  /** Free-running 16-bit indexes: the next available entry to take, and the next used entry to fill. */
  #nextAvailable = 0;
  #nextUsed = 0;
  /** Value of `#nextUsed` at the last decision about an interrupt. */
  #decided = 0;
  /** Chains taken and not handed back yet. */
  #taken = 0;

  constructor(maxSize: number, host: QueueHost) {
    this.maxSize = maxSize;
    this.#host = host;
    this.reset();
  }

  reset(): void {
    this.size = this.maxSize;
    this.ready = false;
    this.descriptors = this.available = this.used = 0n;
    this.#nextAvailable = this.#nextUsed = this.#decided = this.#taken = 0;
  }

  /** The driver has set the queue up (4.2.3.2). */
  start(): void {
    this.#nextAvailable = this.#nextUsed = this.#decided = this.#taken = 0;
    this.ready = true;
    if (!this.#wellPlaced()) this.#fail();
  }

  /** Takes the next available chain; null if there is none, or the ring is broken. */
  take(): Chain | null {
    if (!this.ready) return null;
    if (!this.#wellPlaced()) return this.#fail();
    const { memory } = this.#host;
    const available = Number(this.available);
    const waiting = (memory.u16(available + 2) - this.#nextAvailable) & 0xffff;
    if (waiting === 0) return null;
    // More than the ring holds, or more than it holds in flight: the index is wrong.
    if (waiting > this.size || this.#taken >= this.size) return this.#fail();
    const head = memory.u16(available + 4 + 2 * (this.#nextAvailable % this.size));
    const chain = this.#readChain(head);
    if (!chain) return this.#fail();
    this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    this.#taken++;
    // Ask to be told of the next one (2.7.10).
    if (this.#host.eventIndex) memory.setU16(this.#availEvent(), this.#nextAvailable);
    return chain;
  }

  /** Hands a chain back with the number of bytes written to it (2.7.8). Call `finish` after the last of them. */
  give(head: number, written: number): void {
    if (!this.ready || !this.#wellPlaced()) return;
    const { memory } = this.#host;
    const used = Number(this.used);
    const entry = used + 4 + 8 * (this.#nextUsed % this.size);
    memory.setU32(entry, head);
    memory.setU32(entry + 4, written);
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
    memory.setU16(used + 2, this.#nextUsed);
    this.#taken--;
  }

  /** Interrupts the driver if it wants to hear of what was handed back since the last call (2.7.7). */
  finish(): void {
    const before = this.#decided;
    if (!this.ready || before === this.#nextUsed || !this.#wellPlaced()) return;
    this.#decided = this.#nextUsed;
    const { memory } = this.#host;
    const available = Number(this.available);
    if (this.#host.eventIndex) {
      // The driver names the entry it waits for: it must lie among the new ones (2.7.7.1).
      const wanted = memory.u16(available + 4 + 2 * this.size);
      const isNew = ((this.#nextUsed - wanted - 1) & 0xffff) < ((this.#nextUsed - before) & 0xffff);
      if (!isNew) return;
    } else if (memory.u16(available) & AVAIL_NO_INTERRUPT) {
      return;
    }
    this.#host.interrupt();
  }

  sync(s: StateIO): void {
    this.size = s.u16('size', this.size);
    this.ready = s.bool('ready', this.ready);
    this.descriptors = s.u64('descriptors', this.descriptors);
    this.available = s.u64('available', this.available);
    this.used = s.u64('used', this.used);
    this.#nextAvailable = s.u16('next-available', this.#nextAvailable);
    this.#nextUsed = s.u16('next-used', this.#nextUsed);
    this.#decided = s.u16('decided', this.#decided);
    this.#taken = s.u16('taken', this.#taken);
  }

  #availEvent(): number {
    return Number(this.used) + 4 + 8 * this.size;
  }

  /** Size and alignment (2.7), and all three parts in RAM. */
  #wellPlaced(): boolean {
    const { size } = this;
    const { memory } = this.#host;
    if (size === 0 || size > this.maxSize || (size & (size - 1)) !== 0) return false;
    if (this.descriptors & 15n || this.available & 1n || this.used & 3n) return false;
    // The event fields at the ends of the rings count only where they were negotiated.
    const event = this.#host.eventIndex ? 2 : 0;
    return (
      memory.contains(Number(this.descriptors), DESC_BYTES * size) &&
      memory.contains(Number(this.available), 4 + 2 * size + event) &&
      memory.contains(Number(this.used), 4 + 8 * size + event)
    );
  }

  /** Follows a chain (2.7.5); null if it breaks a rule. */
  #readChain(head: number): Chain | null {
    const { memory, indirect } = this.#host;
    let table = Number(this.descriptors);
    let entries = this.size;
    let inTable = false;
    let index = head;
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    for (let count = 0; count < entries; count++) {
      if (index >= entries) return null;
      const { address, length, flags, next } = readDescriptor(memory, table + DESC_BYTES * index);
      if (flags & DESC.INDIRECT) {
        // A table may follow other descriptors, but ends the chain and holds no further table (2.7.5.3.1, 2.7.5.3.2).
        if (!indirect || inTable || flags & DESC.NEXT) return null;
        if (length === 0 || length % DESC_BYTES !== 0 || length / DESC_BYTES > CHAIN_DESCRIPTORS_MAX) return null;
        if (!memory.contains(address, length)) return null;
        inTable = true;
        table = address;
        entries = length / DESC_BYTES;
        index = 0;
        // The loop's count starts over with the table's first descriptor.
        count = -1;
        continue;
      }
      if (length === 0 || !memory.contains(address, length)) return null;
      // What the device may write comes after all that it may read (2.7.4.2).
      if (flags & DESC.WRITE) writable.push({ address, length });
      else if (writable.length > 0) return null;
      else readable.push({ address, length });
      if (!(flags & DESC.NEXT)) return { head, readable, writable };
      index = next;
    }
    // As many descriptors as there are and still a next one: a loop.
    return null;
  }

  #fail(): null {
    this.ready = false;
    this.#host.fail();
    return null;
  }
}

function readDescriptor(memory: GuestMemory, at: number) {
  const bytes = memory.read(at, DESC_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    // Addresses of 2^53 and more lose their low bits, but no RAM is there.
    address: Number(view.getBigUint64(0, true)),
    length: view.getUint32(8, true),
    flags: view.getUint16(12, true),
    next: view.getUint16(14, true),
  };
}

export function totalLength(segments: readonly Segment[]): number {
  let total = 0;
  for (const segment of segments) total += segment.length;
  return total;
}

/** Part of a list of segments: `length` bytes from byte `start` on, or what there is of them. */
export function slice(segments: readonly Segment[], start: number, length: number): Segment[] {
  const part: Segment[] = [];
  let skip = start;
  let left = length;
  for (const segment of segments) {
    if (left <= 0) break;
    const count = Math.min(segment.length - skip, left);
    if (count > 0) {
      part.push({ address: segment.address + skip, length: count });
      left -= count;
    }
    skip = Math.max(skip - segment.length, 0);
  }
  return part;
}

/** The bytes of all segments. The caller bounds their number: segments may overlap. */
export function gather(memory: GuestMemory, segments: readonly Segment[]): Uint8Array {
  const bytes = new Uint8Array(totalLength(segments));
  let at = 0;
  for (const segment of segments) {
    bytes.set(memory.read(segment.address, segment.length), at);
    at += segment.length;
  }
  return bytes;
}

/** Writes as many bytes as the segments take; gives back how many that were. */
export function scatter(memory: GuestMemory, segments: readonly Segment[], bytes: Uint8Array): number {
  let at = 0;
  for (const segment of segments) {
    if (at === bytes.length) break;
    const count = Math.min(segment.length, bytes.length - at);
    memory.write(segment.address, bytes.subarray(at, at + count));
    at += count;
  }
  return at;
}
