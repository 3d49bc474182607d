/**
 * Digests of machine state: 128 bits that two machines share only if their states are equal, for all that chance can do.
 *
 * A page's hash is four lanes of multiply and rotate over its words, mixed into two words. The digest of memory is the sum over pages
 * of their hashes mixed with their numbers, so that it follows from the pages that changed; a page of zeros counts nothing, which makes
 * a page that was never touched equal to one that holds zeros.
 */
import { type Expr, i32, i64, type Local, load } from './codegen/expr.ts';
import type { Fn } from './codegen/fn.ts';
import { ModuleBuilder } from './codegen/module.ts';
import { PAGE_BYTES } from './layout.ts';

/** Scratch words in linear memory, two each: the hash just made, the running sum, a hash that is given, that of zeros. */
const HASH = 0x480;
const SUM = 0x490;
const GIVEN = 0x4a0;
const ZERO = 0x4b0;
/** A page for bytes that do not lie in a page of their own. */
const SCRATCH = 0x30000;

// Odd constants with well spread bits: the fractional parts of the square roots of 2, 3, 5, 7 and 11.
const K = [0x6a09e667f3bcc909n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n, 0x510e527fade682d1n];

function mix(f: Fn, x: Local): void {
  f.set(x, x.xor(x.shrU(32n)).mul(K[0]));
  f.set(x, x.xor(x.shrU(29n)).mul(K[1]));
  f.set(x, x.xor(x.shrU(32n)));
}

function buildModule(): Uint8Array {
  const m = new ModuleBuilder();
  const hashPage = m.define('hashPage', ['i32'], null, (f, address) => {
    const lanes = K.slice(0, 4).map((k) => f.let(i64(k)));
    const at = f.let(address);
    const end = f.let(address.add(PAGE_BYTES));
    f.loop((again) => {
      lanes.forEach((lane, i) => {
        f.set(
          lane,
          lane
            .add(load('i64', at, 8 * i).mul(K[4]))
            .rotl(31n)
            .mul(K[2]),
        );
      });
      f.set(at, at.add(32));
      f.brIf(again, at.ltU(end));
    });
    const [a, b, c, d] = lanes;
    const combine = (w: Expr, x: Expr, y: Expr, z: Expr) => {
      const word = f.let(w.add(x.rotl(17n)).add(y.rotl(31n)).add(z.rotl(47n)));
      mix(f, word);
      return word;
    };
    f.store('i64', i32(0), HASH, combine(a, b, c, d));
    f.store('i64', i32(0), HASH + 8, combine(d.mul(K[3]), a, b.xor(K[0]), c));
  });
  // Adds a hash, mixed with a number, to the running sum, `sign` times; that of zeros counts nothing.
  const accumulate = m.define('accumulate', ['i32', 'i32', 'i32'], null, (f, hash, number, sign) => {
    const same = (i: number) => load('i64', hash, i).eq(load('i64', i32(0), ZERO + i));
    const empty = (i: number) => load('i64', hash, i).eqz();
    f.if(
      same(0)
        .and(same(8))
        .or(empty(0).and(empty(8))),
      () => f.return(),
    );
    for (let i = 0; i < 2; i++) {
      const word = f.let(
        load('i64', hash, 8 * i).xor(
          number
            .extU()
            .add(1n)
            .mul(K[3 + i]),
        ),
      );
      mix(f, word);
      f.store('i64', i32(0), SUM + 8 * i, load('i64', i32(0), SUM + 8 * i).add(word.mul(sign.extS())));
    }
  });
  m.export(hashPage);
  m.export(accumulate);
  return m.finish();
}

/** Bytes of a digest, and of a page's hash. */
export const DIGEST_BYTES = 16;

/** Bytes of memory that a digester needs where there is no machine. */
export const DIGESTER_BYTES = SCRATCH + PAGE_BYTES;

export class Digester {
  readonly #memory: Uint8Array;
  readonly #words: Int32Array;
  readonly #hashPage: (address: number) => void;
  readonly #accumulate: (hash: number, number: number, sign: number) => void;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = new Uint8Array(memory.buffer);
    this.#words = new Int32Array(memory.buffer, 0, 0x1000 / 4);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(buildModule()), { host: { memory } });
    this.#hashPage = instance.exports.hashPage as (address: number) => void;
    this.#accumulate = instance.exports.accumulate as (hash: number, number: number, sign: number) => void;
    this.#memory.fill(0, SCRATCH, SCRATCH + PAGE_BYTES);
    this.#hashPage(SCRATCH);
    this.#memory.copyWithin(ZERO, HASH, HASH + DIGEST_BYTES);
  }

  /** The hash of the page at a host address, as 4 words at `at`. */
  hash(address: number, hashes: Int32Array, at: number): void {
    this.#hashPage(address);
    for (let i = 0; i < 4; i++) hashes[at + i] = this.#words[HASH / 4 + i];
  }

  /** The same of a content that lies elsewhere. */
  hashOf(content: Uint8Array, hashes: Int32Array, at: number): void {
    this.#memory.set(content, SCRATCH);
    this.hash(SCRATCH, hashes, at);
  }

  /** Starts to change a digest of memory: `add` and `remove` work on it until `sum` takes it back. */
  begin(sum: Uint8Array): void {
    this.#memory.set(sum, SUM);
  }

  sum(): Uint8Array {
    return this.#memory.slice(SUM, SUM + DIGEST_BYTES);
  }

  /** Page `number` has the content with the hash at `hashes[at..at + 4]`; zeros stand for a page that is not there, and count nothing. */
  add(number: number, hashes: Int32Array, at: number): void {
    this.#count(number, hashes, at, 1);
  }

  /** And has it no more. */
  remove(number: number, hashes: Int32Array, at: number): void {
    this.#count(number, hashes, at, -1);
  }

  #count(number: number, hashes: Int32Array, at: number, sign: number): void {
    for (let i = 0; i < 4; i++) this.#words[GIVEN / 4 + i] = hashes[at + i];
    this.#accumulate(GIVEN, number, sign);
  }

  /** The digest of a machine: its memory's digest and the bytes of the rest of its state. */
  finish(memorySum: Uint8Array, state: Uint8Array): Uint8Array {
    this.begin(memorySum);
    for (let at = 0, n = 0; at < state.length; at += PAGE_BYTES, n++) {
      const piece = state.subarray(at, at + PAGE_BYTES);
      this.#memory.fill(0, SCRATCH, SCRATCH + PAGE_BYTES);
      this.#memory.set(piece, SCRATCH);
      this.#hashPage(SCRATCH);
      this.#accumulate(HASH, 0x80000000 + n, 1);
    }
    this.#words.fill(0, HASH / 4, HASH / 4 + 4);
    this.#words[HASH / 4] = state.length;
    this.#accumulate(HASH, 0xffffffff, 1);
    return this.sum();
  }
}
