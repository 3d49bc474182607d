/** Runs with probes, compared with what the oracle has seen. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Random } from '../../src/base/random.ts';
import type { AccessProbe, ProbeEvent, ProbeSet } from '../../src/vmm/probes.ts';
import type { VirtMachine } from '../../src/vmm/riscv/virt.ts';
import { ORACLE_CSRS, observe, runThrough, type Step, type Stretch } from './oracle.ts';

const SEED = 20_261_123;
const TIERS = [0, 20, 3000, Number.POSITIVE_INFINITY];

const overlaps = (at: bigint, length: number, from: bigint, count: number) =>
  at < from + BigInt(count) && from < at + BigInt(length);

/** What a set of probes is to report of a step, as texts. */
function expected(step: Step, set: ProbeSet): string[] {
  const texts: string[] = [];
  const { position, hart, pc } = step;
  const say = (...words: (string | number | bigint | boolean | null)[]) => texts.push(`${position} ${words.join(' ')}`);
  const here =
    set.execute?.includes(pc) || (step.physicalPc !== null && set.executePhysical?.includes(step.physicalPc));
  if (step.executes && here) say('execute', hart, pc);
  for (const access of step.accesses) {
    const { write, virtual, physical, length } = access;
    const seen = (set.accesses ?? []).some((probe) => {
      const address = probe.space === 'virtual' ? virtual : physical;
      return (
        (write ? probe.write : probe.read) && address !== null && overlaps(address, length, probe.address, probe.length)
      );
    });
    if (seen) say('access', hart, pc, write, virtual, physical, length);
  }
  const { trap, call } = step;
  if (trap && wants(trap.interrupt ? set.interrupts : set.traps, trap.cause)) {
    say(trap.interrupt ? 'interrupt' : 'trap', hart, trap.cause, trap.value, pc, trap.privilege);
  }
  if (call && wants(set.calls, call.extension)) say('sbi', hart, pc, call.extension, call.fn);
  for (const probe of set.registers ?? []) {
    const change = step.changes.find((c) => c.hart === probe.hart && c.name === probe.name);
    if (change) say('register', change.hart, change.name, change.after);
  }
  return texts.sort();
}

const wants = (wish: boolean | ReadonlySet<number> | undefined, cause: number) =>
  typeof wish === 'object' ? wish.has(cause) : wish === true;

function textOf(event: ProbeEvent): string {
  const { position, kind, hart } = event;
  const say = (...words: (string | number | bigint | boolean | null)[]) =>
    `${position} ${kind} ${hart} ${words.join(' ')}`;
  switch (event.kind) {
    case 'execute':
      return say(event.pc);
    case 'access':
      return say(event.pc, event.write, event.virtual, event.physical, event.length);
    case 'trap':
    case 'interrupt':
      return say(event.cause, event.value, event.epc, event.privilege);
    case 'sbi':
      return say(event.pc, event.extension, event.fn);
    case 'register':
      return say(event.name, event.after);
  }
}

/** A few probes of some kinds, on places that the stretch comes to, and beside them. */
function randomSet(random: Random, steps: readonly Step[], harts: number): ProbeSet {
  const step = () => random.pick(steps);
  const withAccess = steps.filter(({ accesses }) => accesses.length > 0);
  const many = (count: number, make: () => bigint | null) =>
    Array.from({ length: 1 + random.below(count) }, make).filter((address) => address !== null);
  const range = (): AccessProbe => {
    const access = random.pick(random.pick(withAccess).accesses);
    const space = access.virtual !== null && random.below(2) === 0 ? 'virtual' : 'physical';
    const address = (space === 'virtual' ? access.virtual! : access.physical) + BigInt(random.below(12) - 6);
    const [read, write] = random.pick([
      [true, true],
      [false, true],
      [true, false],
    ]);
    return { space, address: BigInt.asUintN(64, address), length: random.pick([1, 2, 3, 8, 64, 5000]), read, write };
  };
  const registers = () => ({
    hart: random.below(harts),
    name: random.pick([`x${1 + random.below(31)}`, `x${1 + random.below(31)}`, random.pick(ORACLE_CSRS)]),
  });
  const set: { -readonly [K in keyof ProbeSet]: ProbeSet[K] } = {};
  const kinds = 1 + random.below(63);
  if (kinds & 1) set.execute = many(12, () => step().pc);
  if (kinds & 2) set.executePhysical = many(4, () => step().physicalPc);
  if (kinds & 4) set.accesses = Array.from({ length: 1 + random.below(6) }, range);
  if (kinds & 8) set.traps = random.pick<boolean | Set<number>>([true, new Set([8, 9]), new Set([12, 13, 15])]);
  if (kinds & 16) set.interrupts = random.pick<boolean | Set<number>>([true, new Set([1, 9])]);
  if (kinds & 32) set.calls = random.pick<boolean | Set<number>>([true, new Set([0x735049])]);
  // The variant of the interpreter is slow, and everything else must work without it.
  if (random.below(3) === 0) set.registers = Array.from({ length: 1 + random.below(5) }, registers);
  return set;
}

