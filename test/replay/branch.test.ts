/** A recorded guest that lives on from the middle of its recording: the same up to there, its own way from there, and a recording like any other. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ConsoleLog } from '../../src/replay/console-log.ts';
import { diff } from '../../src/replay/diff.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { chronovisor, scratch } from '../support/guests.ts';
import { embeddedGuest, record } from '../support/recording.ts';

test('a branch is the recording up to its position, and then another', async (t) => {
  const folder = scratch(t);
  const path = join(folder, 'trunk');
  const disk = join(folder, 'disk.img');
  writeFileSync(disk, Buffer.alloc(256 * 1024, 'chronovisor '));
  await record(embeddedGuest(7), path, { strideMax: 100_000, strideUnit: 2 ** 17 });
  const trunk = TraceReader.open(path);
  // Before the third prompt is shown: the script of the branch answers it.
  const at = new ConsoleLog(trunk).find('\n> ', 0, trunk.replayableTo)[2].position - 1000;
  const script = join(folder, 'script');
  writeFileSync(script, '> => disk read 40\\n\n> => echo branched\\n\n> => poweroff\\n\n');
  const branch = join(folder, 'branch');
  const live = ['branch', path, '--at', String(at), '-o', branch, '--script', script, '--seed', '3'];

  const without = await chronovisor(...live);
  assert.equal(without.code, 1, without.stderr);
  assert.match(without.stderr, /reads block .* for the first time: give the images of its disks with --disk/);

  const result = await chronovisor(...live, '--force', '--disk', disk);
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stderr, /from here on the guest lives, and is recorded to/);
  assert.match(result.stdout + result.stderr, /branched/);
  const fresh = TraceReader.open(branch, { check: true });
  verify(fresh);
  assert.ok(fresh.header.notes.some(([key, note]) => key === 'branch' && note.includes(String(at))));
  const { position } = diff(trunk, fresh);
  assert.ok(position !== null && position > at, `they part at ${position}, after ${at}`);
  const early = (trace: TraceReader) => ({
    inputs: [...trace.inputs(0, at)],
    journal: [...trace.journal(0, at)],
    console: Buffer.concat([...trace.consoleOutput(0, at)].map(({ bytes }) => bytes)).toString(),
  });
  assert.deepEqual(early(fresh), early(trunk));
  // Copied, not recorded again: the recorder's own would lie elsewhere.
  const shared = trunk.checkpoints.filter(({ position }) => position <= at);
  assert.ok(shared.length > 2, `${shared.length} checkpoints before ${at}`);
  shared.forEach(({ position, digest }, i) => {
    assert.deepEqual([fresh.checkpoints[i].position, fresh.checkpoints[i].digest], [position, digest]);
  });
  const timelines = [trunk, fresh].map((trace) => new Timeline(trace));
  for (const { position } of shared.slice(1)) {
    // From the checkpoint before, a step short of this one.
    const states = timelines.map((timeline) => {
      timeline.seek(position - 1);
      return timeline.machine.digest();
    });
    assert.deepEqual(states[0], states[1]);
  }
  assert.match(
    Buffer.from(new ConsoleLog(fresh).before(fresh.replayableTo, 1000)).toString(),
    /chronovisor .*branched/s,
  );
});

test('a branch of the end, and what cannot be branched', async (t) => {
  const folder = scratch(t);
  const path = join(folder, 'trunk');
  await record(embeddedGuest(7), path);
  const to = join(folder, 'branch');
  const missing = await chronovisor('branch', path);
  assert.match(missing.stderr, /--output \(-o\) is missing/);
  const far = await chronovisor('branch', path, '-o', to, '--at', '999999999999');
  assert.match(far.stderr, /--at 999999999999: a position/);
  const chaos = await chronovisor('branch', path, '-o', to, '--chaos', '1');
  assert.match(chaos.stderr, /recorded with the fixed schedule/);
  assert.equal(existsSync(to), false);
});

test('a branch of an old trace lives on the revision of the machine that it was recorded on', async (t) => {
  const to = join(scratch(t), 'branch');
  const old = fileURLToPath(new URL('../../../traces/heisenbug-v1.trace', import.meta.url));
  const branched = await chronovisor('branch', old, '-o', to, '--at', '1000000');
  assert.equal(branched.code, 1, branched.stderr);
  const trace = TraceReader.open(to);
  assert.equal(trace.header.machine.revision, 0);
  assert.equal(verify(trace).steps, trace.end?.position);
});
