/** Running either way ends at just the event that comes next, as found by taking every step of a stretch. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Engine, type Task } from '../../src/debugger/engine.ts';
import { ConsoleLog } from '../../src/replay/console-log.ts';
import type { StopSpec } from '../../src/replay/stop-spec.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { translate } from '../../src/vmm/riscv/inspect.ts';
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

function lookedFor(steps: readonly OracleStep[], stack: bigint, mapped: { satp: bigint; address: bigint }): Looked[] {
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
      name: 'a change of mapped memory',
      spec: { kind: 'watch', access: 'change', address: mapped.address, length: 64, space: mapped.satp },
      wanted: (s) => s.before.memory[2] !== s.after.memory[2],
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
      wanted: (s) => !executes(s) && s.after.cause === 8n,
    },
    {
      name: 'interrupts',
      spec: { kind: 'interrupt' },
      wanted: (s) => !executes(s) && s.after.cause >= 2n ** 63n,
    },
    {
      name: 'traps',
      spec: { kind: 'trap' },
      wanted: (s) => !executes(s) && s.after.cause < 2n ** 63n,
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

for (const { after, seed } of [
  { after: 'spawn primes', seed: 11 },
  { after: 'disk write 3', seed: 12 },
]) {
  test(`stops are where stepping through finds them, after '${after}'`, async (t) => {
    const { path, trace } = await open(t);
    const random = new Random(seed);
    t.diagnostic(`seed ${seed}`);
    const [shown] = new ConsoleLog(trace).find(after, 0, trace.replayableTo);
    const middle = shown.position;
    const from = middle - STRETCH / 2;
    const inside = trace.checkpoints.filter(({ position }) => position > from && position < from + STRETCH);
    assert.ok(inside.length > 1, 'searches have to do with more than one stretch between checkpoints');
    const scout = new Timeline(trace, { at: middle });
    const { machine } = scout;
    const hart = machine.currentHart;
    const stack = translate(machine, hart, machine.cpu.x(hart, 2))!;
    // The same memory as a virtual address of an address space; 64 bytes that cross no page's end.
    const mapped = { satp: machine.cpu.get(hart, 'satp'), address: (machine.cpu.x(hart, 2) & -64n) - 64n };
    const steps = takeSteps(trace, from, from + STRETCH, [
      { address: stack, length: 8 },
      { address: stack - 100n, length: 300 },
      { ...mapped, length: 64 },
    ]);
    for (const workers of [1, 2]) {
      const engine = engineOf(t, trace, path, workers);
      await engine.seek(middle, IDLE);
      for (const looked of lookedFor(steps, stack, mapped)) await compare(t, engine, looked, steps, from, random);
    }
  });
}

async function compare(
  t: TestContext,
  engine: Engine,
  { name, spec, wanted, before }: Looked,
  steps: readonly OracleStep[],
  from: number,
  random: Random,
): Promise<void> {
  const hits = steps.filter(wanted).map((step) => step.position);
  t.diagnostic(`${name}: ${hits.length} in ${STRETCH} steps`);
  const id = engine.addStop(spec);
  for (let round = 0; round < 8; round++) {
    const near = hits.length > 0 ? random.pick(hits) + random.below(3) - 1 : from;
    const now = Math.min(from + STRETCH, Math.max(from, random.pick([near, from + random.below(STRETCH)])));
    await engine.seek(now, IDLE);
    const back = await engine.run({ direction: 'back', limit: from }, IDLE);
    const last = hits.findLast((position) => position < now);
    assert.equal(back.position, last ?? from, `${name}: back from ${now}`);
    if (last !== undefined) assert.ok(back.hits.every((hit) => hit.stop === id && hit.position === last));
    await engine.seek(now, IDLE);
    const ahead = await engine.run({ direction: 'forward', limit: from + STRETCH }, IDLE);
    const next = hits.find((position) => (before ? position > now : position >= now));
    const expected = next === undefined ? from + STRETCH : before ? next : next + 1;
    assert.equal(ahead.position, expected, `${name}: forward from ${now}`);
  }
  engine.removeStop(id);
  for (const newestFirst of [false, true]) {
    const found: number[] = [];
    const question = { kind: 'events', stop: spec, from, to: from + STRETCH, newestFirst } as const;
    for await (const rows of engine.query(question, IDLE)) found.push(...rows.map(({ hit }) => hit.position));
    assert.deepEqual(newestFirst ? found.reverse() : found, hits, `${name}: all of them`);
  }
}
