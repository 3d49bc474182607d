/** F and D: single- and double-precision floating point (unprivileged specification, chapters 20 and 21). */
import type { Expr } from '../../codegen/expr.ts';
import type { FloatOperations } from '../../codegen/softfloat.ts';
import { type Instruction, insn } from '../encoding.ts';
import type { Semantics } from '../semantics.ts';

/** What differs between the two formats. */
interface Format {
  readonly suffix: 's' | 'd';
  readonly code: '00' | '01';
  readonly sign: number | bigint;
  readonly fns: (s: Semantics) => FloatOperations['f32'];
  /** The first so many source registers: asking for one that the instruction lacks is an error. */
  readonly sources: (s: Semantics, count: 1 | 2 | 3) => readonly Expr[];
  readonly write: (s: Semantics, bits: Expr) => void;
}

const SINGLE: Format = {
  suffix: 's',
  code: '00',
  sign: 0x80000000 | 0,
  fns: (s) => s.float.f32,
  sources: (s, count) => (['s1', 's2', 's3'] as const).slice(0, count).map((name) => s[name]),
  write: (s, bits) => s.fs(bits),
};
const DOUBLE: Format = {
  suffix: 'd',
  code: '01',
  sign: 1n << 63n,
  fns: (s) => s.float.f64,
  sources: (s, count) => (['d1', 'd2', 'd3'] as const).slice(0, count).map((name) => s[name]),
  write: (s, bits) => s.fd(bits),
};

/** Every instruction of F and D first looks whether the unit is on (privileged specification, 3.1.6.6). */
const float = (semantics: (s: Semantics) => void) => (s: Semantics) => {
  s.needFloat();
  semantics(s);
};

function arithmetic(fmt: Format): Instruction[] {
  const { suffix, code, write } = fmt;
  const binary = (name: 'add' | 'sub' | 'mul' | 'div', funct5: string) =>
    insn(
      `f${name}.${suffix}`,
      `${funct5}${code} rs2 rs1 rm rd 1010011`,
      'fd,fs1,fs2,rm',
      float((s) => {
        const rm = s.roundingMode();
        const [a, b] = fmt.sources(s, 2);
        write(s, fmt.fns(s)[name].call(s.flags, a, b, rm));
      }),
    );
  const fused = (name: string, opcode: string, negateProduct: boolean, negateAddend: boolean) =>
    insn(
      `${name}.${suffix}`,
      `rs3 ${code} rs2 rs1 rm rd ${opcode}`,
      'fd,fs1,fs2,fs3,rm',
      float((s) => {
        const rm = s.roundingMode();
        const [a, b, c] = fmt.sources(s, 3);
        const signed = (x: Expr, negate: boolean) => (negate ? x.xor(fmt.sign) : x);
        write(s, fmt.fns(s).fma.call(s.flags, signed(a, negateProduct), b, signed(c, negateAddend), rm));
      }),
    );
  return [
    binary('add', '00000'),
    binary('sub', '00001'),
    binary('mul', '00010'),
    binary('div', '00011'),
    insn(
      `fsqrt.${suffix}`,
      `01011${code} 00000 rs1 rm rd 1010011`,
      'fd,fs1,rm',
      float((s) => {
        const rm = s.roundingMode();
        write(s, fmt.fns(s).sqrt.call(s.flags, fmt.sources(s, 1)[0], rm));
      }),
    ),
    fused('fmadd', '1000011', false, false),
    fused('fmsub', '1000111', false, true),
    fused('fnmsub', '1001011', true, false),
    fused('fnmadd', '1001111', true, true),
  ];
}

function signsAndComparisons(fmt: Format): Instruction[] {
  const { suffix, code, write, sign } = fmt;
  const rest = typeof sign === 'bigint' ? sign - 1n : 0x7fffffff;
  const signed = (name: string, funct3: string, combine: (a: Expr, b: Expr) => Expr) =>
    insn(
      `${name}.${suffix}`,
      `00100${code} rs2 rs1 ${funct3} rd 1010011`,
      'fd,fs1,fs2',
      float((s) => {
        const [a, b] = fmt.sources(s, 2);
        write(s, a.and(rest).or(combine(a, b).and(sign)));
      }),
    );
  const choice = (name: 'minimum' | 'maximum', funct3: string) =>
    insn(
      `f${name.slice(0, 3)}.${suffix}`,
      `00101${code} rs2 rs1 ${funct3} rd 1010011`,
      'fd,fs1,fs2',
      float((s) => {
        const [a, b] = fmt.sources(s, 2);
        write(s, fmt.fns(s)[name].call(s.flags, a, b));
      }),
    );
  const comparison = (name: 'eq' | 'lt' | 'le', funct3: string) =>
    insn(
      `f${name}.${suffix}`,
      `10100${code} rs2 rs1 ${funct3} rd 1010011`,
      'rd,fs1,fs2',
      float((s) => {
        const [a, b] = fmt.sources(s, 2);
        s.rd(fmt.fns(s)[name].call(s.flags, a, b).extU());
        s.markFloat();
      }),
    );
  return [
    signed('fsgnj', '000', (_, b) => b),
    signed('fsgnjn', '001', (_, b) => b.not()),
    signed('fsgnjx', '010', (a, b) => a.xor(b)),
    choice('minimum', '000'),
    choice('maximum', '001'),
    comparison('eq', '010'),
    comparison('lt', '001'),
    comparison('le', '000'),
    insn(
      `fclass.${suffix}`,
      `11100${code} 00000 rs1 001 rd 1010011`,
      'rd,fs1',
      float((s) => s.rd(fmt.fns(s).classify.call(fmt.sources(s, 1)[0]).extU())),
    ),
  ];
}

