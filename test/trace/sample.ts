/** A seeded recording, as data: what the trace tests write and expect to read back. */
import { Random } from '../../src/base/random.ts';
import type { ConsoleBatch, ConsoleRun } from '../../src/trace/console.ts';
import { ContentNumbers } from '../../src/trace/content-table.ts';
import { MemorySource, type TraceFile } from '../../src/trace/file.ts';
import type { TimedInput } from '../../src/trace/inputs.ts';
import { JOURNAL_KINDS, type JournalBatch, type JournalEntry } from '../../src/trace/journal.ts';
import { TraceReader } from '../../src/trace/reader.ts';
import type { Mark, TraceEnd, TraceHeader } from '../../src/trace/schema.ts';
import { type TraceRecord, TraceStore } from '../../src/trace/store.ts';
import type { CheckpointSource } from '../../src/trace/writer.ts';
import { DIGESTER_BYTES, Digester } from '../../src/vmm/digest.ts';
import type { Input } from '../../src/vmm/inputs.ts';

export const HEADER: TraceHeader = {
  productVersion: '0.1.0',
  createdMs: 1_790_000_000_123,
  machine: {
    isa: 'riscv64',
    revision: 1,
    harts: 4,
    memoryBytes: 2 ** 31,
    psPerStep: 1000,
    quantum: 20_000,
    schedule: 'drawn',
    clockMode: 'host',
    console: 'uart0',
    boot: { kind: 'linux', kernel: 'vmlinux', append: 'console=ttyS0 quiet', bios: '' },
    disks: [{ name: 'root.img', sizeBytes: 2 ** 40, readOnly: false }],
    rtcOffsetNs: 1_790_000_000_123_456_789n,
    pageBytes: 4096,
  },
  notes: [['kernel release', '6.12 ☃']],
};

export interface Sample {
  inputs: TimedInput[];
  journal: JournalEntry[];
  runs: ConsoleRun[];
  checkpoints: SampleCheckpoint[];
  /** Everything in the order of recording, a flush at the end of each round. */
  records: SampleRecord[];
  end: TraceEnd;
}

const bytes = (random: Random, length: number) => Uint8Array.from({ length }, () => random.below(256));

