/** A trace opened for reading. Only the list of its chunks is held in memory; data is read where it is asked for. */

import { assert, UserError } from '../base/assert.ts';
import { firstAbove } from '../base/search.ts';
import { PAGE_BYTES } from '../vmm/layout.ts';
import { TraceDamage } from './bytes.ts';
import { Cache } from './cache.ts';
import { type Catalog, type Damage, readCatalog, readChunk } from './catalog.ts';
import { ABSENT, decodeChanges, FIRST_CONTENT, HASH_BYTES, type PageChanges, ZERO } from './changes.ts';
import { type ConsoleRun, decodeConsole } from './console.ts';
import type { ChunkType } from './container.ts';
import { type PlacedChunk, placedBytes } from './encoder.ts';
import { DiskSource, type TraceSource } from './file.ts';
import { decodeInputs, type TimedInput } from './inputs.ts';
import { decodeJournal, type JournalEntry } from './journal.ts';
import type { CheckpointRecord, TraceEnd, TraceHeader } from './schema.ts';

/** Decompressed chunks kept for the next question; one page block has 128 KiB. */
const CACHE_BYTES = 16 << 20;
/** What checkpoints change, likewise: going to one takes the lists of all after the full one before it. */
const CHANGES_BYTES = 16 << 20;
const ZEROS = new Uint8Array(PAGE_BYTES);

export interface CheckpointInfo extends CheckpointRecord {
  /** Place in `checkpoints`. */
  index: number;
  /** In the file, with the page contents that came with it. */
  storedBytes: number;
}

export interface ReaderOptions {
  /** Read and check every byte on opening, instead of believing the index and finding damage when it is met. */
  check?: boolean;
  /** A reader of the same file, which has grown since: what it knows is not read again. */
  grown?: TraceReader;
}

/** A stream of records in chunks of its own. */
interface Stream<T> {
  chunks: PlacedChunk[];
  /** Records before each chunk. */
  before: number[];
  decode: (payload: Uint8Array, chunk: PlacedChunk) => T[];
}

export interface TraceStatistics {
  fileBytes: number;
  chunks: Partial<Record<ChunkType, { chunks: number; records: number; rawBytes: number; storedBytes: number }>>;
  inputs: Partial<Record<TimedInput['input']['kind'], number>>;
  journal: Partial<Record<JournalEntry['kind'], number>>;
  /** Different page contents stored. */
  contents: number;
}

export class TraceReader {
  readonly name: string;
  readonly header: TraceHeader;
  /** Undefined if the recording was killed or is still running. */
  readonly end: TraceEnd | undefined;
  /** Where and why reading stopped, if it had to. */
  readonly damage: Damage | undefined;
  /** Everything up to here can be replayed. */
  readonly replayableTo: number;
  readonly replayableToNs: number;
  /** Bytes at the end of the file that belong to nothing replayable. */
  readonly lostBytes: number;
  readonly checkpoints: readonly CheckpointInfo[];

  readonly #source: TraceSource;
  readonly #catalog: Catalog;
  readonly #cache = new Cache<Uint8Array>(CACHE_BYTES);
  readonly #changes = new Cache<PageChanges>(CHANGES_BYTES);
  readonly #inputs: Stream<TimedInput>;
  readonly #journal: Stream<JournalEntry>;
  readonly #console: Stream<ConsoleRun>;
  readonly #checkpointChunks: PlacedChunk[];
  readonly #pages: Omit<Stream<never>, 'decode'>;

