/** Whatever a client asks, in whichever order: afterwards the machine is the one that a plain replay finds at that position. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { type Body, Client, source, TRACE } from './client.ts';

const HARTS = 4;
const REQUESTS = 150;

/** Arguments that no client should send; none of them may do harm. */
const GARBAGE: readonly unknown[] = [
  null,
  [],
  'text',
  17,
  { threadId: -1 },
  { threadId: 1e9 },
  { threadId: {} },
  { frameId: 999_999_999, variablesReference: 999_999_999, expression: '((((', granularity: 'giant' },
  { breakpoints: 5, filters: {}, source: 'a' },
  { breakpoints: [null], source: { path: 3 } },
  { breakpoints: [{ line: -5, name: 7, dataId: 'x', instructionReference: 'zz' }], source: { path: '' } },
  { memoryReference: '0xffffffffffffffff', count: 2 ** 40, instructionCount: 1e8, instructionOffset: -1e8 },
  { memoryReference: '-1', offset: 0.5, count: 1 },
  { expression: 'seek', context: 'repl' },
  { expression: '*'.repeat(20_000), context: 'repl' },
  { name: '*&*&', asAddress: true, bytes: 0, text: '->', column: 2 ** 50 },
  { position: 'never' },
];
const COMMANDS = [
  ...['initialize', 'attach', 'threads', 'stackTrace', 'scopes', 'variables', 'evaluate', 'completions', 'readMemory'],
  ...[
    'disassemble',
    'modules',
    'source',
    'exceptionInfo',
    'breakpointLocations',
    'setBreakpoints',
    'dataBreakpointInfo',
  ],
  ...['setFunctionBreakpoints', 'setInstructionBreakpoints', 'setDataBreakpoints', 'next', 'stepOut', 'stepBack'],
  ...[
    'setVariable',
    'writeMemory',
    'cancel',
    'chronovisor/seek',
    'chronovisor/runTo',
    'chronovisor/change',
    '',
    'toString',
  ],
];

test('garbage is answered with an error, and changes nothing', async (t) => {
  const client = await Client.open(t, { stopAt: 700_000 });
  await client.move('configurationDone');
  const before = await client.position();
  for (const command of COMMANDS) {
    for (const values of GARBAGE) {
      const answer = await client.adapter.answer(0, command, values);
      // Nothing of it is our own mistake, and nothing of it makes the machine move.
      if (!answer.success)
        assert.doesNotMatch(answer.message, /bug of Chronovisor/, `${command} ${JSON.stringify(values)}`);
      assert.equal(answer.success && answer.afterwards !== undefined, false, `${command} ${JSON.stringify(values)}`);
    }
  }
  assert.equal(await client.position(), before);
});

for (const seed of [1, 2, 3]) {
  test(`a walk, seed ${seed}`, async (t) => {
    const client = await Client.open(t, { stopAt: '60%' });
    const random = new Random(seed);
    const plain = new Timeline(TraceReader.open(TRACE));
    let { threadId } = await client.move('configurationDone');
    const any = () => 1 + random.below(HARTS);
    const movements: (() => Promise<Body>)[] = [
      ...['next', 'stepIn', 'stepBack', 'chronovisor/stepBackInto'].map((command) => () => {
        const granularity = random.pick(['line', 'statement', 'instruction'] as const);
        return client.move(command, { threadId: random.pick([threadId, any()]), granularity });
      }),
      () => client.move('stepOut', { threadId }),
      () => client.move('chronovisor/stepBackOut', { threadId }),
      () => client.move('chronovisor/seek', { position: 300_000 + random.below(1_000_000) }),
      () => client.move('continue', { threadId }),
      () => client.move('reverseContinue', { threadId }),
      async () => {
        // Breakpoints may be set, and a pause come, while it runs.
        const stopped = client.next('stopped');
        await client.ask('continue', { threadId });
        const set = client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'message_take' }] });
        if (random.below(2) === 0) await client.ask('pause', { threadId });
        await set;
        return stopped;
      },
    ];
    const others: (() => Promise<Body>)[] = [
      () => client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'wake_all', hitCondition: '% 3' }] }),
      () => client.ask('setBreakpoints', { source: source('work.c'), breakpoints: [{ line: 30 + random.below(50) }] }),
      () => client.ask('setBreakpoints', { source: source('work.c'), breakpoints: [] }),
      () => client.ask('setDataBreakpoints', { breakpoints: [{ dataId: 'change 0x80006018 8' }] }),
      () => client.ask('setDataBreakpoints', { breakpoints: [] }),
      () => client.ask(random.pick(COMMANDS.filter((name) => name !== 'cancel')), random.pick(GARBAGE)),
      () => client.ask('evaluate', { expression: 'history pool.first', context: 'repl' }),
    ];
    for (let n = 0; n < REQUESTS; n++) {
      await random.pick(others)();
      ({ threadId } = await random.pick(movements)());
      const position = await client.position();
      plain.seek(position);
      await client.isLike(plain.machine, `seed ${seed}, request ${n}, position ${position}`);
    }
  });
}
