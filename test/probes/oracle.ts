/**
 * What happens in a stretch of a run, found out the slow way: one step at a time in the interpreter, without probes, by looking at the
 * machine before and after each step and by decoding the instructions in between.
 */
import assert from 'node:assert/strict';
import type { MachineSnapshot } from '../../src/vmm/machine.ts';
import { type Decoded, decode } from '../../src/vmm/riscv/decoder.ts';
import { MSTATUS, PRIV } from '../../src/vmm/riscv/hart.ts';
import { readPhysical } from '../../src/vmm/riscv/inspect.ts';
import type { VirtMachine } from '../../src/vmm/riscv/virt.ts';

const PAGE = 4096n;
const ADDRESS = 2n ** 64n;

export interface Access {
  readonly write: boolean;
  /** Null for what the hardware writes into page tables. */
  readonly virtual: bigint | null;
  readonly physical: bigint;
  readonly length: number;
}

/** All that a probe could tell of one step. */
export interface Step {
  readonly position: number;
  readonly hart: number;
  readonly pc: bigint;
  readonly physicalPc: bigint | null;
  /** An instruction was begun: it was no interrupt, and its fetch went well. */
  readonly executes: boolean;
  /** Integer registers before. */
  readonly registers: readonly bigint[];
  readonly accesses: readonly Access[];
  readonly trap: {
    readonly interrupt: boolean;
    readonly cause: number;
    readonly value: bigint;
    readonly privilege: number;
  } | null;
  /** Extension and function of a call that the firmware has served. */
  readonly call: { readonly extension: number; readonly fn: bigint } | null;
  readonly changes: readonly { readonly hart: number; readonly name: string; readonly after: bigint }[];
}

/** Control registers that the oracle looks at, besides the integer registers. */
export const ORACLE_CSRS = ['sepc', 'scause', 'satp', 'stimecmp', 'sscratch', 'mepc', 'mcause'] as const;

export interface Stretch {
  readonly start: MachineSnapshot;
  readonly end: number;
  readonly steps: readonly Step[];
  readonly digest: string;
}

function skip(machine: VirtMachine, untilNs: number): void {
  assert.ok(Number.isFinite(untilNs), 'the guest waits for something that comes');
  machine.skipIdle(untilNs);
}

/** Runs to a position, through idle times. */
export function runThrough(
  machine: VirtMachine,
  until: number,
  atProbe: () => void = () => assert.fail('no probe is set'),
): void {
  while (machine.position < until) {
    const result = machine.run(until);
    if (result.kind === 'idle') {
      skip(machine, result.untilNs);
    } else if (result.kind === 'probe') {
      atProbe();
    } else {
      assert.equal(result.kind, 'position', 'the guest goes on');
    }
  }
}

/** Runs until the guest has written a text to its console. */
export function runToText(machine: VirtMachine, text: string): void {
  let written = '';
  machine.events = {
    output: (_, data) => {
      written += Buffer.from(data).toString('latin1');
      if (written.includes(text)) machine.pause();
    },
  };
  while (!written.includes(text)) {
    const result = machine.run(machine.position + 2_000_000);
    if (result.kind === 'idle') skip(machine, result.untilNs);
    assert.ok(machine.position < 2e9, `the guest says '${text}': ${written}`);
  }
  machine.events = {};
}

/** Observes up to `count` steps from where the machine is; `prepare` enters the inputs of that position. */
export function observe(machine: VirtMachine, count: number, prepare: (machine: VirtMachine) => void): Stretch {
  const { snapshot: start } = machine.snapshot();
  machine.cpu.jit.hotAfter = Number.POSITIVE_INFINITY;
  prepare(machine);
  const steps: Step[] = [];
  for (let step: Step | 'waits' | null = null; steps.length < count && step !== 'waits'; ) {
    step = observeStep(machine);
    if (step && step !== 'waits') steps.push(step);
  }
  const end = machine.position;
  const digest = Buffer.from(machine.digest()).toString('hex');
  return { start, end, steps, digest };
}

interface HartBefore {
  readonly pc: bigint;
  readonly steps: bigint;
  readonly traps: bigint;
  readonly privilege: number;
  readonly status: bigint;
  readonly satp: bigint;
  readonly reservation: bigint;
  readonly registers: readonly bigint[];
  readonly csrs: readonly bigint[];
}

