/** Random programs that are hard on compiled code come to the same states as when they are interpreted, at every position. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { type Coverage, compareCompiled, interpret } from './support/lockstep.ts';
import { wildMachine } from './support/wild-code.ts';

/** More programs, and from another seed on, for a longer search. */
const PROGRAMS = Number(process.env.CHRONOVISOR_WILD_PROGRAMS ?? 6);
const FIRST_SEED = Number(process.env.CHRONOVISOR_SEED ?? 20_261_123);
const STEPS = 3000;
const ROUNDS = 4;

for (const harts of [1, 2]) {
  test(`wild code, ${harts} hart${harts > 1 ? 's' : ''}, seeds from ${FIRST_SEED}`, (t) => {
    const coverage: Coverage = { regions: 0, exits: new Map() };
    for (let n = 0; n < PROGRAMS; n++) {
      const seed = FIRST_SEED + n;
      const reference = interpret(wildMachine(new Random(seed), harts), STEPS);
      for (let round = 0; round < ROUNDS; round++) compareCompiled(reference, new Random(seed + round), coverage);
    }
    t.diagnostic(`${coverage.regions} regions; exits ${JSON.stringify(Object.fromEntries(coverage.exits))}`);
    assert.ok(coverage.regions > PROGRAMS * ROUNDS * 30, `${coverage.regions} regions`);
    for (const reason of ['indirect', 'cold', 'stop', 'budget', 'memory'] as const) {
      assert.ok((coverage.exits.get(reason) ?? 0) > 0, `code is left because of '${reason}'`);
    }
  });
}
