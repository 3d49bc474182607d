/**
 * The symbols of one ELF file, at the addresses that the file itself gives. Everything is read when it is first needed. What is garbled is noted in
 * `problems`, and concerns the unit that it is in.
 */

import { DW_AT, DW_TAG } from './dwarf/constants.ts';
import type { Die } from './dwarf/die.ts';
import { type FrameRules, FrameTable } from './dwarf/frame.ts';
import { DebugInfo } from './dwarf/info.ts';
import { type LineTable, ROW_PROLOGUE_END, ROW_STATEMENT, readLines, rowAt, statementRowAt } from './dwarf/line.ts';
import type { Unit } from './dwarf/unit.ts';
import { SPLIT } from './dwarf/unit.ts';
import { ElfFile, type ElfOptions, ET_REL, type SymbolSource } from './elf.ts';
import { type ElfSymbol, ElfSymbols } from './elf-symbols.ts';
import type { SymbolError } from './error.ts';
import { blocksAt, functionMap, functionName } from './functions.ts';
import type { IndexCache, SymbolIndex } from './index-cache.ts';
import { buildNameIndex } from './index-scan.ts';
import type { NameIndex } from './name-index.ts';
import { type AddressRange, RangeMap } from './range-map.ts';
import { TypeReader } from './type-reader.ts';
import type { StructType } from './types.ts';

export interface SourceLocation {
  /** Path as the debug information has it, with folders joined and dots taken out. */
  readonly path: string;
  /** From 1; 0 where the compiler made code that belongs to no line. */
  readonly line: number;
  /** From 1; 0 where it is not known. */
  readonly column: number;
}

/** A function at work at an address: itself, or as a copy inlined into another. */
export interface CodeFrame {
  /** The name, with namespaces and classes. */
  readonly name: string;
  readonly inlined: boolean;
  /** Where this function is; for one that has others inlined here, where their call is. */
  readonly location: SourceLocation | null;
  /** The entry of the function or of the inlined copy, and the blocks of it around the address, from the outside in. */
  readonly die: Die;
  readonly blocks: readonly Die[];
}

/** Line tables kept, which take some 100 KB each. */
const LINE_TABLES_MAX = 64;
const FUNCTION_MAPS_MAX = 256;

export interface SymbolFileOptions extends ElfOptions {
  /** Keeps the index of names, which takes seconds to make for a kernel. */
  readonly cache?: IndexCache;
}

export class SymbolFile {
  readonly elf: ElfFile;
  readonly info: DebugInfo;
  readonly buildId: string | null;
  readonly #lines = new Map<Unit, LineTable>();
  readonly #functions = new Map<Unit, RangeMap>();
  /** Types by their entries. */
  readonly types: TypeReader;
  readonly #cache: IndexCache | null;
  #kept: SymbolIndex | null | undefined;
  #unitMap: RangeMap | null = null;
  #symbols: ElfSymbols | null | undefined;
  #frames: FrameTable[] | null = null;
  #names: NameIndex | null = null;