function input(random: Random): Input {
  switch (random.below(11)) {
    case 0:
      return { kind: 'clock', timeNs: random.below(2 ** 32) * 1000, psPerStep: random.below(3000) };
    case 1:
      return { kind: 'command', command: random.pick(['power-off', 'reset'] as const) };
    case 2:
      return { kind: 'entropy', device: 'rng', data: bytes(random, random.below(40)) };
    case 3:
      return { kind: 'block', disk: 0, block: random.below(2 ** 30), data: bytes(random, 4096) };
    case 4:
    case 5:
    case 6:
      return { kind: 'turn', hart: random.below(8), steps: 1 + random.below(random.pick([10, 20_000, 2 ** 30])) };
    case 7:
      return { kind: 'memory', address: 2 ** 31 + random.below(2 ** 31), data: bytes(random, 1 + random.below(20)) };
    case 8: {
      const value = (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
      return { kind: 'register', hart: random.below(8), register: random.pick(['pc', 'a0', 'sepc']), value };
    }
    default:
      return { kind: 'console', device: 'uart0', data: bytes(random, random.below(3)) };
  }
}

const digester = new Digester(new WebAssembly.Memory({ initial: Math.ceil(DIGESTER_BYTES / 65536) }));

/** Page contents that repeat (so that they are found again), with zero pages among them. */
function page(random: Random): { hash: Uint8Array; content: Uint8Array } {
  const kind = random.below(40);
  const content = new Uint8Array(4096);
  if (kind > 0) for (let i = 0; i < 400; i++) content[i * 7] = (kind * i) >> 2;
  const hash = new Int32Array(4);
  digester.hashOf(content, hash, 0);
  return { hash: new Uint8Array(hash.buffer), content };
}

/** A checkpoint with all contents of its pages. */
export interface SampleCheckpoint extends Mark {
  digest: Uint8Array;
  state: Uint8Array;
  /** Ascending, with 16 bytes of `hashes` and 4096 of `contents` each. */
  pages: Uint32Array;
  hashes: Uint8Array;
  contents: Uint8Array;
  /** Pages that are no more, ascending. */
  absent: Uint32Array;
}
export type SampleRecord =
  | Exclude<TraceRecord, { kind: 'checkpoint' | 'contents' }>
  | { kind: 'checkpoint'; checkpoint: SampleCheckpoint };

function checkpoint(random: Random, position: number): SampleCheckpoint {
  const count = random.below(70);
  const numbers = new Set(Array.from({ length: count }, () => random.u32()));
  const pages = Uint32Array.from(numbers).sort();
  const absent = pages.filter((_, i) => i % 9 === 4);
  const present = pages.filter((_, i) => i % 9 !== 4);
  const made = Array.from(present, () => page(random));
  return {
    position,
    timeNs: position * 2,
    digest: bytes(random, 16),
    state: bytes(random, random.below(3000)),
    pages: present,
    hashes: new Uint8Array(Buffer.concat(made.map((m) => m.hash))),
    contents: new Uint8Array(Buffer.concat(made.map((m) => m.content))),
    absent,
  };
}

export function makeSample(seed: number, rounds = 5): Sample {
  const random = new Random(seed);
  const sample: Sample = {
    inputs: [],
    journal: [],
    runs: [],
    checkpoints: [],
    records: [],
    end: { position: 0, timeNs: 0, reason: 'power-off', exitCode: -3 },
  };
  let position = 0;
  const advance = () => {
    position += random.below(4) === 0 ? 0 : random.below(random.pick([100, 1e6, 2 ** 40]));
    return position;
  };
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      const taken = checkpoint(random, position);
      sample.checkpoints.push(taken);
      sample.records.push({ kind: 'checkpoint', checkpoint: taken });
    }
    const [inputs, journal, runs]: [TimedInput[], JournalEntry[], ConsoleRun[]] = [[], [], []];
    for (let i = random.below(60); i > 0; i--) {
      advance();
      const what = random.below(3);
      if (what === 0) inputs.push({ position, input: input(random) });
      if (what === 1) {
        journal.push({
          position,
          hart: random.below(8),
          kind: random.pick(JOURNAL_KINDS),
          code: random.pick([5, 9, 0xffffffff]),
          value: random.pick([0n, random.u64(), 0xffffffff80001234n, 2n ** 64n - 1n]),
        });
      }
      if (what === 2)
        runs.push({ position, device: random.pick(['uart0', 'hvc0']), bytes: bytes(random, 1 + random.below(9)) });
    }
    if (inputs.length) sample.records.push({ kind: 'inputs', entries: inputs });
    if (journal.length) sample.records.push({ kind: 'journal', batch: journalBatch(journal) });
    if (runs.length) sample.records.push({ kind: 'console', batch: consoleBatch(runs) });
    sample.records.push({ kind: 'mark', mark: { position, timeNs: position * 2 } });
    sample.inputs.push(...inputs);
    sample.journal.push(...journal);
    sample.runs.push(...runs);
  }
  sample.end = { ...sample.end, position, timeNs: position * 2 };
  return sample;
}

export function journalBatch(entries: readonly JournalEntry[]): JournalBatch {
  return {
    positions: Float64Array.from(entries, (e) => e.position),
    kinds: Uint8Array.from(entries, (e) => JOURNAL_KINDS.indexOf(e.kind)),
    harts: Uint8Array.from(entries, (e) => e.hart),
    codes: Uint32Array.from(entries, (e) => e.code),
    values: BigUint64Array.from(entries, (e) => e.value),
  };
}

function consoleBatch(runs: readonly ConsoleRun[]): ConsoleBatch {
  const devices = [...new Set(runs.map((r) => r.device))];
  return {
    devices,
    positions: Float64Array.from(runs, (r) => r.position),
    lengths: Uint32Array.from(runs, (r) => r.bytes.length),
    deviceIndexes: Uint8Array.from(runs, (r) => devices.indexOf(r.device)),
    data: new Uint8Array(Buffer.concat(runs.map((r) => r.bytes))),
  };
}

/** A file in memory that can be full. */
export class MemoryFile implements TraceFile {
  #bytes = Buffer.alloc(1 << 20);
  length = 0;
  closed = false;
  readonly room: number;
  constructor(room = Infinity) {
    this.room = room;
  }
  get bytes(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.length));
  }
  write(bytes: Uint8Array, offset: number) {
    // Like a real disk: as much as fits is written before the error.
    const fits = Math.min(bytes.length, Math.max(0, this.room - offset));
    while (offset + fits > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    this.#bytes.set(bytes.subarray(0, fits), offset);
    this.length = Math.max(this.length, offset + fits);
    if (fits < bytes.length) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  }
  truncate(length: number) {
    this.length = Math.min(this.length, length);
  }
  close() {
    this.closed = true;
  }
}

