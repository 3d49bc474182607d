/**
 * Which entries of the debug information have a name, and which units a source file: in flat arrays, so that the index of a kernel takes some megabytes, and
 * is read from a cache in some milliseconds.
 */
import { decodeText } from './cursor.ts';
import { hashBytes, slotsFor } from './name-hash.ts';
import { sortByKeys } from './radix.ts';

/** What a name is of. The numbers are in cache files. */
export const NAME_KINDS = ['function', 'variable', 'struct', 'union', 'enum', 'typedef', 'base', 'enumerator'] as const;
export type NameKind = (typeof NAME_KINDS)[number];

export interface NamedEntry {
  /** With namespaces and classes. */
  readonly name: string;
  readonly kind: NameKind;
  /** Offset by which `DebugInfo.die` finds the entry. */
  readonly offset: number;
}

/** The arrays that an index consists of, and that a cache keeps. */
export interface NameArrays {
  /** Names, each with a zero behind it. */
  readonly text: Uint8Array;
  /** For each entry where its name begins, its kind, and the offset by which `DebugInfo.die` finds it. */
  readonly names: Uint32Array;
  readonly kinds: Uint8Array;
  readonly offsets: Uint32Array;
  /** For each source file where its path begins in `text`; sorted by unit, its `sources` number and unit, as pairs. */
  readonly paths: Uint32Array;
  readonly pathUnits: Uint32Array;
}

const encoder = new TextEncoder();
const ZERO = 0;

export class NameIndex {
  readonly arrays: NameArrays;
  /** Entries by the hash of their last component: the first of each slot plus one, and the next one's plus one. Made by the first search. */
  #chains: { readonly slots: Uint32Array; readonly next: Uint32Array } | null = null;
  #pathList: string[] | null = null;

  constructor(arrays: NameArrays) {
    this.arrays = arrays;
  }

  #makeChains() {
    const { text, names } = this.arrays;
    const slots = new Uint32Array(slotsFor(names.length / 2));
    const next = new Uint32Array(names.length);
    const mask = slots.length - 1;
    let name = -1;
    let slot = 0;
    for (let i = names.length - 1; i >= 0; i--) {
      if (names[i] !== name) {
        name = names[i];
        const [from, to] = lastComponent(text, name, endOf(text, name));
        slot = hashBytes(text, from, to) & mask;
      }
      next[i] = slots[slot];
      slots[slot] = i + 1;
    }
    return { slots, next };
  }

  /** Entries of a name. One in a namespace is found by any number of its last components: `vec::Vec` finds `alloc::vec::Vec`. */
  *find(name: string, kinds?: readonly NameKind[]): Generator<NamedEntry> {
    const wanted = encoder.encode(name);
    const { text, names, kinds: entryKinds, offsets } = this.arrays;
    const [from, to] = lastComponent(wanted, 0, wanted.length);
    this.#chains ??= this.#makeChains();
    const { slots, next } = this.#chains;
    for (let i = slots[hashBytes(wanted, from, to) & (slots.length - 1)]; i !== 0; i = next[i - 1]) {
      const kind = NAME_KINDS[entryKinds[i - 1]];
      if (kinds && !kinds.includes(kind)) continue;
      const at = names[i - 1];
      if (matches(text, at, endOf(text, at), wanted)) yield { name: this.#text(at), kind, offset: offsets[i - 1] };
    }
  }

  /** Names that begin with a text, each once, up to a number of them. */
  complete(prefix: string, limit: number, kinds?: readonly NameKind[]): string[] {
    const wanted = encoder.encode(prefix);
    const { text, names, kinds: entryKinds } = this.arrays;
    const found = new Set<string>();
    for (let i = 0; i < names.length && found.size < limit; i++) {
      const at = names[i];
      let n = 0;
      while (n < wanted.length && text[at + n] === wanted[n]) n++;
      if (n < wanted.length || (kinds && !kinds.includes(NAME_KINDS[entryKinds[i]]))) continue;
      found.add(this.#text(at));
    }
    return [...found].sort();
  }

  /** All source files that line tables name. */
  get paths(): readonly string[] {
    this.#pathList ??= Array.from(this.arrays.paths, (at) => this.#text(at));
    return this.#pathList;
  }

  /** Units whose line table names a source file. */
  unitsOf(path: string): number[] {
    const wanted = this.paths.indexOf(path);
    const { pathUnits } = this.arrays;
    const units: number[] = [];
    for (let i = 0; i < pathUnits.length; i += 2) if (pathUnits[i] === wanted) units.push(pathUnits[i + 1]);
    return units;
  }

  #text(at: number): string {
    return decodeText(this.arrays.text, at, endOf(this.arrays.text, at));
  }
}

function endOf(text: Uint8Array, at: number): number {
  const end = text.indexOf(ZERO, at);
  return end < 0 ? text.length : end;
}

const [COLON, LESS, GREATER] = [0x3a, 0x3c, 0x3e];

