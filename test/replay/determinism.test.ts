/**
 * What must not matter does not matter: slices, checkpoints, the order of seeks, the recorder, the host's speed. The state at a position
 * follows from the inputs alone.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Replayer } from '../../src/replay/replayer.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { needGuest, scratch } from '../support/guests.ts';
import { debianShell, embeddedGuest, type Guest, plainMachine, record, runSession } from '../support/recording.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Slices from a few steps to more than the machine itself would take; short ones cost, so they are for short ways. */
function anySlice(random: Random): number {
  return 1 + random.below(random.pick([12, 500, 20_000, 5_000_000]));
}
function longSlice(random: Random): number {
  return 1 + random.below(random.pick([4000, 300_000, 5_000_000]));
}

/** Digests at positions, from one replay that goes forward and starts anywhere between with slices of another length. */
function digestsAlong(trace: TraceReader, positions: readonly number[], slice: () => number): Map<number, string> {
  const replayer = new Replayer(trace);
  const found = new Map<number, string>();
  for (const position of [...positions].sort((a, b) => a - b)) {
    replayer.machine.sliceSteps = slice();
    replayer.runTo(position);
    found.set(position, hex(replayer.machine.digest()));
  }
  return found;
}

/** Positions without rhyme, some of them side by side and some beside checkpoints. */
function scattered(trace: TraceReader, random: Random, count: number): number[] {
  const positions = new Set<number>();
  while (positions.size < count) {
    const near = random.pick([
      () => random.below(trace.replayableTo),
      () => trace.checkpoints[random.below(trace.checkpoints.length)].position + random.below(3) - 1,
      () => [...positions][random.below(positions.size)] + 1,
    ])();
    if (near > 0 && near < trace.replayableTo) positions.add(near);
  }
  return [...positions];
}

function open(t: TestContext, path: string): TraceReader {
  const trace = TraceReader.open(path, { check: true });
  t.after(() => trace.close());
  return trace;
}

/** A run without a recorder passes the checkpoints of the recording in the same states. */
async function plainRunAgrees(guest: Guest, trace: TraceReader): Promise<void> {
  const machine = plainMachine(guest);
  const checkpoints = trace.checkpoints.filter(({ position }) => position > 0 && position < trace.replayableTo);
  const replayed = digestsAlong(
    trace,
    checkpoints.map(({ position }) => position),
    () => 2_000_000,
  );
  let next = 0;
  // The script is played by a session of its own; the machine is stopped on the way by asking for no more than the next position.
  const run = machine.run.bind(machine);
  machine.run = (until) => {
    const { position: stop = Number.POSITIVE_INFINITY, digest = null } = checkpoints[next] ?? {};
    const result = run(Math.min(until, stop));
    if (machine.position === stop && digest) {
      const here = hex(machine.digest());
      assert.equal(here, hex(digest), `plain run and recording at position ${stop}`);
      assert.equal(here, replayed.get(stop), `plain run and replay at position ${stop}`);
      next++;
    }
    return result;
  };
  await runSession(machine, guest, {});
  assert.equal(next, checkpoints.length, 'every checkpoint was passed');
  assert.equal(machine.position, trace.replayableTo);
}

function seeksAgree(trace: TraceReader, seed: number, points: number, seeks: number, slice: typeof anySlice): void {
  const random = new Random(seed);
  const positions = scattered(trace, random, points);
  const expected = digestsAlong(trace, positions, () => slice(random));
  const timeline = new Timeline(trace);
  for (let i = 0; i < seeks; i++) {
    const from = timeline.position;
    const to = random.pick(positions);
    timeline.machine.sliceSteps = slice(random);
    timeline.seek(to);
    assert.equal(timeline.position, to);
    assert.equal(hex(timeline.machine.digest()), expected.get(to), `seed ${seed}: seek from ${from} to ${to}`);
  }
}

function sameRecording(a: TraceReader, b: TraceReader): void {
  assert.equal(a.replayableTo, b.replayableTo);
  assert.deepEqual([...a.inputs()], [...b.inputs()], 'the same inputs');
  assert.deepEqual([...a.journal()], [...b.journal()], 'the same journal');
  assert.deepEqual([...a.consoleOutput()], [...b.consoleOutput()], 'the same console');
  const list = (trace: TraceReader) => trace.checkpoints.map((c) => `${c.position} ${c.timeNs} ${hex(c.digest)}`);
  assert.deepEqual(list(a), list(b), 'the same checkpoints');
}

