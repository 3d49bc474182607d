/** Turns what is recorded into the bytes of a trace, in order. Pure: the bytes go to a sink. */
import { assert } from '../base/assert.ts';
import { PAGE_BYTES } from '../vmm/layout.ts';
import { encodeChanges, FIRST_CONTENT, HASH_BYTES } from './changes.ts';
import { type Checkpoint, checkCheckpoint } from './checks.ts';
import { type ConsoleBatch, encodeConsole } from './console.ts';
import {
  CHUNK_HEADER_BYTES,
  CHUNK_LIMITS,
  CHUNK_TYPES,
  type ChunkHeader,
  type ChunkType,
  encodeChunk,
  encodePrefix,
  encodeTrailer,
} from './container.ts';
import { encodeInputs, type TimedInput } from './inputs.ts';
import { encodeJournal, type JournalBatch } from './journal.ts';
import { PageMap } from './page-map.ts';
import {
  type CheckpointRecord,
  encode,
  encodeHeader,
  endFields,
  type Mark,
  type TraceEnd,
  type TraceHeader,
} from './schema.ts';

/** More pages in an LZ4 block compress better, fewer make reading one page cheaper: 128 KiB take about 0.1 ms. */
const PAGES_PER_CHUNK = 32;

/** From one checkpoint that names all its pages to the next: reading a later one needs at most so many lists of changes. */
const FULL_EVERY = 256;

/** Bounds the memory that reading a checkpoint's changes takes at a time: 24 bytes each. */
const CHANGES_PER_CHUNK = 1 << 16;

/** A chunk in its place in the file. */
export interface PlacedChunk extends Omit<ChunkHeader, 'payloadCrc'> {
  offset: number;
}

/** The index record: a copy of the chunk headers, so that a reader need not walk the file. */
export function encodeIndex(chunks: readonly PlacedChunk[], checkpoints: readonly CheckpointRecord[], end: TraceEnd) {
  return encode('Index', {
    types: chunks.map((c) => CHUNK_TYPES.indexOf(c.type) + 1),
    codecs: chunks.map((c) => (c.codec === 'lz4' ? 1 : 0)),
    counts: chunks.map((c) => c.count),
    rawBytes: chunks.map((c) => c.rawBytes),
    storedBytes: chunks.map((c) => c.storedBytes),
    firsts: chunks.map((c) => c.first),
    lasts: chunks.map((c) => c.last),
    checkpoints,
    end: endFields(end),
  });
}

export class TraceEncoder {
  readonly #sink: (bytes: Uint8Array) => void;
  readonly #header: Uint8Array;
  #seed = 0;
  #offset = 0;
  #chunks: PlacedChunk[] = [];
  #checkpoints: CheckpointRecord[] = [];
  #counts = { inputs: 0, journal: 0, console: 0 };
  /** Where everything up to the last mark ends: what a rollback goes back to. */
  #committed = { offset: 0, chunks: 0, mark: undefined as Mark | undefined };
  /** Contents in the file, and in the group that is not full yet. */
  #contents = 0;
  /** The chunk at which the contents of the checkpoint to come begin, and what is numbered first there. */
  #pending: { firstChunk: number; firstContent: number } | null = null;
  /** What each page has at the last checkpoint. */
  readonly pages = new PageMap();
  readonly #group = new Uint8Array(PAGES_PER_CHUNK * PAGE_BYTES);
  #grouped = 0;

  /** The sink has its bytes until it returns. If it throws, nothing but `rollback` may follow. */
  constructor(header: TraceHeader, sink: (bytes: Uint8Array) => void) {
    this.#header = encodeHeader(header);
    this.#sink = sink;
  }

  /** Of the last mark or checkpoint; undefined before the first checkpoint, because nothing can be replayed then. */
  get lastMark(): Mark | undefined {
    return this.#checkpoints.length > 0 ? this.#committed.mark : undefined;
  }

