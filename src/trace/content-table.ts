/**
 * Which page contents the file holds already, by their 128-bit hash. A long recording has millions: open addressing in
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

  add(words: Uint32Array, at: number, content: number) {
    if (++this.#size * 2 > this.#contents.length) this.#grow();
    const slot = this.#slot(words, at);
    this.#keys.set(words.subarray(at, at + 4), slot * 4);
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
      const k = slot * 4;
      const same =
        keys[k] === words[at] &&
        keys[k + 1] === words[at + 1] &&
        keys[k + 2] === words[at + 2] &&
        keys[k + 3] === words[at + 3];
      if (same) break;
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
      this.#keys.set(keys.subarray(i * 4, i * 4 + 4), slot * 4);
      this.#contents[slot] = contents[i];
    }
  }
}
