/**
 * Binary interchange formats (IEEE 754-2019, section 3.4), with what is asked of their bit patterns. Values are integers:
 * an f32 is an i32, an f64 an i64. Where IEEE 754 leaves a choice, RISC-V's is taken (unprivileged specification,
 * chapters "F" and "D").
 */
import { coerce, type Expr, load, type Value } from '../expr.ts';
import type { Fn } from '../fn.ts';

/** Bits of the accrued exceptions, as in RISC-V's `fflags`. */
export const Flag = { NX: 1, UF: 2, OF: 4, DZ: 8, NV: 16 } as const;

/** Rounding modes, as in RISC-V's `frm`: to nearest (ties to even), to zero, down, up, to nearest (ties away). */
export const Rounding = { RNE: 0, RTZ: 1, RDN: 2, RUP: 3, RMM: 4 } as const;

export class Format {
  /** The host's type, and the name. */
  readonly host: 'f32' | 'f64';
  /** The type that holds the bit pattern. */
  readonly bits: 'i32' | 'i64';
  readonly width: number;
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /** The exponent field of infinities and NaNs. */
  readonly exponentMax: number;
  /** Bit patterns. */
  readonly sign: bigint;
  readonly infinity: bigint;
  readonly quiet: bigint;
  /** The one NaN that operations give (RISC-V, "NaN Generation and Propagation"). */
  readonly nan: bigint;
  readonly minNormal: bigint;

  constructor(host: 'f32' | 'f64', width: number, exponentBits: number) {
    this.host = host;
    this.bits = host === 'f32' ? 'i32' : 'i64';
    this.width = width;
    this.exponentBits = exponentBits;
    this.fractionBits = width - 1 - exponentBits;
    this.bias = 2 ** (exponentBits - 1) - 1;
    this.exponentMax = 2 ** exponentBits - 1;
    this.sign = 1n << BigInt(width - 1);
    this.minNormal = 1n << BigInt(this.fractionBits);
    this.infinity = BigInt(this.exponentMax) << BigInt(this.fractionBits);
    this.quiet = 1n << BigInt(this.fractionBits - 1);
    this.nan = this.infinity | this.quiet;
  }

  constant(bits: bigint): Expr {
    return coerce(bits, this.bits);
  }
  magnitude(a: Expr): Expr {
    return a.and(this.sign - 1n);
  }
  /** 1 where the sign bit is set, as an i32. */
  signOf(a: Expr): Expr {
    const sign = a.shrU(this.width - 1);
    return this.bits === 'i64' ? sign.wrap() : sign;
  }
  /** The exponent field, as an i32. */
  exponentOf(a: Expr): Expr {
    const field = a.shrU(this.fractionBits);
    return (this.bits === 'i64' ? field.wrap() : field).and(this.exponentMax);
  }
  isZero(a: Expr): Expr {
    return a.shl(1).eqz();
  }
  isInfinite(a: Expr): Expr {
    return this.magnitude(a).eq(this.infinity);
  }
  isNaN(a: Expr): Expr {
    return this.magnitude(a).gtU(this.infinity);
  }
  isSignalling(a: Expr): Expr {
    // Between infinity and the first quiet NaN, both excluded.
    return this.magnitude(a)
      .sub(this.infinity + 1n)
      .ltU(this.quiet - 1n);
  }
  /** Neither zero, nor infinite, nor NaN. */
  isOrdinary(a: Expr): Expr {
    return this.magnitude(a)
      .sub(1n)
      .ltU(this.infinity - 1n);
  }
  /** Zero or infinity (a bit pattern) with a sign (an i32, 0 or 1). */
  signed(sign: Expr, magnitude: Value): Expr {
    const wide = this.bits === 'i64' ? sign.extU() : sign;
    return wide.shl(this.width - 1).or(coerce(magnitude, this.bits));
  }
  /** The zero that an exact cancellation gives (IEEE 754, section 6.3): negative when rounding down, positive otherwise. */
  cancelled(rm: Expr): Expr {
    return this.signed(rm.eq(Rounding.RDN), 0);
  }
  /** As the float type of the host. */
  toHost(a: Expr): Expr {
    return a.reinterpret();
  }
}

export const F32 = new Format('f32', 32, 8);
export const F64 = new Format('f64', 64, 11);

/** Accrues exceptions: ORs them into the word at `flags`. */
export function raise(f: Fn, flags: Expr, exceptions: Value): void {
  f.store('i32', flags, 0, load('i32', flags).or(exceptions));
}
