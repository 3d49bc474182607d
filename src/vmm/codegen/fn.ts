/** The body of one WebAssembly function: locals, statements and structured control flow over expressions. */
import { assert } from '../../base/assert.ts';
import { Bytes } from './bytes.ts';
import { Call, type Callee, coerce, Expr, Local, type Type, type Value } from './expr.ts';

export const TYPE_CODE: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };

const STORES = {
  i32: [0x36, 'i32'],
  i64: [0x37, 'i64'],
  f32: [0x38, 'f32'],
  f64: [0x39, 'f64'],
  i8: [0x3a, 'i32'],
  i16: [0x3b, 'i32'],
  i64to8: [0x3c, 'i64'],
  i64to16: [0x3d, 'i64'],
  i64to32: [0x3e, 'i64'],
} as const;
export type StoreKind = keyof typeof STORES;

/** A branch, by its offset in a function's body, that is nearly always taken, or hardly ever. */
export interface BranchHint {
  readonly offset: number;
  readonly likely: boolean;
}

/** The target of a branch; valid inside the construct that made it. */
export class Label {
  readonly depth: number;
  constructor(depth: number) {
    this.depth = depth;
  }
}

export class Fn {
  readonly params: readonly Local[];
  readonly #result: Type | null;
  #code = new Bytes(1024);
  /** Comes before the code: see `first`. */
  readonly #prologue = new Bytes(64);
  readonly #localTypes: Type[] = [];
  readonly #free: Record<Type, Local[]> = { i32: [], i64: [], f32: [], f64: [] };
  #scope: Local[] = [];
  #depth = 0;
  /** Where branches stand that nearly always go the same way: offsets in the code, and whether they are taken. */
  readonly #hints: BranchHint[] = [];

  constructor(params: readonly Type[], result: Type | null) {
    this.params = params.map((type, i) => new Local(type, i));
    this.#result = result;
  }

