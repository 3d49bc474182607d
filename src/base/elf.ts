/** The part of ELF that loading a program takes (System V ABI, ELF-64): little-endian, 64-bit executables. */
import { UserError } from './assert.ts';

export interface ElfSegment {
  /** Physical load address. */
  readonly address: bigint;
  readonly data: Uint8Array;
  /** Bytes in memory; those past `data` are zero. */
  readonly memoryBytes: number;
}

export interface ElfProgram {
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** Address of a symbol, if the file has a symbol table that names it. */
  symbol(name: string): bigint | undefined;
}

const MACHINES: Record<number, string> = { 3: 'x86', 40: 'Arm', 62: 'x86-64', 183: 'AArch64', 243: 'RISC-V' };
const PT_LOAD = 1;
const SHT_SYMTAB = 2;

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** Reads an ELF executable for a machine (its e_machine number). `name` is the file's, for messages. */
export function readElf(name: string, bytes: Uint8Array, machine: number): ElfProgram {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bad = (what: string) => new UserError(`${name}: ${what}`);
  if (bytes.length < 64) throw bad(`ELF header of 64 bytes expected, the file has ${bytes.length}`);
  if (bytes[4] !== 2 || bytes[5] !== 1) throw bad('a 64-bit little-endian ELF file is needed');
  const found = view.getUint16(18, true);
  if (found !== machine) {
    const label = MACHINES[found] ?? `machine ${found}`;
    throw bad(`ELF file for ${label}; one for ${MACHINES[machine]} is needed`);
  }
  const table = (offsetAt: number, sizeAt: number, countAt: number, sizeMin: number, what: string) => {
    const offset = Number(view.getBigUint64(offsetAt, true));
    const size = view.getUint16(sizeAt, true);
    const count = view.getUint16(countAt, true);
    if (count > 0 && size < sizeMin) throw bad(`${what} of ${sizeMin} bytes expected, found ${size}`);
    if (offset + size * count > bytes.length) {
      throw bad(`${what} at offset ${offset} reaches past the end of the file (${bytes.length} bytes)`);
    }
    return Array.from({ length: count }, (_, i) => offset + size * i);
  };
  const segments: ElfSegment[] = [];
  for (const at of table(32, 54, 56, 56, 'program headers')) {
    if (view.getUint32(at, true) !== PT_LOAD) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const fileBytes = Number(view.getBigUint64(at + 32, true));
    const memoryBytes = Number(view.getBigUint64(at + 40, true));
    if (offset + fileBytes > bytes.length || fileBytes > memoryBytes) {
      throw bad(`segment of ${fileBytes} bytes at offset ${offset} reaches past the end of the file; it is cut short`);
    }
    const data = bytes.subarray(offset, offset + fileBytes);
    segments.push({ address: view.getBigUint64(at + 24, true), data, memoryBytes });
  }
  if (segments.length === 0) throw bad('no loadable segments: an executable is needed, not an object file');
  const symbol = (wanted: string): bigint | undefined => {
    const sections = table(40, 58, 60, 64, 'section headers');
    for (const at of sections) {
      if (view.getUint32(at + 4, true) !== SHT_SYMTAB) continue;
      const link = sections[view.getUint32(at + 40, true)];
      if (link === undefined) throw bad(`symbol table at offset ${at} without its strings`);
      const strings = Number(view.getBigUint64(link + 24, true));
      const offset = Number(view.getBigUint64(at + 24, true));
      const count = Math.floor(Number(view.getBigUint64(at + 32, true)) / 24);
      if (offset + 24 * count > bytes.length) {
        throw bad(`symbol table at offset ${offset} reaches past the end of the file (${bytes.length} bytes)`);
      }
      for (let i = 0; i < count; i++) {
        const entry = offset + 24 * i;
        let name = strings + view.getUint32(entry, true);
        let matched = 0;
        while (matched < wanted.length && bytes[name] === wanted.charCodeAt(matched)) {
          matched++;
          name++;
        }
        if (matched === wanted.length && bytes[name] === 0) return view.getBigUint64(entry + 8, true);
      }
    }
    return undefined;
  };
  return { entry: view.getBigUint64(24, true), segments, symbol };
}
