/** Questions over a whole trace: answered in parallel and with stretches left out, and yet what one pass over everything finds. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Engine, type Task } from '../../src/debugger/engine.ts';
import { openSession } from '../../src/debugger/open.ts';
import type { QueryRow, QuerySpec } from '../../src/debugger/session.ts';
import { scan } from '../../src/replay/scan.ts';
import type { StopSpec } from '../../src/replay/stop-spec.ts';
import { finish, Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { RAM_BASE } from '../../src/vmm/layout.ts';
import { scratch } from '../support/guests.ts';
import { embeddedGuest, record } from '../support/recording.ts';
import { takeSteps } from './oracle.ts';

const IDLE: Task = { cancelled: false, progress: () => {} };

async function open(t: TestContext): Promise<{ path: string; trace: TraceReader; engine: Engine }> {
  const path = join(scratch(t), 'trace');
  await record(embeddedGuest(7), path, { strideMax: 200_000 });
  const trace = TraceReader.open(path);
  const engine = new Engine(trace, path, { memoryBudget: 2 ** 30, workers: 2 });
  t.after(() => engine.close());
  return { path, trace, engine };
}

async function rowsOf(engine: Engine, spec: QuerySpec): Promise<QueryRow[]> {
  const rows: QueryRow[] = [];
  for await (const batch of engine.query(spec, IDLE)) rows.push(...batch);
  return rows;
}

/** The part of the trace in which most happens; afterwards the guest mostly sleeps. */
const PART = 2_000_000;

/** What one pass over the part finds: it spans many checkpoints, so that nothing can be left out. */
function onePass(timeline: Timeline, stop: StopSpec): number[] {
  const everything = { from: 0, to: PART, keep: 1e9, print: [], order: 'oldest' } as const;
  return finish(scan(timeline, { ...everything, stops: [{ id: 0, spec: stop }] })).rows.map(({ hit }) => hit.position);
}

test('writers of memory that is written often, rarely and never', async (t) => {
  const { trace, engine } = await open(t);
  const timeline = new Timeline(trace);
  // Pages by how many checkpoints list them.
  const lists = new Map<number, number>();
  const inside = trace.checkpoints.filter(({ position }) => position > 0 && position < PART);
  assert.ok(inside.length > 5);
  for (const checkpoint of inside) {
    for (const page of trace.changes(checkpoint).pages) lists.set(page, (lists.get(page) ?? 0) + 1);
  }
  const sorted = [...lists].sort((a, b) => a[1] - b[1]).map(([page]) => page);
  const chosen = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted[Math.floor(sorted.length * 0.9)], 9000];
  for (const page of chosen) {
    const address = BigInt(RAM_BASE + page * 4096);
    for (const access of ['write', 'change'] as const) {
      // The middle of the page and over its end.
      for (const [offset, length] of [
        [0n, 4096],
        [4092n, 8],
      ] as const) {
        const stop = { kind: 'watch', access, address: address + offset, length, physical: true } as const;
        const all = [...new Set(onePass(timeline, stop))];
        const what = `${access} of ${length} bytes at 0x${stop.address.toString(16)}: ${all.length}`;
        t.diagnostic(what);
        const found = await rowsOf(engine, { kind: 'events', stop, to: PART });
        assert.deepEqual([...new Set(found.map(({ hit }) => hit.position))], all, what);
        const [last] = await rowsOf(engine, { kind: 'events', stop, to: PART, newestFirst: true, limit: 1 });
        assert.equal(last?.hit.position, all.at(-1), `the last ${what}`);
      }
    }
  }
});

