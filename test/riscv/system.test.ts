/** Control registers, privilege, traps and interrupts on our machine and on QEMU's, register for register. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Assembler, csrrs, csrrw } from '../../scripts/assemble.ts';
import { type BatchOptions, FREE_ADDRESS, type Mode, SLOT_ADDRESS } from '../../scripts/insn-batch.ts';
import { Random } from '../../src/base/random.ts';
import { CSRS } from '../../src/vmm/riscv/csr.ts';
import { MSTATUS } from '../../src/vmm/riscv/hart.ts';
import { needTool } from '../support/tools.ts';
import { type Comparison, codeOf, compareBatches, csrName, report } from './support/batch.ts';
import { integer, state } from './support/operands.ts';

const SEED = 20240612;
const MODES: readonly Mode[] = ['M', 'S', 'U'];

async function compare(cases: readonly Comparison[], options: BatchOptions = {}): Promise<void> {
  const differences = await compareBatches(cases, options);
  assert.equal(differences.length, 0, report(differences, SEED));
}

const CSR_NUMBER = new Map(CSRS.map((csr) => [csr.name, csr.number]));
const csr = (name: string) => CSR_NUMBER.get(name)!;
const csrs = (names: string) => new Set(names.split(' ').map(csr));

/** What these say of the implementation, or count, is each implementation's own. */
const OWN_VALUE = csrs('misa mvendorid marchid mimpid mcycle minstret cycle time instret');
/** Counters of events: QEMU counts and has 16 of them; ours are hardwired to zero, all 29. */
const isEventCounter = (number: number) => /hpm|mcountinhibit/.test(csrName(number));
const notInQemu = (number: number) => isEventCounter(number) && (number & 31) > 18;
/** What QEMU has beyond our table: the hypervisor's timer, and debug triggers. */
const ONLY_IN_QEMU = new Set([0x24d, 0x7a0, 0x7a1, 0x7a2, 0x7a3, 0x7a4]);
/** The harness lives by these: a case must put them back itself. */
const HARNESS = csrs('mtvec mscratch');
/** The trap that ends a case overwrites it, or the harness sets them for each. */
const TRANSIENT = csrs('mepc mstatus sstatus fflags frm fcsr misa');
/** Bits that the values of a register may have; QEMU's others are named. */
const VALUE_MASK = new Map<number, bigint>();
const allow = (names: string, mask: bigint) => {
  for (const number of csrs(names)) VALUE_MASK.set(number, mask);
};
// VS, MPV and GVA belong to extensions that are off, and UXL and SXL may be fixed (3.1.6.3): in QEMU all can be written.
allow('mstatus sstatus', ~((3n << 9n) | (0xfn << 32n) | (3n << 38n)));
// Registers of 32 bits (3.1.11, 12.1.5); QEMU keeps 64.
allow('mcounteren scounteren', 0xffffffffn);
// FIOM; QEMU has fields of Zicbom and Zicboz without these extensions. Sstc and Svadu fields of menvcfg: see menvcfg below.
allow('senvcfg menvcfg', 1n);
// Bit 0 is always zero (12.1.7); QEMU keeps it.
allow('sepc mepc', ~1n);
// Physical addresses have 56 bits (3.7.1); QEMU keeps 64.
for (let n = 0; n < 16; n++) allow(`pmpaddr${n}`, (1n << 54n) - 1n);
// The rest are exceptions and interrupts of the hypervisor, and the environment call from M, which is never delegated.
allow('medeleg', 0xb3ffn);
allow('mideleg', 0x222n);
allow('mie sie mip sip', 0xaaan);
// A locked entry would stay locked.
allow('pmpcfg0 pmpcfg2', 0x1f1f1f1f1f1f1f1fn);
const MTIP = 0x80n;
/** Always one: hardware updates A and D bits (Svadu). QEMU 7.2 does so without saying it. */
const ADUE = 1n << 61n;

