/** A thinned trace is the same recording with fewer places to start from: the same events, the same states at every position. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { verify } from '../../src/replay/verify.ts';
import { gapOfEighth, TraceReader, thin, thinRecording } from '../../src/trace/index.ts';
import { checkpointsToKeep } from '../../src/trace/thinning.ts';
import { assertOnDisk, callsOf } from '../support/file-calls.ts';
import { embeddedGuest, record } from '../support/recording.ts';

test('gaps widen with age and no more, and few checkpoints stay', () => {
  const seed = 71;
  const random = new Random(seed);
  for (let round = 0; round < 200; round++) {
    const positions = [0];
    for (let n = random.below(400); n > 0; n--) positions.push(positions.at(-1)! + 1 + random.below(1000));
    const spacing = 1 + random.below(3000);
    const kept = checkpointsToKeep(positions, gapOfEighth(spacing));
    const end = positions.at(-1)!;
    assert.deepEqual([kept[0], kept.at(-1)], [0, positions.length - 1], `seed ${seed}, round ${round}`);
    for (let i = 1; i < kept.length; i++) {
      const [from, to] = [positions[kept[i - 1]], positions[kept[i]]];
      const allowed = Math.max(spacing, (end - to) / 8);
      const neighbours = kept[i] === kept[i - 1] + 1;
      assert.ok(to > from && (to - from <= allowed || neighbours), `seed ${seed}, round ${round}: ${from} to ${to}`);
      // No two gaps in a row could have been one.
      if (i > 1) assert.ok(to - positions[kept[i - 2]] > Math.min(allowed, spacing), `seed ${seed}, round ${round}`);
    }
  }
  const long = Array.from({ length: 100_000 }, (_, i) => i * 1000);
  assert.ok(checkpointsToKeep(long, gapOfEighth(4000)).length < 200);
});

test('a thinned trace has the same events and the same states', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-thin-'));
  try {
    const [whole, thinned] = ['whole', 'thinned'].map((name) => join(folder, `${name}.trace`));
    // With a reboot in it, after which pages are gone.
    const commands = ['spawn primes 20000', 'disk write 3 kept', 'reboot', 'disk read 3', 'poweroff'];
    const script = commands.map((line) => ({ expect: '> ', send: `${line}\n` }));
    await record({ ...embeddedGuest(2), script }, whole, { strideMax: 60_000 });
    const trace = TraceReader.open(whole);
    let accepted = '';
    const accept = (path: string) => {
      accepted = path;
      verify(TraceReader.open(path, { check: true }));
    };
    const gapAt = gapOfEighth(400_000);
    const result = await thin(trace, thinned, { gapAt, accept });
    assert.equal(accepted, thinned);
    assert.ok(result.kept < result.of / 3, `${result.kept} of ${result.of}`);
    const after = TraceReader.open(thinned, { check: true });
    assert.equal(after.checkpoints.length, result.kept);
    assert.deepEqual([...after.inputs()], [...trace.inputs()]);
    assert.deepEqual([...after.journal()], [...trace.journal()]);
    assert.deepEqual([...after.consoleOutput()], [...trace.consoleOutput()]);
    assert.deepEqual(after.end, trace.end);
    const statistics = [trace, after].map((t) => t.statistics());
    assert.ok(statistics[1].contents < statistics[0].contents, 'contents that nothing names are gone');

    const random = new Random(72);
    const timelines = [trace, after].map((t) => new Timeline(t));
    for (let i = 0; i < 12; i++) {
      const position = random.below(trace.replayableTo + 1);
      const digests = timelines.map((timeline) => {
        timeline.seek(position);
        return Buffer.from(timeline.machine.digest()).toString('hex');
      });
      assert.equal(digests[0], digests[1], `position ${position}`);
    }

    const refused = join(folder, 'refused.trace');
    const deny = () => {
      throw new Error('not accepted');
    };
    await assert.rejects(thin(trace, refused, { gapAt, accept: deny }), /not accepted/);
    assert.equal(existsSync(refused), false, 'what is not accepted leaves nothing');
    await assert.rejects(thin(trace, thinned, { gapAt, accept: () => {} }), /exists: choose another name/);

    // In place, as a long recording is thinned that has ended.
    const never = new AbortController().signal;
    let begun = 0;
    const before = readFileSync(whole);
    assert.equal(await thinRecording(whole, { signal: never, gapAt: () => 0 }), null, 'nothing is gained');
    await assert.rejects(thinRecording(whole, { signal: AbortSignal.abort(), gapAt }), { name: 'AbortError' });
    const damaged = join(folder, 'damaged.trace');
    const pages = trace.chunks().find(({ type }) => type === 'pages')!;
    writeFileSync(
      damaged,
      before.map((byte, at) => (at === pages.offset + 100 ? byte ^ 1 : byte)),
    );
    await assert.rejects(thinRecording(damaged, { signal: never, gapAt }), /damaged at offset/);
    assert.deepEqual(readFileSync(whole), before);
    assert.deepEqual(readdirSync(folder).sort(), ['damaged.trace', 'thinned.trace', 'whole.trace']);
    const calls = await callsOf(t, async () => {
      assert.deepEqual(await thinRecording(whole, { signal: never, gapAt, begin: () => begun++ }), result);
    });
    assertOnDisk(calls, { replaces: true });
    assert.equal(begun, 1);
    assert.deepEqual(readFileSync(whole), readFileSync(thinned));
    assert.equal(trace.checkpoints.length, result.of, 'who has the old one open reads on in it');
    verify(trace);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
