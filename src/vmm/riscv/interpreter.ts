/**
 * The interpreter: one generated WebAssembly function with a handler for each instruction, made from the instruction
 * descriptions. It runs decoded records (see decoder.ts) of the page that the hart executes from.
 *
 * Locals: `ip`, address of the record; `records`, of the page's first; `pcBase`, so that pc is pcBase + ip / 8; `budget`, steps
 * left. The page is looked up when execution enters it, and only then (unless a trap, fence or mode change forgot it).
 */
import {
  CallIndirect,
  type Expr,
  i32,
  type LoadKind,
  type Local,
  load,
  type Signature,
  type Value,
} from '../codegen/expr.ts';
import type { Fn, Label, StoreKind } from '../codegen/fn.ts';
import { type Func, ModuleBuilder } from '../codegen/module.ts';
import { defineFloat, type FloatFns, hostFuses } from '../codegen/softfloat.ts';
import { ENTRY_OFFSET, G, PAGE_TABLE_BASE, RAM_BASE, RECORD_BYTES } from '../layout.ts';
import { EXTRA_RECORD, INSTRUCTIONS } from './decoder.ts';
import type { Instruction } from './encoding.ts';
import { FloatOperands } from './float-operands.ts';
import { CAUSE, DTLB_ENTRIES, FAST_ENTRY_BYTES, H, PRIV } from './hart.ts';
import { fastFetchEntry, fastFetchKey } from './mmu.ts';
import { REGION_PARAMS, STEP_FIRST } from './region.ts';
import { defineRuntime, type Runtime } from './runtime.ts';
import type { Semantics } from './semantics.ts';

const PAGE_MASK = -4096n;
const LOAD_BITS = { 8: 1, 16: 2, 32: 4 } as Record<number, number>;
const STORE_BYTES: Partial<Record<StoreKind, 1 | 2 | 4>> = { i64to8: 1, i64to16: 2, i64to32: 4 };

interface Locals {
  readonly hart: Local;
  readonly budget: Local;
  readonly ip: Local;
  readonly records: Local;
  readonly pcBase: Local;
  readonly target: Local;
  readonly fastTlb: Local;
}
interface Labels {
  readonly next: Label;
  readonly illegal: Label;
  readonly trap: Label;
  readonly goto: Label;
}

/** Operands come from the record at `ip`. */
class InterpreterSemantics extends FloatOperands implements Semantics {
  readonly f: Fn;
  readonly rt: Runtime;
  readonly float: FloatFns;
  readonly hart: Local;
  readonly #v: Locals;
  readonly #labels: Labels;
  /** The destination and length of the running record, where they were read before memory was written. */
  #kept: { readonly destination: Expr; readonly length: Expr } | null = null;

  constructor(f: Fn, rt: Runtime, float: FloatFns, v: Locals, labels: Labels) {
    super();
    this.f = f;
    this.rt = rt;
    this.float = float;
    this.hart = v.hart;
    this.#v = v;
    this.#labels = labels;
  }