test('calls, with what they return', async (t) => {
  const { trace, engine } = await open(t);
  const from = trace.checkpoints[4].position;
  const to = from + 60_000;
  const steps = takeSteps(trace, from, to, []);
  // Functions are where calls lead to: a step whose ra is new and points behind the instruction that made it.
  const entries = new Map<bigint, number>();
  const latest = new Map<number, (typeof steps)[number]>();
  for (const step of steps) {
    const before = latest.get(step.hart);
    latest.set(step.hart, step);
    if (before && before.after.ra !== before.before.ra && before.after.ra - before.pc <= 4n) {
      entries.set(step.pc, (entries.get(step.pc) ?? 0) + 1);
    }
  }
  const popular = [...entries].sort((a, b) => b[1] - a[1]).slice(0, 4);
  assert.ok(popular.length > 2, 'functions are called');
  for (const [address] of popular) {
    const expected = steps
      .filter((step) => step.pc === address && step.after.traps === step.before.traps)
      .map((step) => {
        const { ra, sp, satp } = step.before;
        const back = steps.find(
          (one) => one.position > step.position && one.pc === ra && one.before.sp === sp && one.before.satp === satp,
        );
        return { position: step.position, a0: step.before.a0, ra, returned: back && [back.position, back.before.a0] };
      });
    const rows = await rowsOf(engine, { kind: 'calls', address, from, to, print: ['a0 + 1'] });
    const found = rows.map(({ hit, call, values }) => {
      assert.equal(values[0], call!.arguments[0] + 1n);
      const { returned, returnAddress: ra } = call!;
      // The steps that were taken end somewhere, the search for returns goes on.
      const inside = returned && returned.position < to ? [returned.position, returned.a0] : undefined;
      return { position: hit.position, a0: call!.arguments[0], ra, returned: inside };
    });
    assert.deepEqual(found, expected, `calls of 0x${address.toString(16)}`);
    const newest = await rowsOf(engine, { kind: 'calls', address, from, to, newestFirst: true, limit: 3 });
    assert.deepEqual(
      newest.map(({ hit }) => hit.position),
      expected
        .slice(-3)
        .map(({ position }) => position)
        .reverse(),
    );
  }
});

test('a session in its thread: streams, limits, cancels, and stays where it was', async (t) => {
  const { path, trace } = await open(t);
  const session = await openSession(path, { workers: 1 });
  t.after(() => session.close());
  const { end } = await session.info();
  assert.equal(end, trace.replayableTo);
  const middle = Math.floor(end / 2);
  const there = await session.seek(middle);

  const positions: number[] = [];
  for await (const { hit } of session.query({ kind: 'events', stop: { kind: 'interrupt' } })) {
    positions.push(hit.position);
    if (positions.length === 20) break;
  }
  const limited: number[] = [];
  for await (const { hit } of session.query({ kind: 'events', stop: { kind: 'interrupt' }, limit: 20 })) {
    limited.push(hit.position);
  }
  assert.deepEqual(limited, positions);
  assert.deepEqual(await session.where(), there);

  // Nothing is executed at this address, so that the runs go on until they are stopped.
  await session.addStop({ kind: 'breakpoint', address: 0x10n });
  for (const direction of ['back', 'forward'] as const) {
    await session.seek(middle);
    const abort = new AbortController();
    const run = session.run({ direction, signal: abort.signal });
    abort.abort();
    const event = await run;
    assert.equal(event.reason, 'cancelled');
    if (direction === 'back') assert.equal(event.position, middle);
    else assert.ok(event.position >= middle && event.position <= end);
    assert.equal((await session.registers(event.hart)).pc, event.pc);
  }
  await assert.rejects(session.addStop({ kind: 'register', register: 'nonsense' }), /nonsense/);
  await assert.rejects(session.addStop({ kind: 'breakpoint', address: 1n, condition: 'a0 +' }), /character/);
  await assert.rejects(session.seek(end + 1), /outside the recording/);
  await assert.rejects(session.registers(99), /hart 99/);
  await assert.rejects(openSession(join(path, 'nothing')), /nothing/);
});

test('memory is read piece by piece, bookmarks are kept', async (t) => {
  const { path, trace, engine } = await open(t);
  await engine.seek(Math.floor(trace.replayableTo / 3), IDLE);
  // The end of RAM in the middle.
  const ramEnd = BigInt(RAM_BASE + trace.header.machine.memoryBytes);
  const { bytes, readable } = engine.memory({ address: ramEnd - 100n, length: 300, physical: true });
  assert.equal(bytes.length, 300);
  assert.deepEqual(readable, [{ from: 0, to: 100 }]);
  assert.deepEqual(engine.memory({ address: 0n, length: 10, physical: true }).readable, []);

  engine.setBookmark({ name: 'b', position: 20, note: '' });
  engine.setBookmark({ name: 'a', position: 10, note: 'first' });
  engine.setBookmark({ name: 'b', position: 5, note: 'moved' });
  const again = new Engine(trace, path, { memoryBudget: 2 ** 28, workers: 1 });
  t.after(() => again.close());
  assert.deepEqual(again.bookmarks(), [
    { name: 'b', position: 5, note: 'moved' },
    { name: 'a', position: 10, note: 'first' },
  ]);
  again.removeBookmark('b');
  assert.equal(engine.bookmarks().length, 1);
  assert.throws(() => engine.removeBookmark('b'), /no bookmark 'b'/);
  assert.throws(() => engine.setBookmark({ name: 'far', position: trace.replayableTo + 1, note: '' }), /position/);
});
