/** What a client can do while the machine runs: pause it, cancel, set breakpoints; and what it cannot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from './client.ts';

/** A condition that is never true keeps a run busy: the adapter looks at each of thousands of hits. */
const BUSY = { name: 'lock_spin', condition: 'lock == 1' };

test('a run is paused where it has come to, and goes on', async (t) => {
  const client = await Client.open(t, { stopAt: 500_000 });
  await client.move('configurationDone');
  await client.ask('setFunctionBreakpoints', { breakpoints: [BUSY] });
  const stopped = client.next('stopped');
  await client.ask('continue', { threadId: 1 });
  assert.match(await client.ask('threads'), /running/);
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