  static open(path: string, options: ReaderOptions = {}): TraceReader {
    const source = new DiskSource(path);
    try {
      return new TraceReader(source, path, options);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  constructor(source: TraceSource, name: string, options: ReaderOptions = {}) {
    this.name = name;
    this.#source = source;
    const catalog = readCatalog(source, name, options.check ?? false, options.grown?.catalog);
    this.#catalog = catalog;
    this.header = catalog.header;
    this.end = catalog.end;
    this.damage = catalog.damage;
    this.replayableTo = catalog.replayable.position;
    this.replayableToNs = catalog.replayable.timeNs;
    this.lostBytes = catalog.lostBytes;
    this.#inputs = this.#stream('inputs', (p, c) => inOrder(decodeInputs(p, c.count, c.first), c));
    this.#journal = this.#stream('journal', (p, c) => inOrder(decodeJournal(p, c.count, c.first), c));
    this.#console = this.#stream('console', (p, c) => inOrder(decodeConsole(p, c.count, c.first), c));
    this.#pages = this.#stream('pages', () => []);
    this.#checkpointChunks = catalog.chunks.filter((c) => c.type === 'checkpoint');
    this.checkpoints = this.#describeCheckpoints();
  }

  private get catalog(): Catalog {
    return this.#catalog;
  }

  close() {
    this.#source.close();
  }

  /** Inputs with `from <= position < to`, in order. */
  inputs(from = 0, to = Infinity): Generator<TimedInput> {
    return this.#between(this.#inputs, from, to);
  }

  /** Inputs from the one with that number on: with a checkpoint's `inputsBefore`, those that its state lacks. */
  inputsFrom(number: number): Generator<TimedInput> {
    return this.#from(this.#inputs, number);
  }

  /** Journal entries with `from <= position < to`, in order. */
  journal(from = 0, to = Infinity): Generator<JournalEntry> {
    return this.#between(this.#journal, from, to);
  }

  /** Journal entries from the one with that number on, such as a checkpoint's `journalBefore`. */
  journalFrom(number: number): Generator<JournalEntry> {
    return this.#from(this.#journal, number);
  }

  /** Console output with `from <= position < to`, in order. */
  consoleOutput(from = 0, to = Infinity): Generator<ConsoleRun> {
    return this.#between(this.#console, from, to);
  }

  /** Machine state without its memory. */
  state(checkpoint: CheckpointInfo): Uint8Array {
    const chunk = this.#chunkOf(checkpoint);
    const state = this.#catalog.chunks[chunk.sequence - 1];
    return this.#guard(state, () => {
      if (state.type !== 'state') throw new TraceDamage(`a machine state expected, found ${state.type}`);
      return this.#load(state).slice();
    });
  }

  /** Pages that differ from the previous checkpoint's, ascending; all pages, for a full one. */
  changes(checkpoint: CheckpointInfo): PageChanges {
    const known = this.#changes.get(checkpoint.index);
    if (known) return known;
    const own = this.#chunksOf(checkpoint);
    const contents = own.reduce((n, c) => (c.type === 'pages' ? n + c.count : n), this.#contentsBefore(checkpoint));
    const parts = own.filter((c) => c.type === 'changes');
    const count = parts.reduce((n, c) => n + c.count, 0);
    // 24 bytes a row come from at least 18 in the file before compression, so the chunks' limits bound this.
    for (const part of parts) this.#guard(part, () => checkRoom(part));
    const changes: PageChanges = {
      pages: new Uint32Array(count),
      refs: new Int32Array(count),
      hashes: new Uint8Array(count * HASH_BYTES),
    };
    let at = 0;
    for (const part of parts) {
      this.#guard(part, () => {
        decodeChanges(this.#load(part, false), part.count, contents, changes, at);
        if (at > 0 && changes.pages[at] <= changes.pages[at - 1]) throw new TraceDamage('ascending pages expected');
      });
      at += part.count;
    }
    this.#changes.set(checkpoint.index, changes, count * (HASH_BYTES + 8));
    return changes;
  }

  /** The last checkpoint, at or before one, of which `changes` tells all pages: from there on the changes of all make its pages. */
  fullBefore(checkpoint: CheckpointInfo): number {
    let { index } = checkpoint;
    while (index > 0 && !this.checkpoints[index].full) index--;
    return index;
  }

