import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { UserError } from '../../src/base/assert.ts';
import { Random } from '../../src/base/random.ts';
import { ByteReader, ByteWriter } from '../../src/trace/bytes.ts';
import { ContentTable } from '../../src/trace/content-table.ts';
import { decodeJournal, encodeJournal, type JournalEntry } from '../../src/trace/journal.ts';
import { decode } from '../../src/trace/schema.ts';
import {
  expectedPages,
  HEADER,
  journalBatch,
  MemoryFile,
  makeSample,
  open,
  readAll,
  type SampleCheckpoint,
  writeSample,
} from './sample.ts';

test('varints keep every whole number up to 2^53 - 1 and every 64-bit value, as protobuf writes them', () => {
  const random = new Random(1);
  const edges = [0, 1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 35, 2 ** 49, 2 ** 53 - 1];
  for (let i = 0; i < 2000; i++) edges.push(Math.floor(random.u32() * 2 ** random.below(22)));
  const ours = new ByteWriter(1);
  const theirs = protobuf.Writer.create();
  for (const value of edges) {
    ours.varint(value);
    ours.varint64(value >>> 0, Math.floor(value / 2 ** 32));
    theirs.uint64(value).uint64(value);
  }
  assert.deepEqual(Buffer.from(ours.view()), Buffer.from(theirs.finish()));
  const reader = new ByteReader(ours.view());
  for (const value of edges) assert.deepEqual([reader.varint(), reader.varint()], [value, value]);
  assert.ok(reader.done);
  ours.varint64(0xffffffff, 0xffffffff);
  const all = new ByteReader(ours.view().subarray(-10));
  all.varint64();
  assert.deepEqual([all.low, all.high], [0xffffffff, 0xffffffff]);
});

test('the content table finds what was added, through many growths', () => {
  const random = new Random(2);
  const table = new ContentTable(4);
  const words = Uint32Array.from({ length: 4 * 5000 }, (_, i) => (i % 4 < 2 ? random.below(50) : random.u32()));
  for (let i = 0; i < 5000; i++) {
    assert.equal(table.find(words, i * 4), 0);
    table.add(words, i * 4, i + 1);
  }
  for (let i = 0; i < 5000; i++) assert.equal(table.find(words, i * 4), i + 1);
});

test('what is written is what is read, with the index and without', () => {
  for (let seed = 0; seed < 20; seed++) {
    const sample = makeSample(seed);
    const { file, store } = writeSample(sample);
    assert.equal(store.failed, undefined);
    assert.ok(file.closed);
    for (const reader of [open(file.bytes), open(file.bytes, true)]) {
      const all = readAll(reader);
      assert.deepEqual(all.header, HEADER);
      assert.deepEqual(all.inputs, sample.inputs);
      assert.deepEqual(all.journal, sample.journal);
      assert.deepEqual(all.runs, sample.runs);
      for (const [i, taken] of sample.checkpoints.entries()) {
        const read = all.checkpoints[i];
        const { position, timeNs, digest, state } = taken;
        assert.deepEqual([read.position, read.timeNs, read.digest, read.state], [position, timeNs, digest, state]);
        assert.deepEqual(read.pages, expectedPages(taken));
        assert.equal(read.changedPages, read.pages.length);
      }
      assert.equal(all.checkpoints.length, sample.checkpoints.length);
      assert.deepEqual(reader.end, sample.end);
      assert.deepEqual([reader.damage, reader.lostBytes, reader.replayableTo], [undefined, 0, sample.end.position]);
    }
  }
});

test('ranges are half open and numbers count from the start', () => {
  const sample = makeSample(7, 9);
  const reader = open(writeSample(sample).file.bytes);
  const positions = [0, ...sample.inputs.map((i) => i.position), Infinity];
  const random = new Random(7);
  for (let i = 0; i < 100; i++) {
    const [from, to] = [random.pick(positions), random.pick(positions)];
    const inside = (e: { position: number }) => e.position >= from && e.position < to;
    assert.deepEqual([...reader.inputs(from, to)], sample.inputs.filter(inside));
    assert.deepEqual([...reader.journal(from, to)], sample.journal.filter(inside));
    assert.deepEqual([...reader.consoleOutput(from, to)], sample.runs.filter(inside));
  }
  for (const checkpoint of reader.checkpoints) {
    assert.deepEqual([...reader.inputsFrom(checkpoint.inputsBefore)], sample.inputs.slice(checkpoint.inputsBefore));
    assert.deepEqual([...reader.journalFrom(checkpoint.journalBefore)], sample.journal.slice(checkpoint.journalBefore));
    // The sample takes its checkpoints with nothing left at their position: number and position agree.
    const later = (e: { position: number }) => e.position > checkpoint.position;
    assert.ok(sample.inputs.slice(checkpoint.inputsBefore).filter(later).length === sample.inputs.filter(later).length);
  }
});

test('a page content is stored once, and a zero page not at all', () => {
  const sample = makeSample(3, 20);
  const statistics = open(writeSample(sample).file.bytes).statistics();
  const content = (c: SampleCheckpoint, i: number) => Buffer.from(c.contents.subarray(i * 4096, (i + 1) * 4096));
  const different = new Set(
    sample.checkpoints.flatMap((c) => Array.from(c.pages, (_, i) => content(c, i).toString('latin1'))),
  );
  different.delete('\0'.repeat(4096));
  assert.equal(statistics.contents, different.size);
  assert.equal(statistics.chunks.inputs?.records, sample.inputs.length);
  const journalled = Object.values(statistics.journal).reduce((a, b) => a + b, 0);
  assert.equal(journalled, sample.journal.length);
});

