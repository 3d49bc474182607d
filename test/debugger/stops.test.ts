/** Running either way ends at just the event that comes next, as found by taking every step of a stretch. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Engine, type Task } from '../../src/debugger/engine.ts';
import { ConsoleLog } from '../../src/replay/console-log.ts';
import type { Hit, StopSpec } from '../../src/replay/stop-spec.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { scratch } from '../support/guests.ts';
import { embeddedGuest, record } from '../support/recording.ts';
import { type OracleStep, takeSteps } from './oracle.ts';

const IDLE: Task = { cancelled: false, progress: () => {} };
const STRETCH = 60_000;

interface Looked {
  readonly name: string;
  readonly spec: StopSpec;
  readonly wanted: (step: OracleStep) => boolean;
  /** Stops before its step also when the machine runs forward. */
  readonly before: boolean;
}

/** A step of the instruction that is executed most often (0) or least often (1), or in between. */
function byRank(steps: readonly OracleStep[], rank: number): OracleStep {
  const counts = new Map<bigint, number>();
  for (const { pc } of steps) counts.set(pc, (counts.get(pc) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  const [pc] = sorted[Math.floor(rank * (sorted.length - 1))];
  return steps.find((step) => step.pc === pc)!;
}

function lookedFor(steps: readonly OracleStep[], stack: bigint): Looked[] {
  const executes = (step: OracleStep) => step.after.traps === step.before.traps;
  const hot = byRank(steps, 0);
  const rare = byRank(steps, 0.9);
  const at = (pc: bigint): Partial<Looked> => ({ wanted: (s) => s.pc === pc, before: true });
  const list: (Partial<Looked> & { spec: StopSpec })[] = [
    { name: 'a hot breakpoint', spec: { kind: 'breakpoint', address: hot.pc }, ...at(hot.pc) },
    { name: 'a rare breakpoint', spec: { kind: 'breakpoint', address: rare.pc }, ...at(rare.pc) },
    {
      name: 'a breakpoint of a hart',
      spec: { kind: 'breakpoint', address: hot.pc, hart: 1 },
      wanted: (s) => s.pc === hot.pc && s.hart === 1,
      before: true,
    },
    {
      name: 'a condition',
      spec: { kind: 'breakpoint', address: hot.pc, condition: 'a0 % 7 == 3' },
      wanted: (s) => s.pc === hot.pc && s.before.a0 % 7n === 3n,
      before: true,
    },
    {
      name: 'an address space',
      spec: { kind: 'breakpoint', address: hot.pc, space: hot.before.satp },
      wanted: (s) => s.pc === hot.pc && s.before.satp === hot.before.satp && s.before.privilege !== 3,
      before: true,
    },
    {
      name: 'a change of memory',
      spec: { kind: 'watch', access: 'change', address: stack, length: 8, physical: true },
      wanted: (s) => s.before.memory[0] !== s.after.memory[0],
    },
    {
      name: 'a change of a long range',
      spec: { kind: 'watch', access: 'change', address: stack - 100n, length: 300, physical: true },
      wanted: (s) => s.before.memory[1] !== s.after.memory[1],
    },
    {
      name: 'a register',
      spec: { kind: 'register', register: 'satp' },
      wanted: (s) => s.before.satp !== s.after.satp,
    },
    {
      name: 'a register of a hart',
      spec: { kind: 'register', register: 'sp', hart: 2 },
      wanted: (s) => s.hart === 2 && s.before.sp !== s.after.sp,
    },
    {
      name: 'system calls',
      spec: { kind: 'syscall' },
      wanted: (s) => !executes(s) && s.after.scause === 8n,
    },
    {
      name: 'interrupts',
      spec: { kind: 'interrupt' },
      wanted: (s) => !executes(s) && s.after.scause >= 2n ** 63n,
    },
    {
      name: 'traps',
      spec: { kind: 'trap' },
      wanted: (s) => !executes(s) && s.after.scause < 2n ** 63n,
    },
  ];
  return list.map((entry) => ({ before: false, ...entry }) as Looked);
}

/** A recording with many checkpoints. */
async function open(t: TestContext): Promise<{ path: string; trace: TraceReader }> {
  const path = join(scratch(t), 'trace');
  await record(embeddedGuest(7), path, { strideMax: 30_000 });
  const trace = TraceReader.open(path);
  t.after(() => trace.close());
  return { path, trace };
}

function engineOf(t: TestContext, trace: TraceReader, path: string, workers: number): Engine {
  const engine = new Engine(trace, path, { memoryBudget: 2 ** 30, workers });
  t.after(() => engine.close());
  return engine;
}

test('stops are where stepping through finds them', async (t) => {
  const { path, trace } = await open(t);
  const random = new Random(11);
  // Where the shell, a user program on another hart and a device are at work.
  const [busy] = new ConsoleLog(trace).find('disk write 3', 0, trace.replayableTo);
  const middle = busy.position;
  const from = middle - STRETCH / 2;
  const inside = trace.checkpoints.filter(({ position }) => position > from && position < from + STRETCH);
  assert.ok(inside.length > 1, 'searches have to do with more than one stretch between checkpoints');
  const scout = engineOf(t, trace, path, 1);
  await scout.seek(middle, IDLE);
  const { machine } = scout.timeline;
  const hart = machine.currentHart;
  const stack = scout.translate(hart, machine.cpu.x(hart, 2)) ?? 0n;
  const steps = takeSteps(trace, from, from + STRETCH, [
    { address: stack, length: 8 },
    { address: stack - 100n, length: 300 },
  ]);
  for (const workers of [1, 2]) {
    const engine = engineOf(t, trace, path, workers);
    for (const { name, spec, wanted, before } of lookedFor(steps, stack)) {
      const hits = steps.filter(wanted).map((step) => step.position);
      t.diagnostic(`${name}: ${hits.length} in ${STRETCH} steps`);
      const id = engine.addStop(spec);
      const ends = { back: 0, forward: 0 };
      for (let round = 0; round < 8; round++) {
        const near = hits.length > 0 ? random.pick(hits) + random.below(3) - 1 : from;
        const now = Math.min(from + STRETCH, Math.max(from, random.pick([near, from + random.below(STRETCH)])));
        await engine.seek(now, IDLE);
        const back = await engine.run({ direction: 'back', limit: from }, IDLE);
        const last = hits.findLast((position) => position < now);
        assert.equal(back.position, last ?? from, `${name}: back from ${now}, workers ${workers}`);
        if (last !== undefined) {
          ends.back++;
          assert.ok(back.hits.every((hit: Hit) => hit.stop === id && hit.position === last));
        }
        await engine.seek(now, IDLE);
        const ahead = await engine.run({ direction: 'forward', limit: from + STRETCH }, IDLE);
        const next = hits.find((position) => (before ? position > now : position >= now));
        const expected = next === undefined ? from + STRETCH : before ? next : next + 1;
        assert.equal(ahead.position, expected, `${name}: forward from ${now}, workers ${workers}`);
        if (next !== undefined) ends.forward++;
      }
      assert.ok(hits.length === 0 || ends.back > 0 || ends.forward > 0, `${name}: some runs end at a hit`);
      engine.removeStop(id);
    }
  }
});
