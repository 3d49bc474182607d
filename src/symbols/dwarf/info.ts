/** `.debug_info` and `.debug_types`: the units of a file, and the entries that references name (DWARF 5, 7.5.1). */
import { decodeText } from '../cursor.ts';
import type { ElfFile, ElfSection } from '../elf.ts';
import { SymbolError } from '../error.ts';
import { type AbbrevTable, readAbbrevs } from './abbrev.ts';
import { DW_UT } from './constants.ts';
import type { Die } from './die.ts';
import type { FormSizes } from './form.ts';
import { Unit, type UnitHeader } from './unit.ts';

/** Memory that units read so far may take before the one that was used longest ago is given up. It is read again when it is needed. */
const HELD_BYTES_MAX = 64 * 2 ** 20;
const ABBREV_TABLES_MAX = 256;
/** Errors that are kept for telling; a file that is garbled throughout has one for every unit. */
const PROBLEMS_MAX = 1000;

export class DebugInfo {
  readonly elf: ElfFile;
  /** What could not be read. Everything else could. */
  readonly problems: SymbolError[] = [];
  #units: Unit[] | null = null;
  #signatures: Map<bigint, Unit> | null = null;
  readonly #abbrevs = new Map<string, AbbrevTable>();
  /** Units with data in memory, the one used last at the end. */
  readonly #held = new Map<Unit, number>();
  #heldBytes = 0;
  #typesBase: number | null = null;
  #usedLast: Unit | null = null;

  constructor(elf: ElfFile) {
    this.elf = elf;
  }

  get name(): string {
    return this.elf.name;
  }

  /** All units, those of `.debug_info` in the order of the section first. */
  get units(): readonly Unit[] {
    this.#units ??= this.#readUnits();
    return this.#units;
  }

  section(name: string): ElfSection {
    const section = this.elf.section(name);
    if (!section) throw new SymbolError(this.name, name, 0, 'there is no such section');
    return section;
  }

  /** Does what may meet garbled data. An error is noted, and the result is what is given for that case. */
  guard<T>(work: () => T, otherwise: T): T {
    try {
      return work();
    } catch (error) {
      this.note(error);
      return otherwise;
    }
  }

  /** Notes a `SymbolError`; anything else is thrown on. */
  note(error: unknown): void {
    if (!(error instanceof SymbolError)) throw error;
    if (this.problems.length >= PROBLEMS_MAX) return;
    if (!this.problems.some((p) => p.message === error.message)) this.problems.push(error);
  }

  string(section: string, offset: number): string {
    const found = this.section(section);
    const bytes = found.all();
    const zero = offset < bytes.length ? bytes.indexOf(0, offset) : -1;
    if (zero < 0) throw found.error(offset, 'no string there');
    return decodeText(bytes, offset, zero);
  }

  abbrevs(offset: number, sizes: FormSizes): AbbrevTable {
    const key = `${offset} ${sizes.addressSize} ${sizes.offsetSize} ${sizes.version}`;
    let table = this.#abbrevs.get(key);
    if (!table) {
      table = readAbbrevs(this.section('.debug_abbrev'), offset, sizes);
      if (this.#abbrevs.size >= ABBREV_TABLES_MAX) this.#abbrevs.delete(this.#abbrevs.keys().next().value!);
      this.#abbrevs.set(key, table);
    }
    return table;
  }

  /** The unit around an offset of `.debug_info`. */
  unitAt(offset: number): Unit {
    const { units } = this;
    let low = 0;
    let high = units.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const unit = units[middle];
      if (unit.section === '.debug_info' && unit.offset <= offset) low = middle + 1;
      else high = middle;
    }
    const unit = units[low - 1];
    if (!unit || offset >= unit.end) throw new SymbolError(this.name, '.debug_info', offset, 'no unit there');
    return unit;
  }

  /** The entry at an offset of `.debug_info`, or of `.debug_types` taken to stand behind it. */
  die(offset: number): Die {
    const { typesBase } = this;
    if (offset < typesBase) {
      const unit = this.unitAt(offset);
      return unit.dieAt(offset - unit.offset);
    }
    const at = offset - typesBase;
    const unit = this.units.find((u) => u.section === '.debug_types' && at >= u.offset && at < u.end);
    if (!unit) throw new SymbolError(this.name, '.debug_types', at, 'no unit there');
    return unit.dieAt(at - unit.offset);
  }

  /** The offset by which `die` finds an entry. */
  offsetOf(die: Die): number {
    return die.unit.section === '.debug_types' ? this.typesBase + die.offset : die.offset;
  }

