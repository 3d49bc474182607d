/** A guest that keeps making new code: what is compiled of it is thrown away, and the process does not grow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImmediateCompiler } from '../../src/vmm/riscv/compiler.ts';
import type { RegionPlan } from '../../src/vmm/riscv/region.ts';
import { assemble } from './support/assembly.ts';
import { bareMachine } from './support/batch.ts';

const START = 0x80000000;
const MIB = 2 ** 20;

/** Writes 4096 functions of two instructions, other ones each time, and calls each of them a few times. */
const MAKES_CODE = `
    la    s0, words
    ld    s1, 0(s0)
    li    s2, 1
    slli  s2, s2, 20                # one more in the immediate
    li    s5, 0x801
    slli  s5, s5, 20
outer:
    add   s1, s1, s2
    mv    s3, s5
    li    s4, 4096
each:
    sw    s1, 0(s3)
    srli  t1, s1, 32
    sw    t1, 4(s3)
    li    s6, 6
again:
    jalr  ra, 0(s3)
    addi  s6, s6, -1
    bnez  s6, again
    addi  s3, s3, 256
    addi  s4, s4, -1
    bnez  s4, each
    j     outer
words:
    addi  a0, a0, 0
    ret`;

test('code that is made and thrown away by the hundred thousand takes no more memory than the first of it', (t) => {
  const machine = bareMachine(assemble(MAKES_CODE, START).bytes);
  const { jit } = machine.cpu;
  jit.hotAfter = 2;
  jit.batch = 8;
  jit.invalidationsMax = Number.POSITIVE_INFINITY;
  const runUntilCleared = (times: number) => {
    while (jit.statistics.cleared < times) machine.run(machine.position + 100_000);
    return process.memoryUsage().rss / MIB;
  };
  const first = runUntilCleared(1);
  const last = runUntilCleared(12);
  const { compiled } = jit;
  t.diagnostic(`${compiled} regions; ${first.toFixed(0)} MiB, then ${last.toFixed(0)} MiB`);
  assert.ok(compiled > 100_000, `${compiled} regions`);
  assert.ok(last < first + 100, `${first} MiB grow to ${last} MiB`);
  assert.ok(last < 600, `${last} MiB, of which the guest has touched 2`);
});

test('a compiler that is behind is not given ever more to do', () => {
  const machine = bareMachine(assemble(MAKES_CODE, START).bytes);
  const { jit } = machine.cpu;
  jit.hotAfter = 2;
  jit.batch = 8;
  jit.invalidationsMax = Number.POSITIVE_INFINITY;
  const real = new ImmediateCompiler();
  const waiting: (readonly RegionPlan[])[] = [];
  let [stuck, most] = [true, 0];
  jit.compiler = {
    begin: (plans) => {
      waiting.push(plans);
      most = Math.max(most, waiting.flat().length);
    },
    take: () => {
      const plans = stuck ? undefined : waiting.shift();
      if (!plans) return null;
      real.begin(plans, false);
      return real.take();
    },
  };
  machine.run(1_000_000);
  assert.ok(jit.statistics.postponed > 1000, `${jit.statistics.postponed} requests are postponed`);
  assert.ok(most >= 1000 && most < 1008, `${most} regions wait at most`);
  assert.equal(jit.compiled, 0);
  stuck = false;
  machine.run(2_000_000);
  assert.ok(waiting.length === 0 && jit.compiled > 0, `${jit.compiled} regions are compiled once it goes on`);
});
