/**
 * C expressions as expressions of the engine (see replay/expression.ts): what is looked at where the machine runs costs a fraction of a microsecond, a
 * stop and a look from outside a thousand times that. What cannot be translated stays with `evaluate`, and whatever is translated is worth the same.
 *
 * Where a variable is at an address of the code is found without knowing any register: it is looked up in frames with different made-up ones. A place
 * that differs by just as much as one of the registers is that register and a constant.
 */
import { Random } from '../../base/random.ts';
import { Unavailable } from '../dwarf/expression.ts';
import { SymbolError } from '../error.ts';
import { formatValue, isSigned } from '../format.ts';
import { framesOf } from '../frames.ts';
import { registerName, registerNumber } from '../riscv.ts';
import type { Symbols } from '../symbols.ts';
import { type BaseType, type Member, type PlainType, PointerType, stripped, type Type } from '../types.ts';
import { innermost, type MachineFrame } from '../unwind.ts';
import { Value } from '../value.ts';
import { C_TYPES, CHAR, common, INT, integerOf, LONG, promoted, ULONG } from './arithmetic.ts';
import { literalType, memberPath, splitFormat, typeOf } from './evaluate.ts';
import { ExpressionError } from './lexer.ts';
import { Names } from './names.ts';
import { type Node, parseExpression } from './parser.ts';

export interface Translated {
  /** Not 0 wherever the condition holds, or cannot be told. */
  readonly condition: string;
  /** Whether it is 0 wherever the condition does not hold. */
  readonly exact: boolean;
}

/** Where an expression is meant: at an address of the code, of an address space or of what all have in common; null for no function. */
export interface CodePlace {
  readonly pc: bigint;
  readonly space?: string | undefined;
}

/** No space is called so: what is common to all of them is meant, whichever one is looked at now. */
const COMMON = '';

/** A condition of C as it is meant in the innermost function of a place; null if there is no way to say it. */
export function translateCondition(text: string, symbols: Symbols, place: CodePlace | null): Translated | null {
  return attempt(() => {
    const translator = new Translator(symbols, place);
    return translator.condition(translator.parse(text));
  });
}

/** A value that the engine tells as a number. */
export interface TranslatedValue {
  readonly expression: string;
  /** The number as a person reads it: with the names of enumerators and of what a pointer points to. */
  show(value: bigint): string;
}

/** A value of C in the same way; null also where it takes more than a number to show it. */
export function translateValue(text: string, symbols: Symbols, place: CodePlace | null): TranslatedValue | null {
  return attempt(() => {
    const translator = new Translator(symbols, place);
    const { format } = splitFormat(text);
    const term = translator.term(translator.parse(text));
    if (!isNumber(stripped(term.type)) || format === 's') refuse('more than a number');
    const frame = frameAt(symbols, place, () => undefined);
    const bits = term.bits ? { offset: 0, size: term.bits.size } : null;
    const show = (value: bigint) => {
      const { storage } = Value.ofInteger(frame, term.type, value);
      return formatValue(new Value(frame, term.type, storage, bits), format ? { format } : {});
    };
    return { expression: translator.number(term), show };
  });
}

/** What is shown by its number alone: no text that a pointer points to. */
function isNumber(type: PlainType): boolean {
  if (type.kind !== 'pointer') return type.kind === 'base' || type.kind === 'enum';
  const target = stripped(type.target);
  return type.flavour === '*' && !(target.kind === 'base' && target.size === 1);
}

/** An expression that would be longer than this is not worth its time. */
const LENGTH_MAX = 5000;

class Untranslatable extends Error {}

function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    // What is wrong with the expression, or with the debug information, is told where it is evaluated.
    const told = [Untranslatable, ExpressionError, Unavailable, SymbolError];
    if (told.some((kind) => error instanceof kind)) return null;
    throw error;
  }
}

function refuse(why: string): never {
  throw new Untranslatable(why);
}

