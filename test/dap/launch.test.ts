/** A guest that is recorded while it is debugged: it lives on past the present, and its past is a timeline. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { CHECKOUT } from '../cli/small.ts';
import { chronovisor, EMBEDDED_KERNEL, scratch } from '../support/guests.ts';
import { type Body, Client, source } from './client.ts';

const MACHINE = {
  kernel: EMBEDDED_KERNEL,
  bios: 'none',
  memory: '16M',
  harts: 2,
  seed: 5,
  sourceFolders: [CHECKOUT.replace(/\/$/, '')],
};

function launch(t: TestContext, trace: string, options: object = {}): Promise<Client> {
  return Client.launch(t, { ...MACHINE, trace, ...options });
}

/** The guest's console, as far as the client was told. */
const shown = (client: Client) =>
  client.events
    .filter(({ event }) => event === 'chronovisor/console')
    .flatMap(({ body }) => body.runs.map(({ text }: { text: string }) => text))
    .join('');

/** What the client was told of the debuggee's output. */
const printed = (client: Client, category: string) =>
  client.events
    .filter(({ event, body }) => event === 'output' && body.category === category)
    .map(({ body }) => body.output)
    .join('');

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 10));
}

function checked(path: string): TraceReader {
  const trace = TraceReader.open(path, { check: true });
  verify(trace);
  return trace;
}

test('from the first step to a breakpoint, back into the past, on past the present, and off', async (t) => {
  const trace = join(scratch(t), 'live.trace');
  const client = await launch(t, trace, { stopAt: 'entry' });
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'message_take' }] });
  const entry = await client.move('configurationDone');
  assert.equal(entry.reason, 'entry');
  assert.equal(await client.position(), 0);
  assert.match(printed(client, 'console'), /recording to .*live\.trace/);

  await client.ask('chronovisor/type', { text: 'work 40 3\n' });
  const first = await client.move('continue', { threadId: 1 });
  assert.equal(first.reason, 'function breakpoint');
  const [frame] = await client.stack(first.threadId);
  assert.equal(frame.name, 'message_take');
  assert.match(frame.source.path, /guests\/embedded\/message\.c$/);
  const here = await client.position();
  const when = await client.ask('chronovisor/when');
  assert.deepEqual([when.end, when.live, when.trace], [here, true, trace]);

  // Into the past, and forward through it to the very end.
  await client.move('stepBack', { threadId: first.threadId });
  const past = await client.position();
  assert.ok(past < here);
  const again = await client.move('continue', { threadId: 1 });
  assert.equal(again.reason, 'function breakpoint');
  assert.equal(await client.position(), here);
  const second = await client.move('continue', { threadId: 1 });
  assert.equal(second.reason, 'function breakpoint');
  assert.ok((await client.position()) > here);

  await client.ask('setFunctionBreakpoints', { breakpoints: [] });
  await client.ask('continue', { threadId: 1 });
  await until(() => /40 letters, seed 3, total 63fe29d582452f80/.test(shown(client)));
  const stopped = client.next('stopped');
  await client.ask('chronovisor/type', { text: 'poweroff\n' });
  const { reason, description } = await stopped;
  assert.equal(reason, 'pause');
  assert.match(description, /switched itself off, exit code 0/);
  assert.equal(printed(client, 'stdout'), shown(client));
  // Over, but all of it can be looked at.
  assert.equal((await client.ask('chronovisor/when')).live, false);
  assert.match(await client.ask('chronovisor/type', { text: 'x' }), /branch/);
  await client.move('chronovisor/seek', { position: here });
  assert.equal((await client.stack(first.threadId))[0].name, 'message_take');
  const reader = checked(trace);
  assert.equal(reader.end?.reason, 'power-off');
});

