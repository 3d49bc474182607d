/**
 * IEEE 754 arithmetic as its standard defines it: the exact result as a fraction of big integers, rounded once. Slow, and
 * meant to be obviously right. The choices that the standard leaves open are RISC-V's.
 */

/** Result bits and raised exceptions (NX 1, UF 2, OF 4, DZ 8, NV 16). */
export interface Outcome {
  readonly bits: bigint;
  readonly flags: number;
}

export const NX = 1;
export const UF = 2;
export const OF = 4;
export const DZ = 8;
export const NV = 16;

export const MODES = { RNE: 0, RTZ: 1, RDN: 2, RUP: 3, RMM: 4 } as const;

/** An exact number: numerator / denominator, the latter positive. */
interface Fraction {
  readonly n: bigint;
  readonly d: bigint;
}

interface Decoded extends Fraction {
  readonly kind: 'number' | 'infinity' | 'nan';
  readonly negative: boolean;
  readonly signalling: boolean;
}

const size = (n: bigint): number => n.toString(2).length;
const absolute = (n: bigint): bigint => (n < 0n ? -n : n);

/** n / d * 2^-exponent, as a fraction. */
function scaled({ n, d }: Fraction, exponent: number): Fraction {
  return exponent >= 0 ? { n, d: d << BigInt(exponent) } : { n: n << BigInt(-exponent), d };
}

/** Rounds a magnitude to a whole number. */
function wholePart({ n, d }: Fraction, negative: boolean, rm: number): { whole: bigint; exact: boolean } {
  const below = n / d;
  const rest = n % d;
  if (rest === 0n) return { whole: below, exact: true };
  const toHalf = 2n * rest - d;
  const up = [
    toHalf > 0n || (toHalf === 0n && (below & 1n) === 1n), // RNE
    false, // RTZ
    negative, // RDN
    !negative, // RUP
    toHalf >= 0n, // RMM
  ][rm];
  return { whole: up ? below + 1n : below, exact: false };
}

export class Reference {
  readonly width: number;
  readonly fractionBits: number;
  readonly bias: number;
  readonly infinity: bigint;
  readonly nan: bigint;
  readonly sign: bigint;

  constructor(width: number, exponentBits: number) {
    this.width = width;
    this.fractionBits = width - 1 - exponentBits;
    this.bias = 2 ** (exponentBits - 1) - 1;
    this.sign = 1n << BigInt(width - 1);
    this.infinity = BigInt(2 ** exponentBits - 1) << BigInt(this.fractionBits);
    this.nan = this.infinity | (1n << BigInt(this.fractionBits - 1));
  }

  decode(bits: bigint): Decoded {
    const negative = (bits & this.sign) !== 0n;
    const magnitude = bits & (this.sign - 1n);
    if (magnitude > this.infinity) {
      return { kind: 'nan', negative, signalling: (bits & this.nan) !== this.nan, n: 0n, d: 1n };
    }
    if (magnitude === this.infinity) return { kind: 'infinity', negative, signalling: false, n: 0n, d: 1n };
    const field = Number(magnitude >> BigInt(this.fractionBits));
    const fraction = magnitude & ((1n << BigInt(this.fractionBits)) - 1n);
    const integer = field === 0 ? fraction : fraction | (1n << BigInt(this.fractionBits));
    const exponent = Math.max(field, 1) - this.bias - this.fractionBits;
    return {
      kind: 'number',
      negative,
      signalling: false,
      ...scaled({ n: negative ? -integer : integer, d: 1n }, -exponent),
    };
  }

  /** Rounds a number other than zero (section 4.3), and says what that raises (section 7). */
  round(exact: Fraction, rm: number): Outcome {
    const negative = exact.n < 0n;
    const value = { n: absolute(exact.n), d: exact.d };
    const sign = negative ? this.sign : 0n;
    // 2^exponent <= value < 2^(exponent + 1)
    let exponent = size(value.n) - size(value.d);
    if (scaled(value, exponent).n < scaled(value, exponent).d) exponent--;
    const least = 1 - this.bias;
    // As if the exponent were unbounded, to tell whether the result is tiny.
    const free = wholePart(scaled(value, exponent - this.fractionBits), negative, rm).whole;
    const tiny = exponent < least && !(exponent === least - 1 && free === 1n << BigInt(this.fractionBits + 1));
    let unit = Math.max(exponent, least) - this.fractionBits;
    let { whole, exact: isExact } = wholePart(scaled(value, unit), negative, rm);
    if (whole === 1n << BigInt(this.fractionBits + 1)) {
      whole >>= 1n;
      unit++;
    }
    if (unit + this.fractionBits > this.bias) {
      const stays = rm === MODES.RTZ || (rm === MODES.RDN && !negative) || (rm === MODES.RUP && negative);
      return { bits: sign | (stays ? this.infinity - 1n : this.infinity), flags: OF | NX };
    }
    const flags = isExact ? 0 : tiny ? UF | NX : NX;
    const hidden = 1n << BigInt(this.fractionBits);
    if (whole < hidden) return { bits: sign | whole, flags };
    const field = BigInt(unit + this.fractionBits + this.bias);
    return { bits: sign | (field << BigInt(this.fractionBits)) | (whole - hidden), flags };
  }

