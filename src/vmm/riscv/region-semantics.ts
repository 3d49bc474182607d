/** The instruction descriptions' vocabulary for compiled code: the operands are those of one decoded instruction. */
import { assert } from '../../base/assert.ts';
import { type Expr, i64, type LoadKind, load, narrow, type Value } from '../codegen/expr.ts';
import type { Fn, StoreKind } from '../codegen/fn.ts';
import type { FloatOperations } from '../codegen/softfloat.ts';
import type { Decoded } from './decoder.ts';
import { FloatOperands } from './float-operands.ts';
import type { LookedUp } from './known.ts';
import type { ExitReason, RegionBuilder } from './region.ts';
import type { Runtime } from './runtime.ts';
import type { Semantics } from './semantics.ts';

/** What they load is the sign-extension of 32 bits. */
const NARROW_LOADS: ReadonlySet<LoadKind> = new Set<LoadKind>(['s8x64', 'u8x64', 's16x64', 'u16x64', 's32x64']);

/** The instructions of F and D that change neither registers nor flags of the unit. */
const READS_FLOATS_ONLY = new Set(['fsw', 'fsd', 'fmv.x.w', 'fmv.x.d', 'fclass.s', 'fclass.d']);

export class RegionSemantics extends FloatOperands implements Semantics {
  readonly #r: RegionBuilder;
  readonly #d: Decoded;
  readonly #offset: number;
  /** Where the memory lies that a load or store accesses. */
  readonly #memory: { readonly found: LookedUp; readonly at: number } | null;
  readonly f: Fn;
  readonly rt: Runtime;
  readonly hart: Expr;

  constructor(
    builder: RegionBuilder,
    offset: number,
    decoded: Decoded,
    memory: { readonly found: LookedUp; readonly at: number } | null,
  ) {
    super();
    this.#r = builder;
    this.#d = decoded;
    this.#offset = offset;
    this.#memory = memory;
    this.f = builder.f;
    this.rt = builder.rt;
    this.hart = builder.hart;
  }

  get float(): FloatOperations {
    return this.#r.operations;
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
    return this.#r.address(this.#offset);
  }
  get next() {
    return this.#r.address(this.#offset + this.#d.length);
  }
  rd(value: Expr) {
    // A value without a use is still evaluated: it may be a call that sets flags.
    if (this.#d.rd === 0) this.f.scope(() => this.f.let(value));
    else this.#r.setX(this.#d.rd, value);
  }

  get d1() {
    return this.#r.float(this.#d.rs1);
  }
  get d2() {
    return this.#r.float(this.#d.rs2);
  }
  get d3() {
    return this.#r.float(this.#d.rs3);
  }
  /** Whoever changes the unit's state finds it changed already, or leaves it to the interpreter: that is rare, and needs no code here. */
  override needFloat() {
    const { known } = this.#r;
    if (known.floatChanged) return;
    if (READS_FLOATS_ONLY.has(this.#d.instruction.name)) {
      if (!known.floatOn) super.needFloat();
      known.floatOn = true;
      return;
    }
    this.illegalIf(this.#r.floatChanged.eqz());
    known.floatChanged = true;
  }
  override markFloat() {
    assert(this.#r.known.floatChanged, 'the unit is marked as changed');
  }
  roundingMode(): Expr {
    const { rm } = this.#d;
    if (rm <= 4) return i64(rm).wrap();
    if (rm !== 7) {
      this.#leaveToInterpreter('illegal');
      return i64(0).wrap();
    }
    const { known, dynamicMode } = this.#r;
    if (!known.modeValid) this.illegalIf(dynamicMode.gtU(4));
    known.modeValid = true;
    return dynamicMode;
  }
  protected writeFloat(bits: Expr) {
    this.#r.setFloat(this.#d.rd, bits);
  }

  /** The address is that of the instruction's operands: it has been looked up. */
  load(kind: LoadKind, _address: Expr): Expr {
    const { found, at } = this.#memory!;
    if (kind === 'i64' && this.#d.instruction.uses.fd) return this.f.let(load('f64', found.host, at)).reinterpret();
    const value = this.f.let(load(kind, found.host, at));
    return NARROW_LOADS.has(kind) ? narrow(value) : value;
  }
  store(kind: StoreKind, _address: Expr, value: Expr): void {
    const { found, at } = this.#memory!;
    this.f.store(kind, found.host, at, value);
  }
  atomic(size: 4 | 8, address: Expr): Expr {
    const { f } = this;
    const at = f.let(address);
    const entry = f.let(this.#r.fastEntry(at));
    // An aligned word does not cross a page's end.
    const usable = at
      .and(-4096n)
      .eq(load('i64', entry, 8))
      .and(
        at
          .wrap()
          .and(size - 1)
          .eqz(),
      );
    f.ifRarely(usable.eqz(), () => this.#leaveToInterpreter('memory'));
    return f.let(at.wrap().add(load('i32', entry, 16)));
  }

  jump(target: Expr): void {
    this.#r.jump(target);
  }
  branch(condition: Expr): void {
    this.#r.branch(condition);
  }
  jumpImmediate(): void {
    this.#r.jump(null);
  }

  illegalIf(condition: Expr): void {
    this.f.ifRarely(condition, () => this.#leaveToInterpreter('illegal'));
  }
  raise(_cause: number, _value: Value): void {
    this.#leaveToInterpreter('illegal');
  }
  #leaveToInterpreter(reason: ExitReason): void {
    this.#r.leaveAt(reason, this.#offset);
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
