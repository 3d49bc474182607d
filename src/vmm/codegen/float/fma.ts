/** Fused multiply-add, a * b + c rounded once (IEEE 754, section 5.4.1). */
import { type Expr, i32, i64, type Local, relaxedMadd } from '../expr.ts';
import type { Fn } from '../fn.ts';
import type { Func, ModuleBuilder } from '../module.ts';
import { returnSum } from './add.ts';
import { exactFma, exactProduct, exactSum, moderate, returnIfCertain } from './exact.ts';
import type { Format } from './format.ts';
import { type HostResult, hostRounds, safelyNormal } from './host.ts';
import { type Product, product } from './multiply.ts';
import { type Core, shiftRightJam, type Unpacked, unpack } from './round.ts';

/** An exponent below that of any product, for a zero that is added to one. */
const BELOW_ALL = -0x2000;

export function defineFma(m: ModuleBuilder, core: Core, fused: boolean): Func {
  const { format } = core;
  const { host, bits } = format;
  const complete = defineComplete(m, core);
  return m.define(`${host}.fma`, ['i32', bits, bits, bits, 'i32'], bits, (f, flags, a, b, c, rm) => {
    f.if(
      hostRounds(flags, rm),
      () => returnIfCertain(f, hostFma(f, format, fused, a, b, c)),
      () => returnIfCertain(f, exactFma(f, format, a, b, c)),
    );
    f.return(complete.call(flags, a, b, c, rm));
  });
}

/** Computes with the host; right under the same conditions as `hostResult`. */
export function hostFma(f: Fn, format: Format, fused: boolean, a: Expr, b: Expr, c: Expr): HostResult {
  if (fused) {
    const value = f.let(relaxedMadd(format.toHost(a), format.toHost(b), format.toHost(c)));
    return { value, certain: safelyNormal(format, value.reinterpret()) };
  }
  return format.bits === 'i32' ? hostFma32(f, format, a, b, c) : hostFma64(f, format, a, b, c);
}

function hostFma32(f: Fn, format: Format, a: Expr, b: Expr, c: Expr): HostResult {
  const double = (x: Expr) => format.toHost(x).promote();
  // The product is exact: 48 bits at most. The sum is rounded to 53 bits, then to 24. Every number halfway between two of
  // 24 bits has 53, so the first rounding crosses none; it only hurts where it ends on one.
  const sum = f.let(double(a).mul(double(b)).add(double(c)));
  const value = f.let(sum.demote());
  const halfway = sum.reinterpret().and(0x1fffffffn).eq(0x10000000n);
  return { value, certain: halfway.eqz().and(safelyNormal(format, value.reinterpret())) };
}

/**
 * Where no fused operation is to be had: with `head + tail = a * b` exactly (Dekker 1971) and `sum + error = head + c` exactly (Knuth, TAOCP 2, 4.2.2), the
 * answer is `sum + (error + tail)`, rounded once; computed is `sum + low`, where `low` is `error + tail` rounded.
 *
 * Where nothing is lost in adding `error` and `tail`, that is the answer. Otherwise neither is zero, and both are at most one unit
 * in the last place of `sum`: `error` by rounding; and `tail` as it is at most half of one of `head`, and `head` is at most twice
 * `sum`, for numbers closer to each other cancel without error. So a number halfway between two possible results differs from
 * `sum` by a small multiple of a quarter of that unit, which an f64 holds in its leading bits. Rounding `error + tail` crosses no
 * f64, so that it only hurts where it ends on one of those, and then the low half of `low` is zero.
 */
function hostFma64(f: Fn, format: Format, a: Expr, b: Expr, c: Expr): HostResult {
  const { head, tail } = exactProduct(f, a, b);
  const { head: sum, tail: error } = exactSum(f, head, f.let(format.toHost(c)));
  const { head: low, tail: lost } = exactSum(f, error, tail);
  const value = f.let(sum.add(low));
  const crossesNone = low.reinterpret().wrap().ne(0).or(lost.eq(0));
  const normal = safelyNormal(format, value.reinterpret());
  return { value, certain: crossesNone.and(moderate(a)).and(moderate(b)).and(normal) };
}

