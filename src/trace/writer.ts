/**
 * Writes a trace while a machine runs. What the recorder does per event is to drop numbers into arrays; a worker thread
 * makes chunks of them, finds pages that the file has already, compresses and writes.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import type { Input } from '../vmm/inputs.ts';
import { PAGE_BYTES } from '../vmm/layout.ts';
import {
  type Checkpoint,
  checkCheckpoint,
  checkInput,
  checkTaken,
  checkWhole,
  type TakenCheckpoint,
} from './checks.ts';
import { createFile, TraceWriteError } from './file.ts';
import type { TimedInput } from './inputs.ts';
import { JOURNAL_KINDS, type JournalEntry } from './journal.ts';
import { PageBuffers } from './page-buffers.ts';
import type { TraceEnd, TraceHeader } from './schema.ts';
import type { TraceRecord } from './store.ts';
import { PROGRESS, type WorkerMessage, type WorkerReply, type WorkerStart } from './writer-protocol.ts';

/** Entries, console runs and console bytes that wait for a flush at most; then they go to the worker by themselves. */
const JOURNAL_BATCH = 1 << 14;
const RUNS_BATCH = 1 << 14;
const CONSOLE_BATCH_BYTES = 1 << 16;
/** Inputs carry data (a disk block has 4 KiB), so their batch is bounded in bytes, too. */
const INPUTS_BATCH = 1 << 12;
const INPUTS_BATCH_BYTES = 1 << 20;

/** Records are gathered up to this much, or for so long, unless a flush sends them. What has not been sent when a recording ends makes the end longer. */
const MESSAGE_BYTES = 1 << 20;
const MESSAGE_MS = 100;

/** What may wait for the worker. Beyond it the recorder waits, because memory is not endless. */
const BACKLOG_BYTES_MAX = 256 << 20;
/** A disk that accepts nothing for so long will not come back. */
const STALL_MS_MAX = 60_000;

const ZEROS = Buffer.alloc(PAGE_BYTES);
/** Most pages differ from zeros at once, which takes no call to see. */
const isZeros = (page: Uint8Array) => page[0] === 0 && page[PAGE_BYTES - 8] === 0 && ZEROS.equals(page);

export interface WriterOptions {
  /** Replace an existing file. It is replaced only when the new one has something to replay. */
  force?: boolean;
  /** Writing beyond this fails as if the disk were full. */
  maxBytes?: number;
  /** Started before; the writer starts its own without it. */
  thread?: Worker;
  /** Memory that nobody writes any more: pages that lie there need not be copied. */
  lasting?: SharedArrayBuffer;
}

/** Starts what writes a trace: it takes a while to load, in which a machine can be put together. Ends with the program if it is not used. */
export function startWriterThread(): Worker {
  const thread = new Worker(new URL('./writer-worker.js', import.meta.url), {
    // The file is opened by the writer, so that a refusal comes at once, and closed by the thread.
    trackUnmanagedFds: false,
  });
  thread.unref();
  return thread;
}

/** A checkpoint as the recorder sees it. */
export interface CheckpointSource extends Omit<TakenCheckpoint, 'absent' | 'zeros'> {
  /**
   * The 4096 bytes of a page, by its place in `pages`, or null if it is no more; asked for during the call. They may be more: those of the pages in
   * the places behind it, which are not asked for then.
   */
  content: (row: number) => Uint8Array | null;
}

export interface ClosedTrace {
  path: string;
  bytes: number;
  /** As written: after a failure it tells of the last flush, not what `close` was given. */
  end: TraceEnd;
  /** Why the trace ends early, if it does. It replays up to `end`. */
  failed: TraceWriteError | undefined;
}

export class TraceWriter {
  readonly #path: string;
  readonly #worker: Worker;
  readonly #replies: MessagePort;
  readonly #progress: BigInt64Array;
  #failed: TraceWriteError | undefined;
  #bytesPosted = 0;
  /** The thread has ended; `closed`: as it should. */
  #over = false;
  #closed = false;
  #waiting: { kind: 'drained' | 'closed'; resolve: (reply: WorkerReply) => void; reject: (e: Error) => void }[] = [];

