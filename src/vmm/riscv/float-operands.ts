/** Floating-point operands as every implementation of the semantics sees them. */
import { type Expr, load } from '../codegen/expr.ts';
import type { Fn } from '../codegen/fn.ts';
import { H, MSTATUS } from './hart.ts';

const CANONICAL_NAN_SINGLE = 0x7fc00000;
const NAN_BOX = 0xffffffff00000000n;

export abstract class FloatOperands {
  abstract readonly f: Fn;
  abstract readonly hart: Expr;
  abstract readonly d1: Expr;
  abstract readonly d2: Expr;
  abstract readonly d3: Expr;
  abstract illegalIf(condition: Expr): void;
  /** Writes the 64 bits of the destination register. */
  protected abstract writeFloat(bits: Expr): void;

  get s1(): Expr {
    return this.#unbox(this.d1);
  }
  get s2(): Expr {
    return this.#unbox(this.d2);
  }
  get s3(): Expr {
    return this.#unbox(this.d3);
  }
  /** A single that is not NaN-boxed counts as the canonical NaN (unprivileged specification, 21.2). */
  #unbox(bits: Expr): Expr {
    const value = this.f.let(bits);
    return value.shrU(32n).eq(0xffffffffn).select(value.wrap(), CANONICAL_NAN_SINGLE);
  }

  get flags(): Expr {
    return this.hart.add(H.fflags);
  }
  needFloat(): void {
    this.illegalIf(load('i64', this.hart, H.mstatus).and(MSTATUS.FS).eqz());
  }
  fd(bits: Expr): void {
    this.writeFloat(bits);
    this.markFloat();
  }
  /** The unit's state has changed (privileged specification, 3.1.6.6). */
  markFloat(): void {
    this.f.store('i64', this.hart, H.mstatus, load('i64', this.hart, H.mstatus).or(MSTATUS.FS));
  }
  fs(bits: Expr): void {
    this.fd(bits.extU().or(NAN_BOX));
  }
}
