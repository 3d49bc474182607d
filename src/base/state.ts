/**
 * Saving and restoring a component's state with one description for both directions.
 *
 * A component has a method `sync(s)` that passes every field of its state through `s`:
 *
 *     sync(s: StateIO) {
 *       this.ier = s.u8('ier', this.ier);
 *       this.received = s.bytes('received', this.received);
 *     }
 *
 * A `StateWriter` takes the values; a `StateReader` gives back those that were taken, and refuses a state whose names or
 * types are not the ones asked for. Names travel with the values, so a state can be listed and two states compared.
 */
import { UserError } from './assert.ts';

export interface StateIO {
  bool(name: string, value: boolean): boolean;
  u8(name: string, value: number): number;
  u16(name: string, value: number): number;
  u32(name: string, value: number): number;
  /** A whole number up to 2^53 - 1 in size, or any double. */
  num(name: string, value: number): number;
  u64(name: string, value: bigint): bigint;
  /** Numbers that lie in memory, little-endian, from `base` on: most of a state does, and this is quick, also where it is done but every few milliseconds. */
  numbersAt(fields: NumbersInMemory, view: DataView, base: number): void;
  /** Bytes that lie in memory, always as many. */
  bytesAt(name: string, memory: Uint8Array, at: number, length: number): void;
  /** Values come from the state, and are not only put there. */
  readonly loads: boolean;
  str(name: string, value: string): string;
  bytes(name: string, value: Uint8Array): Uint8Array;
  /** A list of numbers; its length is part of the state. */
  nums(name: string, value: ArrayLike<number>): ArrayLike<number>;
  /** A part with a name of its own: fields inside are listed as `name.field`. */
  part(name: string, sync: (s: StateIO) => void): void;
}

/** Numbers in memory: their names, and where they lie. */
export interface NumbersInMemory {
  readonly type: 'u32' | 'u64';
  readonly names: readonly string[];
  readonly offsets: readonly number[];
}

export type StateValue = boolean | number | bigint | string | Uint8Array | number[];

const TYPES = ['bool', 'u8', 'u16', 'u32', 'num', 'u64', 'str', 'bytes', 'nums', 'part', 'end'] as const;
type TypeName = (typeof TYPES)[number];

const encoder = new TextEncoder();
/** Type and name as they are written: the same few hundred in every state. */
const HEADS = Object.fromEntries(TYPES.map((type) => [type, new Map()])) as Record<TypeName, Map<string, Uint8Array>>;
const decoder = new TextDecoder();

/** What is written of such fields, with zeros for the values: the same each time. */
interface Template {
  readonly bytes: Uint8Array;
  /** Where the values go. */
  readonly values: Int32Array;
}
const TEMPLATES = new WeakMap<NumbersInMemory, Template>();

export class StateWriter implements StateIO {
  #buffer = new Uint8Array(4096);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;
  readonly loads = false;