test('a pause, breakpoints that are set while it runs, and the end by request', async (t) => {
  const trace = join(scratch(t), 'live.trace');
  const client = await launch(t, trace, { stopAt: 'run' });
  await client.ask('configurationDone');
  await until(() => shown(client).includes('> '));
  assert.equal((await client.ask('threads')).threads.length, 2);
  const paused = client.next('stopped');
  await client.ask('pause', { threadId: 1 });
  assert.equal((await paused).reason, 'pause');
  const { end, live } = await client.ask('chronovisor/when');
  assert.equal(live, true);
  assert.equal(await client.position(), end);

  await client.ask('continue', { threadId: 1 });
  await client.ask('chronovisor/type', { text: 'work 40 1\n' });
  const stopped = client.next('stopped');
  const { breakpoints } = await client.ask('setBreakpoints', {
    source: source('message.c'),
    breakpoints: [{ line: 40 }],
  });
  assert.equal(breakpoints[0].verified, true);
  assert.deepEqual((await stopped).hitBreakpointIds, [breakpoints[0].id]);

  const terminated = client.next('terminated');
  await client.ask('terminate');
  await terminated;
  const reader = checked(trace);
  assert.equal(reader.end?.reason, 'interrupted');
  await client.ask('disconnect');
});

test('terminated while it runs', async (t) => {
  const trace = join(scratch(t), 'live.trace');
  const client = await launch(t, trace, { stopAt: 'run' });
  await client.ask('configurationDone');
  await until(() => shown(client).includes('> '));
  await client.ask('chronovisor/type', { text: 'work 400 1\n' });
  const stops = client.events.filter(({ event }) => event === 'stopped').length;
  await client.ask('terminate');
  assert.equal(client.events.filter(({ event }) => event === 'stopped').length, stops, 'nobody is told of a stop');
  checked(trace);
});

test('left alone, it lives on', async (t) => {
  const trace = join(scratch(t), 'live.trace');
  const client = await launch(t, trace, { stopAt: 'entry' });
  await client.move('configurationDone');
  await client.ask('chronovisor/type', { text: 'work 40 3\npoweroff\n' });
  await client.ask('disconnect', { terminateDebuggee: false });
  await client.recordings.ended();
  const reader = checked(trace);
  assert.equal(reader.end?.reason, 'power-off');
});

test('left alone, it is taken up again', async (t) => {
  const trace = join(scratch(t), 'live.trace');
  const first = await launch(t, trace, { stopAt: 'run' });
  await first.ask('configurationDone');
  await until(() => shown(first).includes('> '));
  await first.ask('disconnect', { terminateDebuggee: false });
  const second = await Client.open(t, { trace }, first.recordings);
  const { reason } = await second.move('configurationDone');
  assert.equal(reason, 'entry');
  const { live, position, end } = await second.ask('chronovisor/when');
  assert.deepEqual([live, position], [true, end]);
  // The past is there, and the guest lives on.
  await second.move('chronovisor/seek', { position: '50%' });
  await second.ask('chronovisor/type', { text: 'work 40 3\npoweroff\n' });
  assert.match((await second.move('continue', { threadId: 1 })).description ?? '', /exit code 0/);
  assert.match(shown(second), /total/);
  await second.ask('disconnect');
  checked(trace);
  const third = await Client.open(t, { trace, stopAt: 'end' }, first.recordings);
  await third.move('configurationDone');
  assert.equal((await third.ask('chronovisor/when')).live, false);
});

