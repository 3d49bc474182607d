/** C's arithmetic on values: promotions, conversions, operators (C11, 6.3.1 and 6.5). */
import { Unavailable } from '../dwarf/expression.ts';
import { floatOf, isSigned, numberOf } from '../format.ts';
import { BaseType, type EnumType, type PlainType, PointerType, stripped, type Type, typeName, VOID } from '../types.ts';
import type { MachineFrame } from '../unwind.ts';
import { Value } from '../value.ts';
import { ExpressionError } from './lexer.ts';

const base = (name: string, size: number, encoding: BaseType['encoding']) => new BaseType(name, size, encoding);

/** The types that C itself has, with the sizes of the LP64 data model. */
export const C_TYPES: Readonly<Record<string, Type>> = {
  void: VOID,
  char: base('char', 1, 'unsigned char'),
  'signed char': base('signed char', 1, 'char'),
  'unsigned char': base('unsigned char', 1, 'unsigned char'),
  short: base('short', 2, 'signed'),
  'unsigned short': base('unsigned short', 2, 'unsigned'),
  int: base('int', 4, 'signed'),
  'unsigned int': base('unsigned int', 4, 'unsigned'),
  long: base('long', 8, 'signed'),
  'unsigned long': base('unsigned long', 8, 'unsigned'),
  'long long': base('long long', 8, 'signed'),
  'unsigned long long': base('unsigned long long', 8, 'unsigned'),
  float: base('float', 4, 'float'),
  double: base('double', 8, 'float'),
  'long double': base('long double', 16, 'float'),
  _Bool: base('_Bool', 1, 'boolean'),
};

export const INT = C_TYPES.int as BaseType;
export const UINT = C_TYPES['unsigned int'] as BaseType;
export const LONG = C_TYPES.long as BaseType;
export const ULONG = C_TYPES['unsigned long'] as BaseType;
export const CHAR = C_TYPES.char as BaseType;
export const FLOAT = C_TYPES.float as BaseType;
export const DOUBLE = C_TYPES.double as BaseType;

/** An operand as arithmetic sees it. */
export type Operand =
  | { readonly kind: 'integer'; readonly value: bigint; readonly type: BaseType }
  | { readonly kind: 'float'; readonly value: number; readonly type: BaseType }
  | { readonly kind: 'pointer'; readonly value: bigint; readonly type: PointerType };

/** A value as an operand: enumerations as integers, arrays and functions as pointers to them. */
export function operandOf(value: Value): Operand {
  const { plain } = value;
  switch (plain.kind) {
    case 'base': {
      if (plain.encoding === 'complex') break;
      if (plain.encoding === 'float') return { kind: 'float', value: floatOf(value), type: plain };
      return { kind: 'integer', value: numberOf(value), type: promoted(plain, value.bits?.size) };
    }
    case 'enum':
      return { kind: 'integer', value: numberOf(value), type: integerOf(plain) };
    case 'pointer':
      return { kind: 'pointer', value: value.raw, type: plain };
    case 'array':
    case 'function': {
      const { address } = value;
      if (address === null) break;
      const target = () => (plain.kind === 'array' ? plain.element : plain);
      return { kind: 'pointer', value: address, type: new PointerType(target) };
    }
    case 'struct':
    case 'unknown':
    case 'void':
  }
  throw new ExpressionError(`a value of type '${typeName(value.type)}' is not a number`);
}

/** The type in which a number of a type is an operand: what is smaller than an int becomes one; of a bit-field, its own width decides (6.3.1.1). */
export function promoted(type: BaseType, fieldBits: number | undefined): BaseType {
  const bits = fieldBits ?? type.size * 8;
  const signed = isSigned(type);
  if (bits < 32 || (bits === 32 && signed && type.size <= 4)) return INT;
  if (type.size > 8) return type;
  return type.size > 4 ? (signed ? LONG : ULONG) : UINT;
}

/** The type in which an enumeration is an operand. */
export function integerOf({ size, signed }: EnumType): BaseType {
  return size > 4 ? (signed ? LONG : ULONG) : signed ? INT : UINT;
}

