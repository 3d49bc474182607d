/**
 * Reads all names out of a file's debug information, as fast as it goes: a kernel has 190 MB of it. Only entries that are not inside functions and types are looked at;
 * those of C units without building their trees.
 */
import { Cursor, decodeText } from './cursor.ts';
import type { AbbrevTable } from './dwarf/abbrev.ts';
import { DW_AT, DW_FORM, DW_TAG } from './dwarf/constants.ts';
import { type FormSizes, fixedSize, readForm, skipForm } from './dwarf/form.ts';
import type { DebugInfo } from './dwarf/info.ts';
import { readSourceFiles } from './dwarf/line.ts';
import type { Unit } from './dwarf/unit.ts';
import { qualifiedName } from './functions.ts';
import { type NameIndex, NameIndexBuilder, type NameKind } from './name-index.ts';

const KINDS: Readonly<Record<number, NameKind>> = {
  [DW_TAG.subprogram]: 'function',
  [DW_TAG.variable]: 'variable',
  [DW_TAG.structure_type]: 'struct',
  [DW_TAG.class_type]: 'struct',
  [DW_TAG.union_type]: 'union',
  [DW_TAG.enumeration_type]: 'enum',
  [DW_TAG.typedef]: 'typedef',
  [DW_TAG.base_type]: 'base',
  [DW_TAG.enumerator]: 'enumerator',
};

/** Names and source files of all units. What is garbled is noted with `info`, and left out. */
export function buildNameIndex(info: DebugInfo): NameIndex {
  const builder = new NameIndexBuilder();
  const scan = new Scan(info, builder);
  for (const unit of info.units) {
    info.guard(() => scan.unit(unit), undefined);
    if (unit.section === '.debug_info') {
      info.guard(() => {
        for (const path of new Set(readSourceFiles(unit).files)) builder.addSource(path, unit.index);
      }, undefined);
    }
  }
  return builder.finish();
}

/** What an abbreviation means for the scan. Offsets are from the first attribute; -1 if they vary, or there is none. */
interface Plan {
  readonly kind: NameKind | undefined;
  readonly size: number;
  /** Of a DW_FORM_strp name, and of a DW_FORM_ref4 sibling. */
  readonly nameAt: number;
  readonly siblingAt: number;
  readonly hasSibling: boolean;
  /** Whether an entry is a definition that is worth an index entry, should it have a name. */
  readonly wanted: boolean;
  readonly hasChildren: boolean;
}

class Scan {
  readonly #info: DebugInfo;
  readonly #builder: NameIndexBuilder;
  /** Numbers of names by their offset in `.debug_str`, plus one. */
  readonly #byOffset: Uint32Array;
  #buffer = new Uint8Array(1 << 20);

  constructor(info: DebugInfo, builder: NameIndexBuilder) {
    this.#info = info;
    this.#builder = builder;
    this.#byOffset = new Uint32Array(info.guard(() => info.elf.section('.debug_str')?.bytes ?? 0, 0));
  }

  unit(unit: Unit): void {
    if (unit.section === '.debug_types' || unit.signature !== null || unit.language !== 'c') this.#tree(unit);
    else this.#flat(unit);
  }

