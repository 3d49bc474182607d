/**
 * Buffers in which page contents go to the writer's thread. They are shared and used again: memory fresh from the system costs more than copying
 * the pages into it, and buffers that are handed over for good keep the garbage collector busy.
 */
import { PAGE_BYTES } from '../vmm/layout.ts';

const BUFFER_BYTES = 128 * PAGE_BYTES;
/** Kept for the next time; more than this only the first checkpoint of a large machine needs. */
const KEPT_MAX = 64;

export class PageBuffers {
  readonly #free: Uint8Array[] = [];
  /** What the thread has, in the order in which it will be done with it: buffers, and null for a part of one that has more room. */
  readonly #away: (Uint8Array | null)[] = [];
  #done = 0;
  #filled: Uint8Array | null = null;
  #used = 0;
  #sent = 0;

  constructor(scratch?: SharedArrayBuffer) {
    const bytes = Math.min(scratch?.byteLength ?? 0, KEPT_MAX * BUFFER_BYTES);
    for (let at = 0; scratch && at + BUFFER_BYTES <= bytes; at += BUFFER_BYTES) {
      this.#free.push(new Uint8Array(scratch, at, BUFFER_BYTES));
    }
  }

  /** Copies a page; returns what is to be sent when a buffer has become full. */
  add(page: Uint8Array): Uint8Array | null {
    this.#filled ??= this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(BUFFER_BYTES));
    this.#filled.set(page, this.#used);
    this.#used += PAGE_BYTES;
    return this.#used === BUFFER_BYTES ? this.flush() : null;
  }

  /** What has been copied since this was last asked for; null if nothing. */
  flush(): Uint8Array | null {
    if (!this.#filled || this.#used === this.#sent) return null;
    const sent = this.#filled.subarray(this.#sent, this.#used);
    const isFull = this.#used === BUFFER_BYTES;
    this.#away.push(isFull ? this.#filled : null);
    if (isFull) {
      this.#filled = null;
      this.#used = 0;
    }
    this.#sent = this.#used;
    return sent;
  }

  /** The thread is done with so many of what `flush` has returned altogether. */
  returned(count: number): void {
    for (; this.#done < count; this.#done++) {
      const buffer = this.#away.shift();
      if (buffer && this.#free.length < KEPT_MAX) this.#free.push(buffer);
    }
  }
}