test('panics end the first run, and traps are stopped at', async (t) => {
  const trace = join(scratch(t), 'live.trace');
  const input = join(scratch(t), 'input');
  writeFileSync(input, 'spawn fault\npanic\n');
  const client = await launch(t, trace, { input });
  await client.ask('setExceptionBreakpoints', {
    filters: ['panic', 'access'],
    filterOptions: [{ filterId: 'page-fault', condition: '$scause != 13' }],
  });
  const trapped = await client.move('configurationDone');
  assert.equal(trapped.reason, 'exception');
  assert.match(trapped.text ?? '', /store page fault/i);
  await client.ask('setExceptionBreakpoints', { filters: [] });
  const { reason } = await client.move('restart');
  assert.equal(reason, 'exception', 'a panic, though no breakpoint is set');
  assert.match((await client.ask('exceptionInfo', { threadId: 1 })).description ?? '', /panic/);
  assert.ok(existsSync(trace.replace('.trace', '-2.trace')), 'the first recording stays');
  // Though the run is held at each character, to look at a condition that the engine cannot.
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'uart_put', condition: '1.5 > 2.0' }] });
  await client.ask('setExceptionBreakpoints', { filters: ['panic'] });
  writeFileSync(input, 'panic\n');
  const held = await client.move('restart', { arguments: { ...MACHINE, trace, input, stopAt: 'run' } });
  assert.equal(held.reason, 'exception');
});

test('a new recording of the same', async (t) => {
  const folder = scratch(t);
  const trace = join(folder, 'live.trace');
  const client = await launch(t, trace, { stopAt: 'run' });
  const { breakpoints } = await client.ask('setFunctionBreakpoints', {
    breakpoints: [{ name: 'shell_run', hitCondition: '1' }, { name: 'nowhere' }, { name: 'uart_init' }],
  });
  const first = await client.move('configurationDone');
  assert.deepEqual(first.hitBreakpointIds, [breakpoints[2].id]);
  const position = await client.position();
  const shown = async () => (await client.ask('evaluate', { expression: 'sizeof(long)' })).result;
  assert.equal(await shown(), '8');
  await client.ask('chronovisor/display', { hexadecimal: true });
  // With the guest's random numbers drawn from a seed, it is the same again, and shown as before.
  const second = await client.move('restart');
  assert.deepEqual(second.hitBreakpointIds, [breakpoints[2].id]);
  assert.equal(await client.position(), position);
  assert.equal(await shown(), '0x8');
  assert.equal((await client.ask('chronovisor/when')).trace, join(folder, 'live-2.trace'));
  checked(trace);
  // Replaced where it may be, and with another machine.
  const third = await client.move('restart', {
    arguments: { ...MACHINE, trace, force: true, harts: 3, stopAt: 'entry' },
  });
  assert.equal(third.reason, 'entry');
  assert.equal((await client.ask('threads')).threads.length, 3);
  assert.match(
    await client.ask('restart', { arguments: { ...MACHINE, kernel: 'nowhere.elf' } }),
    /nowhere\.elf: no such file/,
  );
  assert.match(await client.ask('threads'), /no trace is open/);
});

test('steps past the present end at the present', async (t) => {
  const seed = 11;
  const client = await launch(t, join(scratch(t), 'live.trace'), { stopAt: 'entry' });
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'message_take' }] });
  await client.move('configurationDone');
  await client.ask('chronovisor/type', { text: 'work 40 3\n' });
  let { threadId } = await client.move('continue', { threadId: 1 });
  await client.ask('setFunctionBreakpoints', { breakpoints: [] });
  const random = new Random(seed);
  const newest: number[] = [await client.position()];
  for (let n = 0; n < 14; n++) {
    const command = random.pick(['next', 'stepIn', 'stepOut']);
    const granularity = random.pick(['line', 'statement', 'instruction']);
    ({ threadId } = await client.move(command, { threadId, granularity }));
    const { position, end, live } = await client.ask('chronovisor/when');
    assert.equal(live, true);
    assert.equal(position, end, `seed ${seed}, step ${n}: ${command} by ${granularity} ends at the present`);
    assert.ok(position > newest.at(-1)!, `seed ${seed}, step ${n}: ${command} by ${granularity} goes on`);
    newest.push(position);
  }
  // A step that would never be over can be paused.
  assert.equal((await client.stack(threadId))[0].name, 'task_exit');
  const stopped = client.next('stopped');
  await client.ask('stepOut', { threadId });
  await until(() => shown(client).includes('total 63fe29d582452f80'));
  await client.ask('pause', { threadId });
  await stopped;
  const { position, end, live } = await client.ask('chronovisor/when');
  assert.equal(live, true);
  assert.equal(position, end);
});

