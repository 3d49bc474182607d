/**
 * Compiled code: a region is guest code that is reachable from an entry by jumps with known targets (see blocks.ts), as one WebAssembly
 * function made from the instruction descriptions.
 *
 * A region only ever does what needs no help: whatever is out of the ordinary (a TLB miss, a device, a trap, a control register) is left to
 * the interpreter, which executes that instruction from the exact position at which the region stops. So positions, traps and
 * inputs need no second implementation here.
 *
 * Signature: (hart, budget, page) -> budget left, with STEP_FIRST set where the next instruction is the interpreter's; `page` is the virtual address
 * of the entry's page, and the hart's pc says where to go on.
 * Registers that are used much live in locals: they are loaded at the entry, and stored at the exit if they are written.
 */
import { assert } from '../../base/assert.ts';
import { type Expr, i32, i64, type Local, load, narrow, type Type } from '../codegen/expr.ts';
import { Fn, type Label } from '../codegen/fn.ts';
import { Func, ModuleBuilder } from '../codegen/module.ts';
import { type FloatFns, type FloatOperations, hostRounds, inlineFloat } from '../codegen/softfloat.ts';
import { Structure } from '../codegen/structure.ts';
import {
  COUNTED_EXITS,
  COUNTED_STEPS,
  COUNTERS_BASE,
  EXIT_BYTES,
  EXITS_BASE,
  EXITS_KEPT,
  LAST_PAGE_BYTES,
  LAST_PAGES_BASE,
  LAST_PAGES_MAX,
  PAGE_BYTES,
} from '../layout.ts';
import { type Block, isJump, type Placed, pageOf } from './blocks.ts';
import type { Decoded } from './decoder.ts';
import { DTLB_ENTRIES, FAST_ENTRY_BYTES, H, MSTATUS } from './hart.ts';
import { accessOf, Known, NARROW_AT_ENTRY, narrowAfter, type Span } from './known.ts';
import { fastFetchEntry, fastFetchKey } from './mmu.ts';
import { type Movements, movementsIn } from './movements.ts';
import { RegionSemantics } from './region-semantics.ts';
import type { Runtime } from './runtime.ts';
import { type Choice, type Graph, unroll } from './unroll.ts';

/** Steps between two looks at the budget: so many are left to the interpreter when it runs short. */
const UNCHECKED_MAX = 64;

/** Places that must use a register before it is worth a local; in a loop two will do, which is what a register that changes there has. */
const LOCAL_USES_MIN = 16;
const USES_IN_LOOP = 8;

/** With the budget left: the instruction where the region has stopped, on the page that it was on, needs help. A budget has 31 bits. */
export const STEP_FIRST = 0x8000_0000 | 0;
const NEEDS_HELP: ReadonlySet<ExitReason> = new Set<ExitReason>(['stop', 'memory', 'illegal']);

/** Functions of the interpreter's module that regions call. */
export type Exported = ReadonlyMap<string, Func>;

/** A module of regions under construction: imports are added as the code asks for them. */
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
  // The target of a jump: found at run time, or on a page that is mapped otherwise by now, or not part of the region.
  'indirect',
  'page',
  'cold',
  // An instruction that regions do not hold.
  'stop',
  // The slice ends, or memory, floating point or the instruction itself needs help.
  'budget',
  'memory',
  'illegal',
] as const;
export type ExitReason = (typeof EXIT_REASONS)[number];

/** A region to compile: its blocks, and the address of the decoded page of each page that they lie on, by number (see blocks.ts). */
export interface RegionPlan {
  readonly blocks: readonly Block[];
  readonly records: ReadonlyMap<number, number>;
  /** There are programs in memory that write beside their code: stores to a page that has code must not leave the region. */
  readonly besideCode: boolean;
  /** Starts of blocks in which much time is spent. */
  readonly hot: readonly number[];
}

export interface CompilerParts {
  /** Makes the code count its exits, by reason; it is slower then. */
  readonly counting: boolean;
  readonly rt: Runtime;
  readonly float: FloatFns;
  readonly exported: Exported;
}

/** A module that is compiled, and the names of the interpreter's functions that it imports. */
export interface RegionBytes {
  readonly bytes: Uint8Array;
  readonly imports: readonly string[];
}

/**
 * Generates regions as one module, whose function `r0`, `r1` ... belongs to the plan of that number. V8 takes a few hundred
 * microseconds for a module, so several share one.
 */
