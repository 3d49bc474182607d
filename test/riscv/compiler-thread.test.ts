/** The thread that compiles regions, and who does so before there is one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CompilerThread } from '../../src/compiler/thread.ts';
import { type CompiledRegions, ImmediateCompiler, type RegionCompiler } from '../../src/vmm/riscv/compiler.ts';
import type { RegionPlan } from '../../src/vmm/riscv/region.ts';
import { assemble } from './support/assembly.ts';
import { bareMachine } from './support/batch.ts';

/** A loop, which is a region. */
const LOOP = `
    li    t0, 0
again:
    addi  t0, t0, 1
    j     again`;

function aPlan(): RegionPlan {
  const machine = bareMachine(assemble(LOOP, 0x80000000).bytes);
  const { jit } = machine.cpu;
  const begun: RegionPlan[] = [];
  const compiler: RegionCompiler = {
    slicesToWait: 1,
    start() {},
    begin: (plans) => void begun.push(...plans),
    take: () => null,
  };
  jit.compiler = compiler;
  jit.hotAfter = 10;
  jit.batch = 1;
  machine.run(1000);
  assert.equal(begun.length, 1);
  return begun[0];
}

/** By the regions that are in them. */
const sizeOf = (compiled: CompiledRegions | null) =>
  compiled && WebAssembly.Module.exports(compiled.module).filter(({ name }) => /^r\d+$/.test(name)).length;

const TIMEOUT_MS = 60_000;

test('regions are compiled at once until the thread has come up, then by the thread, and come in order', async (t) => {
  const plan = aPlan();
  const compiler = new CompilerThread();
  t.after(() => compiler.close());
  const until = async (met: () => boolean, what: string) => {
    for (const end = Date.now() + TIMEOUT_MS; !met(); await sleep(5)) assert.ok(Date.now() < end, what);
  };
  compiler.start();
  assert.equal(compiler.slicesToWait, 1, 'nobody waits for a thread that is not there');
  compiler.begin([plan], false);
  assert.equal(sizeOf(compiler.take()), 1);
  assert.equal(compiler.take(), null);
  compiler.begin([plan, plan], false);
  await until(() => compiler.slicesToWait === new ImmediateCompiler().slicesToWait, 'the thread comes up');
  compiler.begin([plan, plan, plan], false);
  compiler.begin([plan], false);
  const sizes: number[] = [];
  await until(() => {
    const size = sizeOf(compiler.take());
    if (size !== null) sizes.push(size);
    return sizes.length === 3;
  }, 'all is compiled');
  assert.deepEqual(sizes, [2, 3, 1]);
  assert.equal(compiler.take(), null);
});
