/** DWARF expressions: small programs that say where a value is, or what it is (DWARF 5, 2.5, 2.6 and 7.7). */
import { Cursor, type Span } from '../cursor.ts';
import { DW_AT, DW_ATE } from './constants.ts';
import type { Unit } from './unit.ts';

/** A value that cannot be had: optimised out, in a register that was not saved, in memory that is not mapped. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/** Where a value is. */
export type Place =
  | { readonly kind: 'memory'; readonly address: bigint }
  | { readonly kind: 'register'; readonly register: number }
  /** It is nowhere, but known: its bytes. */
  | { readonly kind: 'implicit'; readonly bytes: Uint8Array }
  /** A pointer that does not exist, to a variable that is not in memory: its entry, and the offset into it. */
  | { readonly kind: 'implicitPointer'; readonly die: number; readonly offset: bigint }
  | { readonly kind: 'optimizedOut' }
  | { readonly kind: 'pieces'; readonly pieces: readonly Piece[] };

export interface Piece {
  readonly place: Exclude<Place, { kind: 'pieces' }>;
  /** Bits of the piece, and where in its place they begin. */
  readonly bits: number;
  readonly bitOffset: number;
}

/** What an expression may ask for. Each throws `Unavailable` where it has no answer. */
export interface ExpressionContext {
  /** For addresses and types by number; null in call frame information, which has none. */
  readonly unit: Unit | null;
  /** Added to addresses that the file gives. */
  readonly bias: bigint;
  register(number: number): bigint;
  read(address: bigint, length: number): Uint8Array;
  cfa(): bigint;
  frameBase(): bigint;
  /** What an expression gave when the function was entered. */
  entryValue(expression: Span): bigint;
  /** Address of the object that the expression is about, where there is one. */
  readonly objectAddress?: bigint;
}

const OP = {
  addr: 0x03,
  deref: 0x06,
  const1u: 0x08,
  const1s: 0x09,
  const2u: 0x0a,
  const2s: 0x0b,
  const4u: 0x0c,
  const4s: 0x0d,
  const8u: 0x0e,
  const8s: 0x0f,
  constu: 0x10,
  consts: 0x11,
  dup: 0x12,
  drop: 0x13,
  over: 0x14,
  pick: 0x15,
  swap: 0x16,
  rot: 0x17,
  abs: 0x19,
  and: 0x1a,
  div: 0x1b,
  minus: 0x1c,
  mod: 0x1d,
  mul: 0x1e,
  neg: 0x1f,
  not: 0x20,
  or: 0x21,
  plus: 0x22,
  plus_uconst: 0x23,
  shl: 0x24,
  shr: 0x25,
  shra: 0x26,
  xor: 0x27,
  bra: 0x28,
  eq: 0x29,
  ge: 0x2a,
  gt: 0x2b,
  le: 0x2c,
  lt: 0x2d,
  ne: 0x2e,
  skip: 0x2f,
  lit0: 0x30,
  reg0: 0x50,
  breg0: 0x70,
  regx: 0x90,
  fbreg: 0x91,
  bregx: 0x92,
  piece: 0x93,
  deref_size: 0x94,
  nop: 0x96,
  push_object_address: 0x97,
  form_tls_address: 0x9b,
  call_frame_cfa: 0x9c,
  bit_piece: 0x9d,
  implicit_value: 0x9e,
  stack_value: 0x9f,
  implicit_pointer: 0xa0,
  addrx: 0xa1,
  constx: 0xa2,
  entry_value: 0xa3,
  const_type: 0xa4,
  regval_type: 0xa5,
  deref_type: 0xa6,
  convert: 0xa8,
  reinterpret: 0xa9,
  GNU_push_tls_address: 0xe0,
  GNU_uninit: 0xf0,
  GNU_implicit_pointer: 0xf2,
  GNU_entry_value: 0xf3,
  GNU_const_type: 0xf4,
  GNU_regval_type: 0xf5,
  GNU_deref_type: 0xf6,
  GNU_convert: 0xf7,
  GNU_reinterpret: 0xf9,
  GNU_parameter_ref: 0xfa,
  GNU_addr_index: 0xfb,
  GNU_const_index: 0xfc,
} as const;

