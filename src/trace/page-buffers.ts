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
  /** With the thread, in the order in which it will be done with them. */
  readonly #away: Uint8Array[] = [];
  #done = 0;
  #filled: Uint8Array | null = null;
  #used = 0;

  constructor(scratch?: SharedArrayBuffer) {
    const bytes = Math.min(scratch?.byteLength ?? 0, KEPT_MAX * BUFFER_BYTES);
    for (let at = 0; scratch && at + BUFFER_BYTES <= bytes; at += BUFFER_BYTES) {
      this.#free.push(new Uint8Array(scratch, at, BUFFER_BYTES));
    }
  }

  /** Copies a page; returns a buffer that has become full, to be sent. */
  add(page: Uint8Array): Uint8Array | null {
    this.#filled ??= this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(BUFFER_BYTES));
    this.#filled.set(page, this.#used);
    this.#used += PAGE_BYTES;
    return this.#used === BUFFER_BYTES ? this.flush() : null;
  }

  /** What has been copied since the last buffer was sent; null if nothing. */
  flush(): Uint8Array | null {
    if (!this.#filled) return null;
    const sent = this.#filled.subarray(0, this.#used);
    this.#away.push(this.#filled);
    this.#filled = null;
    this.#used = 0;
    return sent;
  }

  /** The thread is done with so many buffers altogether. */
  returned(count: number): void {
    for (; this.#done < count; this.#done++) {
      const buffer = this.#away.shift();
      if (buffer && this.#free.length < KEPT_MAX) this.#free.push(buffer);
    }
  }
}