  constructor(source: SymbolSource, options: SymbolFileOptions = {}) {
    this.#cache = options.cache ?? null;
    this.elf = new ElfFile(source, options);
    this.info = new DebugInfo(this.elf);
    this.types = new TypeReader((name, kind) => this.#definition(name, kind));
    this.buildId = this.info.guard(() => this.elf.buildId(), null);
  }

  get name(): string {
    return this.elf.name;
  }
  /** What could not be read so far. */
  get problems(): readonly SymbolError[] {
    return this.info.problems;
  }

  /** The symbol table; null if the file is stripped of it. */
  get symbols(): ElfSymbols | null {
    if (this.#symbols === undefined) {
      const kept = this.#loadIndex()?.symbols ?? null;
      this.#symbols = this.info.guard(() => ElfSymbols.of(this.elf, kept), null);
    }
    return this.#symbols;
  }

  /** Which units have code at an address. */
  get unitMap(): RangeMap {
    this.#unitMap ??= this.#loadIndex()?.units ?? this.#readUnitMap();
    return this.#unitMap;
  }

  /** Names of functions, variables and types, and source files. Made when they are first asked for, unless a cache has them. */
  get names(): NameIndex {
    this.#names ??= this.#loadIndex()?.names ?? null;
    if (!this.#names) {
      this.#names = buildNameIndex(this.info);
      const index = { units: this.unitMap, names: this.#names, symbols: this.symbols?.arrays ?? null };
      // What is incomplete because something could not be read is not kept for later.
      if (this.#cacheable && this.problems.length === 0)
        this.#cache?.store(this.buildId!, this.elf.source.bytes, index);
    }
    return this.#names;
  }

  /** What the cache has, asked for once. */
  #loadIndex(): SymbolIndex | null {
    if (this.#kept === undefined) {
      this.#kept = (this.#cacheable && this.#cache?.load(this.buildId!, this.elf.source.bytes)) || null;
    }
    return this.#kept;
  }

  /** A relocatable file has other addresses wherever it is put. */
  get #cacheable(): boolean {
    return this.buildId !== null && this.elf.type !== ET_REL;
  }

  #definition(name: string, kind: 'struct' | 'union'): StructType | null {
    for (const entry of this.names.find(name, [kind])) {
      const type = this.info.guard(() => this.types.read(this.info.die(entry.offset)), null);
      if (entry.name === name && type?.kind === 'struct' && !type.incomplete) return type;
    }
    return null;
  }

