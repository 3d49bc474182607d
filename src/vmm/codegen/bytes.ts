/** A growing byte buffer with the number encodings of the WebAssembly binary format (core specification, section 5.2). */
export class Bytes {
  #data: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.#data = new Uint8Array(capacity);
  }

  u8(value: number): void {
    if (this.length === this.#data.length) this.#grow(1);
    this.#data[this.length++] = value;
  }

  /** Unsigned LEB128 of a 32-bit value. */
  u32(value: number): void {
    let v = value >>> 0;
    while (v > 127) {
      this.u8((v & 127) | 128);
      v >>>= 7;
    }
    this.u8(v);
  }

  /** Signed LEB128 of a 32-bit value. */
  s32(value: number): void {
    let v = value | 0;
    for (;;) {
      const low = v & 127;
      v >>= 7;
      const last = (v === 0 && low < 64) || (v === -1 && low >= 64);
      this.u8(last ? low : low | 128);
      if (last) return;
    }
  }

  /** Signed LEB128 of a 64-bit value. */
  s64(value: bigint): void {
    let v = BigInt.asIntN(64, value);
    if (v >= -0x40000000n && v <= 0x3fffffffn) {
      this.s32(Number(v));
      return;
    }
    for (;;) {
      const low = Number(v & 127n);
      v >>= 7n;
      const last = (v === 0n && low < 64) || (v === -1n && low >= 64);
      this.u8(last ? low : low | 128);
      if (last) return;
    }
  }

  /** `bits` in little-endian order, `size` bytes of them. */
  fixed(bits: bigint, size: number): void {
    for (let i = 0; i < size; i++) this.u8(Number((bits >> BigInt(8 * i)) & 255n));
  }

  raw(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.#data.length) this.#grow(bytes.length);
    this.#data.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Length first, then the bytes: a vector or section. */
  sized(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  text(value: string): void {
    this.sized(new TextEncoder().encode(value));
  }

  view(): Uint8Array {
    return this.#data.subarray(0, this.length);
  }

  #grow(extra: number): void {
    const grown = new Uint8Array(Math.max(this.#data.length * 2, this.length + extra));
    grown.set(this.view());
    this.#data = grown;
  }
}
