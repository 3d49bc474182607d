/** Whatever a client asks of a guest that lives, in whichever order: the machine is the one that a plain replay of what is recorded finds there. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { EMBEDDED_KERNEL, scratch } from '../support/guests.ts';
import { type Body, Client } from './client.ts';

const HARTS = 3;
const REQUESTS = 60;
/** Host time after which somebody who waits for a guest that may wait forever loses patience. */
const PATIENCE_MS = 400;

for (const seed of [1, 2]) {
  test(`a walk with a living guest, seed ${seed}`, async (t) => {
    const trace = join(scratch(t), 'live.trace');
    const random = new Random(seed);
    const chaos = seed === 1 ? {} : { chaos: seed };
    const machine = { kernel: EMBEDDED_KERNEL, bios: 'none', memory: '16M', harts: HARTS, seed, ...chaos };
    const client = await Client.launch(t, { ...machine, trace, stopAt: 'entry' });
    let { threadId } = await client.move('configurationDone');
    await client.ask('chronovisor/type', { text: 'spawn primes 50000\nwork 400 1\nwork 400 2\nwork 400 3\n' });
    const any = () => random.pick([threadId, 1 + random.below(HARTS)]);
    const granularity = () => random.pick(['line', 'statement', 'instruction'] as const);
    let over = false;
    let changes = 0;
    const ends = new Set<number>();

    const move = async (command: string, values: object = {}): Promise<Body> => {
      const stopped = client.next('stopped');
      const answer = await client.ask(command, values);
      if (typeof answer === 'string') throw new Error(`seed ${seed}, ${command}: ${answer}`);
      const patience = setTimeout(() => void client.ask('pause', { threadId: 1 }), PATIENCE_MS);
      const event = await stopped;
      clearTimeout(patience);
      if (/recording: the guest/.test(event.description ?? '')) over = true;
      return event;
    };
    const movements: (() => Promise<Body>)[] = [
      ...['next', 'stepIn', 'next', 'stepIn', 'stepBack', 'chronovisor/stepBackInto'].map(
        (command) => () => move(command, { threadId: any(), granularity: granularity() }),
      ),
      () => move('stepOut', { threadId }),
      () => move('continue', { threadId }),
      () => move('continue', { threadId }),
      () => move('reverseContinue', { threadId }),
      async () => move('chronovisor/seek', { position: `${random.below(101)}%` }),
      () => move('chronovisor/seek', { position: 'end' }),
      async () => {
        const stopped = client.next('stopped');
        await client.ask('continue', { threadId });
        const set = client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'message_take' }] });
        await new Promise((resolve) => setTimeout(resolve, random.below(30)));
        await client.ask('pause', { threadId });
        await set;
        return stopped;
      },
    ];
    const others: (() => Promise<Body>)[] = [
      () => client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'message_take', hitCondition: '% 5' }] }),
      () => client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'wake_all', condition: '$a0 != 0' }] }),
      () => client.ask('setFunctionBreakpoints', { breakpoints: [] }),
      () => client.ask('chronovisor/type', { text: 'x' }),
      () => client.ask('evaluate', { expression: 'history pool.first', context: 'repl' }),
      async () => {
        // At the end it is done, and seen; elsewhere it is refused.
        const { position, end, live } = await client.ask('chronovisor/when');
        const value = String(random.below(1000));
        const [{ id: frameId }] = await client.stack(threadId);
        const answer = await client.ask('setExpression', { expression: '$ft11', value, frameId });
        if (!live || position < end)
          assert.match(answer, /cannot be changed/, `seed ${seed}, at ${position} of ${end}`);
        else {
          assert.equal(Number.parseFloat(answer.value), Number(value), `seed ${seed}, at ${position}`);
          changes++;
        }
        return answer;
      },
    ];
    for (let n = 0; n < REQUESTS && !over; n++) {
      await random.pick(others)();
      ({ threadId } = await random.pick(movements)());
      const { position, end } = await client.ask('chronovisor/when');
      ends.add(end);
      const plain = new Timeline(TraceReader.open(trace));
      plain.seek(position);
      await client.isLike(plain.machine, `seed ${seed}, request ${n}, position ${position}`);
    }
    assert.ok(ends.size > 3 && changes > 0, `seed ${seed}: ${ends.size} times at another end, ${changes} changes`);
    await client.ask('terminate');
    verify(TraceReader.open(trace, { check: true }));
  });
}
