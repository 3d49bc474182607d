/** Debian's kernel with the symbols of its vmlinux: from start_kernel into what it calls, and back; and in an interrupt's handler. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { debianTrace } from '../support/debian-trace.ts';
import { needGuest, scratch } from '../support/guests.ts';
import { needVmlinux } from '../symbols/support/files.ts';
import { type Body, Client } from './client.ts';

test('start_kernel, forward and back, and an interrupt', async (t) => {
  const cache = needGuest(t);
  const vmlinux = needVmlinux(t);
  if (!cache || !vmlinux) return;
  const client = await Client.open(t, {
    trace: await debianTrace(cache),
    symbolFiles: [vmlinux],
    stopAt: 'start',
  });
  const threadId = 1;
  const names = async (levels: number) => (await client.stack(threadId, levels)).map(({ name }: Body) => name);
  await client.move('configurationDone');
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'start_kernel' }] });
  const stopped = await client.move('continue', { threadId });
  assert.equal(stopped.reason, 'function breakpoint');
  assert.deepEqual(await names(2), ['start_kernel', '_start_kernel']);
  const entry = await client.position();
  assert.equal((await client.ask('evaluate', { expression: 'init_task.comm' })).result, '"swapper"');
  assert.equal((await client.ask('evaluate', { expression: 'sizeof(init_task.comm)' })).result, '16');

  // Lines of start_kernel; what it calls is gone over, and the lines come back in the other order.
  const positions = [entry];
  for (let n = 0; n < 5; n++) {
    await client.move('next', { threadId });
    assert.equal((await names(8)).includes('start_kernel'), true);
    positions.push(await client.position());
  }
  assert.deepEqual(
    positions,
    [...new Set(positions)].sort((a, b) => a - b),
  );
  while ((await client.position()) > entry) {
    await client.move('stepBack', { threadId });
    assert.equal((await names(8)).includes('start_kernel'), true);
  }
  assert.equal(await client.position(), entry);

  // Functions of the kernel begin with room for tracing, which is no line's: it does not keep a step from going in, nor out.
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'cgroup_init_early' }] });
  await client.move('continue', { threadId });
  assert.deepEqual(await names(2), ['cgroup_init_early', 'start_kernel']);
  const inside = await client.position();
  await client.ask('setFunctionBreakpoints', { breakpoints: [] });
  await client.move('stepBack', { threadId });
  assert.deepEqual(await names(1), ['start_kernel']);
  await client.move('stepIn', { threadId });
  assert.deepEqual(await names(2), ['cgroup_init_early', 'start_kernel']);
  assert.equal(await client.position(), inside);
  await client.move('stepOut', { threadId });
  const out = await names(3);
  assert.ok(out.includes('start_kernel') && !out.includes('cgroup_init_early'), out.join(', '));

  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'serial8250_handle_irq' }] });
  const handler = await client.move('continue', { threadId });
  const { stackFrames } = await client.ask('stackTrace', { threadId: handler.threadId });
  const stack = stackFrames.map(({ name }: Body) => name);
  for (const name of ['serial8250_interrupt', 'handle_irq_event', 'plic_handle_irq', 'do_irq', 'handle_exception']) {
    assert.ok(stack.includes(name), `${name} in ${stack.join(', ')}`);
  }
  // Behind the trap stands what it interrupted.
  assert.ok(stack.indexOf('handle_exception') < stack.length - 1, stack.join(', '));
});

test('start_kernel of a guest that is being recorded', async (t) => {
  const cache = needGuest(t);
  const vmlinux = needVmlinux(t);
  if (!cache || !vmlinux) return;
  const trace = join(scratch(t), 'live.trace');
  const client = await Client.launch(t, {
    kernel: join(cache, 'kernel'),
    initrd: join(cache, 'initrd-shell.gz'),
    append: 'console=ttyS0 quiet',
    memory: '256M',
    symbolFiles: [vmlinux],
    stopAt: 'run',
    trace,
  });
  const threadId = 1;
  const here = async () => (await client.stack(threadId))[0];
  const value = async (expression: string) =>
    (await client.ask('evaluate', { expression, frameId: (await here()).id })).result;
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'start_kernel' }] });
  const stopped = await client.move('configurationDone');
  assert.equal(stopped.reason, 'function breakpoint');
  const { line, name } = await here();
  assert.equal(name, 'start_kernel');
  const entry = await client.position();
  for (let n = 0; n < 3; n++) await client.move('next', { threadId });
  const { position, end, live } = await client.ask('chronovisor/when');
  assert.deepEqual([position, live], [end, true]);
  const changed = await client.ask('setExpression', { expression: 'init_task.comm[0]', value: "'S'" });
  assert.match(changed.value, /'S'/);
  assert.equal(await value('init_task.comm'), '"Swapper"');
  while ((await client.position()) > entry) await client.move('stepBack', { threadId });
  assert.equal((await here()).line, line);
  assert.equal(await value('init_task.comm'), '"swapper"');
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'cgroup_init_early' }] });
  await client.move('continue', { threadId });
  assert.equal((await here()).name, 'cgroup_init_early');
  assert.equal(await value('init_task.comm'), '"Swapper"');
  assert.ok((await client.position()) > end, 'past what was recorded when it was changed');
  await client.ask('terminate');
  verify(TraceReader.open(trace, { check: true }));
});
