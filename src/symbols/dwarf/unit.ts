/** One unit of debug information: its header, its entries as a tree, and what its root says about all of it. */
import { Cursor } from '../cursor.ts';
import { SymbolError } from '../error.ts';
import type { AbbrevTable } from './abbrev.ts';
import { DW_AT, DW_LANG, DW_UT } from './constants.ts';
import { Die } from './die.ts';
import { type FormSizes, skipForm } from './form.ts';
import type { DebugInfo } from './info.ts';

export interface UnitHeader extends FormSizes {
  readonly section: '.debug_info' | '.debug_types';
  /** Where the unit begins in its section, and where the next one does. */
  readonly offset: number;
  readonly end: number;
  /** Bytes before the first entry. */
  readonly headerBytes: number;
  /** DW_UT_*. */
  readonly type: number;
  readonly abbrevOffset: number;
  /** For a type unit: what it is known by, and where in the unit its type is. */
  readonly signature: bigint | null;
  readonly typeOffset: number;
}

/** All entries of a unit, in the order of the section. Offsets are those from the beginning of the unit. */
export interface DieTree {
  readonly count: number;
  readonly offsets: Uint32Array;
  /** Index of the abbreviation of each. */
  readonly abbrevs: Uint32Array;
  /** Index of the entry around each; -1 for the root. */
  readonly parents: Int32Array;
  /** Index behind the last entry inside each. */
  readonly ends: Uint32Array;
}

const CPLUSPLUS = new Set<number>([
  DW_LANG.C_plus_plus,
  DW_LANG.C_plus_plus_03,
  DW_LANG.C_plus_plus_11,
  DW_LANG.C_plus_plus_14,
  DW_LANG.C_plus_plus_17,
  DW_LANG.C_plus_plus_20,
]);

export type Language = 'c' | 'c++' | 'rust';

export class Unit implements UnitHeader {
  readonly info: DebugInfo;
  readonly index: number;
  readonly section: '.debug_info' | '.debug_types';
  readonly offset: number;
  readonly end: number;
  readonly headerBytes: number;
  readonly type: number;
  readonly version: number;
  readonly addressSize: number;
  readonly offsetSize: 4 | 8;
  readonly abbrevOffset: number;
  readonly signature: bigint | null;
  readonly typeOffset: number;
  #abbrevs: AbbrevTable | null = null;
  #cursor: Cursor | null = null;
  #tree: DieTree | null = null;
  #bases: { strings: number; addresses: number; ranges: number; locations: number } | null = null;
  #lowPc: bigint | null = null;
  #language: Language | null = null;
  #broken: SymbolError | null = null;

  constructor(info: DebugInfo, index: number, header: UnitHeader) {
    this.info = info;
    this.index = index;
    this.section = header.section;
    this.offset = header.offset;
    this.end = header.end;
    this.headerBytes = header.headerBytes;
    this.type = header.type;
    this.version = header.version;
    this.addressSize = header.addressSize;
    this.offsetSize = header.offsetSize;
    this.abbrevOffset = header.abbrevOffset;
    this.signature = header.signature;
    this.typeOffset = header.typeOffset;
    if (this.version < 2 || this.version > 5) {
      this.#broken = this.error(0, `DWARF version ${this.version}; versions 2 to 5 are supported`);
    } else if (this.addressSize !== 8 && this.addressSize !== 4) {
      this.#broken = this.error(0, `addresses of ${this.addressSize} bytes; 4 or 8 are supported`);
    } else if (this.type === DW_UT.skeleton || this.type === DW_UT.split_compile || this.type === DW_UT.split_type) {
      this.#broken = this.error(0, SPLIT);
    } else if (this.type < DW_UT.compile || this.type > DW_UT.split_type) {
      this.#broken = this.error(0, `unit type ${this.type} is not known`);
    }
  }

  error(at: number, what: string): SymbolError {
    return new SymbolError(this.info.name, this.section, this.offset + at, what);
  }

  /** The unit's bytes from its header on, as a cursor at an offset in the unit. It is the same one every time. */
  cursorAt(at: number): Cursor {
    if (this.#broken) throw this.#broken;
    if (!this.#cursor) {
      const bytes = this.info.section(this.section).slice(this.offset, this.end - this.offset);
      this.#cursor = new Cursor(this.info.name, this.section, bytes, this.offset);
      this.info.hold(this, bytes.length);
    }
    this.#cursor.at = at;
    return this.#cursor;
  }

  get abbrevs(): AbbrevTable {
    this.#abbrevs ??= this.info.abbrevs(this.abbrevOffset, this);
    return this.#abbrevs;
  }

  get tree(): DieTree {
    if (this.#tree) {
      this.info.hold(this, 0);
      return this.#tree;
    }
    const tree = readTree(this);
    this.#tree = tree;
    this.info.hold(this, 16 * tree.count);
    return tree;
  }

  /** Gives up what can be read again. */
  release(): void {
    this.#cursor = null;
    this.#tree = null;
    this.#abbrevs = null;
  }

  get root(): Die {
    return new Die(this, 0);
  }

  /** The entry at an offset in the unit. */
  dieAt(at: number): Die {
    const { offsets, count } = this.tree;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (offsets[middle] < at) low = middle + 1;
      else high = middle;
    }
    if (low === count || offsets[low] !== at) throw this.error(at, 'no entry begins there');
    return new Die(this, low);
  }

