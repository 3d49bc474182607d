import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../src/base/assert.ts';
import { ContentNumbers } from '../../src/trace/content-table.ts';
import { JOURNAL_KINDS } from '../../src/trace/journal.ts';
import { TraceReader } from '../../src/trace/reader.ts';
import { repair } from '../../src/trace/repair.ts';
import { TraceWriter } from '../../src/trace/writer.ts';
import { assertOnDisk, callsOf } from '../support/file-calls.ts';
import {
  digestOf,
  expectedPages,
  HEADER,
  knownOf,
  makeSample,
  readAll,
  type SampleRecord,
  sourceOf,
  writeSample,
} from './sample.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chronovisor-trace-'));
after(() => fs.rmSync(folder, { recursive: true }));
const file = (name: string) => path.join(folder, name);

function feed(writer: TraceWriter, record: SampleRecord) {
  switch (record.kind) {
    case 'inputs':
      for (const { position, input } of record.entries) writer.input(position, input);
      break;
    case 'mark':
      writer.flush(record.mark.position, record.mark.timeNs);
      break;
    case 'checkpoint':
      writer.checkpoint(sourceOf(record.checkpoint));
      break;
    default:
      break;
  }
}

/** The writer wants one order over all streams; the sample has it by stream. */
function record(writer: TraceWriter, seed: number) {
  const sample = makeSample(seed, 12);
  const events = [
    ...sample.inputs.map((e) => ({ position: e.position, order: 1, go: () => writer.input(e.position, e.input) })),
    ...sample.journal.map((e) => ({ position: e.position, order: 1, go: () => writer.journal(e) })),
    ...sample.runs.map((e) => ({
      position: e.position,
      order: 1,
      go: () => writer.console(e.position, e.device, e.bytes),
    })),
    ...sample.records
      .filter((r) => r.kind === 'mark')
      .map((r) => ({ position: r.mark.position, order: 2, go: () => feed(writer, r) })),
    ...sample.records
      .filter((r) => r.kind === 'checkpoint')
      .map((r) => ({ position: r.checkpoint.position, order: 3, go: () => feed(writer, r) })),
  ];
  const start = events.findIndex((e) => e.order === 3);
  events[start].order = 0;
  events.sort((a, b) => a.position - b.position || a.order - b.order);
  for (const event of events) event.go();
  return sample;
}

test('a trace written through the worker reads back, and a whole one needs no repair', async () => {
  const writer = new TraceWriter(file('whole.trace'), HEADER);
  const sample = record(writer, 31);
  await writer.drain();
  assert.equal(writer.backlogBytes, 0);
  const closed = await writer.close(sample.end);
  assert.equal(closed.failed, undefined);
  assert.equal(closed.bytes, fs.statSync(file('whole.trace')).size);
  const reader = TraceReader.open(file('whole.trace'));
  const all = readAll(reader);
  assert.deepEqual(all.inputs, sample.inputs);
  assert.deepEqual(all.journal, sample.journal);
  assert.deepEqual(all.runs, sample.runs);
  for (const [i, c] of sample.checkpoints.entries()) assert.deepEqual(all.checkpoints[i].pages, expectedPages(c));
  assert.deepEqual(reader.end, sample.end);
  reader.close();
  assert.equal(repair(file('whole.trace')).repaired, false);
});

test('an existing file is refused; with force it stays until there is something to replace it', async () => {
  const name = file('old.trace');
  fs.writeFileSync(name, 'precious');
  assert.throws(() => new TraceWriter(name, HEADER), UserError);
  const vain = new TraceWriter(name, HEADER, { force: true });
  await assert.rejects(vain.close(makeSample(1).end), /before its first checkpoint/);
  assert.equal(fs.readFileSync(name, 'utf8'), 'precious');
  const writer = new TraceWriter(name, HEADER, { force: true });
  const sample = record(writer, 32);
  await writer.close(sample.end);
  assert.equal(TraceReader.open(name).replayableTo, sample.end.position);
  assert.deepEqual(
    fs.readdirSync(folder).filter((f) => f.includes('old.trace')),
    ['old.trace'],
  );
  assert.throws(() => new TraceWriter(file('no/such/folder'), HEADER), /cannot write .*no such file or folder/);
  assert.throws(() => new TraceWriter('/dev/null', HEADER, { force: true }), /not a regular file/);
});

test('a recording that fills the disk is told so at once, and closes as a trace', async () => {
  const name = file('full.trace');
  const writer = new TraceWriter(name, HEADER, { maxBytes: 40_000 });
  writer.checkpoint(sourceOf(makeSample(5).checkpoints[0]));
  let position = 0;
  const noise = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7919) >> 3);
  const stop = Date.now() + 20_000;
  // No await: the failure must show in the middle of a slice.
  while (!writer.failed && Date.now() < stop) {
    noise[position % 4096] ^= position++;
    writer.input(position, { kind: 'block', disk: 0, block: position, data: noise });
    if (writer.backlogBytes < 1 << 20 && !writer.failed) {
      try {
        writer.flush(position, position);
      } catch {}
    }
  }
  assert.equal(writer.failed?.code, 'EFBIG');
  assert.throws(() => writer.flush(position, position), /full\.trace: the trace would grow beyond 40000 bytes/);
  const closed = await writer.close({ position, timeNs: position, reason: 'until' });
  assert.equal(closed.end.reason, 'disk-full');
  assert.equal(closed.failed?.code, 'EFBIG');
  const reader = TraceReader.open(name);
  assert.equal(reader.replayableTo, closed.end.position);
  assert.equal(reader.damage, undefined);
});