function defineComplete(m: ModuleBuilder, core: Core): Func {
  const { format } = core;
  const { host, bits } = format;
  return m.define(`${host}.fmaComplete`, ['i32', bits, bits, bits, 'i32'], bits, (f, flags, a, b, c, rm) => {
    f.if(format.isOrdinary(a).and(format.isOrdinary(b)).and(format.magnitude(c).ltU(format.infinity)), () => {
      const z = unpack(f, format, c);
      f.if(z.significand.eqz(), () => f.set(z.exponent, BELOW_ALL));
      const p = product(f, unpack(f, format, a), unpack(f, format, b), bits === 'i64');
      if (p.low) {
        returnSum128(f, core, flags, p, p.low, z, rm);
      } else {
        const zeros = f.let(p.high.clz());
        f.set(p.high, p.high.shl(zeros));
        f.set(p.exponent, p.exponent.sub(zeros.wrap()));
        returnSum(f, core, flags, { ...p, significand: p.high }, z, rm);
      }
    });
    const sign = f.let(format.signOf(a.xor(b)));
    const zero = f.let(format.isZero(a).or(format.isZero(b)));
    const infinite = f.let(format.isInfinite(a).or(format.isInfinite(b)));
    f.if(format.isNaN(a).or(format.isNaN(b)).or(format.isNaN(c)), () => {
      // RISC-V raises NV for infinity times zero even when a quiet NaN is added (IEEE 754, section 7.2 c, leaves it open).
      f.if(infinite.and(zero), () => f.return(core.invalid.call(flags)));
      f.return(core.nan.call(flags, core.nan.call(flags, a, b), c));
    });
    f.if(infinite, () => {
      const opposite = format.isInfinite(c).and(format.signOf(c).ne(sign));
      f.if(zero.or(opposite), () => f.return(core.invalid.call(flags)));
      f.return(format.signed(sign, format.infinity));
    });
    // What remains is an infinite c, or a product of zero.
    f.if(format.isZero(c), () => {
      f.if(format.signOf(c).eq(sign), () => f.return(c));
      f.return(format.cancelled(rm));
    });
    f.return(c);
  });
}

/** Adds an unpacked number to a product of 128 bits. The order of the two matters only through their exponents. */
function returnSum128(f: Fn, core: Core, flags: Expr, p: Product, low: Local, z: Unpacked, rm: Expr): void {
  const { sign, exponent, high } = p;
  // One place of room for the carry: bit 126 leads from here on, and bit 127 stands for 2^exponent. The lowest bit of the
  // product, and of z, is zero.
  const room = f.let(i64(1).sub(high.clz()));
  f.set(exponent, exponent.add(room.wrap()));
  f.if(room.wrap(), () => {
    f.set(low, low.shrU(1).or(high.shl(63)));
    f.set(high, high.shrU(1));
  });
  const addend = { high: f.let(z.significand.shrU(1)), low: f.let(i64(0)) };
  const difference = f.let(exponent.sub(z.exponent.add(1)));
  f.if(
    difference.geS(0),
    () => shiftRightJam128(f, addend.high, addend.low, difference),
    () => {
      shiftRightJam128(f, high, low, i32(0).sub(difference));
      f.set(exponent, z.exponent.add(1));
    },
  );
  f.if(
    sign.eq(z.sign),
    () => {
      f.set(low, low.add(addend.low));
      f.set(high, high.add(addend.high).add(low.ltU(addend.low).extU()));
    },
    () => {
      f.set(high, high.sub(addend.high).sub(low.ltU(addend.low).extU()));
      f.set(low, low.sub(addend.low));
      f.if(high.or(low).eqz(), () => f.return(core.format.cancelled(rm)));
      f.if(high.ltS(0n), () => {
        f.set(sign, sign.xor(1));
        f.set(low, i64(0).sub(low));
        f.set(high, high.not().add(low.eqz().extU()));
      });
    },
  );
  f.if(high.eqz(), () => {
    f.set(high, low);
    f.set(low, 0n);
    f.set(exponent, exponent.sub(64));
  });
  const zeros = f.let(high.clz());
  // Two shifts, as a count of 64 would be none.
  const carried = low.shrU(1).shrU(i64(63).sub(zeros));
  const significand = high.shl(zeros).or(carried).or(low.shl(zeros).ne(0n).extU());
  f.return(core.round.call(flags, sign, exponent.sub(zeros.wrap()), significand, rm));
}

/** Shifts a 128-bit number (bit 127 clear) right, and jams. The count is an i32, not negative. */
function shiftRightJam128(f: Fn, high: Local, low: Local, count: Expr): void {
  f.block((done) => {
    const places = f.let(count);
    f.brIf(done, places.eqz());
    f.if(
      places.ltU(64),
      () => {
        const right = f.let(places.extU());
        const left = i64(64).sub(right);
        const lost = f.let(low.shl(left).ne(0n).extU());
        f.set(low, low.shrU(right).or(high.shl(left)).or(lost));
        f.set(high, high.shrU(right));
      },
      () => {
        f.set(low, shiftRightJam(f, high, places.sub(64)).or(low.ne(0n).extU()));
        f.set(high, 0n);
      },
    );
  });
}
