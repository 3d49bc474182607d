/** The overview of a trace says what the trace says, however it is cut; guest time is what the machine's clock shows. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { ConsoleLog } from '../../src/replay/console-log.ts';
import { GuestClock } from '../../src/replay/guest-clock.ts';
import { type OverviewLane, overview } from '../../src/replay/overview.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { CHECKOUT } from '../cli/small.ts';

const trace = TraceReader.open(join(CHECKOUT, 'traces/heisenbug-v2.trace'));
const clock = new GuestClock(trace);
const log = new ConsoleLog(trace);
const END = trace.replayableTo;

const total = ({ buckets }: OverviewLane) => buckets.reduce((sum, { count }) => sum + count, 0);

/** Events of the journal by lane, straight from the file. */
function journalCounts(wanted: (position: number) => boolean): Map<string, number[]> {
  const lanes = new Map<string, number[]>();
  for (const { position, kind, hart } of trace.journal()) {
    if (!wanted(position)) continue;
    const key = `${kind} ${hart}`;
    lanes.set(key, [...(lanes.get(key) ?? []), position]);
  }
  return lanes;
}

test('each event of a range is in one bucket, whatever the range and the number of buckets', () => {
  const seed = Number(process.env.CHRONOVISOR_SEED ?? 7);
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  for (let round = 0; round < 60; round++) {
    const axis = round % 2 === 0 ? 'position' : 'time';
    const last = axis === 'time' ? trace.replayableToNs : END;
    const from = random.below(last);
    const to = from + 1 + random.below(last + 1 - from);
    const [buckets, itemsMax] = [1 + random.below(300), random.below(20)];
    const value = (position: number) => (axis === 'time' ? clock.timeAt(position) : position);
    const expected = journalCounts((position) => value(position) >= from && value(position) < to);
    const { lanes } = overview(trace, clock, log, { axis, from, to, buckets, itemsMax });
    const told = lanes.filter(({ kind }) => /interrupt|trap|timer|sbi/.test(kind));
    assert.deepEqual(told.map(({ kind, hart }) => `${kind} ${hart}`).sort(), [...expected.keys()].sort());
    for (const lane of told) {
      const positions = expected.get(`${lane.kind} ${lane.hart}`)!;
      const where = `round ${round}, ${lane.kind} of hart ${lane.hart}`;
      assert.equal(lane.count, positions.length, where);
      assert.equal(total(lane), positions.length, where);
      assert.equal(lane.items !== undefined, positions.length <= itemsMax, where);
      if (lane.items)
        assert.deepEqual(
          lane.items.map(({ position }) => position),
          positions,
          where,
        );
      for (const { index, position } of lane.buckets) {
        assert.ok(index >= 0 && index < buckets, where);
        assert.equal(Math.floor(((value(position) - from) / (to - from)) * buckets), index, where);
      }
    }
  }
});

test("turns of a drawn schedule are the harts' shares of all steps", () => {
  const [first] = [...trace.inputs()].filter(({ input }) => input.kind === 'turn');
  for (const buckets of [1, 7, 1000]) {
    const { lanes } = overview(trace, clock, log, { axis: 'position', from: 0, to: END, buckets, itemsMax: 5 });
    const turns = lanes.filter(({ kind }) => kind === 'turn');
    assert.deepEqual(
      turns.map(({ hart }) => hart),
      [0, 1, 2, 3],
    );
    const steps = turns.reduce((sum, lane) => sum + total(lane), 0);
    assert.ok(Math.abs(steps - (END - first.position)) <= buckets * turns.length, `${steps} steps of ${END}`);
    for (const lane of turns) assert.equal(lane.items, undefined);
  }
});

test('a turn that began before the range counts for its part within', () => {
  const turns = [...trace.inputs()].filter(({ input }) => input.kind === 'turn');
  const long = turns.findIndex(({ position }, i) => (turns[i + 1]?.position ?? END) - position > 1000);
  const { position, input } = turns[long];
  const range = { axis: 'position', from: position + 100, to: position + 600 } as const;
  const { lanes } = overview(trace, clock, log, { ...range, buckets: 5, itemsMax: 0 });
  const [lane] = lanes.filter(({ kind }) => kind === 'turn');
  assert.equal(input.kind === 'turn' && input.hart, lane.hart);
  assert.deepEqual(
    lane.buckets,
    [0, 1, 2, 3, 4].map((index) => ({ index, count: 100, position })),
  );
});

test("guest time is the machine's, to a tick, wherever the journal read the timer", () => {
  const timeline = new Timeline(trace);
  let seen = 0;
  for (const { position, kind } of trace.journal()) {
    if (kind !== 'timer' || seen++ % 5 !== 0) continue;
    timeline.seek(position);
    const [told, real] = [clock.timeAt(position), timeline.machine.clock.now()];
    assert.ok(Math.abs(told - real) <= 100, `position ${position}: ${told} ns told, ${real} ns`);
  }
  assert.ok(seen > 20, `${seen} readings of the timer`);
  assert.equal(clock.timeAt(END), trace.replayableToNs);
  let before = 0;
  for (let position = 0; position <= END; position += 12_345) {
    const timeNs = clock.timeAt(position);
    assert.ok(timeNs >= before);
    before = timeNs;
    assert.ok(Math.abs(clock.positionAt(timeNs) - position) <= 1, `position ${position}`);
  }
});

test('console lines are those of the recording, and those that had been sent by a position', () => {
  const { console: device } = trace.header.machine;
  const runs = [...trace.consoleOutput()].filter((run) => run.device === device);
  const whole = Buffer.concat(runs.map(({ bytes }) => bytes)).toString();
  const expected = whole
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => line.replace(/\r+$/, ''));
  const { lines, whole: all } = log.around(END, 2 ** 20);
  assert.equal(all, true);
  assert.deepEqual(
    lines.map(({ text }) => text),
    expected,
  );
  assert.deepEqual([...log.lines(0, END)], lines);
  for (const { position } of runs.filter((_, i) => i % 3 === 0)) {
    const sent = Buffer.from(log.before(position, 2 ** 20))
      .toString()
      .split('\n');
    const { shown } = log.around(position, 2 ** 20);
    assert.deepEqual(shown, { lines: sent.length - 1, characters: sent.at(-1)!.length }, `position ${position}`);
  }
  // Fewer bytes: the last lines that are whole.
  const few = log.around(END, 100);
  assert.equal(few.whole, false);
  assert.deepEqual(few.lines, lines.slice(-few.lines.length));
  assert.ok(few.lines.length > 0 && few.lines.length < lines.length);
  const [, , third, fourth] = lines;
  assert.deepEqual([...log.lines(third.position, fourth.position)], [third]);
  assert.deepEqual([...log.lines(third.position + 1, fourth.position)], []);
});

test('ranges and counts that make no sense are refused', () => {
  const whole = { axis: 'position', from: 0, to: END, buckets: 10, itemsMax: 0 } as const;
  for (const wrong of [
    { from: 5, to: 5 },
    { to: END + 2 },
    { from: -1 },
    { from: Number.NaN },
    { buckets: 0 },
    { buckets: 2.5 },
    { itemsMax: 10_001 },
  ]) {
    assert.throws(
      () => overview(trace, clock, log, { ...whole, ...wrong }),
      { name: 'UserError' },
      JSON.stringify(wrong),
    );
  }
});
