/**
 * What is where in a trace: from its index where it has one, else by walking the chunks. Walking stops at the first
 * damage and goes back to the last mark, because only up to there is everything present that a replay needs.
 */
import { crc32 } from 'node:zlib';
import { assert, UserError } from '../base/assert.ts';
import { ByteReader, TraceDamage } from './bytes.ts';
import {
  CHUNK_HEADER_BYTES,
  CHUNK_TYPES,
  type ChunkHeader,
  CODECS,
  checkChunkHeader,
  checkStored,
  decodeChunkHeader,
  decodePrefix,
  decodeTrailer,
  FORMAT_VERSION,
  MAX_HEADER_BYTES,
  PREFIX_BYTES,
  TRAILER_BYTES,
} from './container.ts';
import { type PlacedChunk, placedBytes } from './encoder.ts';
import type { TraceSource } from './file.ts';
import { decompressPayload, PAYLOAD_OFFSET } from './payload.ts';
import {
  type CheckpointRecord,
  checkpointFrom,
  decode,
  decodeHeader,
  endFrom,
  type Mark,
  markFrom,
  type TraceEnd,
  type TraceHeader,
} from './schema.ts';

export interface Damage {
  offset: number;
  message: string;
}

export interface Catalog {
  header: TraceHeader;
  /** Seeds the checksums of chunk headers. */
  seed: number;
  /** Without the index itself; up to the last mark. */
  chunks: PlacedChunk[];
  checkpoints: CheckpointRecord[];
  /** Undefined if the recording was killed, or is still running. */
  end?: TraceEnd;
  /** The last position up to which everything is there. */
  replayable: Mark;
  damage?: Damage;
  /** Length of the file up to the last mark, and how many bytes after it are of no use. */
  keptBytes: number;
  lostBytes: number;
  /** Whether the file ends with a good index. */
  indexed: boolean;
}

/**
 * Reads header and index. `walk` reads and checks every byte instead of believing the index. Without an index, what is behind the last mark of `before`,
 * of the same file, is walked.
 */
export function readCatalog(source: TraceSource, name: string, walk: boolean, before?: Catalog): Catalog {
  const { header, seed, start } = readHeader(source, name);
  if (!walk) {
    const catalog = readIndexed(source, header, seed, start);
    if (catalog) return catalog;
  }
  assert(!before || before.seed === seed, 'the same trace has grown');
  return walkChunks(source, name, before ?? nothingYet(header, seed, start));
}

function nothingYet(header: TraceHeader, seed: number, start: number): Known {
  return { header, seed, chunks: [], checkpoints: [], keptBytes: start };
}

/** What is known of a trace before its chunks are walked. */
type Known = Pick<Catalog, 'header' | 'seed' | 'chunks' | 'checkpoints' | 'keptBytes'> & { readonly replayable?: Mark };

function readHeader(source: TraceSource, name: string) {
  const bytes = new Uint8Array(PREFIX_BYTES);
  const got = source.read(bytes, 0);
  try {
    const prefix = decodePrefix(bytes.subarray(0, got));
    if (!prefix)
      throw new UserError(`${name} is not a trace of Chronovisor: choose a file that 'chronovisor record' wrote`);
    if (prefix.version > FORMAT_VERSION) {
      throw new UserError(
        `${name} was written by a newer Chronovisor (format ${prefix.version}, this one reads up to ${FORMAT_VERSION}): upgrade`,
      );
    }
    if (prefix.version < 1 || prefix.headerBytes > MAX_HEADER_BYTES) {
      throw new TraceDamage(`a header of format 1 to ${FORMAT_VERSION}, at most ${MAX_HEADER_BYTES} bytes, expected`);
    }
    const stored = new Uint8Array(prefix.headerBytes);
    const found = source.read(stored, PREFIX_BYTES);
    if (found < stored.length) {
      throw new TraceDamage(`a header of ${stored.length} bytes expected, the file ends after ${found}`);
    }
    if (crc32(stored) !== prefix.headerCrc) throw new TraceDamage('its checksum is wrong');
    return { header: decodeHeader(stored), seed: prefix.headerCrc, start: PREFIX_BYTES + prefix.headerBytes };
  } catch (error) {
    if (!(error instanceof TraceDamage)) throw error;
    throw new UserError(
      `${name}: the header at offset 0 is damaged (${error.message}): nothing can be read from this file`,
    );
  }
}

/** The chunk header at `offset`. */
function readChunkHeader(source: TraceSource, offset: number, seed: number): ChunkHeader {
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES);
  const got = source.read(bytes, offset);
  return decodeChunkHeader(bytes.subarray(0, got), seed);
}

/**
 * The raw data of a chunk that is known, read with its header in one go and checked. `room` takes what is stored, for callers that read many: the
 * result of a chunk that is not compressed lies in it.
 */
