/**
 * What an instruction's semantics are written in. The interpreter and the JIT each implement it: the same description
 * gives a handler that reads its operands from a decoded record, or straight code with the operands built in.
 */
import type { Expr, LoadKind, Value } from '../codegen/expr.ts';
import type { Fn, StoreKind } from '../codegen/fn.ts';
import type { FloatOperations } from '../codegen/softfloat.ts';
import type { Runtime } from './runtime.ts';

export interface Semantics {
  /** The function under construction, for locals and control flow. */
  readonly f: Fn;
  /** Functions that several instructions share: slow memory paths, CSRs, traps. */
  readonly rt: Runtime;
  readonly float: FloatOperations;
  /** Address of the hart's state (see hart.ts). */
  readonly hart: Expr;

  /** Values of the integer source registers, i64. */
  readonly x1: Expr;
  readonly x2: Expr;
  /** Number of the first source register, i32: CSR instructions treat x0 in a way of its own. */
  readonly rs1: Expr;
  /** The immediate, i64. */
  readonly imm: Expr;
  /** The immediate's low half, i32. */
  readonly imm32: Expr;
  /** Address of this instruction and of the next, i64. */
  readonly pc: Expr;
  readonly next: Expr;
  /** Writes the integer destination register; x0 stays zero. */
  rd(value: Expr): void;

  /** Floating-point source registers: 64 bits as they are, and the 32-bit value of a NaN-boxed single. */
  readonly d1: Expr;
  readonly d2: Expr;
  readonly d3: Expr;
  readonly s1: Expr;
  readonly s2: Expr;
  readonly s3: Expr;
  /** Raises an illegal instruction unless the floating-point unit is on. First thing in every instruction of F and D. */
  needFloat(): void;
  /** The rounding mode, i32, `fcsr.frm` where the instruction says so; illegal where it is reserved. */
  roundingMode(): Expr;
  /** Address of the accrued flags. */
  readonly flags: Expr;
  /** Marks the unit's state as changed: flags may accrue though no floating-point register is written. */
  markFloat(): void;
  /** Writes the floating-point destination register, i64 bits; marks the unit's state as changed. */
  fd(bits: Expr): void;
  /** The same for a single, i32 bits: NaN-boxes it. */
  fs(bits: Expr): void;

  /** Guest memory at a virtual address. The result is an i64 that the kind has extended. Faults leave the instruction. */
  load(kind: LoadKind, address: Expr): Expr;
  store(kind: StoreKind, address: Expr, value: Expr): void;
  /**
   * Address in host memory of an aligned word that may be read and written: for atomic operations. With `conditional` it is written
   * only, and only if the hart's reservation is its physical address.
   */
  atomic(size: 4 | 8, address: Expr, conditional?: boolean): Expr;

  /** Goes to a target computed at run time, i64. */
  jump(target: Expr): void;
  /** Goes to pc + imm where the condition, i32, is true. */
  branch(condition: Expr): void;
  /** Goes to pc + imm. */
  jumpImmediate(): void;

  /** Before a call of a runtime function that may ask for the position of this step. */
  publishPosition(): void;
  illegalIf(condition: Expr): void;
  /** Raises an exception at this instruction. */
  raise(cause: number, value: Value): void;
  /** Leaves the instruction where a runtime function has just raised an exception. */
  checkTrap(): void;
  /**
   * Ends the instruction in the slow way, at an address: the translation of the next instruction, the
   * privilege and pending interrupts may have changed.
   */
  resume(target: Expr): void;
  /** Ends the instruction as `resume` does if a runtime function has asked to leave the slice. */
  checkLeave(): void;
  /** Gives control to the run loop after this instruction; with `yields`, the rest of the hart's turn too. */
  leave(target: Expr, yields?: boolean): void;
  /** Gives the rest of the hart's turn to another one that is runnable. */
  yieldTurn(): void;
  /** Takes an environment call: to the built-in firmware, or as an exception. */
  ecall(): void;
}
