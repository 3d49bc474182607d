/**
 * Compiled code: a region is the instructions of one page that are reachable from an entry without leaving the page, as one WebAssembly
 * function made from the instruction descriptions.
 *
 * A region only ever does what needs no help: whatever is out of the ordinary (a TLB miss, a device, a trap, a control register) is left to
 * the interpreter, which executes that instruction from the exact position at which the region stops. So positions, traps and
 * inputs need no second implementation here.
 *
 * Signature: (hart, budget, page) -> budget left; `page` is the virtual address of the page, and the hart's pc says where to go on.
 * Integer registers live in locals: those used are loaded at the entry, those written are stored at the exit.
 */
import { assert } from '../../base/assert.ts';
import { type Expr, i64, type LoadKind, Local, load, type Type, type Value } from '../codegen/expr.ts';
import { Fn, type Label, type StoreKind } from '../codegen/fn.ts';
import { Func, ModuleBuilder } from '../codegen/module.ts';
import type { FloatFns } from '../codegen/softfloat.ts';
import { COUNTERS_BASE, PAGE_BYTES } from '../layout.ts';
import { type Decoded, decode } from './decoder.ts';
import { FloatOperands } from './float-operands.ts';
import { DTLB_ENTRIES, FAST_ENTRY_BYTES, H } from './hart.ts';
import { SYSTEM } from './insns/system.ts';
import type { Runtime } from './runtime.ts';
import type { Semantics } from './semantics.ts';

/** Bounds the size of a region, and with it the time that V8's optimising compiler takes for it. */
const INSTRUCTIONS_MAX = 400;
const BLOCK_INSTRUCTIONS_MAX = 100;

const LEFT_TO_INTERPRETER = new Set([
  ...SYSTEM.map((instruction) => instruction.name),
  ...['ecall', 'ebreak', 'fence.i', 'pause'],
]);
const BRANCHES = new Set(['beq', 'bne', 'blt', 'bge', 'bltu', 'bgeu']);

/** Instructions that run one after the other, by their offsets in the page. */
interface Block {
  readonly start: number;
  readonly instructions: readonly { readonly offset: number; readonly decoded: Decoded }[];
  /** Offset behind the last instruction. */
  readonly end: number;
  /** Offsets that control may go on to within the page. */
  readonly successors: readonly number[];
}

/** Reads 16 bits of the page. */
export type CodeReader = (offset: number) => number;

/** A page of code, and where in it a region is to begin. */
export interface CodeSource {
  readonly read: CodeReader;
  /** Whether the interpreter has come to an offset. */
  readonly executed: (offset: number) => boolean;
  readonly entry: number;
}

/**
 * The blocks of a region, by offset; empty if its first instruction cannot be compiled. Code that was never executed is left out: it is
 * likely to stay so.
 */
export function findBlocks({ read, executed, entry }: CodeSource): Block[] {
  const leaders = new Set([entry]);
  const scanned = new Map<number, Block>();
  const work = [entry];
  let total = 0;
  while (work.length > 0) {
    const start = work.pop()!;
    if (scanned.has(start) || total >= INSTRUCTIONS_MAX) continue;
    const block = scan(read, start);
    scanned.set(start, block);
    total += block.instructions.length;
    for (const successor of block.successors) {
      if (!executed(successor)) continue;
      leaders.add(successor);
      work.push(successor);
    }
  }
  // A block that runs over another one's start ends there.
  const blocks: Block[] = [];
  for (const block of scanned.values()) {
    const cut = block.instructions.findIndex(({ offset }) => offset !== block.start && leaders.has(offset));
    const kept = cut < 0 ? block : cutAt(block, cut);
    if (kept.instructions.length > 0) blocks.push(kept);
  }
  return blocks.sort((a, b) => a.start - b.start);
}

function cutAt(block: Block, index: number): Block {
  const end = block.instructions[index].offset;
  return { ...block, instructions: block.instructions.slice(0, index), end, successors: [end] };
}