  /** All pages that exist at a checkpoint, ascending: its changes and, for pages it left alone, those before. */
  pagesAt(checkpoint: CheckpointInfo): PageChanges {
    const newest = new Map<number, { from: PageChanges; row: number }>();
    for (let i = checkpoint.index; i >= this.fullBefore(checkpoint); i--) {
      const from = this.changes(this.checkpoints[i]);
      for (const [row, page] of from.pages.entries()) if (!newest.has(page)) newest.set(page, { from, row });
    }
    const present = [...newest].filter(([, { from, row }]) => from.refs[row] !== ABSENT).sort(([a], [b]) => a - b);
    const all: PageChanges = {
      pages: Uint32Array.from(present, ([page]) => page),
      refs: Int32Array.from(present, ([, { from, row }]) => from.refs[row]),
      hashes: new Uint8Array(present.length * HASH_BYTES),
    };
    for (const [i, [, { from, row }]] of present.entries()) {
      all.hashes.set(from.hashes.subarray(row * HASH_BYTES, (row + 1) * HASH_BYTES), i * HASH_BYTES);
    }
    return all;
  }

  /** The content of a page that `changes` referred to: 4096 bytes, not to be written. */
  page(ref: number): Uint8Array {
    if (ref === ZERO) return ZEROS;
    const content = ref - FIRST_CONTENT;
    const { chunks, before } = this.#pages;
    const at = firstAbove(before, content) - 1;
    const chunk = chunks[at];
    assert(content >= 0 && chunk !== undefined && content < before[at] + chunk.count, `no page content ${ref}`);
    const offset = (content - before[at]) * PAGE_BYTES;
    return this.#contents(chunk).subarray(offset, offset + PAGE_BYTES);
  }

  /** Hands out stored contents by their numbers, which ascend; what `use` is given stays only during the call. */
  readContents(refs: readonly number[], use: (i: number, content: Uint8Array) => void) {
    const { chunks, before } = this.#pages;
    let at = 0;
    let loaded: Uint8Array | null = null;
    const room = new Uint8Array(chunks.reduce((most, chunk) => Math.max(most, placedBytes(chunk)), 0));
    for (const [i, ref] of refs.entries()) {
      if (ref === ZERO) {
        use(i, ZEROS);
        continue;
      }
      const content = ref - FIRST_CONTENT;
      for (; at < chunks.length && content >= before[at] + chunks[at].count; at++) loaded = null;
      assert(content >= 0 && at < chunks.length && content >= before[at], `page content ${ref} in its order`);
      // Not kept: each is needed once, and all of them are many.
      loaded ??= this.#contents(chunks[at], room);
      const offset = (content - before[at]) * PAGE_BYTES;
      use(i, loaded.subarray(offset, offset + PAGE_BYTES));
    }
  }

  /** All chunks up to the replayable end, as they lie in the file. */
  chunks(): readonly PlacedChunk[] {
    return this.#catalog.chunks;
  }

  /** The raw data of one of them. */
  payload(chunk: PlacedChunk): Uint8Array {
    return this.#guard(chunk, () => this.#load(chunk, false));
  }

  /** Counts for a person; reads all inputs and the whole journal. */
  statistics(): TraceStatistics {
    const statistics: TraceStatistics = {
      fileBytes: this.#source.size,
      chunks: {},
      inputs: {},
      journal: {},
      contents: this.#pages.chunks.reduce((n, c) => n + c.count, 0),
    };
    for (const chunk of this.#catalog.chunks) {
      statistics.chunks[chunk.type] ??= { chunks: 0, records: 0, rawBytes: 0, storedBytes: 0 };
      const sum = statistics.chunks[chunk.type]!;
      sum.chunks++;
      sum.records += chunk.count;
      sum.rawBytes += chunk.rawBytes;
      sum.storedBytes += placedBytes(chunk);
    }
    for (const { input } of this.inputs()) statistics.inputs[input.kind] = (statistics.inputs[input.kind] ?? 0) + 1;
    for (const { kind } of this.journal()) statistics.journal[kind] = (statistics.journal[kind] ?? 0) + 1;
    return statistics;
  }

