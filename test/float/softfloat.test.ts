import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { setV8Flags } from '../../src/compiler/v8-flags.ts';
import { hostFuses } from '../../src/vmm/codegen/softfloat.ts';
import { REFERENCE, type Reference } from './reference.ts';
import { difference, type Operation, operations } from './subject.ts';
import { edges, fewEdges, integerEdges, NEARLY_POWERS, nearIntegers, ofFewBits, randomBits } from './values.ts';

setV8Flags();
const NO_FUSED =
  "this processor's fused multiply-add does not reach WebAssembly: nothing to install, it is computed otherwise";

const SEED = 20190722;
/** Random cases per operation; each runs in every rounding mode, with and without sticky flags. */
const RANDOM_CASES = { 1: 2000, 2: 3000, 3: 6000 } as Record<number, number>;

function check(operation: Operation, cases: Iterable<bigint[]>): void {
  for (const operands of cases) {
    const found = difference(operation, operands);
    if (found) assert.fail(found);
  }
}

/** Every combination of edge values. */
function* directed(operation: Operation): Iterable<bigint[]> {
  const choices = operation.operands.map((format) => {
    if (format === 'integer') return integerEdges();
    if (operation.operands.length === 3) return fewEdges(format);
    return operation.operands.length === 1 ? [...edges(format), ...nearIntegers(format)] : edges(format);
  });
  let rows: bigint[][] = [[]];
  for (const values of choices) rows = rows.flatMap((row) => values.map((value) => [...row, value]));
  yield* rows;
}

function* randomly(operation: Operation): Iterable<bigint[]> {
  const random = new Random(SEED);
  const count = RANDOM_CASES[operation.operands.length];
  for (let i = 0; i < count; i++) {
    const operands: bigint[] = [];
    for (const format of operation.operands) {
      operands.push(format === 'integer' ? random.u64() >> BigInt(random.below(64)) : near(random, format, operands));
    }
    yield operands;
  }
}

/** Like an operand before it; the third is like the product of two, so that it cancels or barely reaches it. */
function near(random: Random, format: Reference, before: readonly bigint[]): bigint {
  if (before.length === 0) {
    const field = BigInt(random.below(2 * format.bias + 1));
    return randomBits(random, format, field << BigInt(format.fractionBits));
  }
  const like = before.length === 2 ? format.mul(before[0], before[1], random.below(5)).bits : before[0];
  return randomBits(random, format, like);
}

/** Numbers of few bits, half of them such that a quotient or a root is one, too. */
function* mostlyExact(operation: Operation): Iterable<bigint[]> {
  const random = new Random(SEED);
  const count = RANDOM_CASES[operation.operands.length];
  for (let i = 0; i < count; i++) {
    const operands = operation.operands.map((format) => {
      return format === 'integer' ? random.u64() >> BigInt(random.below(64)) : ofFewBits(random, format);
    });
    const [format] = operation.operands;
    if (i % 2 && format !== 'integer') operands[0] = format.mul(operands[0], operands[1] ?? operands[0], 0).bits;
    yield operands;
  }
}

describe('floating point agrees with exact arithmetic', () => {
  for (const operation of operations()) {
    it(`${operation.name} at the edges`, () => check(operation, directed(operation)));
    it(`${operation.name} where little or nothing is rounded (seed ${SEED})`, () =>
      check(operation, mostlyExact(operation)));
    it(`${operation.name} at random (seed ${SEED})`, () => check(operation, randomly(operation)));
  }
});

/** Products within a hair of a power of two, with addends around those for which that power is half of the last place. */
function* nearlyTies(): Iterable<bigint[]> {
  const { fractionBits, bias, sign } = REFERENCE.f64;
  const field = (exponent: number) => BigInt(exponent + bias) << BigInt(fractionBits);
  const fraction = (1n << BigInt(fractionBits)) - 1n;
  // The product is about 2^(i + j + 1): moderate, near underflow of its low part, near underflow of itself, near overflow.
  for (const [i, j] of [
    [0, 0],
    [-480, -480],
    [-500, -475],
    [-490, -490],
    [-470, -505],
    [-520, -495],
    [-500, -521],
    [400, 480],
    [511, 460],
    [500, 520],
  ]) {
    for (const [m, n] of NEARLY_POWERS) {
      const a = field(i) | (m & fraction);
      const b = field(j) | (n & fraction);
      for (let distance = -3; distance <= 110; distance++) {
        const exponent = i + j + 1 + distance;
        if (exponent <= -bias || exponent > bias) continue;
        for (const low of [0n, 1n, 2n, fraction]) {
          for (const signs of [0n, sign]) yield [a, b, field(exponent) | low | signs];
        }
      }
    }
  }
}

it('f64.fma agrees with exact arithmetic a hair from a tie', () => {
  const fma = operations().find(({ name }) => name === 'f64.fma')!;
  check(fma, nearlyTies());
});

describe("the host's fused multiply-add agrees with exact arithmetic", { skip: hostFuses() ? false : NO_FUSED }, () => {
  for (const operation of hostFuses() ? operations(true).filter(({ name }) => name.endsWith('.fma')) : []) {
    it(`${operation.name} (seed ${SEED})`, () => {
      check(operation, directed(operation));
      check(operation, mostlyExact(operation));
      check(operation, randomly(operation));
      if (operation.name === 'f64.fma') check(operation, nearlyTies());
    });
  }
});
