/** Which of many address ranges contain an address. Ranges may overlap, as those of discarded and kept copies of a function do. */

export interface AddressRange {
  readonly low: bigint;
  /** The first address behind it. */
  readonly high: bigint;
}

export class RangeMap {
  /** Sorted by `lows`; `reach` is the highest end of this and all earlier ranges, which ends the search for overlapping ones. */
  readonly lows: BigUint64Array;
  readonly highs: BigUint64Array;
  readonly values: Uint32Array;
  readonly #reach: BigUint64Array;

  /** Takes over arrays that are sorted by `lows`. */
  constructor(lows: BigUint64Array, highs: BigUint64Array, values: Uint32Array) {
    this.lows = lows;
    this.highs = highs;
    this.values = values;
    this.#reach = new BigUint64Array(lows.length);
    let reach = 0n;
    for (let i = 0; i < highs.length; i++) {
      if (highs[i] > reach) reach = highs[i];
      this.#reach[i] = reach;
    }
  }

  static of(entries: readonly (AddressRange & { readonly value: number })[]): RangeMap {
    const sorted = entries
      .filter((e) => e.low < e.high)
      .sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : a.value - b.value));
    return new RangeMap(
      BigUint64Array.from(sorted, (e) => e.low),
      BigUint64Array.from(sorted, (e) => e.high),
      Uint32Array.from(sorted, (e) => e.value),
    );
  }

  get length(): number {
    return this.lows.length;
  }

  /** The values of all ranges around an address, the one that begins last first. */
  *find(address: bigint): Generator<number> {
    for (let i = this.last(address); i >= 0 && this.#reach[i] > address; i--) {
      if (this.highs[i] > address) yield this.values[i];
    }
  }

  /** Index of the last range that begins at or below an address; -1 if all begin above it. */
  last(address: bigint): number {
    let low = 0;
    let high = this.lows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.lows[middle] <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
