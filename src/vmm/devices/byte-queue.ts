/** Bytes that came from outside and wait for the guest to read them. */
import type { StateIO } from '../../base/state.ts';

/** Enough for any paste; a bound, because a guest that never reads must not make the machine's state grow without end. */
const CAPACITY = 64 * 1024;

export class ByteQueue {
  #bytes = new Uint8Array(256);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }
  /** Bytes that `push` would take now. */
  get room(): number {
    return Math.max(CAPACITY - this.length, 0);
  }

  /**
   * Appends what fits and gives back how much that was. What does not fit is the newest: the bytes before it are a prefix
   * of what was typed and still make sense to the guest, whereas dropping the oldest would join two unrelated halves.
   */
  push(data: Uint8Array): number {
    const count = Math.min(data.length, this.room);
    this.#append(data.subarray(0, count));
    return count;
  }

  /** Puts back bytes that were taken but that the guest never saw; they fit even where `push` would refuse them. */
  unshift(data: Uint8Array): void {
    const rest = this.take(this.length);
    this.#append(data);
    this.#append(rest);
  }

  /** Removes up to `count` of the oldest bytes. */
  take(count: number): Uint8Array {
    const taken = this.#bytes.slice(this.#start, Math.min(this.#end, this.#start + count));
    this.#start += taken.length;
    if (this.#start === this.#end) this.#start = this.#end = 0;
    return taken;
  }

  sync(s: StateIO, name: string): void {
    const saved = s.bytes(name, this.#bytes.slice(this.#start, this.#end));
    this.#start = this.#end = 0;
    this.#append(saved);
  }

  #append(data: Uint8Array): void {
    this.#reserve(data.length);
    this.#bytes.set(data, this.#end);
    this.#end += data.length;
  }

  #reserve(count: number): void {
    if (this.#end + count <= this.#bytes.length) return;
    const live = this.#bytes.subarray(this.#start, this.#end);
    const larger = live.length + count <= this.#bytes.length ? this.#bytes.length : 2 * (live.length + count);
    const bytes = new Uint8Array(larger);
    bytes.set(live);
    this.#bytes = bytes;
    this.#end = live.length;
    this.#start = 0;
  }
}
