/** Which content each page has at a checkpoint, out of the changes of all up to it. Columns, because a machine has up to millions of pages. */
import { HASH_BYTES, type PageChanges } from './changes.ts';

const HASH_WORDS = HASH_BYTES / 4;

export class PageMap {
  /** Row of each page that was ever named. */
  readonly #rows = new Map<number, number>();
  #refs = new Int32Array(1024);
  #hashes = new Int32Array(1024 * HASH_WORDS);

  /** Pages that were ever named. */
  get size(): number {
    return this.#rows.size;
  }

  apply({ pages, refs, hashes }: PageChanges): void {
    const words = new Int32Array(hashes.buffer, hashes.byteOffset, pages.length * HASH_WORDS);
    for (let i = 0; i < pages.length; i++) {
      let row = this.#rows.get(pages[i]);
      if (row === undefined) {
        row = this.#rows.size;
        this.#rows.set(pages[i], row);
        if (row === this.#refs.length) this.#grow();
      }
      this.#refs[row] = refs[i];
      for (let word = 0; word < HASH_WORDS; word++)
        this.#hashes[row * HASH_WORDS + word] = words[i * HASH_WORDS + word];
    }
  }

  /** Puts a page's hash into 4 words; zeros if it has none. */
  copyHash(page: number, into: Int32Array): void {
    const row = this.#rows.get(page);
    for (let word = 0; word < HASH_WORDS; word++)
      into[word] = row === undefined ? 0 : this.#hashes[row * HASH_WORDS + word];
  }

  /** All pages, ascending; those that are no more as absent. */
  all(): PageChanges {
    const pages = Uint32Array.from(this.#rows.keys()).sort();
    const refs = new Int32Array(pages.length);
    const hashes = new Int32Array(pages.length * HASH_WORDS);
    for (let i = 0; i < pages.length; i++) {
      const row = this.#rows.get(pages[i])!;
      refs[i] = this.#refs[row];
      for (let word = 0; word < HASH_WORDS; word++)
        hashes[i * HASH_WORDS + word] = this.#hashes[row * HASH_WORDS + word];
    }
    return { pages, refs, hashes: new Uint8Array(hashes.buffer) };
  }

  #grow(): void {
    const [refs, hashes] = [this.#refs, this.#hashes];
    this.#refs = new Int32Array(refs.length * 2);
    this.#hashes = new Int32Array(hashes.length * 2);
    this.#refs.set(refs);
    this.#hashes.set(hashes);
  }
}
