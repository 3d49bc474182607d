/**
 * Expressions: the vocabulary in which semantics are written. An expression is a tree that is emitted where it is used;
 * bind one to a local (`Fn.let`) to evaluate it once. Numbers on the right-hand side take the type of the left.
 *
 *     f.let(x.add(8).and(-8n))
 *
 * The names are WebAssembly's (core specification, section 4.3). Shifts take their count modulo the width.
 */
import { assert } from '../../base/assert.ts';
import type { Bytes } from './bytes.ts';

export type Type = 'i32' | 'i64' | 'f32' | 'f64';
export type Value = Expr | number | bigint;

type OpSet = { readonly [name: string]: readonly [i32: number, i64: number, f32: number, f64: number] };

/** Opcodes by operand type; 0 where the type lacks the operation. */
const BINARY = {
  eq: [0x46, 0x51, 0x5b, 0x61],
  ne: [0x47, 0x52, 0x5c, 0x62],
  ltS: [0x48, 0x53, 0, 0],
  ltU: [0x49, 0x54, 0, 0],
  gtS: [0x4a, 0x55, 0, 0],
  gtU: [0x4b, 0x56, 0, 0],
  leS: [0x4c, 0x57, 0, 0],
  leU: [0x4d, 0x58, 0, 0],
  geS: [0x4e, 0x59, 0, 0],
  geU: [0x4f, 0x5a, 0, 0],
  lt: [0, 0, 0x5d, 0x63],
  gt: [0, 0, 0x5e, 0x64],
  le: [0, 0, 0x5f, 0x65],
  ge: [0, 0, 0x60, 0x66],
  add: [0x6a, 0x7c, 0x92, 0xa0],
  sub: [0x6b, 0x7d, 0x93, 0xa1],
  mul: [0x6c, 0x7e, 0x94, 0xa2],
  div: [0, 0, 0x95, 0xa3],
  divS: [0x6d, 0x7f, 0, 0],
  divU: [0x6e, 0x80, 0, 0],
  remS: [0x6f, 0x81, 0, 0],
  remU: [0x70, 0x82, 0, 0],
  and: [0x71, 0x83, 0, 0],
  or: [0x72, 0x84, 0, 0],
  xor: [0x73, 0x85, 0, 0],
  shl: [0x74, 0x86, 0, 0],
  shrS: [0x75, 0x87, 0, 0],
  shrU: [0x76, 0x88, 0, 0],
  rotl: [0x77, 0x89, 0, 0],
  rotr: [0x78, 0x8a, 0, 0],
  min: [0, 0, 0x96, 0xa4],
  max: [0, 0, 0x97, 0xa5],
  copysign: [0, 0, 0x98, 0xa6],
} satisfies OpSet;

const UNARY = {
  eqz: [0x45, 0x50, 0, 0],
  clz: [0x67, 0x79, 0, 0],
  ctz: [0x68, 0x7a, 0, 0],
  popcnt: [0x69, 0x7b, 0, 0],
  ext8: [0xc0, 0xc2, 0, 0],
  ext16: [0xc1, 0xc3, 0, 0],
  ext32: [0, 0xc4, 0, 0],
  abs: [0, 0, 0x8b, 0x99],
  neg: [0, 0, 0x8c, 0x9a],
  sqrt: [0, 0, 0x91, 0x9f],
  nearest: [0, 0, 0x90, 0x9e],
  trunc: [0, 0, 0x8f, 0x9d],
  floor: [0, 0, 0x8e, 0x9c],
  ceil: [0, 0, 0x8d, 0x9b],
} satisfies OpSet;

const TYPE_INDEX: Record<Type, number> = { i32: 0, i64: 1, f32: 2, f64: 3 };
const COMPARISONS = new Set('eq ne ltS ltU gtS gtU leS leU geS geU lt gt le ge'.split(' '));
const BITWISE = new Set(['and', 'or', 'xor']);
/** Opcodes of i64 operations of which the low half depends on the low halves of the operands alone, to those of i32. */
const LOW_HALF = new Map<number, number>(
  (['add', 'sub', 'mul', 'and', 'or', 'xor'] as const).map((name) => [BINARY[name][1], BINARY[name][0]]),
);

