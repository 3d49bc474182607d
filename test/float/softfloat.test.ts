import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../src/base/random.ts';
import type { Reference } from './reference.ts';
import { difference, type Operation, operations } from './subject.ts';
import { edges, fewEdges, integerEdges, nearIntegers, randomBits } from './values.ts';

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

describe('floating point agrees with exact arithmetic', () => {
  for (const operation of operations()) {
    it(`${operation.name} at the edges`, () => check(operation, directed(operation)));
    it(`${operation.name} at random (seed ${SEED})`, () => check(operation, randomly(operation)));
  }
});
