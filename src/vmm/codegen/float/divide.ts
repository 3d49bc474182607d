/** Division and square root (IEEE 754, section 5.4.1): an estimate by the host, made exact by its integer remainder. */
import { type Expr, f64, type Local } from '../expr.ts';
import type { Func, ModuleBuilder } from '../module.ts';
import { returnHostResult } from './exact.ts';
import { Flag, raise } from './format.ts';
import { type Core, unpack } from './round.ts';

/** Significands are used as 53-bit integers here, exact in an f64 of the host; f32 ones just end in zeros. */
const SPARE = 11;

export function defineDivide(m: ModuleBuilder, core: Core): Func {
  const { format } = core;
  const { host, bits } = format;
  return m.define(`${host}.div`, ['i32', bits, bits, 'i32'], bits, (f, flags, a, b, rm) => {
    returnHostResult(f, format, 'div', flags, a, b, rm);
    const sign = f.let(format.signOf(a.xor(b)));
    f.if(format.isOrdinary(a).and(format.isOrdinary(b)), () => {
      const x = unpack(f, format, a);
      const y = unpack(f, format, b);
      const dividend = f.let(x.significand.shrU(SPARE));
      const divisor = f.let(y.significand.shrU(SPARE));
      const exponent = f.let(x.exponent.sub(y.exponent));
      f.if(dividend.ltU(divisor), () => {
        f.set(dividend, dividend.shl(1));
        f.set(exponent, exponent.sub(1));
      });
      // The quotient is in [1, 2), where an f64 is a multiple of 2^-52: the host's is that of the integers
      // dividend * 2^52 and divisor, off by a half at most. So the remainder is small, and right modulo 2^64.
      const estimate = dividend.toFloatS('f64').div(divisor.toFloatS('f64'));
      const quotient = f.let(estimate.mul(f64(2 ** 52)).truncSatS('i64'));
      const remainder = f.let(dividend.shl(52).sub(quotient.mul(divisor)));
      f.if(remainder.ltS(0n), () => {
        f.set(quotient, quotient.sub(1n));
        f.set(remainder, remainder.add(divisor));
      });
      // One more bit of the quotient, then whether anything is left.
      f.set(remainder, remainder.shl(1));
      const more = remainder.geU(divisor);
      const left = remainder.ne(0n).and(remainder.ne(divisor));
      f.return(core.round.call(flags, sign, exponent, extended(quotient, more, left), rm));
    });
    f.if(format.isNaN(a).or(format.isNaN(b)), () => f.return(core.nan.call(flags, a, b)));
    f.if(format.isInfinite(a), () => {
      f.if(format.isInfinite(b), () => f.return(core.invalid.call(flags)));
      f.return(format.signed(sign, format.infinity));
    });
    f.if(format.isZero(b), () => {
      f.if(format.isZero(a), () => f.return(core.invalid.call(flags)));
      raise(f, flags, Flag.DZ);
      f.return(format.signed(sign, format.infinity));
    });
    f.return(format.signed(sign, 0));
  });
}

export function defineSquareRoot(m: ModuleBuilder, core: Core): Func {
  const { format } = core;
  const { host, bits } = format;
  return m.define(`${host}.sqrt`, ['i32', bits, 'i32'], bits, (f, flags, a, rm) => {
    returnHostResult(f, format, 'sqrt', flags, a, a, rm);
    f.if(format.isNaN(a), () => f.return(core.nan.call(flags, a, a)));
    // sqrt(-0) is -0.
    f.if(format.isZero(a), () => f.return(a));
    f.if(format.signOf(a), () => f.return(core.invalid.call(flags)));
    f.if(format.isInfinite(a), () => f.return(a));
    const x = unpack(f, format, a);
    // An even exponent halves exactly; the odd one's spare factor of 2 goes into the significand.
    const radicand = f.let(x.significand.shrU(SPARE).shl(x.exponent.and(1).extU()));
    // radicand * 2^52 is in [2^104, 2^106), so that its root is in [2^52, 2^53), where an f64 is an integer: the host's root
    // is off by a half at most. So the remainder is small, and right modulo 2^64.
    const root = f.let(
      radicand
        .toFloatS('f64')
        .mul(f64(2 ** 52))
        .sqrt()
        .truncSatS('i64'),
    );
    const remainder = f.let(radicand.shl(52).sub(root.mul(root)));
    f.if(remainder.ltS(0n), () => {
      f.set(root, root.sub(1n));
      f.set(remainder, remainder.add(root.shl(1).add(1n)));
    });
    // (root + 1/2)^2 = root^2 + root + 1/4: the next bit is one when the remainder exceeds the root.
    const significand = extended(root, remainder.gtU(root), remainder.ne(0n));
    f.return(core.round.call(flags, 0, x.exponent.shrS(1), significand, rm));
  });
}

/** The significand of a 53-bit result, one more bit, and whether anything is left below. */
function extended(result: Local, more: Expr, left: Expr): Expr {
  return result
    .shl(SPARE)
    .or(more.extU().shl(SPARE - 1))
    .or(left.extU());
}