test('what is changed is part of the recording', async (t) => {
  const trace = join(scratch(t), 'live.trace');
  const client = await launch(t, trace, { stopAt: 'entry' });
  const received = { line: 64, condition: 'message != 0' };
  await client.ask('setBreakpoints', { source: source('mailbox.c'), breakpoints: [received] });
  await client.move('configurationDone');
  await client.ask('chronovisor/type', { text: 'work 40 3\n' });
  const { threadId } = await client.move('continue', { threadId: 1 });
  const value = async (expression: string) => {
    const [{ id: frameId }] = await client.stack(threadId);
    const answer = await client.ask('evaluate', { expression, frameId });
    return typeof answer === 'string' ? answer : answer.result;
  };
  const set = async (expression: string, wanted: string) => {
    const [{ id: frameId }] = await client.stack(threadId);
    return client.ask('setExpression', { expression, value: wanted, frameId });
  };
  // Memory, a register, and through the views of both.
  const before = BigInt(await value('message->serial'));
  assert.equal((await set('message->serial', '77 + 1')).value, '78');
  assert.equal(await value('message->serial'), '78');
  assert.equal(BigInt((await set('$t3', '0x1234567890abcdef')).value), 0x1234567890abcdefn);
  assert.equal(BigInt(await value('$t3')), 0x1234567890abcdefn);
  assert.match((await set('$ft1', '1.5')).value, /1\.5/);
  const [{ id: frameId }] = await client.stack(threadId);
  const registers = await client.ask('scopes', { frameId });
  const { variablesReference } = registers.scopes.find((scope: Body) => scope.name === 'Registers');
  const answer = await client.ask('setVariable', { variablesReference, name: 't4', value: '-1' });
  assert.equal(BigInt.asUintN(64, BigInt(answer.value.split(' ')[0])), 2n ** 64n - 1n);
  const address = await value('/x &message->serial');
  const written = await client.ask('writeMemory', { memoryReference: address.split(' ')[0], data: 'TwAAAA==' });
  assert.equal(written.bytesWritten, 4);
  assert.equal(await value('message->serial'), '79');
  const changed = await client.position();
  const typed = await client.ask('evaluate', {
    expression: '$a0 = $a0',
    frameId: (await client.stack(threadId))[0].id,
    context: 'repl',
  });
  assert.equal(BigInt(typed.result), BigInt(await value('$a0')));
  // What cannot be.
  for (const [expression, wanted, why] of [
    ['1 + 1', '3', /in no one place/],
    ['message->nothing', '3', /nothing/],
    ['$satp', '3', /cannot be set/],
    ['message->serial', 'nobody', /nobody/],
    ['*(int *)0', '3', /0x0/],
  ] as const) {
    assert.match(await set(expression, wanted), why, expression);
  }
  assert.match(await client.ask('writeMemory', { memoryReference: '0x80000000', data: '?' }), /base64/);
  assert.match(await client.ask('writeMemory', { memoryReference: '0x10000000', data: 'AA==' }), /not all RAM|mapped/);
  assert.equal(await client.position(), changed);

  // In the past it is as it was, at its place it is as it was made, and the past is not to be changed.
  await client.move('stepBack', { threadId, granularity: 'instruction' });
  const there = `*(unsigned *)${address.split(' ')[0]}`;
  assert.equal(BigInt(await value(there)), before);
  assert.match(await set(there, '5'), /the past cannot be changed: .*branch/);
  await client.move('chronovisor/seek', { position: changed });
  assert.equal(await value('message->serial'), '79');
  assert.equal(await value('$t4'), '-1');

  // Who wrote it: a person, here, more than once; before, the guest.
  const say = async (text: string): Promise<string> => {
    const [{ id }] = await client.stack(threadId);
    return (await client.ask('evaluate', { expression: text, context: 'repl', frameId: id })).result;
  };
  const written79 = `${changed.toLocaleString('en-US')}  changed by hand to 0x4f`;
  assert.equal(await say(`last-write ${there}`), written79);
  assert.equal(await client.position(), changed);
  const values = (await say(`history ${there}`)).split('\n');
  assert.deepEqual(values.slice(0, 2), [written79, written79.replace('4f', '4e')]);
  assert.match(values[2], / {2}hart \d {2}write_letters\S* {2}\S*work\.c:\d+ {2}0x0 -> 0x1$/);
  // Of a name alone C may have a say: a product is no command.
  assert.match(
    await client.ask('evaluate', { expression: 'history * 3', context: 'repl' }),
    /nothing is called 'history'/,
  );
  assert.match(await say('last-write $t4'), /changed by hand to 0xffffffffffffffff$/);
  await client.move('next', { threadId, granularity: 'instruction' });
  assert.equal(await say(`last-write ${there}`), written79);
  assert.equal(await client.position(), changed);
  await client.move('stepBack', { threadId, granularity: 'instruction' });
  assert.match(await say(`last-write ${there}`), / {2}hart \d {2}write_letters.*about to write it$/);
  assert.match(await say(`first-write ${there}`), / {2}hart \d {2}.*about to write it$/);
  await client.move('chronovisor/seek', { position: changed });

  // The guest finds out that the message is not the one that was sent.
  await client.ask('setBreakpoints', { source: source('mailbox.c'), breakpoints: [] });
  const stopped = client.next('stopped');
  await client.ask('continue', { threadId: 1 });
  assert.match((await stopped).description ?? '', /exit code 1/);
  assert.match(shown(client), /panic: corrupt message/);
  const reader = checked(trace);
  assert.deepEqual(
    [...reader.inputs(changed, changed + 1)].map(({ input }) => input.kind).filter((kind) => kind !== 'clock'),
    ['memory', 'register', 'register', 'register', 'memory', 'register'],
  );
  const what = `${address.split(' ')[0]},4`;
  const asked = await chronovisor('query', trace, 'last-write', what, '--to', String(changed));
  assert.match(asked.stdout, new RegExp(`^${changed} .* - +- +write of 4 at ${address.split(' ')[0]} by hand$`, 'm'));
  const rows = await chronovisor('query', trace, 'writers', what, '--format', 'json');
  const byHand = rows.stdout
    .trim()
    .split('\n')
    .map((row): Body => JSON.parse(row));
  assert.deepEqual(
    byHand.filter((row) => row.byHand).map((row) => row.position),
    [changed, changed],
  );
  const positions = byHand.map((row) => row.position);
  assert.deepEqual(
    positions,
    positions.toSorted((a, b) => a - b),
  );
});