/** Whether a value counts as true. */
export function isTrue(value: Value): boolean {
  const operand = operandOf(value);
  return operand.kind === 'float' ? operand.value !== 0 : operand.value !== 0n;
}

export function unary(frame: MachineFrame, operator: '-' | '+' | '!' | '~', value: Value): Value {
  if (operator === '!') return Value.ofInteger(frame, INT, isTrue(value) ? 0n : 1n);
  const operand = operandOf(value);
  if (operand.kind === 'float' && operator !== '~') {
    return floatValue(frame, operand.type, operator === '-' ? -operand.value : operand.value);
  }
  if (operand.kind !== 'integer') throw new ExpressionError(`'${operator}' needs a number`);
  const result = operator === '-' ? -operand.value : operator === '~' ? ~operand.value : operand.value;
  return Value.ofInteger(frame, operand.type, result);
}

export function binary(frame: MachineFrame, operator: string, left: Value, right: Value): Value {
  const [a, b] = [operandOf(left), operandOf(right)];
  if (a.kind === 'pointer' || b.kind === 'pointer') return pointerArithmetic(frame, operator, a, b);
  if (operator === '<<' || operator === '>>') {
    if (a.kind !== 'integer' || b.kind !== 'integer') throw new ExpressionError(`'${operator}' needs whole numbers`);
    // More than the width is undefined in C; here all bits are gone.
    const bits = BigInt(a.type.size * 8);
    const by = b.value < 0n || b.value > bits ? bits : b.value;
    return Value.ofInteger(frame, a.type, operator === '<<' ? a.value << by : a.value >> by);
  }
  if (a.kind === 'float' || b.kind === 'float') {
    const wide = [a, b].some((o) => o.kind === 'float' && o.type.size > 4);
    return floatArithmetic(frame, operator, Number(a.value), Number(b.value), wide ? DOUBLE : FLOAT);
  }
  return integerArithmetic(frame, operator, a.value, b.value, common(a.type, b.type));
}

/** The type in which two integers meet (6.3.1.8). */
export function common(a: BaseType, b: BaseType): BaseType {
  if (a.size !== b.size) return a.size > b.size ? a : b;
  return a.encoding === 'unsigned' ? a : b;
}

function compared<T extends bigint | number>(operator: string, a: T, b: T): boolean | null {
  switch (operator) {
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '>':
      return a > b;
    case '<=':
      return a <= b;
    case '>=':
      return a >= b;
    default:
      return null;
  }
}

function integerArithmetic(frame: MachineFrame, operator: string, left: bigint, right: bigint, type: BaseType): Value {
  const bits = type.size * 8;
  const convert = (value: bigint) =>
    type.encoding === 'signed' ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  const [a, b] = [convert(left), convert(right)];
  const truth = compared(operator, a, b);
  if (truth !== null) return Value.ofInteger(frame, INT, truth ? 1n : 0n);
  return Value.ofInteger(frame, type, whole(operator, a, b));
}

function whole(operator: string, a: bigint, b: bigint): bigint {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
    case '%':
      if (b === 0n) throw new ExpressionError('division by zero');
      return operator === '/' ? a / b : a % b;
    case '&':
      return a & b;
    case '|':
      return a | b;
    case '^':
      return a ^ b;
    default:
      throw new ExpressionError(`'${operator}' cannot be used here`);
  }
}

function floatArithmetic(frame: MachineFrame, operator: string, a: number, b: number, type: BaseType): Value {
  const truth = compared(operator, a, b);
  if (truth !== null) return Value.ofInteger(frame, INT, truth ? 1n : 0n);
  switch (operator) {
    case '+':
      return floatValue(frame, type, a + b);
    case '-':
      return floatValue(frame, type, a - b);
    case '*':
      return floatValue(frame, type, a * b);
    case '/':
      return floatValue(frame, type, a / b);
    default:
      throw new ExpressionError(`'${operator}' needs whole numbers`);
  }
}