/** What an expression stands for: its type, and the engine's expression for its address, or for what it is worth as a number of that type. */
interface Term {
  readonly type: Type;
  readonly memory: string | null;
  readonly value: string | null;
  readonly bits: Member['bits'];
}

/** A whole number or an address: the engine's expression, which is within the bounds of the type. */
interface Operand {
  readonly text: string;
  readonly type: BaseType | PointerType;
}

const inMemory = (type: Type, memory: string): Term => ({ type, memory, value: null, bits: null });
const worth = (type: Type, value: string): Term => ({ type, memory: null, value, bits: null });
const address = (base: string, offset: number) => (offset === 0 ? base : `${base} + ${offset}`);

/** A frame of which nothing but its place is known, and maybe registers. */
function frameAt(
  symbols: Symbols,
  place: CodePlace | null,
  get: (register: number) => bigint | undefined,
): MachineFrame {
  const space = place?.space ?? COMMON;
  return innermost({ symbols, memory: { read: () => null }, space }, { pc: place?.pc ?? 0n, get });
}

/** Frames with made-up registers: as many as it takes to tell a coincidence from a rule. */
const FRAMES = 3;

class Translator {
  readonly #names: readonly Names[];
  /** Whether the code at the address is known, or none is asked for: elsewhere names may mean what cannot be seen from here. */
  readonly #known: boolean;
  readonly #registers: readonly Map<number, bigint>[];

