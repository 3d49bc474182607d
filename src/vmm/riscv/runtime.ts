/**
 * Functions that all generated code shares: virtual memory, control registers, traps. Each is defined once, in the vocabulary of
 * codegen, and the interpreter and compiled regions call the same one.
 */
import { type Expr, i32, load } from '../codegen/expr.ts';
import type { Fn } from '../codegen/fn.ts';
import type { Func, ModuleBuilder } from '../codegen/module.ts';
import { G } from '../layout.ts';
import { type CsrFns, defineCsrs } from './csr.ts';
import { H, MSTATUS, PRIV } from './hart.ts';
import { defineMmu, type MmuFns } from './mmu.ts';
import type { Semantics } from './semantics.ts';
import { defineTraps, type TrapFns } from './trap.ts';
import { defineWatch } from './watch.ts';

/** Functions of the host that generated code calls; all of them deterministic (see cpu.ts). */
export interface HostFns {
  /** Allocates a RAM page on its first touch. */
  readonly touch: Func;
  /** Makes a protected RAM page writable. */
  readonly unprotect: Func;
  /** Reads, or writes, `G.mmioValue` at a physical address below 4 GiB; 0 where nothing answers. */
  readonly mmioRead: Func;
  readonly mmioWrite: Func;
  /** A store to a watched page has been done. */
  readonly watched: Func;
  /** Makes room for a page's decoded instructions and returns its address. */
  readonly decodePage: Func;
  /** Decodes one instruction into its record; the second takes the bits as well. */
  readonly decode: Func;
  readonly decodeBits: Func;
  /** (records): a store has changed code of which regions were made. */
  readonly codeChanged: Func;
  /** A decoded page has taken many stores beside its code. */
  readonly looksLikeData: Func;
  /** Serves an environment call of the supervisor. */
  readonly sbi: Func;
  /** For probes: (virtual, physical, size, WATCH bits) of an access that is watched. */
  readonly accessed: Func;
  /** (epc): a trap that is looked out for is about to be taken. */
  readonly trapTaken: Func;
  /** (virtual address, RAM page): a page is entered for execution. */
  readonly pageEntered: Func;
  /** (plant) -> 1 to stop before the instruction that the plant stands for. */
  readonly probed: Func;
  /** (records, page offset): jumps have come here often; code may be compiled. */
  readonly hot: Func;
}

export interface Runtime extends MmuFns, CsrFns, TrapFns {
  readonly host: HostFns;
  /** () -> 1 if a watched word of a register is not what it was. */
  readonly wordsChanged: Func;
  /** High half of the unsigned 128-bit product. */
  readonly mulHigh: Func;
  /** Interrupts that are pending and enabled by mie. */
  pendingBits(hart: Expr): Expr;
  /** True where the present privilege may not use a supervisor instruction that the given mstatus bit traps. */
  trapsVirtualMemory(s: Semantics, bit: bigint): Expr;
}

export function defineRuntime(m: ModuleBuilder): Runtime {
  const host: HostFns = {
    touch: m.import('touch', ['i32'], null),
    unprotect: m.import('unprotect', ['i32'], null),
    mmioRead: m.import('mmioRead', ['i32', 'i32'], 'i32'),
    mmioWrite: m.import('mmioWrite', ['i32', 'i32'], 'i32'),
    watched: m.import('watched', [], null),
    decodePage: m.import('decodePage', ['i32'], 'i32'),
    decode: m.import('decode', ['i32'], null),
    decodeBits: m.import('decodeBits', ['i32', 'i32'], null),
    codeChanged: m.import('codeChanged', ['i32'], null),
    looksLikeData: m.import('looksLikeData', ['i32'], null),
    sbi: m.import('sbi', ['i32'], null),
    accessed: m.import('accessed', ['i64', 'i64', 'i32', 'i32'], null),
    trapTaken: m.import('trapTaken', ['i64'], null),
    pageEntered: m.import('pageEntered', ['i64', 'i32'], null),
    probed: m.import('probed', ['i32'], 'i32'),
    hot: m.import('hot', ['i32', 'i32'], null),
  };
  const watch = defineWatch(m, host);
  const traps = defineTraps(m, host);
  const mmu = defineMmu(m, host, traps, watch);
  const csrs = defineCsrs(m, mmu, traps);
  return {
    host,
    ...traps,
    ...mmu,
    ...csrs,
    wordsChanged: watch.wordsChanged,
    mulHigh: m.define('mulHigh', ['i64', 'i64'], 'i64', buildMulHigh),
    pendingBits,
    trapsVirtualMemory: (s, bit) => {
      const privilege = load('i32', s.hart, H.privilege);
      const trapped = load('i64', s.hart, H.mstatus).and(bit).ne(0n);
      return privilege.eq(PRIV.U).or(privilege.eq(PRIV.S).and(trapped));
    },
  };
}

function pendingBits(hart: Expr): Expr {
  return load('i64', hart, H.mip)
    .or(load('i64', hart, H.lines))
    .and(load('i64', hart, H.mie));
}

/** Schoolbook multiplication by halves of 32 bits. */
function buildMulHigh(f: Fn, a: Expr, b: Expr): void {
  const low = 0xffffffffn;
  const [aLow, aHigh] = [f.let(a.and(low)), f.let(a.shrU(32n))];
  const [bLow, bHigh] = [f.let(b.and(low)), f.let(b.shrU(32n))];
  const first = f.let(aHigh.mul(bLow).add(aLow.mul(bLow).shrU(32n)));
  const second = f.let(aLow.mul(bHigh).add(first.and(low)));
  f.return(aHigh.mul(bHigh).add(first.shrU(32n)).add(second.shrU(32n)));
}

/** Position of the step that is being executed: the budget has already been charged for it. */
export function currentPosition(hart: Expr): Expr {
  return load('i64', i32(0), G.sliceEnd)
    .sub(load('i32', hart, H.budget).extS())
    .sub(1n);
}

/** Mask of the fields of mstatus that sstatus shows (privileged specification, 12.1.1). */
export const SSTATUS_MASK =
  MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP | MSTATUS.FS | MSTATUS.SUM | MSTATUS.MXR | MSTATUS.UXL | MSTATUS.SD;
