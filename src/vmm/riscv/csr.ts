/**
 * Control and status registers (privileged specification, chapter 2). Each is one row: number, name, and how it reads and
 * writes. The generated code finds a row's case through a table of 4096 bytes in linear memory, from the number.
 */
import { type Expr, i32, i64, load, type Value } from '../codegen/expr.ts';
import type { Fn } from '../codegen/fn.ts';
import type { Func, ModuleBuilder } from '../codegen/module.ts';
import { CSR_INDEX_BASE, G, JOURNAL_KIND } from '../layout.ts';
import { H, MSTATUS, PRIV } from './hart.ts';
import type { MmuFns } from './mmu.ts';
import { currentPosition, SSTATUS_MASK } from './runtime.ts';
import type { TrapFns } from './trap.ts';

export interface CsrFns {
  /** (hart, number, writes) -> 1 if the register exists and the present privilege may use it so. */
  readonly csrAllowed: Func;
  /** (hart, number) -> value. */
  readonly csrRead: Func;
  /** (hart, number, value). */
  readonly csrWrite: Func;
}

interface Context {
  readonly f: Fn;
  readonly hart: Expr;
  readonly mmu: MmuFns;
  readonly traps: TrapFns;
}

export interface Csr {
  readonly number: number;
  readonly name: string;
  readonly read: (c: Context) => Expr;
  /** Absent where writes are ignored. */
  readonly write?: (c: Context, value: Expr) => void;
}

/** RV64IMAFDC with S and U. */
export const MISA = (2n << 62n) | [...'ACDFIMSU'].reduce((bits, c) => bits | (1n << BigInt(c.charCodeAt(0) - 65)), 0n);
const MSTATUS_WRITABLE =
  MSTATUS.SIE |
  MSTATUS.MIE |
  MSTATUS.SPIE |
  MSTATUS.MPIE |
  MSTATUS.SPP |
  MSTATUS.FS |
  MSTATUS.MPRV |
  MSTATUS.SUM |
  MSTATUS.MXR |
  MSTATUS.TVM |
  MSTATUS.TW |
  MSTATUS.TSR;
/** Exceptions that can be delegated: all but the environment call of M. */
const DELEGABLE = 0xb3ffn;
const SUPERVISOR_INTERRUPTS = 0x222n;
const INTERRUPTS = 0xaaan;
const STCE = 1n << 63n;
/** Hardware updates A and D bits always (Svadu); software cannot turn it off. */
const ADUE = 1n << 61n;
const FIOM = 1n;
const MIP = 0x344;

const read64 = (offset: number) => (c: Context) => load('i64', c.hart, offset);
const put = (offset: number, c: Context, value: Value) => c.f.store('i64', c.hart, offset, value);
/** A register whose writable bits are the mask. */
const plain = (number: number, name: string, offset: number, mask = -1n): Csr => ({
  number,
  name,
  read: read64(offset),
  write: (c, v) => put(offset, c, mask === -1n ? v : v.and(mask)),
});
const constant = (number: number, name: string, value: bigint): Csr => ({ number, name, read: () => i64(value) });
const merge = (old: Expr, value: Expr, mask: Value) => {
  const m = typeof mask === 'object' ? mask : i64(mask);
  return old.and(m.not()).or(value.and(m));
};

/** After a change of what can interrupt: the slice ends if an interrupt can be taken now. */
function recheck({ f, hart, traps }: Context): void {
  f.if(traps.pendingInterrupt.call(hart).geS(0), () => f.store('i32', hart, H.leave, 1));
}

const status = (c: Context) => load('i64', c.hart, H.mstatus);
const withDirty = (value: Expr) => value.or(value.and(MSTATUS.FS).eq(MSTATUS.FS).select(i64(MSTATUS.SD), 0n));

function writeStatus(c: Context, value: Expr, mask: bigint): void {
  const { f, hart } = c;
  const old = f.let(status(c));
  const next = f.let(merge(old, value, mask));
  if (mask & MSTATUS.MIE) {
    // MPP takes U, S and M only; 2 is reserved and leaves it as it is.
    f.if(value.and(MSTATUS.MPP).ne(2n << 11n), () => f.set(next, merge(next, value, MSTATUS.MPP)));
  }
  put(H.mstatus, c, next);
  f.if(next.xor(old).and(MSTATUS.MXR).ne(0n), () => f.do(c.mmu.flushFast, hart));
  f.do(c.traps.modeChanged, hart);
  recheck(c);
}

