/** Zicsr (unprivileged specification, chapter 6) and the supervisor and machine instructions (privileged, 3.3 and 12.2). */
import { type Expr, i64, load } from '../../codegen/expr.ts';
import { updated } from '../csr.ts';
import { type Instruction, insn } from '../encoding.ts';
import { H, MSTATUS, PRIV } from '../hart.ts';
import type { Semantics } from '../semantics.ts';

type Update = (old: Expr, operand: Expr) => Expr;

/**
 * `csrrw` with rd = x0 does not read, `csrrs` and `csrrc` with rs1 = x0 do not write: it matters for read-only registers. No
 * read here has a side effect, so reading always is right.
 */
const csr = (update: Update | null, immediate: boolean) => (s: Semantics) => {
  const { f, rt } = s;
  s.publishPosition();
  const operand = f.let(immediate ? s.rs1.extU() : s.x1);
  const number = f.let(s.imm32.and(0xfff));
  const writes = f.local('i32');
  f.set(writes, update ? s.rs1.ne(0) : 1);
  s.illegalIf(rt.csrAllowed.call(s.hart, number, writes).eqz());
  const old = f.let(rt.csrRead.call(s.hart, number));
  f.if(writes, () => {
    f.do(rt.csrWrite, s.hart, number, update ? update(updated(s.hart, number, old), operand) : operand);
  });
  s.rd(old);
  f.if(writes, () => s.resume(s.next));
  s.checkLeave();
};

const set: Update = (old, operand) => old.or(operand);
const clear: Update = (old, operand) => old.and(operand.not());
const CSR = (funct3: string) => `uimm[11:0] rs1 ${funct3} rd 1110011`;

const privilege = (s: Semantics) => load('i32', s.hart, H.privilege);
const status = (s: Semantics) => load('i64', s.hart, H.mstatus);

/** Returns from a trap: the pending privilege and interrupt enable come back (privileged specification, 3.3.2). */
function trapReturn(s: Semantics, mode: 'M' | 'S'): void {
  const { f } = s;
  const machine = mode === 'M';
  const old = f.let(status(s));
  const [enable, previous] = machine ? [MSTATUS.MIE, MSTATUS.MPIE] : [MSTATUS.SIE, MSTATUS.SPIE];
  const to = f.let(machine ? old.shrU(11n).and(3n).wrap() : old.shrU(8n).and(1n).wrap());
  const wasEnabled = old.and(previous).ne(0n);
  const cleared = old.and(~(enable | (machine ? MSTATUS.MPP : MSTATUS.SPP))).or(previous);
  f.set(old, cleared.or(wasEnabled.select(i64(enable), 0n)));
  f.if(to.ne(PRIV.M), () => f.set(old, old.and(~MSTATUS.MPRV)));
  f.store('i64', s.hart, H.mstatus, old);
  f.store('i32', s.hart, H.privilege, to);
  f.do(s.rt.modeChanged, s.hart);
  // An interrupt that was held back may be taken now.
  f.if(s.rt.pendingInterrupt.call(s.hart).geS(0), () => f.store('i32', s.hart, H.leave, 1));
  s.resume(load('i64', s.hart, machine ? H.mepc : H.sepc));
}

export const SYSTEM: readonly Instruction[] = [
  insn('csrrw', CSR('001'), 'rd,csr,rs1', csr(null, false)),
  insn('csrrs', CSR('010'), 'rd,csr,rs1', csr(set, false)),
  insn('csrrc', CSR('011'), 'rd,csr,rs1', csr(clear, false)),
  insn('csrrwi', CSR('101'), 'rd,csr,zimm', csr(null, true)),
  insn('csrrsi', CSR('110'), 'rd,csr,zimm', csr(set, true)),
  insn('csrrci', CSR('111'), 'rd,csr,zimm', csr(clear, true)),

  insn('mret', '00110000001000000000000001110011', '', (s) => {
    s.illegalIf(privilege(s).ne(PRIV.M));
    trapReturn(s, 'M');
  }),
  insn('sret', '00010000001000000000000001110011', '', (s) => {
    s.illegalIf(s.rt.trapsVirtualMemory(s, MSTATUS.TSR));
    trapReturn(s, 'S');
  }),
  insn('wfi', '00010000010100000000000001110011', '', (s) => {
    s.illegalIf(s.rt.trapsVirtualMemory(s, MSTATUS.TW));
    // Waits until an interrupt is pending and enabled by mie, whatever mstatus says (privileged specification, 3.3.3).
    s.f.if(s.rt.pendingBits(s.hart).eqz(), () => {
      s.f.store('i32', s.hart, H.waiting, 1);
      s.leave(s.next, true);
    });
  }),
  insn('sfence.vma', '0001001 rs2 rs1 000 00000 1110011', 'rs1,rs2', (s) => {
    s.illegalIf(s.rt.trapsVirtualMemory(s, MSTATUS.TVM));
    s.f.if(
      s.rs1.eqz(),
      () => s.f.do(s.rt.flushTlb, s.hart),
      () => s.f.do(s.rt.flushTlbPage, s.hart, s.x1),
    );
    s.resume(s.next);
  }),
];
