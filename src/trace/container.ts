/**
 * The container: a fixed prefix, the header record, then chunks, each with its own header and checksums; last a trailer
 * that says where the index is. Pure: bytes in, values out.
 *
 * All numbers are little-endian. Every byte of a trace is under a CRC-32.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { TraceDamage } from './bytes.ts';
import { STATE_BYTES_MAX } from './checks.ts';
import { compressed } from './lz4.ts';

/** The newest format that this version writes and reads. */
export const FORMAT_VERSION = 4;

export const PREFIX_BYTES = 24;
export const CHUNK_HEADER_BYTES = 48;
export const TRAILER_BYTES = 24;

/** Above this a header is damaged: a reader must not allocate what a file asks. */
export const MAX_HEADER_BYTES = 1 << 20;

/** Like PNG's: a high byte, a line end of each kind and ^Z show transfers that were not binary. */
const MAGIC = Uint8Array.of(0x89, 0x43, 0x56, 0x54, 0x0d, 0x0a, 0x1a, 0x0a);
const CHUNK_MAGIC = 0x6b_68_43_89;
const TRAILER_MAGIC = 0x64_6e_45_89;

export const CHUNK_TYPES = [
  'inputs',
  'journal',
  'console',
  'pages',
  'changes',
  'state',
  'checkpoint',
  'mark',
  'end',
  'index',
] as const;
export type ChunkType = (typeof CHUNK_TYPES)[number];

const MIB = 1 << 20;

/**
 * The most that a chunk may hold. Everything that is decoded whole is small, because a record in memory takes far more than
 * its bytes in the file; a machine state has devices' buffers in it, an index grows with the recording.
 */
export const CHUNK_LIMITS: Record<ChunkType, { rawBytes: number; count: number }> = {
  inputs: { rawBytes: 16 * MIB, count: 1 << 16 },
  journal: { rawBytes: 4 * MIB, count: 1 << 16 },
  console: { rawBytes: 4 * MIB, count: 1 << 16 },
  pages: { rawBytes: MIB, count: 256 },
  changes: { rawBytes: 4 * MIB, count: 1 << 16 },
  state: { rawBytes: STATE_BYTES_MAX, count: 1 },
  checkpoint: { rawBytes: 4096, count: 1 },
  mark: { rawBytes: 4096, count: 1 },
  end: { rawBytes: 4096, count: 1 },
  index: { rawBytes: 64 * MIB, count: 1 },
};

export const CODECS = ['none', 'lz4'] as const;
export type Codec = (typeof CODECS)[number];

export interface ChunkHeader {
  type: ChunkType;
  codec: Codec;
  /** Chunks before this one in the file: one left out or put in is noticed. */
  sequence: number;
  /** Records inside: inputs, entries, pages, ... */
  count: number;
  rawBytes: number;
  storedBytes: number;
  /** Positions of the first and the last record. */
  first: number;
  last: number;
  payloadCrc: number;
}

/** The fixed part of the header; this much stays the same in every future format. */
export interface Prefix {
  version: number;
  headerBytes: number;
  /** Also the trace's identity: it seeds the checksums of all chunk headers, so that no other trace's chunk fits in. */
  headerCrc: number;
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function encodePrefix(header: Uint8Array): { bytes: Uint8Array; headerCrc: number } {
  assert(header.length <= MAX_HEADER_BYTES, `a trace header of ${header.length} bytes`);
  const bytes = new Uint8Array(PREFIX_BYTES);
  const headerCrc = crc32(header);
  const v = view(bytes);
  bytes.set(MAGIC);
  v.setUint32(8, FORMAT_VERSION, true);
  v.setUint32(12, header.length, true);
  v.setUint32(16, headerCrc, true);
  v.setUint32(20, crc32(bytes.subarray(0, 20)), true);
  return { bytes, headerCrc };
}

/** Undefined if this is no trace at all. The version may be newer than ours: compare it before going on. */
export function decodePrefix(bytes: Uint8Array): Prefix | undefined {
  if (bytes.length < PREFIX_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte)) return undefined;
  const v = view(bytes);
  if (v.getUint32(20, true) !== crc32(bytes.subarray(0, 20))) throw new TraceDamage('checksum of the header is wrong');
  return { version: v.getUint32(8, true), headerBytes: v.getUint32(12, true), headerCrc: v.getUint32(16, true) };
}

