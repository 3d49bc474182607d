/** A crashed Debian guest by the protocol: from the panic through the stack into the program, back to the cause; tasks, modules, what Linux tells. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/process.ts';
import { CHECKOUT } from '../cli/small.ts';
import { needCrashedGuest } from '../linux/guest.ts';
import { scratch } from '../support/guests.ts';
import { type Body, Client } from './client.ts';

const named = (all: Body[], name: string): Body => all.find((one) => one.name === name);

test('a crash: from the panic to what caused it, and Linux on the way', async (t) => {
  const guest = await needCrashedGuest(t);
  if (!guest) return;
  const client = await Client.open(t, {
    trace: guest.trace,
    symbolFiles: [guest.vmlinux],
    programs: guest.programs,
  });
  const names = (frames: Body[]) => frames.map(({ name }) => name);
  const say = async (expression: string): Promise<string> =>
    (await client.ask('evaluate', { expression, context: 'repl' })).result;
  const { threadId, text } = await client.move('configurationDone');
  assert.match(text ?? '', /Kernel panic - not syncing/);

  const { threads } = await client.ask('threads');
  assert.equal(threads.length, 2);
  const crashed = threads.find(({ id }: Body) => id === threadId).name;
  assert.match(crashed, /^hart \d: nested-pie \(pid \d+\) \(S, /);
  assert.ok(
    threads.some(({ name }: Body) => /^hart \d: swapper\/\d \(pid 0\)/.test(name)),
    JSON.stringify(threads),
  );

  // Out of the kernel into the program, whose variables are there.
  const stack = await client.stack(threadId, 100);
  const list = names(stack);
  const order = ['panic', 'sysrq_handle_crash', 'write_sysrq_trigger', 'vfs_write', 'do_trap_ecall_u'];
  assert.deepEqual(
    list.filter((name) => order.includes(name)),
    order,
  );
  assert.deepEqual(list.slice(-5), [
    'nested-pie!syscall3',
    'nested-pie!fulfil',
    'nested-pie!choose',
    'nested-pie!begin',
    'nested-pie!_start',
  ]);
  const fulfil = named(stack, 'nested-pie!fulfil');
  assert.match(fulfil.source.path ?? fulfil.source.origin, /nested\.c/);
  const wish = await client.ask('evaluate', { expression: 'last_wish.file', frameId: fulfil.id });
  assert.equal(wish.result, '"/proc/sysrq-trigger"');
  const comm = await client.ask('evaluate', { expression: '((struct task_struct *)$tp)->comm', frameId: stack[0].id });
  assert.equal(comm.result, '"nested-pie"');

  // What Linux tells in the console.
  assert.match(await say('tasks'), /^ +1 +1 +0 S +init$/m);
  assert.match(await say('tasks'), /R +\d+ +nested-pie$/m);
  assert.match(await say('dmesg 3'), /sysrq: Trigger a crash\n.*Kernel panic - not syncing: sysrq triggered crash/);
  assert.match(await say('modules'), /^ext4 \d+ 0 - Live 0xffffffff/m);
  assert.match(await say('mounts'), /^proc \/proc proc rw$/m);
  assert.match(await say('files 1'), /^ +0 +\/dev\/console/m);
  assert.match(await client.ask('evaluate', { expression: 'files nobody', context: 'repl' }), /number of a task/);

  // Tasks that wait are threads under a switch.
  const invalidated = client.next('invalidated');
  await client.ask('chronovisor/tasks', { on: true });
  assert.deepEqual(await invalidated, { areas: ['threads'] });
  const all = (await client.ask('threads')).threads;
  assert.ok(all.length > 60);
  assert.equal(new Set(all.map(({ id }: Body) => id)).size, all.length);
  const sleeper = all.find(({ name }: Body) => /^nested-pie \(pid \d+\), sleeping$/.test(name));
  const sleeping = await client.stack(sleeper.id, 100);
  assert.ok(names(sleeping).includes('hrtimer_nanosleep'), names(sleeping).join());
  assert.deepEqual(names(sleeping).slice(-5), [
    'nested-pie!syscall3',
    'nested-pie!wait_for',
    'nested-pie!choose',
    'nested-pie!begin',
    'nested-pie!_start',
  ]);
  const waits = named(sleeping, 'nested-pie!wait_for');
  const seconds = named(await client.scope('Locals', waits.id), 'time');
  assert.equal(seconds.value, '{1000000, 0}');
  // Memory is that of the process that waits, not of the one that runs.
  assert.match(seconds.memoryReference, /^0x[0-9a-f]+@0x[89a]0/);
  const read = await client.ask('readMemory', { memoryReference: seconds.memoryReference, count: 16 });
  const words = Buffer.from(read.data, 'base64');
  assert.deepEqual([words.readBigInt64LE(0), words.readBigInt64LE(8)], [1_000_000n, 0n]);
  const elsewhere = await client.ask('readMemory', {
    memoryReference: seconds.memoryReference.split('@')[0],
    count: 16,
  });
  assert.notEqual(elsewhere.data, read.data);
  const { dataId } = await client.ask('dataBreakpointInfo', { name: 'time', frameId: waits.id });
  assert.equal(dataId, `change ${seconds.memoryReference} 16`);
  const { breakpoints: data } = await client.ask('setDataBreakpoints', { breakpoints: [{ dataId }] });
  assert.equal(data[0].verified, true);
  await client.ask('setDataBreakpoints', { breakpoints: [] });
  const refused = await client.ask('evaluate', { expression: 'last-write time', context: 'repl', frameId: waits.id });
  assert.match(refused, /waits: ask at a moment when it runs/);
  const waiting = await client.ask('disassemble', {
    memoryReference: waits.instructionPointerReference,
    instructionOffset: -1,
    instructionCount: 2,
    resolveSymbols: true,
  });
  for (const { symbol, instruction } of waiting.instructions) {
    assert.match(symbol, /^wait_for\+0x/);
    assert.doesNotMatch(instruction, /cannot be read/);
  }
  assert.match(waiting.instructions[0].instruction, /^(c\.)?jalr? /, 'the call that it waits in');
  const registers = await client.scope('Registers', named(sleeping, 'nested-pie!syscall3').id);
  assert.equal(named(registers, 'a7').value, '0x65');
  assert.equal(
    (await client.ask('scopes', { frameId: waits.id })).scopes.filter((s: Body) => /Float|Control/.test(s.name)).length,
    0,
  );
  assert.match(await client.ask('next', { threadId: sleeper.id }), /waits/);
  const kernelThread = all.find(({ name }: Body) => /^kthreadd/.test(name));
  assert.deepEqual(names(await client.stack(kernelThread.id, 100)).slice(-2), ['kthreadd', 'ret_from_fork']);
  assert.match(await client.ask('stackTrace', { threadId: 999_999_000 }), /there is no task/);
  await client.ask('chronovisor/tasks', { on: false });
  assert.equal((await client.ask('threads')).threads.length, 2);

  // Modules have their symbols.
  const { modules } = await client.ask('modules', {});
  for (const name of ['vmlinux', 'ext4.ko', 'virtio_blk.ko', 'nested-pie']) assert.ok(named(modules, name), name);

  // Back to the cause: where the program asks for it.
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'write_sysrq_trigger' }] });
  const cause = await client.move('reverseContinue', { threadId });
  assert.equal(cause.reason, 'function breakpoint');
  const asked = await client.stack(cause.threadId, 100);
  assert.equal(asked[0].name, 'write_sysrq_trigger');
  assert.equal(named(await client.scope('Arguments', asked[0].id), 'count').value, '1');
  await client.move('stepBack', { threadId });
  assert.ok(names(await client.stack(threadId, 100)).includes('nested-pie!fulfil'));

  // A module's function: the breakpoint waits for the module, forward and back.
  await client.ask('setFunctionBreakpoints', { breakpoints: [] });
  await client.move('chronovisor/seek', { position: '5%' });
  const early = named((await client.ask('modules', {})).modules, 'jbd2.ko');
  assert.equal(early, undefined);
  const { breakpoints } = await client.ask('setFunctionBreakpoints', {
    breakpoints: [{ name: 'jbd2_journal_init_revoke_record_cache' }],
  });
  assert.equal(breakpoints[0].verified, false);
  const loaded = await client.move('continue', { threadId });
  assert.equal(loaded.reason, 'function breakpoint');
  assert.deepEqual(loaded.hitBreakpointIds, [breakpoints[0].id]);
  const changed = client.events.filter(
    ({ event, body }) => event === 'breakpoint' && body.breakpoint.id === breakpoints[0].id,
  );
  assert.equal(changed.at(-1)?.body.breakpoint.verified, true);
  const loading = await client.stack(loaded.threadId, 100);
  assert.ok(
    names(loading)[0] === 'jbd2_journal_init_revoke_record_cache' && names(loading).includes('do_init_module'),
    names(loading).join(),
  );
  assert.match(names(loading).at(-1)!, /^busybox!0x/);
  assert.match(
    (await client.ask('threads')).threads.find(({ id }: Body) => id === loaded.threadId).name,
    /: insmod \(pid/,
  );

  // The interrupt of a device whose driver is a module.
  const at = await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'virtblk_done' }] });
  assert.equal(at.breakpoints[0].verified, true, 'the module is loaded by now');
  const interrupted = await client.move('continue', { threadId });
  assert.deepEqual([interrupted.reason, interrupted.hitBreakpointIds], ['function breakpoint', [at.breakpoints[0].id]]);
  const handling = await client.stack(interrupted.threadId, 100);
  const handlers = ['virtblk_done', 'vring_interrupt', 'vm_interrupt', 'handle_irq_event', 'plic_handle_irq', 'do_irq'];
  assert.deepEqual(
    names(handling).filter((name) => handlers.includes(name)),
    handlers,
    names(handling).join(),
  );
  // Behind the trap stands what it interrupted: by the disk's queue the kernel knows whose it is.
  const trap = names(handling).indexOf('handle_exception');
  assert.ok(trap > 0 && trap < handling.length - 1, names(handling).join());
  const ring = named(handling, 'vring_interrupt');
  const queue = await client.ask('evaluate', {
    expression: '((struct virtqueue *)_vq)->name',
    frameId: ring.id,
  });
  assert.match(queue.result, /"req\.0"$/);

  // A program's function: the breakpoint is for the process that has it, and for no other.
  const { breakpoints: inProgram } = await client.ask('setFunctionBreakpoints', {
    breakpoints: [{ name: 'fulfil', condition: 'wish->bytes == 1' }],
  });
  const fulfilled = await client.move('continue', { threadId });
  assert.deepEqual([fulfilled.reason, fulfilled.hitBreakpointIds], ['function breakpoint', [inProgram[0].id]]);
  const lineOf = async () => (await client.stack(fulfilled.threadId, 1))[0];
  const first = await lineOf();
  assert.equal(first.name, 'nested-pie!fulfil');
  const place = await client.position();
  // Lines of the program, over its system call and back again.
  await client.move('next', { threadId: fulfilled.threadId });
  const second = await lineOf();
  assert.equal(second.name, 'nested-pie!fulfil');
  assert.ok(second.line > first.line, `${first.line}, then ${second.line}`);
  assert.ok((await client.position()) > place + 100, 'the system call was gone over');
  await client.move('stepBack', { threadId: fulfilled.threadId });
  assert.equal((await lineOf()).line, first.line);
  const { instructions } = await client.ask('disassemble', {
    memoryReference: second.instructionPointerReference,
    instructionCount: 1,
    resolveSymbols: true,
  });
  assert.match(instructions[0].symbol, /^fulfil\+0x/);
});

test('a vmlinux of another kernel is told', async (t) => {
  const guest = await needCrashedGuest(t);
  if (!guest) return;
  // Debian's kernel has code of its own where this one has its name.
  const other = join(scratch(t), 'vmlinux');
  const flags = [
    '-nostdlib',
    '-static',
    '-no-pie',
    '-ffreestanding',
    '-mcmodel=medany',
    '-g',
    '-w',
    '-Wl,-e,start_kernel',
  ];
  const source = join(CHECKOUT, 'test/linux/old-kernel.c');
  await run('riscv64-linux-gnu-gcc', [...flags, '-Wl,-Ttext-segment=0xffffffff80200000', source, '-o', other]);
  const client = await Client.open(t, { trace: guest.trace, symbolFiles: [other], stopAt: 'end' });
  await client.move('configurationDone');
  const told = client.events.filter(({ body }) => /^there is no Linux at 0xffffffff802/.test(body?.output ?? ''));
  assert.equal(told.length, 1);
  const answer = await client.ask('evaluate', { expression: 'tasks', context: 'repl' });
  assert.match(answer, /there is no Linux at/);
  assert.match((await client.ask('threads')).threads[0].name, /^hart 0 \(/);
});
