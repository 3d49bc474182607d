/** The traces that are kept forever replay bit for bit, in every tier. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random } from '../../src/base/random.ts';
import { Replayer } from '../../src/replay/replayer.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { verify } from '../../src/replay/verify.ts';
import { CHUNK_HEADER_BYTES } from '../../src/trace/container.ts';
import { MemorySource } from '../../src/trace/file.ts';
import { type ConsoleRun, FORMAT_VERSION, type JournalEntry, TraceReader } from '../../src/trace/index.ts';

const folder = fileURLToPath(new URL('../../../traces', import.meta.url));
const traces = readdirSync(folder).filter((file) => file.endsWith('.trace'));

test('every format version has a golden trace', () => {
  for (let version = 1; version <= FORMAT_VERSION; version++) {
    assert.ok(
      traces.some((file) => file.endsWith(`-v${version}.trace`)),
      `a trace of format ${version}`,
    );
  }
});

for (const file of traces) {
  test(`${file} replays`, () => {
    const trace = TraceReader.open(join(folder, file), { check: true });
    assert.equal(trace.damage, undefined);
    assert.equal(trace.end?.exitCode, file.startsWith('pending') ? 0 : 1);
    const result = verify(trace);
    assert.equal(result.steps, trace.end?.position);
    assert.equal(result.digests, trace.checkpoints.length);
    assert.ok(result.journalEntries > 50);
    assert.ok(result.consoleBytes > 100);
  });

  test(`${file} is the same wherever one comes from`, () => {
    const trace = TraceReader.open(join(folder, file));
    const straight = new Replayer(trace);
    const random = new Random(1);
    const positions = Array.from({ length: 12 }, () => random.below(trace.replayableTo)).sort((a, b) => a - b);
    const expected = new Map<number, string>();
    for (const position of positions) {
      straight.runTo(position);
      straight.settleChanges();
      expected.set(position, Buffer.from(straight.machine.digest()).toString('hex'));
    }
    const seeking = new Timeline(trace);
    seeking.machine.cpu.jit.hotAfter = 2;
    for (let i = 0; i < 40; i++) {
      const position = random.pick(positions);
      seeking.machine.sliceSteps = 1 + random.below(100_000);
      seeking.seek(position);
      assert.equal(Buffer.from(seeking.machine.digest()).toString('hex'), expected.get(position), `at ${position}`);
    }
    // What the digests say of pages that nobody has looked at is true.
    seeking.machine.pages.fetchAll();
  });
}

test('a replay that lets go of the checkpoint it began with copies nothing, and can still go to others', () => {
  const trace = TraceReader.open(join(folder, 'heisenbug-v2.trace'));
  const [kept, gone] = [new Replayer(trace), new Replayer(trace)];
  gone.forgetLoaded();
  for (const replayer of [kept, gone]) {
    replayer.machine.pages.fetchAll();
    replayer.runTo(trace.replayableTo);
  }
  const present = gone.machine.pages.presentPages().length;
  assert.equal(gone.machine.pages.pool.used, present, 'a frame for each page, and none for what was there before');
  assert.ok(kept.machine.pages.pool.used > present);
  const [first, last] = [trace.checkpoints[0], trace.checkpoints.at(-1)!];
  for (const checkpoint of [last, first, last]) {
    gone.forgetLoaded();
    gone.load(checkpoint);
    gone.settleAt(checkpoint);
    assert.deepEqual(
      Buffer.from(gone.machine.digest()),
      Buffer.from(checkpoint.digest),
      `checkpoint ${checkpoint.index}`,
    );
  }
});

function* each<T>(items: readonly T[]): Generator<T> {
  yield* items;
}

test('every field of a journal entry and of console output is held against the recording', () => {
  const open = () => TraceReader.open(join(folder, 'pending-v4.trace'));
  const differs = (change: (trace: TraceReader) => void, what: RegExp) => {
    const trace = open();
    change(trace);
    assert.throws(() => verify(trace), what);
  };
  const entries = [...open().journal()];
  const at = entries.length >> 1;
  const { position, hart, kind, code, value } = entries[at];
  const journals: [JournalEntry[], string][] = [
    [[{ position, hart, kind, code, value: value + 1n }], 'recorded'],
    [[{ position, hart, kind, code: code ^ 1, value }], 'recorded'],
    [[{ position, hart: hart + 1, kind, code, value }], 'recorded'],
    [[{ position: position - 1, hart, kind, code, value }], 'recorded'],
    [[{ position, hart, kind: kind === 'trap' ? 'timer' : 'trap', code, value }], 'recorded'],
    [[], 'recorded'],
  ];
  for (const [instead, text] of journals) {
    const other = entries.toSpliced(at, 1, ...instead);
    differs(
      (trace) => {
        trace.journal = () => each(other);
      },
      new RegExp(
        `replay differs at position \\d+: ${text} .*; replayed ${kind} ${code} of hart ${hart} at position ${position},`,
      ),
    );
  }
  differs(
    (trace) => {
      trace.journal = () => each(entries.slice(0, at));
    },
    new RegExp(`differs at position ${position}: recorded nothing more; replayed ${kind}`),
  );
  differs((trace) => {
    trace.journal = () => each([...entries, { ...entries.at(-1)!, code: 77 }]);
  }, /recorded .* 77 of hart .*; replayed nothing more/);

  const runs = [...open().consoleOutput()];
  const run = runs[runs.length >> 1];
  const others: ConsoleRun[] = [
    { ...run, bytes: run.bytes.map((byte) => byte ^ 1) },
    { ...run, bytes: new Uint8Array([...run.bytes, 33]) },
    { ...run, device: 'console1' },
    { ...run, position: run.position - 1 },
  ];
  for (const other of others) {
    differs(
      (trace) => {
        trace.consoleOutput = () => each(runs.toSpliced(runs.length >> 1, 1, other));
      },
      new RegExp(`recorded output of .*; replayed output of ${run.device} at position ${run.position}:`),
    );
  }
});

test('a trace replays on the revision of the machine that it was recorded on', () => {
  const other = TraceReader.open(join(folder, 'pending-v4.trace'));
  assert.equal(other.header.machine.revision, 1);
  other.header.machine.revision = 0;
  assert.throws(() => verify(other), /replay differs at position \d+/);
});

test('a timeline keeps to its memory, and goes to the same states with little of it', () => {
  const trace = TraceReader.open(join(folder, 'heisenbug-v2.trace'));
  const visit = (memoryBudget: number) => {
    const timeline = new Timeline(trace, { memoryBudget });
    const random = new Random(5);
    let most = 0;
    const digests = Array.from({ length: 30 }, () => {
      timeline.seek(random.below(trace.replayableTo));
      // Code stays, however much there is, and states make room for it.
      most = Math.max(most, timeline.memoryBytes - timeline.machine.cpu.codeBytes);
      return Buffer.from(timeline.machine.digest()).toString('hex');
    });
    return { most, digests };
  };
  const [plenty, little] = [visit(2 ** 31), visit(2 ** 22)];
  assert.deepEqual(little.digests, plenty.digests);
  assert.ok(plenty.most > 2 ** 23, `${plenty.most} bytes when there is room`);
  // What is written after the last state was kept comes on top.
  assert.ok(little.most < 2 ** 22 + 2 ** 18, `${little.most} bytes`);
});

test('damage in pages is met by who needs them, and leads nowhere else', () => {
  const bytes = readFileSync(join(folder, 'heisenbug-v2.trace'));
  const open = () => new TraceReader(new MemorySource(bytes), 'damaged.trace');
  const end = open().replayableTo;
  const stateAt = (timeline: Timeline, position: number) => {
    timeline.seek(position);
    return Buffer.from(timeline.machine.digest()).toString('hex');
  };
  const expected = stateAt(new Timeline(open()), end);
  const damaged = open()
    .chunks()
    .filter(({ type }) => type === 'pages')
    .map(({ offset }) => offset + CHUNK_HEADER_BYTES);
  const damage = () => {
    for (const offset of damaged) bytes[offset] ^= 0xff;
  };
  damage();
  const timeline = new Timeline(open());
  for (const position of [1000, end - 1000, 5]) {
    assert.throws(() => timeline.seek(position), /damaged\.trace: damaged at offset \d+ .*checksum/, `at ${position}`);
  }
  assert.throws(() => verify(open()), /damaged at offset/);
  damage();
  timeline.seek(0);
  assert.equal(stateAt(timeline, end), expected, 'a step that could not be taken has left nothing behind');
});
