/** RV64I base integer instructions and Zifencei (unprivileged specification, chapters 2, 4 and 6). */
import type { Expr } from '../../codegen/expr.ts';
import { type Instruction, insn } from '../encoding.ts';
import type { Semantics } from '../semantics.ts';

const ALU = '0000000 rs2 rs1';
const ALT = '0100000 rs2 rs1';
const IMM = 'imm[11:0] rs1';
const OP = 'rd 0110011';
const OP_IMM = 'rd 0010011';
const OP_32 = 'rd 0111011';
const OP_IMM_32 = 'rd 0011011';
const BRANCH = (funct3: string) => `imm[12|10:5] rs2 rs1 ${funct3} imm[4:1|11] 1100011`;
const LOAD = (funct3: string) => `imm[11:0] rs1 ${funct3} rd 0000011`;
const STORE = (funct3: string) => `imm[11:5] rs2 rs1 ${funct3} imm[4:0] 0100011`;
const RRR = 'rd,rs1,rs2';
const RRI = 'rd,rs1,imm';
const RRS = 'rd,rs1,uimm';
const address = (s: Semantics) => s.x1.add(s.imm);
/** A 32-bit shift of the low half, sign-extended; the count is taken modulo 32, as wasm's i32 shifts do. */
const shift32 = (kind: 'shl' | 'shrS' | 'shrU', x: Expr, count: Expr) => x.wrap()[kind](count).extS();