export abstract class Expr {
  readonly type: Type;
  constructor(type: Type) {
    this.type = type;
  }
  abstract emit(out: Bytes): void;
  /** Of an i64 that is known to be the sign-extension of an i32: that i32. Operations on such are done in 32 bits, where that is the same. */
  get half(): Expr | null {
    return null;
  }

  add(b: Value) {
    return b === 0 || b === 0n ? this : this.#binary('add', b);
  }
  sub(b: Value) {
    return b === 0 || b === 0n ? this : this.#binary('sub', b);
  }
  mul(b: Value) {
    return this.#binary('mul', b);
  }
  div(b: Value) {
    return this.#binary('div', b);
  }
  divS(b: Value) {
    return this.#binary('divS', b);
  }
  divU(b: Value) {
    return this.#binary('divU', b);
  }
  remS(b: Value) {
    return this.#binary('remS', b);
  }
  remU(b: Value) {
    return this.#binary('remU', b);
  }
  and(b: Value) {
    return this.#binary('and', b);
  }
  or(b: Value) {
    return this.#binary('or', b);
  }
  xor(b: Value) {
    return this.#binary('xor', b);
  }
  shl(b: Value) {
    return this.#binary('shl', b);
  }
  shrS(b: Value) {
    return this.#binary('shrS', b);
  }
  shrU(b: Value) {
    return this.#binary('shrU', b);
  }
  rotl(b: Value) {
    return this.#binary('rotl', b);
  }
  rotr(b: Value) {
    return this.#binary('rotr', b);
  }
  eq(b: Value) {
    return this.#binary('eq', b);
  }
  ne(b: Value) {
    return this.#binary('ne', b);
  }
  ltS(b: Value) {
    return this.#binary('ltS', b);
  }
  ltU(b: Value) {
    return this.#binary('ltU', b);
  }
  gtS(b: Value) {
    return this.#binary('gtS', b);
  }
  gtU(b: Value) {
    return this.#binary('gtU', b);
  }
  leS(b: Value) {
    return this.#binary('leS', b);
  }
  leU(b: Value) {
    return this.#binary('leU', b);
  }
  geS(b: Value) {
    return this.#binary('geS', b);
  }
  geU(b: Value) {
    return this.#binary('geU', b);
  }
  lt(b: Value) {
    return this.#binary('lt', b);
  }
  gt(b: Value) {
    return this.#binary('gt', b);
  }
  le(b: Value) {
    return this.#binary('le', b);
  }
  ge(b: Value) {
    return this.#binary('ge', b);
  }
  min(b: Value) {
    return this.#binary('min', b);
  }
  max(b: Value) {
    return this.#binary('max', b);
  }
  copysign(b: Value) {
    return this.#binary('copysign', b);
  }
  eqz() {
    return this.#unary('eqz');
  }
  clz() {
    return this.#unary('clz');
  }
  ctz() {
    return this.#unary('ctz');
  }
  popcnt() {
    return this.#unary('popcnt');
  }
  /** Sign-extends the low 8 bits. */
  ext8() {
    return this.#unary('ext8');
  }
  /** Sign-extends the low 16 bits. */
  ext16() {
    return this.#unary('ext16');
  }
  /** Sign-extends the low 32 bits of an i64. */
  ext32(): Expr {
    return this.half ? this : this.wrap().extS();
  }
  abs() {
    return this.#unary('abs');
  }
  neg() {
    return this.#unary('neg');
  }
  sqrt() {
    return this.#unary('sqrt');
  }
  nearest() {
    return this.#unary('nearest');
  }
  trunc() {
    return this.#unary('trunc');
  }
  floor() {
    return this.#unary('floor');
  }
  ceil() {
    return this.#unary('ceil');
  }