  constructor(symbols: Symbols, place: CodePlace | null) {
    const random = new Random(1);
    this.#known = place === null || symbols.moduleAt(place.pc, place.space ?? COMMON) !== null;
    this.#registers = Array.from({ length: FRAMES }, () => new Map());
    this.#names = this.#registers.map((made) => {
      const get = (register: number) => {
        const known = made.get(register) ?? random.u64();
        made.set(register, known);
        return known;
      };
      return new Names(framesOf(frameAt(symbols, place, get))[0]);
    });
  }

  parse(text: string): Node {
    const { expression } = splitFormat(text);
    return parseExpression(expression, (name) => this.#names[0].isType(name));
  }

  /** Of two conditions that must both hold, the first alone lets through more, but nothing is missed. */
  condition(node: Node): Translated {
    if (node.kind !== 'binary' || node.operator !== '&&') {
      return { condition: this.#checked(this.#truth(node)), exact: true };
    }
    const left = this.condition(node.left);
    const right = left.exact ? attempt(() => this.condition(node.right)) : null;
    if (!right) return { ...left, exact: false };
    return { condition: this.#checked(`(${left.condition} && ${right.condition})`), exact: right.exact };
  }

  #checked(text: string): string {
    return text.length <= LENGTH_MAX ? text : refuse('too long');
  }

  #truth(node: Node): string {
    return `(${this.#operand(node).text} != 0)`;
  }

  /** What a term is worth, as an operand is: narrow types have become an int. */
  number(term: Term): string {
    return this.#checked(this.#operandOf(term).text);
  }

  term(node: Node): Term {
    switch (node.kind) {
      case 'integer':
        return worth(literalType(node), String(node.value));
      case 'character':
        return worth(CHAR, String(BigInt.asUintN(8, BigInt(node.value))));
      case 'float':
      case 'string':
        return refuse(node.kind);
      case 'register':
        return this.#register(node.name);
      case 'name':
        return this.#name(node.name, node.file);
      case 'unary':
        return this.#unary(node.operator, node.operand);
      case 'binary':
        return this.#binary(node.operator, node.left, node.right);
      case 'condition': {
        const [yes, no] = [this.#operand(node.yes), this.#operand(node.no)];
        // Which of the types it has would depend on the test.
        if (!sameType(yes.type, no.type)) refuse('two types');
        return worth(yes.type, `(${this.#truth(node.test)} ? ${yes.text} : ${no.text})`);
      }
      case 'member':
        return this.#member(this.term(node.object), node.name, node.arrow);
      case 'index': {
        const index = this.#operand(node.index);
        if (index.type.kind === 'pointer') refuse('an index');
        return this.#element(this.#referred(this.term(node.object)), index.text);
      }
      case 'cast':
        return this.#cast(typeOf(this.#names[0], node.type), node.operand);
      case 'sizeofType':
        return worth(ULONG, String(sizeOf(typeOf(this.#names[0], node.type))));
      case 'sizeof': {
        const { type, bits } = this.term(node.operand);
        return bits ? refuse('a bit-field') : worth(ULONG, String(sizeOf(type)));
      }
    }
  }

  #register(name: string): Term {
    if (name === 'pc') return worth(new PointerType(() => C_TYPES.void), 'pc');
    const number = registerNumber(name);
    if (number === undefined || (number >= 32 && number < 64)) refuse('a register');
    const text = registerName(number!);
    if (['sp', 'fp', 'ra', 'gp', 'tp'].includes(name)) return worth(new PointerType(() => C_TYPES.void), text);
    return number! < 32 ? worth(LONG, `int64(${text})`) : worth(ULONG, text);
  }

  #name(name: string, file: string | null): Term {
    if (!this.#known) refuse('unknown code');
    const values = this.#names.map((names) => names.value(name, file));
    const [{ type, storage, bits }] = values;
    if (bits) refuse('a bit-field of this');
    switch (storage.kind) {
      case 'memory':
        return inMemory(type, this.#linear(values.map((value) => addressOf(value))));
      case 'register':
        if (storage.register >= 32 || storage.offset > 0 || sizeOf(type) > 8) refuse('a register');
        return this.#converted(type, registerName(storage.register));
      case 'bytes':
        if (sizeOf(type) > 8) refuse('bytes');
        return this.#converted(
          type,
          this.#linear(
            values.map((value) => value.raw),
            sizeOf(type) * 8,
          ),
        );
      default:
        return refuse(storage.kind);
    }
  }

  /** A number that is known in each of the frames: the same in all, or a register and a constant. */
  #linear(numbers: readonly bigint[], bits = 64): string {
    const [first] = numbers;
    if (numbers.every((number) => number === first)) return `0x${first.toString(16)}`;
    const cut = (value: bigint) => BigInt.asUintN(bits, value);
    for (const [register, made] of this.#registers[0]) {
      const constant = cut(first - made);
      const follows = numbers.every((n, i) => cut(n - (this.#registers[i].get(register) ?? 0n)) === constant);
      if (follows) return `${registerName(register)} + ${BigInt.asIntN(bits, constant)}`;
    }
    return refuse('a place that is calculated');
  }

  /** The low bits of a word as a number of a type. */
  #converted(type: Type, word: string): Term {
    const plain = stripped(type);
    if (plain.kind === 'struct' || plain.kind === 'array') refuse('parts of a register');
    return worth(type, conversion(plain.kind === 'pointer' ? 64 : sizeOf(type) * 8, signedOf(type), word));
  }

  #operand(node: Node): Operand {
    return this.#operandOf(this.term(node));
  }

  /** As `operandOf` has it: what is narrow becomes an int, arrays and functions become pointers. */
  #operandOf(term: Term): Operand {
    const plain = stripped(term.type);
    switch (plain.kind) {
      case 'base':
        if (plain.encoding === 'float' || plain.encoding === 'complex' || plain.size > 8) refuse(plain.encoding);
        return { text: this.#load(term, plain.size), type: promoted(plain, term.bits?.size) };
      case 'enum':
        return { text: this.#load(term, plain.size), type: integerOf(plain) };
      case 'pointer':
        return { text: this.#load(term, plain.size), type: plain };
      case 'array':
      case 'function': {
        const target = plain.kind === 'array' ? plain.element : plain;
        return { text: addressText(term), type: new PointerType(() => target) };
      }
      default:
        return refuse(plain.kind);
    }
  }

  /** The number that stands in a place of a size. */
  #load({ type, memory, value, bits }: Term, size: number): string {
    if (value !== null) return value;
    const signed = signedOf(type);
    if (!bits)
      return [1, 2, 4, 8].includes(size) ? `${signed ? 's' : 'u'}${size * 8}(${memory})` : refuse('an odd size');
    const first = Math.floor(bits.offset / 8);
    const bytes = Math.ceil((bits.offset + bits.size) / 8) - first;
    const width = [1, 2, 4, 8].find((n) => n >= bytes) ?? refuse('a wide bit-field');
    const word = `(u${width * 8}(${address(memory!, first)}) >> ${bits.offset % 8})`;
    return conversion(bits.size, signed, word);
  }

  #unary(operator: '*' | '&' | '-' | '+' | '!' | '~', node: Node): Term {
    if (operator === '!') return worth(INT, `(!${this.#truth(node)})`);
    const term = this.term(node);
    if (operator === '*') return this.#deref(term);
    if (operator === '&') return worth(new PointerType(() => term.type), addressText(term));
    const { text, type } = this.#operandOf(term);
    if (type.kind === 'pointer') refuse('a pointer');
    return worth(type, operator === '+' ? text : conversionTo(type, `(${operator}${text})`));
  }

  #deref(term: Term): Term {
    const plain = stripped(term.type);
    if (plain.kind === 'pointer' && stripped(plain.target).kind !== 'void') {
      return inMemory(plain.target, this.#load(term, plain.size));
    }
    if (plain.kind === 'array') return this.#element(term, '0');
    if (plain.kind === 'function') return term;
    if (plain.kind === 'base' && plain.encoding !== 'float') {
      return inMemory(LONG, conversion(term.bits?.size ?? plain.size * 8, false, this.#load(term, plain.size)));
    }
    return refuse('no pointer');
  }

  #referred(term: Term): Term {
    const plain = stripped(term.type);
    return plain.kind === 'pointer' && plain.flavour !== '*' ? this.#deref(term) : term;
  }

  #member(object: Term, name: string, arrow: boolean): Term {
    let term = this.#referred(object);
    const plain = stripped(term.type);
    if (plain.kind === 'pointer') term = this.#deref(term);
    else if (arrow && plain.kind === 'array') term = this.#element(term, '0');
    const type = stripped(term.type);
    const path = type.kind === 'struct' ? memberPath(type, name, 0) : null;
    if (!path || term.memory === null) refuse('no member in memory');
    let memory = term.memory!;
    let bits: Member['bits'] = null;
    for (const member of path!) {
      bits = member.bits;
      if (!bits) memory = address(memory, member.offset);
    }
    return { type: path!.at(-1)!.type, memory, value: null, bits };
  }

  #element(term: Term, index: string): Term {
    const plain = stripped(term.type);
    if (plain.kind === 'array') {
      return inMemory(plain.element, `${addressText(term)} + ${index} * ${sizeOf(plain.element)}`);
    }
    if (plain.kind !== 'pointer') refuse('no elements');
    const { target, size } = plain as PointerType;
    return inMemory(target, `${this.#load(term, size)} + ${index} * ${target.size ?? 1}`);
  }

  #cast(type: Type, node: Node): Term {
    const plain = stripped(type);
    const term = this.term(node);
    switch (plain.kind) {
      case 'base':
        if (plain.encoding === 'float' || plain.encoding === 'complex' || plain.size > 8) refuse(plain.encoding);
        if (plain.encoding === 'boolean') return worth(type, `(${this.#operandOf(term).text} != 0)`);
        return worth(type, conversion(plain.size * 8, isSigned(plain), this.#operandOf(term).text));
      case 'enum':
        return worth(type, conversion(plain.size * 8, plain.signed, this.#operandOf(term).text));
      case 'pointer':
        return worth(type, conversion(64, false, this.#operandOf(term).text));
      case 'struct':
      case 'array':
        return term.memory !== null && !term.bits ? inMemory(type, term.memory) : refuse('not in memory');
      default:
        return refuse(plain.kind);
    }
  }

  #binary(operator: string, left: Node, right: Node): Term {
    if (operator === '&&' || operator === '||') {
      return worth(INT, `(${this.#truth(left)} ${operator} ${this.#truth(right)})`);
    }
    const [a, b] = [left, right].map((node) => this.#operandOf(this.#referred(this.term(node))));
    if (a.type.kind === 'pointer' || b.type.kind === 'pointer') return this.#pointers(operator, a, b);
    if (operator === '<<' || operator === '>>') {
      const bits = a.type.size * 8;
      const by = /^\d+$/.test(b.text)
        ? Math.min(Number(b.text), bits)
        : `(${b.text} < 0 || ${b.text} > ${bits} ? ${bits} : ${b.text})`;
      return worth(a.type, conversionTo(a.type, `(${a.text} ${operator} ${by})`));
    }
    return this.#integers(operator, a, b, common(a.type, b.type));
  }

  #integers(operator: string, a: Operand, b: Operand, type: BaseType): Term {
    const text = `(${widened(a, type)} ${operator} ${widened(b, type)})`;
    if (COMPARISONS.has(operator)) return worth(INT, text);
    return ARITHMETIC.has(operator) ? worth(type, conversionTo(type, text)) : refuse(operator);
  }

  #pointers(operator: string, a: Operand, b: Operand): Term {
    const unsigned = ({ text, type }: Operand) => (type.kind === 'pointer' ? text : conversion(64, false, text));
    if (COMPARISONS.has(operator)) return worth(INT, `(${unsigned(a)} ${operator} ${unsigned(b)})`);
    const [first, second] = [a.type, b.type];
    if (operator === '-' && first.kind === 'pointer' && second.kind === 'pointer') {
      return worth(LONG, `(int64(${a.text} - ${b.text}) / ${step(first)})`);
    }
    if ('&|^%'.includes(operator)) return this.#integers(operator, a, b, ULONG);
    const [pointer, number] = first.kind === 'pointer' ? [a, b] : [b, a];
    const { type } = pointer;
    const makesSense = operator === '+' || (operator === '-' && pointer === a);
    if (type.kind !== 'pointer' || number.type.kind === 'pointer' || !makesSense) refuse('addresses');
    return worth(type, `uint64(${pointer.text} ${operator} ${number.text} * ${step(type as PointerType)})`);
  }
}

const COMPARISONS = new Set(['==', '!=', '<', '>', '<=', '>=']);
const ARITHMETIC = new Set(['+', '-', '*', '/', '%', '&', '|', '^']);

const conversion = (bits: number, signed: boolean, text: string) => `${signed ? 'int' : 'uint'}${bits}(${text})`;
const conversionTo = (type: BaseType, text: string) => conversion(type.size * 8, isSigned(type), text);

/** An operand in a type that is no narrower than its own. */
function widened({ text, type }: Operand, wanted: BaseType): string {
  const fits =
    type.kind === 'base' && (isSigned(type) === isSigned(wanted) || (!isSigned(type) && type.size < wanted.size));
  return fits ? text : conversionTo(wanted, text);
}

function sameType(a: Operand['type'], b: Operand['type']): boolean {
  if (a.kind === 'pointer' || b.kind === 'pointer') return a.kind === b.kind;
  return a.size === b.size && isSigned(a) === isSigned(b);
}

function addressText({ memory, bits }: Term): string {
  return memory === null || bits ? refuse('no address') : conversion(64, false, memory);
}

function addressOf({ storage }: Value): bigint {
  return storage.kind === 'memory' ? BigInt.asUintN(64, storage.address) : refuse('another place');
}

function signedOf(type: Type): boolean {
  const plain = stripped(type);
  return (plain.kind === 'base' && isSigned(plain)) || (plain.kind === 'enum' && plain.signed);
}

function sizeOf({ size }: Type): number {
  return size ?? refuse('a type that is not defined');
}

function step({ target }: PointerType): number {
  return Math.max(sizeOf(target), 1);
}
