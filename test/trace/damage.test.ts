import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { UserError } from '../../src/base/assert.ts';
import { Random } from '../../src/base/random.ts';
import type { TraceReader } from '../../src/trace/reader.ts';
import { makeSample, open, readAll, writeSample } from './sample.ts';

const sample = makeSample(21, 3);
const whole = writeSample(sample).file.bytes;
const expected = readAll(open(whole));

type Part = keyof Omit<typeof expected, 'header'>;
const PARTS: Part[] = ['inputs', 'journal', 'runs', 'checkpoints'];

/** What can be read is what was written; what cannot is a `UserError` that names the file. Returns what was refused. */
function readDamaged(data: Uint8Array, check: boolean): string[] {
  const refused: string[] = [];
  const guarded = (action: () => void) => {
    try {
      action();
    } catch (error) {
      assert.ok(error instanceof UserError, String(error instanceof Error ? error.stack : error));
      assert.match(error.message, /test\.trace/);
      refused.push(error.message);
    }
  };
  guarded(() => {
    const reader: TraceReader = open(data, check);
    assert.deepEqual(reader.header, expected.header);
    guarded(() => comparePrefix('inputs', [...reader.inputs()]));
    guarded(() => comparePrefix('journal', [...reader.journal()]));
    guarded(() => comparePrefix('runs', [...reader.consoleOutput()]));
    guarded(() => comparePrefix('checkpoints', readAll(reader).checkpoints));
    if (reader.damage) refused.push(reader.damage.message);
    assert.ok(reader.end === undefined || reader.end.position === sample.end.position);
  });
  return refused;
}

function comparePrefix(part: Part, read: unknown[]) {
  assert.deepEqual(read, expected[part].slice(0, read.length));
}

test('every prefix of a trace is refused or gives a prefix of the events', () => {
  let previous = new Map<Part, number>(PARTS.map((p) => [p, 0]));
  for (let length = 0; length < whole.length; length++) {
    let reader: TraceReader;
    try {
      reader = open(whole.subarray(0, length));
    } catch (error) {
      assert.ok(error instanceof UserError, String(error));
      continue;
    }
    // Reading everything at every byte would take minutes; the counts change at few of them.
    const counts = new Map<Part, number>();
    const statistics = reader.statistics().chunks;
    counts.set('inputs', statistics.inputs?.records ?? 0);
    counts.set('journal', statistics.journal?.records ?? 0);
    counts.set('runs', statistics.console?.records ?? 0);
    counts.set('checkpoints', reader.checkpoints.length);
    if (PARTS.every((p) => counts.get(p) === previous.get(p))) continue;
    for (const p of PARTS) assert.ok(counts.get(p)! >= previous.get(p)!);
    previous = counts;
    assert.deepEqual(
      readDamaged(whole.subarray(0, length), false).filter((m) => /repair/.test(m)),
      [],
    );
  }
  for (const p of PARTS) assert.equal(previous.get(p), expected[p].length);
});

test('flipped bits never give wrong data: thousands of them', () => {
  const random = new Random(22);
  for (let i = 0; i < 3000; i++) {
    const data = whole.slice();
    const at = random.below(data.length);
    data[at] ^= 1 << random.below(8);
    const refused = readDamaged(data, i % 2 === 0);
    // With a good index, marks are never read; a full check reads everything.
    if (i % 2 === 0) assert.notEqual(refused.length, 0, `byte ${at} changed unnoticed`);
  }
});

test('cuts, insertions, swaps and garbage never give wrong data', () => {
  const random = new Random(23);
  for (let i = 0; i < 2000; i++) {
    const a = random.below(whole.length);
    const b = Math.min(whole.length, a + random.below(random.pick([8, 200, 20_000])) + 1);
    const middle = random.pick([
      new Uint8Array(0),
      whole.slice(b, b + (b - a)),
      Uint8Array.from({ length: b - a }, () => random.below(256)),
      new Uint8Array(b - a),
      Buffer.concat([whole.slice(a, b), whole.slice(a, b)]),
    ]);
    const data = new Uint8Array(Buffer.concat([whole.slice(0, a), middle, whole.slice(b)]));
    const refused = readDamaged(data, i % 2 === 0);
    // Zeros may have stood there before, and a cut at the end leaves a good shorter trace.
    const changed = Buffer.compare(data, whole.subarray(0, data.length)) !== 0;
    if (changed && i % 2 === 0) assert.notEqual(refused.length, 0, `change at ${a}..${b} unnoticed`);
  }
});

test('chunks that were moved, doubled or brought from another trace are not taken', () => {
  const chunks = open(whole).chunks();
  const place = (i: number) => [chunks[i].offset, chunks[i].offset + chunks[i].storedBytes + 48] as const;
  const marks = chunks.filter((c) => c.type === 'mark');
  const [a, b] = place(marks[0].sequence);
  const doubled = new Uint8Array(Buffer.concat([whole.subarray(0, b), whole.subarray(a, b), whole.subarray(b)]));
  assert.match(open(doubled, true).damage!.message, /chunk \d+ expected, found chunk \d+/);
  const without = new Uint8Array(Buffer.concat([whole.subarray(0, a), whole.subarray(b)]));
  assert.match(open(without, true).damage!.message, /chunk \d+ expected/);
});

/** Corrupts with all checksums made good again, as an attacker would: bounded and refused, or read as something else. */
test('good checksums over nonsense do no harm', () => {
  const random = new Random(24);
  const chunks = open(whole).chunks();
  const seed = new DataView(whole.buffer).getUint32(16, true);
  for (let i = 0; i < 3000; i++) {
    const data = whole.slice();
    const view = new DataView(data.buffer);
    const { offset, storedBytes } = random.pick(chunks);
    for (let n = random.below(3); n >= 0; n--) {
      const inHeader = storedBytes === 0 || random.below(3) === 0;
      const at = inHeader ? offset + 4 + random.below(36) : offset + 48 + random.below(storedBytes);
      data[at] = random.pick([0, 255, 128, random.below(256)]);
    }
    view.setUint32(offset + 40, crc32(data.subarray(offset + 48, offset + 48 + storedBytes)), true);
    view.setUint32(offset + 44, crc32(data.subarray(offset, offset + 44), seed), true);
    for (const check of [false, true]) {
      try {
        const reader = open(data, check);
        for (const read of [() => [...reader.inputs()], () => readAll(reader), () => reader.statistics()]) {
          try {
            read();
          } catch (error) {
            assert.ok(error instanceof UserError, String(error instanceof Error ? error.stack : error));
          }
        }
      } catch (error) {
        assert.ok(error instanceof UserError, String(error instanceof Error ? error.stack : error));
      }
    }
  }
});

test('a newer format, another file and an empty one are told apart', () => {
  const newer = whole.slice();
  const view = new DataView(newer.buffer);
  view.setUint32(8, 9, true);
  view.setUint32(20, crc32(newer.subarray(0, 20)), true);
  assert.throws(() => open(newer), /written by a newer Chronovisor \(format 9, this one reads up to 4\): upgrade/);
  assert.throws(() => open(new Uint8Array(0)), /is not a trace/);
  assert.throws(() => open(new TextEncoder().encode('#!/bin/sh\necho hello, this is no trace\n')), /is not a trace/);
  assert.throws(() => open(whole.subarray(0, 40)), /header .* damaged/);
});