  /** The entry of a number, counted from the root on. */
  dieAtIndex(index: number): Die {
    return new Die(this, index);
  }

  get name(): string {
    return this.root.string(DW_AT.name) ?? '';
  }

  /** Base of addresses in range and location lists. */
  get lowPc(): bigint {
    this.#lowPc ??= this.root.address(DW_AT.low_pc) ?? 0n;
    return this.#lowPc;
  }

  get language(): Language {
    if (this.#language === null) {
      const language = this.root.number(DW_AT.language) ?? 0;
      this.#language = language === DW_LANG.Rust ? 'rust' : CPLUSPLUS.has(language) ? 'c++' : 'c';
    }
    return this.#language;
  }

  /** Where this unit's parts of the indexed sections begin. Without an attribute they begin behind the section's header. */
  get bases() {
    if (!this.#bases) {
      const { root } = this;
      const header = this.offsetSize === 4 ? 8 : 16;
      this.#bases = {
        strings: root.sectionOffset(DW_AT.str_offsets_base) ?? header,
        addresses: root.sectionOffset(DW_AT.addr_base) ?? root.sectionOffset(DW_AT.GNU_addr_base) ?? header,
        ranges: root.sectionOffset(DW_AT.rnglists_base) ?? header + 4,
        locations: root.sectionOffset(DW_AT.loclists_base) ?? header + 4,
      };
    }
    return this.#bases;
  }

  /** A string by its number in `.debug_str_offsets`. */
  stringAt(index: number): string {
    const cursor = this.info.section('.debug_str_offsets').cursor();
    cursor.skip(this.bases.strings + index * this.offsetSize);
    return this.info.string('.debug_str', cursor.offsetOf(this.offsetSize));
  }

  /** An address by its number in `.debug_addr`. */
  addressAt(index: number): bigint {
    const cursor = this.info.section('.debug_addr').cursor();
    cursor.skip(this.bases.addresses + index * this.addressSize);
    return cursor.unsigned(this.addressSize);
  }
}

export const SPLIT = 'split DWARF (.dwo files) is not supported; compile without -gsplit-dwarf';

function readTree(unit: Unit): DieTree {
  const cursor = unit.cursorAt(unit.headerBytes);
  const { abbrevs } = unit;
  let capacity = Math.max(64, Math.ceil(cursor.remaining / 10));
  let offsets = new Uint32Array(capacity);
  let codes = new Uint32Array(capacity);
  let parents = new Int32Array(capacity);
  let ends = new Uint32Array(capacity);
  let count = 0;
  const open: number[] = [];
  while (!cursor.done) {
    const at = cursor.at;
    const code = cursor.uleb();
    if (code === 0) {
      const closed = open.pop();
      // Zeros behind the root are padding.
      if (closed !== undefined) ends[closed] = count;
      continue;
    }
    if (count > 0 && open.length === 0) throw unit.error(at, 'an entry behind the end of the tree');
    const abbrev = abbrevs.index(code);
    if (abbrev < 0) throw unit.error(at, `abbreviation ${code} is not in the table at ${unit.abbrevOffset}`);
    if (count === capacity) {
      capacity *= 2;
      const grown = [new Uint32Array(capacity), new Uint32Array(capacity), new Uint32Array(capacity)];
      grown[0].set(offsets);
      grown[1].set(codes);
      grown[2].set(ends);
      [offsets, codes, ends] = grown;
      const grownParents = new Int32Array(capacity);
      grownParents.set(parents);
      parents = grownParents;
    }
    offsets[count] = at;
    codes[count] = abbrev;
    parents[count] = open.length === 0 ? -1 : open[open.length - 1];
    const size = abbrevs.sizes[abbrev];
    if (size >= 0) {
      cursor.skip(size);
    } else {
      const { specs } = abbrevs;
      const end = abbrevs.starts[abbrev + 1] * 3;
      for (let i = abbrevs.starts[abbrev] * 3; i < end; i += 3) skipForm(cursor, specs[i + 1], unit);
    }
    if (abbrevs.hasChildren[abbrev]) open.push(count);
    else ends[count] = count + 1;
    count++;
  }
  for (const index of open) ends[index] = count;
  if (count === 0) throw unit.error(unit.headerBytes, 'a unit without entries');
  const cut = { offsets: offsets.slice(0, count), abbrevs: codes.slice(0, count), ends: ends.slice(0, count) };
  return { count, ...cut, parents: parents.slice(0, count) };
}