const pending = (c: Context) => load('i64', c.hart, H.mip).or(load('i64', c.hart, H.lines));

/**
 * What `csrrs` and `csrrc` change of a register that reads as `old`: of mip only what software wrote, not SEIP's line from outside
 * (3.1.9). No other register has bits that both drive.
 */
export function updated(hart: Expr, number: Expr, old: Expr): Expr {
  const software = number.eq(MIP).and(load('i32', i32(0), G.revision).ne(0));
  return software.select(load('i64', hart, H.mip), old);
}

/** mtvec and stvec: direct or vectored; other modes are reserved and ignored (3.1.7). */
const vector = (number: number, name: string, offset: number): Csr => ({
  number,
  name,
  read: read64(offset),
  write: (c, v) => c.f.if(v.and(2n).eqz(), () => put(offset, c, v)),
});

/** Virtual time in ticks of the timer: 100 ns each. */
export function timeTicks(hart: Expr): Expr {
  const word = (offset: number) => load('i64', i32(0), offset);
  const elapsed = currentPosition(hart).sub(word(G.clockPosition));
  const ns = elapsed.mul(word(G.clockPs)).divU(1000n).add(word(G.clockNs));
  return ns.divU(100n).add(word(G.timeOffset));
}

/** Steps of the hart before this one. */
const steps = (c: Context) =>
  load('i64', c.hart, H.steps)
    .add(load('i32', c.hart, H.sliceBudget).extS())
    .sub(load('i32', c.hart, H.budget).extS())
    .sub(1n);
const cycles = (c: Context) => steps(c).add(load('i64', c.hart, H.cycleOffset));
const retired = (c: Context) =>
  steps(c)
    .sub(load('i64', c.hart, H.traps))
    .add(load('i64', c.hart, H.instretOffset));

const readTime = (c: Context) => {
  const time = c.f.let(timeTicks(c.hart));
  c.f.do(c.traps.journal, c.hart, JOURNAL_KIND.timer, 0n, time);
  return time;
};

function pmpConfig(index: number): Csr {
  return {
    number: 0x3a0 + index,
    name: `pmpcfg${index}`,
    read: read64(H.pmpcfg + index * 4),
    write: (c, value) => {
      const { f, hart } = c;
      for (let i = 0; i < 8; i++) {
        const offset = H.pmpcfg + index * 4 + i;
        const byte = f.let(
          value
            .shrU(BigInt(8 * i))
            .wrap()
            .and(0x9f),
        );
        // A locked entry stays; W without R is reserved (3.7.1).
        const reserved = byte.and(3).eq(2);
        f.if(load('u8', hart, offset).and(0x80).eqz().and(reserved.eqz()), () => f.store('i8', hart, offset, byte));
      }
      protectionChanged(c);
    },
  };
}

function pmpAddress(index: number): Csr {
  const offset = H.pmpaddr + index * 8;
  return {
    number: 0x3b0 + index,
    name: `pmpaddr${index}`,
    read: read64(offset),
    write: (c, value) => {
      const { f, hart } = c;
      const locked = load('u8', hart, H.pmpcfg + index).and(0x80);
      // The base of a locked top-of-range entry is locked with it.
      const next =
        index < 15
          ? load('u8', hart, H.pmpcfg + index + 1)
              .and(0x98)
              .eq(0x88)
          : i32(0);
      f.if(locked.or(next).eqz(), () => put(offset, c, value.and((1n << 54n) - 1n)));
      protectionChanged(c);
    },
  };
}

function protectionChanged({ f, hart, mmu }: Context): void {
  f.do(mmu.flushFast, hart);
  f.store('i64', hart, H.fetchPage, -1n);
}

