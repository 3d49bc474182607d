/** Compiled code beside the interpreter: the same program, run both ways, compared at many positions. */
import assert from 'node:assert/strict';
import type { Random } from '../../../src/base/random.ts';
import type { H } from '../../../src/vmm/riscv/hart.ts';
import type { ExitReason } from '../../../src/vmm/riscv/region.ts';
import type { VirtMachine } from '../../../src/vmm/riscv/virt.ts';

/** What of a hart is compared wherever a slice ends; the rest of the state is in the digests. */
const FIELDS = (
  'pc privilege mstatus mip mie mepc mcause mtval sepc scause stval mscratch fflags frm fetchPage fetchPhysical ' +
  'reservation lines steps traps waiting'
).split(' ') as (keyof typeof H)[];
const NARROW = new Set(['privilege', 'fflags', 'frm', 'waiting']);

/** The harts' registers. */
function registersOf(machine: VirtMachine): string {
  const { cpu } = machine;
  const lines: string[] = [];
  for (let hart = 0; hart < cpu.harts; hart++) {
    const hex = (value: bigint) => BigInt.asUintN(64, value).toString(16);
    for (const field of FIELDS) {
      lines.push(`hart ${hart} ${field} ${NARROW.has(field) ? cpu.get32(hart, field) : hex(cpu.get(hart, field))}`);
    }
    for (let n = 1; n < 32; n++) lines.push(`hart ${hart} x${n} ${hex(cpu.x(hart, n))}`);
    for (let n = 0; n < 32; n++) lines.push(`hart ${hart} f${n} ${hex(cpu.f(hart, n))}`);
  }
  return lines.join('\n');
}

const digestText = (machine: VirtMachine) => Buffer.from(machine.digest()).toString('hex');

/** Runs on to a position; false if the machine stopped or sleeps for ever. */
function advance(machine: VirtMachine, position: number): boolean {
  while (machine.position < position) {
    const result = machine.run(position);
    if (result.kind === 'idle' && result.untilNs !== Number.POSITIVE_INFINITY) machine.skipIdle(result.untilNs);
    else if (result.kind !== 'position') return false;
  }
  return true;
}

/** The states of an interpreted run, by position; digests at one position in DIGEST_STRIDE. */
export interface Reference {
  readonly make: () => VirtMachine;
  readonly registers: readonly string[];
  readonly digests: ReadonlyMap<number, string>;
}
const DIGEST_STRIDE = 8;

/** Interprets a program step by step, to its end or for so many steps. */
export function interpret(make: () => VirtMachine, steps: number): Reference {
  const machine = make();
  machine.cpu.jit.hotAfter = Number.POSITIVE_INFINITY;
  const registers = [registersOf(machine)];
  const digests = new Map<number, string>();
  while (registers.length <= steps && advance(machine, registers.length)) {
    registers.push(registersOf(machine));
    if (machine.position % DIGEST_STRIDE === 0) digests.set(machine.position, digestText(machine));
  }
  return { make, registers, digests };
}

export interface Coverage {
  regions: number;
  readonly exits: Map<ExitReason, number>;
}

/**
 * Runs the program again with everything compiled early, in slices of random lengths, and compares the registers after each and the digests
 * after some. A digest takes the host's addresses away, so that most rounds look at few.
 */
export function compareCompiled(reference: Reference, random: Random, coverage: Coverage): void {
  const { registers, digests } = reference;
  const machine = reference.make();
  const { jit } = machine.cpu;
  const hotAfter = random.pick([0, 0, 1, 3, 10]);
  const longest = random.pick([1, 3, 10, 100, 1000]);
  const looks = random.pick([0, 0.1, 1]);
  jit.hotAfter = hotAfter;
  jit.batch = random.pick([1, 1, 2]);
  jit.counting = random.below(2) === 0;
  jit.invalidationsMax = Number.POSITIVE_INFINITY;
  if (random.below(2) === 0) jit.writesBesideCode();
  if (random.below(2) === 0) jit.blockHotAfter = 0;
  const what = `seed ${random.seed}: hot after ${hotAfter}, slices up to ${longest}`;
  const last = registers.length - 1 - ((registers.length - 1) % DIGEST_STRIDE);
  while (machine.position < last) {
    const from = machine.position;
    const to = Math.min(last, from + 1 + random.below(longest));
    assert.ok(advance(machine, to), `${what}: the machine goes on from ${from} to ${to}`);
    const found = registersOf(machine);
    if (found !== registers[to]) assert.equal(found, registers[to], `${what}: between ${from} and ${to}`);
    const digest = digests.get(to);
    if (digest !== undefined && (to === last || random.below(1000) < looks * 1000)) {
      assert.equal(digestText(machine), digest, `${what}: digest, between ${from} and ${to}`);
    }
  }
  coverage.regions += jit.compiled;
  if (!jit.counting) return;
  for (const [reason, count] of Object.entries(jit.exits()) as [ExitReason, number][]) {
    coverage.exits.set(reason, (coverage.exits.get(reason) ?? 0) + count);
  }
}
