/**
 * ELF as a linker and a debugger see it (System V ABI, ELF-64): sections, read where they are needed. What a loader sees of the format
 * is in `src/base/elf.ts`.
 */
import { inflateSync } from 'node:zlib';
import { UserError } from '../base/assert.ts';
import { Cursor, decodeText } from './cursor.ts';
import { SymbolError } from './error.ts';
import { relocate } from './relocate.ts';

/** A file that is read in parts. */
export interface SymbolSource {
  /** Name for messages. */
  readonly name: string;
  readonly bytes: number;
  /** Fills `target` from an offset of the file on; what lies past its end is left as it is. */
  read(target: Uint8Array, offset: number): void;
}

/** A file that is in memory already. */
export function sourceOf(name: string, bytes: Uint8Array): SymbolSource {
  return {
    name,
    bytes: bytes.length,
    read: (target, offset) => target.set(bytes.subarray(offset, offset + target.length)),
  };
}

const EM_RISCV = 243;
export const ET_REL = 1;
const PT_LOAD = 1;
const SHT_RELA = 4;
const SHT_NOTE = 7;
const SHT_NOBITS = 8;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const SHF_COMPRESSED = 0x800;
const SHN_XINDEX = 0xffff;
const ELFCOMPRESS_ZLIB = 1;
const ELFCOMPRESS_ZSTD = 2;
const NT_GNU_BUILD_ID = 3;

/** Deflate cannot shrink anything further than this (zlib's documentation), so a header that promises more lies. */
const DEFLATE_RATIO_MAX = 1032;
/** Bytes of a section that is held in memory whole; a bigger one is only read in parts. */
const HELD_BYTES_MAX = 2 ** 30;

interface SectionHeader {
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly offset: number;
  readonly bytes: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
}

export class ElfSection {
  readonly name: string;
  readonly number: number;
  readonly header: SectionHeader;
  /** Where it is in the guest's memory; of use for allocated sections only. */
  readonly address: bigint;
  readonly #elf: ElfFile;
  #held: Uint8Array | null = null;

  constructor(elf: ElfFile, name: string, number: number, header: SectionHeader, address: bigint) {
    this.#elf = elf;
    this.name = name;
    this.number = number;
    this.header = header;
    this.address = address;
  }

  get allocated(): boolean {
    return (this.header.flags & SHF_ALLOC) !== 0;
  }
  get executable(): boolean {
    return (this.header.flags & SHF_EXECINSTR) !== 0;
  }
  /** Bytes as they are read: uncompressed. */
  get bytes(): number {
    return this.#plain() ? this.header.bytes : this.all().length;
  }

