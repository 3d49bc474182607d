/** Which page contents a trace holds already, so that each is stored once. */
import { PAGE_BYTES } from '../vmm/layout.ts';
import { ABSENT, FIRST_CONTENT, HASH_BYTES, type PageChanges, ZERO } from './changes.ts';

/** Gives contents their numbers: the same again to one that came before, the next to a new one. */
export class ContentNumbers {
  #known = new ContentTable();
  #next = FIRST_CONTENT;
  /** Of the page of zeros, once one has come. */
  #zeroHash: Uint32Array | null = null;

  /**
   * The content of each row, by its hash: 16 bytes a row, zeros for a page that is no more. `content` is asked for those that have
   * not come before, and `fresh` is given them in the order of their numbers, but not one of zeros.
   */
  number(hashes: Uint8Array, content: (row: number) => Uint8Array, fresh: (content: Uint8Array) => void): Int32Array {
    const words = new Uint32Array(hashes.buffer, hashes.byteOffset, hashes.length / 4);
    const refs = new Int32Array(hashes.length / HASH_BYTES);
    for (let row = 0; row < refs.length; row++) {
      const at = row * 4;
      const known = this.#numberOf(words, at);
      if (known !== null) {
        refs[row] = known;
        continue;
      }
      const bytes = content(row);
      if (isZero(bytes)) {
        this.#zeroHash = words.slice(at, at + 4);
        refs[row] = ZERO;
        continue;
      }
      refs[row] = this.#next++;
      this.#known.add(words, at, refs[row]);
      fresh(bytes);
    }
    return refs;
  }

  /** Contents that have their numbers already, by their hashes: 4 words each. */
  learn(words: Int32Array, refs: Int32Array): void {
    const hashes = new Uint32Array(words.buffer, words.byteOffset, words.length);
    for (let row = 0; row < refs.length; row++) {
      const at = row * 4;
      if (refs[row] === ZERO) this.#zeroHash ??= hashes.slice(at, at + 4);
      if (refs[row] < this.#next) continue;
      this.#known.add(hashes, at, refs[row]);
    }
    for (const ref of refs) this.#next = Math.max(this.#next, ref + 1);
  }

  /** Contents that are known by their hashes. */
  get count(): number {
    return this.#known.size;
  }

  /** Forgets all contents but these. One that comes back is stored once more. */
  keepOnly({ hashes, refs }: PageChanges): void {
    this.#known = new ContentTable();
    const words = new Uint32Array(hashes.buffer, hashes.byteOffset, hashes.length / 4);
    for (let row = 0; row < refs.length; row++) {
      if (refs[row] >= FIRST_CONTENT && this.#known.find(words, row * 4) === 0) {
        this.#known.add(words, row * 4, refs[row]);
      }
    }
  }

  #numberOf(words: Uint32Array, at: number): number | null {
    if ((words[at] | words[at + 1] | words[at + 2] | words[at + 3]) === 0) return ABSENT;
    if (this.#zeroHash && isSame(this.#zeroHash, 0, words, at)) return ZERO;
    const known = this.#known.find(words, at);
    return known === 0 ? null : known;
  }
}

/** Whether the hashes at these places are. */
function isSame(a: Uint32Array, i: number, b: Uint32Array, j: number): boolean {
  return a[i] === b[j] && a[i + 1] === b[j + 1] && a[i + 2] === b[j + 2] && a[i + 3] === b[j + 3];
}

function isZero(page: Uint8Array): boolean {
  const words = new Uint32Array(page.buffer, page.byteOffset, PAGE_BYTES / 4);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

/**
 * Numbers by 128-bit hash. A long recording has millions: open addressing in
 * typed arrays takes 20 bytes a slot where a `Map` would take over 100.
 */
export class ContentTable {
  #keys: Uint32Array;
  /** Number of the content; 0 where the slot is free. */
  #contents: Int32Array;
  #size = 0;

  constructor(slots = 1 << 12) {
    this.#keys = new Uint32Array(slots * 4);
    this.#contents = new Int32Array(slots);
  }

  /** The number of the content with the hash at `words[at..at + 4]`; 0 if there is none. */
  find(words: Uint32Array, at: number): number {
    return this.#contents[this.#slot(words, at)];
  }

  get size(): number {
    return this.#size;
  }

  add(words: Uint32Array, at: number, content: number) {
    if (++this.#size * 2 > this.#contents.length) this.#grow();
    const slot = this.#slot(words, at);
    for (let i = 0; i < 4; i++) this.#keys[slot * 4 + i] = words[at + i];
    this.#contents[slot] = content;
  }

  /** Where the hash is, or the free slot where it belongs. */
  #slot(words: Uint32Array, at: number): number {
    const keys = this.#keys;
    const mask = this.#contents.length - 1;
    // Every bit counts, so that a poor hash costs nothing but itself: neighbours in a run make every search long.
    let mixed = words[at];
    for (let i = 1; i < 4; i++) mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) ^ words[at + i];
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
    let slot = (mixed ^ (mixed >>> 16)) & mask;
    while (this.#contents[slot] !== 0) {
      if (isSame(keys, slot * 4, words, at)) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow() {
    const keys = this.#keys;
    const contents = this.#contents;
    this.#keys = new Uint32Array(keys.length * 2);
    this.#contents = new Int32Array(contents.length * 2);
    for (let i = 0; i < contents.length; i++) {
      if (contents[i] === 0) continue;
      const slot = this.#slot(keys, i * 4);
      for (let k = 0; k < 4; k++) this.#keys[slot * 4 + k] = keys[i * 4 + k];
      this.#contents[slot] = contents[i];
    }
  }
}