  /** C++, Rust and type units: names depend on what is around an entry. */
  #tree(unit: Unit): void {
    const { tree, abbrevs } = unit;
    for (let i = 1; i < tree.count; ) {
      const kind = KINDS[abbrevs.tags[tree.abbrevs[i]]];
      const die = unit.dieAtIndex(i);
      // Functions have names inside that are theirs alone; of all else, what is inside is named, too.
      const inside = kind !== 'function' && abbrevs.tags[tree.abbrevs[i]] !== DW_TAG.lexical_block;
      if (kind && !die.has(DW_AT.declaration) && !die.has(DW_AT.abstract_origin)) {
        const isMember = kind === 'variable' && !die.has(DW_AT.location) && !die.has(DW_AT.const_value);
        const name = isMember ? undefined : qualifiedName(die);
        if (name !== undefined) this.#builder.add(this.#builder.intern(name), kind, this.#info.offsetOf(die));
      }
      i = inside ? i + 1 : tree.ends[i];
    }
  }

  #flat(unit: Unit): void {
    const length = unit.end - unit.offset;
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(length * 2);
    const bytes = this.#buffer.subarray(0, length);
    this.#info.section(unit.section).readInto(bytes, unit.offset);
    const cursor = new Cursor(this.#info.name, unit.section, bytes, unit.offset, unit.headerBytes);
    const { abbrevs } = unit;
    const plans: (Plan | undefined)[] = [];
    const planOf = (index: number) => {
      plans[index] ??= makePlan(abbrevs, index, unit);
      return plans[index];
    };
    const root = this.#abbrev(cursor, abbrevs);
    skipAttributes(cursor, abbrevs, root, unit);
    if (!abbrevs.hasChildren[root]) return;
    let depth = 1;
    /** Depth at which names are collected: 1, and 2 within an enumeration. */
    let collecting = 1;
    while (depth > 0 && !cursor.done) {
      const at = cursor.at;
      const code = cursor.uleb();
      if (code === 0) {
        depth--;
        if (depth < collecting) collecting = Math.max(1, depth);
        continue;
      }
      const index = abbrevs.index(code);
      if (index < 0) cursor.fail(`abbreviation ${code} is not in the table at ${unit.abbrevOffset}`, at);
      const plan = planOf(index);
      const start = cursor.at;
      let sibling = -1;
      let fresh = true;
      if (plan.wanted && depth === collecting) {
        const id =
          plan.nameAt >= 0
            ? this.#nameAt(cursor, start + plan.nameAt)
            : this.#slowName(cursor, abbrevs, index, unit, start, 0);
        if (id >= 0) {
          fresh = !this.#builder.known(id, plan.kind!);
          this.#builder.add(id, plan.kind!, unit.offset + at);
        }
      }
      if (plan.siblingAt >= 0) {
        if (start + plan.siblingAt + 4 > cursor.end) cursor.skip(plan.siblingAt + 4);
        sibling = cursor.view.getUint32(start + plan.siblingAt, true);
      } else if (plan.hasSibling) {
        sibling = slowSibling(cursor, abbrevs, index, unit, start);
      }
      cursor.at = start;
      const enters = plan.hasChildren && plan.kind === 'enum' && depth === 1 && fresh;
      if (plan.hasChildren && !enters && sibling > start && sibling <= cursor.end) {
        cursor.at = sibling;
        continue;
      }
      if (plan.size >= 0) cursor.skip(plan.size);
      else skipAttributes(cursor, abbrevs, index, unit);
      if (plan.hasChildren) {
        depth++;
        if (enters) collecting = depth;
      }
    }
  }

  #abbrev(cursor: Cursor, abbrevs: AbbrevTable): number {
    const index = abbrevs.index(cursor.uleb());
    if (index < 0) cursor.fail('an abbreviation that is not in the table');
    return index;
  }

  /** The number of a name given as an offset in `.debug_str`. */
  #nameAt(cursor: Cursor, at: number): number {
    if (at + 4 > cursor.end) cursor.fail('a name expected', at);
    return this.#interned(cursor.view.getUint32(at, true));
  }

  #interned(offset: number): number {
    if (offset >= this.#byOffset.length) this.#info.string('.debug_str', offset);
    const known = this.#byOffset[offset];
    if (known !== 0) return known - 1;
    const id = this.#builder.intern(this.#info.string('.debug_str', offset));
    this.#byOffset[offset] = id + 1;
    return id;
  }

  /** The number of an entry's name, wherever its attributes have it; that of its declaration, if it has none. -1 without a name. */
  #slowName(cursor: Cursor, abbrevs: AbbrevTable, index: number, unit: Unit, start: number, depth: number): number {
    const { specs, starts } = abbrevs;
    cursor.at = start;
    let declaration = -1;
    for (let i = starts[index] * 3; i < starts[index + 1] * 3; i += 3) {
      const [attribute, form] = [specs[i], specs[i + 1]];
      if (attribute === DW_AT.name) {
        if (form === DW_FORM.strp && unit.offsetSize === 4) return this.#interned(cursor.u32());
        if (form === DW_FORM.string) {
          const zero = cursor.bytes.indexOf(0, cursor.at);
          if (zero < 0 || zero >= cursor.end) cursor.fail('a string without its end');
          return this.#builder.intern(decodeText(cursor.bytes, cursor.at, zero));
        }
        const value = readForm(cursor, form, unit, () => cursor);
        if (value.kind === 'stringOffset') return this.#builder.intern(this.#info.string(value.section, value.offset));
        return value.kind === 'stringIndex' ? this.#builder.intern(unit.stringAt(value.index)) : -1;
      }
      if (attribute === DW_AT.specification || attribute === DW_AT.abstract_origin) {
        const value = readForm(cursor, form, unit, () => cursor);
        if (value.kind === 'unitReference') declaration = value.offset;
        // Across units, as link-time optimisation has it.
        if (value.kind === 'reference') return this.#elsewhere(value.offset);
        continue;
      }
      skipForm(cursor, form, unit);
    }
    if (declaration < 0 || depth > 4) return -1;
    cursor.at = 0;
    cursor.skip(declaration);
    return this.#slowName(cursor, abbrevs, this.#abbrev(cursor, abbrevs), unit, cursor.at, depth + 1);
  }

  #elsewhere(offset: number): number {
    const name = qualifiedName(this.#info.die(offset));
    return name === undefined ? -1 : this.#builder.intern(name);
  }
}

