/** A machine that is being recorded, in the hands of a real gdb: its past is a timeline, and from the present on it lives. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { SMALL_MACHINE, start, until } from '../cli/small.ts';
import { chronovisor, EMBEDDED_KERNEL, lastWords, scratch, writeScript } from '../support/guests.ts';
import { Gdb, needGdb } from './gdb-client.ts';
import { position } from './support.ts';

test('a live recording: into the past, back to the present, and on', async (t) => {
  if (!needGdb(t)) return;
  const folder = scratch(t);
  const trace = join(folder, 'live.trace');
  const script = writeScript(join(folder, 'script'), [
    ['> ', 'work 40 3'],
    ['> ', 'poweroff'],
  ]);
  const options = ['--script', script, '--seed', '3', '--timeout', '120', '-o', trace];
  const recording = start(['record', ...SMALL_MACHINE, ...options, '--gdb', '127.0.0.1:0']);
  t.after(() => recording.kill('SIGKILL'));
  await until('gdb is waited for', () => /extended-remote \S+:\d+/.test(recording.stderr()));
  const port = Number(/extended-remote \S+:(\d+)/.exec(recording.stderr())![1]);
  const gdb = await Gdb.start(t, { file: EMBEDDED_KERNEL, port });
  assert.equal(await position(gdb), 0);
  await gdb.run('break message_take');
  assert.match(await gdb.run('continue'), /hit Breakpoint 1, message_take/);
  const first = await position(gdb);
  assert.match(await gdb.run('monitor console'), /> work 40 3$/m);
  assert.match(await gdb.run('continue'), /hit Breakpoint 1, message_take/);
  const second = await position(gdb);
  assert.ok(second > first);
  // Back in what has been recorded, and from there past the present.
  assert.match(await gdb.run('reverse-continue'), /hit Breakpoint 1/);
  assert.equal(await position(gdb), first);
  await gdb.run('continue');
  assert.equal(await position(gdb), second);
  await gdb.run('continue');
  assert.ok((await position(gdb)) > second);
  // Now it can be changed, and there only.
  const now = await position(gdb);
  await gdb.run('set var $stval = 0x1122334455667788');
  assert.match(await gdb.run('print/x $stval'), /0x1122334455667788/);
  await gdb.run('set var messages[0].words[0] = 12345678');
  assert.match(await gdb.run('print messages[0].words[0]'), /12345678/);
  await gdb.run('reverse-stepi');
  assert.match((await gdb.attempt('set var $stval = 1')).error ?? '', /the past cannot be changed/);
  await gdb.run('stepi');
  assert.equal(await position(gdb), now);
  assert.match(await gdb.run('print/x $stval'), /0x1122334455667788/);
  await gdb.run('delete');
  await gdb.run('detach');
  const { code, stdout, stderr } = await recording.ended;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /40 letters, seed 3, total 63fe29d582452f80/);
  const verified = await chronovisor('verify', trace);
  assert.equal(verified.code, 0, lastWords(verified));
});
