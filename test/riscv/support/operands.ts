/** Random cases for the instructions of the encoding table. */
import {
  type Case,
  CROSSING_SLOT_ADDRESS,
  MEMORY_ADDRESS,
  MEMORY_BYTES,
  SLOT_ADDRESS,
} from '../../../scripts/insn-batch.ts';
import type { Random } from '../../../src/base/random.ts';
import { decode } from '../../../src/vmm/riscv/decoder.ts';
import type { Compressed, Instruction, Pattern } from '../../../src/vmm/riscv/encoding.ts';
import { REFERENCE } from '../../float/reference.ts';
import { edges, integerEdges, nearIntegers, randomBits } from '../../float/values.ts';
import { type Comparison, codeOf } from './batch.ts';
import { settleQemu } from './qemu-quirks.ts';

const NAN_BOX = 0xffffffff00000000n;
const { f32, f64 } = REFERENCE;
const INTEGERS = [0n, 1n, -1n, 2n, -2n, 0x7fffffffn, 0x80000000n, 0xffffffffn, ...integerEdges()];
const SINGLES = [...edges(f32), ...nearIntegers(f32)];
const DOUBLES = [...edges(f64), ...nearIntegers(f64)];
/** Where `c.ebreak` fills the memory: a jump may go there. */
const LANDING_START = 0x80002000;
const LANDING_END = 0x80003ffe;
const CODE_BYTES = 8;
/** Nothing answers there, on our board nor on QEMU's; below RAM QEMU has PCI windows, which read as ones. */
const UNMAPPED = [0n, 0x40n, 0x88000000n, 0x90000001n, 0x8000000000n, 0x8000000000000000n, -8n, -1n];

export function integer(random: Random): bigint {
  const value = random.below(2) ? random.pick(INTEGERS) : random.u64() >> BigInt(random.below(64));
  return BigInt.asUintN(64, random.below(4) ? value : -value);
}

function single(random: Random, like: bigint): bigint {
  const value = random.below(3) ? randomBits(random, f32, like & 0xffffffffn) : random.pick(SINGLES);
  // One in sixteen is not NaN-boxed, and counts as NaN.
  return random.below(16) ? NAN_BOX | value : (random.u64() & NAN_BOX) | value;
}

function double(random: Random, like: bigint): bigint {
  return random.below(3) ? randomBits(random, f64, like) : random.pick(DOUBLES);
}

function floats(random: Random, isSingle: boolean): bigint[] {
  let like = isSingle ? 0x3f800000n : 0x3ff0000000000000n;
  return Array.from({ length: 32 }, () => {
    const value = isSingle ? single(random, like) : double(random, like);
    if (random.below(3) === 0) like = value;
    return value;
  });
}

/** Registers and memory of no particular meaning. */
export function state(random: Random): Omit<Case, 'code'> {
  return {
    x: Array.from({ length: 32 }, () => integer(random)),
    f: floats(random, random.below(2) === 0),
    fcsr: random.u32() & 0xff,
    memory: Uint8Array.from({ length: MEMORY_BYTES }, () => random.u32()),
  };
}

const ROUNDING_MODES = [0, 1, 2, 3, 4, 7];
/** Fields of no influence on the length of a run; what an instruction does with registers is random. */
function randomFields(random: Random, pattern: Pattern): number {
  const free = ~pattern.mask;
  let bits = (pattern.match | (random.u32() & free)) >>> 0;
  if (pattern.width === 16) bits &= 0xffff;
  const rm = pattern.fields.find((field) => field.name === 'rm');
  // One in sixteen has any mode: two of them are reserved.
  if (rm && random.below(16)) bits = (bits & ~(7 << rm.low)) | (random.pick(ROUNDING_MODES) << rm.low);
  return bits >>> 0;
}

interface Place {
  readonly slot: number;
  readonly crossing: boolean;
}
function place(random: Random): Place {
  const crossing = random.below(16) === 0;
  return { crossing, slot: crossing ? CROSSING_SLOT_ADDRESS : SLOT_ADDRESS };
}

/** A jump's target must neither run the code again nor lie in what is no code. */
function targetAllowed(slot: number, target: number): boolean {
  if (target >= slot && target < slot + CODE_BYTES) return false;
  return target >= LANDING_START && target <= LANDING_END;
}