export function generateRegions(plans: readonly RegionPlan[], parts: CompilerParts): RegionBytes {
  const module = new RegionModule(parts.exported);
  const [rt, float] = [imported(parts.rt, module), imported(parts.float, module)];
  const bodies = plans.map((plan) => {
    const body = new Fn(REGION_PARAMS, 'i32');
    new RegionBuilder(body, plan, rt, float, parts.counting).build();
    return body;
  });
  const m = new ModuleBuilder();
  for (const func of module.imports.values()) m.import(func.name, func.params, func.result);
  bodies.forEach((body, i) => {
    const func = m.declare(`r${i}`, REGION_PARAMS, 'i32');
    m.bodyOf(func, body);
    m.export(func);
  });
  return { bytes: m.finish(), imports: [...module.imports.keys()] };
}

export const REGION_PARAMS: readonly Type[] = ['i32', 'i32', 'i64'];

/** Is no address of a page. */
const NO_PAGE = PAGE_BYTES / 2;

/** Whether some bytes from `low` on, which end on `page`, lie on the page `last`. */
function isOn(last: Expr, low: Expr, page: Expr, bytes: number): Expr {
  // Where their number is a power of two, and the address a multiple of it, none lies on another page than the first. Others are looked up each time.
  if (bytes <= 8 && (bytes & (bytes - 1)) === 0) return low.and(-PAGE_BYTES | (bytes - 1)).eq(last);
  return low.and(-PAGE_BYTES).xor(last).or(page.xor(last)).eqz();
}

/** Where a jump goes that needs no code of its own: a WebAssembly label. */
interface Targets {
  loop?: Label;
  merge?: Label;
}

export class RegionBuilder {
  readonly f: Fn;
  readonly rt: Runtime;
  readonly #float: FloatFns;
  #operations: FloatOperations | undefined;
  #floatChanged: Local | undefined;
  #dynamicMode: Local | undefined;
  #usable: Local | undefined;
  readonly hart: Local;
  readonly page: Local;
  readonly fastTlb: Local;
  readonly #blocks: readonly Block[];
  readonly #graph: Graph;
  readonly #records: ReadonlyMap<number, number>;
  readonly #besideCode: boolean;
  readonly #structure: Structure;
  readonly #budget: Local;
  readonly #out: Local;
  /** Of registers, by their offsets in the hart's state. */
  readonly #locals = new Map<number, Local>();
  /** Offsets of the registers that the region writes. */
  readonly #written = new Set<number>();
  readonly #counting: boolean;
  readonly #targets: Targets[];
  readonly #unchecked: Int32Array;
  readonly #narrow: Int32Array;
  readonly #movements: readonly Movements[];
  /** Pages that steady registers have pointed to last, by register and kind of access. */
  readonly #lastPages = new Map<string, number>();
  #exit!: Label;
  /** Number of the block that is being emitted, the block, and what is known where it stands. */
  #index!: number;
  #block!: Block;
  #known!: Known;

