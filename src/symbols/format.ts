/** Values as text, the way a person who knows gdb expects them. */
import { littleEndian, Unavailable } from './dwarf/expression.ts';
import { inMemory } from './symbols.ts';
import {
  ArrayType,
  type BaseType,
  type EnumType,
  type Member,
  type StructType,
  stripped,
  type Type,
  typeName,
} from './types.ts';
import { Value } from './value.ts';

/** How numbers are shown: hexadecimal, decimal, unsigned, octal, binary, as a character, an address, or a text. */
export type Format = 'x' | 'd' | 'u' | 'o' | 't' | 'c' | 'a' | 's';
export const FORMATS = new Set<string>(['x', 'd', 'u', 'o', 't', 'c', 'a', 's']);

export interface FormatOptions {
  readonly format?: Format;
  /** Elements of an array, and members of a struct, that are shown. */
  readonly elements?: number;
  /** Structs within structs that are shown with their members. */
  readonly depth?: number;
  /** Characters of a text. */
  readonly characters?: number;
}

const DEFAULTS = { elements: 10, depth: 2, characters: 200 };

/** A value in one line. What cannot be known says so, in angle brackets. */
export function formatValue(value: Value, options: FormatOptions = {}): string {
  return text(value, { ...DEFAULTS, ...options }, 0);
}

type Settings = FormatOptions & typeof DEFAULTS;

function text(value: Value, settings: Settings, depth: number): string {
  try {
    return known(value, settings, depth);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return `<${error.message}>`;
  }
}

function known(value: Value, settings: Settings, depth: number): string {
  const { plain } = value;
  const { format } = settings;
  switch (plain.kind) {
    case 'void':
      return 'void';
    case 'unknown':
      return `<${plain.name}>`;
    case 'function':
      return functionText(value);
    case 'base':
      if (format && plain.encoding !== 'complex') return formatted(value, plain.size, isSigned(plain), format, plain);
      return baseText(value, plain);
    case 'enum':
      if (format) return formatted(value, plain.size, plain.signed, format, null);
      return enumText(plain, numberOf(value));
    case 'pointer':
      if (format && format !== 's' && format !== 'a') return formatted(value, plain.size, false, format, null);
      return plain.flavour === '*' || format
        ? pointerText(value, plain.target, settings)
        : referenceText(value, settings, depth);
    case 'array':
      return arrayText(value, settings, depth);
    case 'struct':
      return structText(value, plain, settings, depth);
  }
}

/** The number that a value of an integer, enumeration or pointer type is, with its sign. */
export function numberOf(value: Value): bigint {
  const { plain, raw } = value;
  const bits = value.bits?.size ?? (plain.size ?? 8) * 8;
  const signed = (plain.kind === 'base' && isSigned(plain)) || (plain.kind === 'enum' && plain.signed);
  return signed ? BigInt.asIntN(bits, raw) : raw;
}

export function isSigned(type: BaseType): boolean {
  return type.encoding === 'signed' || type.encoding === 'char';
}

const HEX_DIGITS: Record<string, number> = { x: 16, o: 8, t: 2 };
const PREFIXES: Record<string, string> = { x: '0x', o: '0', t: '' };

function formatted(value: Value, size: number, signed: boolean, format: Format, base: BaseType | null): string {
  const bits = value.bits?.size ?? size * 8;
  const raw = BigInt.asUintN(bits, value.raw);
  switch (format) {
    case 'x':
    case 'o':
    case 't':
      return raw === 0n && format === 'o' ? '0' : PREFIXES[format] + raw.toString(HEX_DIGITS[format]);
    case 'd':
      return BigInt.asIntN(bits, raw).toString();
    case 'u':
      return raw.toString();
    case 'c':
      return `${signed ? BigInt.asIntN(8, raw) : BigInt.asUintN(8, raw)} ${quotedCharacter(Number(raw & 0xffn))}`;
    case 'a':
      return `0x${raw.toString(16)}${symbolSuffix(value, raw)}`;
    case 's':
      return base ? baseText(value, base) : raw.toString();
  }
}

function baseText(value: Value, type: BaseType): string {
  switch (type.encoding) {
    case 'boolean': {
      const { raw } = value;
      return raw === 0n ? 'false' : raw === 1n ? 'true' : raw.toString();
    }
    case 'float':
      return floatText(floatOf(value));
    case 'complex': {
      const half = type.size / 2;
      const parts = [0, half].map((at) => floatText(floatFrom(value.bytes.subarray(at, at + half))));
      return `${parts[0]} + ${parts[1]}i`;
    }
    case 'char':
    case 'unsigned char':
      if (type.size === 1) {
        const number = numberOf(value);
        return `${number} ${quotedCharacter(Number(BigInt.asUintN(8, number)))}`;
      }
      return numberOf(value).toString();
    case 'utf': {
      const code = Number(value.raw);
      return `${code} ${code <= 0x10ffff ? `'${String.fromCodePoint(code)}'` : "'?'"}`;
    }
    default:
      return numberOf(value).toString();
  }
}