  begin() {
    const prefix = encodePrefix(this.#header);
    this.#seed = prefix.headerCrc;
    const bytes = new Uint8Array(prefix.bytes.length + this.#header.length);
    bytes.set(prefix.bytes);
    bytes.set(this.#header, prefix.bytes.length);
    this.#send(bytes);
    this.#committed.offset = this.#offset;
  }

  inputs(entries: readonly TimedInput[]) {
    const count = entries.length;
    this.#chunk('inputs', encodeInputs(entries), count, entries[0].position, entries[count - 1].position);
    this.#counts.inputs += count;
  }

  journal(batch: JournalBatch) {
    const { positions } = batch;
    const count = positions.length;
    this.#chunk('journal', encodeJournal(batch), count, positions[0], positions[count - 1]);
    this.#counts.journal += count;
  }

  console(batch: ConsoleBatch) {
    const { positions } = batch;
    const count = positions.length;
    this.#chunk('console', encodeConsole(batch), count, positions[0], positions[count - 1]);
    this.#counts.console += count;
  }

  /** A chunk of events of another trace, as it is. */
  copy(type: 'inputs' | 'journal' | 'console', raw: Uint8Array, chunk: { count: number; first: number; last: number }) {
    this.#chunk(type, raw, chunk.count, chunk.first, chunk.last);
    this.#counts[type] += chunk.count;
  }

  /** Contents that a checkpoint at this position will be the first to name, numbered in the order of the file. */
  contents(position: number, contents: Uint8Array) {
    assert(contents.length % PAGE_BYTES === 0, `${contents.length} bytes of page contents`);
    this.#pending ??= { firstChunk: this.#chunks.length, firstContent: FIRST_CONTENT + this.#contents };
    for (let at = 0; at < contents.length; at += PAGE_BYTES) {
      this.#group.set(contents.subarray(at, at + PAGE_BYTES), this.#grouped++ * PAGE_BYTES);
      this.#contents++;
      if (this.#grouped === PAGES_PER_CHUNK) this.#sealGroup(position);
    }
  }

  /** Also a mark: everything below its position has been written. */
  checkpoint(checkpoint: Checkpoint) {
    checkCheckpoint(checkpoint);
    const { position, timeNs, digest } = checkpoint;
    const nothingNew = { firstChunk: this.#chunks.length, firstContent: FIRST_CONTENT + this.#contents };
    const { firstChunk, firstContent } = this.#pending ?? nothingNew;
    if (this.#grouped > 0) this.#sealGroup(position);
    this.#pending = null;
    this.pages.apply(checkpoint);
    const full = this.#checkpoints.length % FULL_EVERY === 0;
    const listed = full ? this.pages.all() : checkpoint;
    const changedPages = checkpoint.pages.length;
    let content = firstContent;
    for (let at = 0; at < listed.pages.length; at += CHANGES_PER_CHUNK) {
      const part = {
        pages: listed.pages.subarray(at, at + CHANGES_PER_CHUNK),
        refs: listed.refs.subarray(at, at + CHANGES_PER_CHUNK),
        hashes: listed.hashes.subarray(at * HASH_BYTES, (at + CHANGES_PER_CHUNK) * HASH_BYTES),
      };
      this.#chunk('changes', encodeChanges(part, content), part.pages.length, position, position);
      for (const ref of part.refs) content = Math.max(content, ref + 1);
    }
    this.#chunk('state', checkpoint.state, 1, position, position);
    const record: CheckpointRecord = {
      position,
      timeNs,
      digest,
      changedPages,
      inputsBefore: this.#counts.inputs,
      journalBefore: this.#counts.journal,
      consoleBefore: this.#counts.console,
      firstChunk,
      full,
    };
    this.#chunk('checkpoint', encode('Checkpoint', record), 1, position, position);
    this.#checkpoints.push(record);
    this.#commit({ position, timeNs });
  }

  /** Whether as many events have been written as a checkpoint of another trace has before it. */
  holds({ inputsBefore, journalBefore, consoleBefore }: CheckpointRecord): boolean {
    const { inputs, journal, console } = this.#counts;
    return inputs === inputsBefore && journal === journalBefore && console === consoleBefore;
  }

  mark(mark: Mark) {
    this.#chunk('mark', encode('Mark', mark), 1, mark.position, mark.position);
    this.#commit(mark);
  }

  end(end: TraceEnd) {
    this.#chunk('end', encode('End', endFields(end)), 1, end.position, end.position);
    this.#commit(end);
  }

  /** After `end`; without it a reader walks the chunks. */
  index(end: TraceEnd) {
    const index = encodeIndex(this.#chunks, this.#checkpoints, end);
    if (index.length > CHUNK_LIMITS.index.rawBytes) return;
    const offset = this.#offset;
    this.#chunk('index', index, 1, end.position, end.position);
    this.#send(encodeTrailer(offset, this.#seed));
  }

  /** Forgets what came after the last mark, and returns the length of the file that is left. */
  rollback(): number {
    this.#offset = this.#committed.offset;
    this.#chunks.length = this.#committed.chunks;
    return this.#offset;
  }

  #sealGroup(position: number) {
    const count = this.#grouped;
    this.#grouped = 0;
    this.#chunk('pages', this.#group.subarray(0, count * PAGE_BYTES), count, position, position);
  }

  #commit(mark: Mark) {
    const { position, timeNs } = mark;
    this.#committed = { offset: this.#offset, chunks: this.#chunks.length, mark: { position, timeNs } };
  }

  #chunk(type: ChunkType, raw: Uint8Array, count: number, first: number, last: number) {
    const sequence = this.#chunks.length;
    const { bytes, header } = encodeChunk(type, sequence, { count, first, last }, raw, this.#seed);
    const offset = this.#offset;
    this.#send(bytes);
    const { payloadCrc: _, ...placed } = header;
    this.#chunks.push({ ...placed, offset });
  }

  #send(bytes: Uint8Array) {
    this.#sink(bytes);
    this.#offset += bytes.length;
  }
}

/** Bytes that a chunk takes in the file. */
export function placedBytes(chunk: { storedBytes: number }): number {
  return CHUNK_HEADER_BYTES + chunk.storedBytes;
}
