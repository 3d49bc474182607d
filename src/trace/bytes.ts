/**
 * Growing byte buffers with protobuf's varints. Whole numbers up to 2^53 - 1 are JS numbers; 64-bit values travel as two
 * 32-bit halves, because BigInt arithmetic would cost more than everything else in a journal.
 */
import { assert } from '../base/assert.ts';

/** Bytes that are not what the format says. Those who know the file and the offset turn it into a `UserError`. */
export class TraceDamage extends Error {
  override name = 'TraceDamage';
}

export class ByteWriter {
  #buffer: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
  }

  /** The bytes written so far; valid until the next write. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number) {
    assert(Number.isSafeInteger(value) && value >= 0, `${value} is not a whole number that a trace can hold`);
    this.#reserve(8);
    let rest = value;
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) this.#buffer[this.length++] = (rest % 128) | 128;
    for (; rest > 127; rest >>>= 7) this.#buffer[this.length++] = (rest & 127) | 128;
    this.#buffer[this.length++] = rest;
  }

  /** A 64-bit value given as two halves. */
  varint64(low: number, high: number) {
    this.#reserve(10);
    let lo = low >>> 0;
    let hi = high >>> 0;
    while (hi !== 0 || lo > 127) {
      this.#buffer[this.length++] = (lo & 127) | 128;
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    this.#buffer[this.length++] = lo;
  }

  raw(bytes: Uint8Array) {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** A length-delimited protobuf field: how packed columns, strings and bytes are all written. */
  field(number: number, bytes: Uint8Array) {
    this.varint(number * 8 + 2);
    this.varint(bytes.length);
    this.raw(bytes);
  }

  #reserve(count: number) {
    if (this.length + count <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.length + count));
    grown.set(this.view());
    this.#buffer = grown;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Halves of the value that `varint64` read last. */
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): number {
    this.varint64();
    if (this.high >= 0x200000) throw new TraceDamage('a number below 2^53 expected');
    return this.high * 2 ** 32 + this.low;
  }

  varint64() {
    let lo = 0;
    let hi = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at === this.#bytes.length) throw new TraceDamage('another number expected, none left');
      const byte = this.#bytes[this.#at++];
      const bits = byte & 127;
      if (shift < 28) lo |= bits << shift;
      else if (shift === 28) {
        lo |= bits << 28;
        hi |= bits >>> 4;
      } else hi |= bits << (shift - 32);
      if (byte < 128) {
        if (shift === 63 && byte > 1) break;
        this.low = lo >>> 0;
        this.high = hi >>> 0;
        return;
      }
    }
    throw new TraceDamage('a number of at most 64 bits expected');
  }

  take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#at) {
      throw new TraceDamage(`${count} bytes expected, ${this.#bytes.length - this.#at} left`);
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** The content of the length-delimited field `number`, which must come next: we write fields in order. */
  field(number: number): Uint8Array {
    const tag = this.varint();
    if (tag !== number * 8 + 2) throw new TraceDamage(`field ${number} expected, found tag ${tag}`);
    return this.take(this.varint());
  }

  /** True if the field that comes next is `number`. */
  nextIs(number: number): boolean {
    return !this.done && this.#bytes[this.#at] === number * 8 + 2;
  }
}
