/**
 * Instruction encodings, in the notation of the RISC-V specifications: one row an instruction.
 *
 *     '0000000 rs2 rs1 000 rd 0110011'
 *     'imm[12|10:5] rs2 rs1 000 imm[4:1|11] 1100011'
 *
 * A token of 0s and 1s is fixed; `rd`, `rs1`, `rs2`, `rs3`, `rm`, `csr`, `aq`, `rl`, `pred`, `succ` and `fm` are fields; `imm[...]` is
 * a signed immediate, `uimm[...]` an unsigned one, with the bits of the immediate that stand there, high bit first. Primed
 * registers are the eight of the compressed formats. The tokens add up to 32 bits, or 16 for compressed instructions.
 */
import { assert } from '../../base/assert.ts';
import type { Semantics } from './semantics.ts';

const WIDTHS: Record<string, number> = {
  rd: 5,
  rs1: 5,
  rs2: 5,
  rs3: 5,
  "rd'": 3,
  "rs1'": 3,
  "rs2'": 3,
  rm: 3,
  csr: 12,
  aq: 1,
  rl: 1,
  fm: 4,
  pred: 4,
  succ: 4,
};

interface Field {
  readonly name: string;
  readonly low: number;
  readonly width: number;
}
interface ImmediatePiece {
  /** Position of the piece's lowest bit in the instruction and in the immediate, and as many ones as it has bits. */
  readonly from: number;
  readonly to: number;
  readonly ones: number;
}

/** A parsed pattern: which bits are fixed, and where the operands are. */
export class Pattern {
  readonly text: string;
  readonly width: 16 | 32;
  readonly mask: number;
  readonly match: number;
  readonly fields: readonly Field[];
  readonly #pieces: readonly ImmediatePiece[];
  /** Bits of a signed immediate; 0 where it is unsigned or absent. */
  readonly #signedBits: number;

  constructor(text: string) {
    this.text = text;
    const tokens = text.split(' ').map((token) => ({ token, width: tokenWidth(token) }));
    const width = tokens.reduce((sum, t) => sum + t.width, 0);
    assert(width === 32 || width === 16, `encoding '${text}' has ${width} bits`);
    this.width = width;
    const fields: Field[] = [];
    const pieces: ImmediatePiece[] = [];
    let low = width as number;
    let mask = 0;
    let match = 0;
    let signedBits = 0;
    for (const { token, width: bits } of tokens) {
      low -= bits;
      if (/^[01]+$/.test(token)) {
        mask |= (2 ** bits - 1) << low;
        match |= Number.parseInt(token, 2) << low;
      } else if (token.includes('[')) {
        let at = low + bits;
        for (const [high, to] of immediateRanges(token)) {
          at -= high - to + 1;
          pieces.push({ from: at, to, ones: 2 ** (high - to + 1) - 1 });
          if (token.startsWith('imm')) signedBits = Math.max(signedBits, high + 1);
        }
      } else {
        fields.push({ name: token, low, width: bits });
      }
    }
    this.mask = mask >>> 0;
    this.match = match >>> 0;
    this.fields = fields;
    this.#pieces = pieces;
    this.#signedBits = signedBits;
  }

  matches(bits: number): boolean {
    return (bits & this.mask) >>> 0 === this.match;
  }

  get hasImmediate(): boolean {
    return this.#pieces.length > 0;
  }

  /** The immediate, as a signed 32-bit number. */
  immediate(bits: number): number {
    let value = 0;
    for (const p of this.#pieces) value |= ((bits >>> p.from) & p.ones) << p.to;
    const unused = 32 - this.#signedBits;
    return this.#signedBits && unused ? (value << unused) >> unused : value;
  }

  /** The instruction with this immediate in it. Bits that the encoding has no place for are left out. */
  withImmediate(bits: number, value: number): number {
    let result = bits;
    for (const { from, to, ones } of this.#pieces) {
      result = (result & ~(ones << from)) | (((value >>> to) & ones) << from);
    }
    return result >>> 0;
  }

  field(bits: number, name: string): number {
    const field = this.fields.find((f) => f.name === name);
    return field ? (bits >>> field.low) & (2 ** field.width - 1) : 0;
  }
}

function tokenWidth(token: string): number {
  if (/^[01]+$/.test(token)) return token.length;
  if (token.includes('[')) return immediateRanges(token).reduce((sum, [high, low]) => sum + high - low + 1, 0);
  const width = WIDTHS[token];
  assert(width !== undefined, `encoding token '${token}'`);
  return width;
}

function immediateRanges(token: string): [high: number, low: number][] {
  const inside = /^u?imm\[(.*)\]$/.exec(token);
  assert(inside, `immediate '${token}'`);
  return inside[1].split('|').map((range) => {
    const [high, low = high] = range.split(':').map(Number);
    return [high, low];
  });
}

/** One instruction. */
export interface Instruction {
  readonly name: string;
  readonly pattern: Pattern;
  /** Operands in assembly order, such as `rd,imm(rs1)`; `fd`, `fs1` ... name floating-point registers. */
  readonly operands: string;
  /** Which registers are among the operands. */
  readonly uses: Readonly<Record<'rd' | 'rs1' | 'rs2' | 'fd' | 'fs1' | 'fs2' | 'fs3', boolean>>;
  readonly semantics: (s: Semantics) => void;
}

/** One compressed instruction, as the base instruction that it stands for. */
export interface Compressed {
  readonly name: string;
  readonly pattern: Pattern;
  readonly operands: string;
  readonly base: string;
  /** Fixed registers of the base instruction where the encoding has no field for them. */
  readonly fixed: { readonly rd?: number; readonly rs1?: number; readonly rs2?: number };
  /** True where the field `rd` is the first source as well. */
  readonly same: boolean;
  /** False for encodings that are reserved or belong to another instruction. */
  readonly valid: (bits: number, pattern: Pattern) => boolean;
}

export function insn(name: string, encoding: string, operands: string, semantics: (s: Semantics) => void): Instruction {
  const has = (operand: string) => operands.split(/[,()]/).includes(operand);
  const integer = { rd: has('rd'), rs1: has('rs1'), rs2: has('rs2') };
  const uses = { ...integer, fd: has('fd'), fs1: has('fs1'), fs2: has('fs2'), fs3: has('fs3') };
  return { name, pattern: new Pattern(encoding), operands, uses, semantics };
}
