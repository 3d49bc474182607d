/** The symbol table of an ELF file, by address and by name: all there is for code without debug information. */
import { decodeText } from './cursor.ts';
import type { ElfFile, ElfSection } from './elf.ts';
import { ET_REL } from './elf.ts';
import { hashBytes, sameBytes, slotsFor } from './name-hash.ts';
import { sortByKeys } from './radix.ts';

export interface ElfSymbol {
  readonly name: string;
  readonly address: bigint;
  /** Bytes; 0 where the assembler was not told. */
  readonly size: number;
  readonly isFunction: boolean;
}

const SYMBOL_BYTES = 24;
const STT = { NOTYPE: 0, OBJECT: 1, FUNC: 2, TLS: 6 } as const;
const SHN_UNDEF = 0;
const SHN_LORESERVE = 0xff00;

const encoder = new TextEncoder();

/** The order and the hash table, which a cache keeps. */
export interface SymbolArrays {
  /** Numbers of the symbols that have an address, in its order; of several at one address the best comes last. */
  readonly order: Uint32Array;
  /** Numbers of symbols by the hash of their names. */
  readonly slots: Uint32Array;
}

export class ElfSymbols {
  readonly #elf: ElfFile;
  readonly #table: DataView;
  readonly #names: Uint8Array;
  readonly #order: Uint32Array;
  readonly #slots: Uint32Array;

  constructor(elf: ElfFile, section: ElfSection, kept: SymbolArrays | null) {
    this.#elf = elf;
    const bytes = section.all();
    this.#table = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#names = elf.sections[section.header.link]?.all() ?? new Uint8Array(0);
    const { order, slots } = kept ?? this.#sort(Math.floor(bytes.length / SYMBOL_BYTES));
    this.#order = order;
    this.#slots = slots;
  }

  #sort(count: number): SymbolArrays {
    const wanted = new Uint32Array(count);
    const [high, low, rank] = [new Uint32Array(count), new Uint32Array(count), new Uint8Array(count)];
    let kept = 0;
    for (let i = count - 1; i > 0; i--) {
      if (!this.#useful(i)) continue;
      wanted[kept++] = i;
      [low[i], high[i]] = this.#words(i);
      rank[i] = this.#rank(i);
    }
    const order = wanted.slice(0, kept);
    sortByKeys(order, [rank, low, high]);
    const slots = new Uint32Array(slotsFor(kept));
    const mask = slots.length - 1;
    // Going down, the best of several with one name is entered first.
    for (let i = kept - 1; i >= 0; i--) {
      const name = this.#nameOffset(order[i]);
      let slot = hashBytes(this.#names, name, this.#names.indexOf(0, name)) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = order[i];
    }
    return { order, slots };
  }

  /** The symbols of a file, sorted already if they were kept; null if it is stripped of them. */
  static of(elf: ElfFile, kept: SymbolArrays | null): ElfSymbols | null {
    const section = elf.section('.symtab') ?? elf.section('.dynsym');
    return section ? new ElfSymbols(elf, section, kept) : null;
  }

  get arrays(): SymbolArrays {
    return { order: this.#order, slots: this.#slots };
  }

  get count(): number {
    return this.#order.length;
  }

  /** The symbol that an address belongs to: the last before it, if the address is within its size. */
  at(address: bigint): ElfSymbol | null {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#address(this.#order[middle]) <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    const symbol = this.#symbol(this.#order[low - 1]);
    const within = symbol.size === 0 ? address === symbol.address || this.#sameSection(symbol, address) : true;
    return within && (symbol.size === 0 || address < symbol.address + BigInt(symbol.size)) ? symbol : null;
  }

  /** All symbols of a name. */
  *named(name: string): Generator<ElfSymbol> {
    const wanted = encoder.encode(name);
    const mask = this.#slots.length - 1;
    for (let slot = hashBytes(wanted, 0, wanted.length) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const at = this.#nameOffset(this.#slots[slot]);
      if (this.#names[at + wanted.length] === 0 && sameBytes(this.#names, at, wanted)) {
        yield this.#symbol(this.#slots[slot]);
      }
    }
  }

  /** All symbols, in the order of their addresses. */
  *all(): Generator<ElfSymbol> {
    for (const i of this.#order) yield this.#symbol(i);
  }

  #sameSection(symbol: ElfSymbol, address: bigint): boolean {
    return this.#elf.sectionAt(symbol.address) === this.#elf.sectionAt(address);
  }

  #nameOffset(i: number): number {
    return this.#table.getUint32(i * SYMBOL_BYTES, true);
  }
  #type(i: number): number {
    return this.#table.getUint8(i * SYMBOL_BYTES + 4) & 15;
  }
  /** The low and high half of the address: much cheaper than one number of 64 bits. */
  #words(i: number): [low: number, high: number] {
    if (this.#elf.type === ET_REL) {
      const address = this.#address(i);
      return [Number(address & 0xffffffffn), Number(address >> 32n)];
    }
    const at = i * SYMBOL_BYTES + 8;
    return [this.#table.getUint32(at, true), this.#table.getUint32(at + 4, true)];
  }
  #address(i: number): bigint {
    const value = this.#table.getBigUint64(i * SYMBOL_BYTES + 8, true);
    if (this.#elf.type !== ET_REL) return value;
    const section = this.#elf.sections[this.#table.getUint16(i * SYMBOL_BYTES + 6, true)];
    return BigInt.asUintN(64, value + (section?.address ?? 0n));
  }

  /** Whether a symbol names code or data, and is not one that only tools need (`$x`, `.L12`). */
  #useful(i: number): boolean {
    const type = this.#type(i);
    if (type !== STT.NOTYPE && type !== STT.OBJECT && type !== STT.FUNC) return false;
    const index = this.#table.getUint16(i * SYMBOL_BYTES + 6, true);
    if (index === SHN_UNDEF || index >= SHN_LORESERVE) return false;
    // Labels in debug sections have no place in memory.
    if (!this.#elf.sections[index]?.allocated) return false;
    const name = this.#nameOffset(i);
    const first = this.#names[name];
    if (first === undefined || first === 0 || this.#names.indexOf(0, name) < 0) return false;
    return first !== 0x24 && !(first === 0x2e && this.#names[name + 1] === 0x4c);
  }

  /** Which of several symbols at one address tells most: typed ones, then global before weak before local, then sized ones. */
  #rank(i: number): number {
    const binding = this.#table.getUint8(i * SYMBOL_BYTES + 4) >> 4;
    const typed = this.#type(i) === STT.NOTYPE ? 0 : 8;
    const sized = this.#table.getBigUint64(i * SYMBOL_BYTES + 16, true) === 0n ? 0 : 1;
    return typed + (binding === 1 ? 4 : binding === 2 ? 2 : 0) + sized;
  }

  #symbol(i: number): ElfSymbol {
    const name = this.#nameOffset(i);
    return {
      name: decodeText(this.#names, name, this.#names.indexOf(0, name)),
      address: this.#address(i),
      size: Number(this.#table.getBigUint64(i * SYMBOL_BYTES + 16, true)),
      isFunction: this.#type(i) === STT.FUNC,
    };
  }
}