export function readChunk(
  source: TraceSource,
  chunk: PlacedChunk,
  seed: number,
  room: Uint8Array = new Uint8Array(placedBytes(chunk)),
): Uint8Array {
  const bytes = room.subarray(0, placedBytes(chunk));
  const got = source.read(bytes, chunk.offset);
  const header = decodeChunkHeader(bytes.subarray(0, Math.min(got, CHUNK_HEADER_BYTES)), seed);
  for (const key of ['type', 'codec', 'sequence', 'count', 'rawBytes', 'storedBytes', 'first', 'last'] as const) {
    if (header[key] !== chunk[key]) throw new TraceDamage(`${key} ${chunk[key]} expected, found ${header[key]}`);
  }
  if (got < bytes.length) throw new TraceDamage(`${bytes.length} bytes expected, the file has ${got}`);
  checkStored(header, bytes.subarray(CHUNK_HEADER_BYTES));
  return decompressPayload(header, bytes.subarray(CHUNK_HEADER_BYTES - PAYLOAD_OFFSET));
}

/** The stored data of a chunk, checked, at `PAYLOAD_OFFSET` of the result. */
function readStored(source: TraceSource, offset: number, header: ChunkHeader): Uint8Array {
  const left = source.size - offset - CHUNK_HEADER_BYTES;
  if (header.storedBytes > left) {
    throw new TraceDamage(
      `${header.storedBytes} bytes of ${header.type} data expected, the file has ${Math.max(0, left)}`,
    );
  }
  const buffer = new Uint8Array(PAYLOAD_OFFSET + header.storedBytes);
  const stored = buffer.subarray(PAYLOAD_OFFSET);
  const got = source.read(stored, offset + CHUNK_HEADER_BYTES);
  if (got < header.storedBytes) throw new TraceDamage(`${header.storedBytes} bytes expected, the file has ${got}`);
  checkStored(header, stored);
  return buffer;
}

/** Undefined if there is no index, or not a good one: then the chunks tell. */
function readIndexed(source: TraceSource, header: TraceHeader, seed: number, start: number): Catalog | undefined {
  if (source.size < start + CHUNK_HEADER_BYTES + TRAILER_BYTES) return undefined;
  const trailer = new Uint8Array(TRAILER_BYTES);
  source.read(trailer, source.size - TRAILER_BYTES);
  const indexOffset = decodeTrailer(trailer, seed);
  if (indexOffset === undefined || !Number.isSafeInteger(indexOffset) || indexOffset < start) return undefined;
  try {
    const indexHeader = readChunkHeader(source, indexOffset, seed);
    if (indexHeader.type !== 'index') return undefined;
    if (indexOffset + placedBytes(indexHeader) + TRAILER_BYTES !== source.size) return undefined;
    if (indexHeader.rawBytes > indexBytesMax(indexOffset)) return undefined;
    const reader = new ByteReader(decompressPayload(indexHeader, readStored(source, indexOffset, indexHeader)));
    const chunks = chunksFrom(reader, start, indexOffset);
    const checkpoints: CheckpointRecord[] = [];
    while (reader.nextIs(8)) checkpoints.push(checkpointFrom(decode('Checkpoint', reader.field(8))));
    const end = endFrom(decode('End', reader.field(9)));
    checkStructure(chunks, checkpoints);
    const replayable = { position: end.position, timeNs: end.timeNs };
    const keptBytes = indexOffset;
    return { header, seed, chunks, checkpoints, end, replayable, keptBytes, lostBytes: 0, indexed: true };
  } catch (error) {
    if (error instanceof TraceDamage) return undefined;
    throw error;
  }
}

/** A chunk takes at least its header in the file, and at most 45 bytes in the index; a checkpoint has two chunks. */
function indexBytesMax(indexOffset: number): number {
  return 1024 + (indexOffset / CHUNK_HEADER_BYTES) * 128;
}

/** The index's columns, read by hand: a long recording has hundreds of thousands of chunks. */
function chunksFrom(reader: ByteReader, start: number, indexOffset: number): PlacedChunk[] {
  const [types, codecs, counts, raws, storeds] = [1, 2, 3, 4, 5].map((field) => new ByteReader(reader.field(field)));
  const [firsts, lasts] = [6, 7].map((field) => {
    const bytes = reader.field(field);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  });
  if (firsts.byteLength !== lasts.byteLength) throw new TraceDamage('index columns of equal length expected');
  const chunks: PlacedChunk[] = [];
  let offset = start;
  for (let sequence = 0; sequence < firsts.byteLength >> 3; sequence++) {
    const chunk: PlacedChunk = {
      type: CHUNK_TYPES[types.varint() - 1],
      codec: CODECS[codecs.varint()],
      sequence,
      count: counts.varint(),
      rawBytes: raws.varint(),
      storedBytes: storeds.varint(),
      first: firsts.getFloat64(sequence * 8, true),
      last: lasts.getFloat64(sequence * 8, true),
      offset,
    };
    checkChunkHeader(chunk);
    chunks.push(chunk);
    offset += placedBytes(chunk);
  }
  if (offset !== indexOffset) throw new TraceDamage('an index of the whole file expected');
  return chunks;
}

