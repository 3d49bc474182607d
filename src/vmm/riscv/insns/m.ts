/** M: multiplication and division (unprivileged specification, chapter 13). */
import { type Expr, i64 } from '../../codegen/expr.ts';
import { type Instruction, insn } from '../encoding.ts';
import type { Semantics } from '../semantics.ts';

const M = (funct3: string) => `0000001 rs2 rs1 ${funct3} rd 0110011`;
const MW = (funct3: string) => `0000001 rs2 rs1 ${funct3} rd 0111011`;
const RRR = 'rd,rs1,rs2';

type Division = (s: Semantics, a: Expr, b: Expr, signed: boolean) => Expr;

/** By zero: all ones. The most negative number by -1: itself (section 13.2). wasm's own division would trap on both. */
const quotient: Division = ({ f }, a, b, signed) => {
  const [x, y, result] = [f.let(a), f.let(b), f.local('i64')];
  const divide = () => f.set(result, signed ? x.divS(y) : x.divU(y));
  f.if(
    y.eqz(),
    () => f.set(result, -1n),
    signed ? () => f.if(y.eq(-1n), () => f.set(result, i64(0).sub(x)), divide) : divide,
  );
  return result;
};

/** By zero: the dividend. wasm's remainder by -1 is 0, as it must be. */
const remainder: Division = ({ f }, a, b, signed) => {
  const [x, y, result] = [f.let(a), f.let(b), f.local('i64')];
  f.if(
    y.eqz(),
    () => f.set(result, x),
    () => f.set(result, signed ? x.remS(y) : x.remU(y)),
  );
  return result;
};

const wide = (division: Division, signed: boolean) => (s: Semantics) => s.rd(division(s, s.x1, s.x2, signed));
/** The narrow forms work on the low halves and sign-extend the result. */
const narrow = (division: Division, signed: boolean) => (s: Semantics) => {
  const half = (x: Expr) => (signed ? x.ext32() : x.and(0xffffffffn));
  s.rd(division(s, half(s.x1), half(s.x2), signed).ext32());
};

export const M_EXTENSION: readonly Instruction[] = [
  insn('mul', M('000'), RRR, (s) => s.rd(s.x1.mul(s.x2))),
  insn('mulh', M('001'), RRR, (s) => {
    const [a, b] = [s.f.let(s.x1), s.f.let(s.x2)];
    const negative = a.shrS(63n).and(b).add(b.shrS(63n).and(a));
    s.rd(s.rt.mulHigh.call(a, b).sub(negative));
  }),
  insn('mulhsu', M('010'), RRR, (s) => {
    const [a, b] = [s.f.let(s.x1), s.f.let(s.x2)];
    s.rd(s.rt.mulHigh.call(a, b).sub(a.shrS(63n).and(b)));
  }),
  insn('mulhu', M('011'), RRR, (s) => s.rd(s.rt.mulHigh.call(s.x1, s.x2))),
  insn('div', M('100'), RRR, wide(quotient, true)),
  insn('divu', M('101'), RRR, wide(quotient, false)),
  insn('rem', M('110'), RRR, wide(remainder, true)),
  insn('remu', M('111'), RRR, wide(remainder, false)),
  insn('mulw', MW('000'), RRR, (s) => s.rd(s.x1.mul(s.x2).ext32())),
  insn('divw', MW('100'), RRR, narrow(quotient, true)),
  insn('divuw', MW('101'), RRR, narrow(quotient, false)),
  insn('remw', MW('110'), RRR, narrow(remainder, true)),
  insn('remuw', MW('111'), RRR, narrow(remainder, false)),
];
