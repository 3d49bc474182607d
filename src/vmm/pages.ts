/**
 * The machine's pages: RAM first, then the blocks of each disk, numbered as one space. A page maps to a frame of the pool, or to none
 * while it was never touched. A snapshot is another map onto the same frames, shared in chunks with its neighbours. Contents that a trace holds
 * are fetched when somebody looks at them, one by one: a guest that runs on for a moment needs few of its pages.
 */
import { assert, UserError } from '../base/assert.ts';
import type { Digester } from './digest.ts';
import { FramePool } from './frames.ts';
import { DECODED_TABLE_BASE, PAGE_BYTES, PAGE_FLAG, PAGE_FLAGS_BASE, PAGE_TABLE_BASE } from './layout.ts';

const CHUNK_PAGES = 512;
/** A frame and a hash for each. */
const CHUNK_BYTES = CHUNK_PAGES * 20;

/** Frames of `CHUNK_PAGES` pages; it holds a reference to each. */
interface Chunk {
  readonly frames: Int32Array;
  references: number;
}

/** Hashes of `CHUNK_PAGES` pages, 4 words each; zeros for one that is not there, or whose hash nobody has asked for. */
interface Hashes {
  readonly words: Int32Array;
  /** Some of the pages that are there have none yet. */
  incomplete: boolean;
  /** A snapshot has them, too: they must not change. */
  shared: boolean;
}

/** A map of all pages at a moment. Immutable; `release` it when it is no longer needed. */
export interface PageSnapshot {
  readonly chunks: readonly (Chunk | null)[];
  /** As far as they are known. */
  readonly hashes: readonly (Hashes | null)[];
  /** Digest of the pages whose hashes are known. */
  readonly sum: Uint8Array;
}

/** A page that holds something else than before. */
export interface OutsideChange {
  readonly page: number;
  /** What, as a number that `outside` knows; negative for nothing. */
  readonly content: number;
  /** 4 words of `hashes` from here on; zeros for nothing. */
  readonly hashes: Int32Array;
  readonly at: number;
}

export class Pages {
  readonly pool: FramePool;
  readonly ramPages: number;
  readonly count: number;
  readonly #digester: Digester;
  readonly #frames: Int32Array;
  readonly #table: Int32Array;
  readonly #decoded: Int32Array;
  readonly #flags: Uint8Array;
  readonly #diskFlags: Uint8Array;
  /** Pages written since they were last protected. */
  #dirty: number[] = [];
  /** Chunks with pages that were written since the last snapshot. */
  readonly #changed = new Set<number>();
  /** Chunks of the last snapshot that are still what the live map holds. */
  #clean: (Chunk | null)[];
  #hashes: (Hashes | null)[];
  /** Digest of the pages whose hashes are known. */
  #sum: Uint8Array = new Uint8Array(16);
  #chunks = 0;
  /** The bytes of the content with a number, not to be written: 4096, or more if what lies behind are the contents with the numbers behind. */
  outside: (content: number) => Uint8Array = (content) => {
    throw new Error(`no content ${content} lies outside`);
  };

  constructor(memory: WebAssembly.Memory, ramPages: number, diskPages: number, digester: Digester) {
    this.pool = new FramePool(memory);
    this.ramPages = ramPages;
    this.count = ramPages + diskPages;
    this.#digester = digester;
    this.#frames = new Int32Array(this.count);
    this.#table = new Int32Array(memory.buffer, PAGE_TABLE_BASE, ramPages);
    this.#decoded = new Int32Array(memory.buffer, DECODED_TABLE_BASE, ramPages);
    this.#flags = new Uint8Array(memory.buffer, PAGE_FLAGS_BASE, ramPages);
    this.#diskFlags = new Uint8Array(diskPages);
    const chunks = Math.ceil(this.count / CHUNK_PAGES);
    this.#clean = new Array(chunks).fill(null);
    this.#hashes = new Array(chunks).fill(null);
  }

