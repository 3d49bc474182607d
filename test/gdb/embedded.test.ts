/** The embedded guest's bug, hunted with a real gdb in the trace that is kept forever. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { readVirtual } from '../../src/vmm/riscv/inspect.ts';
import { CHECKOUT } from '../cli/small.ts';
import { EMBEDDED_KERNEL, scratch } from '../support/guests.ts';
import { Gdb, needGdb } from './gdb-client.ts';
import { compareRegisters, position, type Served, seek, serve } from './support.ts';

const TRACE = join(CHECKOUT, 'traces/heisenbug-v1.trace');

async function start(t: TestContext): Promise<{ gdb: Gdb } & Served> {
  const served = await serve(t, TRACE);
  return { gdb: await Gdb.start(t, { file: EMBEDDED_KERNEL, port: served.port }), ...served };
}

/** Value of eight bytes of memory at a position. */
function word(judge: Served['judge'], at: number, address: bigint): bigint {
  judge.seek(at);
  return Buffer.from(readVirtual(judge.machine, 0, address, 8)!).readBigUInt64LE();
}

test('break, step, and step back', async (t) => {
  if (!needGdb(t)) return;
  const { gdb, judge } = await start(t);
  await seek(gdb, 1_000_000);
  await gdb.run('break message_take');
  assert.match(await gdb.run('continue'), /hit Breakpoint 1, message_take \(\) at .*message\.c:32/);
  const there = await position(gdb);
  await compareRegisters(gdb, judge, 'at the breakpoint');
  const pc = await gdb.number('$pc');
  await gdb.run('stepi 20');
  assert.notEqual(await position(gdb), there);
  await gdb.run('reverse-stepi 20');
  assert.equal(await position(gdb), there);
  assert.equal(await gdb.number('$pc'), pc);
  // Where one stands is not hit again.
  assert.match(await gdb.run('reverse-continue'), /hit Breakpoint 1/);
  assert.ok((await position(gdb)) < there);
  assert.match(await gdb.run('continue'), /hit Breakpoint 1/);
  assert.equal(await position(gdb), there);
  await compareRegisters(gdb, judge, 'back at the breakpoint');
});

test('a watched variable, and back to its writer', async (t) => {
  if (!needGdb(t)) return;
  const { gdb, judge } = await start(t);
  const from = 1_000_000;
  await seek(gdb, from);
  const address = await gdb.number('&pool.first');
  await gdb.run('watch pool.first');
  const shown = await gdb.run('reverse-continue');
  assert.match(shown, /Hardware watchpoint 1: pool\.first[\s\S]*Old value = [\s\S]*New value = /);
  const write = await position(gdb);
  // It is about to be written, and was not written again until where the search began.
  assert.notEqual(word(judge, write, address), word(judge, write + 1, address));
  for (let p = write + 1; p < from; p += 1 + Math.floor((from - write) / 500)) {
    assert.equal(word(judge, p, address), word(judge, from, address), `at ${p}`);
  }
  assert.match(await gdb.run('info symbol $pc'), /(unlink_first|message_give_back)/);
  await compareRegisters(gdb, judge, 'before the write');
  // Forward it is found again, and gdb stops behind it.
  await gdb.run('continue');
  assert.equal(await position(gdb), write + 1);
  await gdb.run('reverse-continue');
  assert.equal(await position(gdb), write);
});

test('finish, reverse-finish, next and reverse-next', async (t) => {
  if (!needGdb(t)) return;
  const { gdb } = await start(t);
  await seek(gdb, 'start');
  await gdb.run('tbreak boot');
  await gdb.run('continue');
  // Lines one after the other, calls as one, and the same back.
  const lines = [];
  for (let n = 0; n < 7; n++) {
    lines.push(await gdb.run('info line'));
    await gdb.run('next');
  }
  for (const line of lines.slice(1).reverse()) {
    await gdb.run('reverse-next');
    assert.equal(await gdb.run('info line'), line);
  }
  await gdb.run('tbreak message_take');
  await gdb.run('continue');
  await gdb.run('stepi 3');
  await gdb.run('reverse-finish');
  assert.match(await gdb.run('x/i $pc'), /jalr?\t.*message_take/);
  await gdb.run('step');
  assert.match(await gdb.run('finish'), /Value returned is \$1 = \(struct message \*\) 0x[0-9a-f]+ <messages/);
  assert.match(await gdb.run('backtrace 1'), /write_letters/);
});

