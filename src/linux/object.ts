/** Objects in the kernel's memory, looked at by the names that C gives to their parts. What cannot be known is `Unavailable`. */
import {
  type Member,
  numberOf,
  type StructType,
  stripped,
  type Type,
  Unavailable,
  type Value,
} from '../symbols/index.ts';

/** Texts of the kernel are no longer than this. */
const TEXT_BYTES_MAX = 4096;
/** Bytes of a text that are looked at at a time: a page that follows may not be there. */
const TEXT_STEP_BYTES = 64n;
const NESTING_MAX = 16;

type Path = readonly Member[];
/** Where members are, by struct and name: the kernel's structs have hundreds of them. */
const paths = new WeakMap<StructType, Map<string, Path | null>>();

export class KernelObject {
  readonly value: Value;

  constructor(value: Value) {
    this.value = value;
  }

  get address(): bigint {
    const { address } = this.value;
    if (address === null) throw new Unavailable('a bit-field has no address');
    return address;
  }

  /** Whether there is such a member: kernels differ. */
  has(path: string): boolean {
    return this.#find(path) !== null;
  }

  /** A member, or a member of a member: `thread.ra`. Those of anonymous structs count as those of the struct around them. */
  at(path: string): KernelObject {
    const found = this.#find(path);
    if (!found) throw new Unavailable(`the symbol file's ${this.#typeName} has no member ${path}`);
    return found;
  }

  /** The first of some members that there is, under the names of newer kernels and older ones. */
  either(...names: readonly string[]): KernelObject {
    for (const name of names) {
      const found = this.#find(name);
      if (found) return found;
    }
    return this.at(names[0]);
  }

  #find(path: string): KernelObject | null {
    let { value } = this;
    for (const name of path.split('.')) {
      const { plain } = value;
      if (plain.kind !== 'struct') return null;
      const members = memberPath(plain, name);
      if (!members) return null;
      for (const member of members) value = value.member(member);
    }
    return new KernelObject(value);
  }

  get #typeName(): string {
    const { plain } = this.value;
    return plain.kind === 'struct' ? `${plain.keyword} ${plain.name ?? ''}` : plain.kind;
  }

  /** The number that an integer, an enumeration or a bit-field holds, with its sign. */
  get big(): bigint {
    return numberOf(this.value);
  }
  get number(): number {
    return Number(this.big);
  }
  /** The address that a pointer holds; 0 for none. */
  get pointer(): bigint {
    return this.value.raw;
  }
  /** What a pointer points to. */
  deref(): KernelObject {
    if (this.value.plain.kind !== 'pointer') throw new Unavailable(`${this.#typeName} is no pointer`);
    if (this.pointer === 0n) throw new Unavailable(`the pointer at 0x${this.address.toString(16)} is null`);
    return new KernelObject(this.value.deref());
  }
  element(index: number): KernelObject {
    return new KernelObject(this.value.element(index));
  }
  /** Bytes that the object takes. */
  get size(): number {
    return this.value.size;
  }

  /** The same place as another type. */
  as(type: Type): KernelObject {
    return new KernelObject(this.value.as(type));
  }

  /** The text in an array of characters, or that a pointer points to, up to its zero. */
  get text(): string {
    const { plain, frame } = this.value;
    if (plain.kind === 'array' && (plain.count ?? 0) > 0) return untilZero(this.value.bytes);
    let bytes = new Uint8Array(0);
    // Of an array that is only declared somewhere, the length is not known.
    for (let at = plain.kind === 'array' ? this.address : this.pointer; bytes.length < TEXT_BYTES_MAX; ) {
      const length = Number(TEXT_STEP_BYTES - (at % TEXT_STEP_BYTES));
      bytes = Uint8Array.from([...bytes, ...frame.needMemory(at, length)]);
      if (bytes.includes(0)) break;
      at += BigInt(length);
    }
    return untilZero(bytes);
  }
}

function memberPath(type: StructType, name: string): Path | null {
  const struct = type.whole;
  let known = paths.get(struct);
  if (!known) {
    known = new Map();
    paths.set(struct, known);
  }
  let found = known.get(name);
  if (found === undefined) {
    found = findMember(struct, name, 0);
    known.set(name, found);
  }
  return found;
}

function findMember(struct: StructType, name: string, depth: number): Path | null {
  for (const member of struct.members) {
    if (member.name === name) return [member];
    if (member.name !== '' || depth === NESTING_MAX) continue;
    const inner = stripped(member.type);
    const found = inner.kind === 'struct' ? findMember(inner, name, depth + 1) : null;
    if (found) return [member, ...found];
  }
  return null;
}

function untilZero(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
