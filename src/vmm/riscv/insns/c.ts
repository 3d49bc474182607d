/** C: compressed instructions, each as the base instruction that it stands for (unprivileged specification, chapter 27). */
import { type Compressed, Pattern } from '../encoding.ts';

type Fixed = Compressed['fixed'];
type Valid = Compressed['valid'];

const SP = 2;
const always: Valid = () => true;
const nonzero: Valid = (bits, pattern) => pattern.immediate(bits) !== 0;
const field =
  (name: string): Valid =>
  (bits, pattern) =>
    pattern.field(bits, name) !== 0;

const c = (name: string, encoding: string, operands: string, base: string, fixed: Fixed = {}, valid = always) => ({
  name,
  pattern: new Pattern(encoding),
  operands,
  base,
  fixed,
  same: false,
  valid,
});
/** The same, where the field `rd` is the first source as well. */
const same = (name: string, encoding: string, operands: string, base: string, fixed: Fixed = {}, valid = always) => ({
  ...c(name, encoding, operands, base, fixed, valid),
  same: true,
});

/** In the order of the specification's tables; the first that matches and is valid counts. */
export const COMPRESSED: readonly Compressed[] = [
  c('c.addi4spn', "000 uimm[5:4|9:6|2|3] rd' 00", 'rd,sp,uimm', 'addi', { rs1: SP }, nonzero),
  c('c.fld', "001 uimm[5:3] rs1' uimm[7:6] rd' 00", 'fd,uimm(rs1)', 'fld'),
  c('c.lw', "010 uimm[5:3] rs1' uimm[2|6] rd' 00", 'rd,uimm(rs1)', 'lw'),
  c('c.ld', "011 uimm[5:3] rs1' uimm[7:6] rd' 00", 'rd,uimm(rs1)', 'ld'),
  c('c.fsd', "101 uimm[5:3] rs1' uimm[7:6] rs2' 00", 'fs2,uimm(rs1)', 'fsd'),
  c('c.sw', "110 uimm[5:3] rs1' uimm[2|6] rs2' 00", 'rs2,uimm(rs1)', 'sw'),
  c('c.sd', "111 uimm[5:3] rs1' uimm[7:6] rs2' 00", 'rs2,uimm(rs1)', 'sd'),

  c('c.nop', '000 imm[5] 00000 imm[4:0] 01', '', 'addi', { rd: 0, rs1: 0 }),
  same('c.addi', '000 imm[5] rd imm[4:0] 01', 'rd,imm', 'addi'),
  same('c.addiw', '001 imm[5] rd imm[4:0] 01', 'rd,imm', 'addiw', {}, field('rd')),
  c('c.li', '010 imm[5] rd imm[4:0] 01', 'rd,imm', 'addi', { rs1: 0 }),
  c('c.addi16sp', '011 imm[9] 00010 imm[4|6|8:7|5] 01', 'sp,imm', 'addi', { rd: SP, rs1: SP }, nonzero),
  c('c.lui', '011 imm[17] rd imm[16:12] 01', 'rd,upper', 'lui', {}, nonzero),
  same('c.srli', "100 uimm[5] 00 rd' uimm[4:0] 01", 'rd,uimm', 'srli'),
  same('c.srai', "100 uimm[5] 01 rd' uimm[4:0] 01", 'rd,uimm', 'srai'),
  same('c.andi', "100 imm[5] 10 rd' imm[4:0] 01", 'rd,imm', 'andi'),
  same('c.sub', "100 0 11 rd' 00 rs2' 01", 'rd,rs2', 'sub'),
  same('c.xor', "100 0 11 rd' 01 rs2' 01", 'rd,rs2', 'xor'),
  same('c.or', "100 0 11 rd' 10 rs2' 01", 'rd,rs2', 'or'),
  same('c.and', "100 0 11 rd' 11 rs2' 01", 'rd,rs2', 'and'),
  same('c.subw', "100 1 11 rd' 00 rs2' 01", 'rd,rs2', 'subw'),
  same('c.addw', "100 1 11 rd' 01 rs2' 01", 'rd,rs2', 'addw'),
  c('c.j', '101 imm[11|4|9:8|10|6|7|3:1|5] 01', 'target', 'jal', { rd: 0 }),
  c('c.beqz', "110 imm[8|4:3] rs1' imm[7:6|2:1|5] 01", 'rs1,target', 'beq', { rs2: 0 }),
  c('c.bnez', "111 imm[8|4:3] rs1' imm[7:6|2:1|5] 01", 'rs1,target', 'bne', { rs2: 0 }),

  same('c.slli', '000 uimm[5] rd uimm[4:0] 10', 'rd,uimm', 'slli'),
  c('c.fldsp', '001 uimm[5] rd uimm[4:3|8:6] 10', 'fd,uimm(sp)', 'fld', { rs1: SP }),
  c('c.lwsp', '010 uimm[5] rd uimm[4:2|7:6] 10', 'rd,uimm(sp)', 'lw', { rs1: SP }, field('rd')),
  c('c.ldsp', '011 uimm[5] rd uimm[4:3|8:6] 10', 'rd,uimm(sp)', 'ld', { rs1: SP }, field('rd')),
  c('c.jr', '100 0 rs1 00000 10', 'rs1', 'jalr', { rd: 0 }, field('rs1')),
  c('c.mv', '100 0 rd rs2 10', 'rd,rs2', 'add', { rs1: 0 }, field('rs2')),
  c('c.ebreak', '100 1 00000 00000 10', '', 'ebreak'),
  c('c.jalr', '100 1 rs1 00000 10', 'rs1', 'jalr', { rd: 1 }, field('rs1')),
  same('c.add', '100 1 rd rs2 10', 'rd,rs2', 'add', {}, field('rs2')),
  c('c.fsdsp', '101 uimm[5:3|8:6] rs2 10', 'fs2,uimm(sp)', 'fsd', { rs1: SP }),
  c('c.swsp', '110 uimm[5:2|7:6] rs2 10', 'rs2,uimm(sp)', 'sw', { rs1: SP }),
  c('c.sdsp', '111 uimm[5:3|8:6] rs2 10', 'rs2,uimm(sp)', 'sd', { rs1: SP }),
];
