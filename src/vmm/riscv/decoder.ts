/**
 * From instruction bits to an instruction and its operands, and to the records that the interpreter runs.
 *
 * A decoded page has a 16-byte record for each halfword of the page, made when it is first executed:
 *
 *     0  u8   handler                    6  u16  offset of rs1
 *     1  u8   bytes to the next record   8  i32  immediate
 *     2  i16  jumps to it (see jit.ts)   12 u16  offset of rs2
 *     4  u16  offset of rd               14 u8   number of rs3, and at 15 the rounding mode
 *
 * Offsets are those of the register in the hart's state. A jump looks at one cache line only. After the page's records come four more: the end of the page; the
 * decoded form of an instruction that straddles the page's end, with the bits it was decoded from; and the end behind that.
 */
import { assert } from '../../base/assert.ts';
import { DECODED_PAGE_BYTES, RECORD_BYTES, RECORDS_PER_PAGE } from '../layout.ts';
import type { Compressed, Instruction } from './encoding.ts';
import { H } from './hart.ts';
import { A_EXTENSION } from './insns/a.ts';
import { B_EXTENSIONS } from './insns/b.ts';
import { COMPRESSED } from './insns/c.ts';
import { FD_EXTENSIONS } from './insns/fd.ts';
import { M_EXTENSION } from './insns/m.ts';
import { RV64I } from './insns/rv64i.ts';
import { SYSTEM } from './insns/system.ts';

export const INSTRUCTIONS: readonly Instruction[] = [
  ...RV64I,
  ...M_EXTENSION,
  ...A_EXTENSION,
  ...B_EXTENSIONS,
  ...FD_EXTENSIONS,
  ...SYSTEM,
];

/** Handlers that are no instruction; those of instructions follow, in the order of INSTRUCTIONS. */
export const HANDLER = { undecoded: 0, straddle: 1, pageEnd: 2, illegal: 3, probe: 4, first: 5 } as const;

/** Records behind those of the halfwords, as offsets in records from the page's first. */
export const EXTRA_RECORD = {
  pageEnd: RECORDS_PER_PAGE,
  straddled: RECORDS_PER_PAGE + 1,
  straddledBits: RECORDS_PER_PAGE + 2,
  straddledEnd: RECORDS_PER_PAGE + 3,
} as const;

export interface Decoded {
  readonly instruction: Instruction;
  /** Present if the encoding was compressed. */
  readonly compressed?: Compressed;
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  readonly rm: number;
  readonly imm: number;
  /** Bytes: 2 or 4. */
  readonly length: number;
  readonly bits: number;
}

assert(HANDLER.first + INSTRUCTIONS.length <= 256, 'handlers are numbered by bytes');
const byName = new Map(INSTRUCTIONS.map((instruction) => [instruction.name, instruction]));
const indexOf = new Map(INSTRUCTIONS.map((instruction, i) => [instruction, i]));

/** Candidates by opcode and funct3 (bits 2 to 6 and 12 to 14), so that few patterns are tried. */
const candidates: Instruction[][] = Array.from({ length: 256 }, (_, key) => {
  const bits = (key & 31) * 4 + 3 + ((key >> 5) << 12);
  const keyMask = 0x707f;
  return INSTRUCTIONS.filter(({ pattern }) => ((bits ^ pattern.match) & pattern.mask & keyMask) === 0);
});
const compressedCandidates: Compressed[][] = Array.from({ length: 32 }, (_, key) => {
  const bits = (key & 3) | ((key >> 2) << 13);
  return COMPRESSED.filter(({ pattern }) => ((bits ^ pattern.match) & pattern.mask & 0xe003) === 0);
});

/** Length in bytes of the instruction that begins with these 16 bits. */
export function instructionLength(low: number): 2 | 4 {
  return (low & 3) === 3 ? 4 : 2;
}

/** What bits mean, and their record as words. */
interface Meaning {
  readonly decoded: Decoded | null;
  readonly word0: number;
  readonly word1: number;
  readonly word2: number;
  readonly word3: number;
}

/** What was decoded before: programs use few of the possible instructions, over and over. */
const decodedBefore = new Map<number, Meaning>();
const DECODED_BEFORE_MAX = 100_000;

function meaningOf(bits: number): Meaning {
  // 32-bit integers are quick keys; numbers beyond are not.
  const key = (bits & 3) === 3 ? bits | 0 : bits & 0xffff;
  let meaning = decodedBefore.get(key);
  if (meaning === undefined) {
    const decoded = (bits & 3) === 3 ? decodeWide(bits >>> 0) : decodeCompressed(key);
    meaning = { decoded, ...(decoded ? recordWords(decoded) : illegalWords(bits)) };
    if (decodedBefore.size >= DECODED_BEFORE_MAX) decodedBefore.clear();
    decodedBefore.set(key, meaning);
  }
  return meaning;
}