/** A base type that a value on the stack has; null for the generic one, a word of the machine. */
interface StackType {
  readonly size: number;
  readonly float: boolean;
  readonly signed: boolean;
}

/** A value as its bits, below 2^(8 * size). */
interface StackValue {
  readonly bits: bigint;
  readonly type: StackType | null;
}

/** Expressions are loops only if they are garbled, and then they need an end. */
const STEPS_MAX = 10_000;
const STACK_MAX = 1000;
const PIECES_MAX = 1000;
const GENERIC: StackType = { size: 8, float: false, signed: true };

/** What an expression gives as a location. An empty one is that of a value that was optimised out. */
export function evaluateLocation(expression: Span, context: ExpressionContext, initial: readonly bigint[] = []): Place {
  return new Evaluation(expression, context, initial).location();
}

/** What an expression gives as a number. */
export function evaluateNumber(expression: Span, context: ExpressionContext, initial: readonly bigint[] = []): bigint {
  return new Evaluation(expression, context, initial).number();
}

/** The register that an expression of a single DW_OP_reg names; null for any other. */
export function singleRegister(expression: Span): number | null {
  const first = expression.bytes[0];
  if (expression.bytes.length === 1 && first >= OP.reg0 && first < OP.reg0 + 32) return first - OP.reg0;
  if (first !== OP.regx) return null;
  const cursor = Cursor.on(expression);
  cursor.skip(1);
  const register = cursor.uleb();
  return cursor.done ? register : null;
}

class Evaluation {
  readonly #cursor: Cursor;
  readonly #context: ExpressionContext;
  readonly #stack: StackValue[];
  /** What the last operation said about the location, if it did not leave an address. */
  #place: Exclude<Place, { kind: 'pieces' }> | null = null;
  readonly #pieces: Piece[] = [];

  constructor(expression: Span, context: ExpressionContext, initial: readonly bigint[]) {
    this.#cursor = Cursor.on(expression);
    this.#context = context;
    this.#stack = initial.map((bits) => ({ bits, type: null }));
  }