  get operations(): FloatOperations {
    this.#operations ??= inlineFloat(this.f, this.#float, {
      usable: (rm) => (rm === this.#dynamicMode ? this.#hostRoundsDynamic : hostRounds(this.#flags, rm)),
      flagged: () =>
        this.#dynamicMode && this.f.set(this.#hostRoundsDynamic, hostRounds(this.#flags, this.#dynamicMode)),
    });
    return this.#operations;
  }
  get #flags(): Expr {
    return this.hart.add(H.fflags);
  }
  /** Whether the floating-point unit's state was marked as changed when the region began. */
  get floatChanged(): Local {
    const state = load('i64', this.hart, H.mstatus).and(MSTATUS.FS);
    this.#floatChanged ??= this.f.initially(state.eq(MSTATUS.FS));
    return this.#floatChanged;
  }
  /** The rounding mode of fcsr, which no region changes. */
  get dynamicMode(): Local {
    this.#dynamicMode ??= this.f.initially(load('i32', this.hart, H.frm));
    return this.#dynamicMode;
  }
  /** Whether the host's rounding will do for it. Once it will, it goes on to do so. */
  get #hostRoundsDynamic(): Local {
    const mode = load('i32', this.hart, H.frm);
    this.#usable ??= this.f.initially(hostRounds(this.#flags, mode));
    return this.#usable;
  }
  get known(): Known {
    return this.#known;
  }

  constructor(
    f: Fn,
    { blocks, records, besideCode, hot }: RegionPlan,
    rt: Runtime,
    float: FloatFns,
    counting: boolean,
  ) {
    this.f = f;
    this.rt = rt;
    this.#float = float;
    this.#graph = unroll(blocks, new Set(hot));
    this.#blocks = this.#graph.blocks;
    this.#records = records;
    this.#besideCode = besideCode;
    this.#counting = counting;
    this.#targets = this.#blocks.map(() => ({}));
    this.#structure = new Structure(this.#graph.successors);
    this.#unchecked = budgetChecks(this.#graph, this.#structure);
    this.#narrow = narrowRegisters(this.#blocks, this.#structure);
    this.#movements = movementsIn(this.#blocks, this.#structure);
    [this.hart, this.#budget, this.page] = f.params;
    this.fastTlb = f.local('i32');
    this.#out = f.local('i64');
  }

  build(): void {
    const { f } = this;
    this.#chooseLocals();
    for (const [offset, local] of this.#locals) f.set(local, load(typeOf(offset), this.hart, offset));
    f.set(this.fastTlb, load('i32', this.hart, H.fastTlb));
    // The steps taken are what is left of the budget less at the exit than at the entry.
    if (this.#counting) this.#countSteps(load('i64', i32(0), COUNTED_STEPS).add(this.#budget.extU()));
    f.block((exit) => {
      this.#exit = exit;
      this.#place(0, this.#knownAt(0));
    });
    for (const offset of this.#written) {
      const local = this.#locals.get(offset);
      if (local) f.store(typeOf(offset), this.hart, offset, local);
    }
    f.store('i64', this.hart, H.pc, this.#out);
    if (this.#counting) this.#countSteps(load('i64', i32(0), COUNTED_STEPS).sub(this.#budget.and(~STEP_FIRST).extU()));
    f.return(this.#budget);
  }

  #countSteps(steps: Expr): void {
    this.f.store('i64', i32(0), COUNTED_STEPS, steps);
  }

  /** What is true at a block wherever one comes from. */
  #knownAt(index: number): Known {
    return Known.nothing(this.#narrow[index]);
  }

  /** Emits a block at its place, with all that it dominates. */
  #place(index: number, known: Known): void {
    const { f } = this;
    const merges = this.#structure.mergesBehind(index);
    if (this.#structure.isLoop(index)) {
      // What was known before is not known the second time around.
      this.#known = known;
      this.#charge();
      f.loop((again) => {
        this.#targets[index].loop = again;
        this.#before(index, merges, this.#knownAt(index));
      });
    } else {
      this.#before(index, merges, known);
    }
  }

  /** Emits a block inside of WebAssembly blocks at whose ends the merges follow, the first of them innermost. */
  #before(index: number, merges: readonly number[], known: Known): void {
    const { f } = this;
    const last = merges.at(-1);
    if (last === undefined) {
      this.#emit(index, known);
      return;
    }
    f.block((label) => {
      this.#targets[last].merge = label;
      this.#before(index, merges.slice(0, -1), known);
    });
    this.#place(last, this.#knownAt(last));
  }

  #emit(index: number, known: Known): void {
    const { f } = this;
    const block = this.#blocks[index];
    this.#stand(index, known);
    const choice = this.#graph.choices.get(index);
    if (choice) {
      this.#choose(choice, known);
      return;
    }
    const unchecked = this.#unchecked[index];
    if (unchecked > 0) {
      this.#charge();
      f.ifRarely(this.#budget.ltU(unchecked), () => this.leaveAt('budget', block.start));
    }
    block.instructions.forEach(({ offset, decoded }, i) => {
      const access = accessOf(decoded);
      if (access && !known.find(decoded, access)) this.#lookUp(block.instructions.slice(i));
      const semantics = new RegionSemantics(this, offset, decoded, access ? known.find(decoded, access) : null);
      // A jump goes on from within: its step is taken by then.
      if (isJump(decoded)) this.#pass(decoded);
      f.scope(() => decoded.instruction.semantics(semantics));
      if (!isJump(decoded)) this.#pass(decoded);
    });
    const { end } = block;
    if (isJump(block.instructions.at(-1)!.decoded)) return;
    if (end.kind === 'goto') this.goTo(end.to);
    else if (end.kind === 'stop') this.leaveAt('stop', end.at);
    else assert(false, `a block ends in ${end.kind} without a jump`);
  }

  #stand(index: number, known: Known): void {
    this.#index = index;
    this.#block = this.#blocks[index];
    this.#known = known;
  }

  /** Goes on with copies of a loop, or, where they might have to stop half way, with one iteration alone. */
  #choose({ first, instructions, plain }: Choice, known: Known): void {
    const { f } = this;
    const index = this.#index;
    f.block((alone) => {
      f.ifRarely(this.#budget.ltU(instructions.length), () => f.br(alone));
      for (const { register, span } of known.ahead(instructions, this.#movements[index].steady)) {
        const host = f.local('i32');
        this.#find(host, register, span.low, span, null, () => f.br(alone));
        known.add({ ...span, host });
      }
      this.#place(first, known);
    });
    this.#stand(index, this.#knownAt(index));
    f.ifRarely(this.#budget.ltU(this.#unchecked[index]), () => this.leaveAt('budget', this.#block.start));
    this.#place(plain, this.#known);
  }

  #pass(decoded: Decoded): void {
    this.#known.steps++;
    this.#known.pass(decoded);
  }

  /** Takes the steps since the last time from the budget. */
  #charge(): void {
    const { steps } = this.#known;
    if (steps > 0) this.f.set(this.#budget, this.#budget.sub(steps));
    this.#known.steps = 0;
  }

  /** Looks up the memory that the first of some instructions accesses, and what else lies near it. */
  #lookUp(instructions: readonly Placed[]): void {
    const { f } = this;
    const [{ offset, decoded }] = instructions;
    const { span, below } = this.#known.plan(instructions);
    const host = f.local('i32');
    const miss = () => this.leaveAt('memory', offset);
    const helped = this.#besideCode || has(this.#movements[this.#index].wandering, decoded.rs1);
    const find = (found: Label | null) => this.#find(host, decoded.rs1, decoded.imm - below, span, found, miss);
    if (helped) f.block(find);
    else find(null);
    this.#known.add({ ...span, host });
  }

  /**
   * Sets the host address of a span that begins at an offset from a register. Where the fast TLB has no entry for it, there is `miss`, which goes elsewhere; or
   * first, if `found` is where to go on with an address, the look that takes longer.
   */
  #find(host: Local, register: number, at: number, span: Span, found: Label | null, miss: () => void): void {
    const { f } = this;
    const last = has(this.#movements[this.#index].steady, register) ? this.#lastPage(register, span) : null;
    f.scope(() => {
      const low = f.let(this.x(register).add(at));
      const bytes = span.high - span.low;
      const page = f.let(low.add(bytes - 1).and(-PAGE_BYTES));
      const look = () => {
        if (!found) {
          miss();
          return;
        }
        const need = (span.loads ? 1 : 0) + (span.stores ? 2 : 0);
        f.set(host, this.rt.reach.call(this.hart, low, bytes, need));
        f.ifRarely(host.eqz(), miss);
        f.br(found);
      };
      const ask = () => {
        const entry = f.let(this.fastEntry(low));
        // Zero where the page is there for loading, or for storing.
        const differs = (tag: 0 | 8) => page.xor(load('i64', entry, tag));
        const both = span.loads && span.stores;
        const missed = both ? differs(0).or(differs(8)).ne(0) : page.ne(load('i64', entry, span.stores ? 8 : 0));
        f.ifRarely(missed, look);
        return load('i32', entry, 16);
      };
      if (last === null) {
        f.set(host, low.wrap().add(ask()));
        return;
      }
      // While the region runs no translation is taken away: entries of the fast TLB may come, and what they have replaced still holds.
      f.ifRarely(isOn(load('i64', i32(0), last), low, page, bytes).eqz(), () => {
        f.store('i32', i32(0), last + 8, ask());
        f.store('i64', i32(0), last, page);
      });
      f.set(host, low.wrap().add(load('i32', i32(0), last + 8)));
    });
  }

  /** Address of what is known of a register's last page; null where there is no room for more. */
  #lastPage(register: number, { loads, stores }: Span): number | null {
    const key = `${register} ${loads} ${stores}`;
    let last = this.#lastPages.get(key);
    if (last === undefined) {
      if (this.#lastPages.size === LAST_PAGES_MAX) return null;
      last = LAST_PAGES_BASE + this.#lastPages.size * LAST_PAGE_BYTES;
      this.#lastPages.set(key, last);
      this.f.first((f) => f.store('i64', i32(0), last!, NO_PAGE));
    }
    return last;
  }

  /** Address of the fast TLB entry that an address belongs to. */
  fastEntry(address: Expr): Expr {
    const index = address
      .shrU(12)
      .wrap()
      .and(DTLB_ENTRIES - 1);
    return this.fastTlb.add(index.mul(FAST_ENTRY_BYTES));
  }

  /** Ends the block with the jump that it ends in; `target` is where it goes, for one that is found at run time. */
  jump(target: Expr | null): void {
    const { end } = this.#block;
    if (end.kind === 'goto' || end.kind === 'call') {
      this.goTo(end.to);
      return;
    }
    assert(target, `${end.kind} has a target`);
    if (end.kind === 'return') {
      for (const to of end.to) this.f.if(target.eq(this.address(to)), () => this.#goAside(to));
    }
    this.#leaveTo('indirect', target);
  }

  branch(condition: Expr): void {
    const { end } = this.#block;
    assert(end.kind === 'branch', 'a branch ends its block');
    this.f.if(condition, () => this.#goAside(end.taken));
    this.goTo(end.next);
  }

  /** Goes on at an offset on one of several ways: the others know and count only what is true on theirs. */
  #goAside(offset: number): void {
    const [index, known] = [this.#index, this.#known];
    if (this.#graph.next(index, offset) !== undefined) this.#known = known.fork();
    this.goTo(offset);
    this.#stand(index, known);
  }

  /** Goes on at an offset, in the region if it has the block. */
  goTo(offset: number): void {
    const { f } = this;
    const from = this.#index;
    const index = this.#graph.next(from, offset);
    if (index === undefined || !this.#structure.follows(from, index)) {
      this.leaveAt('cold', offset);
      return;
    }
    const { loop, merge } = this.#targets[index];
    const back = this.#structure.isBack(from, index);
    if (pageOf(offset) !== pageOf(this.#block.start)) {
      // The step that enters a page is the first one there: it is not taken where the slice ends with the jump.
      const { steps } = this.#known;
      if (this.#unchecked[index] > 0) f.ifRarely(this.#budget.leU(steps), () => this.leaveAt('budget', offset));
      this.#crossTo(offset);
    }
    if (back || this.#structure.isMerge(index)) {
      const label = back ? loop : merge;
      assert(label, 'the label encloses the jump');
      this.#charge();
      f.br(label);
    } else {
      this.#place(index, this.#known);
    }
  }

  /** Enters another page as the interpreter does, if the page is still the one that was compiled. */
  #crossTo(offset: number): void {
    const { f, hart } = this;
    const records = this.#records.get(pageOf(offset))!;
    f.scope(() => {
      const page = f.let(this.address(offset - (offset & (PAGE_BYTES - 1))));
      const entry = f.let(fastFetchEntry(hart, page));
      const mapped = load('i64', entry, H.fastFetch).eq(fastFetchKey(hart, page));
      const same = load('i32', entry, H.fastFetch + 16).eq(records | 0);
      f.ifRarely(mapped.and(same).eqz(), () => this.leaveAt('page', offset));
      f.store('i64', hart, H.fetchPage, page);
      f.store('i64', hart, H.fetchPhysical, load('i64', entry, H.fastFetch + 8));
      f.store('i32', hart, H.fetchRecords, records | 0);
    });
  }

  /** Stops before the instruction at an offset. */
  leaveAt(reason: ExitReason, offset: number): void {
    this.#leaveTo(reason, this.address(offset));
  }
  #leaveTo(reason: ExitReason, target: Expr): void {
    const { f } = this;
    const { steps } = this.#known;
    if (steps > 0) f.set(this.#budget, this.#budget.sub(steps));
    f.set(this.#out, target);
    if (NEEDS_HELP.has(reason)) f.set(this.#budget, this.#budget.or(STEP_FIRST));
    if (this.#counting) this.#countExit(reason);
    f.br(this.#exit);
  }

  #countExit(reason: ExitReason): void {
    const { f } = this;
    const number = EXIT_REASONS.indexOf(reason);
    const counter = COUNTERS_BASE + 4 * number;
    f.store('i32', i32(0), counter, load('i32', i32(0), counter).add(1));
    f.scope(() => {
      const exits = f.let(load('i32', i32(0), COUNTED_EXITS));
      f.store('i32', i32(0), COUNTED_EXITS, exits.add(1));
      const place = f.let(exits.and(EXITS_KEPT - 1).mul(EXIT_BYTES));
      f.store('i8', place, EXITS_BASE, i32(number));
      f.store('i64', place, EXITS_BASE + 8, this.#out);
    });
  }

  /** The virtual address of an offset. */
  address(offset: number): Expr {
    return this.page.add(offset);
  }

  x(n: number): Expr {
    if (n === 0) return i64(0);
    const register = this.#read(xOffset(n));
    return this.#known.isNarrow(n) ? narrow(register) : register;
  }
  setX(n: number, value: Expr): void {
    if (n !== 0) this.#write(xOffset(n), value);
  }
  float(n: number): Expr {
    return this.#read(floatOffset(n)).reinterpret();
  }
  setFloat(n: number, bits: Expr): void {
    this.#write(floatOffset(n), bits.reinterpret());
  }
  #read(offset: number): Expr {
    return this.#locals.get(offset) ?? load(typeOf(offset), this.hart, offset);
  }
  #write(offset: number, value: Expr): void {
    const local = this.#locals.get(offset);
    if (local) this.f.set(local, value);
    else this.f.store(typeOf(offset), this.hart, offset, value);
  }

  /**
   * A local is loaded at every entry and stored at every exit, and V8 keeps most of them on the stack: registers that are used at a few places outside of
   * loops stay where they are.
   */
  #chooseLocals(): void {
    const uses = new Map<number, number>();
    const loops = this.#structure.innermostLoops();
    for (const i of this.#structure.order) {
      const weight = loops[i] ? USES_IN_LOOP : 1;
      for (const { decoded } of this.#blocks[i].instructions) {
        const { read, written } = registersOf(decoded);
        for (const offset of [...read, ...written]) uses.set(offset, (uses.get(offset) ?? 0) + weight);
        for (const offset of written) this.#written.add(offset);
      }
    }
    for (const [offset, count] of uses)
      if (count >= LOCAL_USES_MIN) this.#locals.set(offset, this.f.local(typeOf(offset)));
  }
}

const has = (mask: number, n: number) => ((mask >>> n) & 1) === 1;
const xOffset = (n: number) => H.x + 8 * n;
const floatOffset = (n: number) => H.f + 8 * n;
/** Type of the local that holds a register. */
const typeOf = (offset: number) => (offset >= H.f ? 'f64' : 'i64');

/** Where the registers lie that an instruction reads, and the one that it writes. */
function registersOf({ instruction: { uses }, rd, rs1, rs2, rs3 }: Decoded): { read: number[]; written: number[] } {
  const read: number[] = [];
  if (uses.rs1 && rs1 !== 0) read.push(xOffset(rs1));
  if (uses.rs2 && rs2 !== 0) read.push(xOffset(rs2));
  if (uses.fs1) read.push(floatOffset(rs1));
  if (uses.fs2) read.push(floatOffset(rs2));
  if (uses.fs3) read.push(floatOffset(rs3));
  if (uses.fd) return { read, written: [floatOffset(rd)] };
  return { read, written: uses.rd && rd !== 0 ? [xOffset(rd)] : [] };
}

/**
 * For each block the most steps that may be taken from its start before the budget is looked at again; 0 where it is not looked
 * at. That happens wherever jumps meet, and on long ways in between.
 */
function budgetChecks({ blocks, isCopy }: Graph, structure: Structure): Int32Array {
  const longest = new Int32Array(blocks.length);
  const checked = new Uint8Array(blocks.length);
  for (const index of [...structure.order].reverse()) {
    const { length } = blocks[index].instructions;
    longest[index] = length;
    for (const next of structure.successors[index]) {
      // For copies there are steps enough, or they are not come to.
      if (structure.isBack(index, next) || structure.isMerge(next) || isCopy(next)) continue;
      if (length + longest[next] > UNCHECKED_MAX) checked[next] = 1;
      if (!checked[next]) longest[index] = Math.max(longest[index], length + longest[next]);
    }
    if (index === 0 || structure.isLoop(index) || structure.isMerge(index)) checked[index] = 1;
  }
  return longest.map((steps, index) => (checked[index] ? steps : 0));
}

/** For each block the mask of registers that hold narrow values at its start, whichever way leads there. */
function narrowRegisters(blocks: readonly Block[], { order, successors }: Structure): Int32Array {
  const masks = new Int32Array(blocks.length).fill(-1);
  masks[0] = NARROW_AT_ENTRY;
  for (let changed = true; changed; ) {
    changed = false;
    for (const index of order) {
      let mask = masks[index];
      for (const { decoded } of blocks[index].instructions) mask = narrowAfter(decoded, mask);
      for (const next of successors[index]) {
        if ((masks[next] & mask) === masks[next]) continue;
        masks[next] &= mask;
        changed = true;
      }
    }
  }
  return masks;
}
