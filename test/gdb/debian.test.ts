/** Debian's kernel under a real gdb, with the symbols of its vmlinux. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { debianTrace } from '../support/debian-trace.ts';
import { needGuest } from '../support/guests.ts';
import { needVmlinux } from '../symbols/support/files.ts';
import { Gdb, needGdb } from './gdb-client.ts';
import { compareRegisters, position, type Served, seek, serve } from './support.ts';

const MOVES = 200;

interface Debugged extends Served {
  readonly gdb: Gdb;
}

async function start(t: TestContext): Promise<Debugged | null> {
  const cache = needGuest(t);
  const vmlinux = needVmlinux(t);
  if (!cache || !vmlinux || !needGdb(t)) return null;
  const served = await serve(t, await debianTrace(cache));
  return { ...served, gdb: await Gdb.start(t, { file: vmlinux, port: served.port }) };
}

test('from reset into the kernel: without an MMU, and with it', async (t) => {
  const debugged = await start(t);
  if (!debugged) return;
  const { gdb, judge } = debugged;
  assert.match(await gdb.run('info threads'), /stopped by the firmware/);
  // The kernel begins at its physical address; its symbols are virtual.
  assert.equal(await gdb.number('$pc'), 0x80200000n);
  assert.equal(await gdb.number('$satp'), 0n);
  await gdb.run('stepi 3');
  await compareRegisters(gdb, judge, 'before the MMU');
  await gdb.run('break *start_kernel');
  assert.match(await gdb.run('continue'), /hit Breakpoint 1.*start_kernel \(\)/);
  assert.notEqual(await gdb.number('$satp'), 0n);
  await compareRegisters(gdb, judge, 'at start_kernel');
  const entry = await position(gdb);
  for (let n = 0; n < 4; n++) await gdb.run('next');
  await compareRegisters(gdb, judge, 'some lines on');
  assert.ok((await position(gdb)) > entry + 20);
  // Breakpoints at a virtual address stop in whatever address space runs, and there is no such address before.
  await gdb.run('reverse-continue');
  assert.equal(await position(gdb), entry);
  await gdb.run('delete');
  assert.match(await gdb.run('reverse-continue'), /No more reverse-execution history/);
  assert.equal(await position(gdb), 0);
});

test('a system call: break, finish, and back', async (t) => {
  const debugged = await start(t);
  if (!debugged) return;
  const { gdb, judge } = debugged;
  await seek(gdb, 'end');
  await gdb.run('break *ksys_read');
  assert.match(await gdb.run('reverse-continue'), /hit Breakpoint 1.*ksys_read \(/);
  assert.match(await gdb.run('backtrace 4'), /ksys_read[\s\S]*__riscv_sys_read/);
  const entry = await position(gdb);
  assert.match(await gdb.run('finish'), /Value returned is \$1 = \d+/);
  await compareRegisters(gdb, judge, 'finished');
  await gdb.run('delete');
  await gdb.run('reverse-stepi');
  assert.match(await gdb.run('info symbol $pc'), /ksys_read/);
  await gdb.run('reverse-finish');
  // gdb takes the function to begin behind the two instructions that the kernel leaves room for tracing in.
  assert.ok(Math.abs((await position(gdb)) - entry) <= 2);
  await gdb.run('reverse-stepi 5');
  assert.match(await gdb.run('info symbol $pc'), /__riscv_sys_read/);
});

test('conditions are evaluated by the server', async (t) => {
  const debugged = await start(t);
  if (!debugged) return;
  const { gdb, judge } = debugged;
  await seek(gdb, 'end');
  await gdb.run('break *ksys_write if $a0 == 1 && $a2 > 3');
  await gdb.run('reverse-continue');
  assert.match(await gdb.run('info breakpoints'), /stop only if .* \(target evals\)\s+breakpoint already hit 1 time/);
  assert.equal(await gdb.number('$a0'), 1n);
  assert.ok((await gdb.number('$a2')) > 3n);
  await compareRegisters(gdb, judge, 'at the condition');
  const there = await position(gdb);
  // The same, found by asking.
  const at = `0x${(await gdb.number('$pc')).toString(16)}`;
  const rows = await gdb.run(`monitor query hits ${at} --newest-first --limit 1 --if "a0 == 1 && a2 > 3" --print a2`);
  assert.match(rows, new RegExp(`^ *${there.toLocaleString('en-US')} `, 'm'));
});

test('a variable that is written again and again, and Ctrl-C', async (t) => {
  const debugged = await start(t);
  if (!debugged) return;
  const { gdb, judge } = debugged;
  await seek(gdb, 'end');
  await gdb.run('watch jiffies_64');
  assert.match(await gdb.run('reverse-continue'), /hit Hardware watchpoint 1: jiffies_64/);
  assert.match(await gdb.run('backtrace 3'), /tick_/);
  await compareRegisters(gdb, judge, 'before the tick');
  const write = await position(gdb);
  const asked = await gdb.run('eval "monitor last-write %p", &jiffies_64');
  assert.match(asked, /^[\d,]+ /m, asked);
  await gdb.run('continue');
  assert.equal(await position(gdb), write + 1);
  await gdb.run('delete');
  await gdb.run('break *__riscv_sys_read if $a0 == 12345');
  const stopping = gdb.run('reverse-continue');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  gdb.interrupt();
  assert.match(await stopping, /SIGINT|No more reverse-execution history/);
  await compareRegisters(gdb, judge, 'interrupted');
});

test('random walks come by nothing that a plain seek does not find', async (t) => {
  const debugged = await start(t);
  if (!debugged) return;
  const { gdb, judge } = debugged;
  const seed = 7;
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  await gdb.run('break *ksys_write');
  await gdb.run('break *__handle_mm_fault');
  const moves = [
    ...['stepi', 'stepi 9', 'stepi 70', 'nexti', 'continue', 'step', 'next', 'finish'],
    ...['reverse-stepi', 'reverse-stepi 9', 'reverse-stepi 70', 'reverse-nexti', 'reverse-continue'],
    ...['reverse-step', 'reverse-next', 'reverse-finish'],
  ];
  await seek(gdb, Math.floor(judge.end / 2));
  for (let n = 0; n < MOVES; n++) {
    const move = random.pick(moves);
    if (random.below(20) === 0) await seek(gdb, random.below(judge.end));
    if (random.below(5) === 0) await gdb.run(`thread ${1 + random.below(2)}`);
    await gdb.attempt(move);
    await compareRegisters(gdb, judge, `seed ${seed}, move ${n}, ${move}`);
  }
});
