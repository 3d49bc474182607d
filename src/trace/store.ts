/**
 * Encoder and file together, and what happens when the disk fails: the file goes back to the last mark, takes an end
 * record if there is room for one, and whatever comes later is dropped.
 */
import { CheckpointMaker } from './checkpoint-maker.ts';
import type { Checkpoint, TakenCheckpoint } from './checks.ts';
import type { ConsoleBatch } from './console.ts';
import { TraceEncoder } from './encoder.ts';
import { explain, type TraceFile, TraceWriteError } from './file.ts';
import type { TimedInput } from './inputs.ts';
import type { JournalBatch } from './journal.ts';
import type { Mark, TraceEnd, TraceHeader } from './schema.ts';

export type TraceRecord =
  | { kind: 'inputs'; entries: TimedInput[] }
  | { kind: 'journal'; batch: JournalBatch }
  | { kind: 'console'; batch: ConsoleBatch }
  /** Contents of pages that the checkpoint to come changes, in the order of its pages. */
  | { kind: 'pages'; position: number; contents: Uint8Array }
  | { kind: 'taken'; checkpoint: TakenCheckpoint }
  /** Contents that the checkpoint to come is the first to name, and that checkpoint as another trace has it. */
  | { kind: 'contents'; position: number; contents: Uint8Array }
  | { kind: 'checkpoint'; checkpoint: Checkpoint }
  | { kind: 'mark'; mark: Mark };

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];

export interface StoreOptions {
  /** For messages. */
  name: string;
  /** Writing beyond this fails as if the disk were full. */
  maxBytes?: number;
  /** Called once, when there is something to replay. */
  onFirstMark?: () => void;
}

export class TraceStore {
  readonly #file: TraceFile;
  readonly #encoder: TraceEncoder;
  readonly #maker: CheckpointMaker;
  readonly #options: StoreOptions;
  #published = false;
  bytesWritten = 0;
  /** Once set, records are dropped. */
  failed: TraceWriteError | undefined;

  constructor(file: TraceFile, header: TraceHeader, options: StoreOptions) {
    this.#file = file;
    this.#options = options;
    this.#encoder = new TraceEncoder(header, (bytes) => this.#write(bytes));
    this.#maker = new CheckpointMaker(this.#encoder.pages);
    this.#attempt(() => this.#encoder.begin());
  }

  add(record: TraceRecord) {
    if (this.failed) return;
    this.#attempt(() => {
      this.#encode(record);
      if (!this.#published && this.#encoder.lastMark) {
        this.#published = true;
        this.#options.onFirstMark?.();
      }
    });
  }

  /** Closes the file and returns the end that it got; undefined if it holds nothing to replay. */
  close(wanted: TraceEnd): TraceEnd | undefined {
    let end: TraceEnd | undefined = wanted;
    if (!this.failed) this.#attempt(() => this.#encoder.end(wanted));
    if (this.failed) {
      end = this.#failedEnd();
      if (end) this.#attempt(() => this.#encoder.end(end!));
    }
    // Where the index does not fit, the end record still does: a reader walks the chunks.
    if (end) this.#attempt(() => this.#encoder.index(end!));
    this.#attempt(() => this.#file.close());
    return this.#published ? end : undefined;
  }

  #failedEnd(): TraceEnd | undefined {
    const mark = this.#encoder.lastMark;
    if (!mark || !this.failed) return undefined;
    return { ...mark, reason: FULL.includes(this.failed.code) ? 'disk-full' : 'error' };
  }

  #encode(record: TraceRecord) {
    switch (record.kind) {
      case 'inputs':
        return this.#encoder.inputs(record.entries);
      case 'journal':
        return this.#encoder.journal(record.batch);
      case 'console':
        return this.#encoder.console(record.batch);
      case 'pages': {
        const { position, contents } = record;
        return this.#maker.contents(contents, (content) => this.#encoder.contents(position, content));
      }
      case 'taken':
        return this.#encoder.checkpoint(this.#maker.make(record.checkpoint));
      case 'contents':
        return this.#encoder.contents(record.position, record.contents);
      case 'checkpoint':
        this.#maker.follow(record.checkpoint);
        return this.#encoder.checkpoint(record.checkpoint);
      case 'mark':
        return this.#encoder.mark(record.mark);
    }
  }

  #write(bytes: Uint8Array) {
    const { maxBytes = Infinity } = this.#options;
    if (this.bytesWritten + bytes.length > maxBytes) {
      throw Object.assign(new Error(`the trace would grow beyond ${maxBytes} bytes`), { code: 'EFBIG' });
    }
    this.#file.write(bytes, this.bytesWritten);
    this.bytesWritten += bytes.length;
  }

  #attempt(action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN';
      // Our own limit says more than the system's code for it.
      const own = error instanceof Error && code === 'EFBIG' && !('syscall' in error);
      const reason = own ? error.message : explain(error);
      this.failed ??= new TraceWriteError(`cannot write ${this.#options.name}: ${reason}`, code);
      this.#rollback();
      return false;
    }
  }

  /** If even this fails, the bytes after the last mark stay, and a reader leaves them out. */
  #rollback() {
    this.bytesWritten = this.#encoder.rollback();
    try {
      this.#file.truncate(this.bytesWritten);
    } catch {}
  }
}