function look(machine: VirtMachine, hart: number): HartBefore {
  const { cpu } = machine;
  return {
    pc: cpu.get(hart, 'pc'),
    steps: cpu.get(hart, 'steps'),
    traps: cpu.get(hart, 'traps'),
    privilege: cpu.get32(hart, 'privilege'),
    status: cpu.get(hart, 'mstatus'),
    satp: cpu.get(hart, 'satp'),
    reservation: cpu.get(hart, 'reservation'),
    registers: Array.from({ length: 32 }, (_, n) => cpu.x(hart, n)),
    csrs: ORACLE_CSRS.map((name) => cpu.get(hart, name)),
  };
}

/** A page table entry on the way to an address: where it lies, and what it holds. */
interface Leaf {
  readonly address: bigint;
  readonly pte: bigint;
  readonly physical: bigint;
}

function word(machine: VirtMachine, address: bigint): bigint | null {
  const bytes = readPhysical(machine, address, 8);
  return bytes && new DataView(bytes.buffer).getBigUint64(0, true);
}

/** The leaf entry for an address; null where there is none, or no translation. */
function walk(machine: VirtMachine, satp: bigint, privilege: number, address: bigint): Leaf | null {
  const mode = Number(satp >> 60n);
  if (privilege === PRIV.M || mode === 0) return null;
  let table = (satp & ((1n << 44n) - 1n)) << 12n;
  for (let level = mode - 6; level >= 0; level--) {
    const shift = BigInt(12 + 9 * level);
    const at = table + ((address >> shift) & 511n) * 8n;
    const pte = word(machine, at);
    if (pte === null || !(pte & 1n)) return null;
    const base = ((pte >> 10n) & ((1n << 44n) - 1n)) << 12n;
    const mask = (1n << shift) - 1n;
    if (pte & 10n) return { address: at, pte, physical: (base & ~mask) | (address & mask) };
    table = base;
  }
  return null;
}

function translated(machine: VirtMachine, before: HartBefore, privilege: number, address: bigint): bigint | null {
  if (privilege === PRIV.M || before.satp >> 60n === 0n) return address;
  return walk(machine, before.satp, privilege, address)?.physical ?? null;
}

/** The instruction at a pc, through the page tables as they are now; null where it cannot be fetched. */
function fetch(machine: VirtMachine, before: HartBefore): Decoded | null {
  const half = (address: bigint) => {
    const physical = translated(machine, before, before.privilege, address);
    const bytes = physical === null ? null : readPhysical(machine, physical, 2);
    return bytes && bytes[0] | (bytes[1] << 8);
  };
  const low = half(before.pc);
  if (low === null) return null;
  if ((low & 3) !== 3) return decode(low);
  const high = half(before.pc + 2n);
  return high === null ? null : decode((low | (high << 16)) >>> 0);
}

const SIZES: Record<string, number> = { b: 1, bu: 1, h: 2, hu: 2, w: 4, wu: 4, d: 8 };

interface Wanted {
  readonly address: bigint;
  readonly length: number;
  readonly kinds: readonly ('read' | 'write')[];
}

/** The access that an instruction makes if it does not fail. */
function accessOf({ instruction, imm, rs1 }: Decoded, { registers }: HartBefore): Wanted | null {
  const { name } = instruction;
  const at = (offset: number, suffix: string, ...kinds: ('read' | 'write')[]): Wanted => ({
    address: (registers[rs1] + BigInt(offset) + ADDRESS) % ADDRESS,
    length: SIZES[suffix],
    kinds,
  });
  const plain = /^f?(l|s)(bu|hu|wu|b|h|w|d)$/.exec(name);
  if (plain) return at(imm, plain[2], plain[1] === 'l' ? 'read' : 'write');
  const atomic = /^(lr|sc|amo\w+)\.(w|d)$/.exec(name);
  if (!atomic) return null;
  if (atomic[1] === 'lr') return at(0, atomic[2], 'read');
  return atomic[1] === 'sc' ? at(0, atomic[2], 'write') : at(0, atomic[2], 'read', 'write');
}

/** The parts of an access on each page. */
function* parts({ address, length }: Wanted): Generator<{ address: bigint; length: number }> {
  const room = Number(PAGE - (address % PAGE));
  yield { address, length: Math.min(room, length) };
  if (length > room) yield { address: (address + BigInt(room)) % ADDRESS, length: length - room };
}