  /** Pages written since the last snapshot, digest or change list. */
  get dirtyCount(): number {
    return this.#dirty.length;
  }

  /** What the maps of all snapshots take, with the hashes of their pages. */
  get mapBytes(): number {
    return this.#chunks * CHUNK_BYTES;
  }

  /** True if the page has storage; one that has not reads as zeros. */
  present(page: number): boolean {
    return this.#frames[page] !== 0;
  }

  /** Pages that have storage, ascending. */
  presentPages(): Uint32Array {
    const present = new Uint32Array(this.count);
    let count = 0;
    for (let page = 0; page < this.count; page++) if (this.#frames[page] !== 0) present[count++] = page;
    return present.slice(0, count);
  }

  /** A page's content for reading; null while it was never touched. */
  read(page: number): Uint8Array | null {
    if (this.#frames[page] === 0) return null;
    this.touch(page);
    return this.pool.bytes(this.#frames[page]);
  }

  /**
   * The same, but a page whose content lies outside stays there; and if the pages behind it do, too, all are given whose contents lie in a row.
   */
  look(page: number): Uint8Array | null {
    const frame = this.#frames[page];
    if (frame === 0) return null;
    if (this.pool.address(frame) !== 0) return this.pool.bytes(frame);
    const bytes = this.#outsideOf(page, frame);
    const content = this.pool.outsideOf(frame);
    let count = 1;
    while (count * PAGE_BYTES < bytes.length && this.#isOutside(page + count, content + count)) count++;
    return bytes.subarray(0, count * PAGE_BYTES);
  }

  #isOutside(page: number, content: number): boolean {
    const frame = page < this.count ? this.#frames[page] : 0;
    return frame !== 0 && this.pool.address(frame) === 0 && this.pool.outsideOf(frame) === content;
  }

  /** The 32 bits at an offset of a page, without sign. */
  word(page: number, offset: number): number {
    const address = this.#addressForReading(page);
    return address === 0 ? 0 : this.pool.view.getUint32(address + offset, true);
  }

  /** The number of so many bytes at an offset of a page; all of it lies in the page. */
  number(page: number, offset: number, size: 1 | 2 | 4 | 8): bigint {
    const address = this.#addressForReading(page);
    if (address === 0) return 0n;
    const { view } = this.pool;
    const at = address + offset;
    if (size === 8) return view.getBigUint64(at, true);
    return BigInt(size === 4 ? view.getUint32(at, true) : size === 2 ? view.getUint16(at, true) : view.getUint8(at));
  }

  /** Says that pages of RAM, from `first` to before `end`, of which none was ever touched, hold contents that lie outside and have the pages' numbers. */
  place(first: number, end: number): void {
    assert(end <= this.ramPages, `page ${end - 1} of the guest's files lies in RAM`);
    const frame = this.pool.outsideInRow(first, end - first);
    for (let page = first; page < end; page++) {
      assert(this.#frames[page] === 0, 'the page was never touched');
      this.#frames[page] = frame + page - first;
      this.#flags[page] |= PAGE_FLAG.protected;
    }
    for (let index = Math.floor(first / CHUNK_PAGES); index * CHUNK_PAGES < end; index++) {
      this.#ownHashes(index).incomplete = true;
      this.#changed.add(index);
    }
  }

  /** A page's storage for writing. */
  write(page: number): Uint8Array {
    this.touch(page);
    this.unprotect(page);
    return this.pool.bytes(this.#frames[page]);
  }

  /** Gives a page storage, with what it holds outside if it was not fetched yet. */
  touch(page: number): void {
    const there = this.#frames[page];
    if (there !== 0) {
      if (this.pool.address(there) === 0) this.#fetch(page, there);
      // Fetched for another map of the same frame, the page may still be missing from the table.
      this.#map(page, there);
      return;
    }
    const frame = this.pool.allocate();
    this.#map(page, frame);
    this.#setFlags(page, this.#getFlags(page) & ~PAGE_FLAG.protected);
    this.#markDirty(page);
  }

  /** Takes a page's storage away, as if it had never been touched. Only for loading a state: no host address may be in use. */
  drop(page: number): void {
    const frame = this.#frames[page];
    if (frame === 0) return;
    this.#map(page, 0);
    if (page < this.ramPages) this.#decoded[page] = 0;
    this.pool.release(frame);
    this.#setFlags(page, this.#getFlags(page) & PAGE_FLAG.watched);
    this.#markDirty(page);
  }

  /** Makes a page writable: the content that a snapshot holds stays with the snapshot. */
  unprotect(page: number): void {
    const flags = this.#getFlags(page);
    if (!(flags & PAGE_FLAG.protected)) return;
    const frame = this.#frames[page];
    // If nobody but us still looks at the last snapshot's chunk, its pages need no copies.
    const index = Math.floor(page / CHUNK_PAGES);
    if (this.#clean[index]?.references === 1) this.#replaceClean(index, null);
    if (this.pool.references(frame) > 1) this.#frames[page] = this.pool.detach(frame);
    this.#setFlags(page, flags & ~PAGE_FLAG.protected);
    this.#markDirty(page);
  }

  /**
   * Pages written since this, a snapshot or a digest was last asked for, ascending. Afterwards every page is protected; whoever holds host addresses
   * for writing must drop them.
   */
  changes(): Uint32Array {
    // One that was written, dropped and written again is there more than once.
    const changed = Uint32Array.from(this.#dirty)
      .sort()
      .filter((page, i, all) => page !== all[i - 1]);
    this.#dirty = [];
    this.#digester.begin(this.#sum);
    for (const page of changed) {
      const index = Math.floor(page / CHUNK_PAGES);
      this.#changed.add(index);
      if (this.#frames[page] !== 0) this.#setFlags(page, this.#getFlags(page) | PAGE_FLAG.protected);
      this.#forgetHash(page, index);
    }
    this.#sum = this.#digester.sum();
    return changed;
  }

  /** Digest of memory and disks. Protects all pages, as `changes` does. */
  digest(): Uint8Array {
    this.changes();
    this.#digester.begin(this.#sum);
    for (let index = 0; index < this.#hashes.length; index++) {
      if (this.#hashes[index]?.incomplete) this.#completeHashes(index);
    }
    this.#sum = this.#digester.sum();
    return this.#sum;
  }

  /** The map as it is now. Protects all pages; `changed` is what `changes` would give. */
  snapshot(): { snapshot: PageSnapshot; changed: Uint32Array } {
    const changed = this.changes();
    for (const index of this.#changed) this.#replaceClean(index, this.#copyChunk(index));
    this.#changed.clear();
    for (const chunk of this.#clean) if (chunk) chunk.references++;
    for (const hashes of this.#hashes) if (hashes) hashes.shared = true;
    return { snapshot: { chunks: this.#clean.slice(), hashes: this.#hashes.slice(), sum: this.#sum }, changed };
  }

  /** What a snapshot, or a machine without pages, would be if some pages held something else. The live map stays as it is. */
  derive(base: PageSnapshot | null, changes: readonly OutsideChange[]): PageSnapshot {
    const chunks = base ? base.chunks.slice() : new Array<Chunk | null>(this.#clean.length).fill(null);
    const hashes = base ? base.hashes.slice() : new Array<Hashes | null>(this.#clean.length).fill(null);
    const changed = new Map<number, Int32Array>();
    this.#digester.begin(base ? base.sum : new Uint8Array(16));
    for (const change of changes) {
      assert(change.page < this.count, `page ${change.page} of ${this.count}`);
      const index = Math.floor(change.page / CHUNK_PAGES);
      let frames = changed.get(index);
      if (!frames) {
        frames = chunks[index]?.frames.slice() ?? new Int32Array(CHUNK_PAGES);
        changed.set(index, frames);
        chunks[index] = this.#newChunk(frames, 0);
        hashes[index] = { ...copyOf(hashes[index]), shared: true };
      }
      const at = change.page % CHUNK_PAGES;
      if (frames[at] !== 0) this.pool.release(frames[at]);
      if (change.content >= 0 && !isKnown(change.hashes, change.at)) {
        throw new UserError(`memory page ${change.page}: the trace has no hash of its content`);
      }
      frames[at] = change.content < 0 ? 0 : this.pool.outside(change.content);
      const { words } = hashes[index]!;
      this.#digester.remove(change.page, words, 4 * at);
      for (let i = 0; i < 4; i++) words[4 * at + i] = change.hashes[change.at + i];
      this.#digester.add(change.page, words, 4 * at);
    }
    for (const chunk of chunks) if (chunk) chunk.references++;
    return { chunks, hashes, sum: this.#digester.sum() };
  }

  /** Makes the live map that of a snapshot. The host addresses of all pages may change. */
  restore(snapshot: PageSnapshot): void {
    for (const page of this.#dirty) this.#changed.add(Math.floor(page / CHUNK_PAGES));
    this.#dirty = [];
    snapshot.chunks.forEach((chunk, index) => {
      if (chunk === this.#clean[index] && !this.#changed.has(index)) return;
      const first = index * CHUNK_PAGES;
      const last = Math.min(first + CHUNK_PAGES, this.count);
      for (let page = first; page < last; page++) {
        const frame = chunk ? chunk.frames[page - first] : 0;
        const old = this.#frames[page];
        if (frame !== old) {
          if (frame !== 0) this.pool.retain(frame);
          if (old !== 0) this.pool.release(old);
          if (page < this.ramPages) this.#decoded[page] = 0;
          this.#map(page, frame);
        } else if (frame !== 0 && page < this.ramPages) {
          this.#table[page] = this.pool.address(frame);
        }
        const watched = this.#getFlags(page) & PAGE_FLAG.watched;
        const decoded = page < this.ramPages && this.#decoded[page] !== 0 ? PAGE_FLAG.decoded : 0;
        this.#setFlags(page, watched | decoded | (frame === 0 ? 0 : PAGE_FLAG.protected));
      }
      if (chunk) chunk.references++;
      this.#replaceClean(index, chunk);
    });
    this.#changed.clear();
    this.#hashes = snapshot.hashes.slice();
    this.#sum = snapshot.sum;
  }

  /** Brings in all that lies outside: whoever holds it is going away. */
  fetchAll(): void {
    for (let page = 0; page < this.count; page++) if (this.#frames[page] !== 0) this.touch(page);
  }

  /** Gives each page of RAM a content, null for none; disks keep theirs. `written` is told of each page that changes. */
  resetRam(content: (page: number) => Uint8Array | null, written: (page: number) => void): void {
    for (let page = 0; page < this.ramPages; page++) {
      const wanted = content(page);
      if (wanted === null) {
        this.drop(page);
        continue;
      }
      const now = this.read(page);
      if (now?.every((byte, i) => byte === wanted[i])) continue;
      this.write(page).set(wanted);
      written(page);
    }
  }

  /** A second hold on a snapshot, to be released on its own. */
  hold(snapshot: PageSnapshot): PageSnapshot {
    for (const chunk of snapshot.chunks) if (chunk) chunk.references++;
    return snapshot;
  }

  release(snapshot: PageSnapshot): void {
    for (const chunk of snapshot.chunks) if (chunk) this.#releaseChunk(chunk);
  }

  /** Says that writes to a page are looked at. */
  watch(page: number): void {
    this.#setFlags(page, this.#getFlags(page) | PAGE_FLAG.watched);
  }

  #fetch(page: number, frame: number): void {
    this.pool.fetch(frame, this.#outsideOf(page, frame).subarray(0, PAGE_BYTES));
  }

  /** What a page without a slot holds, and perhaps more behind it: if its hash is known, what has that hash. */
  #outsideOf(page: number, frame: number): Uint8Array {
    const number = this.pool.outsideOf(frame);
    const content = this.outside(number);
    const { words } = this.#hashes[Math.floor(page / CHUNK_PAGES)]!;
    const at = (page % CHUNK_PAGES) * 4;
    if (isKnown(words, at)) {
      const found = new Int32Array(4);
      this.#digester.hashOf(content.subarray(0, PAGE_BYTES), found, 0);
      if (found.some((word, i) => word !== words[at + i])) {
        throw new UserError(
          `memory page ${page}: content ${number} of the trace does not have the hash that it should have`,
        );
      }
    }
    return content;
  }

  /** Host address of a page's content; 0 while it was never touched. */
  #addressForReading(page: number): number {
    const frame = this.#frames[page];
    if (frame === 0) return 0;
    const address = this.pool.address(frame);
    if (address !== 0) return address;
    this.touch(page);
    return this.pool.address(frame);
  }

  /** A page was written: its hash is no longer known. */
  #forgetHash(page: number, index: number): void {
    const hashes = this.#ownHashes(index);
    const at = (page % CHUNK_PAGES) * 4;
    hashes.incomplete = true;
    if (!isKnown(hashes.words, at)) return;
    this.#digester.remove(page, hashes.words, at);
    hashes.words.fill(0, at, at + 4);
  }

  #completeHashes(index: number): void {
    const hashes = this.#ownHashes(index);
    const first = index * CHUNK_PAGES;
    const last = Math.min(first + CHUNK_PAGES, this.count);
    for (let page = first; page < last; page++) {
      const at = (page - first) * 4;
      if (this.#frames[page] === 0 || isKnown(hashes.words, at)) continue;
      this.#digester.hash(this.#addressForReading(page), hashes.words, at);
      this.#digester.add(page, hashes.words, at);
    }
    hashes.incomplete = false;
  }

  /** Those of a chunk, to be changed. */
  #ownHashes(index: number): Hashes {
    const hashes = this.#hashes[index];
    if (hashes && !hashes.shared) return hashes;
    const own = copyOf(hashes);
    this.#hashes[index] = own;
    return own;
  }

  #copyChunk(index: number): Chunk {
    const first = index * CHUNK_PAGES;
    const frames = new Int32Array(CHUNK_PAGES);
    frames.set(this.#frames.subarray(first, Math.min(first + CHUNK_PAGES, this.count)));
    return this.#newChunk(frames, 1);
  }

  #newChunk(frames: Int32Array, references: number): Chunk {
    for (const frame of frames) if (frame !== 0) this.pool.retain(frame);
    this.#chunks++;
    return { frames, references };
  }

  #replaceClean(index: number, chunk: Chunk | null): void {
    const old = this.#clean[index];
    this.#clean[index] = chunk;
    if (old) this.#releaseChunk(old);
  }

  #releaseChunk(chunk: Chunk): void {
    assert(chunk.references > 0, 'a snapshot is released once');
    if (--chunk.references > 0) return;
    this.#chunks--;
    for (const frame of chunk.frames) if (frame !== 0) this.pool.release(frame);
  }

  #map(page: number, frame: number): void {
    this.#frames[page] = frame;
    if (page < this.ramPages) this.#table[page] = frame === 0 ? 0 : this.pool.address(frame);
  }

  #markDirty(page: number): void {
    this.#dirty.push(page);
  }

  #getFlags(page: number): number {
    return page < this.ramPages ? this.#flags[page] : this.#diskFlags[page - this.ramPages];
  }

  #setFlags(page: number, flags: number): void {
    if (page < this.ramPages) this.#flags[page] = flags;
    else this.#diskFlags[page - this.ramPages] = flags;
  }
}

function copyOf(hashes: Hashes | null): Hashes {
  const words = hashes?.words.slice() ?? new Int32Array(CHUNK_PAGES * 4);
  return { words, incomplete: hashes?.incomplete ?? false, shared: false };
}

function isKnown(hashes: Int32Array, at: number): boolean {
  return (hashes[at] | hashes[at + 1] | hashes[at + 2] | hashes[at + 3]) !== 0;
}
