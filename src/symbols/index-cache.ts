/**
 * Indices of symbol files, kept in a folder by build id, so that a kernel's names are read once. A file that is damaged or of another version is as good as none.
 *
 * Layout, little-endian: magic (8 bytes), format version (u32), CRC-32 of all behind these 16 bytes (u32), bytes of the table (u32), 0 (u32), the table (JSON: what the index is of, and
 * name, kind and length of each array), the arrays, each from a multiple of 8 on.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { SymbolArrays } from './elf-symbols.ts';
import { type NameArrays, NameIndex } from './name-index.ts';
import { RangeMap } from './range-map.ts';

/** Changes with every change of what an index contains or means. */
const VERSION = 1;
const MAGIC = [0x89, 0x43, 0x56, 0x53, 0x59, 0x4d, 0x0d, 0x0a];
const HEADER_BYTES = 24;
/** More than the index of any kernel; what is bigger is not ours. */
const FILE_BYTES_MAX = 2 ** 30;

export interface SymbolIndex {
  readonly units: RangeMap;
  readonly names: NameIndex;
  /** Of the symbol table; null if there is none. */
  readonly symbols: SymbolArrays | null;
}

/** Keeps indices. Neither throws: a cache that does not work only costs time. */
export interface IndexCache {
  /** The index of a file with a build id and a length; null without a usable one. */
  load(buildId: string, fileBytes: number): SymbolIndex | null;
  store(buildId: string, fileBytes: number, index: SymbolIndex): void;
}

const KINDS = { u8: Uint8Array, u32: Uint32Array, u64: BigUint64Array } as const;
type Kind = keyof typeof KINDS;
type AnyArray = InstanceType<(typeof KINDS)[Kind]>;

const ARRAYS: readonly (readonly [
  name: keyof NameArrays | keyof SymbolArrays | 'lows' | 'highs' | 'units',
  kind: Kind,
])[] = [
  ['lows', 'u64'],
  ['highs', 'u64'],
  ['units', 'u32'],
  ['order', 'u32'],
  ['slots', 'u32'],
  ['names', 'u32'],
  ['offsets', 'u32'],
  ['paths', 'u32'],
  ['pathUnits', 'u32'],
  ['kinds', 'u8'],
  ['text', 'u8'],
];

/** A cache in a folder, which is made when it is needed. */
export function folderCache(folder: string): IndexCache {
  const pathOf = (buildId: string, fileBytes: number) => join(folder, `${buildId}-${fileBytes}.symbols`);
  return {
    load: (buildId, fileBytes) => {
      try {
        return decodeIndex(readFileSync(pathOf(buildId, fileBytes)), buildId, fileBytes);
      } catch {
        return null;
      }
    },
    store: (buildId, fileBytes, index) => {
      const path = pathOf(buildId, fileBytes);
      // Under another name first, so that nobody ever reads half of it.
      const beside = `${path}.${process.pid}.tmp`;
      try {
        mkdirSync(folder, { recursive: true });
        writeFileSync(beside, encodeIndex(buildId, fileBytes, index));
        renameSync(beside, path);
      } catch {
        if (existsSync(beside)) rmSync(beside);
      }
    },
  };
}

const padded = (length: number) => Math.ceil(length / 8) * 8;

export function encodeIndex(buildId: string, fileBytes: number, { units, names, symbols }: SymbolIndex): Uint8Array {
  const none = new Uint32Array(0);
  const values = {
    ...names.arrays,
    ...(symbols ?? { order: none, slots: none }),
    lows: units.lows,
    highs: units.highs,
    units: units.values,
  };
  const table = new TextEncoder().encode(
    JSON.stringify({ buildId, fileBytes, arrays: ARRAYS.map(([name, kind]) => [name, kind, values[name].length]) }),
  );
  const total = ARRAYS.reduce(
    (sum, [name]) => sum + padded(values[name].byteLength),
    padded(HEADER_BYTES + table.length),
  );
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setUint32(16, table.length, true);
  bytes.set(table, HEADER_BYTES);
  let at = padded(HEADER_BYTES + table.length);
  for (const [name] of ARRAYS) {
    const { buffer, byteOffset, byteLength } = values[name];
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += padded(byteLength);
  }
  view.setUint32(12, crc32(bytes.subarray(16)), true);
  return bytes;
}

/** The index in a file's bytes; null if they are damaged, of another version, or of another symbol file. */
export function decodeIndex(file: Uint8Array, buildId: string, fileBytes: number): SymbolIndex | null {
  if (file.length < HEADER_BYTES || file.length > FILE_BYTES_MAX) return null;
  // Arrays are looked at in place, for which they must be aligned.
  const bytes = file.byteOffset % 8 === 0 ? file : file.slice();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (MAGIC.some((byte, i) => bytes[i] !== byte) || view.getUint32(8, true) !== VERSION) return null;
  if (view.getUint32(12, true) !== crc32(bytes.subarray(16))) return null;
  const tableBytes = view.getUint32(16, true);
  const table = JSON.parse(new TextDecoder().decode(bytes.subarray(HEADER_BYTES, HEADER_BYTES + tableBytes)));
  if (table.buildId !== buildId || table.fileBytes !== fileBytes) return null;
  let at = bytes.byteOffset + padded(HEADER_BYTES + tableBytes);
  const values: Record<string, AnyArray> = {};
  for (const [i, [name, kind]] of ARRAYS.entries()) {
    const [foundName, foundKind, length] = table.arrays[i];
    if (foundName !== name || foundKind !== kind) return null;
    const array = new KINDS[kind](bytes.buffer as ArrayBuffer, at, length);
    values[name] = array;
    at += padded(array.byteLength);
  }
  const { lows, highs, units, order, slots, ...rest } = values;
  return {
    units: new RangeMap(lows as BigUint64Array, highs as BigUint64Array, units as Uint32Array),
    names: new NameIndex(rest as unknown as NameArrays),
    symbols: slots.length === 0 ? null : { order: order as Uint32Array, slots: slots as Uint32Array },
  };
}