export const CSRS: readonly Csr[] = [
  {
    number: 0x001,
    name: 'fflags',
    read: (c) => load('u32x64', c.hart, H.fflags),
    write: (c, v) => writeFloat(c, v, null),
  },
  {
    number: 0x002,
    name: 'frm',
    read: (c) => load('u32x64', c.hart, H.frm),
    write: (c, v) => writeFloat(c, null, v),
  },
  {
    number: 0x003,
    name: 'fcsr',
    read: (c) =>
      load('u32x64', c.hart, H.frm)
        .shl(5n)
        .or(load('u32x64', c.hart, H.fflags)),
    write: (c, v) => writeFloat(c, v, v.shrU(5n)),
  },

  {
    number: 0x100,
    name: 'sstatus',
    read: (c) => withDirty(c.f.let(status(c))).and(SSTATUS_MASK),
    write: (c, v) => writeStatus(c, v, MSTATUS_WRITABLE & SSTATUS_MASK),
  },
  {
    number: 0x104,
    name: 'sie',
    read: (c) => load('i64', c.hart, H.mie).and(load('i64', c.hart, H.mideleg)),
    write: (c, v) => {
      put(H.mie, c, merge(load('i64', c.hart, H.mie), v, load('i64', c.hart, H.mideleg)));
      recheck(c);
    },
  },
  vector(0x105, 'stvec', H.stvec),
  plain(0x106, 'scounteren', H.scounteren, 0xffffffffn),
  plain(0x10a, 'senvcfg', H.senvcfg, FIOM),
  plain(0x140, 'sscratch', H.sscratch),
  plain(0x141, 'sepc', H.sepc, -2n),
  plain(0x142, 'scause', H.scause),
  plain(0x143, 'stval', H.stval),
  {
    number: 0x144,
    name: 'sip',
    read: (c) => pending(c).and(load('i64', c.hart, H.mideleg)),
    write: (c, v) => {
      put(H.mip, c, merge(load('i64', c.hart, H.mip), v, load('i64', c.hart, H.mideleg).and(2n)));
      recheck(c);
    },
  },
  {
    number: 0x14d,
    name: 'stimecmp',
    read: read64(H.stimecmp),
    write: (c, v) => {
      put(H.stimecmp, c, v);
      c.f.store('i32', c.hart, H.leave, 1);
    },
  },
  {
    number: 0x180,
    name: 'satp',
    read: read64(H.satp),
    write: (c, v) => {
      // Bare, Sv39, Sv48, Sv57; a write of another mode has no effect (12.1.11).
      const mode = c.f.let(v.shrU(60n));
      c.f.if(mode.eqz().or(mode.sub(8n).leU(2n)), () => {
        put(H.satp, c, v);
        c.f.do(c.mmu.flushTlb, c.hart);
      });
    },
  },

  {
    number: 0x300,
    name: 'mstatus',
    read: (c) => withDirty(c.f.let(status(c))),
    write: (c, v) => writeStatus(c, v, MSTATUS_WRITABLE),
  },
  constant(0x301, 'misa', MISA),
  plain(0x302, 'medeleg', H.medeleg, DELEGABLE),
  {
    number: 0x303,
    name: 'mideleg',
    read: read64(H.mideleg),
    write: (c, v) => {
      put(H.mideleg, c, v.and(SUPERVISOR_INTERRUPTS));
      recheck(c);
    },
  },
  {
    number: 0x304,
    name: 'mie',
    read: read64(H.mie),
    write: (c, v) => {
      put(H.mie, c, v.and(INTERRUPTS));
      recheck(c);
    },
  },
  vector(0x305, 'mtvec', H.mtvec),
  plain(0x306, 'mcounteren', H.mcounteren, 0xffffffffn),
  {
    number: 0x30a,
    name: 'menvcfg',
    read: (c) => load('i64', c.hart, H.menvcfg).or(ADUE),
    write: (c, v) => {
      put(H.menvcfg, c, v.and(STCE | FIOM));
      c.f.store('i32', c.hart, H.leave, 1);
    },
  },
  constant(0x320, 'mcountinhibit', 0n),
  plain(0x340, 'mscratch', H.mscratch),
  plain(0x341, 'mepc', H.mepc, -2n),
  plain(0x342, 'mcause', H.mcause),
  plain(0x343, 'mtval', H.mtval),
  {
    number: MIP,
    name: 'mip',
    read: pending,
    write: (c, v) => {
      // STIP follows stimecmp where that is in use, and is read-only then (Sstc).
      const timer = load('i64', c.hart, H.menvcfg)
        .and(STCE)
        .ne(0n)
        .select(i64(0), 1n << 5n);
      put(H.mip, c, merge(load('i64', c.hart, H.mip), v, i64(0x202).or(timer)));
      recheck(c);
    },
  },
  pmpConfig(0),
  pmpConfig(2),
  ...Array.from({ length: 16 }, (_, i) => pmpAddress(i)),

  {
    number: 0xb00,
    name: 'mcycle',
    read: cycles,
    // A write takes effect after the instruction, whose own count it replaces.
    write: (c, v) => put(H.cycleOffset, c, v.sub(steps(c)).sub(1n)),
  },
  {
    number: 0xb02,
    name: 'minstret',
    read: retired,
    write: (c, v) =>
      put(
        H.instretOffset,
        c,
        v
          .sub(steps(c))
          .sub(1n)
          .add(load('i64', c.hart, H.traps)),
      ),
  },
  { number: 0xc00, name: 'cycle', read: cycles },
  { number: 0xc01, name: 'time', read: readTime },
  { number: 0xc02, name: 'instret', read: retired },
  ...Array.from({ length: 29 }, (_, i) => [
    constant(0xb03 + i, `mhpmcounter${i + 3}`, 0n),
    constant(0xc03 + i, `hpmcounter${i + 3}`, 0n),
    constant(0x323 + i, `mhpmevent${i + 3}`, 0n),
  ]).flat(),
  constant(0xf11, 'mvendorid', 0n),
  constant(0xf12, 'marchid', 0n),
  constant(0xf13, 'mimpid', 0n),
  { number: 0xf14, name: 'mhartid', read: (c) => load('u32x64', c.hart, H.number) },
  constant(0xf15, 'mconfigptr', 0n),
];

