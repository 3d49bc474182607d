/** What unwinding and expressions know of RISC-V: names of registers, which ones calls keep, and how Linux saves them in a trap. */
import { littleEndian } from './dwarf/expression.ts';
import type { MemoryReader } from './machine.ts';

export const RA = 1;
export const SP = 2;
export const FP = 8;
const CSR_BASE = 4096;
export const SEPC = CSR_BASE + 0x141;

const ABI_NAMES = [
  ...['zero', 'ra', 'sp', 'gp', 'tp', 't0', 't1', 't2', 's0', 's1', 'a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7'],
  ...['s2', 's3', 's4', 's5', 's6', 's7', 's8', 's9', 's10', 's11', 't3', 't4', 't5', 't6'],
  ...['ft0', 'ft1', 'ft2', 'ft3', 'ft4', 'ft5', 'ft6', 'ft7', 'fs0', 'fs1', 'fa0', 'fa1', 'fa2', 'fa3', 'fa4', 'fa5'],
  ...[
    'fa6',
    'fa7',
    'fs2',
    'fs3',
    'fs4',
    'fs5',
    'fs6',
    'fs7',
    'fs8',
    'fs9',
    'fs10',
    'fs11',
    'ft8',
    'ft9',
    'ft10',
    'ft11',
  ],
] as const;

const CSR_NAMES: Record<string, number> = {
  fflags: 0x001,
  frm: 0x002,
  fcsr: 0x003,
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  scounteren: 0x106,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  stimecmp: 0x14d,
  satp: 0x180,
  mstatus: 0x300,
  misa: 0x301,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mip: 0x344,
};

/** The DWARF number of a register by its name (`a0`, `x10`, `fp`, `fs1`, `sepc`); undefined for no register. */
export function registerNumber(name: string): number | undefined {
  if (name === 'fp') return FP;
  const plain = /^([xf])(\d{1,2})$/.exec(name);
  if (plain && Number(plain[2]) < 32) return Number(plain[2]) + (plain[1] === 'f' ? 32 : 0);
  const index = (ABI_NAMES as readonly string[]).indexOf(name);
  if (index >= 0) return index;
  return Object.hasOwn(CSR_NAMES, name) ? CSR_BASE + CSR_NAMES[name] : undefined;
}

export function registerName(register: number): string {
  if (register < ABI_NAMES.length) return ABI_NAMES[register];
  const csr = Object.entries(CSR_NAMES).find(([, number]) => number === register - CSR_BASE);
  return csr?.[0] ?? `register ${register}`;
}

/** Whether a called function gives a register back as it was (psABI, "Integer" and "Floating-point Calling Convention"). */
export function keptByCalls(register: number): boolean {
  const n = register % 32;
  if (register < 32) return n === 0 || n === 3 || n === 4 || n === 8 || n === 9 || (n >= 18 && n <= 27);
  return register < 64 && (n === 8 || n === 9 || (n >= 18 && n <= 27));
}

/** Code of Linux that runs with the registers of what was interrupted as a `struct pt_regs` at sp, by the names of its symbols. */
const LINUX_TRAP_CODE = new Set([
  ...['handle_exception', 'ret_from_exception', 'handle_kernel_stack_overflow', 'ret_from_fork'],
  ...['ret_from_fork_kernel_asm', 'ret_from_fork_user_asm'],
  // Up to Linux 6.3.
  ...['handle_syscall', 'ret_from_syscall', 'ret_from_syscall_rejected', 'resume_kernel', 'restore_all'],
]);

export const isLinuxTrapCode = (symbol: string) => LINUX_TRAP_CODE.has(symbol);

/** `struct pt_regs` (arch/riscv/include/asm/ptrace.h): epc in the place of x0, x1 to x31, status. */
const PT_REGS_BYTES = 33 * 8;
const SSTATUS_SPP = 0x100n;

export interface TrapFrame {
  readonly pc: bigint;
  readonly registers: ReadonlyMap<number, bigint>;
  /** Whether a user program was interrupted. */
  readonly user: boolean;
}

/** The registers that Linux saved at an address; null where they cannot be read. */
export function readLinuxTrapFrame(memory: MemoryReader, address: bigint): TrapFrame | null {
  const bytes = memory.read(address, PT_REGS_BYTES);
  if (!bytes) return null;
  const word = (n: number) => littleEndian(bytes.subarray(n * 8, n * 8 + 8));
  const registers = new Map<number, bigint>([[0, 0n]]);
  for (let n = 1; n < 32; n++) registers.set(n, word(n));
  return { pc: word(0), registers, user: (word(32) & SSTATUS_SPP) === 0n };
}

const SRET = 0x10200073;

/** Whether code begins with the return from a trap. */
export function isTrapReturn(code: Uint8Array): boolean {
  return littleEndian(code.subarray(0, 4)) === BigInt(SRET);
}

/**
 * Whether code from here on stores registers to the stack. Unless it is known to be the rest of a function, it ends with a return from a trap; within one there may
 * be several.
 */
export function savesRegisters(code: Uint8Array, isWhole: boolean): boolean {
  for (let at = 0; at + 4 <= code.length; ) {
    const low = code[at] | (code[at + 1] << 8);
    if ((low & 3) !== 3) {
      // c.sdsp
      if ((low & 0xe003) === 0xe002) return true;
      at += 2;
      continue;
    }
    const word = (low | (code[at + 2] << 16) | (code[at + 3] << 24)) >>> 0;
    if (word === SRET && !isWhole) return false;
    // sd with the base sp
    if ((word & 0x7f) === 0x23 && ((word >>> 12) & 7) === 3 && ((word >>> 15) & 31) === SP) return true;
    at += 4;
  }
  return false;
}