test('harts are threads', async (t) => {
  if (!needGdb(t)) return;
  const { gdb, judge } = await start(t);
  await seek(gdb, 777_777);
  const threads = await gdb.run('info threads');
  for (let hart = 0; hart < 4; hart++)
    assert.match(threads, new RegExp(`Thread ${hart + 1} "hart ${hart}" \\(.*mode, `));
  await compareRegisters(gdb, judge, 'somewhere');
  // A step is the step of the hart that one looks at.
  for (const thread of [3, 1, 4]) {
    await gdb.run(`thread ${thread}`);
    const pc = await gdb.number('$pc');
    const here = await position(gdb);
    await gdb.run('stepi');
    assert.equal(await gdb.number('$_thread'), BigInt(thread));
    assert.notEqual(await gdb.number('$pc'), pc);
    await gdb.run('reverse-stepi');
    assert.equal(await gdb.number('$pc'), pc);
    assert.ok((await position(gdb)) >= here);
    await compareRegisters(gdb, judge, `thread ${thread}`);
  }
});

test('the ends', async (t) => {
  if (!needGdb(t)) return;
  const { gdb, judge } = await start(t);
  assert.match(await gdb.run('continue'), /No more reverse-execution history/);
  assert.equal(await position(gdb), judge.end);
  assert.match(await gdb.run('reverse-continue'), /No more reverse-execution history/);
  assert.equal(await position(gdb), 0);
  await compareRegisters(gdb, judge, 'at reset');
  await gdb.run('stepi 5');
  assert.match(await gdb.run('reverse-stepi 10'), /No more reverse-execution history/);
  assert.equal(await position(gdb), 0);
  await gdb.run('starti 500000');
  assert.equal(await position(gdb), 500_000);
  await gdb.run('starti start');
  assert.equal(await position(gdb), 0);
  assert.ok((await gdb.attempt('starti nowhere')).error);
});

test('nothing is written', async (t) => {
  if (!needGdb(t)) return;
  const { gdb } = await start(t);
  for (const command of ['set var pool.first = 0', 'set var $a0 = 1', 'call unlink_first()', 'jump trap_handle']) {
    const { error } = await gdb.attempt(command);
    assert.ok(error, command);
  }
  assert.match((await gdb.attempt('set var $a0 = 1')).error ?? '', /a recording cannot be changed/);
  assert.match((await gdb.attempt('x/x 0x10')).error ?? '', /Cannot access memory at address 0x10/);
});