export const RV64I: readonly Instruction[] = [
  insn('lui', 'imm[31:12] rd 0110111', 'rd,upper', (s) => s.rd(s.imm)),
  insn('auipc', 'imm[31:12] rd 0010111', 'rd,upper', (s) => s.rd(s.pc.add(s.imm))),
  insn('jal', 'imm[20|10:1|11|19:12] rd 1101111', 'rd,target', (s) => {
    s.rd(s.next);
    s.jumpImmediate();
  }),
  insn('jalr', `${IMM} 000 rd 1100111`, 'rd,imm(rs1)', (s) => {
    const target = s.f.let(address(s).and(-2n));
    s.rd(s.next);
    s.jump(target);
  }),

  insn('beq', BRANCH('000'), 'rs1,rs2,target', (s) => s.branch(s.x1.eq(s.x2))),
  insn('bne', BRANCH('001'), 'rs1,rs2,target', (s) => s.branch(s.x1.ne(s.x2))),
  insn('blt', BRANCH('100'), 'rs1,rs2,target', (s) => s.branch(s.x1.ltS(s.x2))),
  insn('bge', BRANCH('101'), 'rs1,rs2,target', (s) => s.branch(s.x1.geS(s.x2))),
  insn('bltu', BRANCH('110'), 'rs1,rs2,target', (s) => s.branch(s.x1.ltU(s.x2))),
  insn('bgeu', BRANCH('111'), 'rs1,rs2,target', (s) => s.branch(s.x1.geU(s.x2))),

  insn('lb', LOAD('000'), 'rd,imm(rs1)', (s) => s.rd(s.load('s8x64', address(s)))),
  insn('lh', LOAD('001'), 'rd,imm(rs1)', (s) => s.rd(s.load('s16x64', address(s)))),
  insn('lw', LOAD('010'), 'rd,imm(rs1)', (s) => s.rd(s.load('s32x64', address(s)))),
  insn('ld', LOAD('011'), 'rd,imm(rs1)', (s) => s.rd(s.load('i64', address(s)))),
  insn('lbu', LOAD('100'), 'rd,imm(rs1)', (s) => s.rd(s.load('u8x64', address(s)))),
  insn('lhu', LOAD('101'), 'rd,imm(rs1)', (s) => s.rd(s.load('u16x64', address(s)))),
  insn('lwu', LOAD('110'), 'rd,imm(rs1)', (s) => s.rd(s.load('u32x64', address(s)))),
  insn('sb', STORE('000'), 'rs2,imm(rs1)', (s) => s.store('i64to8', address(s), s.x2)),
  insn('sh', STORE('001'), 'rs2,imm(rs1)', (s) => s.store('i64to16', address(s), s.x2)),
  insn('sw', STORE('010'), 'rs2,imm(rs1)', (s) => s.store('i64to32', address(s), s.x2)),
  insn('sd', STORE('011'), 'rs2,imm(rs1)', (s) => s.store('i64', address(s), s.x2)),

  insn('addi', `${IMM} 000 ${OP_IMM}`, RRI, (s) => s.rd(s.x1.add(s.imm))),
  insn('slti', `${IMM} 010 ${OP_IMM}`, RRI, (s) => s.rd(s.x1.ltS(s.imm).extU())),
  insn('sltiu', `${IMM} 011 ${OP_IMM}`, RRI, (s) => s.rd(s.x1.ltU(s.imm).extU())),
  insn('xori', `${IMM} 100 ${OP_IMM}`, RRI, (s) => s.rd(s.x1.xor(s.imm))),
  insn('ori', `${IMM} 110 ${OP_IMM}`, RRI, (s) => s.rd(s.x1.or(s.imm))),
  insn('andi', `${IMM} 111 ${OP_IMM}`, RRI, (s) => s.rd(s.x1.and(s.imm))),
  insn('slli', `000000 uimm[5:0] rs1 001 ${OP_IMM}`, RRS, (s) => s.rd(s.x1.shl(s.imm))),
  insn('srli', `000000 uimm[5:0] rs1 101 ${OP_IMM}`, RRS, (s) => s.rd(s.x1.shrU(s.imm))),
  insn('srai', `010000 uimm[5:0] rs1 101 ${OP_IMM}`, RRS, (s) => s.rd(s.x1.shrS(s.imm))),
  insn('addiw', `${IMM} 000 ${OP_IMM_32}`, RRI, (s) => s.rd(s.x1.add(s.imm).ext32())),
  insn('slliw', `0000000 uimm[4:0] rs1 001 ${OP_IMM_32}`, RRS, (s) => s.rd(shift32('shl', s.x1, s.imm32))),
  insn('srliw', `0000000 uimm[4:0] rs1 101 ${OP_IMM_32}`, RRS, (s) => s.rd(shift32('shrU', s.x1, s.imm32))),
  insn('sraiw', `0100000 uimm[4:0] rs1 101 ${OP_IMM_32}`, RRS, (s) => s.rd(shift32('shrS', s.x1, s.imm32))),

  insn('add', `${ALU} 000 ${OP}`, RRR, (s) => s.rd(s.x1.add(s.x2))),
  insn('sub', `${ALT} 000 ${OP}`, RRR, (s) => s.rd(s.x1.sub(s.x2))),
  insn('sll', `${ALU} 001 ${OP}`, RRR, (s) => s.rd(s.x1.shl(s.x2))),
  insn('slt', `${ALU} 010 ${OP}`, RRR, (s) => s.rd(s.x1.ltS(s.x2).extU())),
  insn('sltu', `${ALU} 011 ${OP}`, RRR, (s) => s.rd(s.x1.ltU(s.x2).extU())),
  insn('xor', `${ALU} 100 ${OP}`, RRR, (s) => s.rd(s.x1.xor(s.x2))),
  insn('srl', `${ALU} 101 ${OP}`, RRR, (s) => s.rd(s.x1.shrU(s.x2))),
  insn('sra', `${ALT} 101 ${OP}`, RRR, (s) => s.rd(s.x1.shrS(s.x2))),
  insn('or', `${ALU} 110 ${OP}`, RRR, (s) => s.rd(s.x1.or(s.x2))),
  insn('and', `${ALU} 111 ${OP}`, RRR, (s) => s.rd(s.x1.and(s.x2))),
  insn('addw', `${ALU} 000 ${OP_32}`, RRR, (s) => s.rd(s.x1.add(s.x2).ext32())),
  insn('subw', `${ALT} 000 ${OP_32}`, RRR, (s) => s.rd(s.x1.sub(s.x2).ext32())),
  insn('sllw', `${ALU} 001 ${OP_32}`, RRR, (s) => s.rd(shift32('shl', s.x1, s.x2.wrap()))),
  insn('srlw', `${ALU} 101 ${OP_32}`, RRR, (s) => s.rd(shift32('shrU', s.x1, s.x2.wrap()))),
  insn('sraw', `${ALT} 101 ${OP_32}`, RRR, (s) => s.rd(shift32('shrS', s.x1, s.x2.wrap()))),

  // PAUSE (Zihintpause) is a FENCE with pred = W, succ = 0: a spinning hart gives the rest of its turn
  // away, if there is someone to take it.
  insn('pause', '00000001000000000000000000001111', '', (s) => s.yieldTurn()),
  // Harts take turns on one total order of steps: every access is already ordered.
  insn('fence', 'fm pred succ rs1 000 rd 0001111', 'pred,succ', () => {}),
  insn('fence.i', 'imm[11:0] rs1 001 rd 0001111', '', (s) => s.resume(s.next)),
  insn('ecall', '00000000000000000000000001110011', '', (s) => s.ecall()),
  insn('ebreak', '00000000000100000000000001110011', '', (s) => s.raise(3, s.pc)),
];