  #readUnitMap(): RangeMap {
    const entries: (AddressRange & { value: number })[] = [];
    for (const unit of this.info.units) {
      if (unit.section === '.debug_types') continue;
      this.info.guard(() => {
        for (const { low, high } of unitRanges(unit)) {
          // Code that the linker has thrown away is left with addresses at which nothing is.
          if (this.elf.covers(low)) entries.push({ low, high, value: unit.index });
        }
      }, undefined);
    }
    return RangeMap.of(entries);
  }

  lines(unit: Unit): LineTable {
    const empty: LineTable = { files: [], file: () => undefined, sequences: [] };
    return keep(this.#lines, unit, LINE_TABLES_MAX, () => this.info.guard(() => readLines(unit), empty));
  }

  functions(unit: Unit): RangeMap {
    return keep(this.#functions, unit, FUNCTION_MAPS_MAX, () =>
      this.info.guard(() => functionMap(unit), RangeMap.of([])),
    );
  }

  /** The function whose code is at an address; of nested ones the innermost. */
  functionAt(address: bigint): Die | null {
    for (const index of this.unitMap.find(address)) {
      const unit = this.info.units[index];
      for (const die of this.functions(unit).find(address)) {
        const found = this.info.guard(() => unit.dieAtIndex(die), null);
        if (found) return found;
      }
    }
    return null;
  }

  /** The unit with code at an address, the one that has a function there first. */
  unitAt(address: bigint): Unit | null {
    const fn = this.functionAt(address);
    if (fn) return fn.unit;
    for (const index of this.unitMap.find(address)) return this.info.units[index];
    return null;
  }

  /** Source line of an address. */
  lineAt(address: bigint): SourceLocation | null {
    for (const index of this.unitMap.find(address)) {
      const found = this.#lineIn(this.info.units[index], address);
      if (found) return found;
    }
    return null;
  }

  #lineIn(unit: Unit, address: bigint): SourceLocation | null {
    const table = this.lines(unit);
    for (const sequence of table.sequences) {
      const row = statementRowAt(sequence, address);
      if (row < 0) continue;
      const path = table.files[sequence.files[row]];
      if (path === undefined) return null;
      return { path, line: sequence.lines[row], column: sequence.columns[row] };
    }
    return null;
  }

  /** The functions at work at an address: the innermost inlined copy first, the function itself last. Empty without debug information. */
  framesAt(address: bigint): CodeFrame[] {
    const fn = this.functionAt(address);
    if (!fn) return [];
    return this.info.guard(() => this.#framesOf(fn, address), []);
  }

  #framesOf(fn: Die, address: bigint): CodeFrame[] {
    const { unit } = fn;
    const table = this.lines(unit);
    const frames: CodeFrame[] = [];
    let location = this.#lineIn(unit, address);
    let blocks: Die[] = [];
    for (const die of blocksAt(fn, address).reverse()) {
      if (die.tag === DW_TAG.lexical_block) {
        blocks.unshift(die);
        continue;
      }
      const inlined = die.tag === DW_TAG.inlined_subroutine;
      frames.push({ name: functionName(die), inlined, location, die, blocks });
      blocks = [];
      if (!inlined) break;
      const path = table.file(die.number(DW_AT.call_file) ?? -1);
      const [line, column] = [die.number(DW_AT.call_line) ?? 0, die.number(DW_AT.call_column) ?? 0];
      location = path === undefined ? null : { path, line, column };
    }
    return frames;
  }

  /** How to find the caller of the code at an address; null where the file does not say. */
  frameRules(address: bigint): FrameRules | null {
    this.#frames ??= ['.debug_frame', '.eh_frame'].flatMap((name) => {
      const section = this.elf.section(name);
      return section ? this.info.guard(() => [new FrameTable(this.info, section)], []) : [];
    });
    for (const table of this.#frames) {
      const rules = table.rulesAt(address);
      if (rules) return rules;
    }
    return null;
  }

  /** The symbol around an address, by the symbol table. */
  symbolAt(address: bigint): ElfSymbol | null {
    return this.symbols?.at(address) ?? null;
  }

  /**
   * Where a breakpoint on a function belongs: behind its prologue, so that its arguments are where the debug information says. Optimised code, which
   * has location lists, has them right from the entry on.
   */
  afterPrologue(fn: Die, entry: bigint): bigint {
    return this.info.guard(() => this.#afterPrologue(fn, entry), entry);
  }

  #afterPrologue(fn: Die, entry: bigint): bigint {
    for (const sequence of this.lines(fn.unit).sequences) {
      const first = rowAt(sequence, entry);
      if (first < 0) continue;
      const end = fn.ranges().find((r) => entry >= r.low && entry < r.high)?.high ?? entry;
      const limit = Number(end - sequence.low);
      const { deltas, flags, lines } = sequence;
      for (let i = first; i < deltas.length && deltas[i] < limit; i++) {
        if (flags[i] & ROW_PROLOGUE_END) return sequence.low + BigInt(deltas[i]);
      }
      if (hasLocationLists(fn)) return entry;
      for (let i = first + 1; i < deltas.length && deltas[i] < limit; i++) {
        if (deltas[i] > deltas[first] && flags[i] & ROW_STATEMENT && lines[i] > 0) {
          return sequence.low + BigInt(deltas[i]);
        }
      }
    }
    return entry;
  }
}

/** Whether any variable of a function moves about. */
function hasLocationLists(fn: Die): boolean {
  const { tree } = fn.unit;
  for (let i = fn.index + 1; i < tree.ends[fn.index]; i++) {
    const kind = fn.unit.dieAtIndex(i).value(DW_AT.location)?.kind;
    if (kind === 'sectionOffset' || kind === 'listIndex' || kind === 'constant') return true;
  }
  return false;
}

function unitRanges(unit: Unit): AddressRange[] {
  const { root } = unit;
  if (root.has(DW_AT.dwo_name) || root.has(DW_AT.GNU_dwo_name)) throw unit.error(0, SPLIT);
  const ranges = root.ranges();
  if (ranges.length > 0 || root.tag === DW_TAG.partial_unit) return ranges;
  // Some producers leave the ranges of the unit to its functions.
  const all: AddressRange[] = [];
  for (const die of root.children()) if (die.tag === DW_TAG.subprogram) all.push(...die.ranges());
  return all;
}

/** What was made for a key, or is made now; of many the one that was used longest ago goes. */
function keep<K, V>(map: Map<K, V>, key: K, limit: number, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    if (map.size >= limit) map.delete(map.keys().next().value!);
  } else {
    map.delete(key);
  }
  map.set(key, value);
  return value;
}
