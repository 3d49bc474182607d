/** Operands that find mistakes: the edges of a format, and random ones that lean towards them. */
import type { Random } from '../../src/base/random.ts';
import type { Reference } from './reference.ts';

/** Bit patterns without the sign bit. */
function magnitudes({ fractionBits, bias, infinity }: Reference): bigint[] {
  const F = BigInt(fractionBits);
  const ones = (1n << F) - 1n;
  const power = (exponent: number, fraction = 0n) => (BigInt(exponent + bias) << F) | fraction;
  return [
    0n,
    // Subnormals: least, next, halfway, largest.
    1n,
    2n,
    3n,
    1n << (F - 1n),
    ones,
    // From the least normal number on.
    1n << F,
    (1n << F) | 1n,
    power(1 - bias, ones),
    power(2 - bias),
    // Near the root of the least number, where products and quotients underflow.
    power(-(bias >> 1) - 1, ones),
    power(-bias + fractionBits, 1n),
    // Around one: halfway cases against one are made of these.
    power(-fractionBits - 1),
    power(-fractionBits - 1, 1n),
    power(-fractionBits),
    power(-1),
    power(-1, ones),
    power(0),
    power(0, 1n),
    power(0, 1n << (F - 1n)),
    power(0, ones),
    power(1),
    power(1, 1n << (F - 2n)),
    power(fractionBits, 1n),
    power(fractionBits + 1),
    // Near the root of the largest number, and the largest.
    power(bias >> 1, ones),
    power(bias - 1),
    power(bias, 0n),
    power(bias, ones - 1n),
    power(bias, ones),
    infinity,
    // NaNs: signalling, the canonical one, another quiet one.
    infinity | 1n,
    infinity | (1n << (F - 1n)),
    infinity | ones,
  ];
}

export function edges(format: Reference): bigint[] {
  return magnitudes(format).flatMap((bits) => [bits, bits | format.sign]);
}

/** Fewer of them, for operations of three operands. */
export function fewEdges(format: Reference): bigint[] {
  const all = magnitudes(format);
  const F = BigInt(format.fractionBits);
  const one = BigInt(format.bias) << F;
  const keep = [
    0n,
    1n,
    (1n << F) - 1n,
    1n << F,
    one,
    one + 1n,
    one - 1n,
    all[12],
    all[25],
    all[29],
    all[30],
    all[31],
    all[32],
  ];
  return keep.flatMap((bits) => [bits, bits | format.sign]);
}

/** Where integers stop fitting, as integers. */
export function integerEdges(): bigint[] {
  const values: bigint[] = [];
  for (const bit of [0n, 1n, 8n, 23n, 24n, 25n, 30n, 31n, 32n, 33n, 52n, 53n, 54n, 61n, 62n, 63n]) {
    for (const delta of [-2n, -1n, 0n, 1n, 2n]) values.push((1n << bit) + delta, -(1n << bit) + delta);
  }
  return values.map((value) => BigInt.asUintN(64, value));
}

/** Numbers where conversions to integers change: half-integers and the neighbours of the ends of each integer type. */
export function nearIntegers(format: Reference): bigint[] {
  const values: bigint[] = [];
  for (const target of integerEdges()) {
    const signed = BigInt.asIntN(64, target);
    for (const n of [signed * 2n, signed * 2n + 1n]) {
      if (n === 0n) continue;
      const { bits } = format.round({ n, d: 2n }, 0);
      values.push(bits, bits + 1n, bits - 1n);
    }
  }
  return values.filter((bits) => bits >= 0n && bits < 1n << BigInt(format.width));
}

/** A random bit pattern; half of the time near `like` in exponent, or made of few runs of equal bits. */
export function randomBits(random: Random, format: Reference, like: bigint): bigint {
  const F = BigInt(format.fractionBits);
  const mask = (1n << BigInt(format.width)) - 1n;
  const ones = (1n << F) - 1n;
  const anything = random.u64() & mask;
  switch (random.below(8)) {
    case 0:
      return anything;
    case 1:
      return random.pick(edges(format));
    case 2: {
      // Near the ends of the range.
      const span = BigInt(random.below(3 * format.fractionBits)) << F;
      const base = random.below(2) ? span : (format.infinity - (1n << F)) ^ 0n;
      const magnitude = base === span ? span : base - (span >> 1n);
      return (anything & (ones | format.sign)) | ((magnitude >> F) << F);
    }
    case 3:
      // Almost cancels.
      return (like ^ format.sign) + BigInt(random.below(5) - 2) >= 0n
        ? ((like ^ format.sign) + BigInt(random.below(5) - 2)) & mask
        : like;
    default: {
      // Of a similar exponent, with a fraction of random or of few set bits.
      const field = ((like & (format.sign - 1n)) >> F) + BigInt(random.below(2 * format.fractionBits + 10));
      const exponent = field > BigInt(format.fractionBits) + 5n ? field - BigInt(format.fractionBits) - 5n : field;
      const few = (1n << BigInt(random.below(format.fractionBits))) - BigInt(random.below(3));
      const fraction = random.below(2) ? anything & ones : few & ones;
      return ((anything & format.sign) | (exponent << F) | fraction) & mask;
    }
  }
}
