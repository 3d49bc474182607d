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
    power(bias),
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
  const { bias, infinity, sign } = format;
  const F = BigInt(format.fractionBits);
  const normal = 1n << F;
  const one = BigInt(bias) << F;
  const square = BigInt(bias >> 1) << F;
  const finite = [0n, 1n, normal - 1n, normal, one - 1n, one, one + 1n, one - (F << F), square, infinity - 1n];
  return [...finite, infinity, infinity + 1n, infinity | (1n << (F - 1n))].flatMap((bits) => [bits, bits | sign]);
}

/**
 * Factors whose product is within 2^-73 of a power of two, one above and one below, and not exactly it. Added to a number
 * of which that power is half a unit in the last place, they make what is nearly a tie.
 */
export const NEARLY_POWERS: readonly (readonly [bigint, bigint])[] = [
  [0x1522289f49726fn, 0x183a1db5a0c814n],
  [0x102da9a15affbdn, 0x1fa5ae800d87afn],
];

/** A number of few bits, of any size: sums and products of such are often exact, or just not. */
export function ofFewBits(random: Random, format: Reference): bigint {
  const exponent = random.below(80) - 40;
  const n = random.u64() >> BigInt(24 + random.below(40));
  const size = 1n << BigInt(Math.abs(exponent));
  const { bits } = format.round(exponent < 0 ? { n, d: size } : { n: n * size, d: 1n }, 0);
  return random.below(2) ? bits | format.sign : bits;
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

/** A random bit pattern: any, an edge, near either end of the range, nearly the opposite of `like`, or of a similar size. */
export function randomBits(random: Random, format: Reference, like: bigint): bigint {
  const F = BigInt(format.fractionBits);
  const anything = random.u64();
  const largest = Number(format.infinity >> F) - 1;
  const within = (field: number, fraction: bigint) => {
    const exponent = BigInt(Math.min(Math.max(field, 0), largest)) << F;
    return (anything & format.sign) | exponent | BigInt.asUintN(format.fractionBits, fraction);
  };
  switch (random.below(8)) {
    case 0:
      return BigInt.asUintN(format.width, anything);
    case 1:
      return random.pick(edges(format));
    case 2:
      return within(random.below(3 * format.fractionBits), anything);
    case 3:
      return within(largest - random.below(2 * format.fractionBits), anything);
    case 4:
      return BigInt.asUintN(format.width, (like ^ format.sign) + BigInt(random.below(5) - 2));
    default: {
      const field = Number((like & (format.sign - 1n)) >> F);
      const distance = random.below(2 * format.fractionBits + 10) - format.fractionBits - 5;
      // Few runs of equal bits make halfway cases.
      const runs = (1n << BigInt(random.below(format.fractionBits))) - BigInt(random.below(3));
      return within(field + distance, random.below(2) ? anything : runs);
    }
  }
}
