/**
 * Buffers in which page contents go to the writer's thread. They are shared and used again: memory fresh from the system costs more than copying
 * the pages into it, and buffers that are handed over for good keep the garbage collector busy. Pages in memory that nobody writes any more, as a kernel's file has
 * them, are not copied at all.
 */
import { PAGE_BYTES } from '../vmm/layout.ts';

const BUFFER_BYTES = 128 * PAGE_BYTES;
/** Kept for the next time; more than this only the first checkpoint of a large machine needs. */
const KEPT_MAX = 64;

export class PageBuffers {
  readonly #free: Uint8Array[] = [];
  /** What the thread has, in the order in which it will be done with it: buffers, and null for a part of one that has more room, or of no buffer. */
  readonly #away: (Uint8Array | null)[] = [];
  readonly #send: (pages: Uint8Array) => void;
  readonly #lasting: SharedArrayBuffer | null;
  #done = 0;
  #filled: Uint8Array | null = null;
  #used = 0;
  #sent = 0;

  /** `send` is given pages in the order in which they were added. What lies in `lasting` never changes. */
  constructor(send: (pages: Uint8Array) => void, lasting: SharedArrayBuffer | null) {
    this.#send = send;
    this.#lasting = lasting;
  }

  /** One page, or some in a row. */
  add(pages: Uint8Array): void {
    if (pages.buffer === this.#lasting) this.#sendLasting(pages);
    else for (let at = 0; at < pages.length; at += PAGE_BYTES) this.#copy(pages.subarray(at, at + PAGE_BYTES));
  }

  /** Sends what has been added since the last time. */
  flush(): void {
    if (!this.#filled || this.#used === this.#sent) return;
    const sent = this.#filled.subarray(this.#sent, this.#used);
    const isFull = this.#used === BUFFER_BYTES;
    this.#away.push(isFull ? this.#filled : null);
    if (isFull) {
      this.#filled = null;
      this.#used = 0;
    }
    this.#sent = this.#used;
    this.#send(sent);
  }

  /** The thread is done with so many of what it was sent altogether. */
  returned(count: number): void {
    for (; this.#done < count; this.#done++) {
      const buffer = this.#away.shift();
      if (buffer && this.#free.length < KEPT_MAX) this.#free.push(buffer);
    }
  }

  #sendLasting(pages: Uint8Array): void {
    this.flush();
    // In parts, so that the thread can begin.
    for (let at = 0; at < pages.length; at += BUFFER_BYTES) {
      this.#away.push(null);
      this.#send(pages.subarray(at, at + BUFFER_BYTES));
    }
  }

  #copy(page: Uint8Array): void {
    this.#filled ??= this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(BUFFER_BYTES));
    this.#filled.set(page, this.#used);
    this.#used += PAGE_BYTES;
    if (this.#used === BUFFER_BYTES) this.flush();
  }
}