/** Runs a stretch with probes; the events, after checking that they come at the right moment. */
function probed(
  machine: VirtMachine,
  stretch: Stretch,
  prepare: (m: VirtMachine) => void,
  set: ProbeSet,
  random: Random,
): string[] {
  machine.restore(stretch.start);
  prepare(machine);
  const byPosition = new Map(stretch.steps.map((step) => [step.position, step]));
  const events: string[] = [];
  const stopOdds = random.pick([0, 0, 3, 50]);
  let stop: ProbeEvent | null = null;
  machine.probes.pass = -1;
  machine.probes.set(set, (event) => {
    const { position, kind } = event;
    events.push(textOf(event));
    assert.equal(machine.position, kind === 'execute' ? position : position + 1, `${kind} at ${position}`);
    if (kind === 'execute') {
      const step = byPosition.get(position)!;
      assert.equal(machine.cpu.get(step.hart, 'pc'), step.pc);
      const wrong = step.registers.findIndex((value, n) => machine.cpu.x(step.hart, n) !== value);
      assert.equal(wrong, -1, `register x${wrong} at ${position}`);
    }
    if (stop || stopOdds === 0 || random.below(stopOdds) !== 0) return false;
    stop = event;
    return true;
  });
  runThrough(machine, stretch.end, () => {
    assert.ok(stop, 'the listener has asked to stop');
    assert.equal(machine.position, stop.kind === 'execute' ? stop.position : stop.position + 1);
    // Where another event has stopped the machine, the instruction has not been reported yet.
    if (stop.kind === 'execute') machine.probes.pass = machine.position;
    stop = null;
    machine.sliceSteps = 1 + random.below(50_000);
  });
  machine.probes.clear();
  assert.equal(Buffer.from(machine.digest()).toString('hex'), stretch.digest, 'the state with probes');
  return events;
}

/** Within a step the order is the machine's own. */
function inOrder(events: readonly string[]): string[] {
  const position = (text: string) => Number(text.split(' ', 1)[0]);
  for (let i = 1; i < events.length; i++) assert.ok(position(events[i - 1]) <= position(events[i]), events[i]);
  return [...events].sort((a, b) => position(a) - position(b) || (a < b ? -1 : 1));
}

/**
 * Observes a stretch from where the machine is, and runs it again with random probes in random tiers and slices. The machine is then
 * where it was, without the inputs that `prepare` enters.
 */
export function compare(
  t: TestContext,
  machine: VirtMachine,
  count: number,
  rounds: number,
  prepare: (m: VirtMachine) => void = () => {},
): void {
  const from = machine.position;
  const stretch = observe(machine, count, prepare);
  const tables = stretch.steps.flatMap(({ accesses }) => accesses).filter(({ virtual }) => virtual === null).length;
  const traps = stretch.steps.filter(({ trap }) => trap).length;
  const random = new Random(SEED + from);
  let told = 0;
  for (let round = 0; round < rounds; round++) {
    const set = randomSet(random, stretch.steps, machine.cpu.harts);
    machine.cpu.jit.hotAfter = random.pick(TIERS);
    machine.sliceSteps = 1 + random.below(random.pick([50, 5000, 2_000_000]));
    const events = inOrder(probed(machine, stretch, prepare, set, random));
    const wanted = stretch.steps.flatMap((step) => expected(step, set));
    told += events.length;
    const message = `seed ${random.seed}, round ${round}: ${JSON.stringify(set, shown)}`;
    if (events.join() !== inOrder(wanted).join()) assert.deepEqual(events, inOrder(wanted), message);
  }
  t.diagnostic(
    `from ${from}: ${stretch.steps.length} steps, ${traps} traps, ${tables} writes of page tables; ${rounds} sets, ${told} events`,
  );
  machine.restore(stretch.start);
}

const shown = (_: string, value: unknown) =>
  typeof value === 'bigint' ? `0x${value.toString(16)}` : value instanceof Set ? [...value] : value;