  #stream<T>(type: ChunkType, decode: Stream<T>['decode']): Stream<T> {
    const chunks = this.#catalog.chunks.filter((c) => c.type === type);
    const before: number[] = [];
    let total = 0;
    for (const chunk of chunks) {
      before.push(total);
      total += chunk.count;
    }
    return { chunks, before, decode };
  }

  #describeCheckpoints(): CheckpointInfo[] {
    const { chunks, checkpoints } = this.#catalog;
    return checkpoints.map((record, index) => {
      const place = this.#checkpointChunks[index];
      const storedBytes = place.offset + placedBytes(place) - chunks[record.firstChunk].offset;
      return { ...record, index, storedBytes };
    });
  }

  #chunkOf(checkpoint: CheckpointInfo): PlacedChunk {
    assert(this.checkpoints[checkpoint.index] === checkpoint, 'a checkpoint of another trace');
    return this.#checkpointChunks[checkpoint.index];
  }

  #chunksOf(checkpoint: CheckpointInfo): PlacedChunk[] {
    return this.#catalog.chunks.slice(checkpoint.firstChunk, this.#chunkOf(checkpoint).sequence);
  }

  /** Page contents in the file before those of this checkpoint. */
  #contentsBefore(checkpoint: CheckpointInfo): number {
    const { chunks, before } = this.#pages;
    let at = chunks.findLastIndex((c) => c.sequence < checkpoint.firstChunk);
    return at < 0 ? 0 : before[at] + chunks[at++].count;
  }

  *#between<T extends { position: number }>(stream: Stream<T>, from: number, to: number): Generator<T> {
    for (const chunk of stream.chunks) {
      if (chunk.last < from) continue;
      if (chunk.first >= to) return;
      for (const record of this.#records(stream, chunk)) {
        if (record.position >= to) return;
        if (record.position >= from) yield record;
      }
    }
  }

  *#from<T>(stream: Stream<T>, number: number): Generator<T> {
    for (const [i, chunk] of stream.chunks.entries()) {
      const skip = Math.max(0, number - stream.before[i]);
      if (skip < chunk.count) yield* this.#records(stream, chunk).slice(skip);
    }
  }

  #records<T>(stream: Stream<T>, chunk: PlacedChunk): T[] {
    return this.#guard(chunk, () => stream.decode(this.#load(chunk), chunk));
  }

  /** Page contents; with `room` (see `readChunk`) they are not kept. */
  #contents(chunk: PlacedChunk, room?: Uint8Array): Uint8Array {
    return this.#guard(chunk, () => {
      if (chunk.rawBytes !== chunk.count * PAGE_BYTES) throw new TraceDamage(`${chunk.count} pages expected`);
      if (!room) return this.#load(chunk);
      return this.#cache.get(chunk.sequence) ?? readChunk(this.#source, chunk, this.#catalog.seed, room);
    });
  }

  /** The raw data of a chunk. */
  #load(chunk: PlacedChunk, keep = true): Uint8Array {
    const cached = this.#cache.get(chunk.sequence);
    if (cached) return cached;
    const payload = readChunk(this.#source, chunk, this.#catalog.seed);
    if (keep) this.#cache.set(chunk.sequence, payload, payload.length);
    return payload;
  }

  #guard<T>(chunk: PlacedChunk, action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof TraceDamage)) throw error;
      throw new UserError(
        `${this.name}: damaged at offset ${chunk.offset} (${error.message}): ` +
          `'chronovisor repair ${this.name}' keeps what comes before`,
      );
    }
  }
}

function inOrder<T extends { position: number }>(records: T[], chunk: PlacedChunk): T[] {
  if (records.length !== chunk.count) throw new TraceDamage(`${chunk.count} records expected, found ${records.length}`);
  if (records.at(0)?.position !== chunk.first || records.at(-1)?.position !== chunk.last) {
    throw new TraceDamage(`records from position ${chunk.first} to ${chunk.last} expected`);
  }
  return records;
}

function checkRoom(chunk: PlacedChunk) {
  if (chunk.count * (HASH_BYTES + 2) > chunk.rawBytes) {
    throw new TraceDamage(`${chunk.count} changes expected, found room for ${Math.floor(chunk.rawBytes / 18)}`);
  }
}
