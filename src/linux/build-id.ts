/** Build ids in memory: what a linker has noted of itself, by which a file on the disk is told to be the same. */
import type { MemoryReader } from '../symbols/index.ts';

const ELF_MAGIC = 0x464c457f;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PROGRAM_HEADERS_MAX = 64;
const PT_NOTE = 4;
const NOTE_HEADER_BYTES = 12;
const NOTES_BYTES_MAX = 4096;
const NT_GNU_BUILD_ID = 3;
const BUILD_ID_BYTES_MAX = 64;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const padded = (bytes: number) => Math.ceil(bytes / 4) * 4;

/** The build id among notes (ELF, "Note Section"), in hexadecimal; null if there is none. */
export function buildIdIn(notes: Uint8Array): string | null {
  const view = viewOf(notes);
  for (let at = 0; at + NOTE_HEADER_BYTES <= notes.length; ) {
    const [nameBytes, bytes, type] = [0, 4, 8].map((field) => view.getUint32(at + field, true));
    const [name, start] = [at + NOTE_HEADER_BYTES, at + NOTE_HEADER_BYTES + padded(nameBytes)];
    const isGnu = new TextDecoder().decode(notes.subarray(name, name + nameBytes)) === 'GNU\0';
    if (isGnu && type === NT_GNU_BUILD_ID && bytes <= BUILD_ID_BYTES_MAX && start + bytes <= notes.length) {
      return Buffer.from(notes.subarray(start, start + bytes)).toString('hex');
    }
    at = start + padded(bytes);
  }
  return null;
}

/** Bytes of the note of a build id as linkers make it: a SHA-1 of 20 bytes. */
export const BUILD_ID_NOTE_BYTES = NOTE_HEADER_BYTES + 4 + 20;

/** The build id of a program whose file is mapped from its beginning at an address; null if it has none, or what tells it is not in memory now. */
export function programBuildId(memory: MemoryReader, start: bigint): string | null {
  const header = memory.read(start, ELF_HEADER_BYTES);
  if (!header || viewOf(header).getUint32(0, true) !== ELF_MAGIC) return null;
  const count = Math.min(viewOf(header).getUint16(56, true), PROGRAM_HEADERS_MAX);
  const table = memory.read(start + viewOf(header).getBigUint64(32, true), count * PROGRAM_HEADER_BYTES);
  if (!table) return null;
  for (let at = 0; at < table.length; at += PROGRAM_HEADER_BYTES) {
    if (viewOf(table).getUint32(at, true) !== PT_NOTE) continue;
    const offset = viewOf(table).getBigUint64(at + 8, true);
    const bytes = viewOf(table).getBigUint64(at + 32, true);
    if (bytes > BigInt(NOTES_BYTES_MAX)) continue;
    const notes = memory.read(start + offset, Number(bytes));
    const id = notes && buildIdIn(notes);
    if (id) return id;
  }
  return null;
}