/** Compresses where it helps and puts the chunk header in front. The bytes lie in memory that the next call uses again. */
export function encodeChunk(
  type: ChunkType,
  sequence: number,
  records: { count: number; first: number; last: number },
  raw: Uint8Array,
  seed: number,
): { bytes: Uint8Array; header: ChunkHeader } {
  const limit = CHUNK_LIMITS[type];
  const fits = raw.length <= limit.rawBytes && records.count >= 1 && records.count <= limit.count;
  assert(fits, `a ${type} chunk of ${records.count} records, ${raw.length} bytes`);
  const { bytes, isBlock } = compressed(raw, CHUNK_HEADER_BYTES);
  const payload = bytes.subarray(CHUNK_HEADER_BYTES);
  const header: ChunkHeader = {
    type,
    codec: isBlock ? 'lz4' : 'none',
    sequence,
    ...records,
    rawBytes: raw.length,
    storedBytes: payload.length,
    payloadCrc: crc32(payload),
  };
  const v = view(bytes);
  v.setUint32(0, CHUNK_MAGIC, true);
  bytes[4] = CHUNK_TYPES.indexOf(type) + 1;
  bytes[5] = CODECS.indexOf(header.codec);
  v.setUint16(6, 0, true);
  v.setUint32(8, sequence, true);
  v.setUint32(12, records.count, true);
  v.setUint32(16, header.rawBytes, true);
  v.setUint32(20, header.storedBytes, true);
  v.setFloat64(24, records.first, true);
  v.setFloat64(32, records.last, true);
  v.setUint32(40, header.payloadCrc, true);
  v.setUint32(44, crc32(bytes.subarray(0, 44), seed), true);
  return { bytes, header };
}

export function decodeChunkHeader(bytes: Uint8Array, seed: number): ChunkHeader {
  const v = view(bytes);
  if (bytes.length < CHUNK_HEADER_BYTES) {
    throw new TraceDamage(`a chunk header of ${CHUNK_HEADER_BYTES} bytes expected, ${bytes.length} there`);
  }
  if (v.getUint32(0, true) !== CHUNK_MAGIC) throw new TraceDamage('a chunk expected, found other data');
  if (v.getUint32(44, true) !== crc32(bytes.subarray(0, 44), seed)) {
    throw new TraceDamage('checksum of the chunk header is wrong');
  }
  const header = {
    type: CHUNK_TYPES[bytes[4] - 1],
    codec: CODECS[bytes[5]],
    sequence: v.getUint32(8, true),
    count: v.getUint32(12, true),
    rawBytes: v.getUint32(16, true),
    storedBytes: v.getUint32(20, true),
    first: v.getFloat64(24, true),
    last: v.getFloat64(32, true),
    payloadCrc: v.getUint32(40, true),
  };
  checkChunkHeader(header);
  return header;
}

/** Bounds everything before it is believed; the same for a header in its place and for its copy in the index. */
export function checkChunkHeader(h: Omit<ChunkHeader, 'payloadCrc'>) {
  if (h.type === undefined || h.codec === undefined) throw new TraceDamage('a known chunk type and codec expected');
  const limit = CHUNK_LIMITS[h.type];
  if (h.rawBytes > limit.rawBytes || h.storedBytes > h.rawBytes) {
    throw new TraceDamage(
      `${h.type} of at most ${limit.rawBytes} bytes expected, found ${h.storedBytes}/${h.rawBytes}`,
    );
  }
  if (h.count < 1 || h.count > limit.count) {
    throw new TraceDamage(`1 to ${limit.count} records of ${h.type} expected, found ${h.count}`);
  }
  // LZ4 cannot do better than 255:1, so a small file cannot ask for much memory.
  const most = h.codec === 'none' ? h.storedBytes : h.storedBytes * 256;
  if (h.rawBytes > most) throw new TraceDamage(`${h.storedBytes} bytes cannot hold ${h.rawBytes}`);
  if (!Number.isSafeInteger(h.first) || !Number.isSafeInteger(h.last) || h.first < 0 || h.last < h.first) {
    throw new TraceDamage(`positions in order expected, found ${h.first}..${h.last}`);
  }
}

/** Whether the bytes in the file are those that were written. */
export function checkStored(header: ChunkHeader, stored: Uint8Array) {
  if (crc32(stored) !== header.payloadCrc) throw new TraceDamage(`checksum of the ${header.type} data is wrong`);
}

export function encodeTrailer(indexOffset: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(TRAILER_BYTES);
  const v = view(bytes);
  v.setUint32(0, TRAILER_MAGIC, true);
  v.setFloat64(8, indexOffset, true);
  v.setUint32(20, crc32(bytes.subarray(0, 20), seed), true);
  return bytes;
}

/** Where the index chunk is; undefined if these bytes are not this trace's trailer. */
export function decodeTrailer(bytes: Uint8Array, seed: number): number | undefined {
  const v = view(bytes);
  if (bytes.length !== TRAILER_BYTES || v.getUint32(0, true) !== TRAILER_MAGIC) return undefined;
  if (v.getUint32(20, true) !== crc32(bytes.subarray(0, 20), seed)) return undefined;
  return v.getFloat64(8, true);
}