  /** Where `.debug_types` begins if it is taken to stand behind `.debug_info`. */
  get typesBase(): number {
    this.#typesBase ??= this.elf.section('.debug_info')?.bytes ?? 0;
    return this.#typesBase;
  }

  /** The type that a type unit describes (DWARF 5, 7.32). */
  typeOf(signature: bigint): Die | undefined {
    if (!this.#signatures) {
      this.#signatures = new Map();
      for (const unit of this.units) if (unit.signature !== null) this.#signatures.set(unit.signature, unit);
    }
    const unit = this.#signatures.get(signature);
    return unit?.dieAt(unit.typeOffset);
  }

  /** Counts memory of a unit, and gives up that of others if it becomes too much. */
  hold(unit: Unit, bytes: number): void {
    if (bytes === 0 && unit === this.#usedLast) return;
    this.#usedLast = unit;
    const before = this.#held.get(unit) ?? 0;
    this.#held.delete(unit);
    this.#held.set(unit, before + bytes);
    this.#heldBytes += bytes;
    if (this.#heldBytes <= HELD_BYTES_MAX) return;
    // Half of it at once, so that this is seldom done.
    for (const [other, size] of this.#held) {
      if (this.#heldBytes <= HELD_BYTES_MAX / 2) break;
      if (other === unit) continue;
      this.#held.delete(other);
      this.#heldBytes -= size;
      other.release();
    }
  }

  #readUnits(): Unit[] {
    const units: Unit[] = [];
    for (const name of ['.debug_info', '.debug_types'] as const) {
      const section = this.elf.section(name);
      if (!section) continue;
      this.guard(() => {
        for (let offset = 0; offset < section.bytes; ) {
          const header = readHeader(section, name, offset);
          const unit = new Unit(this, units.length, header);
          units.push(unit);
          offset = unit.end;
        }
      }, undefined);
    }
    return units;
  }
}

/** Bytes of the longest unit header: a type unit of 64-bit DWARF. */
const HEADER_BYTES_MAX = 40;

function readHeader(section: ElfSection, name: '.debug_info' | '.debug_types', offset: number): UnitHeader {
  const head = section.slice(offset, Math.min(HEADER_BYTES_MAX, section.bytes - offset));
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const short = () => section.error(offset, `a unit header expected, ${head.length} bytes there`);
  if (head.length < 11) throw short();
  let length = view.getUint32(0, true);
  let offsetSize: 4 | 8 = 4;
  let at = 4;
  if (length === 0xffffffff) {
    if (head.length < 23) throw short();
    length = Number(view.getBigUint64(4, true));
    offsetSize = 8;
    at = 12;
  }
  const end = offset + at + length;
  if (end > section.bytes) {
    throw section.error(offset, `a unit of ${length} bytes, ${section.bytes - offset - at} are there`);
  }
  const lengthBytes = at;
  const readOffset = () => {
    if (at + offsetSize > head.length) throw short();
    const value = offsetSize === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
    at += offsetSize;
    return value;
  };
  const version = view.getUint16(at, true);
  at += 2;
  if (version < 2 || version > 5) {
    // The next unit may be fine: this one is kept as one without contents.
    return { section: name, offset, end, headerBytes: lengthBytes + 2, version, offsetSize, ...NOTHING };
  }
  let type: number = name === '.debug_types' ? DW_UT.type : DW_UT.compile;
  let addressSize: number;
  let abbrevOffset: number;
  if (version >= 5) {
    type = view.getUint8(at);
    addressSize = view.getUint8(at + 1);
    at += 2;
    abbrevOffset = readOffset();
  } else {
    abbrevOffset = readOffset();
    addressSize = view.getUint8(at);
    at += 1;
  }
  let signature: bigint | null = null;
  let typeOffset = 0;
  if (type === DW_UT.type || type === DW_UT.split_type) {
    if (at + 8 + offsetSize > head.length) throw short();
    signature = view.getBigUint64(at, true);
    at += 8;
    typeOffset = readOffset();
  } else if (type === DW_UT.skeleton || type === DW_UT.split_compile) {
    at += 8;
  }
  const known = { section: name, offset, end, headerBytes: at, version, offsetSize };
  return { ...known, type, addressSize, abbrevOffset, signature, typeOffset };
}

const NOTHING = { type: 0, addressSize: 8, abbrevOffset: 0, signature: null, typeOffset: 0 } as const;
