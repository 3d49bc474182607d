/** Reading little-endian data with every access checked: what reaches past the end is an error that names section and offset. */
import { SymbolError } from './error.ts';

const decoder = new TextDecoder();

/** Bytes of a file, and where they are, for messages. */
export interface Span {
  readonly file: string;
  readonly section: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Next byte to read, and the first that must not be read, as indices into `bytes`. */
  at: number;
  end: number;
  readonly file: string;
  readonly section: string;
  /** Offset in the section of the first of `bytes`. */
  readonly base: number;

  constructor(file: string, section: string, bytes: Uint8Array, base = 0, at = 0) {
    this.file = file;
    this.section = section;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.base = base;
    this.at = at;
    this.end = bytes.length;
    if (!(at >= 0 && at <= bytes.length)) this.fail(`past the end of the section (${base + bytes.length} bytes)`, at);
  }

  /** Offset in the section of the next byte. */
  get offset(): number {
    return this.base + this.at;
  }
  get done(): boolean {
    return this.at >= this.end;
  }
  get remaining(): number {
    return this.end - this.at;
  }

  error(what: string, at = this.at): SymbolError {
    return new SymbolError(this.file, this.section, this.base + at, what);
  }
  fail(what: string, at = this.at): never {
    throw this.error(what, at);
  }

  /** Moves over `length` bytes and returns where they began. */
  skip(length: number): number {
    const at = this.at;
    if (!(length >= 0 && length <= this.end - at)) {
      this.fail(`${length} bytes expected, ${this.end - at} there`);
    }
    this.at = at + length;
    return at;
  }

  u8(): number {
    if (this.at >= this.end) this.skip(1);
    return this.bytes[this.at++];
  }
  i8(): number {
    return (this.u8() << 24) >> 24;
  }
  u16(): number {
    return this.view.getUint16(this.skip(2), true);
  }
  i16(): number {
    return this.view.getInt16(this.skip(2), true);
  }
  u24(): number {
    const at = this.skip(3);
    return this.bytes[at] | (this.bytes[at + 1] << 8) | (this.bytes[at + 2] << 16);
  }
  u32(): number {
    return this.view.getUint32(this.skip(4), true);
  }
  i32(): number {
    return this.view.getInt32(this.skip(4), true);
  }
  u64(): bigint {
    return this.view.getBigUint64(this.skip(8), true);
  }
  i64(): bigint {
    return this.view.getBigInt64(this.skip(8), true);
  }
  /** A 64-bit number that must be small enough for offsets and lengths. */
  u64Number(): number {
    const at = this.at;
    const value = Number(this.u64());
    if (!Number.isSafeInteger(value)) this.fail(`0x${value.toString(16)} is too big for an offset or a length`, at);
    return value;
  }
  /** An offset of 4 or 8 bytes. */
  offsetOf(size: 4 | 8): number {
    return size === 4 ? this.u32() : this.u64Number();
  }
  /** An unsigned number of 1, 2, 4 or 8 bytes. */
  unsigned(size: number): bigint {
    switch (size) {
      case 1:
        return BigInt(this.u8());
      case 2:
        return BigInt(this.u16());
      case 4:
        return BigInt(this.u32());
      case 8:
        return this.u64();
      default:
        return this.fail(`a number of ${size} bytes; 1, 2, 4 or 8 are possible`);
    }
  }
  uleb(): number {
    let byte = this.u8();
    if (byte < 0x80) return byte;
    const start = this.at - 1;
    let result = byte & 0x7f;
    let scale = 128;
    do {
      byte = this.u8();
      if (byte & 0x7f) result += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte & 0x80);
    if (!(result <= Number.MAX_SAFE_INTEGER)) this.fail('a LEB128 number that is too big', start);
    return result;
  }
  /** A LEB128 number modulo 2^64. */
  ulebBig(): bigint {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      if (shift < 64n) result |= BigInt(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return BigInt.asUintN(64, result);
    }
  }
  slebBig(): bigint {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      if (shift < 64n) result |= BigInt(byte & 0x7f) << shift;
      if (byte & 0x80) continue;
      if (byte & 0x40 && shift < 57n) result -= 1n << (shift + 7n);
      return BigInt.asIntN(64, result);
    }
  }
  sleb(): number {
    const at = this.at;
    const value = Number(this.slebBig());
    if (!Number.isSafeInteger(value)) this.fail('a LEB128 number that is too big', at);
    return value;
  }
  block(length: number): Uint8Array {
    const at = this.skip(length);
    return this.bytes.subarray(at, at + length);
  }
  /** The next bytes, with where they are. */
  span(length: number): Span {
    const { file, section, offset } = this;
    return { file, section, offset, bytes: this.block(length) };
  }
  static on({ file, section, bytes, offset }: Span): Cursor {
    return new Cursor(file, section, bytes, offset);
  }
  /** A string that ends with a zero byte, which is passed over. */
  string(): string {
    const zero = this.bytes.indexOf(0, this.at);
    if (zero < 0 || zero >= this.end) this.fail('a string without its end');
    const text = decodeText(this.bytes, this.at, zero);
    this.at = zero + 1;
    return text;
  }
  /** The initial length of a DWARF contribution (7.4): its bytes, and the size of offsets in it. */
  initialLength(): { length: number; offsetSize: 4 | 8 } {
    const at = this.at;
    const first = this.u32();
    if (first < 0xfffffff0) return { length: this.#within(first, at), offsetSize: 4 };
    if (first !== 0xffffffff) this.fail(`0x${first.toString(16)} as a length is reserved`, at);
    return { length: this.#within(this.u64Number(), at), offsetSize: 8 };
  }
  #within(length: number, at: number): number {
    if (length > this.remaining) this.fail(`a length of ${length} bytes, ${this.remaining} are there`, at);
    return length;
  }
}

/** UTF-8 text; short ASCII, which nearly all of it is, without the decoder's overhead. */
export function decodeText(bytes: Uint8Array, from: number, to: number): string {
  if (to - from > 64) return decoder.decode(bytes.subarray(from, to));
  let text = '';
  for (let i = from; i < to; i++) {
    if (bytes[i] >= 0x80) return decoder.decode(bytes.subarray(from, to));
    text += String.fromCharCode(bytes[i]);
  }
  return text;
}