/** Streams go forwards, and each checkpoint is where its record says. */
function checkStructure(chunks: readonly PlacedChunk[], checkpoints: readonly CheckpointRecord[]) {
  let at = 0;
  const order = new PositionOrder();
  for (const chunk of chunks) {
    order.check(chunk);
    if (chunk.type === 'checkpoint') checkCheckpointPlace(chunk, checkpoints[at++]);
  }
  if (at === 0 || at !== checkpoints.length) throw new TraceDamage('as many checkpoints as checkpoint chunks expected');
}

function checkCheckpointPlace(chunk: PlacedChunk, record: CheckpointRecord | undefined) {
  if (!record || record.position !== chunk.first || record.firstChunk >= chunk.sequence) {
    throw new TraceDamage('a checkpoint record that fits its place expected');
  }
}

class PositionOrder {
  readonly #last = new Map<string, number>();
  check({ type, first, last }: PlacedChunk) {
    if (first < (this.#last.get(type) ?? 0)) throw new TraceDamage(`${type} in order of position expected`);
    this.#last.set(type, last);
  }
}

function walkChunks(source: TraceSource, name: string, known: Known): Catalog {
  const { header, seed } = known;
  const chunks = [...known.chunks];
  const checkpoints = [...known.checkpoints];
  const order = new PositionOrder();
  for (const chunk of chunks) order.check(chunk);
  let kept = { chunks: chunks.length, bytes: known.keptBytes, mark: known.replayable };
  let end: TraceEnd | undefined;
  let damage: Damage | undefined;
  let indexed = false;
  let offset = known.keptBytes;
  try {
    while (offset < source.size) {
      const chunkHeader = readChunkHeader(source, offset, seed);
      if (chunkHeader.sequence !== chunks.length) {
        throw new TraceDamage(`chunk ${chunks.length} expected, found chunk ${chunkHeader.sequence}`);
      }
      if (end && chunkHeader.type !== 'index') throw new TraceDamage('nothing but an index expected after the end');
      const stored = readStored(source, offset, chunkHeader);
      const { payloadCrc: _, ...placed } = chunkHeader;
      const chunk = { ...placed, offset };
      if (chunk.type === 'index') {
        checkTrailer(source, offset, seed, chunk);
        indexed = end !== undefined;
        break;
      }
      order.check(chunk);
      // Only records that mark a place are decompressed: the others have their checksums, and may be many gigabytes.
      const record = MARKING.has(chunk.type) ? decompressPayload(chunkHeader, stored) : new Uint8Array();
      const mark = markOf(chunk, record, checkpoints);
      if (chunk.type === 'end') end = mark as TraceEnd;
      chunks.push(chunk);
      offset += placedBytes(chunk);
      if (mark && checkpoints.length > 0) kept = { chunks: chunks.length, bytes: offset, mark };
    }
  } catch (error) {
    if (!(error instanceof TraceDamage)) throw error;
    damage = { offset, message: error.message };
  }
  if (!kept.mark) {
    const why = damage
      ? `damaged at offset ${damage.offset}: ${damage.message}`
      : 'it ends before its first checkpoint';
    throw new UserError(`${name}: nothing to replay (${why}): record it again`);
  }
  chunks.length = kept.chunks;
  const catalog: Catalog = {
    header,
    seed,
    chunks,
    checkpoints,
    replayable: { position: kept.mark.position, timeNs: kept.mark.timeNs },
    keptBytes: kept.bytes,
    lostBytes: indexed && !damage ? 0 : source.size - kept.bytes,
    indexed,
  };
  if (end) catalog.end = end;
  if (damage) catalog.damage = damage;
  return catalog;
}

const MARKING: ReadonlySet<string> = new Set(['checkpoint', 'mark', 'end']);

/** The mark that a chunk is, if it is one; checkpoints are collected on the way. */
function markOf(chunk: PlacedChunk, payload: Uint8Array, checkpoints: CheckpointRecord[]): Mark | undefined {
  switch (chunk.type) {
    case 'checkpoint': {
      const record = checkpointFrom(decode('Checkpoint', payload));
      checkCheckpointPlace(chunk, record);
      checkpoints.push(record);
      return record;
    }
    case 'mark':
      return markFrom(decode('Mark', payload));
    case 'end':
      return endFrom(decode('End', payload));
    default:
      return undefined;
  }
}

function checkTrailer(source: TraceSource, indexOffset: number, seed: number, index: PlacedChunk) {
  const at = indexOffset + placedBytes(index);
  const trailer = new Uint8Array(TRAILER_BYTES);
  const got = source.read(trailer, at);
  if (decodeTrailer(trailer.subarray(0, got), seed) !== indexOffset || at + TRAILER_BYTES !== source.size) {
    throw new TraceDamage('a trailer as the last bytes of the file expected');
  }
}
