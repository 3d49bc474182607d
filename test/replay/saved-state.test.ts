/** What devices have saved is taken again while nothing can have changed them: whatever changes one must be noticed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Random } from '../../src/base/random.ts';
import { embeddedGuest, plainMachine, runSession } from '../support/recording.ts';
import { savedState } from '../support/saved-state.ts';

test('a state is never saved as it was before a device changed', async () => {
  const guest = embeddedGuest(20_261_130);
  const machine = plainMachine(guest);
  const random = new Random(guest.seed);
  const changed = new Set<string>();
  let before = savedState(machine, 'at the start');
  let looks = 0;
  const look = (when: string) => {
    const now = savedState(machine, `${when}, position ${machine.position}`);
    for (const [name, value] of now) {
      if (!isDeepStrictEqual(value, before.get(name))) changed.add(name.slice(0, name.indexOf('.')));
    }
    before = now;
    looks++;
  };
  // An alarm must be alone between two looks to be missed if it is not noticed, so many of them are a step apart.
  const run = machine.run.bind(machine);
  machine.run = (until) => {
    const result = run(Math.min(until, machine.position + random.pick([1, 1, 1, 30, 1000, 6000])));
    look('after a run');
    return result;
  };
  const skipIdle = machine.skipIdle.bind(machine);
  machine.skipIdle = (untilNs) => {
    skipIdle(untilNs);
    look('after idle time');
  };
  const input = machine.input.bind(machine);
  machine.input = (entered) => {
    input(entered);
    look(`after an input of kind ${entered.kind}`);
  };
  const { end } = await runSession(machine, guest, {});
  assert.equal(end.reason, 'power-off');
  assert.ok(looks > 3000, `${looks} looks`);
  for (const part of ['uart0', 'plic', 'clint', 'disk0']) assert.ok(changed.has(part), `${part} has changed`);
});

test('a state that is gone back to is saved as it was', () => {
  const machine = plainMachine(embeddedGuest(1));
  machine.run(200_000);
  const early = machine.snapshot().snapshot;
  machine.input({ kind: 'console', device: 'uart0', data: Buffer.from('harts\n') });
  machine.run(400_000);
  assert.notDeepEqual(machine.changes().state, early.state);
  machine.restore(early);
  assert.deepEqual(machine.changes().state, early.state);
});
