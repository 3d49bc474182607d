/** `.debug_abbrev`: what attributes the entries of a unit have (DWARF 5, 7.5.3). */
import type { Cursor } from '../cursor.ts';
import type { ElfSection } from '../elf.ts';
import { DW_FORM } from './constants.ts';
import { type FormSizes, fixedSize } from './form.ts';

/** The abbreviations of one table, in flat arrays, because a kernel has a million of them. An `index` is that of a declaration in its table. */
export class AbbrevTable {
  readonly count: number;
  readonly tags: Uint16Array;
  readonly hasChildren: Uint8Array;
  /** Where the attributes of each begin in `specs`; one more at the end. */
  readonly starts: Uint32Array;
  /** Attribute, form, and where an implicit constant is in the section: three words each. */
  readonly specs: Uint32Array;
  /** Bytes of an entry's attributes, where they are always as many; -1 elsewhere. */
  readonly sizes: Int32Array;
  readonly #codes: Float64Array;
  readonly #dense: boolean;
  readonly #sparse = new Map<number, number>();

  constructor(scratch: AbbrevScratch) {
    this.count = scratch.count;
    this.tags = scratch.tags.slice(0, scratch.count);
    this.hasChildren = scratch.hasChildren.slice(0, scratch.count);
    this.starts = scratch.starts.slice(0, scratch.count + 1);
    this.sizes = scratch.sizes.slice(0, scratch.count);
    this.specs = scratch.specs.slice(0, scratch.specCount * 3);
    this.#codes = scratch.codes.slice(0, scratch.count);
    this.#dense = this.#codes.every((code, i) => code === i + 1);
    if (!this.#dense) {
      for (let i = this.count - 1; i >= 0; i--) this.#sparse.set(this.#codes[i], i);
    }
  }

  /** Index of the abbreviation with a code; -1 if there is none. */
  index(code: number): number {
    if (this.#dense) return code <= this.count ? code - 1 : -1;
    return this.#sparse.get(code) ?? -1;
  }
}

/** Room for reading tables, which grows and is used again and again. */
class AbbrevScratch {
  count = 0;
  specCount = 0;
  codes = new Float64Array(256);
  tags = new Uint16Array(256);
  hasChildren = new Uint8Array(256);
  starts = new Uint32Array(257);
  sizes = new Int32Array(256);
  specs = new Uint32Array(256 * 3);

  grow(): void {
    const length = this.count * 2;
    const copy = <T extends Float64Array | Uint16Array | Uint8Array | Uint32Array | Int32Array>(grown: T, old: T) => {
      grown.set(old);
      return grown;
    };
    this.codes = copy(new Float64Array(length), this.codes);
    this.tags = copy(new Uint16Array(length), this.tags);
    this.hasChildren = copy(new Uint8Array(length), this.hasChildren);
    this.starts = copy(new Uint32Array(length + 1), this.starts);
    this.sizes = copy(new Int32Array(length), this.sizes);
  }
  growSpecs(): void {
    const grown = new Uint32Array(this.specs.length * 2);
    grown.set(this.specs);
    this.specs = grown;
  }
}

const scratch = new AbbrevScratch();

/** Reads the table at an offset for units whose forms have the given sizes. */
export function readAbbrevs(section: ElfSection, offset: number, sizes: FormSizes): AbbrevTable {
  const cursor = section.cursor(offset);
  scratch.count = 0;
  scratch.specCount = 0;
  for (;;) {
    const code = cursor.uleb();
    if (code === 0) break;
    if (scratch.count === scratch.codes.length) scratch.grow();
    const i = scratch.count++;
    scratch.codes[i] = code;
    const tag = cursor.uleb();
    if (tag > 0xffff) cursor.fail(`tag 0x${tag.toString(16)} is out of range`);
    scratch.tags[i] = tag;
    scratch.hasChildren[i] = cursor.u8();
    scratch.starts[i] = scratch.specCount;
    scratch.sizes[i] = readSpecs(cursor, sizes);
  }
  scratch.starts[scratch.count] = scratch.specCount;
  return new AbbrevTable(scratch);
}

/** Reads the attributes of one declaration; returns their bytes in an entry, -1 if that varies. */
function readSpecs(cursor: Cursor, sizes: FormSizes): number {
  let total = 0;
  for (;;) {
    const attribute = cursor.uleb();
    const form = cursor.uleb();
    if (attribute === 0 && form === 0) return total;
    if (attribute > 0xffff || form > 0xffff) cursor.fail('an attribute or a form is out of range');
    const at = scratch.specCount++ * 3;
    if (at + 3 > scratch.specs.length) scratch.growSpecs();
    scratch.specs[at] = attribute;
    scratch.specs[at + 1] = form;
    scratch.specs[at + 2] = cursor.at;
    if (form === DW_FORM.implicit_const) {
      // Its value is here, and read when it is asked for.
      while (cursor.u8() & 0x80);
      continue;
    }
    const size = fixedSize(form, sizes);
    total = size < 0 || total < 0 ? -1 : total + size;
  }
}
