/** A guest that reboots finds memory and devices as at first, its disk as it left it; and the recording goes on. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Replayer } from '../../src/replay/replayer.ts';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { embeddedGuest, record } from '../support/recording.ts';

test('a reboot starts the guest again, in a recording and in its replay', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-reboot-'));
  try {
    const path = join(folder, 'reboot.trace');
    const commands = ['disk write 3 kept', 'spawn primes 20000', 'reboot', 'ps', 'disk read 3', 'poweroff'];
    const script = commands.map((command) => ({ expect: '> ', send: `${command}\n` }));
    const { end, output } = await record({ ...embeddedGuest(1), script }, path, { strideMax: 100_000 });
    assert.equal(end.reason, 'power-off');
    assert.equal(end.exitCode, 0);
    const [before, after] = output.split('chronovisor guest:').slice(1);
    assert.match(before, /reboot/);
    assert.doesNotMatch(after, /primes/, 'what ran before the reboot is gone');
    assert.match(after, /kept/, 'the disk is not');

    const trace = TraceReader.open(path);
    assert.equal(verify(trace).steps, trace.end?.position);
    // From a checkpoint on either side of the reboot the replay comes to the same end.
    const last = Buffer.from(trace.checkpoints.at(-1)!.digest).toString('hex');
    for (const checkpoint of [trace.checkpoints[1], trace.checkpoints.at(-2)!]) {
      const replayer = new Replayer(trace);
      replayer.load(checkpoint);
      replayer.runTo(replayer.end);
      replayer.settleAt(trace.checkpoints.at(-1)!);
      assert.equal(Buffer.from(replayer.machine.digest()).toString('hex'), last);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