function scan(read: CodeReader, start: number): Block {
  const instructions: { offset: number; decoded: Decoded }[] = [];
  let at = start;
  const block = (successors: number[]): Block => ({
    start,
    instructions,
    end: at,
    successors: successors.filter((offset) => offset >= 0 && offset < PAGE_BYTES),
  });
  while (instructions.length < BLOCK_INSTRUCTIONS_MAX) {
    if (at >= PAGE_BYTES) return block([]);
    const low = read(at);
    const wide = (low & 3) === 3;
    // An instruction that straddles the page's end belongs to the interpreter.
    if (wide && at + 2 >= PAGE_BYTES) return block([]);
    const decoded = decode(wide ? low | (read(at + 2) << 16) : low);
    if (!decoded || LEFT_TO_INTERPRETER.has(decoded.instruction.name)) return block([]);
    instructions.push({ offset: at, decoded });
    const here = at;
    at += decoded.length;
    const { name } = decoded.instruction;
    if (BRANCHES.has(name)) return block([here + decoded.imm, at]);
    if (name === 'jal') return block([here + decoded.imm]);
    if (name === 'jalr') return block([]);
  }
  return block([at]);
}

/** Functions of the interpreter's module that regions call. */
export type Exported = ReadonlyMap<string, Func>;

/** A module of one region under construction: imports are added as the code asks for them. */
class RegionModule {
  readonly imports = new Map<string, Func>();
  readonly #exported: Exported;
  constructor(exported: Exported) {
    this.#exported = exported;
  }
  function(name: string): Func {
    let func = this.imports.get(name);
    if (!func) {
      const original = this.#exported.get(name);
      assert(original, `the interpreter exports ${name}`);
      func = new Func(name, this.imports.size, original.params, original.result);
      this.imports.set(name, func);
    }
    return func;
  }
}

/** An object whose fields that are functions of the interpreter's module are this module's imports of them. */
function imported<T extends object>(fns: T, module: RegionModule): T {
  return new Proxy(fns, {
    get: (target, key, receiver) => {
      const value: unknown = Reflect.get(target, key, receiver);
      if (value instanceof Func) return module.function(value.name);
      return typeof value === 'object' && value !== null ? imported(value, module) : value;
    },
  });
}

/** Why compiled code hands over: what the counters count, in this order. */
export const EXIT_REASONS = [
  // The target of a jump: found at run time, or on another page, or never executed when the region was made.
  'indirect',
  'page',
  'cold',
  // The slice ends, or memory, floating point or the instruction itself needs help.
  'budget',
  'memory',
  'illegal',
] as const;
export type ExitReason = (typeof EXIT_REASONS)[number];

export interface CompilerParts {
  /** Makes the code count its calls and its exits, by reason; it is slower then. */
  readonly counting: boolean;
  readonly rt: Runtime;
  readonly float: FloatFns;
  readonly exported: Exported;
}

export interface CompiledRegions {
  readonly bytes: Uint8Array;
  /** Names of the interpreter's functions that it imports. */
  readonly imports: readonly string[];
  /** The instructions that each region is made of; none where there is no region. */
  readonly code: readonly (readonly { readonly offset: number; readonly bits: number }[])[];
}

/**
 * Compiles the regions at some entries into one module, whose function `r0`, `r1` ... belongs to the entry of that number; an entry with
 * nothing to gain has no code. V8 takes a few hundred microseconds for a module, so several share one.
 */
export function compileRegions(sources: readonly CodeSource[], parts: CompilerParts): CompiledRegions {
  const module = new RegionModule(parts.exported);
  const [rt, float] = [imported(parts.rt, module), imported(parts.float, module)];
  const bodies = sources.map((source) => {
    const blocks = findBlocks(source);
    if (!blocks.some((block) => block.start === source.entry)) return null;
    const body = new Fn(REGION_PARAMS, 'i32');
    new RegionBuilder(body, blocks, source.entry, rt, float, parts.counting).build();
    return { body, blocks };
  });
  const m = new ModuleBuilder();
  for (const func of module.imports.values()) m.import(func.name, func.params, func.result);
  bodies.forEach((region, i) => {
    if (!region) return;
    const func = m.declare(`r${i}`, REGION_PARAMS, 'i32');
    m.bodyOf(func, region.body);
    m.export(func);
  });
  const code = bodies.map((region) => {
    const instructions = region?.blocks.flatMap((block) => block.instructions) ?? [];
    return instructions.map(({ offset, decoded }) => ({ offset, bits: decoded.bits }));
  });
  return { bytes: m.finish(), imports: [...module.imports.keys()], code };
}