test('the embedded guest: slices, seeks, checkpoints and the recorder leave no trace in its states', async (t) => {
  const folder = scratch(t);
  const guest = embeddedGuest(7);
  const first = await record(guest, join(folder, 'first'));
  assert.equal(first.end.reason, 'power-off', first.output);
  const trace = open(t, join(folder, 'first'));
  const { digests, steps } = verify(trace);
  assert.equal(steps, first.position);
  assert.equal(digests, trace.checkpoints.length);
  t.diagnostic(`${steps} steps, ${digests} checkpoints`);

  await t.test('slices of any length', () => {
    const random = new Random(1);
    for (const sliceSteps of [1000, 4096, 33_333, 1 + random.below(1_000_000)]) verify(trace, { sliceSteps });
  });
  await t.test('a run without a recorder', () => plainRunAgrees(guest, trace));
  await t.test('seeks forward and backward', () => {
    for (const seed of [1, 2, 3]) seeksAgree(trace, seed, 40, 40, longSlice);
  });
  await t.test('checkpoints elsewhere, and a recording in other slices', async () => {
    const random = new Random(5);
    await record(guest, join(folder, 'dense'), { strideMax: 500_000, slices: () => longSlice(random) });
    const dense = open(t, join(folder, 'dense'));
    assert.ok(dense.checkpoints.length > 2 * trace.checkpoints.length, `${dense.checkpoints.length} checkpoints`);
    verify(dense);
    assert.equal(hex(dense.checkpoints.at(-1)!.digest), hex(trace.checkpoints.at(-1)!.digest), 'the same end');
    const inner = dense.checkpoints.filter(({ position }) => position > 0 && position < trace.replayableTo);
    const expected = digestsAlong(
      trace,
      inner.map(({ position }) => position),
      () => 2_000_000,
    );
    for (const { position, digest } of inner) assert.equal(hex(digest), expected.get(position), `position ${position}`);
    seeksAgree(dense, 4, 40, 60, anySlice);
  });
  await t.test('the same inputs make the same recording', async () => {
    await record(guest, join(folder, 'again'));
    sameRecording(open(t, join(folder, 'again')), trace);
  });
  await t.test('other entropy makes another one', async () => {
    await record(embeddedGuest(8), join(folder, 'other'));
    const other = open(t, join(folder, 'other'));
    assert.notEqual(hex(other.checkpoints.at(-1)!.digest), hex(trace.checkpoints.at(-1)!.digest));
  });
});

test('the embedded guest with time from the host', async (t) => {
  const path = join(scratch(t), 'host');
  const recorded = await record(embeddedGuest(9), path, { clock: 'host' });
  assert.equal(recorded.end.reason, 'power-off', recorded.output);
  const trace = open(t, path);
  assert.ok((trace.statistics().inputs.clock ?? 0) > 2, 'the clock was read');
  verify(trace);
  verify(trace, { sliceSteps: 12_345 });
  seeksAgree(trace, 1, 30, 30, longSlice);
});

test('keys at any moment, and a guest that waits for them in real time', async (t) => {
  const path = join(scratch(t), 'typed');
  const guest = { ...embeddedGuest(11), script: [] };
  const random = new Random(3);
  const keys = 'help\rsum 5000\rrun primes 500\rzzz\x15work 5 2\recho \x7f\x7f one two\rsleep 3\rspawn fp 300\rharts\r';
  const recorded = await record(guest, path, {
    interactive: true,
    started: (session) => {
      let typed = 0;
      // More than the port's buffer holds, in lumps, at moments that nobody planned.
      const type = () => {
        const lump = typed < keys.length ? keys.slice(typed, typed + 1 + random.below(40)) : '\rpoweroff\r';
        typed += lump.length;
        session.type(Buffer.from(lump, 'latin1'));
        if (typed <= keys.length) setTimeout(type, random.below(12));
        else session.endInput();
      };
      setTimeout(type, 5);
    },
  });
  assert.equal(recorded.end.reason, 'power-off', recorded.output);
  const trace = open(t, path);
  assert.ok((trace.statistics().inputs.console ?? 0) > 3, 'keys came in several lumps');
  verify(trace);
  verify(trace, { sliceSteps: 4097 });
  seeksAgree(trace, 2, 30, 30, longSlice);
});

test('an input longer than the console holds enters at the same positions, however slow the host', async (t) => {
  const folder = scratch(t);
  const guest = { ...embeddedGuest(13), script: [] };
  // The guest takes it as fast as it comes and loses most of it: it ends waiting for more.
  const input = Buffer.from(Array.from({ length: 20_000 }, (_, i) => `echo line ${i} of many\n`).join(''));
  const random = new Random(8);
  let writes = 0;
  const slow = () => {
    // A terminal that is slow now and then makes the session's spells shorter.
    if (++writes % 4000 === 0) for (const stop = performance.now() + 30; performance.now() < stop; );
    return longSlice(random);
  };
  const fast = await record(guest, join(folder, 'fast'), { input });
  await record(guest, join(folder, 'slow'), { input, slices: slow });
  assert.match(fast.end.message ?? '', /waits for an interrupt that cannot come/);
  const trace = open(t, join(folder, 'fast'));
  assert.ok((trace.statistics().inputs.console ?? 0) > 2, 'the input came in several parts');
  sameRecording(open(t, join(folder, 'slow')), trace);
  verify(trace);
});

for (const harts of [1, 4]) {
  test(`Debian's kernel, ${harts} hart${harts > 1 ? 's' : ''}: the same laws at fewer points`, async (t) => {
    const cache = needGuest(t);
    if (!cache) return;
    const folder = scratch(t);
    const guest = debianShell(cache, harts, 21);
    const recorded = await record(guest, join(folder, 'first'));
    assert.equal(recorded.end.reason, 'power-off', recorded.output);
    const trace = open(t, join(folder, 'first'));
    await t.test('a run without a recorder', () => plainRunAgrees(guest, trace));
    await t.test('a recording in other slices is the same recording', async () => {
      const random = new Random(6);
      await record(guest, join(folder, 'again'), { slices: () => longSlice(random) });
      sameRecording(open(t, join(folder, 'again')), trace);
    });
    await t.test('seeks forward and backward', () => seeksAgree(trace, harts, 12, 20, longSlice));
  });
}