  location(): Place {
    this.#run();
    if (this.#pieces.length > 0) return { kind: 'pieces', pieces: this.#pieces };
    return this.#here();
  }

  number(): bigint {
    this.#run();
    if (this.#pieces.length > 0) throw new Unavailable('a value in pieces where a number is needed');
    if (this.#place?.kind === 'register') return this.#context.register(this.#place.register);
    if (this.#place?.kind === 'implicit') return littleEndian(this.#place.bytes);
    if (this.#place) throw new Unavailable('optimized out');
    return this.#pop().bits;
  }

  #here(): Exclude<Place, { kind: 'pieces' }> {
    if (this.#place) return this.#place;
    if (this.#stack.length === 0) return { kind: 'optimizedOut' };
    return { kind: 'memory', address: this.#pop().bits };
  }

  #run(): void {
    const cursor = this.#cursor;
    for (let steps = 0; !cursor.done; steps++) {
      if (steps === STEPS_MAX) cursor.fail('the expression does not end');
      const opcode = cursor.u8();
      // Behind a location there can only be its end as a piece.
      if (this.#place && opcode !== OP.piece && opcode !== OP.bit_piece && opcode !== OP.GNU_uninit) {
        cursor.fail(`operation 0x${opcode.toString(16)} behind a complete location`);
      }
      this.#operation(opcode);
    }
  }

  #push(bits: bigint, type: StackType | null = null): undefined {
    if (this.#stack.length >= STACK_MAX) this.#cursor.fail('the stack is full');
    this.#stack.push({ bits: BigInt.asUintN((type ?? GENERIC).size * 8, bits), type });
  }
  #pop(): StackValue {
    return this.#stack.pop() ?? this.#cursor.fail('the stack is empty');
  }
  #peek(depth: number): StackValue {
    return this.#stack[this.#stack.length - 1 - depth] ?? this.#cursor.fail('the stack has too few values');
  }

  #operation(opcode: number): undefined {
    const cursor = this.#cursor;
    const context = this.#context;
    if (opcode >= OP.lit0 && opcode < OP.lit0 + 32) return this.#push(BigInt(opcode - OP.lit0));
    if (opcode >= OP.reg0 && opcode < OP.reg0 + 32) {
      this.#place = { kind: 'register', register: opcode - OP.reg0 };
      return;
    }
    if (opcode >= OP.breg0 && opcode < OP.breg0 + 32) {
      const offset = cursor.slebBig();
      return this.#push(context.register(opcode - OP.breg0) + offset);
    }
    switch (opcode) {
      case OP.addr:
        return this.#push(cursor.unsigned(this.#addressSize) + context.bias);
      case OP.addrx:
      case OP.GNU_addr_index:
        return this.#push(this.#unit().addressAt(cursor.uleb()) + context.bias);
      case OP.constx:
      case OP.GNU_const_index:
        return this.#push(this.#unit().addressAt(cursor.uleb()));
      case OP.const1u:
        return this.#push(BigInt(cursor.u8()));
      case OP.const1s:
        return this.#push(BigInt(cursor.i8()));
      case OP.const2u:
        return this.#push(BigInt(cursor.u16()));
      case OP.const2s:
        return this.#push(BigInt(cursor.i16()));
      case OP.const4u:
        return this.#push(BigInt(cursor.u32()));
      case OP.const4s:
        return this.#push(BigInt(cursor.i32()));
      case OP.const8u:
        return this.#push(cursor.u64());
      case OP.const8s:
        return this.#push(cursor.i64());
      case OP.constu:
        return this.#push(cursor.ulebBig());
      case OP.consts:
        return this.#push(cursor.slebBig());
      case OP.regx:
        this.#place = { kind: 'register', register: cursor.uleb() };
        return;
      case OP.bregx: {
        const register = cursor.uleb();
        return this.#push(context.register(register) + cursor.slebBig());
      }
      case OP.fbreg: {
        const offset = cursor.slebBig();
        return this.#push(context.frameBase() + offset);
      }
      case OP.call_frame_cfa:
        return this.#push(context.cfa());
      case OP.push_object_address:
        if (context.objectAddress === undefined) throw new Unavailable('the address of the object is not known');
        return this.#push(context.objectAddress);
      case OP.entry_value:
      case OP.GNU_entry_value:
        return this.#push(context.entryValue(cursor.span(cursor.uleb())));
      case OP.form_tls_address:
      case OP.GNU_push_tls_address:
        throw new Unavailable('thread-local storage');
      case OP.GNU_parameter_ref:
        throw new Unavailable('optimized out');
      case OP.stack_value: {
        const { bits, type } = this.#pop();
        this.#place = { kind: 'implicit', bytes: toBytes(bits, (type ?? GENERIC).size) };
        return;
      }
      case OP.implicit_value:
        this.#place = { kind: 'implicit', bytes: cursor.block(cursor.uleb()) };
        return;
      case OP.implicit_pointer:
      case OP.GNU_implicit_pointer: {
        const unit = this.#unit();
        const die = unit.version === 2 ? Number(cursor.unsigned(unit.addressSize)) : cursor.offsetOf(unit.offsetSize);
        this.#place = { kind: 'implicitPointer', die, offset: cursor.slebBig() };
        return;
      }
      case OP.piece:
        return this.#piece(cursor.uleb() * 8, 0);
      case OP.bit_piece: {
        const bits = cursor.uleb();
        return this.#piece(bits, cursor.uleb());
      }
      case OP.nop:
      case OP.GNU_uninit:
        return;
      case OP.bra:
      case OP.skip: {
        const distance = cursor.i16();
        if (opcode === OP.bra && this.#pop().bits === 0n) return;
        const to = cursor.at + distance;
        if (to < 0 || to > cursor.end) cursor.fail('a branch leaves the expression');
        cursor.at = to;
        return;
      }
      case OP.deref:
        return this.#deref(this.#addressSize, null);
      case OP.deref_size:
        return this.#deref(cursor.u8(), null);
      case OP.deref_type:
      case OP.GNU_deref_type: {
        const size = cursor.u8();
        return this.#deref(size, this.#type(cursor.uleb()));
      }
      case OP.const_type:
      case OP.GNU_const_type: {
        const type = this.#type(cursor.uleb());
        return this.#push(littleEndian(cursor.block(cursor.u8())), type);
      }
      case OP.regval_type:
      case OP.GNU_regval_type: {
        const register = cursor.uleb();
        return this.#push(context.register(register), this.#type(cursor.uleb()));
      }
      case OP.convert:
      case OP.GNU_convert: {
        const type = this.#type(cursor.uleb());
        return this.#push(convert(this.#pop(), type ?? GENERIC), type);
      }
      case OP.reinterpret:
      case OP.GNU_reinterpret: {
        const type = this.#type(cursor.uleb());
        return this.#push(this.#pop().bits, type);
      }
      case OP.dup:
        return this.#copy(0);
      case OP.over:
        return this.#copy(1);
      case OP.pick:
        return this.#copy(cursor.u8());
      case OP.drop:
        this.#pop();
        return;
      case OP.swap: {
        const [top, next] = [this.#pop(), this.#pop()];
        this.#stack.push(top, next);
        return;
      }
      case OP.rot: {
        const [first, second, third] = [this.#pop(), this.#pop(), this.#pop()];
        this.#stack.push(first, third, second);
        return;
      }
      case OP.plus_uconst: {
        const { bits, type } = this.#pop();
        return this.#push(bits + cursor.ulebBig(), type);
      }
      case OP.abs: {
        const value = this.#pop();
        const signed = signedOf(value);
        return this.#push(signed < 0n ? -signed : signed, value.type);
      }
      case OP.neg: {
        const value = this.#pop();
        if (value.type?.float) return this.#push(fromFloat(-toFloat(value), value.type), value.type);
        return this.#push(-value.bits, value.type);
      }
      case OP.not: {
        const { bits, type } = this.#pop();
        return this.#push(~bits, type);
      }
      default:
        return this.#binary(opcode);
    }
  }

  get #addressSize(): number {
    return this.#context.unit?.addressSize ?? 8;
  }
  #unit(): Unit {
    return this.#context.unit ?? this.#cursor.fail('an operation that needs a unit');
  }

  #copy(depth: number): undefined {
    const { bits, type } = this.#peek(depth);
    this.#push(bits, type);
  }

  #piece(bits: number, bitOffset: number): undefined {
    if (this.#pieces.length >= PIECES_MAX) this.#cursor.fail('too many pieces');
    this.#pieces.push({ place: this.#here(), bits, bitOffset });
    this.#place = null;
  }

  #deref(size: number, type: StackType | null): undefined {
    if (size < 1 || size > 16) this.#cursor.fail(`${size} bytes are read; 1 to 16 are possible`);
    const { bits } = this.#pop();
    this.#push(littleEndian(this.#context.read(bits, size)), type);
  }

  /** A base type by its offset in the unit; 0 is the generic type. */
  #type(offset: number): StackType | null {
    if (offset === 0) return null;
    const die = this.#unit().dieAt(offset);
    const size = die.number(DW_AT.byte_size) ?? 0;
    if (size < 1 || size > 16) this.#cursor.fail(`a base type of ${size} bytes`);
    const encoding = die.number(DW_AT.encoding);
    const signed = encoding === DW_ATE.signed || encoding === DW_ATE.signed_char;
    return { size, float: encoding === DW_ATE.float, signed };
  }

  #binary(opcode: number): undefined {
    const right = this.#pop();
    const left = this.#pop();
    const { type } = left;
    if (type?.float) return this.#floatBinary(opcode, left, right, type);
    const [a, b] = [left.bits, right.bits];
    const [sa, sb] = [signedOf(left), signedOf(right)];
    const bits = BigInt((type ?? GENERIC).size * 8);
    const unsignedType = type !== null && !type.signed;
    const divisor = () => (b === 0n ? this.#cursor.fail('division by zero') : b);
    switch (opcode) {
      case OP.and:
        return this.#push(a & b, type);
      case OP.or:
        return this.#push(a | b, type);
      case OP.xor:
        return this.#push(a ^ b, type);
      case OP.plus:
        return this.#push(a + b, type);
      case OP.minus:
        return this.#push(a - b, type);
      case OP.mul:
        return this.#push(a * b, type);
      case OP.div:
        divisor();
        return this.#push(unsignedType ? a / b : sa / sb, type);
      case OP.mod:
        // Unsigned for the generic type, as all implementations have it.
        divisor();
        return this.#push(type?.signed ? sa % sb : a % b, type);
      case OP.shl:
        return this.#push(b >= bits ? 0n : a << b, type);
      case OP.shr:
        return this.#push(b >= bits ? 0n : a >> b, type);
      case OP.shra:
        return this.#push(sa >> (b >= bits ? bits : b), type);
    }
    const [x, y] = unsignedType ? [a, b] : [sa, sb];
    const result = compare(opcode, x < y ? -1 : x > y ? 1 : 0);
    if (result === null) this.#cursor.fail(`operation 0x${opcode.toString(16)} is not known`);
    this.#push(result ? 1n : 0n);
  }

  #floatBinary(opcode: number, left: StackValue, right: StackValue, type: StackType): undefined {
    const [a, b] = [toFloat(left), toFloat(right)];
    switch (opcode) {
      case OP.plus:
        return this.#push(fromFloat(a + b, type), type);
      case OP.minus:
        return this.#push(fromFloat(a - b, type), type);
      case OP.mul:
        return this.#push(fromFloat(a * b, type), type);
      case OP.div:
        return this.#push(fromFloat(a / b, type), type);
    }
    const result = compare(opcode, a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.NaN);
    if (result === null) this.#cursor.fail(`operation 0x${opcode.toString(16)} is not known`);
    this.#push(result ? 1n : 0n);
  }
}

