/** What C expressions are worth in a frame. Nothing is ever written: assignments are refused, and are the caller's to make from `Value.target`. */
import { Unavailable } from '../dwarf/expression.ts';
import { FORMATS, type Format } from '../format.ts';
import type { Frame } from '../frames.ts';
import { registerNumber } from '../riscv.ts';
import { ArrayType, type Member, PointerType, type StructType, stripped, type Type, typeName, VOID } from '../types.ts';
import type { MachineFrame } from '../unwind.ts';
import { Value } from '../value.ts';
import {
  binary,
  C_TYPES,
  CHAR,
  cast,
  DOUBLE,
  FLOAT,
  floatValue,
  INT,
  isTrue,
  LONG,
  operandOf,
  stringValue,
  UINT,
  ULONG,
  unary,
} from './arithmetic.ts';
import { ExpressionError } from './lexer.ts';
import { Names } from './names.ts';
import { type Node, parseExpression, type TypeNode } from './parser.ts';

export interface Evaluated {
  readonly value: Value;
  /** What the expression asked for by `/x` before it or `,x` behind it. */
  readonly format: Format | null;
}

/** Bytes of an array made by `@`, and members searched in anonymous structs within structs. */
const ARRAY_ELEMENTS_MAX = 2 ** 30;
const NESTING_MAX = 32;

/**
 * Evaluates an expression with the names of a frame, such as `task->name[0]`, `/x flags & 7`, `$sp`, `sizeof(struct task)`. Errors of the expression are
 * `ExpressionError`; a value that cannot be known is `Unavailable`, when it is read or here; debug information that is garbled is a `SymbolError`.
 */
export function evaluate(text: string, frame: Frame): Evaluated {
  const { expression, format } = splitFormat(text);
  const evaluator = new Evaluator(frame);
  const node = parseExpression(expression, (name) => evaluator.isType(name));
  return { value: evaluator.value(node), format };
}

/** Takes the format off an expression: `/x a`, `print/x a` or `a,x`. */
export function splitFormat(text: string): { expression: string; format: Format | null } {
  const before = /^\s*(?:p(?:rint)?\s*)?\/(\w)\s+(.*)$/s.exec(text);
  const behind = /^(.*),\s*(\w)\s*$/s.exec(text);
  const [letter, expression] = before ? [before[1], before[2]] : behind ? [behind[2], behind[1]] : [null, text];
  if (letter === null) return { expression, format: null };
  if (!FORMATS.has(letter)) {
    throw new ExpressionError(`format '${letter}' is not known; there are ${[...FORMATS].join(', ')}`);
  }
  return { expression, format: letter as Format };
}

class Evaluator {
  readonly #frame: MachineFrame;
  readonly #names: Names;

  constructor(frame: Frame) {
    this.#frame = frame.machine;
    this.#names = new Names(frame);
  }

  isType(name: string): boolean {
    return this.#names.isType(name);
  }