/** A floating-point number as JavaScript's nearest. */
export function floatOf(value: Value): number {
  return floatFrom(value.bytes);
}

function floatFrom(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (bytes.length) {
    case 2: {
      const bits = view.getUint16(0, true);
      return scaled((bits & 0x8000) !== 0, (bits >> 10) & 31, 31, 15, BigInt(bits & 0x3ff), 10);
    }
    case 4:
      return view.getFloat32(0, true);
    case 8:
      return view.getFloat64(0, true);
    case 16: {
      const bits = littleEndian(bytes);
      const fraction = bits & ((1n << 112n) - 1n);
      return scaled(bits >> 127n === 1n, Number((bits >> 112n) & 0x7fffn), 0x7fff, 16383, fraction, 112);
    }
    default:
      throw new Unavailable(`a floating-point number of ${bytes.length} bytes`);
  }
}

/** A number of any IEEE 754 format, rounded. */
function scaled(
  negative: boolean,
  exponent: number,
  top: number,
  bias: number,
  fraction: bigint,
  width: number,
): number {
  const sign = negative ? -1 : 1;
  if (exponent === top) return fraction === 0n ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  const significand = Number(exponent === 0 ? fraction : fraction | (1n << BigInt(width))) / 2 ** width;
  return sign * significand * 2 ** ((exponent === 0 ? 1 : exponent) - bias);
}

function floatText(number: number): string {
  if (Number.isNaN(number)) return 'nan';
  if (!Number.isFinite(number)) return number < 0 ? '-inf' : 'inf';
  return Object.is(number, -0) ? '-0' : String(number);
}

/** The name of an enumerator, or the flags that make a value up. */
export function enumText(type: EnumType, value: bigint): string {
  const exact = type.values.find((v) => v.value === value);
  if (exact) return exact.name;
  const names: string[] = [];
  let left = value;
  for (const { name, value: flag } of type.values) {
    // Only single bits, so that a range of numbers is not taken for flags.
    if (flag <= 0n || (flag & (flag - 1n)) !== 0n || (left & flag) === 0n) continue;
    names.push(name);
    left &= ~flag;
  }
  if (names.length === 0 || value < 0n) return value.toString();
  if (left !== 0n) names.push(`0x${left.toString(16)}`);
  return `(${names.join(' | ')})`;
}

const ESCAPES: Record<number, string> = {
  0: '\\000',
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  27: '\\033',
  92: '\\\\',
};

function escaped(code: number, quote: string): string {
  if (ESCAPES[code] !== undefined) return ESCAPES[code];
  if (code < 32 || code >= 127) return `\\${code.toString(8).padStart(3, '0')}`;
  const character = String.fromCharCode(code);
  return character === quote ? `\\${quote}` : character;
}

function quotedCharacter(code: number): string {
  return `'${escaped(code, "'")}'`;
}

function isCharacter(type: Type): boolean {
  const plain = stripped(type);
  return plain.kind === 'base' && plain.size === 1 && (plain.encoding === 'char' || plain.encoding === 'unsigned char');
}

function pointerText(value: Value, target: Type, settings: Settings): string {
  if (value.storage.kind === 'pointer') return `<points to ${text(value.deref(), settings, settings.depth)}>`;
  const address = value.raw;
  const hex = `0x${address.toString(16)}`;
  if (settings.format === 'a' || (settings.format === 's' && !isCharacter(target)))
    return hex + symbolSuffix(value, address);
  if (address !== 0n && isCharacter(target)) {
    const string = stringAt(value, address, settings.characters);
    if (string !== null) return `${hex}${symbolSuffix(value, address)} ${string}`;
  }
  return hex + symbolSuffix(value, address);
}

/** ` <symbol+8>` for an address within one. */
function symbolSuffix(value: Value, address: bigint): string {
  const { context, space } = value.frame;
  const found = address === 0n ? null : context.symbols.symbolAt(address, space);
  if (!found) return '';
  const offset = address - inMemory(found.module, found.symbol.address);
  return ` <${found.symbol.name}${offset === 0n ? '' : `+${offset}`}>`;
}