test('a branch of the past lives on in its own way', async (t) => {
  const folder = scratch(t);
  const trace = join(folder, 'live.trace');
  const client = await launch(t, trace, { stopAt: 'entry' });
  const { breakpoints } = await client.ask('setBreakpoints', {
    source: source('mailbox.c'),
    breakpoints: [{ line: 64, condition: 'message != 0' }],
  });
  await client.move('configurationDone');
  await client.ask('chronovisor/type', { text: 'work 40 3\npoweroff\n' });
  let threadId = 1;
  for (let n = 0; n < 3; n++) ({ threadId } = await client.move('continue', { threadId }));
  const third = await client.position();
  await client.move('continue', { threadId });
  await client.move('chronovisor/seek', { position: third });
  const registers = async () =>
    (await client.scope('Registers', (await client.stack(threadId))[0].id)).map((r) => r.value);
  const before = await registers();

  // From the live recording's past: it ends, the branch begins.
  assert.match(await client.ask('chronovisor/branch', { trace }), /exists/);
  assert.match(await client.ask('chronovisor/branch', { position: 'nowhere' }), /no position/);
  assert.match(await client.ask('chronovisor/branch', { chaos: 3 }), /^chaos: .*fixed schedule/);
  const stopped = client.next('stopped');
  const made = await client.ask('chronovisor/branch');
  assert.equal(made.trace, join(folder, 'live-branch.trace'));
  assert.match((await stopped).description ?? '', /branch/);
  checked(trace);
  const when = await client.ask('chronovisor/when');
  assert.deepEqual([when.position, when.end, when.live, when.trace], [third, third, true, made.trace]);
  assert.deepEqual(await registers(), before);
  const [{ id: frameId }] = await client.stack(threadId);
  assert.equal(
    (await client.ask('setExpression', { expression: 'message->serial', value: '99', frameId })).value,
    '99',
  );
  // Its past is that of the other one, and its breakpoints are set.
  const back = await client.move('reverseContinue', { threadId });
  assert.deepEqual(back.hitBreakpointIds, [breakpoints[0].id]);
  await client.move('chronovisor/seek', { position: third });
  await client.ask('setBreakpoints', { source: source('mailbox.c'), breakpoints: [] });
  const ended = client.next('stopped');
  await client.ask('continue', { threadId });
  assert.match((await ended).description ?? '', /exit code 1/);
  checked(made.trace);

  // From a recorded trace, by another client; to the end that the guest chose without the change.
  const other = await Client.open(t, { trace, symbolFiles: [EMBEDDED_KERNEL], stopAt: third });
  await other.move('configurationDone');
  const there = other.next('stopped');
  const branch = await other.ask('chronovisor/branch', { position: third - 5000 });
  assert.equal(branch.trace, join(folder, 'live-branch-2.trace'));
  await there;
  assert.equal(await other.position(), third - 5000);
  const over = other.next('stopped');
  await other.ask('continue', { threadId: 1 });
  await until(() => shown(other).includes('total'));
  await other.ask('chronovisor/type', { text: 'poweroff\n' });
  assert.match((await over).description ?? '', /exit code 0/);
  assert.match(shown(other), /total 63fe29d582452f80/);
  checked(branch.trace);
});