/** Present and absent pages in one list, as a checkpoint has them. */
function rowsOf({ pages, hashes, contents, absent }: SampleCheckpoint) {
  const present = Array.from(pages, (page, i) => ({
    page,
    hash: hashes.subarray(i * 16, i * 16 + 16),
    content: contents.subarray(i * 4096, i * 4096 + 4096) as Uint8Array | null,
  }));
  const gone = Array.from(absent, (page) => ({ page, hash: new Uint8Array(16), content: null }));
  return [...present, ...gone].sort((a, b) => a.page - b.page);
}

/** The checkpoint as a recorder hands it over. */
export function sourceOf(checkpoint: SampleCheckpoint): CheckpointSource {
  const { position, timeNs, state } = checkpoint;
  const rows = rowsOf(checkpoint);
  const pages = Uint32Array.from(rows, ({ page }) => page);
  return { position, timeNs, state, pages, content: (row) => rows[row].content };
}

/** The checkpoint as another trace has it, with contents by row. */
export function knownOf(checkpoint: SampleCheckpoint) {
  const { position, timeNs, state, digest } = checkpoint;
  const rows = rowsOf(checkpoint);
  const pages = Uint32Array.from(rows, ({ page }) => page);
  const hashes = new Uint8Array(Buffer.concat(rows.map(({ hash }) => hash)));
  return { position, timeNs, state, digest, pages, hashes, content: (row: number) => rows[row].content! };
}

/** The digest of a machine with such pages and such a state. */
export function digestOf(memory: ReadonlyMap<number, Uint8Array>, state: Uint8Array): Uint8Array {
  const hash = new Int32Array(4);
  digester.begin(new Uint8Array(16));
  for (const [page, content] of memory) {
    digester.hashOf(content, hash, 0);
    digester.add(page, hash, 0);
  }
  return digester.finish(digester.sum(), state);
}

export function writeSample(
  sample: Sample,
  file = new MemoryFile(),
): { file: MemoryFile; store: TraceStore; end: TraceEnd | undefined } {
  const store = new TraceStore(file, HEADER, { name: 'test.trace' });
  const numbers = new ContentNumbers();
  for (const record of sample.records) {
    if (record.kind !== 'checkpoint') {
      store.add(record);
      continue;
    }
    const { content, ...checkpoint } = knownOf(record.checkpoint);
    const { position, hashes } = checkpoint;
    const fresh = (contents: Uint8Array) => store.add({ kind: 'contents', position, contents });
    const refs = numbers.number(hashes, content, fresh);
    store.add({ kind: 'checkpoint', checkpoint: { ...checkpoint, refs } });
  }
  const end = store.close(sample.end);
  return { file, store, end };
}

export const open = (data: Uint8Array, check = false) =>
  new TraceReader(new MemorySource(data), 'test.trace', { check });

/** Everything in a trace, in a form that can be compared. */
export function readAll(reader: TraceReader) {
  return {
    header: reader.header,
    inputs: [...reader.inputs()],
    journal: [...reader.journal()],
    runs: [...reader.consoleOutput()],
    checkpoints: reader.checkpoints.map((c) => ({ ...c, state: reader.state(c), pages: readPages(reader, c.index) })),
  };
}

function readPages(reader: TraceReader, index: number) {
  const { pages, refs, hashes } = reader.changes(reader.checkpoints[index]);
  return Array.from(pages, (page, i) => {
    const content = new Uint8Array(4096);
    if (refs[i] >= 0) content.set(reader.page(refs[i]));
    return { page, absent: refs[i] < 0, hash: hashes.slice(i * 16, i * 16 + 16), content };
  });
}

/** The same, out of what was recorded. */
export function expectedPages({ pages, hashes, contents, absent }: SampleCheckpoint) {
  const present = Array.from(pages, (page, i) => ({
    page,
    absent: false,
    hash: hashes.slice(i * 16, i * 16 + 16),
    content: contents.slice(i * 4096, (i + 1) * 4096),
  }));
  const gone = Array.from(absent, (page) => ({
    page,
    absent: true,
    hash: new Uint8Array(16),
    content: new Uint8Array(4096),
  }));
  return [...present, ...gone].sort((a, b) => a.page - b.page);
}