function stringAt(value: Value, address: bigint, limit: number): string | null {
  const bytes: number[] = [];
  for (let at = address; bytes.length < limit; ) {
    // To the end of the page at most, which may be the last one that there is.
    const length = Math.min(limit - bytes.length, 4096 - Number(at % 4096n));
    const part = value.frame.context.memory.read(at, length);
    if (!part) return bytes.length === 0 ? null : `${quoted(bytes)}<cannot be read on>`;
    const zero = part.indexOf(0);
    bytes.push(...(zero < 0 ? part : part.subarray(0, zero)));
    if (zero >= 0) return quoted(bytes);
    at += BigInt(length);
  }
  return `${quoted(bytes)}...`;
}

function quoted(bytes: readonly number[]): string {
  return `"${bytes.map((byte) => escaped(byte, '"')).join('')}"`;
}

function functionText(value: Value): string {
  const { address } = value;
  if (address === null) return `{${typeName(value.type)}}`;
  return `{${typeName(value.type)}} 0x${address.toString(16)}${symbolSuffix(value, address)}`;
}

function referenceText(value: Value, settings: Settings, depth: number): string {
  return `@0x${value.raw.toString(16)}: ${text(value.deref(), settings, depth)}`;
}

function arrayText(value: Value, settings: Settings, depth: number): string {
  const { plain } = value;
  if (plain.kind !== 'array') throw new Unavailable('not an array');
  const count = plain.count ?? 0;
  const { format } = settings;
  if (isCharacter(plain.element) && (!format || format === 's')) {
    const shown = Math.min(count, settings.characters);
    const bytes =
      shown === 0 ? new Uint8Array(0) : new Value(value.frame, { ...plainBytes(shown) }, value.storage).bytes;
    const zero = bytes.indexOf(0);
    return quoted([...(zero < 0 ? bytes : bytes.subarray(0, zero))]) + (zero < 0 && shown < count ? '...' : '');
  }
  if (value.storage.kind === 'unavailable') throw new Unavailable(value.storage.reason);
  const shown = Math.min(count, settings.elements);
  const parts = Array.from({ length: shown }, (_, i) => text(value.element(i), settings, depth + 1));
  if (shown < count) parts.push('...');
  return `{${parts.join(', ')}}`;
}

function plainBytes(count: number): BaseType {
  return { kind: 'base', name: 'bytes', size: count, encoding: 'unsigned' };
}

function structText(value: Value, type: StructType, settings: Settings, depth: number): string {
  if (value.storage.kind === 'unavailable') throw new Unavailable(value.storage.reason);
  if (type.size === null) return `<${typeName(type)} is not defined in the symbol file>`;
  const slice = sliceText(value, type, settings, depth);
  if (slice !== null) return slice;
  if (depth > settings.depth) return '{...}';
  const parts = structMembers(value).map(({ name, value: member }) => {
    const shown = text(member, settings, depth + 1);
    return name === '' ? shown : `${name} = ${shown}`;
  });
  const limit = Math.max(settings.elements, 1) * 10;
  if (parts.length > limit) parts.splice(limit, parts.length, '...');
  return `{${parts.join(', ')}}`;
}

/** Rust's references to texts and to parts of arrays, which are an address and a length; null for what is none. */
function sliceText(value: Value, { name, members }: StructType, settings: Settings, depth: number): string | null {
  if (!/^&(mut )?(str$|\[)/.test(name ?? '')) return null;
  const [data, length] = ['data_ptr', 'length'].map((part) => members.find((member) => member.name === part));
  const pointer = data && stripped(data.type);
  if (!data || !length || pointer?.kind !== 'pointer') return null;
  const [address, count] = [value.member(data).raw, Number(value.member(length).raw)];
  if (!name!.endsWith('str')) {
    const all = Value.inMemory(value.frame, new ArrayType(() => pointer.target, count), address);
    return arrayText(all, settings, depth);
  }
  const shown = Math.min(count, settings.characters);
  return quoted([...value.frame.needMemory(address, shown)]) + (shown < count ? '...' : '');
}

/** What a struct contains: its members, and of a Rust enum those of the variant that is there. */
export function structMembers(value: Value): { readonly name: string; readonly value: Value }[] {
  const type = value.plain as StructType;
  const members: Member[] = [...type.members];
  const { variants } = type;
  if (variants) {
    const chosen = variants.discriminant ? discriminated(value, variants) : variants.variants[0];
    if (chosen) members.push(chosen.member);
  }
  return members.map((member) => {
    const name = member.base ? `<${typeName(member.type)}>` : member.name;
    return { name, value: value.member(member) };
  });
}

function discriminated(value: Value, part: NonNullable<StructType['variants']>) {
  const found = value.member(part.discriminant!);
  const bits = found.size * 8;
  const number = found.raw;
  const matches = part.variants.find(({ values }) =>
    values.some(([low, high]) => number >= BigInt.asUintN(bits, low) && number <= BigInt.asUintN(bits, high)),
  );
  return matches ?? part.variants.find(({ values }) => values.length === 0);
}