  /** A copy of the bytes written so far; the writer is as new afterwards, but for the room that it has. */
  finish(): Uint8Array {
    const bytes = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /** Fields that were written before, as `finish` has given them. */
  append(fields: Uint8Array): void {
    this.#raw(fields);
  }

  bool(name: string, value: boolean): boolean {
    this.#head('bool', name);
    this.#u8(value ? 1 : 0);
    return value;
  }
  u8(name: string, value: number): number {
    this.#head('u8', name);
    this.#u8(value);
    return value;
  }
  u16(name: string, value: number): number {
    this.#head('u16', name);
    this.#reserve(2);
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
    return value;
  }
  u32(name: string, value: number): number {
    this.#head('u32', name);
    this.#u32(value);
    return value;
  }
  num(name: string, value: number): number {
    this.#head('num', name);
    this.#num(value);
    return value;
  }
  u64(name: string, value: bigint): bigint {
    this.#head('u64', name);
    this.#reserve(8);
    this.#view.setBigUint64(this.#length, value, true);
    this.#length += 8;
    return value;
  }
  numbersAt(fields: NumbersInMemory, view: DataView, base: number): void {
    const { bytes, values } = templateOf(fields);
    const { type, offsets } = fields;
    const isWide = type === 'u64';
    this.#reserve(bytes.length);
    const begin = this.#length;
    this.#buffer.set(bytes, begin);
    this.#length += bytes.length;
    for (let i = 0; i < values.length; i++) {
      const from = base + offsets[i];
      const to = begin + values[i];
      // With a sign, because V8 puts what needs 32 bits without one into a box.
      this.#view.setInt32(to, view.getInt32(from, true), true);
      if (isWide) this.#view.setInt32(to + 4, view.getInt32(from + 4, true), true);
    }
  }
  bytesAt(name: string, memory: Uint8Array, at: number, length: number): void {
    this.bytes(name, memory.subarray(at, at + length));
  }
  str(name: string, value: string): string {
    this.#head('str', name);
    this.#blob(encoder.encode(value));
    return value;
  }
  bytes(name: string, value: Uint8Array): Uint8Array {
    this.#head('bytes', name);
    this.#blob(value);
    return value;
  }
  nums(name: string, value: ArrayLike<number>): ArrayLike<number> {
    this.#head('nums', name);
    this.#u32(value.length);
    for (let i = 0; i < value.length; i++) this.#num(value[i]);
    return value;
  }
  part(name: string, sync: (s: StateIO) => void): void {
    this.#head('part', name);
    sync(this);
    this.#head('end', '');
  }

  #head(type: TypeName, name: string) {
    const head = headOf(type, name);
    this.#reserve(head.length);
    // For so few bytes quicker than `set`.
    for (let i = 0; i < head.length; i++) this.#buffer[this.#length + i] = head[i];
    this.#length += head.length;
  }
  #u8(value: number) {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }
  #u32(value: number) {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }
  #num(value: number) {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }
  #blob(bytes: Uint8Array) {
    this.#u32(bytes.length);
    this.#raw(bytes);
  }
  #raw(bytes: Uint8Array) {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }
  #reserve(n: number) {
    if (this.#length + n <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + n));
    grown.set(this.#buffer);
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function headOf(type: TypeName, name: string): Uint8Array {
  const known = HEADS[type];
  let head = known.get(name);
  if (!head) {
    const bytes = encoder.encode(name);
    head = Uint8Array.of(TYPES.indexOf(type), bytes.length, ...bytes);
    known.set(name, head);
  }
  return head;
}

function templateOf(fields: NumbersInMemory): Template {
  let template = TEMPLATES.get(fields);
  if (!template) {
    const bytes: number[] = [];
    const values: number[] = [];
    for (const name of fields.names) {
      bytes.push(...headOf(fields.type, name));
      values.push(bytes.length);
      bytes.push(...new Uint8Array(fields.type === 'u64' ? 8 : 4));
    }
    template = { bytes: Uint8Array.from(bytes), values: Int32Array.from(values) };
    TEMPLATES.set(fields, template);
  }
  return template;
}

export class StateReader implements StateIO {
  readonly #buffer: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  readonly loads = true;

  constructor(bytes: Uint8Array) {
    this.#buffer = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** True when every byte has been read. */
  get done(): boolean {
    return this.#at === this.#buffer.length;
  }

  bool(name: string, _value: boolean): boolean {
    this.#head('bool', name);
    return this.#take(1)[0] !== 0;
  }
  u8(name: string, _value: number): number {
    this.#head('u8', name);
    return this.#take(1)[0];
  }
  u16(name: string, _value: number): number {
    this.#head('u16', name);
    return this.#view.getUint16(this.#advance(2), true);
  }
  u32(name: string, _value: number): number {
    this.#head('u32', name);
    return this.#u32();
  }
  num(name: string, _value: number): number {
    this.#head('num', name);
    return this.#num();
  }
  u64(name: string, _value: bigint): bigint {
    this.#head('u64', name);
    return this.#view.getBigUint64(this.#advance(8), true);
  }
  numbersAt({ type, names, offsets }: NumbersInMemory, view: DataView, base: number): void {
    names.forEach((name, i) => {
      if (type === 'u64') view.setBigUint64(base + offsets[i], this.u64(name, 0n), true);
      else view.setUint32(base + offsets[i], this.u32(name, 0), true);
    });
  }
  bytesAt(name: string, memory: Uint8Array, at: number, length: number): void {
    this.#head('bytes', name);
    const found = this.#u32();
    if (found !== length) throw new UserError(`machine state: ${name} has ${found} bytes, ${length} expected`);
    memory.set(this.#take(length), at);
  }
  str(name: string, _value: string): string {
    this.#head('str', name);
    return decoder.decode(this.#take(this.#u32()));
  }
  bytes(name: string, _value: Uint8Array): Uint8Array {
    this.#head('bytes', name);
    return this.#take(this.#u32()).slice();
  }
  nums(name: string, _value: ArrayLike<number>): number[] {
    this.#head('nums', name);
    return this.#nums();
  }
  part(name: string, sync: (s: StateIO) => void): void {
    this.#head('part', name);
    sync(this);
    this.#head('end', '');
  }

  /** Every value left, by its full name: for listing a state and comparing two. */
  *entries(): Generator<[name: string, value: StateValue]> {
    const path: string[] = [];
    while (!this.done) {
      const [type, name] = this.#tag();
      const full = [...path, name].join('.');
      if (type === 'part') path.push(name);
      else if (type === 'end') path.pop();
      else yield [full, this.#value(type)];
    }
  }

  #value(type: Exclude<TypeName, 'part' | 'end'>): StateValue {
    switch (type) {
      case 'bool':
        return this.#take(1)[0] !== 0;
      case 'u8':
        return this.#take(1)[0];
      case 'u16':
        return this.#view.getUint16(this.#advance(2), true);
      case 'u32':
        return this.#u32();
      case 'num':
        return this.#num();
      case 'u64':
        return this.#view.getBigUint64(this.#advance(8), true);
      case 'str':
        return decoder.decode(this.#take(this.#u32()));
      case 'bytes':
        return this.#take(this.#u32()).slice();
      case 'nums':
        return this.#nums();
    }
  }

  #nums(): number[] {
    const count = this.#u32();
    if (count * 8 > this.#buffer.length - this.#at) this.#short(count * 8);
    return Array.from({ length: count }, () => this.#num());
  }
  #tag(): [TypeName, string] {
    const at = this.#at;
    const type = TYPES[this.#take(1)[0]];
    if (type === undefined) throw new UserError(`machine state: no field type at offset ${at}; the state is damaged`);
    const length = this.#take(1)[0];
    return [type, decoder.decode(this.#take(length))];
  }
  #head(type: TypeName, name: string) {
    const at = this.#at;
    const [foundType, foundName] = this.#tag();
    if (foundType !== type || foundName !== name) {
      const found = `'${foundName}' (${foundType})`;
      throw new UserError(`machine state: expected '${name}' (${type}) at offset ${at}, found ${found}`);
    }
  }
  #u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }
  #num(): number {
    return this.#view.getFloat64(this.#advance(8), true);
  }
  #take(n: number): Uint8Array {
    const at = this.#advance(n);
    return this.#buffer.subarray(at, at + n);
  }
  #advance(n: number): number {
    if (n > this.#buffer.length - this.#at) this.#short(n);
    const at = this.#at;
    this.#at += n;
    return at;
  }
  #short(n: number): never {
    throw new UserError(
      `machine state: ${n} bytes expected at offset ${this.#at}, ${this.#buffer.length - this.#at} there; the state is cut short`,
    );
  }
}
