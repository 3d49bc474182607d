/** A hart's registers by name, for looking at: ABI names, x0 to x31, f0 to f31, and control and status registers. */
import type { RiscvCpu } from './cpu.ts';
import { MISA } from './csr.ts';
import { F_NAMES, X_NAMES } from './disassembler.ts';
import { MSTATUS } from './hart.ts';
import { SSTATUS_MASK } from './runtime.ts';
import type { VirtMachine } from './virt.ts';

type Read = (cpu: VirtMachine['cpu'], hart: number) => bigint;

const PLAIN = [
  ...['satp', 'stvec', 'sepc', 'scause', 'stval', 'sscratch', 'stimecmp', 'scounteren', 'senvcfg'],
  ...['mtvec', 'mepc', 'mcause', 'mtval', 'mscratch', 'mie', 'medeleg', 'mideleg', 'mcounteren', 'menvcfg'],
] as const;
const PMP_REGISTERS = 16;

const status: Read = (cpu, hart) => {
  const value = cpu.get(hart, 'mstatus');
  return (value & MSTATUS.FS) === MSTATUS.FS ? value | MSTATUS.SD : value;
};
/** What software wrote, and what hardware drives. */
const pending: Read = (cpu, hart) => cpu.get(hart, 'mip') | cpu.get(hart, 'lines');
const flags: Read = (cpu, hart) => BigInt(cpu.get32(hart, 'fflags'));
const mode: Read = (cpu, hart) => BigInt(cpu.get32(hart, 'frm'));

const CSRS = new Map<string, Read>([
  ...PLAIN.map((name) => [name, (cpu, hart) => cpu.get(hart, name)] as [string, Read]),
  ['mstatus', status],
  ['sstatus', (cpu, hart) => status(cpu, hart) & SSTATUS_MASK],
  ['mip', pending],
  ['sip', (cpu, hart) => pending(cpu, hart) & cpu.get(hart, 'mideleg')],
  ['sie', (cpu, hart) => cpu.get(hart, 'mie') & cpu.get(hart, 'mideleg')],
  ['fflags', flags],
  ['frm', mode],
  ['fcsr', (cpu, hart) => (mode(cpu, hart) << 5n) | flags(cpu, hart)],
  ['misa', () => MISA],
  ['mhartid', (_cpu, hart) => BigInt(hart)],
  ...Array.from(
    { length: PMP_REGISTERS },
    (_, n) => [`pmpaddr${n}`, (cpu, hart) => cpu.pmpAddress(hart, n)] as [string, Read],
  ),
]);

const REGISTERS = new Map<string, Read>([
  ['pc', (cpu, hart) => cpu.get(hart, 'pc')],
  ['priv', (cpu, hart) => BigInt(cpu.get32(hart, 'privilege'))],
  ['fp', (cpu, hart) => cpu.x(hart, 8)],
  ...X_NAMES.flatMap((name, n) => [name, `x${n}`].map((key) => [key, (cpu, hart) => cpu.x(hart, n)] as [string, Read])),
  ...F_NAMES.flatMap((name, n) => [name, `f${n}`].map((key) => [key, (cpu, hart) => cpu.f(hart, n)] as [string, Read])),
  ...CSRS,
]);

/** How to read a register, as 64 bits unsigned; undefined for a name that there is not. */
export function registerReader(name: string): Read | undefined {
  return REGISTERS.get(name);
}

/** Whether two names are of the same register: such as `a0` and `x10`. */
export function sameRegister(a: string, b: string): boolean {
  return plainName(a) === plainName(b);
}

function plainName(name: string): string {
  if (name === 'fp') return X_NAMES[8];
  const [, bank, number] = /^([xf])(\d{1,2})$/.exec(name) ?? [];
  return (bank === undefined ? undefined : (bank === 'x' ? X_NAMES : F_NAMES)[Number(number)]) ?? name;
}

type Write = (cpu: RiscvCpu, hart: number, value: bigint) => void;

/** Exception vectors: direct or vectored (privileged specification, 3.1.7). */
const VECTORS = ['mtvec', 'stvec'] as const;
const PCS = ['mepc', 'sepc'] as const;
const VALUES = ['mcause', 'mtval', 'mscratch', 'scause', 'stval', 'sscratch'] as const;
const FLAGS = 0x1fn;
const MODE = 7n;

const setFlags: Write = (cpu, hart, value) => cpu.set32(hart, 'fflags', Number(value & FLAGS));
const setMode: Write = (cpu, hart, value) => cpu.set32(hart, 'frm', Number(value & MODE));

/** Without those that decide who runs and what an address means: a person has no business there between two steps. */
const WRITERS = new Map<string, Write>([
  [
    'pc',
    (cpu, hart, value) => {
      cpu.set(hart, 'pc', value & ~1n);
      // The page is looked up anew, as it is where a hart jumps.
      cpu.set(hart, 'fetchPage', -1n);
    },
  ],
  ['fp', (cpu, hart, value) => cpu.setX(hart, 8, value)],
  ...X_NAMES.flatMap((name, n) =>
    [name, `x${n}`].map((key) => [key, (cpu, hart, value) => cpu.setX(hart, n, value)] as [string, Write]),
  ).slice(2),
  ...F_NAMES.flatMap((name, n) =>
    [name, `f${n}`].map((key) => [key, (cpu, hart, value) => cpu.setF(hart, n, value)] as [string, Write]),
  ),
  ...PCS.map((name) => [name, (cpu, hart, value) => cpu.set(hart, name, value & ~1n)] as [string, Write]),
  ...VECTORS.map((name) => [name, (cpu, hart, value) => cpu.set(hart, name, value & ~2n)] as [string, Write]),
  ...VALUES.map((name) => [name, (cpu, hart, value) => cpu.set(hart, name, value)] as [string, Write]),
  ['fflags', setFlags],
  ['frm', setMode],
  [
    'fcsr',
    (cpu, hart, value) => {
      setFlags(cpu, hart, value);
      setMode(cpu, hart, value >> 5n);
    },
  ],
]);

/** How to set a register between two steps; undefined for one that cannot be set. */
export function registerWriter(name: string): Write | undefined {
  return WRITERS.get(name);
}

/** All control and status registers that can be looked at, by name. */
export function readCsrs(machine: VirtMachine, hart: number): Record<string, bigint> {
  return Object.fromEntries([...CSRS].map(([name, read]) => [name, read(machine.cpu, hart)]));
}