export const REGION_PARAMS: readonly Type[] = ['i32', 'i32', 'i64'];

class RegionBuilder {
  readonly f: Fn;
  readonly #blocks: readonly Block[];
  readonly #entry: number;
  readonly rt: Runtime;
  readonly float: FloatFns;
  readonly hart: Local;
  readonly #budget: Local;
  readonly page: Local;
  readonly fastTlb: Local;
  readonly #out: Local;
  readonly #next: Local;
  readonly #registers = new Map<number, Local>();
  readonly #written = new Set<number>();
  readonly #counting: boolean;
  #exit!: Label;
  #dispatch!: Label;
  /** Where a jump to a block may branch, innermost last. */
  readonly #targets = new Map<number, Label[]>();

  constructor(f: Fn, blocks: readonly Block[], entry: number, rt: Runtime, float: FloatFns, counting: boolean) {
    this.#counting = counting;
    this.f = f;
    this.#blocks = blocks;
    this.#entry = entry;
    this.rt = rt;
    this.float = float;
    [this.hart, this.#budget, this.page] = f.params;
    this.fastTlb = f.local('i32');
    this.#out = f.local('i64');
    this.#next = f.local('i32');
  }

  build(): void {
    const { f } = this;
    for (const block of this.#blocks) for (const { decoded } of block.instructions) this.#noteRegisters(decoded);
    for (const [n, local] of this.#registers) f.set(local, load('i64', this.hart, H.x + 8 * n));
    f.set(this.fastTlb, load('i32', this.hart, H.fastTlb));
    f.set(this.#next, this.#indexOf(this.#entry));
    f.block((exit) => {
      this.#exit = exit;
      f.loop((dispatch) => {
        this.#dispatch = dispatch;
        this.#layOut(0, this.#blocks.length);
      });
    });
    for (const n of this.#written) f.store('i64', this.hart, H.x + 8 * n, this.#registers.get(n)!);
    f.store('i64', this.hart, H.pc, this.#out);
    f.return(this.#budget);
  }

  /**
   * Blocks in the order of their addresses, each behind the end of a WebAssembly block of its own: a jump forward is a branch to that
   * end. A jump back goes to the loop that begins with its target, where that is one block long; others go through the
   * dispatcher at the top.
   */
  #layOut(from: number, to: number): void {
    const { f } = this;
    const emit = (index: number) => {
      const block = this.#blocks[index];
      const repeats = block.successors.includes(block.start);
      if (!repeats) return this.#block(block);
      f.loop((again) => {
        this.#enter(block.start, again, () => this.#block(block));
      });
    };
    const nest = (index: number) => {
      if (index < from) {
        f.switchOpen(this.#next, to - from);
        return;
      }
      f.block((label) => {
        this.#targetsOf(this.#blocks[index].start).push(label);
        nest(index - 1);
      });
      this.#targetsOf(this.#blocks[index].start).pop();
      emit(index);
    };
    nest(to - 1);
  }

  #enter(offset: number, label: Label, body: () => void): void {
    this.#targetsOf(offset).push(label);
    body();
    this.#targetsOf(offset).pop();
  }
  #targetsOf(offset: number): Label[] {
    const labels = this.#targets.get(offset) ?? [];
    this.#targets.set(offset, labels);
    return labels;
  }
  #indexOf(offset: number): number {
    return this.#blocks.findIndex((block) => block.start === offset);
  }

  #block(block: Block): void {
    const { f } = this;
    const { length } = block.instructions;
    f.if(this.#budget.ltU(length), () => this.leaveAt('budget', block.start));
    f.set(this.#budget, this.#budget.sub(length));
    block.instructions.forEach(({ offset, decoded }, i) => {
      f.scope(() => {
        const s = new RegionSemantics(this, offset, decoded, length - i);
        decoded.instruction.semantics(s);
      });
    });
    const last = block.instructions[length - 1].decoded.instruction.name;
    if (last !== 'jal' && last !== 'jalr') this.goTo(block.end);
  }

  /** Goes on at an offset of the page, in the region if it has the block. */
  goTo(offset: number): void {
    const { f } = this;
    const label = this.#targets.get(offset)?.at(-1);
    if (label) {
      f.br(label);
      return;
    }
    const index = this.#indexOf(offset);
    if (index < 0) {
      this.leaveAt(offset < PAGE_BYTES ? 'cold' : 'page', offset);
      return;
    }
    f.set(this.#next, index);
    f.br(this.#dispatch);
  }

  /** Stops before the instruction at an offset; `refund` steps of the block were not taken. */
  leaveAt(reason: ExitReason, offset: number, refund = 0): void {
    if (refund > 0) this.f.set(this.#budget, this.#budget.add(refund));
    this.leaveTo(reason, this.page.add(BigInt(offset)));
  }
  leaveTo(reason: ExitReason, target: Expr): void {
    if (this.#counting) {
      const counter = COUNTERS_BASE + 4 * EXIT_REASONS.indexOf(reason);
      this.f.store('i32', i64(0).wrap(), counter, load('i32', i64(0).wrap(), counter).add(1));
    }
    this.f.set(this.#out, target);
    this.f.br(this.#exit);
  }

  x(n: number): Expr {
    return n === 0 ? i64(0) : this.#registers.get(n)!;
  }
  setX(n: number, value: Expr): void {
    if (n !== 0) this.f.set(this.#registers.get(n)!, value);
  }

  #noteRegisters({ instruction, rd, rs1, rs2 }: Decoded): void {
    const operands = instruction.operands.split(/[,()]/);
    const use = (n: number) => {
      if (n !== 0 && !this.#registers.has(n)) this.#registers.set(n, this.f.local('i64'));
    };
    if (operands.includes('rs1')) use(rs1);
    if (operands.includes('rs2')) use(rs2);
    if (operands.includes('rd')) {
      use(rd);
      if (rd !== 0) this.#written.add(rd);
    }
  }
}

const SIZES: Record<string, 1 | 2 | 4 | 8> = {
  s8x64: 1,
  u8x64: 1,
  s16x64: 2,
  u16x64: 2,
  s32x64: 4,
  u32x64: 4,
  i64: 8,
  i64to8: 1,
  i64to16: 2,
  i64to32: 4,
};

/** The operands are those of one decoded instruction. */
class RegionSemantics extends FloatOperands implements Semantics {
  readonly #r: RegionBuilder;
  readonly #d: Decoded;
  readonly #offset: number;
  /** Steps of the block from this instruction on: what is given back where it is left to the interpreter. */
  readonly #refund: number;
  readonly f: Fn;
  readonly rt: Runtime;
  readonly float: FloatFns;
  readonly hart: Expr;

  constructor(builder: RegionBuilder, offset: number, decoded: Decoded, refund: number) {
    super();
    this.#r = builder;
    this.#d = decoded;
    this.#offset = offset;
    this.#refund = refund;
    this.f = builder.f;
    this.rt = builder.rt;
    this.float = builder.float;
    this.hart = builder.hart;
  }

  get x1() {
    return this.#r.x(this.#d.rs1);
  }
  get x2() {
    return this.#r.x(this.#d.rs2);
  }
  get rs1() {
    return i64(this.#d.rs1).wrap();
  }
  get imm() {
    return i64(this.#d.imm);
  }
  get imm32() {
    return i64(this.#d.imm).wrap();
  }
  get pc() {
    return this.#r.page.add(BigInt(this.#offset));
  }
  get next() {
    return this.#r.page.add(BigInt(this.#offset + this.#d.length));
  }
  rd(value: Expr) {
    // A value without a use is still evaluated: it may be a call that sets flags.
    if (this.#d.rd === 0) this.f.scope(() => this.f.let(value));
    else this.#r.setX(this.#d.rd, value);
  }

  #float(n: number): Expr {
    return load('i64', this.hart, H.f + 8 * n);
  }
  get d1() {
    return this.#float(this.#d.rs1);
  }
  get d2() {
    return this.#float(this.#d.rs2);
  }
  get d3() {
    return this.#float(this.#d.rs3);
  }
  roundingMode(): Expr {
    const { rm } = this.#d;
    if (rm <= 4) return i64(rm).wrap();
    if (rm !== 7) {
      this.#leaveToInterpreter('illegal');
      return i64(0).wrap();
    }
    const mode = this.f.let(load('i32', this.hart, H.frm));
    this.illegalIf(mode.gtU(4));
    return mode;
  }
  protected writeFloat(bits: Expr) {
    this.f.store('i64', this.hart, H.f + 8 * this.#d.rd, bits);
  }

  load(kind: LoadKind, address: Expr): Expr {
    const { at, entry } = this.#lookUp(address, SIZES[kind], 0);
    return this.f.let(load(kind, at.wrap().add(load('i32', entry, 16))));
  }
  store(kind: StoreKind, address: Expr, value: Expr): void {
    const { at, entry } = this.#lookUp(address, SIZES[kind], 8);
    this.f.store(kind, at.wrap().add(load('i32', entry, 16)), 0, value);
  }
  atomic(size: 4 | 8, address: Expr): Expr {
    const { at, entry } = this.#lookUp(address, size, 8);
    this.f.if(at.wrap().and(size - 1), () => this.#leaveToInterpreter('memory'));
    return this.f.let(at.wrap().add(load('i32', entry, 16)));
  }
  /** The fast entry for an access; whatever it does not allow is left to the interpreter. */
  #lookUp(address: Expr, size: number, tag: 0 | 8): { at: Local; entry: Local } {
    const { f } = this;
    const at = address instanceof Local ? address : f.let(address);
    const index = at
      .shrU(12n)
      .wrap()
      .and(DTLB_ENTRIES - 1);
    const entry = f.let(this.#r.fastTlb.add(index.mul(FAST_ENTRY_BYTES)));
    const last = at.add(size - 1).and(-4096n);
    f.if(last.ne(load('i64', entry, tag)), () => this.#leaveToInterpreter('memory'));
    return { at, entry };
  }

  jump(target: Expr): void {
    this.#r.leaveTo('indirect', target);
  }
  branch(condition: Expr): void {
    this.f.if(condition, () => this.jumpImmediate());
  }
  jumpImmediate(): void {
    const target = this.#offset + this.#d.imm;
    if (target >= 0 && target < PAGE_BYTES) this.#r.goTo(target);
    else this.#r.leaveTo('page', this.#r.page.add(BigInt(target)));
  }

  illegalIf(condition: Expr): void {
    this.f.if(condition, () => this.#leaveToInterpreter('illegal'));
  }
  raise(_cause: number, _value: Value): void {
    this.#leaveToInterpreter('illegal');
  }
  #leaveToInterpreter(reason: ExitReason): void {
    this.#r.leaveAt(reason, this.#offset, this.#refund);
  }

  // What follows belongs to instructions that no region holds.
  checkTrap(): never {
    return this.#never();
  }
  checkLeave(): never {
    return this.#never();
  }
  publishPosition(): never {
    return this.#never();
  }
  resume(): never {
    return this.#never();
  }
  leave(): never {
    return this.#never();
  }
  yieldTurn(): never {
    return this.#never();
  }
  ecall(): never {
    return this.#never();
  }
  #never(): never {
    assert(false, `${this.#d.instruction.name} is not compiled`);
  }
}
