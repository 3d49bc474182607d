/** Conditions, hit counts and log points that the engine looks at: they are worth the same as those that the adapter looks at, hit by hit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Client } from './client.ts';

/** Nobody but the adapter can tell a fraction. */
const inAdapter = (condition: string) => `(${condition}) || 0.5 > 1`;

const FUNCTIONS = [
  'lock_spin',
  'unlock',
  'wake_all',
  'message_take',
  'schedule',
  'digest',
  'message_checksum',
  'memcpy',
];
const CONDITIONS = [
  ...['$a0 > 5', '$a0 & 8', '*(unsigned *)$sp % 3 == 1', '1 / ($a0 & 1)', '(int)$a1 < 0 || $a2 == 0', '$sp > $a0', '1'],
  ...[
    'tasks[1].state == TASK_SLEEPING',
    'tasks[2].pid + 1 > (short)$a1',
    'lock > 0',
    'message->kind == MESSAGE_LETTER',
    '*(int *)$a0 != 0',
  ],
];
const COUNTS = ['', '3', '>= 4', '% 5', '< 3', '> 200'];

test('a condition and a count stop in the same places wherever they are looked at', async (t) => {
  const seed = 11;
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const client = await Client.open(t, { stopAt: 'end' });
  await client.move('configurationDone');
  let stops = 0;
  for (let n = 0; n < 24; n++) {
    const name = random.pick(FUNCTIONS);
    const condition = random.pick(CONDITIONS);
    const hitCondition = random.pick(COUNTS);
    const from = 300_000 + random.below(900_000);
    const ways = Array.from({ length: 3 }, () => random.pick(['continue', 'reverseContinue']));
    const reached: string[] = [];
    for (const text of [condition, inAdapter(condition)]) {
      await client.ask('setFunctionBreakpoints', { breakpoints: [] });
      await client.move('chronovisor/seek', { position: from });
      await client.ask('setFunctionBreakpoints', { breakpoints: [{ name, condition: text, hitCondition }] });
      let places = '';
      for (const way of ways) {
        const { reason } = await client.move(way, { threadId: 1 });
        places += ` ${reason} ${await client.position()}`;
        if (reason === 'function breakpoint') stops++;
      }
      reached.push(places);
    }
    assert.equal(reached[0], reached[1], `${name} if ${condition}, hit count '${hitCondition}', from ${from}: ${ways}`);
  }
  assert.ok(stops > 30, `${stops} stops`);
});

test('a log point tells of the whole recording, from wherever one stands, in order', async (t) => {
  const client = await Client.open(t, { stopAt: 700_000 });
  await client.move('configurationDone');
  const message = 'took {$a0,x} as {(int)$a1} in state {tasks[1].state}';
  const told: { output: string; data: { position: number; timeNs: number; hart: number } }[][] = [];
  for (const logMessage of [message, `${message}{1.5}`]) {
    const from = client.events.length;
    const said = client.said(/^log point/);
    await client.ask('setFunctionBreakpoints', {
      breakpoints: [{ name: 'message_take', logMessage, condition: '$a0 != 0', hitCondition: '<= 40' }],
    });
    assert.match(await said, /: 40 times in the recording\n$/);
    const outputs = client.events
      .slice(from)
      .filter(({ event, body }) => event === 'output' && body.category === 'stdout');
    told.push(outputs.map(({ body }) => ({ output: body.output.replace('1.5', ''), data: body.data })));
  }
  assert.equal(await client.position(), 700_000);
  assert.equal(told[0].length, 40);
  assert.deepEqual(told[0], told[1], 'as the engine has it and as the adapter has it');
  const positions = told[0].map(({ data }) => data.position);
  assert.deepEqual(
    positions,
    [...positions].sort((a, b) => a - b),
  );
  // They are where a breakpoint stops.
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'message_take', condition: '$a0 != 0' }] });
  await client.move('chronovisor/seek', { position: 0 });
  for (const position of positions) {
    await client.move('continue', { threadId: 1 });
    assert.equal(await client.position(), position);
  }
});

test('a log point that is taken away says no more', async (t) => {
  const client = await Client.open(t, { stopAt: 'end' });
  await client.move('configurationDone');
  const breakpoints = [{ name: 'lock_spin', logMessage: 'spins {1.5}' }];
  await client.ask('setFunctionBreakpoints', { breakpoints });
  await client.said(/^spins/);
  await client.ask('setFunctionBreakpoints', { breakpoints: [] });
  const from = client.events.length;
  const said = client.said(/^log point/);
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'panic', logMessage: 'panics' }] });
  assert.equal(await said, "log point 'panics': 1 time in the recording\n");
  const outputs = client.events.slice(from).filter(({ event }) => event === 'output');
  assert.deepEqual(
    outputs.map(({ body }) => body.output).filter((text) => !/^spins/.test(text)),
    ['panics\n', "log point 'panics': 1 time in the recording\n"],
  );
  assert.ok(outputs.filter(({ body }) => /^spins/.test(body.output)).length < 5);
});