  /** Generates an instruction, and what goes on to the next one. */
  generate(instruction: Instruction): void {
    const { f } = this;
    const { ip } = this.#v;
    this.#kept = null;
    instruction.semantics(this);
    f.set(ip, ip.add(this.#length()));
    f.br(this.#labels.next);
  }
  /** An access that writes memory, be it an A bit, may clear the very record that is being run. */
  #keepRecord(): void {
    this.#kept = {
      destination: this.f.let(load('u16', this.#v.ip, 4)),
      length: this.f.let(load('u8', this.#v.ip, 1)),
    };
  }
  #length(): Expr {
    return this.#kept?.length ?? load('u8', this.#v.ip, 1);
  }

  #register(field: number): Expr {
    return this.hart.add(load('u16', this.#v.ip, field));
  }
  get x1() {
    return load('i64', this.#register(6));
  }
  get x2() {
    return load('i64', this.#register(12));
  }
  get d1() {
    return this.x1;
  }
  get d2() {
    return this.x2;
  }
  get d3() {
    return load('i64', this.hart.add(load('u8', this.#v.ip, 14).shl(3)), H.f);
  }
  get rs1() {
    return load('u16', this.#v.ip, 6).shrU(3);
  }
  get imm() {
    return load('s32x64', this.#v.ip, 8);
  }
  get imm32() {
    return load('i32', this.#v.ip, 8);
  }
  get pc() {
    return this.#v.pcBase.add(this.#v.ip.shrU(3).extU());
  }
  get next() {
    return this.pc.add(this.#length().shrU(3).extU());
  }
  rd(value: Expr) {
    const destination = this.#kept?.destination ?? load('u16', this.#v.ip, 4);
    this.f.store('i64', this.hart.add(destination), 0, value);
  }
  protected writeFloat(bits: Expr) {
    this.rd(bits);
  }
  roundingMode(): Expr {
    const mode = this.f.let(load('u8', this.#v.ip, 15));
    this.f.if(mode.eq(7), () => this.f.set(mode, load('i32', this.hart, H.frm)));
    this.illegalIf(mode.gtU(4));
    return mode;
  }

  #fastEntry(address: Expr): Expr {
    const index = address
      .shrU(12n)
      .wrap()
      .and(DTLB_ENTRIES - 1);
    return this.f.let(this.#v.fastTlb.add(index.mul(FAST_ENTRY_BYTES)));
  }
  /** An access hits if its last byte lies in the page of the entry that its first byte selects. */
  #hits(entry: Expr, address: Expr, size: number, tag: 0 | 8): Expr {
    return address
      .add(size - 1)
      .and(PAGE_MASK)
      .eq(load('i64', entry, tag));
  }

  load(kind: LoadKind, address: Expr): Expr {
    const { f } = this;
    const bits = /\d\d?/.exec(kind)!;
    const size = kind === 'i64' ? 8 : LOAD_BITS[Number(bits[0])];
    const at = f.let(address);
    this.#keepRecord();
    const entry = this.#fastEntry(at);
    const value = f.local('i64');
    f.if(
      this.#hits(entry, at, size, 0),
      () => f.set(value, load(kind, at.wrap().add(load('i32', entry, 16)))),
      () => {
        this.publishPosition();
        f.set(value, this.rt.loadSlow.call(this.hart, at, size));
        this.checkTrap();
        this.checkLeave();
        if (kind.startsWith('s')) f.set(value, size === 1 ? value.ext8() : size === 2 ? value.ext16() : value.ext32());
      },
    );
    return value;
  }

  store(kind: StoreKind, address: Expr, value: Expr): void {
    const { f } = this;
    const size = STORE_BYTES[kind] ?? 8;
    const at = f.let(address);
    const entry = this.#fastEntry(at);
    f.if(
      this.#hits(entry, at, size, 8),
      () => f.store(kind, at.wrap().add(load('i32', entry, 16)), 0, value),
      () => {
        this.#keepRecord();
        this.publishPosition();
        f.do(this.rt.storeSlow, this.hart, at, size, value);
        this.checkTrap();
        this.checkLeave();
        f.set(this.#v.ip, this.#v.ip.add(this.#length()));
        f.br(this.#labels.next);
        this.#kept = null;
      },
    );
  }

  atomic(size: 4 | 8, address: Expr, conditional = false): Expr {
    const { f } = this;
    const at = f.let(address);
    this.#keepRecord();
    const entry = this.#fastEntry(at);
    const host = f.local('i32');
    const aligned = at
      .wrap()
      .and(size - 1)
      .eqz();
    f.if(
      this.#hits(entry, at, size, 8).and(aligned),
      () => f.set(host, at.wrap().add(load('i32', entry, 16))),
      () => {
        this.publishPosition();
        f.set(host, this.rt.atomicSlow.call(this.hart, at, size, conditional ? 1 : 0));
        this.checkTrap();
        this.checkLeave();
      },
    );
    return host;
  }

  jump(target: Expr): void {
    this.f.set(this.#v.target, target);
    this.f.br(this.#labels.goto);
  }
  branch(condition: Expr): void {
    this.f.if(condition, () => this.jumpImmediate());
  }
  /** A target on the same page is a record of the same page; eight bytes of records stand for a byte of code. */
  jumpImmediate(): void {
    const { f } = this;
    const { ip, records, target } = this.#v;
    const to = f.let(ip.add(this.imm32.shl(3)));
    // Jumps back are where loops begin: they go the long way, past the compiled code.
    const near = to
      .sub(records)
      .ltU(EXTRA_RECORD.pageEnd * RECORD_BYTES)
      .and(this.imm32.gtS(0));
    f.if(near, () => {
      f.set(ip, to);
      f.br(this.#labels.next);
    });
    f.set(target, this.pc.add(this.imm));
    f.br(this.#labels.goto);
  }

  illegalIf(condition: Expr): void {
    this.f.brIf(this.#labels.illegal, condition);
  }
  raise(cause: number, value: Value): void {
    this.f.do(this.rt.raise, this.hart, BigInt(cause), value);
    this.f.br(this.#labels.trap);
  }
  checkTrap(): void {
    this.f.brIf(this.#labels.trap, load('i32', this.hart, H.trapPending));
  }
  checkLeave(): void {
    this.f.if(load('i32', this.hart, H.leave), () => cutSlice(this.f, this.#v));
  }
  resume(target: Expr): void {
    this.jump(target);
  }
  leave(target: Expr, yields = false): void {
    this.f.store('i32', this.hart, H.leave, 1);
    if (yields) this.f.store('i32', this.hart, H.yields, 1);
    this.jump(target);
  }
  yieldTurn(): void {
    this.f.if(load('i32', i32(0), G.othersRunnable), () => this.leave(this.next, true));
  }
  ecall(): void {
    const { f } = this;
    this.publishPosition();
    const privilege = f.let(load('i32', this.hart, H.privilege));
    f.if(privilege.eq(PRIV.S).and(load('i32', i32(0), G.firmware)), () => {
      f.do(this.rt.host.sbi, load('i32', this.hart, H.number));
      f.store('i32', this.hart, H.leave, 1);
      f.set(this.#v.target, this.next);
      f.br(this.#labels.goto);
    });
    f.do(this.rt.raise, this.hart, privilege.extU().add(BigInt(CAUSE.ecallU)), 0n);
    f.br(this.#labels.trap);
  }

  publishPosition(): void {
    this.f.store('i32', this.hart, H.budget, this.#v.budget);
    this.f.store('i64', this.hart, H.pc, this.pc);
  }
}

/**
 * Ends the slice after this step, or after `kept` more: what is left of the budget is taken from the slice, so positions stay
 * right.
 */
function cutSlice(f: Fn, { hart, budget }: Locals, kept = 0): void {
  f.store('i64', i32(0), G.sliceEnd, load('i64', i32(0), G.sliceEnd).sub(budget.sub(kept).extU()));
  f.store('i32', hart, H.sliceBudget, load('i32', hart, H.sliceBudget).sub(budget.sub(kept)));
  f.store('i32', hart, H.leave, 0);
  f.set(budget, kept);
}

/** What compiled code is made with: functions of the interpreter's module. */
export interface Interpreter {
  readonly rt: Runtime;
  readonly float: FloatFns;
  /** All that the module exports. */
  readonly functions: ReadonlyMap<string, Func>;
}

/**
 * The module: exports `exec(hart, budget)` and the runtime functions, for the host and for compiled code. The variant that watches registers
 * leaves the slice after each step that has changed a watched word; compiled code leaves the steps that may do so to it.
 */
export function buildInterpreter(watching: boolean, fused = hostFuses()): Uint8Array {
  const m = new ModuleBuilder();
  const { functions } = define(m, watching, fused);
  // Compiled regions call the same runtime functions.
  for (const func of functions.values()) m.export(func);
  // From the first step on it is what runs.
  m.optimizeAtOnce(functions.get('exec')!);
  return m.finish();
}

/** The functions of that module, for a process that has the module already. */
export function interpreterFunctions(fused = hostFuses()): Interpreter {
  return define(new ModuleBuilder({ signaturesOnly: true }), false, fused);
}

function define(m: ModuleBuilder, watching: boolean, fused: boolean): Interpreter {
  const rt = defineRuntime(m);
  const regions = m.tableType(REGION_PARAMS, 'i32');
  const float = defineFloat(m, fused);
  m.define('exec', ['i32', 'i32'], null, (f, hart, budget) => {
    const v: Locals = {
      hart,
      budget,
      ip: f.local('i32'),
      records: f.local('i32'),
      pcBase: f.local('i64'),
      target: f.local('i64'),
      fastTlb: f.local('i32'),
    };
    buildExec(f, rt, float, regions, v, watching);
  });
  return { rt, float, functions: m.functions() };
}

function buildExec(f: Fn, rt: Runtime, float: FloatFns, regions: Signature, v: Locals, watching: boolean): void {
  const { hart, budget, ip, records, pcBase, target, fastTlb } = v;
  const pc = () => pcBase.add(ip.shrU(3).extU());
  const trapTo = (epc: Expr) => {
    f.store('i32', hart, H.budget, budget);
    f.do(rt.takeTrap, hart, epc);
    f.set(target, load('i64', hart, H.pc));
  };
  const afterStep = () => {
    if (watching) f.if(rt.wordsChanged.call(), () => cutSlice(f, v));
  };
  f.store('i32', hart, H.sliceBudget, budget);
  f.store('i32', hart, H.leave, 0);
  f.set(target, load('i64', hart, H.pc));
  const interrupt = f.let(rt.pendingInterrupt.call(hart));
  f.if(interrupt.geS(0).and(budget.ne(0)), () => {
    f.set(budget, budget.sub(1));
    f.do(rt.raise, hart, interrupt.extU().or(1n << 63n), 0n);
    trapTo(target);
  });
  f.block((exit) => {
    f.loop((top) => {
      afterStep();
      f.if(load('i32', hart, H.leave), () => cutSlice(f, v));
      f.brIf(exit, budget.eqz());
      f.if(
        target.and(PAGE_MASK).eq(load('i64', hart, H.fetchPage)),
        () => f.if(records.eqz(), () => f.set(records, rt.decodedOf.call(hart))),
        () => {
          const entry = f.let(fastFetchEntry(hart, target));
          f.if(
            load('i64', entry, H.fastFetch).eq(fastFetchKey(hart, target)),
            () => {
              f.store('i64', hart, H.fetchPage, target.and(PAGE_MASK));
              f.store('i64', hart, H.fetchPhysical, load('i64', entry, H.fastFetch + 8));
              f.set(records, load('i32', entry, H.fastFetch + 16));
            },
            () => {
              f.set(records, rt.enterPage.call(hart, target));
              f.if(records.eqz(), () => {
                f.set(budget, budget.sub(1));
                trapTo(target);
                f.br(top);
              });
              // A probe watches the page tables, which the fetch has written: the slice ends with the instruction.
              f.if(load('i32', hart, H.leave), () => cutSlice(f, v, 1));
            },
          );
        },
      );
      runRegion(f, rt, regions, v, top);
      f.set(ip, records.add(target.wrap().and(4094).shl(3)));
      f.set(pcBase, target.and(PAGE_MASK).sub(records.shrU(3).extU()));
      f.set(fastTlb, load('i32', hart, H.fastTlb));
      f.block((goto) => {
        f.block((trap) => {
          f.block((illegal) => {
            f.loop((next) => {
              afterStep();
              f.if(budget.eqz(), () => {
                f.set(target, pc());
                f.br(exit);
              });
              f.set(budget, budget.sub(1));
              const s = new InterpreterSemantics(f, rt, float, v, { next, illegal, trap, goto });
              f.switch(load('u8', ip), [
                () => undecoded(f, rt, v, next),
                () => straddle(f, rt, v, next, trap),
                () => {
                  f.set(budget, budget.add(1));
                  f.set(target, pc());
                  f.br(goto);
                },
                () => f.br(illegal),
                () => probe(f, rt, v, next, exit),
                ...INSTRUCTIONS.map((instruction) => () => s.generate(instruction)),
              ]);
              f.unreachable();
            });
          });
          // An illegal instruction's bits are the trap's value.
          f.store('i32', hart, H.budget, budget);
          f.do(rt.raise, hart, BigInt(CAUSE.illegal), instructionBits(f, rt, v));
        });
        trapTo(pc());
      });
      f.br(top);
    });
  });
  f.store('i64', hart, H.pc, target);
  f.store('i32', hart, H.budget, budget);
  f.store('i64', hart, H.steps, load('i64', hart, H.steps).add(load('i32', hart, H.sliceBudget).sub(budget).extU()));
}

/**
 * At a jump's target: runs the compiled region that begins there. One that takes no step, because the budget is short, or that has come to an
 * instruction that needs help, leaves the way to the interpreter. Targets without a region are counted.
 */
function runRegion(f: Fn, rt: Runtime, regions: Signature, v: Locals, top: Label): void {
  const { hart, budget, records, target } = v;
  const offset = f.let(target.wrap().and(4094));
  const record = f.let(records.add(offset.shl(3)));
  const entry = f.let(load('s16', record, ENTRY_OFFSET));
  f.if(
    entry.gtS(0),
    () => {
      f.store('i32', hart, H.fetchRecords, records);
      const left = f.let(new CallIndirect(regions, entry, [hart, budget, target.and(PAGE_MASK)]));
      f.if(left.ne(budget), () => {
        f.set(records, load('i32', hart, H.fetchRecords));
        f.set(budget, left.and(~STEP_FIRST));
        f.set(target, load('i64', hart, H.pc));
        f.brIf(top, left.geS(0));
      });
    },
    () => {
      // Counted no farther than that: a long run would come around to where the count looks like a region.
      const hotAfter = f.let(load('i32', i32(0), G.hotAfter));
      f.if(entry.geS(hotAfter), () => {
        f.store('i16', record, ENTRY_OFFSET, entry.sub(1));
        f.if(entry.eq(hotAfter), () => {
          f.do(rt.host.hot, records, offset);
          f.brIf(top, load('s16', record, ENTRY_OFFSET).gtS(0));
        });
      });
    },
  );
}

/** The record is empty: the host decodes it, and it runs; no step is spent. */
function undecoded(f: Fn, rt: Runtime, { ip, budget }: Locals, next: Label): void {
  f.set(budget, budget.add(1));
  f.do(rt.host.decode, ip);
  f.br(next);
}

/**
 * A 4-byte instruction of which the second half lies on the next page. That page may map elsewhere tomorrow, so the half is fetched each
 * time, and the decoded form is kept with the bits that it came from.
 */
function straddle(f: Fn, rt: Runtime, v: Locals, next: Label, trap: Label): void {
  const { hart, budget, ip, records, pcBase } = v;
  f.store('i32', hart, H.budget, budget);
  const pc = f.let(pcBase.add(ip.shrU(3).extU()));
  f.store('i64', hart, H.pc, pc);
  const half = f.let(rt.fetchHalf.call(hart, pc.add(2n)));
  f.brIf(trap, load('i32', hart, H.trapPending));
  const bits = f.let(load('u16', ip, 8).or(half.shl(16)));
  const straddled = (EXTRA_RECORD.straddled - EXTRA_RECORD.pageEnd + 1) * RECORD_BYTES;
  const bitsOffset = straddled + RECORD_BYTES + 8;
  f.set(ip, ip.add(straddled));
  f.if(
    load('i32', ip, bitsOffset - straddled)
      .ne(bits)
      .or(load('u8', ip).eqz()),
    () => {
      f.do(rt.host.decodeBits, ip, bits);
      f.store('i32', ip, bitsOffset - straddled, bits);
    },
  );
  // No target lies on "this page" for it: every jump goes the long way.
  f.set(records, 0);
  f.set(pcBase, pc.sub(ip.shrU(3).extU()));
  f.set(budget, budget.add(1));
  f.if(load('i32', hart, H.leave), () => cutSlice(f, v, 1));
  f.br(next);
}

/**
 * A probe is planted here. The host says whether to stop before the instruction; if not, its record is run where the plant keeps it, like
 * a straddled one.
 */
function probe(
  f: Fn,
  rt: Runtime,
  { hart, budget, ip, records, pcBase, target }: Locals,
  next: Label,
  exit: Label,
): void {
  f.set(budget, budget.add(1));
  f.set(target, pcBase.add(ip.shrU(3).extU()));
  f.store('i32', hart, H.budget, budget);
  f.store('i64', hart, H.pc, target);
  f.set(ip, load('i32', ip, 8));
  f.brIf(exit, rt.host.probed.call(ip));
  f.set(records, 0);
  f.set(pcBase, target.sub(ip.shrU(3).extU()));
  f.br(next);
}

function instructionBits(f: Fn, rt: Runtime, { hart, ip, pcBase }: Locals): Expr {
  const pc = f.let(pcBase.add(ip.shrU(3).extU()));
  const page = load('i64', hart, H.fetchPhysical).sub(BigInt(RAM_BASE)).shrU(12n).wrap();
  const offset = f.let(pc.wrap().and(4095));
  const host = f.let(load('i32', page.shl(2), PAGE_TABLE_BASE).add(offset));
  const bits = f.let(load('u16', host));
  f.if(bits.and(3).eq(3), () => {
    f.if(
      offset.eq(4094),
      () => f.set(bits, bits.or(rt.fetchHalf.call(hart, pc.add(2n)).shl(16))),
      () => f.set(bits, load('i32', host)),
    );
  });
  return bits.extU();
}