test('memory is searched and compared by the server', async (t) => {
  if (!needGdb(t)) return;
  const { gdb } = await start(t);
  await seek(gdb, 'end');
  assert.match(await gdb.run('compare-sections .text'), /Section \.text, range .*: matched/);
  assert.match(await gdb.run('compare-sections .data'), /MIS-MATCHED/);
  const found = await gdb.run("find /b 0x80004000, +0x2000, 'p', 'a', 'n', 'i', 'c', ':'");
  const at = /0x[0-9a-f]+/.exec(found);
  assert.ok(at, found);
  assert.match(await gdb.run(`x/s ${at[0]}`), /"panic: /);
});

test('random walks come by nothing that a plain seek does not find', async (t) => {
  if (!needGdb(t)) return;
  const seed = 4;
  const random = new Random(seed);
  const { gdb, judge } = await start(t);
  await gdb.run('break message_give_back');
  await gdb.run('watch messages[9].serial');
  const moves = [
    ...['stepi', 'stepi 7', 'stepi 60', 'step', 'next', 'finish', 'continue', 'nexti'],
    ...['reverse-stepi', 'reverse-stepi 7', 'reverse-stepi 60', 'reverse-step', 'reverse-next', 'reverse-finish'],
    ...['reverse-continue', 'reverse-nexti'],
  ];
  await seek(gdb, 600_000);
  for (let n = 0; n < 100; n++) {
    const command = random.pick(moves);
    const where = `seed ${seed}, move ${n}, ${command}`;
    if (random.below(10) === 0) await seek(gdb, random.below(judge.end));
    if (random.below(5) === 0) await gdb.run(`thread ${1 + random.below(4)}`);
    const { error } = await gdb.attempt(command);
    if (error)
      assert.match(
        error,
        /not meaningful in the outermost frame|Cannot find bounds|has no line number|Could not find/i,
        where,
      );
    await compareRegisters(gdb, judge, where);
  }
});

test('monitor commands', async (t) => {
  if (!needGdb(t)) return;
  // Bookmarks are written beside the trace.
  const folder = scratch(t);
  const path = join(folder, 'copy.trace');
  copyFileSync(TRACE, path);
  const { port, judge } = await serve(t, path);
  const gdb = await Gdb.start(t, {
    file: EMBEDDED_KERNEL,
    port,
    setup: [`source ${join(CHECKOUT, 'docs/chronovisor.gdb')}`],
  });
  const help = await gdb.run('monitor help');
  for (const command of ['when', 'seek', 'bookmark', 'query', 'console', 'last-write'])
    assert.match(help, new RegExp(`^${command}\\b`, 'm'));
  assert.match(await gdb.run('monitor seek end'), /^position 1,332,186 of 1,332,186, /m);
  // The script makes gdb look again.
  assert.equal(await position(gdb), judge.end);
  assert.match(await gdb.run('monitor console 3'), /^ {2}called from [\s0-9a-f]+$/m);
  assert.equal((await gdb.run('monitor console')).includes('corrupt message at 800084d8'), true);
  await gdb.run('monitor bookmark panic this is the end');
  assert.match(await gdb.run('seek 25%'), /^position 333,046 /m);
  assert.match(await gdb.run('when'), /^position 333,046 of 1,332,186, 0\.000333 s of guest time, hart \d$/m);
  assert.match(await gdb.run('monitor bookmark'), /^panic {2}1,332,186 {2}this is the end$/m);
  await gdb.run('seek panic');
  assert.equal(await position(gdb), judge.end);
  await gdb.run('monitor bookmark delete panic');
  assert.equal((await gdb.run('monitor bookmark')).replaceAll(/(Register|dcache).*\n?/gi, '').trim(), '');
  // The last writer is the one to which a watchpoint runs back.
  const shown = await gdb.run('last-write pool.first');
  const write = Number(/^([\d,]+) /m.exec(shown)?.[1].replaceAll(',', ''));
  await gdb.run('watch pool.first');
  await gdb.run('reverse-continue');
  assert.equal(await position(gdb), write);
  const writers = await gdb.run('eval "monitor query writers %p --newest-first --limit 3 --print pc", &pool.first');
  assert.match(writers, new RegExp(`^ *${write.toLocaleString('en-US')} .* pc=0x[0-9a-f]+$`, 'm'));
  assert.match(writers, /^3 rows, and maybe more/m);
  assert.match(await gdb.run('monitor query values satp --hart 2'), /0x0 -> 0x8000000000080051/);
  for (const text of ['"work 400"', "'work 400'", 'work\\ 400', 'work 400 --limit=1']) {
    assert.match(await gdb.run(`monitor query console ${text}`), /^1 row/m, text);
  }
  for (const [wrong, why] of [
    ['nonsense', /there is no monitor command 'nonsense'; there are help, /],
    ['seek', /'' is no position/],
    ['seek 1332187', /'1332187' is no position: .* from 0 to 1332186/],
    ['query', /'' cannot be asked for/],
    ['query writers', /'': an address such as/],
    ['query writers 0x10', /nothing is mapped there/],
    ['query hits 0x80000000 --often', /there is no option --often/],
    ['query hits 0x80000000 --limit', /--limit needs a value/],
    ["query console 'work", /text after ' at character 15 is not closed/],
    ['query traps a', /'a': a whole number is needed/],
    ['query values nowhere', /nowhere/],
    ['query hits 0x80000000 --if "a0 =="', /expression/],
    ['last-write', /'': an address such as/],
    ['console -1', /'-1': a number of lines is needed/],
    ['bookmark delete nothing', /there is no bookmark 'nothing'/],
  ] as const) {
    assert.match(await gdb.run(`monitor ${wrong}`), why, wrong);
  }
});

test('a step does not end in the handler of an interrupt', async (t) => {
  if (!needGdb(t)) return;
  const { gdb, judge } = await start(t);
  const rows = await gdb.run('monitor query interrupts 1,5,9 --limit 40');
  const interrupts = [...rows.matchAll(/^ *([\d,]+) .* hart (\d) {2}pc 0x([0-9a-f]+) /gm)];
  assert.ok(interrupts.length > 10, rows);
  let handled = 0;
  let moved = 0;
  for (const [, at, hart, interrupted] of interrupts) {
    await seek(gdb, Number(at.replaceAll(',', '')));
    await gdb.run(`thread ${Number(hart) + 1}`);
    const pc = await gdb.number('$pc');
    assert.equal(pc.toString(16), interrupted);
    const code = await gdb.run('x/i $pc');
    // Where the next instruction is depends on nothing but its length.
    if (!/\t(add|addi|mv|li|sd|ld|lw|sw|xor|and|mul|srli|slli)\t/.test(code)) continue;
    const next = (await gdb.run('x/2i $pc')).trim().split('\n')[1].trim().split(/[ :]/)[0];
    const { error } = await gdb.attempt('stepi');
    if ((await gdb.number('$pc')) === (await gdb.number('$stvec'))) {
      // The task that was interrupted never went on here: the step ends in the handler after all, where gdb cannot unwind.
      assert.ok(error === null || /DWARF register number 64/.test(error), String(error));
      moved++;
      continue;
    }
    assert.equal(error, null);
    assert.equal(await gdb.number('$pc'), BigInt(next), `${code} at ${at}`);
    await compareRegisters(gdb, judge, `after ${at}`);
    await gdb.run('reverse-stepi');
    assert.equal(await gdb.number('$pc'), pc, `back at ${at}`);
    handled++;
  }
  assert.ok(handled > moved && handled > 5, `${handled} interrupts came between two plain instructions`);
});