function pointerArithmetic(frame: MachineFrame, operator: string, a: Operand, b: Operand): Value {
  if (a.kind === 'float' || b.kind === 'float') throw new ExpressionError(`'${operator}' of an address and a fraction`);
  const truth = compared(operator, BigInt.asUintN(64, a.value), BigInt.asUintN(64, b.value));
  if (truth !== null) return Value.ofInteger(frame, INT, truth ? 1n : 0n);
  if (operator === '-' && a.kind === 'pointer' && b.kind === 'pointer') {
    return Value.ofInteger(frame, LONG, BigInt.asIntN(64, a.value - b.value) / step(a.type));
  }
  const [pointer, number] = a.kind === 'pointer' ? [a, b] : [b as Operand & { kind: 'pointer' }, a];
  if (number.kind === 'pointer' || (operator !== '+' && operator !== '-') || (operator === '-' && pointer !== a)) {
    // As gdb has it, so that bits of addresses can be looked at.
    if (operator === '&' || operator === '|' || operator === '^' || operator === '%') {
      return integerArithmetic(frame, operator, a.value, b.value, ULONG);
    }
    throw new ExpressionError(`'${operator}' of addresses makes no sense`);
  }
  const distance = number.value * step(pointer.type);
  return Value.ofInteger(frame, pointer.type, pointer.value + (operator === '+' ? distance : -distance));
}

/** Bytes from one object that a pointer points to, to the next. */
function step(pointer: PointerType): bigint {
  const { size } = pointer.target;
  if (size === null) throw new Unavailable(`${typeName(pointer.target)} is not defined in the symbol file`);
  return BigInt(Math.max(size, 1));
}

export function floatValue(frame: MachineFrame, type: BaseType, value: number): Value {
  const view = new DataView(new ArrayBuffer(8));
  const single = type.size === 4;
  if (single) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  // Wider formats are made in the width of a double, which they are shown with.
  return Value.ofBytes(frame, single ? type : DOUBLE, new Uint8Array(view.buffer, 0, single ? 4 : 8));
}

/** A cast (6.5.4). */
export function cast(frame: MachineFrame, value: Value, type: Type, plain: PlainType): Value {
  switch (plain.kind) {
    case 'base': {
      const operand = operandOf(value);
      if (plain.encoding === 'float')
        return floatValue(frame, plain.size === 4 ? plain : DOUBLE, Number(operand.value));
      if (plain.encoding === 'boolean') return Value.ofInteger(frame, type, isTrue(value) ? 1n : 0n);
      if (plain.encoding === 'complex') break;
      const number = operand.kind === 'float' ? truncated(operand.value) : operand.value;
      return Value.ofInteger(frame, type, number);
    }
    case 'enum':
    case 'pointer': {
      // A pointer that was optimised out still leads to what it points to.
      if (value.storage.kind === 'pointer' && plain.kind === 'pointer') return new Value(frame, type, value.storage);
      const operand = operandOf(value);
      return Value.ofInteger(frame, type, operand.kind === 'float' ? truncated(operand.value) : operand.value);
    }
    case 'void':
      return Value.ofBytes(frame, type, new Uint8Array(0));
    case 'struct':
    case 'array':
      // Another look at the same memory.
      if (value.address !== null || value.type.size === plain.size) return value.as(type);
      break;
    case 'function':
    case 'unknown':
  }
  throw new ExpressionError(`a value of type '${typeName(value.type)}' cannot become '${typeName(type)}'`);
}

/** A value as one of another type, as an assignment makes it (6.5.16.1). */
export function castTo(value: Value, type: Type): Value {
  return cast(value.frame, value, type, stripped(type));
}

function truncated(value: number): bigint {
  if (!Number.isFinite(value)) throw new ExpressionError(`${value} is not a whole number`);
  return BigInt(Math.trunc(value));
}

export function stringValue(frame: MachineFrame, type: Type, text: string): Value {
  return Value.ofBytes(frame, type, new TextEncoder().encode(`${text}\0`));
}
