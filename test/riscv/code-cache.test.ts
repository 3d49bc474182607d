/** A guest that keeps making new code: what is compiled of it is thrown away, and the process does not grow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImmediateCompiler, type RegionCompiler } from '../../src/vmm/riscv/compiler.ts';
import type { RegionPlan } from '../../src/vmm/riscv/region.ts';
import type { VirtMachine } from '../../src/vmm/riscv/virt.ts';
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
  // Some versions of V8 let more of what was thrown away pile up before they take it back.
  const first = runUntilCleared(3);
  const last = runUntilCleared(12);
  const { compiled } = jit;
  t.diagnostic(`${compiled} regions; ${first.toFixed(0)} MiB, then ${last.toFixed(0)} MiB`);
  assert.ok(compiled > 100_000, `${compiled} regions`);
  assert.ok(last < first + 100, `${first} MiB grow to ${last} MiB`);
  assert.ok(last < 600, `${last} MiB, of which the guest has touched 2`);
});

/** Compiles nothing while it is stuck. */
class StuckCompiler implements RegionCompiler {
  readonly slicesToWait = 8;
  readonly #real = new ImmediateCompiler();
  readonly waiting: (readonly RegionPlan[])[] = [];
  /** All plans so far. */
  readonly begun: RegionPlan[] = [];
  stuck = true;
  most = 0;

  start() {}
  begin(plans: readonly RegionPlan[]) {
    this.waiting.push(plans);
    this.begun.push(...plans);
    this.most = Math.max(this.most, this.waiting.flat().length);
  }
  take() {
    const plans = this.stuck ? undefined : this.waiting.shift();
    if (!plans) return null;
    this.#real.begin(plans, false);
    return this.#real.take();
  }
}

test('a compiler that is behind is not given ever more to do', () => {
  const machine = bareMachine(assemble(MAKES_CODE, START).bytes);
  const { jit } = machine.cpu;
  jit.hotAfter = 2;
  jit.batch = 8;
  jit.invalidationsMax = Number.POSITIVE_INFINITY;
  const compiler = new StuckCompiler();
  jit.compiler = compiler;
  machine.run(1_000_000);
  assert.ok(jit.statistics.postponed > 1000, `${jit.statistics.postponed} requests are postponed`);
  assert.ok(compiler.most >= 1000 && compiler.most < 1008, `${compiler.most} regions wait at most`);
  assert.equal(jit.compiled, 0);
  compiler.stuck = false;
  machine.run(2_000_000);
  assert.ok(compiler.waiting.length === 0 && jit.compiled > 0, `${jit.compiled} regions are compiled once it goes on`);
});

/** Two loops, one in the other, which count in a word on the page of their code. */
const COUNTS_BESIDE = `
    la    s0, count
    addi  s0, s0, 8
    andi  s0, s0, -8
outer:
    li    s1, 1000
inner:
    ld    t0, 0(s0)
    addi  t0, t0, 1
    sd    t0, 0(s0)
    addi  s1, s1, -1
    bnez  s1, inner
    j     outer
count:
    nop
    nop
    nop
    nop`;

/** Offset of the inner loop. */
const INNER = 20;

function countingBeside(): { machine: VirtMachine; compiler: StuckCompiler } {
  const machine = bareMachine(assemble(COUNTS_BESIDE, START).bytes);
  const { jit } = machine.cpu;
  machine.sliceSteps = 1000;
  jit.hotAfter = 50;
  jit.batch = 1;
  jit.blockHotAfter = Number.POSITIVE_INFINITY;
  const compiler = new StuckCompiler();
  jit.compiler = compiler;
  return { machine, compiler };
}

test('what is thrown away while it is asked for or being compiled is asked for again', () => {
  for (const batch of [1, 100]) {
    const { machine, compiler } = countingBeside();
    const { jit } = machine.cpu;
    jit.batch = batch;
    machine.run(600);
    assert.equal(jit.statistics.requests, 1);
    assert.equal(compiler.begun.length, batch === 1 ? 1 : 0);
    jit.clear();
    compiler.stuck = false;
    machine.run(20_000);
    jit.compile();
    machine.run(40_000);
    const inner = compiler.begun.filter(({ blocks }) => blocks[0].start === INNER);
    assert.equal(inner.length, batch === 1 ? 2 : 1);
    assert.equal(compiler.waiting.length, 0);
  }
});

test('regions that leave stores beside code run on until those that do them are there, each made once', () => {
  const { machine, compiler } = countingBeside();
  const { jit } = machine.cpu;
  const starts = (besideCode: boolean) =>
    compiler.begun.filter((plan) => plan.besideCode === besideCode).map(({ blocks }) => blocks[0].start);
  compiler.stuck = false;
  machine.run(300_000);
  const before = starts(false);
  assert.ok(before.includes(INNER));
  compiler.stuck = true;
  machine.run(2_000_000);
  assert.deepEqual(starts(false), before);
  assert.deepEqual(starts(true).toSorted(), before.toSorted(), 'each once');
  assert.equal(jit.compiled, before.length);
  assert.equal(jit.statistics.cleared, 0);
  compiler.stuck = false;
  machine.run(2_100_000);
  assert.equal(jit.compiled, 2 * before.length);
  machine.run(3_000_000);
  assert.equal(compiler.begun.length, 2 * before.length);
});

test('a region that was being compiled when stores beside code began is made anew when it is there', () => {
  const { machine, compiler } = countingBeside();
  const { jit } = machine.cpu;
  machine.run(600);
  assert.deepEqual(
    compiler.begun.map(({ besideCode }) => besideCode),
    [false],
  );
  jit.writesBesideCode();
  compiler.stuck = false;
  machine.run(40_000);
  const inner = compiler.begun.filter(({ blocks }) => blocks[0].start === INNER);
  assert.deepEqual(
    inner.map(({ besideCode }) => besideCode),
    [false, true],
  );
});

test('a region with a hot loop is made anew once, however long that takes', () => {
  const { machine, compiler } = countingBeside();
  const { jit } = machine.cpu;
  jit.writesBesideCode();
  jit.blockHotAfter = 8;
  machine.sliceSteps = 2 ** 20;
  compiler.stuck = false;
  machine.run(2 ** 21);
  compiler.stuck = true;
  machine.run(2 ** 27);
  const hot = compiler.begun.filter((plan) => plan.hot.length > 0).map(({ blocks }) => blocks[0].start);
  assert.ok(hot.includes(INNER));
  assert.equal(new Set(hot).size, hot.length, `${hot.length} regions, each made once`);
});

test('a loop that takes a small part of the time is not worth making a region anew', () => {
  const { machine, compiler } = countingBeside();
  const { jit } = machine.cpu;
  jit.blockHotAfter = 8;
  compiler.stuck = false;
  const sampled = jit.sampled.bind(jit);
  let page: Parameters<typeof sampled>[0] | undefined;
  jit.sampled = (at) => {
    page = at;
  };
  machine.run(2 ** 21);
  const look = (offset: number, times: number) => {
    for (let n = 0; n < times; n++) sampled(page!, offset);
  };
  const hot = () => {
    jit.compile();
    return compiler.begun.filter((plan) => plan.hot.length > 0).length;
  };
  const ELSEWHERE = 2048;
  look(ELSEWHERE, 1000);
  look(INNER, 20);
  look(ELSEWHERE, 4);
  assert.equal(hot(), 0, '20 looks of 1024');
  look(INNER, 50);
  look(ELSEWHERE, 974);
  assert.ok(hot() > 0, '70 looks of 2048');
});