/** A comparison by the sign of the difference; null for an operation that is none. */
function compare(opcode: number, sign: number): boolean | null {
  switch (opcode) {
    case OP.eq:
      return sign === 0;
    case OP.ne:
      return sign !== 0;
    case OP.lt:
      return sign < 0;
    case OP.le:
      return sign <= 0;
    case OP.gt:
      return sign > 0;
    case OP.ge:
      return sign >= 0;
    default:
      return null;
  }
}

function signedOf({ bits, type }: StackValue): bigint {
  return BigInt.asIntN((type ?? GENERIC).size * 8, bits);
}

function toFloat({ bits, type }: StackValue): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt.asUintN(64, bits));
  return type?.size === 4 ? view.getFloat32(4) : view.getFloat64(0);
}

function fromFloat(value: number, type: StackType): bigint {
  const view = new DataView(new ArrayBuffer(8));
  if (type.size === 4) {
    view.setFloat32(0, value);
    return BigInt(view.getUint32(0));
  }
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

/** The bits of a value in another type (DW_OP_convert). */
function convert(value: StackValue, to: StackType): bigint {
  const from = value.type ?? { ...GENERIC, signed: false };
  if (from.float && to.float) return fromFloat(toFloat(value), to);
  if (from.float) {
    const number = Math.trunc(toFloat(value));
    return Number.isFinite(number) ? BigInt(number) : 0n;
  }
  const whole = from.signed ? signedOf(value) : value.bits;
  return to.float ? fromFloat(Number(whole), to) : whole;
}

export function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}

export function toBytes(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let left = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++) {
    bytes[i] = Number(left & 0xffn);
    left >>= 8n;
  }
  return bytes;
}