/** Decodes 32 bits, of which a compressed instruction uses the low 16; null if they are no instruction. */
export function decode(bits: number): Decoded | null {
  return meaningOf(bits).decoded;
}

function decodeWide(bits: number): Decoded | null {
  const key = ((bits >> 2) & 31) | (((bits >> 12) & 7) << 5);
  for (const instruction of candidates[key]) {
    const { pattern } = instruction;
    if (!pattern.matches(bits)) continue;
    return {
      instruction,
      rd: (bits >> 7) & 31,
      rs1: (bits >> 15) & 31,
      rs2: (bits >> 20) & 31,
      rs3: bits >>> 27,
      rm: (bits >> 12) & 7,
      imm: pattern.immediate(bits),
      length: 4,
      bits,
    };
  }
  return null;
}

function decodeCompressed(bits: number): Decoded | null {
  if (bits === 0) return null;
  const key = (bits & 3) | ((bits >> 13) << 2);
  for (const compressed of compressedCandidates[key]) {
    const { pattern, fixed } = compressed;
    if (!pattern.matches(bits) || !compressed.valid(bits, pattern)) continue;
    const instruction = byName.get(compressed.base);
    assert(instruction, `base instruction ${compressed.base}`);
    const register = (name: string) => {
      const primed = pattern.fields.some((f) => f.name === `${name}'`);
      return primed ? pattern.field(bits, `${name}'`) + 8 : pattern.field(bits, name);
    };
    const rd = fixed.rd ?? register('rd');
    return {
      instruction,
      compressed,
      rd,
      rs1: fixed.rs1 ?? (compressed.same ? rd : register('rs1')),
      rs2: fixed.rs2 ?? register('rs2'),
      rs3: 0,
      rm: 0,
      imm: pattern.immediate(bits),
      length: 2,
      bits,
    };
  }
  return null;
}

function recordWords({ instruction, rd, rs1, rs2, rs3, rm, imm, length }: Decoded): Omit<Meaning, 'decoded'> {
  const { uses } = instruction;
  const x = (n: number) => H.x + n * 8;
  const float = (n: number) => H.f + n * 8;
  const destination = uses.fd ? float(rd) : rd === 0 ? H.xSink : x(rd);
  return {
    word0: (HANDLER.first + indexOf.get(instruction)!) | (((RECORD_BYTES * length) / 2) << 8),
    word1: destination | ((uses.fs1 ? float(rs1) : x(rs1)) << 16),
    word2: imm,
    word3: (uses.fs2 ? float(rs2) : x(rs2)) | (rs3 << 16) | (rm << 24),
  };
}

function illegalWords(bits: number): Omit<Meaning, 'decoded'> {
  const length = RECORD_BYTES * (instructionLength(bits) / 2);
  return { word0: HANDLER.illegal | (length << 8), word1: 0, word2: 0, word3: 0 };
}

/**
 * Writes the record of an instruction at an address of linear memory, given as its words; that of bits which are none raises an illegal
 * instruction. Tells whether the instruction behind it comes next, if it does not trap.
 */
export function writeRecord(memory: Int32Array, address: number, bits: number): boolean {
  const { decoded, word0, word1, word2, word3 } = meaningOf(bits);
  const word = address >>> 2;
  memory[word] = (memory[word] & ~0xffff) | word0;
  memory[word + 1] = word1;
  memory[word + 2] = word2;
  memory[word + 3] = word3;
  return decoded !== null && !leadsElsewhere(decoded);
}

/** The instructions of BRANCH, JALR, JAL and SYSTEM, which share a row of the opcode map (unprivileged specification, table of major opcodes). */
const leadsElsewhere = ({ instruction: { pattern } }: Decoded) => (pattern.match & 0x60) === 0x60;

/** Forgets the records of a page. */
export function clearPage(memory: Uint8Array, view: DataView, address: number): void {
  memory.fill(0, address, address + DECODED_PAGE_BYTES);
  endPage(view, address);
}

/** Makes the records of a page whose memory was never written. */
export function endPage(view: DataView, address: number): void {
  view.setUint8(address + EXTRA_RECORD.pageEnd * RECORD_BYTES, HANDLER.pageEnd);
  view.setUint8(address + EXTRA_RECORD.straddledEnd * RECORD_BYTES, HANDLER.pageEnd);
}
