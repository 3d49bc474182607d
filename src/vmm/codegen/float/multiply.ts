/** Multiplication (IEEE 754, section 5.4.1). */
import { type Expr, i64, type Local } from '../expr.ts';
import type { Fn } from '../fn.ts';
import type { Func, ModuleBuilder } from '../module.ts';
import { returnHostResult } from './exact.ts';
import { type Core, type Unpacked, unpack } from './round.ts';

export function defineMultiply(m: ModuleBuilder, core: Core): Func {
  const { format } = core;
  const { host, bits } = format;
  return m.define(`${host}.mul`, ['i32', bits, bits, 'i32'], bits, (f, flags, a, b, rm) => {
    returnHostResult(f, format, 'mul', flags, a, b, rm);
    f.if(format.isOrdinary(a).and(format.isOrdinary(b)), () => {
      const x = unpack(f, format, a);
      const y = unpack(f, format, b);
      const { high, low, sign, exponent } = product(f, x, y, bits === 'i64');
      if (low) f.set(high, high.or(low.ne(0n).extU()));
      const zeros = f.let(high.clz());
      f.return(core.round.call(flags, sign, exponent.sub(zeros.wrap()), high.shl(zeros), rm));
    });
    f.if(format.isNaN(a).or(format.isNaN(b)), () => f.return(core.nan.call(flags, a, b)));
    const sign = f.let(format.signOf(a.xor(b)));
    const zero = f.let(format.isZero(a).or(format.isZero(b)));
    f.if(format.isInfinite(a).or(format.isInfinite(b)), () => {
      f.if(zero, () => f.return(core.invalid.call(flags)));
      f.return(format.signed(sign, format.infinity));
    });
    f.return(format.signed(sign, 0));
  });
}

/** An exact product: `high * 2^64 + low`, where bit 127 stands for 2^exponent and bit 127 or bit 126 is the leading one. */
export interface Product {
  readonly sign: Local;
  readonly exponent: Local;
  readonly high: Local;
  /** Absent where it is always zero. */
  readonly low: Local | null;
}

/** Multiplies significands exactly. Where they fit in 32 bits each (not `wide`), the product fits in 64. */
export function product(f: Fn, x: Unpacked, y: Unpacked, wide: boolean): Product {
  const sign = f.let(x.sign.xor(y.sign));
  const exponent = f.let(x.exponent.add(y.exponent).add(1));
  if (!wide) {
    return { sign, exponent, high: f.let(x.significand.shrU(32).mul(y.significand.shrU(32))), low: null };
  }
  const [xHigh, xLow] = halves(f, x.significand);
  const [yHigh, yLow] = halves(f, y.significand);
  // Neither sum reaches 2^64: (2^32 - 1)^2 + (2^32 - 1) = 2^64 - 2^32.
  const middle = f.let(xHigh.mul(yLow).add(xLow.mul(yLow).shrU(32)));
  const middle2 = f.let(xLow.mul(yHigh).add(lowHalf(middle)));
  const high = f.let(xHigh.mul(yHigh).add(middle.shrU(32)).add(middle2.shrU(32)));
  return { sign, exponent, high, low: f.let(x.significand.mul(y.significand)) };
}

function halves(f: Fn, value: Expr): [high: Local, low: Local] {
  return [f.let(value.shrU(32)), f.let(lowHalf(value))];
}

function lowHalf(value: Expr): Expr {
  return value.and(i64(0xffffffffn));
}