  value(node: Node): Value {
    const frame = this.#frame;
    switch (node.kind) {
      case 'integer':
        return Value.ofInteger(frame, literalType(node), node.value);
      case 'float':
        return floatValue(frame, node.single ? FLOAT : DOUBLE, node.value);
      case 'character':
        return Value.ofInteger(frame, CHAR, BigInt(node.value));
      case 'string': {
        const length = new TextEncoder().encode(node.text).length + 1;
        return stringValue(frame, new ArrayType(() => CHAR, length), node.text);
      }
      case 'register':
        return this.#register(node.name);
      case 'name':
        return this.#names.value(node.name, node.file);
      case 'unary':
        return this.#unary(node.operator, node.operand);
      case 'binary':
        return this.#binary(node.operator, node.left, node.right);
      case 'condition':
        return this.value(isTrue(this.value(node.test)) ? node.yes : node.no);
      case 'member':
        return this.#member(this.value(node.object), node.name, node.arrow);
      case 'index': {
        const object = this.value(node.object);
        const index = operandOf(this.value(node.index));
        if (index.kind !== 'integer') throw new ExpressionError('an index must be a whole number');
        return this.#element(object, index.value);
      }
      case 'cast': {
        const type = typeOf(this.#names, node.type);
        return cast(frame, this.value(node.operand), type, stripped(type));
      }
      case 'sizeofType':
        return Value.ofInteger(frame, ULONG, BigInt(sizeOf(typeOf(this.#names, node.type))));
      case 'sizeof': {
        const value = this.value(node.operand);
        if (value.bits) throw new ExpressionError('a bit-field has no size in bytes');
        return Value.ofInteger(frame, ULONG, BigInt(sizeOf(value.type)));
      }
    }
  }

  #register(name: string): Value {
    const frame = this.#frame;
    if (name === 'pc') return Value.ofInteger(frame, new PointerType(() => VOID), frame.pc);
    const number = registerNumber(name);
    if (number === undefined) throw new ExpressionError(`$${name} is not a register`);
    const pointer = ['sp', 'fp', 'ra', 'gp', 'tp'].includes(name);
    const type = pointer ? new PointerType(() => VOID) : number < 32 ? LONG : number < 64 ? DOUBLE : ULONG;
    return new Value(frame, type, { kind: 'register', register: number, offset: 0 });
  }

  #unary(operator: '*' | '&' | '-' | '+' | '!' | '~', operand: Node): Value {
    const value = this.value(operand);
    const frame = this.#frame;
    if (operator === '*') return this.#deref(value);
    if (operator !== '&') return unary(frame, operator, value);
    if (value.bits) throw new ExpressionError('a bit-field has no address');
    const { address, storage } = value;
    if (address === null) {
      const why =
        storage.kind === 'register'
          ? 'it is in a register'
          : storage.kind === 'unavailable'
            ? `it is ${storage.reason}`
            : 'it is not in memory';
      throw new ExpressionError(`the value has no address: ${why}`);
    }
    return Value.ofInteger(frame, new PointerType(() => value.type), address);
  }

  #deref(value: Value): Value {
    const { plain } = value;
    if (plain.kind === 'pointer') {
      if (stripped(plain.target).kind === 'void') {
        throw new ExpressionError(`'${typeName(value.type)}' points to something unknown; cast it first`);
      }
      return value.deref();
    }
    if (plain.kind === 'array') return value.element(0);
    if (plain.kind === 'function') return value;
    // As gdb has it: a number is an address of a long.
    if (plain.kind === 'base' && plain.encoding !== 'float') return Value.inMemory(this.#frame, LONG, value.raw);
    throw new ExpressionError(`a value of type '${typeName(value.type)}' is not a pointer`);
  }

  #binary(operator: string, left: Node, right: Node): Value {
    const frame = this.#frame;
    if (operator === '&&' || operator === '||') {
      const first = isTrue(this.value(left));
      const result = operator === '&&' ? first && isTrue(this.value(right)) : first || isTrue(this.value(right));
      return Value.ofInteger(frame, INT, result ? 1n : 0n);
    }
    const a = this.value(left);
    const b = this.value(right);
    if (operator !== '@') return binary(frame, operator, this.#referred(a), this.#referred(b));
    const count = operandOf(b);
    if (count.kind !== 'integer' || count.value < 1n || count.value > ARRAY_ELEMENTS_MAX) {
      throw new ExpressionError("'@' needs a number of elements on its right");
    }
    if (a.address === null) throw new ExpressionError("'@' needs something in memory on its left");
    return a.as(new ArrayType(() => a.type, Number(count.value)));
  }

  /** What a C++ reference refers to. */
  #referred(value: Value): Value {
    const { plain } = value;
    return plain.kind === 'pointer' && plain.flavour !== '*' ? value.deref() : value;
  }

  #member(object: Value, name: string, arrow: boolean): Value {
    let value = this.#referred(object);
    const { plain } = value;
    if (plain.kind === 'pointer') value = value.deref();
    else if (arrow && plain.kind === 'array') value = value.element(0);
    else if (arrow) throw new ExpressionError(`'->' needs a pointer, found '${typeName(object.type)}'`);
    const type = value.plain;
    if (type.kind !== 'struct') throw new ExpressionError(`a value of type '${typeName(value.type)}' has no members`);
    if (type.size === null) throw new Unavailable(`${typeName(type)} is not defined in the symbol file`);
    const path = memberPath(type, name, 0);
    if (!path) throw new ExpressionError(`${typeName(type)} has no member '${name}'`);
    return path.reduce((inner, member) => inner.member(member), value);
  }

  #element(object: Value, index: bigint): Value {
    const value = this.#referred(object);
    const { plain } = value;
    if (plain.kind === 'array') {
      const offset = Number(index);
      if (!Number.isSafeInteger(offset)) throw new ExpressionError(`index ${index} is out of range`);
      return value.element(offset);
    }
    if (plain.kind === 'pointer') return value.deref(index);
    throw new ExpressionError(`a value of type '${typeName(object.type)}' has no elements`);
  }
}

/** The type that an expression names. */
export function typeOf(names: Names, node: TypeNode): Type {
  switch (node.kind) {
    case 'pointer': {
      const target = typeOf(names, node.target);
      return new PointerType(() => target);
    }
    case 'array': {
      const element = typeOf(names, node.element);
      return new ArrayType(() => element, node.count);
    }
    case 'named': {
      const found = names.type(node.name, node.tag) ?? (node.tag === null ? C_TYPES[node.name] : undefined);
      if (found) return found;
      throw new ExpressionError(`no type '${node.tag ? `${node.tag} ` : ''}${node.name}' is known`);
    }
  }
}

/** The way to a member, through anonymous structs and base classes. */
export function memberPath(type: StructType, name: string, depth: number): Member[] | null {
  if (depth > NESTING_MAX) return null;
  const members = [...type.members, ...(type.variants?.variants.map((v) => v.member) ?? [])];
  const own = members.find((m) => m.name === name && !m.base);
  if (own) return [own];
  for (const member of members) {
    if (member.name !== '' && !member.base) continue;
    const inner = stripped(member.type);
    const path = inner.kind === 'struct' ? memberPath(inner, name, depth + 1) : null;
    if (path) return [member, ...path];
  }
  return null;
}

function sizeOf(type: Type): number {
  const { size } = type;
  if (size === null) throw new Unavailable(`${typeName(type)} is not defined in the symbol file`);
  return size;
}

/** The first type that holds a literal, of those that C tries (6.4.4.1). */
export function literalType({ value, unsigned, long, decimal }: Node & { kind: 'integer' }): Type {
  if (!long && !unsigned && value < 1n << 31n) return INT;
  if (!long && value < 1n << 32n && (unsigned || !decimal)) return UINT;
  return unsigned || value >= 1n << 63n ? ULONG : LONG;
}
