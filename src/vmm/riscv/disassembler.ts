/** Assembly text from instruction bits, out of the same table that drives execution (RISC-V assembly programmer's manual). */
import { CSRS } from './csr.ts';
import { type Decoded, decode } from './decoder.ts';

export const X_NAMES =
  'zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6'.split(' ');
export const F_NAMES = [
  ...'ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7'.split(' '),
  ...'fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11'.split(' '),
];
const ROUNDING = ['rne', 'rtz', 'rdn', 'rup', 'rmm'];
const ALWAYS_EXACT = /^fcvt\.d\.(s|wu?)$/;
const CSR_NAMES = new Map(CSRS.map((csr) => [csr.number, csr.name]));

export interface Disassembly {
  readonly text: string;
  /** Bytes: 2 or 4. */
  readonly length: number;
  readonly bits: number;
}

/** Disassembles the instruction whose first 32 bits (or 16, for a compressed one) are given. */
export function disassemble(bits: number, pc: bigint): Disassembly {
  const decoded = decode(bits);
  if (!decoded) {
    const length = (bits & 3) === 3 ? 4 : 2;
    const raw = length === 4 ? bits >>> 0 : bits & 0xffff;
    return {
      text: `.${length === 4 ? 'word' : 'short'}\t0x${raw.toString(16).padStart(length * 2, '0')}`,
      length,
      bits: raw,
    };
  }
  const form = decoded.compressed ?? decoded.instruction;
  const name = form.name + ordering(decoded);
  const operands = form.operands
    .split(/([,()])/)
    .map((token) => operand(token, decoded, pc))
    .join('')
    .replace(/,$/, '');
  return { text: operands ? `${name}\t${operands}` : name, length: decoded.length, bits: decoded.bits };
}

/** Suffix of atomic instructions (`.aq`, `.rl`, `.aqrl`). */
function ordering({ instruction, bits }: Decoded): string {
  const { pattern } = instruction;
  if (!pattern.fields.some((f) => f.name === 'aq')) return '';
  const aq = pattern.field(bits, 'aq') ? 'aq' : '';
  const rl = pattern.field(bits, 'rl') ? 'rl' : '';
  return aq || rl ? `.${aq}${rl}` : '';
}

function operand(token: string, d: Decoded, pc: bigint): string {
  switch (token) {
    case 'rd':
      return X_NAMES[d.rd];
    case 'rs1':
      return X_NAMES[d.rs1];
    case 'rs2':
      return X_NAMES[d.rs2];
    case 'fd':
      return F_NAMES[d.rd];
    case 'fs1':
      return F_NAMES[d.rs1];
    case 'fs2':
      return F_NAMES[d.rs2];
    case 'fs3':
      return F_NAMES[d.rs3];
    case 'imm':
    case 'uimm':
      return isShift(d) ? `0x${d.imm.toString(16)}` : String(d.imm);
    case 'upper':
      return `0x${((d.imm >>> 12) & 0xfffff).toString(16)}`;
    case 'target':
      return `0x${BigInt.asUintN(64, pc + BigInt(d.imm)).toString(16)}`;
    case 'csr': {
      const number = d.imm & 0xfff;
      return CSR_NAMES.get(number) ?? `0x${number.toString(16)}`;
    }
    case 'zimm':
      return String(d.rs1);
    case 'rm':
      // The dynamic mode goes without saying, and so does any where the result is exact.
      return d.rm === (ALWAYS_EXACT.test(d.instruction.name) ? 0 : 7) ? '' : (ROUNDING[d.rm] ?? 'unknown');
    case 'pred':
      return fenceSet((d.bits >>> 24) & 15);
    case 'succ':
      return fenceSet((d.bits >>> 20) & 15);
    default:
      return token;
  }
}

/** Shifts and single-bit instructions: their immediate is the number of a bit. */
function isShift({ instruction }: Decoded): boolean {
  return instruction.operands === 'rd,rs1,uimm';
}

function fenceSet(bits: number): string {
  const set = [...'iorw'].filter((_, i) => bits & (8 >> i)).join('');
  return set || 'unknown';
}
