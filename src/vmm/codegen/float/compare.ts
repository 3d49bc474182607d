/** Comparisons, minimum, maximum and classification. The host's comparisons are exact and total over what is not NaN. */
import { type Expr, i32 } from '../expr.ts';
import type { Func, ModuleBuilder } from '../module.ts';
import { Flag, raise } from './format.ts';
import type { Core } from './round.ts';

export interface Comparisons {
  readonly eq: Func;
  readonly lt: Func;
  readonly le: Func;
  readonly minimum: Func;
  readonly maximum: Func;
  readonly classify: Func;
}

export function defineCompare(m: ModuleBuilder, core: Core): Comparisons {
  const { format } = core;
  const { host, bits } = format;

  // IEEE 754, section 5.11: quiet equality raises NV for signalling NaNs, the orders do for any NaN.
  const comparison = (name: 'eq' | 'lt' | 'le', offends: (a: Expr) => Expr) =>
    m.define(`${host}.${name}`, ['i32', bits, bits], 'i32', (f, flags, a, b) => {
      f.if(format.toHost(a)[name](format.toHost(b)), () => f.return(1));
      f.if(offends(a).or(offends(b)), () => raise(f, flags, Flag.NV));
      f.return(0);
    });

  // IEEE 754-2019, section 9.6: minimumNumber and maximumNumber. A NaN loses to a number, a signalling one raises NV. The
  // host orders -0 before +0, as that section allows and RISC-V demands.
  const extreme = (name: 'minimum' | 'maximum', operation: 'min' | 'max') =>
    m.define(`${host}.${name}`, ['i32', bits, bits], bits, (f, flags, a, b) => {
      const x = format.toHost(a);
      const y = format.toHost(b);
      f.if(format.isNaN(a).or(format.isNaN(b)), () => {
        const nan = f.let(core.nan.call(flags, a, b));
        f.if(format.isNaN(a).eqz(), () => f.return(a));
        f.if(format.isNaN(b).eqz(), () => f.return(b));
        f.return(nan);
      });
      f.return(x[operation](y).reinterpret());
    });

  return {
    eq: comparison('eq', (a) => format.isSignalling(a)),
    lt: comparison('lt', (a) => format.isNaN(a)),
    le: comparison('le', (a) => format.isNaN(a)),
    minimum: extreme('minimum', 'min'),
    maximum: extreme('maximum', 'max'),
    classify: defineClassify(m, core),
  };
}

/**
 * A mask with one bit set, numbered as by RISC-V's FCLASS: 0 -infinity, 1 negative normal, 2 negative subnormal, 3 -0, 4 +0,
 * 5 positive subnormal, 6 positive normal, 7 +infinity, 8 signalling NaN, 9 quiet NaN.
 */
function defineClassify(m: ModuleBuilder, { format }: Core): Func {
  return m.define(`${format.host}.classify`, [format.bits], 'i32', (f, a) => {
    const magnitude = f.let(format.magnitude(a));
    const classes = (condition: Expr, negative: number, positive: number) =>
      f.if(condition, () => f.return(format.signOf(a).select(i32(1 << negative), 1 << positive)));
    classes(magnitude.eqz(), 3, 4);
    classes(magnitude.ltU(format.minNormal), 2, 5);
    classes(magnitude.ltU(format.infinity), 1, 6);
    classes(magnitude.eq(format.infinity), 0, 7);
    f.return(format.isSignalling(a).select(i32(1 << 8), 1 << 9));
  });
}
