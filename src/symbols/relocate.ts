/**
 * Relocation of debug sections of a relocatable file, such as a kernel module (RISC-V psABI, "Relocations"). Only what compilers put into debug
 * sections is known: absolute values, and differences as pairs of additions and subtractions, which linker relaxation calls for.
 */

import type { ElfFile, ElfSection } from './elf.ts';
import type { SymbolError } from './error.ts';

const R = {
  NONE: 0,
  ABS32: 1,
  ABS64: 2,
  ADD8: 33,
  ADD16: 34,
  ADD32: 35,
  ADD64: 36,
  SUB8: 37,
  SUB16: 38,
  SUB32: 39,
  SUB64: 40,
  RELAX: 51,
  SUB6: 52,
  SET6: 53,
  SET8: 54,
  SET16: 55,
  SET32: 56,
  PCREL32: 57,
  SET_ULEB128: 60,
  SUB_ULEB128: 61,
} as const;

/** What each does to the word at its place, and the word's bits. 6 bits are the low ones of a byte. */
const WORDS: Record<number, readonly [bits: 6 | 8 | 16 | 32 | 64, change: 'set' | 'add' | 'sub']> = {
  [R.ABS32]: [32, 'set'],
  [R.ABS64]: [64, 'set'],
  [R.ADD8]: [8, 'add'],
  [R.ADD16]: [16, 'add'],
  [R.ADD32]: [32, 'add'],
  [R.ADD64]: [64, 'add'],
  [R.SUB8]: [8, 'sub'],
  [R.SUB16]: [16, 'sub'],
  [R.SUB32]: [32, 'sub'],
  [R.SUB64]: [64, 'sub'],
  [R.SUB6]: [6, 'sub'],
  [R.SET6]: [6, 'set'],
  [R.SET8]: [8, 'set'],
  [R.SET16]: [16, 'set'],
  [R.SET32]: [32, 'set'],
};

const SHN_LORESERVE = 0xff00;

/** Applies Elf64_Rela records to a section's bytes. */
export function relocate(elf: ElfFile, section: string, bytes: Uint8Array, relocations: ElfSection): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records = relocations.cursor();
  const symbols = elf.sections[relocations.header.link]?.cursor();
  if (!symbols) throw relocations.error(0, 'relocations without their symbols');
  const target = elf.sections[relocations.header.info];
  while (records.remaining >= 24) {
    const start = records.at;
    const at = records.u64Number();
    const type = records.u32();
    const symbol = records.u32();
    const addend = records.i64();
    if (type === R.NONE || type === R.RELAX) continue;
    // st_shndx at 6, st_value at 8 of each Elf64_Sym of 24 bytes.
    symbols.at = 0;
    symbols.skip(symbol * 24 + 6);
    const index = symbols.u16();
    const base = index < SHN_LORESERVE ? (elf.sections[index]?.address ?? 0n) : 0n;
    const value = base + symbols.u64() + addend;
    if (type === R.SET_ULEB128 || type === R.SUB_ULEB128) {
      changeUleb(bytes, at, value, type === R.SUB_ULEB128, () => records.error('a relocation past its section', start));
      continue;
    }
    const [bits, change] = type === R.PCREL32 ? ([32, 'set'] as const) : (WORDS[type] ?? []);
    if (bits === undefined) throw records.error(`relocation type ${type} in ${section} is not known`, start);
    if (at + Math.ceil(bits / 8) > bytes.length) throw records.error('a relocation past its section', start);
    const operand = type === R.PCREL32 ? value - target.address - BigInt(at) : value;
    const old = change === 'set' ? 0n : readWord(view, at, bits);
    writeWord(view, at, bits, change === 'sub' ? old - operand : old + operand);
  }
}

function readWord(view: DataView, at: number, bits: number): bigint {
  if (bits === 64) return view.getBigUint64(at, true);
  if (bits === 32) return BigInt(view.getUint32(at, true));
  if (bits === 16) return BigInt(view.getUint16(at, true));
  return BigInt(view.getUint8(at) & (bits === 6 ? 0x3f : 0xff));
}

function writeWord(view: DataView, at: number, bits: number, value: bigint): void {
  if (bits === 64) view.setBigUint64(at, BigInt.asUintN(64, value), true);
  else if (bits === 32) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  else if (bits === 16) view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
  else if (bits === 8) view.setUint8(at, Number(BigInt.asUintN(8, value)));
  else view.setUint8(at, (view.getUint8(at) & 0xc0) | Number(BigInt.asUintN(6, value)));
}

/** A ULEB128 number keeps its length. */
function changeUleb(bytes: Uint8Array, at: number, value: bigint, subtract: boolean, bad: () => SymbolError): void {
  let old = 0n;
  let length = 0;
  do {
    if (at + length >= bytes.length) throw bad();
    old |= BigInt(bytes[at + length] & 0x7f) << BigInt(7 * length);
  } while (bytes[at + length++] & 0x80 && length < 10);
  let left = BigInt.asUintN(7 * length, subtract ? old - value : value);
  for (let i = 0; i < length; i++) {
    bytes[at + i] = Number(left & 0x7fn) | (i < length - 1 ? 0x80 : 0);
    left >>= 7n;
  }
}