function conversions(fmt: Format): Instruction[] {
  const { suffix, code, write } = fmt;
  const fns = ['I32', 'U32', 'I64', 'U64'] as const;
  const toInteger = (integer: string, index: number) =>
    insn(
      `fcvt.${integer}.${suffix}`,
      `11000${code} 000${index.toString(2).padStart(2, '0')} rs1 rm rd 1010011`,
      'rd,fs1,rm',
      float((s) => {
        const rm = s.roundingMode();
        s.rd(fmt.fns(s)[`to${fns[index]}`].call(s.flags, fmt.sources(s, 1)[0], rm));
        s.markFloat();
      }),
    );
  const fromInteger = (integer: string, index: number) =>
    insn(
      `fcvt.${suffix}.${integer}`,
      `11010${code} 000${index.toString(2).padStart(2, '0')} rs1 rm rd 1010011`,
      'fd,rs1,rm',
      float((s) => {
        const rm = s.roundingMode();
        write(s, fmt.fns(s)[`from${fns[index]}`].call(s.flags, s.x1, rm));
      }),
    );
  const integers = ['w', 'wu', 'l', 'lu'];
  return [...integers.map(toInteger), ...integers.map(fromInteger)];
}

export const FD_EXTENSIONS: readonly Instruction[] = [
  ...[SINGLE, DOUBLE].flatMap((fmt) => [...arithmetic(fmt), ...signsAndComparisons(fmt), ...conversions(fmt)]),

  insn(
    'flw',
    'imm[11:0] rs1 010 rd 0000111',
    'fd,imm(rs1)',
    float((s) => s.fs(s.load('u32x64', s.x1.add(s.imm)).wrap())),
  ),
  insn(
    'fld',
    'imm[11:0] rs1 011 rd 0000111',
    'fd,imm(rs1)',
    float((s) => s.fd(s.load('i64', s.x1.add(s.imm)))),
  ),
  insn(
    'fsw',
    'imm[11:5] rs2 rs1 010 imm[4:0] 0100111',
    'fs2,imm(rs1)',
    float((s) => s.store('i64to32', s.x1.add(s.imm), s.d2)),
  ),
  insn(
    'fsd',
    'imm[11:5] rs2 rs1 011 imm[4:0] 0100111',
    'fs2,imm(rs1)',
    float((s) => s.store('i64', s.x1.add(s.imm), s.d2)),
  ),
  insn(
    'fmv.x.w',
    '1110000 00000 rs1 000 rd 1010011',
    'rd,fs1',
    float((s) => s.rd(s.d1.ext32())),
  ),
  insn(
    'fmv.w.x',
    '1111000 00000 rs1 000 rd 1010011',
    'fd,rs1',
    float((s) => s.fs(s.x1.wrap())),
  ),
  insn(
    'fmv.x.d',
    '1110001 00000 rs1 000 rd 1010011',
    'rd,fs1',
    float((s) => s.rd(s.d1)),
  ),
  insn(
    'fmv.d.x',
    '1111001 00000 rs1 000 rd 1010011',
    'fd,rs1',
    float((s) => s.fd(s.x1)),
  ),
  insn(
    'fcvt.s.d',
    '0100000 00001 rs1 rm rd 1010011',
    'fd,fs1,rm',
    float((s) => {
      const rm = s.roundingMode();
      s.fs(s.float.demote.call(s.flags, s.d1, rm));
    }),
  ),
  insn(
    'fcvt.d.s',
    '0100001 00000 rs1 rm rd 1010011',
    'fd,fs1,rm',
    float((s) => {
      s.roundingMode();
      s.fd(s.float.promote.call(s.flags, s.s1));
    }),
  ),
];
