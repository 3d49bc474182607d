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
import type { Compressed, Instruction, Pattern } from './encoding.ts';
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

/** Where an encoding has the number of a register: so many ones of the bits from `low` on, and `base` more. */
interface Place {
  readonly low: number;
  readonly ones: number;
  readonly base: number;
}
const numberAt = ({ low, ones, base }: Place, bits: number) => base + ((bits >>> low) & ones);

/** An encoding, with what decoding needs of it at hand. */
interface Encoding {
  readonly instruction: Instruction;
  readonly compressed: Compressed | undefined;
  readonly pattern: Pattern;
  /** The pattern's, as numbers with a sign: V8 compares those fastest. */
  readonly mask: number;
  readonly match: number;
  readonly rd: Place;
  readonly rs1: Place;
  readonly rs2: Place;
  readonly handler: number;
  readonly length: 2 | 4;
  /** Offsets of the register of number 0, in the hart's state. */
  readonly rdFile: number;
  readonly rs1File: number;
  readonly rs2File: number;
}

const handlerOf = new Map(INSTRUCTIONS.map((instruction, i) => [instruction, HANDLER.first + i]));
const byName = new Map(INSTRUCTIONS.map((instruction) => [instruction.name, instruction]));

function encodingOf(instruction: Instruction, compressed: Compressed | undefined): Encoding {
  const { uses } = instruction;
  const file = (float: boolean) => (float ? H.f : H.x);
  const place = (name: 'rd' | 'rs1' | 'rs2', low: number): Place => {
    if (!compressed) return { low, ones: 31, base: 0 };
    const { pattern, fixed, same } = compressed;
    const number = fixed[name];
    if (number !== undefined) return { low: 0, ones: 0, base: number };
    const wanted = name === 'rs1' && same ? 'rd' : name;
    const field = pattern.fields.find((f) => f.name === wanted || f.name === `${wanted}'`);
    if (!field) return { low: 0, ones: 0, base: 0 };
    return { low: field.low, ones: 2 ** field.width - 1, base: field.name === wanted ? 0 : 8 };
  };
  const pattern = compressed?.pattern ?? instruction.pattern;
  return {
    instruction,
    compressed,
    pattern,
    mask: pattern.mask | 0,
    match: pattern.match | 0,
    rd: place('rd', 7),
    rs1: place('rs1', 15),
    rs2: place('rs2', 20),
    handler: handlerOf.get(instruction)!,
    length: compressed ? 2 : 4,
    rdFile: file(uses.fd),
    rs1File: file(uses.fs1),
    rs2File: file(uses.fs2),
  };
}

const WIDE = INSTRUCTIONS.map((instruction) => encodingOf(instruction, undefined));
const COMPACT = COMPRESSED.map((compressed) => {
  const instruction = byName.get(compressed.base);
  assert(instruction, `base instruction ${compressed.base}`);
  return encodingOf(instruction, compressed);
});
/** Opcode and funct3, and what compressed instructions have instead. */
const WIDE_KEY = 0x707f;
const COMPACT_KEY = 0xe003;
/** The same by those bits, pushed together, so that few are tried; sorted when they are first wanted. */
const wideByKey: (readonly Encoding[] | undefined)[] = new Array(256);
const compactByKey: (readonly Encoding[] | undefined)[] = new Array(32);

/** Those of which some bits may be, as far as the bits of `key` tell. */
const possible = (encodings: readonly Encoding[], bits: number, key: number) =>
  encodings.filter(({ mask, match }) => ((bits ^ match) & mask & key) === 0);

/** The encoding that bits are of, 16 of them for a compressed instruction; null if they are no instruction. */
function find(bits: number): Encoding | null {
  if ((bits & 3) === 3) {
    const key = ((bits >> 2) & 31) | (((bits >> 12) & 7) << 5);
    wideByKey[key] ??= possible(WIDE, bits, WIDE_KEY);
    for (const encoding of wideByKey[key]) if ((bits & encoding.mask) === encoding.match) return encoding;
    return null;
  }
  if (bits === 0) return null;
  const key = (bits & 3) | ((bits >> 13) << 2);
  compactByKey[key] ??= possible(COMPACT, bits, COMPACT_KEY);
  for (const encoding of compactByKey[key]) {
    if ((bits & encoding.mask) === encoding.match && encoding.compressed!.valid(bits, encoding.pattern))
      return encoding;
  }
  return null;
}