/** One step; null if time had to pass first, `waits` if nothing will happen any more. */
function observeStep(machine: VirtMachine): Step | 'waits' | null {
  const { position, cpu } = machine;
  const before = Array.from({ length: cpu.harts }, (_, hart) => look(machine, hart));
  // Which hart comes next is settled by running: everything that a step may need is looked up for each.
  const views = before.map((hart) => {
    const decoded = fetch(machine, hart);
    const wanted = decoded && accessOf(decoded, hart);
    const modified = hart.privilege === PRIV.M && (hart.status & MSTATUS.MPRV) !== 0n;
    const privilege = modified ? Number((hart.status >> 11n) & 3n) : hart.privilege;
    const leaves = [
      walk(machine, hart.satp, hart.privilege, hart.pc),
      decoded?.length === 4 ? walk(machine, hart.satp, hart.privilege, hart.pc + 2n) : null,
      ...(wanted ? [...parts(wanted)].map((part) => walk(machine, hart.satp, privilege, part.address)) : []),
    ].filter((leaf) => leaf !== null);
    const physicalPc = translated(machine, hart, hart.privilege, hart.pc);
    return { decoded, wanted, privilege, leaves, physicalPc };
  });
  const result = machine.run(position + 1);
  if (result.kind === 'idle') {
    if (result.untilNs === Number.POSITIVE_INFINITY) return 'waits';
    machine.skipIdle(result.untilNs);
    return null;
  }
  assert.equal(machine.position, position + 1);
  const hart = before.findIndex(({ steps }, n) => cpu.get(n, 'steps') !== steps);
  assert.ok(hart >= 0, 'a hart has taken the step');
  const was = before[hart];
  const { decoded, wanted, privilege, leaves, physicalPc } = views[hart];
  const trapped = cpu.get(hart, 'traps') !== was.traps;
  const trap = trapped ? trapOf(machine, hart, was.privilege) : null;
  const fetchFailed = trap && !trap.interrupt && [1, 12].includes(trap.cause) && trap.value === was.pc;
  const isCall = !trapped && decoded?.instruction.name === 'ecall';
  const accesses: Access[] = [];
  for (const { address, pte } of uniqueLeaves(leaves)) {
    if (trap?.interrupt) break;
    const now = word(machine, address)!;
    const flags = 0xc0n;
    const stored = wanted && [...parts(wanted)].some((p) => translated(machine, was, privilege, p.address) === address);
    if (now !== pte && !stored && (now & ~flags) === (pte & ~flags)) {
      accesses.push({ write: true, virtual: null, physical: address, length: 8 });
    }
  }
  if (wanted && !trap) {
    for (const part of parts(wanted)) {
      const physical = translated(machine, was, privilege, part.address);
      assert.ok(physical !== null, `position ${position}: an access to what is not mapped`);
      const fails = decoded?.instruction.name.startsWith('sc.') && was.reservation !== physical;
      for (const kind of wanted.kinds) {
        if (!fails) accesses.push({ write: kind === 'write', virtual: part.address, physical, length: part.length });
      }
    }
  }
  return {
    position,
    hart,
    pc: was.pc,
    physicalPc,
    executes: !trap?.interrupt && !fetchFailed,
    registers: was.registers,
    accesses,
    trap,
    call: isCall ? { extension: Number(BigInt.asUintN(32, was.registers[17])), fn: was.registers[16] } : null,
    changes: before.flatMap((old, n) => changesOf(machine, n, old)),
  };
}

function uniqueLeaves(leaves: readonly Leaf[]): Leaf[] {
  return [...new Map(leaves.map((leaf) => [leaf.address, leaf])).values()];
}

function trapOf({ cpu }: VirtMachine, hart: number, privilege: number): NonNullable<Step['trap']> {
  const machineMode = cpu.get32(hart, 'privilege') === PRIV.M;
  const cause = cpu.get(hart, machineMode ? 'mcause' : 'scause');
  return {
    interrupt: cause >> 63n !== 0n,
    cause: Number(cause & ((1n << 63n) - 1n)),
    value: cpu.get(hart, machineMode ? 'mtval' : 'stval'),
    privilege,
  };
}

function changesOf({ cpu }: VirtMachine, hart: number, before: HartBefore): Step['changes'] {
  const changes: { hart: number; name: string; after: bigint }[] = [];
  for (let n = 1; n < 32; n++) {
    const after = cpu.x(hart, n);
    if (after !== before.registers[n]) changes.push({ hart, name: `x${n}`, after });
  }
  ORACLE_CSRS.forEach((name, i) => {
    const after = cpu.get(hart, name);
    if (after !== before.csrs[i]) changes.push({ hart, name, after });
  });
  return changes;
}
