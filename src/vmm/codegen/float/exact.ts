/**
 * Results that need no rounding. They raise no exception and are the same in every rounding mode, so that the host's arithmetic will do for
 * them before NX has accrued, too: whole numbers never make it accrue, and some programs know no others.
 */
import type { Expr, Local } from '../expr.ts';
import type { Fn } from '../fn.ts';
import { F64, type Format } from './format.ts';
import { type HostOperation, type HostResult, hostResult, hostRounds, safelyNormal } from './host.ts';

/** A rounded result, and what was lost: the two together are exact. */
export interface Parts {
  readonly head: Local;
  readonly tail: Local;
}

/** A sum of two numbers of the host (Knuth, TAOCP 2, 4.2.2). The tail is NaN where the head is not finite. */
export function exactSum(f: Fn, a: Local, b: Local): Parts {
  const head = f.let(a.add(b));
  const added = f.let(head.sub(a));
  return { head, tail: f.let(a.sub(head.sub(added)).add(b.sub(added))) };
}

/** A product of two f64 (their bits), where both are `moderate` (Dekker 1971). */
export function exactProduct(f: Fn, a: Expr, b: Expr): Parts {
  const [x, xHigh, xLow] = split(f, a);
  const [y, yHigh, yLow] = split(f, b);
  const head = f.let(x.mul(y));
  return {
    head,
    tail: f.let(xHigh.mul(yHigh).sub(head).add(xHigh.mul(yLow)).add(xLow.mul(yHigh)).add(xLow.mul(yLow))),
  };
}

/** An f64, and the same as a sum of two of at most 26 bits each, so that products of parts are exact (Veltkamp). */
function split(f: Fn, bits: Expr): [value: Local, high: Local, low: Local] {
  const value = f.let(F64.toHost(bits));
  // To nearest, so that the low part has 26 bits and a sign.
  const high = f.let(F64.toHost(bits.add(1n << 26n).and(-1n << 27n)));
  return [value, high, f.let(value.sub(high))];
}

/** Factors from 2^-480 to 2^480: the tail of their product is above the least subnormal, and nothing overflows on the way. */
export function moderate(bits: Expr): Expr {
  return F64.exponentOf(bits)
    .sub(F64.bias - 480)
    .ltU(960);
}

/** Computes with the host; `a` and `b` are bit patterns. The bits are certain where nothing was rounded. */
export function exactResult(f: Fn, format: Format, operation: HostOperation, a: Expr, b: Expr): HostResult {
  if (operation === 'add' || operation === 'sub') {
    const y = format.toHost(b);
    const { head, tail } = exactSum(f, f.let(format.toHost(a)), f.let(operation === 'add' ? y : y.neg()));
    // The sign of a sum of zero depends on the rounding mode.
    return { value: head, certain: tail.eq(0).and(head.ne(0)) };
  }
  return format === F64 ? exactResult64(f, operation, a, b) : exactResult32(f, format, operation, a, b);
}

/** Of a quotient times the divisor, and of a root times itself, it must be what was divided, or what the root was taken of. */
function exactResult64(f: Fn, operation: 'mul' | 'div' | 'sqrt', a: Expr, b: Expr): HostResult {
  const [x, y] = [F64.toHost(a), F64.toHost(b)];
  if (operation === 'mul') {
    const { head, tail } = exactProduct(f, a, b);
    return { value: head, certain: tail.eq(0).and(moderate(a)).and(moderate(b)) };
  }
  const value = f.let(operation === 'div' ? x.div(y) : x.sqrt());
  const bits = value.reinterpret();
  const factor = operation === 'div' ? b : bits;
  const { head, tail } = exactProduct(f, bits, factor);
  const undone = head.eq(x).and(tail.eq(0));
  return { value, certain: undone.and(moderate(bits)).and(moderate(factor)) };
}

/** A product of two f32 fits in an f64, and what an f32 holds comes back from there. */
function exactResult32(f: Fn, format: Format, operation: 'mul' | 'div' | 'sqrt', a: Expr, b: Expr): HostResult {
  const double = (bits: Expr) => format.toHost(bits).promote();
  if (operation === 'mul') {
    const product = f.let(double(a).mul(double(b)));
    const value = f.let(product.demote());
    return { value, certain: value.promote().eq(product) };
  }
  const [x, y] = [format.toHost(a), format.toHost(b)];
  const value = f.let(operation === 'div' ? x.div(y) : x.sqrt());
  const factor = operation === 'div' ? double(b) : value.promote();
  return { value, certain: value.promote().mul(factor).eq(double(a)) };
}

/** a * b + c. */
export function exactFma(f: Fn, format: Format, a: Expr, b: Expr, c: Expr): HostResult {
  if (format !== F64) {
    const double = (bits: Expr) => format.toHost(bits).promote();
    const { head, tail } = exactSum(f, f.let(double(a).mul(double(b))), f.let(double(c)));
    const value = f.let(head.demote());
    return { value, certain: tail.eq(0).and(value.promote().eq(head)).and(head.ne(0)) };
  }
  const product = exactProduct(f, a, b);
  const sum = exactSum(f, product.head, f.let(format.toHost(c)));
  const low = exactSum(f, sum.tail, product.tail);
  const whole = exactSum(f, sum.head, low.head);
  const bits = whole.head.reinterpret();
  const nothingLost = low.tail.eq(0).and(whole.tail.eq(0));
  return { value: whole.head, certain: nothingLost.and(moderate(a)).and(moderate(b)).and(safelyNormal(format, bits)) };
}

export function returnIfCertain(f: Fn, { value, certain }: HostResult): void {
  f.if(certain, () => f.return(value.reinterpret()));
}

/** Begins an operation: returns the host's result where that is certain, and falls through otherwise. */
export function returnHostResult(
  f: Fn,
  format: Format,
  operation: HostOperation,
  flags: Expr,
  a: Expr,
  b: Expr,
  rm: Expr,
): void {
  f.if(
    hostRounds(flags, rm),
    () => returnIfCertain(f, hostResult(f, format, operation, a, b)),
    () => returnIfCertain(f, exactResult(f, format, operation, a, b)),
  );
}
