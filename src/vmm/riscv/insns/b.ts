/** Zba, Zbb and Zbs: address generation, basic and single-bit manipulation (unprivileged specification, chapter 28). */
import { type Expr, i64 } from '../../codegen/expr.ts';
import { type Instruction, insn } from '../encoding.ts';
import type { Semantics } from '../semantics.ts';

const RRR = 'rd,rs1,rs2';
const RRS = 'rd,rs1,uimm';
const RR = 'rd,rs1';
const R = (funct7: string, funct3: string, opcode = '0110011') => `${funct7} rs2 rs1 ${funct3} rd ${opcode}`;
const UNARY = (imm: string, funct3: string, opcode = '0010011') => `${imm} rs1 ${funct3} rd ${opcode}`;
const SHIFT = (funct6: string, funct3: string) => `${funct6} uimm[5:0] rs1 ${funct3} rd 0010011`;
const low = (x: Expr) => x.and(0xffffffffn);
const bit = (count: Expr) => i64(1).shl(count);
const rotate32 = (x: Expr, count: Expr) => x.wrap().rotr(count).extS();

/** orc.b: every byte that has a bit becomes 0xff. The bits of each byte are gathered in its lowest first. */
function orCombine(s: Semantics): void {
  const x = s.f.let(s.x1);
  s.f.set(x, x.or(x.shrU(4n).and(0x0f0f0f0f0f0f0f0fn)));
  s.f.set(x, x.or(x.shrU(2n).and(0x3f3f3f3f3f3f3f3fn)));
  s.rd(x.or(x.shrU(1n)).and(0x0101010101010101n).mul(255n));
}

function reverseBytes(s: Semantics): void {
  const x = s.f.let(s.x1);
  s.f.set(x, x.shrU(8n).and(0x00ff00ff00ff00ffn).or(x.and(0x00ff00ff00ff00ffn).shl(8n)));
  s.f.set(x, x.shrU(16n).and(0x0000ffff0000ffffn).or(x.and(0x0000ffff0000ffffn).shl(16n)));
  s.rd(x.rotl(32n));
}

const choose = (test: 'ltS' | 'gtS' | 'ltU' | 'gtU') => (s: Semantics) => s.rd(s.x1[test](s.x2).select(s.x1, s.x2));

export const B_EXTENSIONS: readonly Instruction[] = [
  insn('add.uw', R('0000100', '000', '0111011'), RRR, (s) => s.rd(low(s.x1).add(s.x2))),
  insn('sh1add', R('0010000', '010'), RRR, (s) => s.rd(s.x1.shl(1n).add(s.x2))),
  insn('sh2add', R('0010000', '100'), RRR, (s) => s.rd(s.x1.shl(2n).add(s.x2))),
  insn('sh3add', R('0010000', '110'), RRR, (s) => s.rd(s.x1.shl(3n).add(s.x2))),
  insn('sh1add.uw', R('0010000', '010', '0111011'), RRR, (s) => s.rd(low(s.x1).shl(1n).add(s.x2))),
  insn('sh2add.uw', R('0010000', '100', '0111011'), RRR, (s) => s.rd(low(s.x1).shl(2n).add(s.x2))),
  insn('sh3add.uw', R('0010000', '110', '0111011'), RRR, (s) => s.rd(low(s.x1).shl(3n).add(s.x2))),
  insn('slli.uw', '000010 uimm[5:0] rs1 001 rd 0011011', RRS, (s) => s.rd(low(s.x1).shl(s.imm))),

  insn('andn', R('0100000', '111'), RRR, (s) => s.rd(s.x1.and(s.x2.not()))),
  insn('orn', R('0100000', '110'), RRR, (s) => s.rd(s.x1.or(s.x2.not()))),
  insn('xnor', R('0100000', '100'), RRR, (s) => s.rd(s.x1.xor(s.x2).not())),
  insn('clz', UNARY('011000000000', '001'), RR, (s) => s.rd(s.x1.clz())),
  insn('ctz', UNARY('011000000001', '001'), RR, (s) => s.rd(s.x1.ctz())),
  insn('cpop', UNARY('011000000010', '001'), RR, (s) => s.rd(s.x1.popcnt())),
  insn('clzw', UNARY('011000000000', '001', '0011011'), RR, (s) => s.rd(s.x1.wrap().clz().extU())),
  insn('ctzw', UNARY('011000000001', '001', '0011011'), RR, (s) => s.rd(s.x1.wrap().ctz().extU())),
  insn('cpopw', UNARY('011000000010', '001', '0011011'), RR, (s) => s.rd(s.x1.wrap().popcnt().extU())),
  insn('max', R('0000101', '110'), RRR, choose('gtS')),
  insn('maxu', R('0000101', '111'), RRR, choose('gtU')),
  insn('min', R('0000101', '100'), RRR, choose('ltS')),
  insn('minu', R('0000101', '101'), RRR, choose('ltU')),
  insn('sext.b', UNARY('011000000100', '001'), RR, (s) => s.rd(s.x1.ext8())),
  insn('sext.h', UNARY('011000000101', '001'), RR, (s) => s.rd(s.x1.ext16())),
  insn('zext.h', UNARY('000010000000', '100', '0111011'), RR, (s) => s.rd(s.x1.and(0xffffn))),
  insn('rol', R('0110000', '001'), RRR, (s) => s.rd(s.x1.rotl(s.x2))),
  insn('ror', R('0110000', '101'), RRR, (s) => s.rd(s.x1.rotr(s.x2))),
  insn('rori', SHIFT('011000', '101'), RRS, (s) => s.rd(s.x1.rotr(s.imm))),
  insn('rolw', R('0110000', '001', '0111011'), RRR, (s) => s.rd(s.x1.wrap().rotl(s.x2.wrap()).extS())),
  insn('rorw', R('0110000', '101', '0111011'), RRR, (s) => s.rd(rotate32(s.x1, s.x2.wrap()))),
  insn('roriw', '0110000 uimm[4:0] rs1 101 rd 0011011', RRS, (s) => s.rd(rotate32(s.x1, s.imm32))),
  insn('orc.b', UNARY('001010000111', '101'), RR, orCombine),
  insn('rev8', UNARY('011010111000', '101'), RR, reverseBytes),

  insn('bclr', R('0100100', '001'), RRR, (s) => s.rd(s.x1.and(bit(s.x2).not()))),
  insn('bclri', SHIFT('010010', '001'), RRS, (s) => s.rd(s.x1.and(bit(s.imm).not()))),
  insn('bext', R('0100100', '101'), RRR, (s) => s.rd(s.x1.shrU(s.x2).and(1n))),
  insn('bexti', SHIFT('010010', '101'), RRS, (s) => s.rd(s.x1.shrU(s.imm).and(1n))),
  insn('binv', R('0110100', '001'), RRR, (s) => s.rd(s.x1.xor(bit(s.x2)))),
  insn('binvi', SHIFT('011010', '001'), RRS, (s) => s.rd(s.x1.xor(bit(s.imm)))),
  insn('bset', R('0010100', '001'), RRR, (s) => s.rd(s.x1.or(bit(s.x2)))),
  insn('bseti', SHIFT('001010', '001'), RRS, (s) => s.rd(s.x1.or(bit(s.imm)))),
];
