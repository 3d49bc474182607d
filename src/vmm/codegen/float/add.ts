/** Addition and subtraction (IEEE 754, section 5.4.1). */
import type { Expr } from '../expr.ts';
import type { Fn } from '../fn.ts';
import type { Func, ModuleBuilder } from '../module.ts';
import { returnHostResult } from './exact.ts';
import { type Core, shiftRightJam, type Unpacked, unpack } from './round.ts';

export function defineAdd(m: ModuleBuilder, core: Core): { add: Func; sub: Func } {
  const { format } = core;
  const { host, bits } = format;
  const complete = m.define(`${host}.addComplete`, ['i32', bits, bits, 'i32'], bits, (f, flags, a, b, rm) => {
    f.if(format.isOrdinary(a).and(format.isOrdinary(b)), () => {
      returnSum(f, core, flags, unpack(f, format, a), unpack(f, format, b), rm);
    });
    f.if(format.isNaN(a).or(format.isNaN(b)), () => f.return(core.nan.call(flags, a, b)));
    f.if(format.isInfinite(a), () => {
      // Infinities of opposite signs differ in the sign alone.
      f.if(a.xor(b).eq(format.constant(format.sign)), () => f.return(core.invalid.call(flags)));
      f.return(a);
    });
    f.if(format.isInfinite(b), () => f.return(b));
    f.if(format.isZero(a).and(format.isZero(b)), () => {
      f.if(a.eq(b), () => f.return(a));
      f.return(format.cancelled(rm));
    });
    f.return(format.isZero(a).select(b, a));
  });
  return {
    add: m.define(`${host}.add`, ['i32', bits, bits, 'i32'], bits, (f, flags, a, b, rm) => {
      returnHostResult(f, format, 'add', flags, a, b, rm);
      f.return(complete.call(flags, a, b, rm));
    }),
    sub: m.define(`${host}.sub`, ['i32', bits, bits, 'i32'], bits, (f, flags, a, b, rm) => {
      returnHostResult(f, format, 'sub', flags, a, b, rm);
      // A NaN stays one, signalling or not, when its sign is turned.
      f.return(complete.call(flags, a, b.xor(format.sign), rm));
    }),
  };
}

/**
 * Adds unpacked numbers. The bits below each significand's lowest must be few enough for a jammed bit to be harmless:
 * where any is lost in aligning, the exponents differ by two or more, and the difference keeps all but one leading bit.
 */
export function returnSum(f: Fn, core: Core, flags: Expr, x: Unpacked, y: Unpacked, rm: Expr): void {
  // The larger first, so that the difference is not negative and its sign is known.
  const larger = y.significand.gtU(x.significand).and(y.exponent.eq(x.exponent));
  f.if(y.exponent.gtS(x.exponent).or(larger), () => {
    for (const part of ['sign', 'exponent', 'significand'] as const) {
      const held = f.let(x[part]);
      f.set(x[part], y[part]);
      f.set(y[part], held);
    }
  });
  // One place to the right: room for the carry.
  const aligned = f.let(y.significand.shrU(1));
  f.set(aligned, shiftRightJam(f, aligned, f.let(x.exponent.sub(y.exponent))));
  const sum = f.let(x.significand.shrU(1));
  f.if(
    x.sign.eq(y.sign),
    () => f.set(sum, sum.add(aligned)),
    () => {
      f.set(sum, sum.sub(aligned));
      f.if(sum.eqz(), () => f.return(core.format.cancelled(rm)));
    },
  );
  const zeros = f.let(sum.clz());
  f.return(core.round.call(flags, x.sign, x.exponent.add(1).sub(zeros.wrap()), sum.shl(zeros), rm));
}
