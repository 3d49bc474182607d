/** A: atomic operations (unprivileged specification, chapter 14). */
import { type Expr, load } from '../../codegen/expr.ts';
import { type Instruction, insn } from '../encoding.ts';
import { H } from '../hart.ts';
import type { Semantics } from '../semantics.ts';

type Size = 4 | 8;
type Combine = (old: Expr, operand: Expr) => Expr;
const LOAD = { 4: 's32x64', 8: 'i64' } as const;
const STORE = { 4: 'i64to32', 8: 'i64' } as const;

const amo = (size: Size, combine: Combine) => (s: Semantics) => {
  const { f } = s;
  const operand = f.let(size === 4 ? s.x2.ext32() : s.x2);
  const host = s.atomic(size, s.x1);
  const old = f.let(load(LOAD[size], host));
  f.store(STORE[size], host, 0, combine(old, operand));
  s.rd(old);
};

const amos = (name: string, funct5: string, combine: Combine): Instruction[] => [
  insn(`${name}.w`, `${funct5} aq rl rs2 rs1 010 rd 0101111`, 'rd,rs2,(rs1)', amo(4, combine)),
  insn(`${name}.d`, `${funct5} aq rl rs2 rs1 011 rd 0101111`, 'rd,rs2,(rs1)', amo(8, combine)),
];

/**
 * LR registers a reservation on the physical address; an SC ends it, and so does losing the hart's turn, which is the only way
 * in which another hart can come between (section 14.2).
 */
const lr = (size: Size) => (s: Semantics) => {
  const { f } = s;
  const address = f.let(s.x1);
  f.if(
    address
      .wrap()
      .and(size - 1)
      .ne(0),
    () => s.raise(4, address),
  );
  const value = f.let(s.load(LOAD[size], address));
  f.store('i64', s.hart, H.reservation, s.rt.physicalOf.call(s.hart, address));
  s.rd(value);
};

const sc = (size: Size) => (s: Semantics) => {
  const { f } = s;
  const operand = f.let(s.x2);
  const address = f.let(s.x1);
  const host = s.atomic(size, address, true);
  const failed = f.let(load('i64', s.hart, H.reservation).ne(s.rt.physicalOf.call(s.hart, address)));
  f.if(failed.eqz(), () => f.store(STORE[size], host, 0, operand));
  f.store('i64', s.hart, H.reservation, -1n);
  s.rd(failed.extU());
};

const pick =
  (test: 'ltS' | 'gtS' | 'ltU' | 'gtU'): Combine =>
  (a, b) =>
    a[test](b).select(a, b);

export const A_EXTENSION: readonly Instruction[] = [
  insn('lr.w', '00010 aq rl 00000 rs1 010 rd 0101111', 'rd,(rs1)', lr(4)),
  insn('lr.d', '00010 aq rl 00000 rs1 011 rd 0101111', 'rd,(rs1)', lr(8)),
  insn('sc.w', '00011 aq rl rs2 rs1 010 rd 0101111', 'rd,rs2,(rs1)', sc(4)),
  insn('sc.d', '00011 aq rl rs2 rs1 011 rd 0101111', 'rd,rs2,(rs1)', sc(8)),
  ...amos('amoswap', '00001', (_, b) => b),
  ...amos('amoadd', '00000', (a, b) => a.add(b)),
  ...amos('amoxor', '00100', (a, b) => a.xor(b)),
  ...amos('amoand', '01100', (a, b) => a.and(b)),
  ...amos('amoor', '01000', (a, b) => a.or(b)),
  ...amos('amomin', '10000', pick('ltS')),
  ...amos('amomax', '10100', pick('gtS')),
  // Both operands of the narrow unsigned forms are sign-extended, which keeps their unsigned order.
  ...amos('amominu', '11000', pick('ltU')),
  ...amos('amomaxu', '11100', pick('gtU')),
];
