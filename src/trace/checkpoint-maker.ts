/**
 * Makes a checkpoint of what a recorder hands over: hashes the pages that were written, numbers their contents, and works out the digest. It is done in the
 * thread that writes, because hashing all that a guest writes would slow down the one that runs it.
 */
import { assert } from '../base/assert.ts';
import { DIGESTER_BYTES, Digester } from '../vmm/digest.ts';
import { PAGE_BYTES } from '../vmm/layout.ts';
import { ABSENT, HASH_BYTES, ZERO } from './changes.ts';
import type { Checkpoint, TakenCheckpoint } from './checks.ts';
import { ContentNumbers } from './content-table.ts';
import type { PageMap } from './page-map.ts';

const WASM_PAGE_BYTES = 65536;

/**
 * Contents that are known by their hashes at most, beside those that pages have: a recording of hours writes ever new ones, and a table for so many takes
 * 80 MB. Beyond it those that no page has any more are forgotten.
 */
const KNOWN_MAX = 1 << 21;

export class CheckpointMaker {
  readonly #digester = new Digester(new WebAssembly.Memory({ initial: Math.ceil(DIGESTER_BYTES / WASM_PAGE_BYTES) }));
  readonly #zeroHash = new Int32Array(4);
  readonly #numbers = new ContentNumbers();
  /** What each page has at the checkpoint before. */
  readonly #before: PageMap;
  readonly #knownMax: number;
  /** Digest of memory and disks at the checkpoint before. */
  #sum: Uint8Array = new Uint8Array(HASH_BYTES);
  /** Of the contents that the checkpoint to come has, in the order of its pages. */
  #hashes: Int32Array[] = [];
  #refs: Int32Array[] = [];

  constructor(before: PageMap, knownMax = KNOWN_MAX) {
    this.#before = before;
    this.#knownMax = knownMax;
    this.#digester.hashOf(new Uint8Array(PAGE_BYTES), this.#zeroHash, 0);
  }

  /** Contents of pages that the checkpoint to come changes, but not of zeros. Gives those that the trace does not have yet to `fresh`, in the order of their numbers. */
  contents(contents: Uint8Array, fresh: (content: Uint8Array) => void): void {
    if (this.#numbers.count > this.#knownMax + this.#before.size) this.#numbers.keepOnly(this.#before.all());
    const count = contents.length / PAGE_BYTES;
    const content = (row: number) => contents.subarray(row * PAGE_BYTES, (row + 1) * PAGE_BYTES);
    const hashes = new Int32Array(count * 4);
    for (let row = 0; row < count; row++) this.#digester.hashOf(content(row), hashes, row * 4);
    this.#hashes.push(hashes);
    this.#refs.push(this.#numbers.number(new Uint8Array(hashes.buffer), content, fresh));
  }

  /** After the contents of all of its pages. */
  make({ absent, zeros, ...taken }: TakenCheckpoint): Checkpoint {
    const { pages, state } = taken;
    const [givenHashes, givenRefs] = [joined(this.#hashes), joined(this.#refs)];
    const hashes = new Int32Array(pages.length * 4);
    const refs = new Int32Array(pages.length).fill(ABSENT);
    // All three lists are ascending.
    let [given, gone, empty] = [0, 0, 0];
    for (let row = 0; row < pages.length; row++) {
      if (pages[row] === absent[gone]) {
        gone++;
      } else if (pages[row] === zeros[empty]) {
        empty++;
        for (let word = 0; word < 4; word++) hashes[row * 4 + word] = this.#zeroHash[word];
        refs[row] = ZERO;
      } else {
        for (let word = 0; word < 4; word++) hashes[row * 4 + word] = givenHashes[given * 4 + word];
        refs[row] = givenRefs[given++];
      }
    }
    assert(given === givenRefs.length, `${given} pages with ${givenRefs.length} contents`);
    this.#hashes = [];
    this.#refs = [];
    this.#count(pages, hashes);
    const digest = this.#digester.finish(this.#sum, state);
    return { ...taken, hashes: new Uint8Array(hashes.buffer), refs, digest };
  }

  /** One that comes from another trace, as it is there: those made later follow it. */
  follow({ pages, hashes, refs }: Checkpoint): void {
    const words = new Int32Array(hashes.slice().buffer);
    this.#numbers.learn(words, refs);
    this.#count(pages, words);
  }

  /** The pages have contents with these hashes now. */
  #count(pages: Uint32Array, hashes: Int32Array): void {
    const before = new Int32Array(4);
    this.#digester.begin(this.#sum);
    for (let row = 0; row < pages.length; row++) {
      this.#before.copyHash(pages[row], before);
      this.#digester.remove(pages[row], before, 0);
      this.#digester.add(pages[row], hashes, row * 4);
    }
    this.#sum = this.#digester.sum();
  }
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
