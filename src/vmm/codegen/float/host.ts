/**
 * The host's own arithmetic, where it gives the same bits and the same flags.
 *
 * WebAssembly rounds to nearest, ties to even, keeps subnormals, and reports no exceptions; only the bits of NaNs are
 * open (core specification, section 4.3.3). So the host will do when NX has already accrued, the mode is RNE, and the
 * result itself shows that nothing but NX can have been raised. A code generator may inline these tests and call the
 * complete operation when they fail.
 */
import { type Expr, type Local, load } from '../expr.ts';
import type { Fn } from '../fn.ts';
import type { Format } from './format.ts';

export type HostOperation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt';

/** Whether an inexact result would change no flag, and the host's rounding is the one asked for. */
export function hostRounds(flags: Expr, rm: Expr): Expr {
  // `eqz` gives 0 or 1, and NX is bit 0.
  return load('i32', flags).and(rm.eqz());
}

/** Whether a result (its bits) is normal and farther from underflow than any rounding can reach. */
export function safelyNormal(format: Format, bits: Expr): Expr {
  // 2^emin itself may be a tiny value rounded up, which raises UF or not: only larger results are safe.
  const low = (format.minNormal + 1n) << 1n;
  return bits
    .shl(1)
    .sub(low)
    .ltU((format.infinity << 1n) - low);
}

export interface HostResult {
  /** The host's result, as a float. */
  readonly value: Local;
  /** Whether it is right, given `hostRounds`. */
  readonly certain: Expr;
}

/** Computes with the host; `a` and `b` are bit patterns. */
export function hostResult(f: Fn, format: Format, operation: HostOperation, a: Expr, b: Expr): HostResult {
  const x = format.toHost(a);
  const y = format.toHost(b);
  const value = f.let(operation === 'sqrt' ? x.sqrt() : x[operation](y));
  const bits = value.reinterpret();
  switch (operation) {
    case 'add':
    case 'sub':
      // A subnormal sum is exact, so UF is impossible: any finite result will do.
      return { value, certain: bits.shl(1).ltU(format.infinity << 1n) };
    case 'sqrt':
      // The root of a positive number is normal. What is negative, zero or NaN is left to the complete operation.
      return { value, certain: a.sub(1n).ltU(format.infinity - 1n) };
    default:
      // An infinite or NaN operand, and a zero divisor, never give a normal result.
      return { value, certain: safelyNormal(format, bits) };
  }
}