  not() {
    return this.xor(this.type === 'i64' ? -1n : -1);
  }
  /** i64 to i32: the low half. */
  wrap(): Expr {
    return this.half ?? this.#convert(0xa7, 'i64', 'i32');
  }
  /** i32 to i64, by sign. */
  extS(): Expr {
    return new Narrow(this.#convert(0xac, 'i32', 'i64'), this);
  }
  /** i32 to i64, by zeros. */
  extU(): Expr {
    const extended = this.#convert(0xad, 'i32', 'i64');
    return this.isTruth ? new Narrow(extended, this) : extended;
  }
  /** A comparison, which gives 0 or 1. */
  protected get isTruth(): boolean {
    return false;
  }
  /** f64 to f32. */
  demote() {
    return this.#convert(0xb6, 'f64', 'f32');
  }
  /** f32 to f64. */
  promote() {
    return this.#convert(0xbb, 'f32', 'f64');
  }
  /** The same bits as the float, or integer, type of the same width. */
  reinterpret(): Expr {
    const [op, to] = ({ i32: [0xbe, 'f32'], i64: [0xbf, 'f64'], f32: [0xbc, 'i32'], f64: [0xbd, 'i64'] } as const)[
      this.type
    ];
    return new Reinterpreted(to, op, this);
  }
  /** What this is the reinterpretation of. */
  get original(): Expr | null {
    return null;
  }
  /** Signed integer to float. */
  toFloatS(to: 'f32' | 'f64'): Expr {
    assert(this.type === 'i32' || this.type === 'i64', 'toFloatS takes an integer');
    return new Unary(to, (to === 'f32' ? 0xb2 : 0xb7) + (this.type === 'i64' ? 2 : 0), this);
  }
  /** Unsigned integer to float. */
  toFloatU(to: 'f32' | 'f64'): Expr {
    assert(this.type === 'i32' || this.type === 'i64', 'toFloatU takes an integer');
    return new Unary(to, (to === 'f32' ? 0xb3 : 0xb8) + (this.type === 'i64' ? 2 : 0), this);
  }
  /** Float to signed integer, saturating; NaN gives 0. */
  truncSatS(to: 'i32' | 'i64'): Expr {
    return new Unary(to, 0xfc, this, (to === 'i64' ? 4 : 0) + (this.type === 'f64' ? 2 : 0));
  }
  /** Float to unsigned integer, saturating; NaN gives 0. */
  truncSatU(to: 'i32' | 'i64'): Expr {
    return new Unary(to, 0xfc, this, (to === 'i64' ? 5 : 1) + (this.type === 'f64' ? 2 : 0));
  }
  /** `this ? yes : no` for an i32 condition; both sides are evaluated. */
  select(yes: Expr, no: Value): Expr {
    assert(this.type === 'i32', 'a condition is an i32');
    return new Select(this, yes, coerce(no, yes.type));
  }

  // Compiled code is made of hundreds of thousands of these: messages are put together only where they are needed.
  #binary(name: keyof typeof BINARY, b: Value): Expr {
    const right = coerce(b, this.type);
    if (right.type !== this.type) assert(false, `${name}: ${this.type} with ${right.type}`);
    const op = BINARY[name][TYPE_INDEX[this.type]];
    if (op === 0) assert(false, `${name} is not for ${this.type}`);
    if (COMPARISONS.has(name)) {
      const [x, y] = [this.half, right.half];
      return x && y ? new Comparison(BINARY[name][0], x, y) : new Comparison(op, this, right);
    }
    if (this.type === 'i64' && BITWISE.has(name)) {
      const [x, y] = [this.half, right.half];
      if (x && y) return new Binary('i32', BINARY[name][0], x, y).extS();
      if (name === 'and' && right instanceof Const && right.isSmall) {
        const masked = new Binary('i64', op, this, right);
        return new Narrow(masked, masked.wrap());
      }
    }
    return new Binary(this.type, op, this, right);
  }
  #unary(name: keyof typeof UNARY): Expr {
    const op = UNARY[name][TYPE_INDEX[this.type]];
    if (op === 0) assert(false, `${name} is not for ${this.type}`);
    if (name === 'eqz') return new Test(op, this);
    return new Unary(this.type, op, this);
  }
  #convert(op: number, from: Type, to: Type): Expr {
    if (this.type !== from) assert(false, `a ${from} expected, ${this.type} given`);
    return new Unary(to, op, this);
  }
}

