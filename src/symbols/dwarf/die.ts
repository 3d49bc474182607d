/** A debugging information entry: a node of a unit's tree, with attributes (DWARF 5, 2.1 and 2.2). */
import type { AddressRange } from '../range-map.ts';
import { DW_AT } from './constants.ts';
import { type FormValue, readForm, skipForm } from './form.ts';
import { readRanges } from './ranges.ts';
import type { Unit } from './unit.ts';

/** References that lead from one entry to the next; a longer chain is a circle. */
const CHAIN_MAX = 16;

export class Die {
  readonly unit: Unit;
  /** Number of the entry in its unit. */
  readonly index: number;

  constructor(unit: Unit, index: number) {
    this.unit = unit;
    this.index = index;
  }

  /** Offset in the unit. */
  get #at(): number {
    return this.index === 0 ? this.unit.headerBytes : this.unit.tree.offsets[this.index];
  }
  /** Offset in the section, by which the entry is known. */
  get offset(): number {
    return this.unit.offset + this.#at;
  }
  get tag(): number {
    return this.unit.abbrevs.tags[this.#abbrev];
  }
  get #abbrev(): number {
    const { unit } = this;
    if (this.index > 0) return unit.tree.abbrevs[this.index];
    const cursor = unit.cursorAt(unit.headerBytes);
    const code = cursor.uleb();
    const abbrev = unit.abbrevs.index(code);
    if (abbrev < 0) throw unit.error(unit.headerBytes, `abbreviation ${code} is not in the table`);
    return abbrev;
  }
  get parent(): Die | null {
    const parent = this.unit.tree.parents[this.index];
    return parent < 0 ? null : new Die(this.unit, parent);
  }
  *children(): Generator<Die> {
    const { unit, index } = this;
    const end = unit.tree.ends[index];
    for (let child = index + 1; child < end; child = unit.tree.ends[child]) yield new Die(unit, child);
  }
  equals(other: Die): boolean {
    return this.unit === other.unit && this.index === other.index;
  }

  /** What an attribute says; undefined if the entry does not have it. */
  value(attribute: number): FormValue | undefined {
    const { unit } = this;
    const { abbrevs } = unit;
    const abbrev = this.#abbrev;
    const cursor = unit.cursorAt(this.#at);
    cursor.uleb();
    const { specs } = abbrevs;
    const end = abbrevs.starts[abbrev + 1] * 3;
    for (let i = abbrevs.starts[abbrev] * 3; i < end; i += 3) {
      if (specs[i] !== attribute) {
        skipForm(cursor, specs[i + 1], unit);
        continue;
      }
      const constAt = specs[i + 2];
      return readForm(cursor, specs[i + 1], unit, () => unit.info.section('.debug_abbrev').cursor(constAt));
    }
    return undefined;
  }

  has(attribute: number): boolean {
    const { abbrevs } = this.unit;
    const abbrev = this.#abbrev;
    const end = abbrevs.starts[abbrev + 1] * 3;
    for (let i = abbrevs.starts[abbrev] * 3; i < end; i += 3) if (abbrevs.specs[i] === attribute) return true;
    return false;
  }

  string(attribute: number): string | undefined {
    const value = this.value(attribute);
    switch (value?.kind) {
      case undefined:
        return undefined;
      case 'string':
        return value.text;
      case 'stringOffset':
        return this.unit.info.string(value.section, value.offset);
      case 'stringIndex':
        return this.unit.stringAt(value.index);
      default:
        throw this.#wrong(attribute, 'a string', value!);
    }
  }

  get name(): string | undefined {
    return this.string(DW_AT.name);
  }

  /** A number that is small enough for a count or a size. */
  number(attribute: number): number | undefined {
    const value = this.constant(attribute);
    return value === undefined || value > BigInt(Number.MAX_SAFE_INTEGER) || value < 0n ? undefined : Number(value);
  }

  /** A constant; undefined also where the attribute is something else, such as an expression. */
  constant(attribute: number): bigint | undefined {
    const value = this.value(attribute);
    return value?.kind === 'constant' ? value.value : undefined;
  }

  flag(attribute: number): boolean {
    const value = this.value(attribute);
    return value?.kind === 'flag' && value.value;
  }

  address(attribute: number): bigint | undefined {
    const value = this.value(attribute);
    if (value === undefined) return undefined;
    if (value.kind === 'address') return value.value;
    if (value.kind === 'addressIndex') return this.unit.addressAt(value.index);
    throw this.#wrong(attribute, 'an address', value);
  }

  /** An offset into another section. Up to version 3 it looks like a constant. */
  sectionOffset(attribute: number): number | undefined {
    const value = this.value(attribute);
    if (value === undefined) return undefined;
    if (value.kind === 'sectionOffset') return value.offset;
    if (value.kind === 'constant') return Number(value.value);
    throw this.#wrong(attribute, 'an offset', value);
  }

  /** The entry that an attribute refers to. */
  reference(attribute: number): Die | undefined {
    const value = this.value(attribute);
    switch (value?.kind) {
      case undefined:
        return undefined;
      case 'unitReference':
        return this.unit.dieAt(value.offset);
      case 'reference':
        return this.unit.info.die(value.offset);
      case 'signature': {
        const type = this.unit.info.typeOf(value.value);
        if (!type) throw this.#error(`type unit 0x${value.value.toString(16)} is not in the file`);
        return type;
      }
      case 'elsewhere':
        throw this.#error('refers to a supplementary file (dwz), which is not supported');
      default:
        throw this.#wrong(attribute, 'a reference', value!);
    }
  }

  /** This entry, then those that it is an instance of or completes. */
  *chain(): Generator<Die> {
    let die: Die | undefined = this;
    for (let n = 0; die; n++) {
      if (n === CHAIN_MAX) throw this.#error('references lead in a circle');
      yield die;
      die = die.reference(DW_AT.abstract_origin) ?? die.reference(DW_AT.specification);
    }
  }

  /** The first of `chain` that has an attribute. */
  withAttribute(attribute: number): Die | undefined {
    if (this.has(attribute)) return this;
    for (const die of this.chain()) if (die.has(attribute)) return die;
    return undefined;
  }

  /** Code or data of this entry: from `low_pc` and `high_pc`, or `ranges`. */
  ranges(): AddressRange[] {
    const low = this.address(DW_AT.low_pc);
    const high = this.value(DW_AT.high_pc);
    if (low !== undefined && high !== undefined) {
      if (high.kind === 'constant') return [{ low, high: BigInt.asUintN(64, low + high.value) }];
      return [{ low, high: this.address(DW_AT.high_pc)! }];
    }
    const ranges = this.value(DW_AT.ranges);
    return ranges === undefined ? [] : readRanges(this.unit, ranges);
  }

  #wrong(attribute: number, wanted: string, found: FormValue) {
    return this.#error(`attribute 0x${attribute.toString(16)} is ${wanted}, found a value of kind '${found.kind}'`);
  }
  #error(what: string) {
    return this.unit.error(this.#at, what);
  }
}
