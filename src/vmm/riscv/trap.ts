/** Exceptions and interrupts (privileged specification, 3.1.8, 3.1.9 and 12.1). */
import { type Expr, i32, i64, load } from '../codegen/expr.ts';
import type { Fn } from '../codegen/fn.ts';
import type { Func, ModuleBuilder } from '../codegen/module.ts';
import { G, JOURNAL_BASE, JOURNAL_ENTRIES, JOURNAL_ENTRY_BYTES, JOURNAL_KIND } from '../layout.ts';
import { FAST_MODE_BYTES, H, IRQ, MSTATUS, PRIV } from './hart.ts';
import { currentPosition, type HostFns } from './runtime.ts';
import { trapTaken } from './watch.ts';

export interface TrapFns {
  /** (hart, cause i64, value i64): an exception waits to be taken; the running instruction must end. */
  readonly raise: Func;
  /** (hart, epc): takes the waiting exception: the hart's pc, privilege and trap registers change. */
  readonly takeTrap: Func;
  /** (hart) -> cause of the interrupt to take now, or -1. */
  readonly pendingInterrupt: Func;
  /** (hart): privilege, or what mstatus says of data accesses, changed: the fast TLB in use follows. */
  readonly modeChanged: Func;
  /** (hart, kind, cause, value): writes an entry of the journal. */
  readonly journal: Func;
}

const INTERRUPT = 1n << 63n;

export function defineTraps(m: ModuleBuilder, host: HostFns): TrapFns {
  const journal = m.define('journal', ['i32', 'i32', 'i64', 'i64'], null, (f, hart, kind, cause, value) => {
    const count = f.let(load('i32', i32(0), G.journalCount));
    f.if(count.geU(JOURNAL_ENTRIES), () => f.unreachable());
    const entry = f.let(count.mul(JOURNAL_ENTRY_BYTES).add(JOURNAL_BASE));
    f.store('i64', entry, 0, currentPosition(hart));
    f.store('i8', entry, 8, kind);
    f.store('i8', entry, 9, load('i32', hart, H.number));
    f.store('i64', entry, 16, cause);
    f.store('i64', entry, 24, value);
    f.store('i32', i32(0), G.journalCount, count.add(1));
    // The run loop empties the buffer between slices; half of it is room enough for one more instruction.
    f.if(count.geU(JOURNAL_ENTRIES / 2), () => f.store('i32', hart, H.leave, 1));
  });

  const raise = m.define('raise', ['i32', 'i64', 'i64'], null, (f, hart, cause, value) => {
    f.store('i32', hart, H.trapPending, 1);
    f.store('i64', hart, H.trapCause, cause);
    f.store('i64', hart, H.trapValue, value);
  });

  // Which of four views of data memory is in use: U, S, S with SUM, or M (see mmu.ts).
  const modeChanged = m.define('modeChanged', ['i32'], null, (f, hart) => {
    const privilege = f.let(load('i32', hart, H.privilege));
    const status = f.let(load('i64', hart, H.mstatus));
    f.if(privilege.eq(PRIV.M).and(status.and(MSTATUS.MPRV).ne(0n)), () => {
      f.set(privilege, status.shrU(11n).and(3n).wrap());
    });
    f.if(privilege.eq(PRIV.S).and(status.and(MSTATUS.SUM).ne(0n)), () => f.set(privilege, 2));
    f.store('i32', hart, H.fastTlb, hart.add(H.fast).add(privilege.mul(FAST_MODE_BYTES)));
  });

  const pendingInterrupt = m.define('pendingInterrupt', ['i32'], 'i32', buildPendingInterrupt);

  const takeTrap = m.define('takeTrap', ['i32', 'i64'], null, (f, hart, epc) => {
    const cause = f.let(load('i64', hart, H.trapCause));
    const value = f.let(load('i64', hart, H.trapValue));
    const code = f.let(cause.and(~INTERRUPT));
    const isInterrupt = f.let(cause.ltS(0n));
    const privilege = f.let(load('i32', hart, H.privilege));
    const status = f.let(load('i64', hart, H.mstatus));
    const delegated = isInterrupt
      .select(load('i64', hart, H.mideleg), load('i64', hart, H.medeleg))
      .shrU(code)
      .and(1n);
    trapTaken(f, host, isInterrupt, code, epc);
    f.store('i32', hart, H.trapPending, 0);
    f.store('i64', hart, H.traps, load('i64', hart, H.traps).add(1n));
    f.store('i64', hart, H.fetchPage, -1n);
    journalTrap(f, journal, hart, cause, isInterrupt, epc);
    const enter = (
      mode: 'M' | 'S',
      enable: bigint,
      previousEnable: bigint,
      previousShift: bigint,
      previousMask: bigint,
    ) => {
      const machine = mode === 'M';
      f.store('i64', hart, machine ? H.mcause : H.scause, cause);
      f.store('i64', hart, machine ? H.mepc : H.sepc, epc);
      f.store('i64', hart, machine ? H.mtval : H.stval, value);
      const enabled = status.and(enable).ne(0n).select(i64(previousEnable), 0n);
      const kept = status.and(~(enable | previousEnable | previousMask));
      f.store('i64', hart, H.mstatus, kept.or(enabled).or(privilege.extU().shl(previousShift)));
      f.store('i32', hart, H.privilege, machine ? PRIV.M : PRIV.S);
      const vector = f.let(load('i64', hart, machine ? H.mtvec : H.stvec));
      // Vectored mode: interrupts go to base + 4 * cause, exceptions to base.
      const offset = isInterrupt.extU().and(vector).mul(code.shl(2n));
      f.store('i64', hart, H.pc, vector.and(-4n).add(offset));
    };
    f.if(
      privilege.ne(PRIV.M).and(delegated.wrap()),
      () => enter('S', MSTATUS.SIE, MSTATUS.SPIE, 8n, MSTATUS.SPP),
      () => enter('M', MSTATUS.MIE, MSTATUS.MPIE, 11n, MSTATUS.MPP),
    );
    f.do(modeChanged, hart);
  });

  return { raise, takeTrap, pendingInterrupt, modeChanged, journal };
}