function makePlan(abbrevs: AbbrevTable, index: number, sizes: FormSizes): Plan {
  const { specs, starts } = abbrevs;
  const kind = KINDS[abbrevs.tags[index]];
  let [nameAt, siblingAt, at] = [-1, -1, 0];
  let [named, hasSibling, declared, placed, origin] = [false, false, false, false, false];
  for (let i = starts[index] * 3; i < starts[index + 1] * 3; i += 3) {
    const [attribute, form] = [specs[i], specs[i + 1]];
    if (attribute === DW_AT.name) {
      named = true;
      if (form === DW_FORM.strp && sizes.offsetSize === 4) nameAt = at;
    } else if (attribute === DW_AT.sibling) {
      hasSibling = true;
      if (form === DW_FORM.ref4) siblingAt = at;
    } else if (attribute === DW_AT.declaration) {
      declared = true;
    } else if (attribute === DW_AT.location || attribute === DW_AT.const_value) {
      placed = true;
    } else if (attribute === DW_AT.specification) {
      named = true;
    } else if (attribute === DW_AT.abstract_origin) {
      // An instance of an inline function is found by the function; one of a function in another unit is not.
      origin = form !== DW_FORM.ref_addr;
      named = !origin;
    }
    const size = fixedSize(form, sizes);
    at = at < 0 || size < 0 ? -1 : at + size;
  }
  const wanted = kind !== undefined && named && !declared && !origin && (kind !== 'variable' || placed);
  const hasChildren = abbrevs.hasChildren[index] !== 0;
  return { kind, size: abbrevs.sizes[index], nameAt, siblingAt, hasSibling, wanted, hasChildren };
}

function skipAttributes(cursor: Cursor, abbrevs: AbbrevTable, index: number, sizes: FormSizes): void {
  const { specs, starts } = abbrevs;
  for (let i = starts[index] * 3; i < starts[index + 1] * 3; i += 3) skipForm(cursor, specs[i + 1], sizes);
}

function slowSibling(cursor: Cursor, abbrevs: AbbrevTable, index: number, unit: Unit, start: number): number {
  const { specs, starts } = abbrevs;
  cursor.at = start;
  for (let i = starts[index] * 3; i < starts[index + 1] * 3; i += 3) {
    if (specs[i] === DW_AT.sibling) {
      const value = readForm(cursor, specs[i + 1], unit, () => cursor);
      return value.kind === 'unitReference' ? value.offset : -1;
    }
    skipForm(cursor, specs[i + 1], unit);
  }
  return -1;
}