test('a branch needs the disks for blocks that were never read', async (t) => {
  const folder = scratch(t);
  const image = join(folder, 'disk.img');
  writeFileSync(image, Buffer.alloc(256 * 1024, 'chronovisor '));
  const client = await launch(t, join(folder, 'live.trace'), { stopAt: 'run', disks: [image] });
  await client.ask('configurationDone');
  await until(() => shown(client).includes('> '));
  const paused = client.next('stopped');
  await client.ask('pause', { threadId: 1 });
  await paused;
  for (const [disks, wanted] of [
    [[], /End of the recording: .*first time.*disks/],
    [[image], /switched itself off, exit code 0/],
  ] as const) {
    const branched = client.next('stopped');
    await client.ask('chronovisor/branch', { disks });
    await branched;
    await client.ask('chronovisor/type', { text: 'disk read 3\npoweroff\n' });
    const position = await client.position();
    const { description } = await client.move('continue', { threadId: 1 });
    assert.match(description ?? '', wanted);
    assert.equal((await client.ask('chronovisor/when')).live, false);
    // What was before can be looked at, and branched again.
    await client.move('chronovisor/seek', { position });
  }
});

test('breakpoints of all kinds stop a living guest where they stop its recording', async (t) => {
  const folder = scratch(t);
  const trace = join(folder, 'live.trace');
  const input = join(folder, 'input');
  writeFileSync(input, 'run fault\nwork 60 3\n');
  const stops = async (client: Client): Promise<unknown[]> => {
    const { dataId } = await client.ask('dataBreakpointInfo', { name: 'pool.first' });
    await client.ask('setFunctionBreakpoints', {
      breakpoints: [
        { name: 'message_take', hitCondition: '% 3' },
        { name: 'message_checksum', condition: 'message->serial > 10 && message->serial % 4 == 0' },
        { name: 'wake_all', condition: '$a0 != 0', hitCondition: '> 80' },
        { name: 'uart_get', condition: '1 == 2' },
      ],
    });
    await client.ask('setDataBreakpoints', {
      breakpoints: [{ dataId, accessType: 'write', condition: '$sp % 32 == 0', hitCondition: '> 60' }],
    });
    await client.ask('setExceptionBreakpoints', {
      filters: ['trap 15'],
      filterOptions: [{ filterId: 'trap 8', condition: '$a0 % 64 == 0' }],
    });
    const found = [];
    for (let n = 0; n < 60; n++) {
      const stopped = client.next('stopped');
      await client.ask('continue', { threadId: 1 });
      const { reason, threadId, hitBreakpointIds } = await stopped;
      found.push({ reason, threadId, hitBreakpointIds, position: await client.position() });
    }
    return found;
  };
  const living = await launch(t, trace, { stopAt: 'entry', input });
  await living.move('configurationDone');
  const live = await stops(living);
  await living.ask('terminate');
  const recorded = await Client.open(t, { trace, stopAt: 'start' });
  await recorded.move('configurationDone');
  assert.deepEqual(await stops(recorded), live);
  const reasons = new Set(live.map((stop) => (stop as { reason: string }).reason));
  assert.ok(reasons.size === 3, [...reasons].join(', '));
});