test('after kill -9 everything up to the last flush replays', () => {
  const name = file('killed.trace');
  const child = spawnSync(process.execPath, [fileURLToPath(new URL('./killed.js', import.meta.url)), name]);
  assert.equal(child.signal, 'SIGKILL', String(child.stderr));
  const reader = TraceReader.open(name);
  assert.equal(reader.end, undefined);
  assert.equal(reader.damage, undefined);
  assert.equal(reader.replayableTo, 1000);
  assert.equal([...reader.inputs()].length, 10);
  reader.close();
  const fixed = repair(name, file('fixed.trace'));
  assert.ok(fixed.repaired);
  assert.equal(TraceReader.open(name).end, undefined);
  assert.deepEqual(TraceReader.open(file('fixed.trace')).end, { position: 1000, timeNs: 2000, reason: 'interrupted' });
  assert.equal(repair(name).repaired, true);
  assert.deepEqual(fs.readFileSync(name), fs.readFileSync(file('fixed.trace')));
});

test('repair keeps what comes before the damage, and says what it lost', () => {
  const sample = makeSample(41, 8);
  const whole = writeSample(sample).file.bytes;
  const name = file('damaged.trace');
  for (const part of [0.3, 0.6, 0.99]) {
    const data = whole.slice();
    data[Math.floor(data.length * part)] ^= 4;
    fs.writeFileSync(name, data);
    const done = repair(name, file('repaired.trace'), { force: true });
    assert.ok(done.repaired && done.damage && done.lostBytes > 0);
    assert.deepEqual(fs.readFileSync(name), Buffer.from(data));
    const reader = TraceReader.open(file('repaired.trace'), { check: true });
    assert.deepEqual([reader.damage, reader.lostBytes], [undefined, 0]);
    assert.equal(reader.replayableTo, done.replayableTo);
    const all = readAll(reader);
    assert.deepEqual(all.inputs, sample.inputs.slice(0, all.inputs.length));
  }
  assert.throws(() => repair(name, name), /is the trace itself/);
  assert.throws(() => repair(name, file('repaired.trace')), /exists/);
  fs.writeFileSync(name, whole.subarray(0, 200));
  assert.throws(() => repair(name), /nothing to replay/);
  assert.equal(fs.statSync(name).size, 200);
  assert.throws(() => repair(file('missing')), /cannot read .*no such file or folder/);
});

test('a repaired trace is on the disk before it takes the place of another', async (t) => {
  const whole = writeSample(makeSample(42, 8)).file.bytes;
  const [cut, out] = [file('cut.trace'), file('replaced.trace')];
  fs.writeFileSync(cut, whole.subarray(0, Math.floor(whole.length * 0.7)));
  fs.writeFileSync(out, whole);
  assertOnDisk(await callsOf(t, () => repair(cut, out, { force: true })), { replaces: true });
  assertOnDisk(await callsOf(t, () => repair(cut)), { replaces: false });
  assert.deepEqual(fs.readFileSync(cut), fs.readFileSync(out));
});

test('an event costs the recording thread next to nothing', async (t) => {
  const writer = new TraceWriter(file('cost.trace'), HEADER);
  writer.checkpoint(sourceOf(makeSample(5).checkpoints[0]));
  const count = 200_000;
  const byte = new Uint8Array(1);
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    writer.journal({ position: i, hart: i & 3, kind: JOURNAL_KINDS[0], code: 5, value: 0xffffffff80001234n });
    writer.console(i, 'uart0', byte);
  }
  const ns = Number(process.hrtime.bigint() - start) / count / 2;
  const closed = await writer.close({ position: count, timeNs: 0, reason: 'until' });
  t.diagnostic(
    `${ns.toFixed(0)} ns an event; ${(closed.bytes / count).toFixed(2)} bytes for an entry and a byte of console`,
  );
  assert.ok(ns < 10_000, `${ns} ns`);
});

test('hashes, numbers and digests that the thread makes are those of the contents', async () => {
  const sample = makeSample(77, 40);
  const name = file('made.trace');
  const writer = new TraceWriter(name, HEADER);
  // As a branch does: the first ones are known already, and those that are made follow them.
  const renumbered = new ContentNumbers();
  for (const [i, checkpoint] of sample.checkpoints.entries()) {
    if (i >= 5) writer.checkpoint(sourceOf(checkpoint));
    else {
      const { pages, hashes, content, ...rest } = knownOf(checkpoint);
      writer.copyCheckpoint({ ...rest, pages, hashes }, (fresh) => renumbered.number(hashes, content, fresh));
    }
  }
  const { position, timeNs } = sample.checkpoints.at(-1)!;
  await writer.close({ position, timeNs, reason: 'until' });
  const reader = TraceReader.open(name);
  const memory = new Map<number, Uint8Array>();
  for (const [i, { pages, contents, absent, state, digest }] of sample.checkpoints.entries()) {
    for (const page of absent) memory.delete(page);
    for (const [row, page] of pages.entries()) memory.set(page, contents.subarray(row * 4096, row * 4096 + 4096));
    assert.deepEqual(reader.checkpoints[i].digest, i < 5 ? digest : digestOf(memory, state), `checkpoint ${i}`);
  }
  const different = new Set(
    [...sample.checkpoints].flatMap(({ pages, contents }) =>
      Array.from(pages, (_, row) => Buffer.from(contents.subarray(row * 4096, row * 4096 + 4096)).toString('latin1')),
    ),
  );
  different.delete('\0'.repeat(4096));
  assert.equal(reader.statistics().contents, different.size, 'each content is stored once');
  const all = readAll(reader);
  for (const [i, c] of sample.checkpoints.entries()) assert.deepEqual(all.checkpoints[i].pages, expectedPages(c));
  reader.close();
});
