/**
 * Unpacked numbers, and the one place that rounds. A finite number other than zero is
 *
 *     (-1)^sign * significand / 2^63 * 2^exponent
 *
 * with bit 63 of the significand set: both formats fit, with at least ten bits below the last one that is kept. What a
 * step cannot hold below bit 0 is "jammed": bit 0 is set when any lost bit was, which is all that rounding needs to know.
 */
import { coerce, type Expr, i32, i64, type Local } from '../expr.ts';
import type { Fn } from '../fn.ts';
import type { Func, ModuleBuilder } from '../module.ts';
import { Flag, type Format, Rounding, raise } from './format.ts';

export interface Unpacked {
  /** An i32, 0 or 1. */
  readonly sign: Local;
  /** An i32, without bias. */
  readonly exponent: Local;
  /** An i64. */
  readonly significand: Local;
}

/** What every operation of a format is built from. */
export interface Core {
  readonly format: Format;
  /** (flags, sign, exponent, significand, rm): the bits of an unpacked number. */
  readonly round: Func;
  /** (flags, a, b): the result of an operation on operands of which one is NaN. */
  readonly nan: Func;
  /** (flags): the result of an invalid operation. */
  readonly invalid: Func;
}

export function defineCore(m: ModuleBuilder, format: Format): Core {
  return {
    format,
    round: defineRound(m, format),
    nan: m.define(`${format.host}.nan`, ['i32', format.bits, format.bits], format.bits, (f, flags, a, b) => {
      f.if(format.isSignalling(a).or(format.isSignalling(b)), () => raise(f, flags, Flag.NV));
      f.return(format.constant(format.nan));
    }),
    invalid: m.define(`${format.host}.invalid`, ['i32'], format.bits, (f, flags) => {
      raise(f, flags, Flag.NV);
      f.return(format.constant(format.nan));
    }),
  };
}

/** Unpacks a finite number. Zero gives a significand of zero, and an exponent below that of any other number. */
export function unpack(f: Fn, format: Format, a: Expr): Unpacked {
  const sign = f.let(format.signOf(a));
  const exponent = f.let(format.exponentOf(a));
  const wide = format.bits === 'i64' ? a : a.extU().shl(32);
  const significand = f.let(wide.shl(1 + format.exponentBits));
  f.if(
    exponent,
    () => {
      f.set(significand, significand.shrU(1).or(1n << 63n));
      f.set(exponent, exponent.sub(format.bias));
    },
    () => {
      // Subnormal: fraction * 2^(1 - bias), normalised.
      f.set(exponent, i32(-format.bias).sub(significand.clz().wrap()));
      f.set(significand, significand.shl(significand.clz()));
    },
  );
  return { sign, exponent, significand };
}

/** `value >> count` with the lost bits jammed; `count` (an i32, not negative) may be any size. Bit 63 of `value` or less. */
export function shiftRightJam(f: Fn, value: Expr, count: Expr): Expr {
  // After 63 places nothing but the jammed bit can be left, so that larger counts need not be told apart.
  const places = f.let(f.let(count).gtU(63).select(i32(63), count).extU());
  return value.shrU(places).or(value.shrU(places).shl(places).ne(value).extU());
}

/** IEEE 754, sections 4.3 (rounding) and 7.4 to 7.6 (overflow, underflow, inexact). */
function defineRound(m: ModuleBuilder, format: Format): Func {
  const { fractionBits, bias } = format;
  const dropped = 63 - fractionBits;
  const half = 1n << BigInt(dropped - 1);
  const rest = (1n << BigInt(dropped)) - 1n;
  return m.define(
    `${format.host}.round`,
    ['i32', 'i32', 'i32', 'i64', 'i32'],
    format.bits,
    (f, flags, sign, exponent, significand, rm) => {
      // What is added to the dropped bits, so that their carry rounds. RUP rounds away from zero for positive numbers and
      // RDN for negative ones: mode 3 - sign. RNE and RMM are 0 and 4.
      const toNearest = rm.and(3).eqz();
      const away = rm.eq(i32(Rounding.RUP).sub(sign));
      const increment = f.let(toNearest.select(i64(half), away.select(i64(rest), 0n)));
      const biased = f.let(exponent.add(bias));
      const underflow = f.local('i32');
      f.set(underflow, 0);
      f.if(biased.leS(0), () => {
        // Tiny when the result, rounded as if the exponent had no bound, is below 2^emin (RISC-V detects tininess after
        // rounding). Just below it is not, if rounding carries out of the significand.
        const carries = significand.add(increment).ltU(significand);
        f.set(underflow, biased.eqz().and(carries).select(i32(0), Flag.UF));
        f.set(significand, shiftRightJam(f, significand, i32(1).sub(biased)));
        f.set(biased, 1);
      });
      const lost = f.let(significand.and(rest));
      const kept = f.let(significand.shrU(dropped).add(lost.add(increment).shrU(dropped)));
      // A tie has been rounded up; to even means clearing the last bit again.
      const tie = lost.eq(half).and(rm.eqz());
      f.set(kept, kept.and(tie.extU().not()));
      // The leading bit, where there is one, adds one to the exponent field, as does a carry out of the significand.
      const packed = f.let(biased.sub(1).extS().shl(fractionBits).add(kept));
      f.if(biased.geS(format.exponentMax).or(packed.geU(i64(format.infinity))), () => {
        raise(f, flags, Flag.OF | Flag.NX);
        // Modes that round towards zero stop at the largest finite number.
        const largest = coerce(format.infinity - 1n, format.bits);
        f.return(format.signed(sign, increment.eqz().select(largest, format.infinity)));
      });
      f.if(lost.ne(0n), () => raise(f, flags, underflow.or(Flag.NX)));
      f.return(format.signed(sign, format.bits === 'i64' ? packed : packed.wrap()));
    },
  );
}
