/** Which content each page has at a checkpoint, out of the changes of all up to it. Columns, because a machine has up to millions of pages. */
import { HASH_BYTES, type PageChanges } from './changes.ts';

export class PageMap {
  /** Row of each page that was ever named. */
  readonly #rows = new Map<number, number>();
  #refs = new Int32Array(1024);
  #hashes = new Uint8Array(1024 * HASH_BYTES);

  /** Pages that were ever named. */
  get size(): number {
    return this.#rows.size;
  }

  apply({ pages, refs, hashes }: PageChanges): void {
    for (let i = 0; i < pages.length; i++) {
      let row = this.#rows.get(pages[i]);
      if (row === undefined) {
        row = this.#rows.size;
        this.#rows.set(pages[i], row);
        if (row === this.#refs.length) this.#grow();
      }
      this.#refs[row] = refs[i];
      this.#hashes.set(hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), row * HASH_BYTES);
    }
  }

  /** Puts a page's hash into 4 words; zeros if it has none. */
  copyHash(page: number, into: Int32Array): void {
    const row = this.#rows.get(page);
    if (row === undefined) into.fill(0);
    else into.set(new Int32Array(this.#hashes.buffer, row * HASH_BYTES, HASH_BYTES / 4));
  }

  /** All pages, ascending; those that are no more as absent. */
  all(): PageChanges {
    const pages = Uint32Array.from(this.#rows.keys()).sort();
    const refs = new Int32Array(pages.length);
    const hashes = new Uint8Array(pages.length * HASH_BYTES);
    for (let i = 0; i < pages.length; i++) {
      const row = this.#rows.get(pages[i])!;
      refs[i] = this.#refs[row];
      hashes.set(this.#hashes.subarray(row * HASH_BYTES, (row + 1) * HASH_BYTES), i * HASH_BYTES);
    }
    return { pages, refs, hashes };
  }

  #grow(): void {
    const [refs, hashes] = [this.#refs, this.#hashes];
    this.#refs = new Int32Array(refs.length * 2);
    this.#hashes = new Uint8Array(hashes.length * 2);
    this.#refs.set(refs);
    this.#hashes.set(hashes);
  }
}