  /** Whether the file's bytes are the section's. */
  #plain(): boolean {
    return (this.header.flags & SHF_COMPRESSED) === 0 && !this.#elf.relocationsOf(this.number);
  }

  /** The whole section, kept for the next time. */
  all(): Uint8Array {
    this.#held ??= this.#load();
    return this.#held;
  }

  /** A part of the section, which stays valid. Without keeping the whole, where that is possible. */
  slice(offset: number, length: number): Uint8Array {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.bytes)) {
      throw this.error(offset, `${length} bytes expected, ${Math.max(0, this.bytes - offset)} there`);
    }
    if (this.#held || !this.#plain() || this.header.type === SHT_NOBITS) {
      return this.all().subarray(offset, offset + length);
    }
    const target = new Uint8Array(length);
    this.#elf.source.read(target, this.header.offset + offset);
    return target;
  }

  /** Reads a part of the section into a buffer of the caller's. */
  readInto(target: Uint8Array, offset: number): void {
    if (this.#held || !this.#plain()) target.set(this.all().subarray(offset, offset + target.length));
    else this.#elf.source.read(target, this.header.offset + offset);
  }

  cursor(offset = 0): Cursor {
    return new Cursor(this.#elf.source.name, this.name, this.all(), 0, offset);
  }

  error(offset: number, what: string): SymbolError {
    return new SymbolError(this.#elf.source.name, this.name, offset, what);
  }

  #load(): Uint8Array {
    const { header } = this;
    if (header.type === SHT_NOBITS) return new Uint8Array(0);
    if (header.bytes > HELD_BYTES_MAX) throw this.error(0, `${header.bytes} bytes are too many to hold in memory`);
    let bytes = new Uint8Array(header.bytes);
    this.#elf.source.read(bytes, header.offset);
    if (header.flags & SHF_COMPRESSED) bytes = this.#inflate(bytes);
    const relocations = this.#elf.relocationsOf(this.number);
    if (relocations) relocate(this.#elf, this.name, bytes, relocations);
    return bytes;
  }

  /** Elf64_Chdr, then the compressed data. */
  #inflate(stored: Uint8Array): Uint8Array<ArrayBuffer> {
    const cursor = new Cursor(this.#elf.source.name, this.name, stored);
    const type = cursor.u32();
    cursor.u32();
    const size = cursor.u64Number();
    cursor.u64();
    if (type === ELFCOMPRESS_ZSTD) {
      throw this.error(0, 'compressed with zstd, which is not supported; objcopy --decompress-debug-sections helps');
    }
    if (type !== ELFCOMPRESS_ZLIB) throw this.error(0, `compressed by an unknown method (${type})`);
    if (size > HELD_BYTES_MAX || size > (stored.length + 64) * DEFLATE_RATIO_MAX) {
      throw this.error(8, `${stored.length} compressed bytes cannot become ${size}`);
    }
    let out: Uint8Array<ArrayBuffer>;
    try {
      out = new Uint8Array(inflateSync(stored.subarray(cursor.at), { maxOutputLength: Math.max(size, 1) }));
    } catch (error) {
      throw this.error(cursor.at, `the compressed data is damaged (${(error as Error).message})`);
    }
    if (out.length !== size) {
      throw this.error(cursor.at, `${out.length} bytes came out of the compressed data, ${size} are promised`);
    }
    return out;
  }
}

export interface ElfOptions {
  /** Where sections of a relocatable file (a kernel module) were put, by name. */
  readonly sections?: ReadonlyMap<string, bigint>;
}

export class ElfFile {
  readonly source: SymbolSource;
  readonly type: number;
  /** Where the program begins. */
  readonly entry: bigint;
  readonly sections: readonly ElfSection[];
  /** Address ranges of the loadable segments. */
  readonly segments: readonly { readonly low: bigint; readonly high: bigint; readonly executable: boolean }[];
  readonly #byName = new Map<string, ElfSection>();
  readonly #relocations = new Map<number, ElfSection>();

  constructor(source: SymbolSource, options: ElfOptions = {}) {
    this.source = source;
    const bad = (what: string) => new UserError(`${source.name}: ${what}`);
    if (source.bytes < 64) throw bad(`ELF header of 64 bytes expected, the file has ${source.bytes}`);
    const header = this.#part(0, 64, 'the ELF header');
    if (header.u32() !== 0x464c457f) throw bad('not an ELF file');
    if (header.u8() !== 2 || header.u8() !== 1) throw bad('a 64-bit little-endian ELF file is needed');
    header.at = 16;
    this.type = header.u16();
    const machine = header.u16();
    if (machine !== EM_RISCV) throw bad(`ELF file for machine ${machine}; one for RISC-V (${EM_RISCV}) is needed`);
    header.at = 24;
    this.entry = header.u64();
    const programAt = header.u64Number();
    const sectionsAt = header.u64Number();
    header.at = 54;
    const [programSize, programCount, sectionSize] = [header.u16(), header.u16(), header.u16()];
    let [sectionCount, namesIndex] = [header.u16(), header.u16()];
    if (programCount > 0 && programSize < 56) throw bad(`program headers of 56 bytes expected, found ${programSize}`);
    if (sectionsAt !== 0 && sectionSize < 64) throw bad(`section headers of 64 bytes expected, found ${sectionSize}`);

    const program = this.#part(programAt, programSize * programCount, 'the program headers');
    const segments: { low: bigint; high: bigint; executable: boolean }[] = [];
    for (let i = 0; i < programCount; i++) {
      program.at = i * programSize;
      if (program.u32() !== PT_LOAD) continue;
      const flags = program.u32();
      program.at = i * programSize + 16;
      const low = program.u64();
      program.at = i * programSize + 40;
      segments.push({ low, high: BigInt.asUintN(64, low + program.u64()), executable: (flags & 1) !== 0 });
    }
    this.segments = segments;

    const headerAt = (cursor: Cursor): SectionHeader => {
      cursor.u32();
      const type = cursor.u32();
      const flags = Number(cursor.u64() & 0xffffffffn);
      const address = cursor.u64();
      const [offset, bytes] = [cursor.u64Number(), cursor.u64Number()];
      const [link, info] = [cursor.u32(), cursor.u32()];
      return { type, flags, address, offset, bytes, link, info, alignment: Number(cursor.u64()) };
    };
    if (sectionsAt !== 0 && sectionCount === 0) {
      // More sections than the header's field can say: the first header has their number (ELF, "Sections").
      sectionCount = headerAt(this.#part(sectionsAt, 64, 'the first section header')).bytes;
    }
    const table = this.#part(sectionsAt, sectionSize * sectionCount, 'the section headers');
    const headers: SectionHeader[] = [];
    const nameOffsets: number[] = [];
    for (let i = 0; i < sectionCount; i++) {
      table.at = i * sectionSize;
      nameOffsets.push(table.view.getUint32(table.at, true));
      const found = headerAt(table);
      if (found.type !== SHT_NOBITS && i > 0 && found.offset + found.bytes > source.bytes) {
        throw bad(`section ${i} at offset ${found.offset} reaches past the end of the file; it is cut short`);
      }
      headers.push(found);
    }
    if (namesIndex === SHN_XINDEX && headers.length > 0) namesIndex = headers[0].link;
    const names = headers[namesIndex];
    const text = names ? this.#part(names.offset, names.bytes, 'the section names').bytes : new Uint8Array(0);
    const nameAt = (offset: number) => {
      const zero = text.indexOf(0, offset);
      return zero < 0 ? '' : decodeText(text, offset, zero);
    };
    const placed = placements(this.type, headers, nameOffsets.map(nameAt), options.sections);
    this.sections = headers.map((h, i) => new ElfSection(this, nameAt(nameOffsets[i]), i, h, placed[i]));
    for (const section of this.sections) {
      if (section.header.type === SHT_NOBITS && section.name.startsWith('.debug')) continue;
      if (!this.#byName.has(section.name)) this.#byName.set(section.name, section);
      if (section.header.type === SHT_RELA && this.type === ET_REL) this.#relocations.set(section.header.info, section);
    }
  }

  get name(): string {
    return this.source.name;
  }

  section(name: string): ElfSection | undefined {
    return this.#byName.get(name);
  }

  /** The relocations that must be applied to a section before it can be read. */
  relocationsOf(number: number): ElfSection | undefined {
    return this.#relocations.get(number);
  }

  /** Whether something of the program lies at an address. */
  covers(address: bigint): boolean {
    return this.sections.some((s) => s.allocated && contains(s, address));
  }

  /** The lowest address of the program. */
  get lowest(): bigint {
    const addresses = this.sections.filter((s) => s.allocated).map((s) => s.address);
    return addresses.reduce((low, address) => (address < low ? address : low), addresses[0] ?? 0n);
  }

  /** The allocated section at an address. */
  sectionAt(address: bigint): ElfSection | undefined {
    return this.sections.find((s) => s.allocated && contains(s, address));
  }

  /** The build id in hexadecimal; null without one. */
  buildId(): string | null {
    for (const section of this.sections) {
      if (section.header.type !== SHT_NOTE) continue;
      const cursor = section.cursor();
      while (cursor.remaining >= 12) {
        const [nameBytes, descBytes, type] = [cursor.u32(), cursor.u32(), cursor.u32()];
        const padded = (n: number) => Math.min(Math.ceil(n / 4) * 4, cursor.remaining);
        const name = cursor.block(padded(nameBytes));
        const desc = cursor.block(padded(descBytes)).subarray(0, descBytes);
        if (type === NT_GNU_BUILD_ID && decodeText(name, 0, 3) === 'GNU') {
          return Array.from(desc, (byte) => byte.toString(16).padStart(2, '0')).join('');
        }
      }
    }
    return null;
  }

  /** Name and CRC-32 of the file that has the debug information of this one (`.gnu_debuglink`). */
  debugLink(): { readonly name: string; readonly crc: number } | null {
    const section = this.section('.gnu_debuglink');
    if (!section) return null;
    const cursor = section.cursor();
    const name = cursor.string();
    cursor.skip((4 - (cursor.at % 4)) % 4);
    return { name, crc: cursor.u32() };
  }

  #part(offset: number, length: number, what: string): Cursor {
    if (offset + length > this.source.bytes) {
      throw new UserError(
        `${this.source.name}: ${what} at offset ${offset} reach past the end of the file; it is cut short`,
      );
    }
    const bytes = new Uint8Array(length);
    this.source.read(bytes, offset);
    return new Cursor(this.source.name, 'file', bytes, offset);
  }
}

function contains(section: ElfSection, address: bigint): boolean {
  return address >= section.address && address - section.address < BigInt(section.header.bytes);
}

/** Behind all addresses. */
const NOWHERE = 1n << 64n;

/** Addresses of all sections. Those of a relocatable file are given, or else laid out one after the other. */
function placements(
  type: number,
  headers: readonly SectionHeader[],
  names: readonly string[],
  given: ReadonlyMap<string, bigint> | undefined,
): bigint[] {
  let next = 0n;
  return headers.map((header, i) => {
    if (type !== ET_REL) return header.address;
    if ((header.flags & SHF_ALLOC) === 0) return 0n;
    const known = given?.get(names[i]);
    if (known !== undefined) return known;
    // What is nowhere in memory must not be found at any address.
    if (given) return NOWHERE;
    const alignment = BigInt(Math.min(Math.max(header.alignment, 1), 2 ** 20));
    const address = ((next + alignment - 1n) / alignment) * alignment;
    next = address + BigInt(header.bytes);
    return address;
  });
}