const isMemory = (operands: string) => operands.includes('(');
const isJump = (name: string) => name === 'jalr';
const SIZE: Record<string, number> = { b: 1, h: 2, w: 4, d: 8 };

/** Bytes that a load, store or atomic operation moves. */
function accessBytes(name: string): number {
  if (/^(lr|sc|amo)/.test(name)) return name.endsWith('.w') ? 4 : 8;
  return SIZE[name.replace(/^f?[ls]/, '')[0]];
}

function address(random: Random, size: number): bigint {
  const half = MEMORY_BYTES / 2;
  switch (random.below(8)) {
    case 0:
      return random.pick(UNMAPPED);
    case 1:
      // Around the page boundary in the middle of the window.
      return BigInt(MEMORY_ADDRESS + half - size - 1 + random.below(size + 2));
    case 2:
      return BigInt(MEMORY_ADDRESS + random.below(MEMORY_BYTES - size + 1));
    default:
      return BigInt(MEMORY_ADDRESS + size * random.below(MEMORY_BYTES / size));
  }
}

/** One random case of an instruction, or null if chance gave one that cannot be run. */
export function instructionCase(random: Random, form: Instruction | Compressed): Comparison | null {
  const { pattern, name } = form;
  const { slot, crossing } = place(random);
  const bits = randomFields(random, pattern);
  const decoded = decode(bits);
  // A compressed form may be reserved, or be another one.
  if (!decoded || (decoded.compressed ?? decoded.instruction) !== form) return null;
  const { instruction, imm, rs1, rs2 } = decoded;
  const { operands } = instruction;
  const x = Array.from({ length: 32 }, () => integer(random));
  // Operands that are equal, or nearly so, are as good as edges.
  if (random.below(8) === 0) x[rs2] = BigInt.asUintN(64, x[rs1] + BigInt(random.below(3) - 1));
  x[0] = 0n;
  if (operands.includes('target') && !targetAllowed(slot, slot + imm)) return null;
  if (isJump(instruction.name)) {
    const target = landing(random, slot);
    if (rs1 === 0) return null;
    x[rs1] = BigInt.asUintN(64, target - BigInt(imm));
  } else if (isMemory(operands)) {
    if (rs1 === 0 && (random.below(4) || instruction.name.startsWith('sc.'))) return null;
    const to = address(random, accessBytes(instruction.name));
    if (rs1 !== 0) x[rs1] = BigInt.asUintN(64, to - BigInt(memoryOffset(instruction, imm)));
    // What a store-conditional without a reservation checks before it fails is the implementation's choice.
    if (instruction.name.startsWith('sc.') && !inWindow(to, accessBytes(instruction.name))) return null;
  }
  return {
    name,
    code: codeOf(bits),
    x,
    f: floats(random, usesSingles(instruction.name)),
    fcsr: fcsr(random),
    memory: Uint8Array.from({ length: MEMORY_BYTES }, () => random.u32()),
    crossing,
    settle: settleQemu(instruction.name, bits, x),
    // One in 64 with the floating-point unit off, one in 16 with its state clean or dirty.
    mstatus: 0x1800n | (random.below(64) === 0 ? 0n : random.below(16) ? 0x2000n : random.pick([0x4000n, 0x6000n])),
  };
}

function inWindow(address: bigint, size: number): boolean {
  const offset = address - BigInt(MEMORY_ADDRESS);
  return offset >= 0n && offset < BigInt(MEMORY_BYTES) && offset % BigInt(size) === 0n;
}

const memoryOffset = (instruction: Instruction, imm: number) => (instruction.operands.includes('imm(') ? imm : 0);

function fcsr(random: Random): number {
  const frm = random.below(16) ? random.below(5) : random.below(8);
  return (frm << 5) | (random.below(2) ? 0 : random.below(32));
}

function usesSingles(name: string): boolean {
  return name.endsWith('.s') || /\.s\.(w|l)/.test(name) || name === 'fsw' || name === 'fmv.x.w';
}

function landing(random: Random, slot: number): bigint {
  if (random.below(16) === 0) return random.pick(UNMAPPED) & ~1n;
  for (;;) {
    const target = LANDING_START + 2 * random.below((LANDING_END - LANDING_START) / 2);
    if (targetAllowed(slot, target)) return BigInt(target + (random.below(4) ? 0 : 1));
  }
}
