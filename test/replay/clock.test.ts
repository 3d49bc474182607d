/** The laws of virtual time: exact both ways, never backwards, the same after a restore. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { StateReader, StateWriter } from '../../src/base/state.ts';
import { Clock } from '../../src/vmm/clock.ts';

const memory = () => new WebAssembly.Memory({ initial: 1 });

function saved(clock: Clock): Uint8Array {
  const writer = new StateWriter();
  clock.sync(writer);
  return writer.finish();
}

/** Rates from a picosecond to a microsecond a step, and bases anywhere in three months. */
function randomClock(random: Random): Clock {
  const clock = new Clock(memory(), random.pick([1, 7, 333, 999, 1000, 1001, 40_000, 1_000_000]));
  clock.position = random.below(2 ** 40);
  clock.set(random.below(2 ** 48));
  clock.position += random.below(2 ** 32);
  return clock;
}

test('positionAt gives the first position whose time has come', () => {
  const random = new Random(1);
  for (let i = 0; i < 2000; i++) {
    const clock = randomClock(random);
    const base = clock.now();
    const ns = base + random.below(random.pick([2, 1000, 2 ** 30]));
    const position = clock.positionAt(ns);
    assert.ok(clock.timeAt(position) >= ns, `time ${ns} has come at ${position}`);
    if (position > clock.position) assert.ok(clock.timeAt(position - 1) < ns, `and had not at ${position - 1}`);
  }
  assert.equal(new Clock(memory(), 1000).positionAt(Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY);
});

test('time does not depend on where the clock was read or set anew on the way', () => {
  const random = new Random(2);
  const [whole, halves] = [new Clock(memory(), 1000), new Clock(memory(), 1000)];
  for (let i = 0; i < 500; i++) {
    const steps = random.below(2 ** 30);
    whole.position += steps;
    halves.position += steps;
    halves.set(halves.now());
    assert.equal(halves.now(), whole.now());
  }
});

test('time never goes back', () => {
  const random = new Random(3);
  const clock = randomClock(random);
  for (let i = 0; i < 500; i++) {
    const before = clock.now();
    clock.set(before + random.below(2000) - 1000, random.pick([1, 10, 1000, 50_000]));
    assert.ok(clock.now() >= before);
    clock.position += random.below(1000);
  }
});

test('save, restore and save give equal bytes, and the same time from then on', () => {
  const random = new Random(4);
  for (let i = 0; i < 100; i++) {
    const clock = randomClock(random);
    const state = saved(clock);
    const other = randomClock(random);
    const reader = new StateReader(state);
    other.sync(reader);
    assert.ok(reader.done);
    assert.deepEqual(saved(other), state);
    for (const steps of [0, 1, 999, 2 ** 33]) {
      assert.equal(other.timeAt(other.position + steps), clock.timeAt(clock.position + steps));
    }
  }
});

test('alarms fire once, the earliest first, equal ones in the order of their making', () => {
  const clock = new Clock(memory(), 1000);
  const fired: string[] = [];
  const alarm = (name: string, also = () => {}) =>
    clock.alarm(() => {
      fired.push(name);
      also();
    });
  const late = alarm('late');
  const first = alarm('first', () => late.set(40));
  const second = alarm('second');
  const never = alarm('never');
  second.set(50);
  first.set(50);
  late.set(60);
  never.set(101);
  assert.equal(clock.nextDeadline(), 50);
  clock.position = 49;
  clock.fireDue();
  assert.deepEqual(fired, []);
  clock.position = 100;
  clock.fireDue();
  // One that is set to the past by another still comes before those that are later than it.
  assert.deepEqual(fired, ['first', 'late', 'second']);
  clock.fireDue();
  assert.equal(fired.length, 3);
  assert.equal(clock.nextDeadline(), 101);
});

test('setting an alarm is told, so that a running slice can end; taking it back is not', () => {
  const clock = new Clock(memory(), 1000);
  let told = 0;
  clock.alarmSet = () => told++;
  const alarm = clock.alarm(() => {});
  alarm.set(10);
  assert.equal(told, 1);
  alarm.set(Number.POSITIVE_INFINITY);
  assert.equal(told, 1);
});