class Unary extends Expr {
  readonly #op: number;
  readonly #sub: number;
  readonly #a: Expr;
  constructor(type: Type, op: number, a: Expr, sub = -1) {
    super(type);
    this.#op = op;
    this.#sub = sub;
    this.#a = a;
  }
  emit(out: Bytes) {
    this.#a.emit(out);
    out.u8(this.#op);
    if (this.#sub >= 0) out.u32(this.#sub);
  }
}

class Reinterpreted extends Unary {
  readonly #original: Expr;
  constructor(type: Type, op: number, a: Expr) {
    super(type, op, a);
    this.#original = a;
  }
  override get original() {
    return this.#original;
  }
  override reinterpret() {
    return this.#original;
  }
}

/** An i64 that is the sign-extension of an i32. */
class Narrow extends Expr {
  readonly #value: Expr;
  readonly #half: Expr;
  constructor(value: Expr, half: Expr) {
    super('i64');
    this.#value = value;
    this.#half = half;
  }
  override get half() {
    return this.#half;
  }
  emit(out: Bytes) {
    this.#value.emit(out);
  }
}

/** A variable that is known to hold the sign-extension of an i32. */
export const narrow = (variable: Expr): Expr => new Narrow(variable, variable.wrap());

class Binary extends Expr {
  readonly #op: number;
  readonly #a: Expr;
  readonly #b: Expr;
  constructor(type: Type, op: number, a: Expr, b: Expr) {
    super(type);
    this.#op = op;
    this.#a = a;
    this.#b = b;
  }
  override wrap(): Expr {
    const op = LOW_HALF.get(this.#op);
    return op === undefined ? super.wrap() : new Binary('i32', op, this.#a.wrap(), this.#b.wrap());
  }
  emit(out: Bytes) {
    this.#a.emit(out);
    this.#b.emit(out);
    out.u8(this.#op);
  }
}

class Comparison extends Binary {
  constructor(op: number, a: Expr, b: Expr) {
    super('i32', op, a, b);
  }
  protected override get isTruth() {
    return true;
  }
}

class Test extends Unary {
  constructor(op: number, a: Expr) {
    super('i32', op, a);
  }
  protected override get isTruth() {
    return true;
  }
}

class Select extends Expr {
  readonly #condition: Expr;
  readonly #yes: Expr;
  readonly #no: Expr;
  constructor(condition: Expr, yes: Expr, no: Expr) {
    super(yes.type);
    this.#condition = condition;
    this.#yes = yes;
    this.#no = no;
  }
  emit(out: Bytes) {
    this.#yes.emit(out);
    this.#no.emit(out);
    this.#condition.emit(out);
    out.u8(0x1b);
  }
}

export class Const extends Expr {
  readonly value: number | bigint;
  constructor(type: Type, value: number | bigint) {
    super(type);
    this.value = value;
  }
  override get half(): Expr | null {
    if (this.type !== 'i64') return null;
    const value = Number(this.value);
    return value === (value | 0) ? new Const('i32', value) : null;
  }
  override wrap(): Expr {
    return this.half ?? new Const('i32', Number(BigInt.asIntN(32, BigInt(this.value))));
  }
  /** A whole number that fits in 31 bits, so that whatever is masked with it fits, too. */
  get isSmall(): boolean {
    return this.value >= 0 && this.value < 2 ** 31;
  }
  emit(out: Bytes) {
    switch (this.type) {
      case 'i32':
        out.u8(0x41);
        out.s32(Number(this.value) | 0);
        break;
      case 'i64':
        out.u8(0x42);
        // A number below 2^31 has the same encoding in both widths, and BigInts are slow.
        if (typeof this.value === 'number' && this.value === (this.value | 0)) out.s32(this.value);
        else out.s64(BigInt(this.value));
        break;
      default: {
        const bits = new DataView(new ArrayBuffer(8));
        const single = this.type === 'f32';
        if (single) bits.setFloat32(0, Number(this.value), true);
        else bits.setFloat64(0, Number(this.value), true);
        out.u8(single ? 0x43 : 0x44);
        out.fixed(bits.getBigUint64(0, true), single ? 4 : 8);
      }
    }
  }
}

/** A local variable or parameter; as an expression, its value at that moment. */
export class Local extends Expr {
  readonly index: number;
  constructor(type: Type, index: number) {
    super(type);
    this.index = index;
  }
  emit(out: Bytes) {
    out.u8(0x20);
    out.u32(this.index);
  }
}

const LOADS = {
  i32: [0x28, 'i32'],
  i64: [0x29, 'i64'],
  f32: [0x2a, 'f32'],
  f64: [0x2b, 'f64'],
  s8: [0x2c, 'i32'],
  u8: [0x2d, 'i32'],
  s16: [0x2e, 'i32'],
  u16: [0x2f, 'i32'],
  s8x64: [0x30, 'i64'],
  u8x64: [0x31, 'i64'],
  s16x64: [0x32, 'i64'],
  u16x64: [0x33, 'i64'],
  s32x64: [0x34, 'i64'],
  u32x64: [0x35, 'i64'],
} as const;
/** How a load reads memory: `s16x64` is 16 bits, sign-extended to an i64. */
export type LoadKind = keyof typeof LOADS;

class Load extends Expr {
  readonly #address: Expr;
  readonly #op: number;
  readonly #offset: number;
  constructor(type: Type, op: number, address: Expr, offset: number) {
    super(type);
    this.#op = op;
    this.#address = address;
    this.#offset = offset;
  }
  emit(out: Bytes) {
    this.#address.emit(out);
    out.u8(this.#op);
    out.u8(0); // alignment is only a hint; guest addresses promise none
    out.u32(this.#offset);
  }
}

/** Reads memory at `address + offset` (bytes; the address is an unsigned i32) when the expression is evaluated. */
export function load(kind: LoadKind, address: Expr, offset = 0): Expr {
  const [op, type] = LOADS[kind];
  return new Load(type, op, address, offset);
}

/** a * b + c of floats in one vector lane: the host may round once or twice (relaxed SIMD proposal, relaxed_madd). */
class RelaxedMadd extends Expr {
  readonly #operands: readonly Expr[];
  constructor(operands: readonly Expr[]) {
    super(operands[0].type);
    assert(this.type === 'f32' || this.type === 'f64', 'relaxedMadd takes floats');
    this.#operands = operands;
  }
  emit(out: Bytes) {
    const [splat, madd, extractLane] = this.type === 'f32' ? [0x13, 0x105, 0x1f] : [0x14, 0x107, 0x21];
    for (const operand of this.#operands) {
      operand.emit(out);
      out.u8(0xfd);
      out.u32(splat);
    }
    out.u8(0xfd);
    out.u32(madd);
    out.u8(0xfd);
    out.u32(extractLane);
    out.u8(0);
  }
}

export const relaxedMadd = (a: Expr, b: Expr, c: Expr): Expr => new RelaxedMadd([a, b, c]);

/** A function that expressions can call. */
export interface Callee {
  readonly name: string;
  readonly index: number;
  readonly params: readonly Type[];
  readonly result: Type | null;
}

export class Call extends Expr {
  readonly #callee: Callee;
  readonly #args: readonly Expr[];
  constructor(callee: Callee, args: readonly Value[]) {
    super(callee.result ?? 'i32');
    assert(args.length === callee.params.length, `${callee.name} takes ${callee.params.length} arguments`);
    this.#callee = callee;
    this.#args = args.map((arg, i) => coerce(arg, callee.params[i]));
    this.#args.forEach((arg, i) => {
      const wanted = callee.params[i];
      if (arg.type !== wanted) assert(false, `${callee.name}: argument ${i} is ${wanted}, not ${arg.type}`);
    });
  }
  emit(out: Bytes) {
    for (const arg of this.#args) arg.emit(out);
    out.u8(0x10);
    out.u32(this.#callee.index);
  }
}

/** A call through the module's table of functions. */
export class CallIndirect extends Expr {
  readonly #signature: { readonly type: number; readonly params: readonly Type[] };
  readonly #args: readonly Expr[];
  readonly #index: Expr;
  constructor(signature: Signature, index: Expr, args: readonly Value[]) {
    super(signature.result);
    this.#signature = signature;
    this.#index = index;
    this.#args = args.map((arg, i) => coerce(arg, signature.params[i]));
  }
  emit(out: Bytes) {
    for (const arg of this.#args) arg.emit(out);
    this.#index.emit(out);
    out.u8(0x11);
    out.u32(this.#signature.type);
    out.u32(0);
  }
}

/** The type of functions in the table. */
export interface Signature {
  /** Index among the module's types. */
  readonly type: number;
  readonly params: readonly Type[];
  readonly result: Type;
}

export const i32 = (value: number): Expr => new Const('i32', value);
export const i64 = (value: number | bigint): Expr => new Const('i64', value);
export const f32 = (value: number): Expr => new Const('f32', value);
export const f64 = (value: number): Expr => new Const('f64', value);

export function coerce(value: Value, type: Type): Expr {
  return value instanceof Expr ? value : new Const(type, value);
}