  /** A local variable, zero at first when it is new; inside a `scope` its storage is used again after the scope. */
  local(type: Type): Local {
    let local = this.#free[type].pop();
    if (!local) {
      local = new Local(type, this.params.length + this.#localTypes.length);
      this.#localTypes.push(type);
    }
    this.#scope.push(local);
    return local;
  }

  /** Puts statements where the function begins. */
  first(body: (f: Fn) => void): void {
    const code = this.#code;
    this.#code = this.#prologue;
    body(this);
    this.#code = code;
  }

  /** A variable of the whole function, which is given a value where the function begins. */
  initially(value: Expr): Local {
    const local = new Local(value.type, this.params.length + this.#localTypes.length);
    this.#localTypes.push(value.type);
    this.first(() => this.set(local, value));
    return local;
  }

  /** Evaluates an expression once and holds its value. */
  let(value: Expr): Local {
    const local = this.local(value.type);
    this.set(local, value);
    return local;
  }

  /** Locals made inside are free for others afterwards. */
  scope(body: () => void): void {
    const outer = this.#scope;
    this.#scope = [];
    body();
    for (const local of this.#scope) this.#free[local.type].push(local);
    this.#scope = outer;
  }

  set(local: Local, value: Value): void {
    const expr = coerce(value, local.type);
    if (expr.type !== local.type) assert(false, `a ${expr.type} set to a local of type ${local.type}`);
    expr.emit(this.#code);
    this.#code.u8(0x21);
    this.#code.u32(local.index);
  }

  store(kind: StoreKind, address: Expr, offset: number, value: Value): void {
    const floating = value instanceof Expr && kind === 'i64' ? value.original : null;
    if (floating) {
      // The same bits from where they are.
      this.store('f64', address, offset, floating);
      return;
    }
    const [op, type] = STORES[kind];
    const expr = coerce(value, type);
    if (expr.type !== type) assert(false, `store ${kind}: a ${expr.type} given`);
    address.emit(this.#code);
    expr.emit(this.#code);
    this.#code.u8(op);
    this.#code.u8(0);
    this.#code.u32(offset);
  }

  /** Fills memory with a byte. */
  fill(address: Expr, byte: Value, length: Value): void {
    address.emit(this.#code);
    coerce(byte, 'i32').emit(this.#code);
    coerce(length, 'i32').emit(this.#code);
    this.#code.raw(Uint8Array.of(0xfc, 11, 0));
  }

  /** Calls for the effect; a result is dropped. */
  do(callee: Callee, ...args: Value[]): void {
    new Call(callee, args).emit(this.#code);
    if (callee.result) this.#code.u8(0x1a);
  }

  if(condition: Expr, then: () => void, otherwise?: () => void): void {
    assert(condition.type === 'i32', 'a condition is an i32');
    condition.emit(this.#code);
    this.#open(0x04);
    this.scope(then);
    if (otherwise) {
      this.#code.u8(0x05);
      this.scope(otherwise);
    }
    this.#close();
  }

  /** The same for what is hardly ever, or nearly always, the case: the code for the other case does without registers, if need be. */
  ifRarely(condition: Expr, then: () => void): void {
    this.#hinted(false, condition, then);
  }
  ifMostly(condition: Expr, then: () => void): void {
    this.#hinted(true, condition, then);
  }
  #hinted(likely: boolean, condition: Expr, then: () => void): void {
    assert(condition.type === 'i32', 'a condition is an i32');
    condition.emit(this.#code);
    this.#hints.push({ offset: this.#code.length, likely });
    this.#open(0x04);
    this.scope(then);
    this.#close();
  }

  /** Where in what `finish` returned branches stand that nearly always go the same way. */
  hints(): readonly BranchHint[] {
    const before = this.#declarations().length + this.#prologue.length;
    return this.#hints.map(({ offset, likely }) => ({ offset: offset + before, likely }));
  }

  /** A branch to the label leaves the block. */
  block(body: (label: Label) => void): void {
    this.#open(0x02);
    this.scope(() => body(new Label(this.#depth)));
    this.#close();
  }

  /** A branch to the label starts the body again; falling out of the body ends the loop. */
  loop(body: (label: Label) => void): void {
    this.#open(0x03);
    this.scope(() => body(new Label(this.#depth)));
    this.#close();
  }

  br(label: Label): void {
    this.#code.u8(0x0c);
    this.#code.u32(this.#depth - label.depth);
  }

  brIf(label: Label, condition: Expr): void {
    assert(condition.type === 'i32', 'a condition is an i32');
    condition.emit(this.#code);
    this.#brIf(label);
  }
  brIfMostly(label: Label, condition: Expr): void {
    assert(condition.type === 'i32', 'a condition is an i32');
    condition.emit(this.#code);
    this.#hints.push({ offset: this.#code.length, likely: true });
    this.#brIf(label);
  }
  #brIf(label: Label): void {
    this.#code.u8(0x0d);
    this.#code.u32(this.#depth - label.depth);
  }

  /** Nested blocks, one for each case: runs `cases[index]`, or the last one where the index is too large. */
  switch(index: Expr, cases: readonly (() => void)[]): void {
    this.block((end) => {
      for (const _ of cases) this.#open(0x02);
      index.emit(this.#code);
      this.#code.u8(0x0e);
      this.#code.u32(cases.length - 1);
      for (let i = 0; i < cases.length; i++) this.#code.u32(i);
      cases.forEach((body, i) => {
        this.#close();
        this.scope(body);
        if (i < cases.length - 1) this.br(end);
      });
    });
  }

  /** Branches to the n-th enclosing block from inside, counted from 0; behind the last of `count`, to the last. */
  switchOpen(index: Expr, count: number): void {
    index.emit(this.#code);
    this.#code.u8(0x0e);
    this.#code.u32(count - 1);
    for (let i = 0; i < count; i++) this.#code.u32(i);
  }

  return(value?: Value): void {
    assert((value === undefined) === (this.#result === null), 'a result where the function has one');
    if (value !== undefined) coerce(value, this.#result!).emit(this.#code);
    this.#code.u8(0x0f);
  }

  unreachable(): void {
    this.#code.u8(0x00);
  }

  /** The function's entry of the code section. */
  finish(): Uint8Array {
    assert(this.#depth === 0, 'every block is closed');
    const out = new Bytes(this.#code.length + this.#prologue.length + 2 * this.#localTypes.length + 16);
    out.raw(this.#declarations());
    out.raw(this.#prologue.view());
    out.raw(this.#code.view());
    // Whoever returns a value does so by `return`; the end of the body is then never reached.
    if (this.#result) out.u8(0x00);
    out.u8(0x0b);
    return out.view();
  }

  /** Of the locals. */
  #declarations(): Uint8Array {
    const out = new Bytes(2 * this.#localTypes.length + 8);
    out.u32(this.#localTypes.length);
    for (const type of this.#localTypes) {
      out.u32(1);
      out.u8(TYPE_CODE[type]);
    }
    return out.view();
  }

  #open(op: number): void {
    this.#code.u8(op);
    this.#code.u8(0x40);
    this.#depth++;
  }

  #close(): void {
    this.#code.u8(0x0b);
    this.#depth--;
  }
}
