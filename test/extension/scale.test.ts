/** Ranges of the timeline, and their ticks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { along, covers, following, panned, ticks, tickText, zoomed } from '../../vscode-extension/src/scale.ts';

const ALL = { from: 0, to: 1_000_000 };

test('zooming keeps what is under the pointer where it is', () => {
  const range = zoomed(ALL, 0.5, 250_000, ALL);
  assert.deepEqual(range, { from: 125_000, to: 625_000 });
  assert.deepEqual(zoomed(range, 2, 250_000, ALL), ALL);
});

test('no range leaves the bounds, is empty, or has parts of steps', () => {
  const seed = Number(process.env.CHRONOVISOR_SEED ?? 3);
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  for (const bounds of [ALL, { from: 0, to: 2 }, { from: 0, to: 2 ** 53 - 1 }]) {
    let range = bounds;
    for (let i = 0; i < 2000; i++) {
      const at = range.from + random.below(range.to - range.from + 1);
      const span = range.to - range.from;
      const moves = [
        () => zoomed(range, 0.1 + random.below(100) / 20, at, bounds),
        () => panned(range, (random.below(400) - 200) * (span / 50), bounds),
        () => following(range, random.below(bounds.to), bounds),
      ];
      const next = random.pick(moves)();
      assert.ok(Number.isSafeInteger(next.from) && Number.isSafeInteger(next.to), JSON.stringify({ range, next }));
      assert.ok(
        next.from >= bounds.from && next.from < next.to && next.to <= bounds.to,
        JSON.stringify({ range, next }),
      );
      range = next;
    }
  }
});

test('what is followed can be seen, and is left alone if it can be seen already', () => {
  const range = { from: 100, to: 200 };
  assert.equal(following(range, 150, ALL), range);
  assert.deepEqual(following(range, 1000, ALL), { from: 950, to: 1050 });
  assert.deepEqual(following(range, 0, ALL), { from: 0, to: 100 });
  assert.deepEqual(following(range, ALL.to, ALL), { from: 999_900, to: 1_000_000 });
});

test('ticks are round, within the range, and far enough apart', () => {
  const random = new Random(5);
  for (let i = 0; i < 500; i++) {
    const from = random.below(1e9);
    const to = from + 1 + random.below(10 ** (1 + random.below(9)));
    const width = 100 + random.below(2000);
    const all = ticks({ from, to }, width, 110);
    assert.ok(all.length <= width / 110 + 1, `${all.length} ticks of ${width} pixels`);
    for (const [n, value] of all.entries()) {
      assert.ok(value >= from && value <= to);
      if (n === 0) continue;
      const step = value - all[n - 1];
      assert.ok((step / (to - from)) * width >= 109.9, `${step} of ${to - from}`);
      assert.match(String(step), /^[125]0*$/);
    }
  }
  assert.deepEqual(ticks({ from: 0, to: 1000 }, 1000, 110), [0, 200, 400, 600, 800, 1000]);
});

test('labels tell ticks apart, in the unit that fits', () => {
  assert.equal(tickText(1_500_000, 'position', 500_000), '1,500,000');
  assert.equal(tickText(2e9, 'time', 1e9), '2 s');
  assert.equal(tickText(2.5e9, 'time', 5e8), '2.5 s');
  assert.equal(tickText(2_500_000, 'time', 500_000), '2.5 ms');
  assert.equal(tickText(1_234_000, 'time', 2000), '1234 µs');
  for (const step of [1, 2, 5, 10, 2e3, 5e5, 1e7, 5e8, 2e10]) {
    const texts = Array.from({ length: 20 }, (_, i) => tickText(i * step, 'time', step));
    assert.equal(new Set(texts).size, texts.length, texts.join(' '));
  }
});

test('between known pairs everything is on a line', () => {
  const pairs = [
    [0, 0],
    [10, 100],
    [10, 500],
    [20, 600],
  ] as const;
  assert.equal(along(pairs, 5), 50);
  assert.equal(along(pairs, 15), 550);
  assert.equal(along(pairs, -3), 0);
  assert.equal(along(pairs, 99), 600);
  assert.equal(along([], 7), 7);
  assert.deepEqual(
    [-1, 0, 15, 20, 99].map((x) => covers(pairs, x)),
    [false, true, true, true, false],
  );
  assert.equal(covers([], 7), false);
});