/** Writes fflags and frm, where given; the unit's state becomes dirty. */
function writeFloat(c: Context, flags: Expr | null, mode: Expr | null): void {
  const { f, hart } = c;
  if (flags) f.store('i32', hart, H.fflags, flags.wrap().and(31));
  if (mode) f.store('i32', hart, H.frm, mode.wrap().and(7));
  put(H.mstatus, c, status(c).or(MSTATUS.FS));
}

/** The table in linear memory: a register's row plus one, by its number; 0 where there is none. */
export function csrIndexTable(): Uint8Array {
  const table = new Uint8Array(4096);
  CSRS.forEach((csr, i) => {
    table[csr.number] = i + 1;
  });
  return table;
}

export function defineCsrs(m: ModuleBuilder, mmu: MmuFns, traps: TrapFns): CsrFns {
  const row = (number: Expr) => load('u8', number, CSR_INDEX_BASE);

  const csrAllowed = m.define('csrAllowed', ['i32', 'i32', 'i32'], 'i32', (f, hart, number, writes) => {
    const privilege = f.let(load('i32', hart, H.privilege));
    f.if(row(number).eqz(), () => f.return(0));
    f.if(writes.and(number.shrU(10).eq(3)), () => f.return(0));
    f.if(privilege.ltU(number.shrU(8).and(3)), () => f.return(0));
    f.if(number.leU(3), () => f.return(load('i64', hart, H.mstatus).and(MSTATUS.FS).ne(0n)));
    f.if(number.and(0xfe0).eq(0xc00), () => {
      const bit = f.let(number.and(31).extU());
      const open = (offset: number) => load('i64', hart, offset).shrU(bit).and(1n).wrap();
      f.if(privilege.ltU(PRIV.M).and(open(H.mcounteren).eqz()), () => f.return(0));
      f.if(privilege.eq(PRIV.U).and(open(H.scounteren).eqz()), () => f.return(0));
    });
    f.if(privilege.eq(PRIV.S), () => {
      f.if(number.eq(0x180).and(load('i64', hart, H.mstatus).and(MSTATUS.TVM).ne(0n)), () => f.return(0));
      f.if(number.eq(0x14d), () => {
        const timer = load('i64', hart, H.menvcfg).shrU(63n);
        f.return(load('i64', hart, H.mcounteren).shrU(1n).and(timer).wrap());
      });
    });
    f.return(1);
  });

  const csrRead = m.define('csrRead', ['i32', 'i32'], 'i64', (f, hart, number) => {
    const cases = CSRS.map((csr) => () => f.return(csr.read({ f, hart, mmu, traps })));
    f.switch(row(number), [() => f.unreachable(), ...cases]);
  });

  const csrWrite = m.define('csrWrite', ['i32', 'i32', 'i64'], null, (f, hart, number, value) => {
    const cases = CSRS.map((csr) => () => csr.write?.({ f, hart, mmu, traps }, value));
    f.switch(row(number), [() => f.unreachable(), ...cases]);
  });

  return { csrAllowed, csrRead, csrWrite };
}