const OPERATIONS = [1, 2, 3, 5, 6, 7];
const csrInstruction = (funct3: number, rd: number, number: number, rs1: number) =>
  ((number << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | 0x73) >>> 0;

function csrCase(random: Random, number: number, funct3: number, mode: Mode): Comparison {
  const base = state(random);
  const readOnly = number >> 10 === 3;
  const own = OWN_VALUE.has(number) || isEventCounter(number);
  const mask = VALUE_MASK.get(number) ?? -1n;
  const immediate = funct3 >= 5;
  // The immediate stands in the place of the register's number.
  const sources = immediate ? [0, 2, 10, 31].map((n) => n & Number(mask & 31n)) : [0, 6, 6, 14];
  const [rd, rs1, again] = [5, isEventCounter(number) ? 0 : random.pick(sources), 10];
  const x = [...base.x];
  const value = () => BigInt.asUintN(64, csrValue(random, number, mode) & mask);
  // Of a read-only register, QEMU takes a write that changes nothing for none.
  if (rs1 !== 0) x[rs1] = value() || (readOnly ? 1n : 0n);
  const instruction = csrInstruction(funct3, rd, number, rs1);
  // Where the access is not allowed there is nothing to restore.
  const allowed = mode === 'M' || (mode === 'S' && number >> 8 < 2);
  const restored = allowed && !readOnly && !isEventCounter(number) && !TRANSIENT.has(number) && !HARNESS.has(number);
  const code = HARNESS.has(number)
    ? [csrrw(rd, number, rs1), csrrw(again, number, rd)]
    : [instruction, csrrs(again, number, 0)];
  return {
    ...base,
    x,
    name: `${csrName(number)} in ${mode}`,
    code: codeOf(...code),
    mode,
    set: restored ? [[number, value()]] : [],
    anyX: own ? [rd, again] : [],
    settle: (ours, theirs) => {
      if (number === csr('menvcfg') && mode === 'M') for (const n of [rd, again]) theirs.x[n] |= ADUE;
      if (number === csr('mip')) for (const n of [rd, again]) theirs.x[n] |= ours.x[n] & MTIP;
      // A write that changes nothing is a write (Zicsr): FS becomes dirty. In QEMU it is none if the mask is zero.
      if (number <= 3 && theirs.completed && rs1 !== 0 && !immediate) theirs.mstatus = ours.mstatus;
    },
  };
}

function csrValue(random: Random, number: number, mode: Mode): bigint {
  const value = integer(random);
  if (number === csr('mstatus')) {
    // MPP = 2 is reserved: QEMU stores it. SIE and MIE need no care: no interrupt is enabled.
    return (value & MSTATUS.MPP) === 2n << 11n ? value & ~MSTATUS.MPP : value;
  }
  if (csrName(number).startsWith('pmpcfg')) {
    // W without R is reserved: QEMU stores it.
    const readable = 0x0101010101010101n;
    return value | ((value >> 1n) & readable);
  }
  // Translation would be on for the next instruction: virtual memory has a test of its own.
  if (number === csr('satp')) return random.below(2) && mode === 'M' ? value : value & ((1n << 60n) - 1n);
  return value;
}

test('each control register, in each mode', { timeout: 120_000 }, async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  for (const { number } of CSRS) {
    if (notInQemu(number)) continue;
    for (const mode of MODES) {
      for (const operation of OPERATIONS) {
        // Setting and clearing could make W without R of two fair values.
        if (csrName(number).startsWith('pmpcfg') && operation !== 1) continue;
        for (let n = 0; n < (mode === 'M' ? 6 : 2); n++) cases.push(csrCase(random, number, operation, mode));
      }
    }
  }
  await compare(cases);
});

test('numbers of no control register', { timeout: 120_000 }, async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const known = new Set(CSRS.map(({ number }) => number));
  const cases: Comparison[] = [];
  for (let number = 0; number < 4096; number++) {
    if (known.has(number) || ONLY_IN_QEMU.has(number)) continue;
    cases.push({ ...state(random), name: `${csrName(number)}`, code: codeOf(csrrs(5, number, 0)), mode: 'M' });
  }
  await compare(cases);
});

// Sequences of M-mode that are too long for a case lie in the free area; a case jumps there by x7.
const MRET = 0x30200073;
const SRET = 0x10200073;
const ECALL = 0x00000073;
const EBREAK = 0x00100073;
const JR_X7 = 0x00038067;
const GADGET = {
  mret: { address: FREE_ADDRESS, code: [csrrw(0, csr('mstatus'), 5), csrrw(0, csr('mepc'), 6), MRET] },
  sret: { address: FREE_ADDRESS + 0x40, code: [csrrw(0, csr('mstatus'), 5), csrrw(0, csr('sepc'), 6), SRET] },
};
const GADGETS = Object.values(GADGET).map(({ address, code }) => ({ address, data: codeOf(...code) }));
const LANDING = BigInt(SLOT_ADDRESS) - 0x200n;

