/** A guest that reboots finds memory and devices as at first, its disk as it left it; and the recording goes on. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Session } from '../../src/recorder/session.ts';
import { Replayer } from '../../src/replay/replayer.ts';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { embeddedGuest, plainMachine, record } from '../support/recording.ts';

const COMMANDS = ['disk write 3 kept', 'spawn primes 20000', 'reboot', 'ps', 'disk read 3', 'poweroff'];
const SCRIPT = COMMANDS.map((command) => ({ expect: '> ', send: `${command}\n` }));

function checkOutput(output: string): void {
  const [before, after] = output.split('chronovisor guest:').slice(1);
  assert.match(before, /reboot/);
  assert.doesNotMatch(after, /primes/, 'what ran before the reboot is gone');
  assert.match(after, /kept/, 'the disk is not');
}

test('a reboot starts the guest again where nothing is recorded', async () => {
  let output = '';
  const session = new Session({
    machine: plainMachine(embeddedGuest(1)),
    recorder: null,
    console: 'uart0',
    clock: 'virtual',
    interactive: false,
    script: SCRIPT,
    output: (data) => {
      output += Buffer.from(data).toString('latin1');
    },
  });
  session.endInput();
  const end = await session.run();
  assert.deepEqual([end.reason, end.exitCode], ['power-off', 0]);
  checkOutput(output);
});

test('a reboot starts the guest again, in a recording and in its replay', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-reboot-'));
  try {
    const path = join(folder, 'reboot.trace');
    const { end, output } = await record({ ...embeddedGuest(1), script: SCRIPT }, path, { strideMax: 100_000 });
    assert.equal(end.reason, 'power-off');
    assert.equal(end.exitCode, 0);
    checkOutput(output);
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
