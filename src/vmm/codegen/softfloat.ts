/**
 * Exact IEEE 754 arithmetic on bit patterns, as functions of a WebAssembly module.
 *
 * Every function but `classify` takes first the address of the accrued flags, an i32 word into which it ORs the exceptions
 * it raises; every function that can round takes a rounding mode last (`Rounding`). The bits and the flags depend
 * on the operands, the mode and nothing else: where the host's arithmetic is used, it is because it gives the same.
 */

import type { Expr, Value } from './expr.ts';
import { defineAdd } from './float/add.ts';
import { type Comparisons, defineCompare } from './float/compare.ts';
import { defineDemote, defineIntegerConversions, definePromote, type IntegerConversions } from './float/convert.ts';
import { defineDivide, defineSquareRoot } from './float/divide.ts';
import { defineFma } from './float/fma.ts';
import { F32, F64 } from './float/format.ts';
import { hostFuses } from './float/fused.ts';
import { defineMultiply } from './float/multiply.ts';
import { type Core, defineCore } from './float/round.ts';
import type { Func, ModuleBuilder } from './module.ts';

export { F32, F64, Flag, type Format, Rounding } from './float/format.ts';
export { hostFuses } from './float/fused.ts';
export { hostRounds } from './float/host.ts';
export { type HostRounding, inlineFloat } from './float/inline.ts';

/**
 * The operations of one format, on its bit patterns `a`, `b`, `c` (i32 for f32, i64 for f64).
 *
 * - `eq`, `lt`, `le` (flags, a, b) give an i32, 0 or 1; `minimum`, `maximum` (flags, a, b).
 * - `classify` (a) gives a mask of ten bits.
 * - `toI32`, `toU32`, `toI64`, `toU64` (flags, a, rm) give an i64, extended by sign from 32 bits.
 * - `fromI32`, `fromU32`, `fromI64`, `fromU64` (flags, integer, rm) take an i64, of which `fromI32` and `fromU32` use the low half.
 */
export interface FormatFns extends Comparisons, IntegerConversions {
  /** (flags, a, b, rm) */
  readonly add: Func;
  readonly sub: Func;
  readonly mul: Func;
  readonly div: Func;
  /** (flags, a, rm) */
  readonly sqrt: Func;
  /** (flags, a, b, c, rm): a * b + c. */
  readonly fma: Func;
}

/** What gives a result where it is called: a function, or code in line. */
export interface Operation {
  call(...args: Value[]): Expr;
}
type Operations<T> = { readonly [K in keyof T]: T[K] extends Func ? Operation : Operations<T[K]> };
/** The same as operations. */
export type FloatOperations = Operations<FloatFns>;

export interface FloatFns {
  readonly f32: FormatFns;
  readonly f64: FormatFns;
  /** (flags, f32): an f64. */
  readonly promote: Func;
  /** (flags, f64, rm): an f32. */
  readonly demote: Func;
  /** Whether the host's fused multiply-add is used. */
  readonly fused: boolean;
}

export function defineFloat(m: ModuleBuilder, fused = hostFuses()): FloatFns {
  const single = defineCore(m, F32);
  return {
    fused,
    f32: defineFormat(m, single, fused),
    f64: defineFormat(m, defineCore(m, F64), fused),
    promote: definePromote(m),
    demote: defineDemote(m, single),
  };
}

function defineFormat(m: ModuleBuilder, core: Core, fused: boolean): FormatFns {
  return {
    ...defineAdd(m, core),
    mul: defineMultiply(m, core),
    div: defineDivide(m, core),
    sqrt: defineSquareRoot(m, core),
    fma: defineFma(m, core, fused),
    ...defineCompare(m, core),
    ...defineIntegerConversions(m, core),
  };
}