/** Any mstatus with a mode that exists, without what QEMU has beyond ours. */
function anyStatus(random: Random, mode?: Mode): bigint {
  // Not MPRV: QEMU 7.2 does not clear it on a return to a lower mode, as it should (3.1.6.3). Not MIE: the harness is in M.
  const mask = VALUE_MASK.get(csr('mstatus'))! & ~(MSTATUS.MPP | MSTATUS.SD | MSTATUS.MPRV | MSTATUS.MIE);
  const previous = { U: 0n, S: 1n << 11n, M: MSTATUS.MPP }[mode ?? random.pick(MODES)];
  return (random.u64() & random.u64() & mask) | previous | (random.below(4) ? 0n : MSTATUS.FS);
}

test('trap returns, from every state to every mode', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  for (let n = 0; n < 500; n++) {
    for (const name of ['mret', 'sret'] as const) {
      const base = state(random);
      const x = base.x
        .with(5, anyStatus(random))
        .with(6, LANDING + 2n * BigInt(random.below(32)))
        .with(7, BigInt(GADGET[name].address));
      cases.push({ ...base, name: `${name} by M`, code: codeOf(JR_X7), x });
      const mode = random.pick(['S', 'U'] as const);
      const returns = { code: codeOf(name === 'mret' ? MRET : SRET), mstatus: anyStatus(random, mode) };
      cases.push({ ...state(random), ...returns, name: `${name} by ${mode}`, set: [[csr('sepc'), LANDING]] });
    }
  }
  await compare(cases, { preload: GADGETS });
});

const TRAPPING: readonly [name: string, bits: number][] = [
  ['ecall', ECALL],
  ['ebreak', EBREAK],
  ['a privileged register', csrrs(5, csr('mstatus'), 0)],
  ['no instruction', 0xffffffff],
  ['a short one', 0x0000],
  ['load, no memory', 0x00053283],
  ['store, no memory', 0x00553023],
  ['jump, no memory', 0x00050067],
];

test('exceptions, delegated or not', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  for (const [name, bits] of TRAPPING) {
    for (const mode of MODES) {
      for (let n = 0; n < 40; n++) {
        const base = state(random);
        const x = base.x.with(10, 0x40n);
        // Breakpoints end a case, in M.
        const medeleg = random.u64() & 0xb3f7n;
        const stvec = LANDING + (random.below(2) ? 0n : 1n);
        const set: [number, bigint][] = [
          [csr('medeleg'), medeleg],
          [csr('stvec'), stvec & ~2n],
        ];
        const read = ['scause', 'sepc', 'stval', 'sstatus'].map(csr);
        const mstatus = anyStatus(random, mode);
        cases.push({ ...base, x, name: `${name} in ${mode}`, code: codeOf(bits), mstatus, set, read });
      }
    }
  }
  await compare(cases);
});

/** SSI, STI and SEI. */
const SUPERVISOR = [0x2n, 0x20n, 0x200n];

test('interrupts: which is taken, by which mode, and where', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  for (let n = 0; n < 3000; n++) {
    const mode = random.pick(MODES);
    // One for each mode to take at most: of several QEMU 7.2 takes the lowest number, against the order of 3.1.9.
    const mine = random.pick(SUPERVISOR);
    const delegated = random.pick(SUPERVISOR.filter((bit) => bit !== mine));
    const set: [number, bigint][] = [
      [csr('mideleg'), delegated],
      // When the timer is first due is the board's own affair.
      [csr('mie'), random.u64() & 0xaaan & ~MTIP],
      [csr('mip'), random.u64() & (mine | delegated)],
      [csr('stvec'), LANDING + BigInt(random.below(2))],
    ];
    const read = ['scause', 'sepc', 'sip', 'sie'].map(csr);
    const mstatus = anyStatus(random, mode);
    cases.push({ ...state(random), name: `in ${mode}`, code: codeOf(0x13), mstatus, set, read });
  }
  await compare(cases);
});