  readonly #buffers: PageBuffers;
  /** What is being sent: pages of this kind, of a checkpoint at a position. */
  #sending: { readonly kind: 'pages' | 'contents'; readonly position: number } = { kind: 'pages', position: 0 };
  #gathered: TraceRecord[] = [];
  #gatheredBytes = 0;
  #sentMs = performance.now();
  #position = 0;
  #inputs: TimedInput[] = [];
  #inputBytes = 0;
  readonly #journal = {
    count: 0,
    positions: new Float64Array(JOURNAL_BATCH),
    kinds: new Uint8Array(JOURNAL_BATCH),
    harts: new Uint8Array(JOURNAL_BATCH),
    codes: new Uint32Array(JOURNAL_BATCH),
    values: new BigUint64Array(JOURNAL_BATCH),
  };
  readonly #console = {
    count: 0,
    bytes: 0,
    devices: [] as string[],
    positions: new Float64Array(RUNS_BATCH),
    lengths: new Uint32Array(RUNS_BATCH),
    deviceIndexes: new Uint8Array(RUNS_BATCH),
    data: new Uint8Array(CONSOLE_BATCH_BYTES),
  };

  /** Creates the file at once: a `UserError` says why it cannot be. */
  constructor(path: string, header: TraceHeader, options: WriterOptions = {}) {
    this.#path = path;
    this.#buffers = new PageBuffers((contents) => {
      this.#post({ ...this.#sending, contents }, contents.length);
    }, options.lasting ?? null);
    const file = createFile(path, options.force ?? false);
    const { port1, port2 } = new MessageChannel();
    const progress = new SharedArrayBuffer(PROGRESS.slots * 8);
    this.#progress = new BigInt64Array(progress);
    const start: WorkerStart = {
      file,
      header,
      maxBytes: options.maxBytes ?? Infinity,
      progress,
      replies: port2,
    };
    this.#worker = options.thread ?? startWriterThread();
    this.#worker.postMessage({ kind: 'start', start } satisfies WorkerMessage, [port2]);
    this.#worker.on('error', (error) => this.#died(`internal error: ${error.message}`));
    this.#worker.on('exit', () => {
      this.#over = true;
      this.#died('its thread ended');
    });
    this.#replies = port1;
    port1.on('message', (reply: WorkerReply) => this.#receive(reply));
    // A program that fails elsewhere must be able to end.
    port1.unref();
  }

  /** Why nothing more can be written; up to date even if the event loop has not run. */
  get failed(): TraceWriteError | undefined {
    if (!this.#failed && Atomics.load(this.#progress, PROGRESS.failed) !== 0n) this.#poll();
    return this.#failed;
  }

  /** Bytes in the file so far. */
  get bytesWritten(): number {
    return Number(Atomics.load(this.#progress, PROGRESS.bytesWritten));
  }

  /** Bytes (before compression) that the worker has not written yet. */
  get backlogBytes(): number {
    return this.#bytesPosted - Number(Atomics.load(this.#progress, PROGRESS.bytesDone));
  }

  /** Data of the input is copied. Positions of all calls together never go back. */
  input(position: number, input: Input) {
    this.#advance(position);
    checkInput(input);
    const copy = 'data' in input ? { ...input, data: input.data.slice() } : input;
    this.#inputs.push({ position, input: copy });
    this.#inputBytes += 'data' in input ? input.data.length : 0;
    if (this.#inputs.length >= INPUTS_BATCH || this.#inputBytes >= INPUTS_BATCH_BYTES) this.#postInputs();
  }

  journal(entry: JournalEntry) {
    this.#advance(entry.position);
    const batch = this.#journal;
    const i = batch.count++;
    batch.positions[i] = entry.position;
    batch.kinds[i] = JOURNAL_KINDS.indexOf(entry.kind);
    batch.harts[i] = entry.hart;
    batch.codes[i] = entry.code;
    batch.values[i] = entry.value;
    if (batch.count === JOURNAL_BATCH) this.#postJournal();
  }

  /** Output that the guest sent. The bytes are copied. */
  console(position: number, device: string, bytes: Uint8Array) {
    this.#advance(position);
    for (let at = 0; at < bytes.length; at += CONSOLE_BATCH_BYTES) {
      this.#consoleRun(position, device, bytes.subarray(at, at + CONSOLE_BATCH_BYTES));
    }
  }

  /**
   * Writes a checkpoint, and with it everything before. The first one is at position 0 and has all pages, and counts as a flush; others go with the next. Throws if
   * writing has failed.
   */
  checkpoint({ content, ...source }: CheckpointSource) {
    const { position, pages, state } = source;
    checkTaken(source);
    const absent: number[] = [];
    const zeros: number[] = [];
    this.#sendContents('pages', position, (add) => {
      for (let row = 0; row < pages.length; ) {
        const bytes = content(row);
        const count = bytes ? bytes.length / PAGE_BYTES : 1;
        if (!bytes) absent.push(pages[row]);
        else if (count === 1 && isZeros(bytes)) zeros.push(pages[row]);
        else add(bytes);
        row += count;
      }
    });
    this.#post({ kind: 'taken', checkpoint: { ...source, absent, zeros } }, state.length + pages.length * 8);
    if (position === 0) this.#send();
  }

  /** Writes a checkpoint of another trace. `renumber` gives the numbers that its pages' contents get here, and those that are new here to `fresh`, in their order. */
  copyCheckpoint(source: Omit<Checkpoint, 'refs'>, renumber: (fresh: (content: Uint8Array) => void) => Int32Array) {
    const { position, pages, state } = source;
    let refs: Int32Array = new Int32Array();
    this.#sendContents('contents', position, (add) => {
      refs = renumber(add);
    });
    const checkpoint = { ...source, refs };
    checkCheckpoint(checkpoint);
    this.#post({ kind: 'checkpoint', checkpoint }, state.length + pages.length * 24);
  }

  /** Makes everything up to here readable, whatever happens to this process. Throws if writing has failed. */
  flush(position: number, timeNs: number) {
    this.#advance(position);
    checkWhole(timeNs, 'time');
    this.#throwFailed();
    this.#postEvents();
    this.#post({ kind: 'mark', mark: { position, timeNs } }, 16);
    this.#send();
  }

  /** Resolves when the worker has nothing left to do. */
  async drain(): Promise<void> {
    this.#postEvents();
    this.#send();
    await this.#ask({ kind: 'drain' }, 'drained');
  }

  /** Ends the trace. Fails only if there is nothing to replay; then there is no file either. */
  async close(end: TraceEnd): Promise<ClosedTrace> {
    this.#advance(end.position);
    this.#postEvents();
    this.#send();
    const reply = await this.#ask({ kind: 'close', end }, 'closed');
    const { failed } = this;
    this.#replies.close();
    if (reply.kind === 'closed' && reply.end) {
      return { path: this.#path, bytes: this.bytesWritten, end: reply.end, failed };
    }
    throw failed ?? new TraceWriteError(`${this.#path}: the recording ended before its first checkpoint`, 'EEMPTY');
  }

  #sendContents(kind: 'pages' | 'contents', position: number, give: (add: (content: Uint8Array) => void) => void) {
    this.#advance(position);
    this.#throwFailed();
    this.#postEvents();
    this.#buffers.returned(Number(Atomics.load(this.#progress, PROGRESS.buffersDone)));
    this.#sending = { kind, position };
    give((content) => this.#buffers.add(content));
    this.#buffers.flush();
  }

  #advance(position: number) {
    assert(position >= this.#position && position <= Number.MAX_SAFE_INTEGER, `position ${position} goes back`);
    this.#position = position;
  }

  #consoleRun(position: number, device: string, bytes: Uint8Array) {
    const batch = this.#console;
    if (batch.bytes + bytes.length > CONSOLE_BATCH_BYTES || batch.count === RUNS_BATCH) this.#postConsole();
    let index = batch.devices.indexOf(device);
    if (index < 0) index = batch.devices.push(device) - 1;
    assert(index < 256, 'more than 256 console devices');
    const i = batch.count++;
    batch.positions[i] = position;
    batch.lengths[i] = bytes.length;
    batch.deviceIndexes[i] = index;
    batch.data.set(bytes, batch.bytes);
    batch.bytes += bytes.length;
  }

  #postEvents() {
    if (this.#inputs.length > 0) this.#postInputs();
    if (this.#journal.count > 0) this.#postJournal();
    if (this.#console.count > 0) this.#postConsole();
  }

  #postInputs() {
    this.#post({ kind: 'inputs', entries: this.#inputs }, this.#inputBytes + this.#inputs.length * 32);
    this.#inputs = [];
    this.#inputBytes = 0;
  }

  #postJournal() {
    const { count, positions, kinds, harts, codes, values } = this.#journal;
    const batch = {
      positions: positions.slice(0, count),
      kinds: kinds.slice(0, count),
      harts: harts.slice(0, count),
      codes: codes.slice(0, count),
      values: values.slice(0, count),
    };
    this.#post({ kind: 'journal', batch }, count * 22);
    this.#journal.count = 0;
  }

  #postConsole() {
    const { count, bytes, devices, positions, lengths, deviceIndexes, data } = this.#console;
    const batch = {
      devices: devices.slice(),
      positions: positions.slice(0, count),
      lengths: lengths.slice(0, count),
      deviceIndexes: deviceIndexes.slice(0, count),
      data: data.slice(0, bytes),
    };
    this.#post({ kind: 'console', batch }, bytes + count * 13);
    this.#console.count = 0;
    this.#console.bytes = 0;
  }

  /** Gathers records: a message, and the thread that wakes up for it, cost more than most records. */
  #post(record: TraceRecord, bytes: number) {
    if (this.failed) return;
    this.#gathered.push(record);
    this.#gatheredBytes += bytes;
    if (this.#gatheredBytes >= MESSAGE_BYTES || performance.now() - this.#sentMs >= MESSAGE_MS) this.#send();
  }

  #send() {
    if (this.#gathered.length === 0) return;
    const message: WorkerMessage = { kind: 'records', records: this.#gathered, bytes: this.#gatheredBytes };
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#sentMs = performance.now();
    if (this.failed) return;
    this.#waitForRoom();
    this.#bytesPosted += message.bytes;
    this.#worker.postMessage(message);
  }

  #waitForRoom() {
    let stalledMs = 0;
    while (this.backlogBytes > BACKLOG_BYTES_MAX && !this.failed) {
      const done = Atomics.load(this.#progress, PROGRESS.bytesDone);
      const stepMs = 1000;
      stalledMs =
        Atomics.wait(this.#progress, PROGRESS.bytesDone, done, stepMs) === 'timed-out' ? stalledMs + stepMs : 0;
      if (stalledMs >= STALL_MS_MAX) this.#died(`the disk took nothing for ${STALL_MS_MAX / 1000} seconds`);
    }
  }

  #ask(message: WorkerMessage, kind: 'drained' | 'closed'): Promise<WorkerReply> {
    this.#replies.ref();
    this.#worker.ref();
    return new Promise<WorkerReply>((resolve, reject) => {
      this.#waiting.push({ kind, resolve, reject });
      if (this.#over) this.#died('its thread ended');
      else this.#worker.postMessage(message);
    });
  }

  #poll() {
    for (;;) {
      const received = receiveMessageOnPort(this.#replies) as { message: WorkerReply } | undefined;
      if (!received) return;
      this.#receive(received.message);
    }
  }

  #receive(reply: WorkerReply) {
    if (reply.kind === 'failed') {
      this.#failed ??= new TraceWriteError(reply.message, reply.code);
      return;
    }
    if (reply.kind === 'closed') this.#closed = true;
    const at = this.#waiting.findIndex((w) => w.kind === reply.kind);
    if (at < 0) return;
    const [waiting] = this.#waiting.splice(at, 1);
    if (this.#waiting.length === 0) {
      this.#replies.unref();
      this.#worker.unref();
    }
    waiting.resolve(reply);
  }

  /** The worker is gone or stuck: nobody will answer. What it has flushed is on the disk. */
  #died(reason: string) {
    this.#poll();
    if (this.#closed) return;
    const error = new TraceWriteError(`cannot write ${this.#path}: ${reason}`, 'EDEAD');
    this.#failed ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failed);
  }

  #throwFailed() {
    const { failed } = this;
    if (failed) throw failed;
  }
}