/** System calls and page faults are the guest's daily bread; they are counted (`traps`), not listed. */
const UNLISTED = (1n << 8n) | (1n << 12n) | (1n << 13n) | (1n << 15n);

function journalTrap(f: Fn, journal: Func, hart: Expr, cause: Expr, isInterrupt: Expr, epc: Expr): void {
  const listed = i64(UNLISTED).shrU(cause).and(1n).wrap().eqz();
  f.if(
    isInterrupt,
    () => f.do(journal, hart, JOURNAL_KIND.interrupt, cause.and(~INTERRUPT), epc),
    () => f.if(listed, () => f.do(journal, hart, JOURNAL_KIND.trap, cause, epc)),
  );
}

/** Order of priority: MEI, MSI, MTI, SEI, SSI, STI (3.1.9). Those not delegated go to M and come first. */
function buildPendingInterrupt(f: Fn, hart: Expr): void {
  const pending = f.let(
    load('i64', hart, H.mip)
      .or(load('i64', hart, H.lines))
      .and(load('i64', hart, H.mie)),
  );
  f.if(pending.eqz(), () => f.return(-1));
  const privilege = f.let(load('i32', hart, H.privilege));
  const status = f.let(load('i64', hart, H.mstatus));
  const delegated = f.let(load('i64', hart, H.mideleg));
  const choose = (bits: Expr) => {
    for (const irq of [IRQ.MEI, IRQ.MSI, IRQ.MTI, IRQ.SEI, IRQ.SSI, IRQ.STI]) {
      f.if(bits.and(1n << BigInt(irq)).ne(0n), () => f.return(irq));
    }
  };
  const taken = f.local('i64');
  f.if(privilege.ltU(PRIV.M).or(status.and(MSTATUS.MIE).ne(0n)), () => {
    f.set(taken, pending.and(delegated.not()));
    choose(taken);
  });
  const supervisor = privilege.ltU(PRIV.S).or(privilege.eq(PRIV.S).and(status.and(MSTATUS.SIE).ne(0n)));
  f.if(supervisor, () => {
    f.set(taken, pending.and(delegated));
    choose(taken);
  });
  f.return(-1);
}