test('what cannot be recorded', async (t) => {
  const folder = scratch(t);
  const there = join(folder, 'there.trace');
  writeFileSync(there, '');
  const bad: [object, RegExp][] = [
    [{ kernel: undefined }, /^bios none needs kernel/],
    [{ kernel: undefined, bios: undefined }, /kernel/],
    [{ kernel: 7 }, /'kernel' must be a text/],
    [{ kernel: join(folder, 'none') }, /^kernel .*none: no such file/],
    [{ kernel: folder }, /^kernel .*: is a folder/],
    [{ initrd: join(folder, 'none') }, /^initrd .*none: no such file/],
    [{ bios: join(folder, 'none') }, /^bios .*none: no such file/],
    [{ harts: 0 }, /^harts 0: a whole number from 1 to/],
    [{ harts: 'two' }, /^harts two: a whole number/],
    [{ harts: [2] }, /'harts' must be a text or a number/],
    [{ memory: '1K' }, /^memory 1K: whole mebibytes/],
    [{ clock: 'sundial' }, /'clock' must be one of virtual, host/],
    [{ nsPerStep: 0 }, /^nsPerStep 0: a number/],
    [{ quantum: -1 }, /^quantum -1/],
    [{ chaos: 1.5 }, /^chaos 1\.5/],
    [{ seed: 'x' }, /^seed x/],
    [{ rtc: 'noon' }, /^rtc noon/],
    [{ disks: 'disk.img' }, /'disks' must be a list/],
    [{ disks: [join(folder, 'none')] }, /^disks .*none: no such file/],
    [{ maxSteps: 0 }, /^maxSteps 0/],
    [{ until: '' }, /^until ''/],
    [{ script: there, input: there }, /^script and input/],
    [{ script: there }, /^script .*there\.trace: has no line/],
    [{ trace: there }, /^trace .*exists: choose another name, or replace it with "force": true/],
    [{ trace: join(folder, 'no', 'folder') }, /folder/],
    [{ stopAt: 'noon' }, /'stopAt' must be one of entry, panic, run/],
    [{ symbolFiles: [join(folder, 'none')] }, /none: no such file/],
    [{ force: 'yes' }, /'force' must be true or false/],
  ];
  const client = await Client.start(t);
  for (const [wrong, message] of bad) {
    const answer: Body = await client.ask('launch', { ...MACHINE, trace: join(folder, 'new.trace'), ...wrong });
    assert.equal(typeof answer, 'string', JSON.stringify(wrong));
    assert.match(answer, message);
    assert.equal(existsSync(join(folder, 'new.trace')), false, `${JSON.stringify(wrong)} leaves no file`);
  }
  assert.match(await client.ask('continue', { threadId: 1 }), /no trace is open/);
});
