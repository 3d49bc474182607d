/** What a client can do while the machine runs: pause it, cancel, set breakpoints; and what it cannot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { EXCEPTION_FILTERS } from '../../src/dap/points.ts';
import { EXCEPTIONS } from '../../src/debugger/causes.ts';
import { Client } from './client.ts';

/** A condition that is never true and that the engine cannot look at keeps a run busy: the adapter looks at each of thousands of hits. */
const BUSY = { name: 'lock_spin', condition: 'lock == 1 || 0.5 > 1' };

test('a run is paused where it has come to, and goes on', async (t) => {
  const client = await Client.open(t, { stopAt: 500_000 });
  await client.move('configurationDone');
  await client.ask('setFunctionBreakpoints', { breakpoints: [BUSY] });
  const stopped = client.next('stopped');
  await client.ask('continue', { threadId: 1 });
  assert.equal((await client.ask('threads')).threads.length, 4);
  assert.match(await client.ask('stackTrace', { threadId: 1 }), /running/);
  assert.match(await client.ask('next', { threadId: 1 }), /running/);
  await client.ask('pause', { threadId: 1 });
  const { reason } = await stopped;
  assert.equal(reason, 'pause');
  const position = await client.position();
  assert.ok(position >= 500_000 && position < 1_332_186, `at ${position}`);
  assert.equal((await client.stack(1)).length, 1);
  await client.move('next', { threadId: 1 });
  assert.ok((await client.position()) > position);
});

test('breakpoints that are set while it runs count from then on, and the run goes on', async (t) => {
  const client = await Client.open(t, { stopAt: 500_000 });
  await client.move('configurationDone');
  await client.ask('setFunctionBreakpoints', { breakpoints: [BUSY] });
  for (const command of ['continue', 'reverseContinue']) {
    const stopped = client.next('stopped');
    await client.ask(command, { threadId: 1 });
    const { breakpoints } = await client.ask('setFunctionBreakpoints', {
      breakpoints: [{ name: 'message_take' }],
    });
    const { hitBreakpointIds } = await stopped;
    assert.deepEqual(hitBreakpointIds, [breakpoints[0].id], command);
    await client.ask('setFunctionBreakpoints', { breakpoints: [BUSY] });
  }
});

test('a search is cancelled by its request, and by its progress', async (t) => {
  const client = await Client.open(t, { stopAt: 'end' });
  await client.move('configurationDone');
  const before = await client.position();
  const search = client.adapter.answer(77, 'evaluate', { expression: 'calls memcpy', context: 'repl' });
  await client.ask('cancel', { requestId: 77 });
  const answer = await search;
  assert.match(answer.success ? (answer.body as { result: string }).result : answer.message, /cancelled/);
  await client.ask('cancel', { progressId: 'no such progress' });
  assert.equal(await client.position(), before);
  assert.match((await client.ask('evaluate', { expression: 'when', context: 'repl' })).result, /position/);
});

test('whoever goes while it runs leaves nothing behind', async (t) => {
  const client = await Client.open(t, { stopAt: 'start' });
  await client.move('configurationDone');
  await client.ask('setFunctionBreakpoints', { breakpoints: [BUSY] });
  await client.ask('continue', { threadId: 1 });
  await client.ask('disconnect');
  assert.match(await client.ask('threads'), /no trace is open/);
});

test('a step of the whole machine is that of the hart whose turn it is', async (t) => {
  const client = await Client.open(t, { stopAt: 'end' });
  await client.move('configurationDone');
  const random = new Random(3);
  const granularity = 'instruction';
  const stepped = new Set<number>();
  for (let n = 0; n < 20; n++) {
    const from = 300_000 + random.below(1_000_000);
    await client.move('chronovisor/seek', { position: from });
    const { threadId } = await client.move('stepIn', { wholeMachine: true, granularity });
    const after = await client.position();
    // An interrupt's handler counts as no time; everything else is one step.
    assert.ok(after === from + 1 || after > from + 20, `from ${from} to ${after}`);
    stepped.add(threadId);
    const back = await client.move('stepBack', { wholeMachine: true, granularity });
    assert.deepEqual([await client.position(), back.threadId], [from, threadId]);
    await client.move('next', { wholeMachine: true });
    const lines = await client.position();
    await client.move('chronovisor/seek', { position: from });
    await client.move('next', { threadId });
    assert.equal(await client.position(), lines, `a line of thread ${threadId} from ${from}`);
  }
  assert.equal(stepped.size, 4);
});

test('breakpoints that do not count leave steps as they are', async (t) => {
  const seed = 5;
  const client = await Client.open(t, { stopAt: 'end' });
  await client.move('configurationDone');
  const random = new Random(seed);
  const never = ['lock_spin', 'unlock', 'wake_all', 'message_take', 'schedule', 'digest', 'message_checksum'];
  const breakpoints = never.map((name) => ({ name, condition: '1 == 2' }));
  for (let n = 0; n < 60; n++) {
    const from = 300_000 + random.below(1_000_000);
    const threadId = 1 + random.below(4);
    const command = random.pick([
      'next',
      'stepIn',
      'stepBack',
      'chronovisor/stepBackInto',
      'stepOut',
      'chronovisor/stepBackOut',
    ]);
    const granularity = random.pick(['line', 'statement', 'instruction'] as const);
    const reached: number[] = [];
    for (const set of [[], breakpoints]) {
      await client.ask('setFunctionBreakpoints', { breakpoints: set });
      await client.move('chronovisor/seek', { position: from });
      await client.move(command, { threadId, granularity });
      reached.push(await client.position());
    }
    assert.equal(
      reached[1],
      reached[0],
      `seed ${seed}, step ${n}: ${command} by ${granularity} of thread ${threadId} at ${from}`,
    );
  }
});

test('each trap cause belongs to one kind that is offered, and goes by its number, too', async (t) => {
  const offered = EXCEPTION_FILTERS.flatMap(({ description = '' }) => [...description.matchAll(/\((\d+)\)/g)]);
  const causes = offered.map(([, cause]) => Number(cause)).sort((a, b) => a - b);
  assert.deepEqual(causes, Object.keys(EXCEPTIONS).map(Number));
  const client = await Client.open(t, { stopAt: 'start' });
  const filters = [...EXCEPTION_FILTERS.map(({ filter }) => filter), ...causes.map((cause) => `trap ${cause}`)];
  const { breakpoints } = await client.ask('setExceptionBreakpoints', { filters: [...filters, 'trap 10', 'trap x'] });
  assert.deepEqual(
    breakpoints.map(({ verified }: { verified: boolean }) => verified),
    [...filters.map(() => true), false, false],
  );
});