/** Length in bytes of the instruction that begins with these 16 bits. */
export function instructionLength(low: number): 2 | 4 {
  return (low & 3) === 3 ? 4 : 2;
}

/** What was decoded before: programs use few of the possible instructions, over and over. */
const decodedBefore = new Map<number, Decoded | null>();
const DECODED_BEFORE_MAX = 100_000;

/** Without the bits behind a compressed instruction. */
const ownBits = (bits: number) => ((bits & 3) === 3 ? bits : bits & 0xffff);

/** Decodes 32 bits, of which a compressed instruction uses the low 16; null if they are no instruction. */
export function decode(bits: number): Decoded | null {
  // 32-bit integers are quick keys; numbers beyond are not.
  const key = ownBits(bits) | 0;
  let decoded = decodedBefore.get(key);
  if (decoded === undefined) {
    const encoding = find(key);
    decoded = encoding && decodedOf(encoding, key);
    if (decodedBefore.size >= DECODED_BEFORE_MAX) decodedBefore.clear();
    decodedBefore.set(key, decoded);
  }
  return decoded;
}

function decodedOf(encoding: Encoding, bits: number): Decoded {
  const { instruction, compressed, pattern, length } = encoding;
  return {
    instruction,
    ...(compressed && { compressed }),
    rd: numberAt(encoding.rd, bits),
    rs1: numberAt(encoding.rs1, bits),
    rs2: numberAt(encoding.rs2, bits),
    rs3: compressed ? 0 : bits >>> 27,
    rm: compressed ? 0 : (bits >> 12) & 7,
    imm: pattern.immediate(bits),
    length,
    bits: bits >>> 0,
  };
}

/**
 * Writes the record of an instruction at an address of linear memory, given as its words; that of bits which are none raises an illegal
 * instruction. Tells whether the instruction behind it comes next, if it does not trap.
 */
export function writeRecord(memory: Int32Array, address: number, bits: number): boolean {
  const own = ownBits(bits);
  const encoding = find(own);
  const word = address >>> 2;
  // The count of jumps stays.
  const head = memory[word] & ~0xffff;
  if (!encoding) {
    memory[word] = head | HANDLER.illegal | (((RECORD_BYTES * instructionLength(bits)) / 2) << 8);
    memory.fill(0, word + 1, word + RECORD_BYTES / 4);
    return false;
  }
  const { handler, length, rdFile, rs1File, rs2File, pattern } = encoding;
  const rd = numberAt(encoding.rd, own);
  const destination = rd === 0 && rdFile === H.x ? H.xSink : rdFile + rd * 8;
  const high = length === 4 ? ((bits >>> 27) << 16) | (((bits >> 12) & 7) << 24) : 0;
  memory[word] = head | handler | (((RECORD_BYTES * length) / 2) << 8);
  memory[word + 1] = destination | ((rs1File + numberAt(encoding.rs1, own) * 8) << 16);
  memory[word + 2] = pattern.immediate(own);
  memory[word + 3] = rs2File + numberAt(encoding.rs2, own) * 8 + high;
  return !leadsElsewhere(encoding);
}

/** The instructions of BRANCH, JALR, JAL and SYSTEM, which share a row of the opcode map (unprivileged specification, table of major opcodes). */
const leadsElsewhere = ({ instruction: { pattern } }: Encoding) => (pattern.match & 0x60) === 0x60;

/** Forgets the records of a page. */
export function clearPage(memory: Uint8Array, view: DataView, address: number): void {
  memory.fill(0, address, address + DECODED_PAGE_BYTES);
  endPage(view, address);
}

/**
 * Makes the records of a page whose memory was never written. All of it is now: read before that, as a record is before it is decoded, each page
 * of the host would cost a second fault, which all threads wait for.
 */
export function freshPage(view: DataView, address: number): void {
  for (let at = address; at < address + DECODED_PAGE_BYTES; at += HOST_PAGE_BYTES) view.setUint8(at, 0);
  endPage(view, address);
}
const HOST_PAGE_BYTES = 4096;

function endPage(view: DataView, address: number): void {
  view.setUint8(address + EXTRA_RECORD.pageEnd * RECORD_BYTES, HANDLER.pageEnd);
  view.setUint8(address + EXTRA_RECORD.straddledEnd * RECORD_BYTES, HANDLER.pageEnd);
}