test('all pages at a checkpoint are what the changes up to it make', () => {
  const sample = makeSample(8, 530);
  // Few pages, so that checkpoints change, remove and bring back the same ones.
  for (const { checkpoint } of sample.records.filter((r) => r.kind === 'checkpoint')) {
    const parity = checkpoint.digest[0] & 1;
    checkpoint.pages = checkpoint.pages.map((_, i) => i * 2 + parity);
    checkpoint.absent = checkpoint.absent.map((_, i) => i * 6 + 1 - parity);
  }
  const reader = open(writeSample(sample).file.bytes);
  const full = reader.checkpoints.filter((c) => c.full).map((c) => c.index);
  assert.deepEqual(full, [0, 256], 'some checkpoints need no earlier ones');
  const pages = new Map<number, string>();
  for (const checkpoint of reader.checkpoints) {
    assert.equal(reader.fullBefore(checkpoint), checkpoint.index < 256 ? 0 : 256);
    const changes = reader.changes(checkpoint);
    for (const [i, page] of changes.pages.entries()) {
      if (changes.refs[i] < 0) pages.delete(page);
      else pages.set(page, `${changes.refs[i]} ${changes.hashes.subarray(i * 16, i * 16 + 16)}`);
    }
    if (checkpoint.index > 8 && checkpoint.index < 250) continue;
    const at = reader.pagesAt(checkpoint);
    const found = Array.from(at.pages, (p, i) => [p, `${at.refs[i]} ${at.hashes.subarray(i * 16, i * 16 + 16)}`]);
    assert.deepEqual(
      found,
      [...pages].sort(([a], [b]) => a - b),
    );
  }
});

test('the journal is what its schema says', () => {
  const entries: JournalEntry[] = [10, 10, 300].map((position) => ({
    position,
    hart: 1,
    kind: 'timer',
    code: 7,
    value: 5n,
  }));
  const fields = decode('Journal', encodeJournal(journalBatch(entries)));
  assert.deepEqual(fields.sourceTable, [2, 1, 7]);
  assert.deepEqual(fields.sources, [0, 0, 0]);
  assert.deepEqual(fields.valueDeltas, [5, 0, 0]);
});

/** An interrupt-heavy second: ticks on each hart, and device and software interrupts between them. */
function busySecond(random: Random): JournalEntry[] {
  const entries: JournalEntry[] = [];
  const add = (position: number, hart: number, code: number) => {
    const value = 0xffffffff80000000n + BigInt(random.pick([0x1234, 0x1234, random.below(1 << 22) * 2]));
    entries.push({ position, hart, kind: 'interrupt', code, value });
  };
  for (let hart = 0; hart < 4; hart++) {
    for (let tick = 1; tick <= 250; tick++) add(tick * 4_000_000 + random.below(40), hart, 5);
    for (let i = 0; i < 1000; i++) add(random.below(1e9), hart, random.pick([1, 9]));
  }
  return entries.sort((a, b) => a.position - b.position);
}

test('an interrupt takes about 7 bytes before LZ4, an idle tick 4', (t) => {
  const busy = busySecond(new Random(4));
  const bytes = encodeJournal(journalBatch(busy));
  assert.deepEqual(decodeJournal(bytes, busy.length, busy[0].position), busy);
  const ticks = busy.filter((e) => e.code === 5 && e.hart === 0).map((e) => ({ ...e, value: 0xffffffff80001234n }));
  const tickBytes = encodeJournal(journalBatch(ticks));
  assert.deepEqual(decodeJournal(tickBytes, ticks.length, ticks[0].position), ticks);
  const [busyEach, tickEach] = [bytes.length / busy.length, tickBytes.length / ticks.length];
  t.diagnostic(`bytes an entry: busy ${busyEach.toFixed(2)}, idle ticks ${tickEach.toFixed(2)}`);
  assert.ok(busyEach < 7.5, `${busyEach}`);
  assert.ok(tickEach < 4, `${tickEach}`);
});

test('a full disk at any point leaves a trace that replays up to the last flush, or nothing', () => {
  const sample = makeSample(11, 6);
  const whole = writeSample(sample).file.bytes;
  for (let room = 0; room < whole.length; room += 61) {
    const file = new MemoryFile(room);
    const { store, end } = writeSample(sample, file);
    assert.equal(store.failed?.code, 'ENOSPC');
    assert.ok(file.closed && file.length <= room);
    if (!end) {
      assert.throws(() => open(file.bytes), UserError);
      continue;
    }
    const reader = open(file.bytes);
    assert.deepEqual([reader.damage, reader.lostBytes], [undefined, 0]);
    // The end record itself may not fit; then the last flush is the end all the same.
    if (reader.end) assert.deepEqual(reader.end, end);
    assert.equal(reader.replayableTo, end.position);
    const all = readAll(reader);
    assert.deepEqual(all.inputs, sample.inputs.slice(0, all.inputs.length));
    assert.deepEqual(all.journal, sample.journal.slice(0, all.journal.length));
  }
});