/** The part of a name behind its namespaces and classes, without template arguments. */
function lastComponent(text: Uint8Array, from: number, to: number): [from: number, to: number] {
  let end = to;
  // Template arguments at the end, but not `operator<` and its like.
  if (text[to - 1] === GREATER) {
    let depth = 0;
    let at = to - 1;
    for (; at > from; at--) {
      if (text[at] === GREATER && text[at - 1] !== 0x2d) depth++;
      else if (text[at] === LESS && --depth === 0) break;
    }
    if (at > from && depth === 0) end = at;
  }
  for (let at = end - 1; at > from; at--) if (text[at] === COLON && text[at - 1] === COLON) return [at + 1, end];
  return [from, end];
}

/** Whether a name is the wanted one, or ends with it behind `::`; template arguments may be left out. */
function matches(text: Uint8Array, from: number, to: number, wanted: Uint8Array): boolean {
  const plain = lastComponent(text, from, to)[1];
  for (const end of [to, plain]) {
    const at = end - wanted.length;
    if (at < from || (at > from && !(text[at - 1] === COLON && text[at - 2] === COLON))) continue;
    let n = 0;
    while (n < wanted.length && text[at + n] === wanted[n]) n++;
    if (n === wanted.length) return true;
  }
  return false;
}

const KIND_NUMBERS = Object.fromEntries(NAME_KINDS.map((kind, i) => [kind, i])) as Record<NameKind, number>;
/** Of types and enumerators the first definition is enough: a kernel's units have thousands of copies of each. */
const ALL_KEPT = new Set<NameKind>(['function', 'variable']);

/** Collects names and entries for an index. */
export class NameIndexBuilder {
  #text = new Uint8Array(1 << 20);
  #textLength = 0;
  readonly #ids = new Map<string, number>();
  /** By the number of a name: where it begins, and the kinds that it has been met as. */
  #starts = new Uint32Array(1 << 16);
  #seen = new Uint8Array(1 << 16);
  #nameCount = 0;
  #entryNames = new Uint32Array(1 << 16);
  #entryKinds = new Uint8Array(1 << 16);
  #entryOffsets = new Uint32Array(1 << 16);
  #entryCount = 0;
  readonly #pathIds = new Map<string, number>();
  readonly #pathStarts: number[] = [];
  readonly #pathUnits: number[] = [];

  /** The number of a name. */
  intern(name: string): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.#nameCount++;
      if (id === this.#starts.length) {
        this.#starts = grown(this.#starts, new Uint32Array(id * 2));
        this.#seen = grown(this.#seen, new Uint8Array(id * 2));
      }
      this.#starts[id] = this.#write(name);
      this.#ids.set(name, id);
    }
    return id;
  }

  /** Whether an entry of this name and kind would be a copy of what is known. */
  known(id: number, kind: NameKind): boolean {
    return !ALL_KEPT.has(kind) && (this.#seen[id] & (1 << KIND_NUMBERS[kind])) !== 0;
  }

  add(id: number, kind: NameKind, offset: number): void {
    if (this.known(id, kind)) return;
    this.#seen[id] |= 1 << KIND_NUMBERS[kind];
    const i = this.#entryCount++;
    if (i === this.#entryNames.length) {
      this.#entryNames = grown(this.#entryNames, new Uint32Array(i * 2));
      this.#entryKinds = grown(this.#entryKinds, new Uint8Array(i * 2));
      this.#entryOffsets = grown(this.#entryOffsets, new Uint32Array(i * 2));
    }
    this.#entryNames[i] = id;
    this.#entryKinds[i] = KIND_NUMBERS[kind];
    this.#entryOffsets[i] = offset;
  }

  addSource(path: string, unit: number): void {
    let id = this.#pathIds.get(path);
    if (id === undefined) {
      id = this.#pathStarts.length;
      this.#pathIds.set(path, id);
      this.#pathStarts.push(this.#write(path));
    }
    this.#pathUnits.push(id, unit);
  }

  finish(): NameIndex {
    const count = this.#entryCount;
    // Entries of one name stand together, in the order of the file.
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    sortByKeys(order, [this.#entryNames]);
    const names = new Uint32Array(count);
    const kinds = new Uint8Array(count);
    const offsets = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      names[i] = this.#starts[this.#entryNames[order[i]]];
      kinds[i] = this.#entryKinds[order[i]];
      offsets[i] = this.#entryOffsets[order[i]];
    }
    return new NameIndex({
      text: this.#text.slice(0, this.#textLength),
      names,
      kinds,
      offsets,
      paths: Uint32Array.from(this.#pathStarts),
      pathUnits: Uint32Array.from(this.#pathUnits),
    });
  }

  #write(text: string): number {
    const at = this.#textLength;
    // UTF-8 takes three bytes at most for each unit of a JavaScript string.
    const needed = at + text.length * 3 + 1;
    if (needed > this.#text.length) this.#text = grown(this.#text, new Uint8Array(Math.max(needed, at * 2)));
    const { written } = encoder.encodeInto(text, this.#text.subarray(at));
    this.#textLength = at + written + 1;
    this.#text[this.#textLength - 1] = ZERO;
    return at;
  }
}

function grown<T extends Uint8Array | Uint32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