test('SEIP, driven from outside: a change of another bit of mip does not leave it behind', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const GADGET_BYTES = 0x80;
  const [plic, enables, threshold, uart, one, source, empty] = [20, 21, 22, 23, 24, 25, 26];
  const [before, old, during, claimed, after] = [27, 5, 28, 11, 10];
  const gadgets = OPERATIONS.flatMap((funct3) =>
    // The immediates are of SSIP and of none.
    (funct3 >= 5 ? [0, 2] : [6]).map((operand) => {
      const a = new Assembler(0);
      // The serial port says that it has nothing to send, source 10 of the PLIC, whose second context is the supervisor's.
      a.lui(plic, 0xc000);
      a.lui(enables, 0xc002);
      a.lui(threshold, 0xc201);
      a.lui(uart, 0x10000);
      a.addi(one, 0, 1);
      a.addi(source, 0, 1 << 10);
      a.addi(empty, 0, 2);
      a.sw(one, plic, 4 * 10);
      a.sw(source, enables, 0x80);
      a.sw(0, threshold, 0);
      a.sb(empty, uart, 1);
      a.csrr(before, csr('mip'));
      a.word(csrInstruction(funct3, old, csr('mip'), operand));
      a.csrr(during, csr('mip'));
      a.sb(0, uart, 1);
      a.lw(claimed, threshold, 4);
      a.sw(claimed, threshold, 4);
      a.csrr(after, csr('mip'));
      a.sw(0, enables, 0x80);
      a.csrw(csr('mip'), 0);
      a.word(EBREAK);
      return { funct3, code: a.finish() };
    }),
  );
  const cases: Comparison[] = [];
  for (const [n, { funct3 }] of gadgets.entries()) {
    for (const operand of [0n, 0x2n, 0x20n, 0x200n, 0x222n]) {
      for (const pending of [0n, 0x2n, 0x200n]) {
        const base = state(random);
        cases.push({
          ...base,
          x: base.x.with(6, operand).with(7, BigInt(FREE_ADDRESS + n * GADGET_BYTES)),
          name: `operation ${funct3} of 0x${operand.toString(16)}, 0x${pending.toString(16)} pending`,
          code: codeOf(JR_X7),
          mode: 'M',
          set: [[csr('mip'), pending]],
          settle: (ours, theirs) => {
            assert.equal(ours.x[before] & 0x200n, 0x200n, 'the line was driven');
            for (const register of [before, old, during, after]) theirs.x[register] |= ours.x[register] & MTIP;
          },
        });
      }
    }
  }
  const preload = gadgets.map(({ code }, n) => ({ address: FREE_ADDRESS + n * GADGET_BYTES, data: code }));
  await compare(cases, { preload });
});

test('what mstatus and the counter enables take away', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  const WFI = 0x10500073;
  const sfence = (rs1: number, rs2: number) => ((9 << 25) | (rs2 << 20) | (rs1 << 15) | 0x73) >>> 0;
  for (let n = 0; n < 300; n++) {
    const mode = random.pick(['S', 'U'] as const);
    const mstatus = anyStatus(random, mode);
    const fences = sfence(random.below(32), random.below(32));
    cases.push({ ...state(random), name: `sfence.vma in ${mode}`, code: codeOf(fences), mstatus });
    const satp = csrrw(5, csr('satp'), 0);
    cases.push({ ...state(random), name: `satp in ${mode}`, code: codeOf(satp), mstatus });
    // In other states the hart would wait.
    if (mode === 'U' || mstatus & MSTATUS.TW) {
      cases.push({ ...state(random), name: `wfi in ${mode}`, code: codeOf(WFI), mstatus });
    }
    const counter = 0xc00 + random.below(8);
    const enables: [number, bigint][] = [
      [csr('mcounteren'), random.u64() & 0xffn],
      [csr('scounteren'), random.u64() & 0xffn],
    ];
    const reads = { code: codeOf(csrrs(5, counter, 0)), mstatus, set: enables, anyX: [5] };
    cases.push({ ...state(random), ...reads, name: `${csrName(counter)} in ${mode}` });
    const timer: [number, bigint][] = [
      [csr('menvcfg'), random.below(2) ? 1n << 63n : 0n],
      [csr('mcounteren'), random.u64() & 2n],
      [csr('stimecmp'), random.u64() | (1n << 63n)],
    ];
    const compares = { code: codeOf(csrrs(5, csr('stimecmp'), 0)), mstatus, set: timer };
    cases.push({ ...state(random), ...compares, name: `stimecmp in ${mode}` });
  }
  await compare(cases);
});