  /** Rounds a sum or product; `zero` is the sign that an exact zero has. */
  #result(exact: Fraction, zeroNegative: boolean, rm: number): Outcome {
    return exact.n === 0n ? { bits: zeroNegative ? this.sign : 0n, flags: 0 } : this.round(exact, rm);
  }

  #nan(...operands: Decoded[]): Outcome {
    return { bits: this.nan, flags: operands.some((x) => x.signalling) ? NV : 0 };
  }
  #infinity(negative: boolean): Outcome {
    return { bits: (negative ? this.sign : 0n) | this.infinity, flags: 0 };
  }
  get #invalid(): Outcome {
    return { bits: this.nan, flags: NV };
  }

  add(a: bigint, b: bigint, rm: number): Outcome {
    const [x, y] = [this.decode(a), this.decode(b)];
    if (x.kind === 'nan' || y.kind === 'nan') return this.#nan(x, y);
    if (x.kind === 'infinity' && y.kind === 'infinity' && x.negative !== y.negative) return this.#invalid;
    if (x.kind === 'infinity') return this.#infinity(x.negative);
    if (y.kind === 'infinity') return this.#infinity(y.negative);
    // Section 6.3: zeros of one sign keep it; otherwise an exact zero is negative only when rounding down.
    const sameZeros = x.n === 0n && y.n === 0n && x.negative === y.negative;
    const zero = sameZeros ? x.negative : rm === MODES.RDN;
    return this.#result({ n: x.n * y.d + y.n * x.d, d: x.d * y.d }, zero, rm);
  }

  sub(a: bigint, b: bigint, rm: number): Outcome {
    return this.add(a, b ^ this.sign, rm);
  }

  mul(a: bigint, b: bigint, rm: number): Outcome {
    const [x, y] = [this.decode(a), this.decode(b)];
    const negative = x.negative !== y.negative;
    if (x.kind === 'nan' || y.kind === 'nan') return this.#nan(x, y);
    if (x.kind === 'infinity' || y.kind === 'infinity') {
      const other = x.kind === 'infinity' ? y : x;
      return other.kind === 'number' && other.n === 0n ? this.#invalid : this.#infinity(negative);
    }
    return this.#result({ n: x.n * y.n, d: x.d * y.d }, negative, rm);
  }

  div(a: bigint, b: bigint, rm: number): Outcome {
    const [x, y] = [this.decode(a), this.decode(b)];
    const negative = x.negative !== y.negative;
    if (x.kind === 'nan' || y.kind === 'nan') return this.#nan(x, y);
    if (x.kind === 'infinity') return y.kind === 'infinity' ? this.#invalid : this.#infinity(negative);
    if (y.kind === 'infinity') return { bits: negative ? this.sign : 0n, flags: 0 };
    if (y.n === 0n) return x.n === 0n ? this.#invalid : { ...this.#infinity(negative), flags: DZ };
    const n = x.n * y.d;
    const d = x.d * y.n;
    return this.#result(d < 0n ? { n: -n, d: -d } : { n, d }, negative, rm);
  }

  sqrt(a: bigint, rm: number): Outcome {
    const x = this.decode(a);
    if (x.kind === 'nan') return this.#nan(x);
    if (x.kind === 'number' && x.n === 0n) return { bits: a, flags: 0 };
    if (x.negative) return this.#invalid;
    if (x.kind === 'infinity') return this.#infinity(false);
    // The root of n / d is that of n d, over d. With many more bits than any format has, an irrational root may be
    // replaced by any other number between the same two integers.
    const extra = 200n;
    const radicand = (x.n * x.d) << (2n * extra);
    const root = integerRoot(radicand);
    const d = x.d << extra;
    return this.round(root * root === radicand ? { n: root, d } : { n: 2n * root + 1n, d: 2n * d }, rm);
  }

  fma(a: bigint, b: bigint, c: bigint, rm: number): Outcome {
    const [x, y, z] = [this.decode(a), this.decode(b), this.decode(c)];
    const negative = x.negative !== y.negative;
    const isZero = (v: Decoded) => v.kind === 'number' && v.n === 0n;
    // RISC-V: infinity times zero is invalid whatever is added.
    if ((x.kind === 'infinity' && isZero(y)) || (isZero(x) && y.kind === 'infinity')) return this.#invalid;
    if (x.kind === 'nan' || y.kind === 'nan' || z.kind === 'nan') return this.#nan(x, y, z);
    if (x.kind === 'infinity' || y.kind === 'infinity') {
      return z.kind === 'infinity' && z.negative !== negative ? this.#invalid : this.#infinity(negative);
    }
    if (z.kind === 'infinity') return this.#infinity(z.negative);
    const product = { n: x.n * y.n, d: x.d * y.d };
    const sameZeros = product.n === 0n && z.n === 0n && z.negative === negative;
    const zero = sameZeros ? negative : rm === MODES.RDN;
    return this.#result({ n: product.n * z.d + z.n * product.d, d: product.d * z.d }, zero, rm);
  }

  /** A truth value in `bits`. */
  compare(a: bigint, b: bigint, relation: 'eq' | 'lt' | 'le'): Outcome {
    const [x, y] = [this.decode(a), this.decode(b)];
    if (x.kind === 'nan' || y.kind === 'nan') {
      return { bits: 0n, flags: relation !== 'eq' || x.signalling || y.signalling ? NV : 0 };
    }
    const difference = this.#order(x) * y.d - this.#order(y) * x.d;
    const holds = { eq: difference === 0n, lt: difference < 0n, le: difference <= 0n }[relation];
    return { bits: holds ? 1n : 0n, flags: 0 };
  }
  eq(a: bigint, b: bigint): Outcome {
    return this.compare(a, b, 'eq');
  }
  lt(a: bigint, b: bigint): Outcome {
    return this.compare(a, b, 'lt');
  }
  le(a: bigint, b: bigint): Outcome {
    return this.compare(a, b, 'le');
  }
  /** The numerator, or one beyond those of all numbers. */
  #order(x: Decoded): bigint {
    if (x.kind === 'number') return x.n;
    return (x.negative ? -1n : 1n) << BigInt(2 * this.bias);
  }

  minimum(a: bigint, b: bigint): Outcome {
    return this.#extreme(a, b, (aIsLess) => (aIsLess ? a : b));
  }
  maximum(a: bigint, b: bigint): Outcome {
    return this.#extreme(a, b, (aIsLess) => (aIsLess ? b : a));
  }
  #extreme(a: bigint, b: bigint, choose: (aIsLess: boolean) => bigint): Outcome {
    const [x, y] = [this.decode(a), this.decode(b)];
    const flags = x.signalling || y.signalling ? NV : 0;
    if (x.kind === 'nan') return { bits: y.kind === 'nan' ? this.nan : b, flags };
    if (y.kind === 'nan') return { bits: a, flags };
    // -0 counts as less than +0.
    const less = this.lt(a, b).bits === 1n || (this.eq(a, b).bits === 1n && x.negative && !y.negative);
    return { bits: choose(less), flags };
  }

  /** The number of the class as RISC-V's FCLASS counts, as a mask. */
  classify(a: bigint): Outcome {
    const x = this.decode(a);
    const magnitude = a & (this.sign - 1n);
    let index: number;
    if (x.kind === 'nan') index = x.signalling ? 8 : 9;
    else if (x.kind === 'infinity') index = x.negative ? 0 : 7;
    else if (magnitude === 0n) index = x.negative ? 3 : 4;
    else if (magnitude < 1n << BigInt(this.fractionBits)) index = x.negative ? 2 : 5;
    else index = x.negative ? 1 : 6;
    return { bits: 1n << BigInt(index), flags: 0 };
  }

  /** To an integer of `width` bits, extended by sign to 64. */
  toInteger(a: bigint, rm: number, width: 32 | 64, signed: boolean): Outcome {
    const x = this.decode(a);
    const least = signed ? -(1n << BigInt(width - 1)) : 0n;
    const most = (1n << BigInt(signed ? width - 1 : width)) - 1n;
    const result = (value: bigint, flags: number) => ({ bits: BigInt.asUintN(64, BigInt.asIntN(width, value)), flags });
    if (x.kind !== 'number') return result(x.kind === 'infinity' && x.negative ? least : most, NV);
    const { whole, exact } = wholePart({ n: absolute(x.n), d: x.d }, x.negative, rm);
    const value = x.negative ? -whole : whole;
    if (value < least) return result(least, NV);
    if (value > most) return result(most, NV);
    return result(value, exact ? 0 : NX);
  }

  /** From an integer of `width` bits, of which higher bits are ignored. */
  fromInteger(value: bigint, rm: number, width: 32 | 64, signed: boolean): Outcome {
    const integer = signed ? BigInt.asIntN(width, value) : BigInt.asUintN(width, value);
    return this.#result({ n: integer, d: 1n }, false, rm);
  }

  /** From another format. */
  convert(a: bigint, from: Reference, rm: number): Outcome {
    const x = from.decode(a);
    if (x.kind === 'nan') return this.#nan(x);
    if (x.kind === 'infinity') return this.#infinity(x.negative);
    return this.#result(x, x.negative, rm);
  }
}

/** The largest integer whose square is not above `n` (Newton's method from above). */
function integerRoot(n: bigint): bigint {
  let root = 1n << BigInt((size(n) >> 1) + 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

export const REFERENCE = { f32: new Reference(32, 8), f64: new Reference(64, 11) } as const;
