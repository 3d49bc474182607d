/** Opens a trace as a session: its engine runs in a thread of its own, and this side asks. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { UserError } from '../base/assert.ts';
import { errorOf } from '../replay/pool.ts';
import { MEMORY_BUDGET_DEFAULT } from '../replay/timeline.ts';
import type { Reached } from './engine.ts';
import type { EngineStart, FromEngine, ToEngine } from './protocol.ts';
import type {
  Bookmark,
  ConsoleText,
  Control,
  DebugSession,
  HartRegisters,
  HartState,
  MemoryRequest,
  MemoryResult,
  Overview,
  OverviewSpec,
  Progress,
  QueryRow,
  QuerySpec,
  RunOptions,
  SessionInfo,
  StateChange,
  StepOptions,
  StopEvent,
  StopInfo,
  StopSpec,
} from './session.ts';
import { UNCHANGEABLE } from './session.ts';

export interface OpenOptions {
  /** Bytes that all threads together may take; 2 GiB without it. */
  readonly memoryBudget?: number;
  /** Threads that search, at most, as the memory allows; as many as the host has cores without it. */
  readonly workers?: number;
  /** Position to begin at: quicker than to begin at 0, as without it, and to go there. */
  readonly at?: number | 'end';
  /** The machine that is recorded lives: the trace will grow. */
  readonly live?: boolean;
}

/** A trace of a path. A `UserError` says why it cannot be opened. */
export async function openSession(path: string, options: OpenOptions = {}): Promise<DebugSession> {
  const session = new ThreadSession(startEngine(path, options));
  await session.ready;
  return session;
}

/** Starts the thread of a session's engine. */
export function startEngine(path: string, options: OpenOptions = {}): Worker {
  const workerData: EngineStart = {
    path,
    options: {
      memoryBudget: options.memoryBudget ?? MEMORY_BUDGET_DEFAULT,
      workers: options.workers ?? availableParallelism(),
      at: options.at ?? 0,
      live: options.live ?? false,
    },
  };
  return new Worker(new URL('./engine-worker.js', import.meta.url), { workerData });
}

interface Call {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly progress: ((progress: Progress) => void) | undefined;
  readonly rows: ((rows: readonly QueryRow[]) => void) | undefined;
}

/** A session whose engine runs in a thread; `ready` tells that the trace is open. */
export class ThreadSession implements DebugSession {
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  #ids = 0;
  #over: Error | null = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    this.ready = new Promise((resolve, reject) => {
      worker.on('message', (message: FromEngine) => {
        if (message.kind === 'ready') resolve();
        else if (message.kind === 'failed' && message.id === null) reject(errorOf(message));
        else this.#receive(message);
      });
      worker.on('error', (error) => {
        reject(error);
        this.#end(error);
      });
    });
    worker.on('exit', () => this.#end(new Error('the session is closed')));
  }

  info(): Promise<SessionInfo> {
    return this.#call<SessionInfo>('info', []);
  }
  where = () => this.#call<StopEvent>('where', []);
  seek = (position: number, control?: Control) => this.#call<StopEvent>('seek', [position], control);
  step({ signal, progress, ...options }: StepOptions): Promise<StopEvent> {
    return this.#call<StopEvent>('step', [options], { signal, progress });
  }
  run({ signal, progress, ...options }: RunOptions): Promise<StopEvent> {
    return this.#call<StopEvent>('run', [options], { signal, progress });
  }
  /** The trace has grown: goes to its end, where its machine stopped for a reason. */
  protected extend({ reason, hits, hart }: Reached): Promise<StopEvent> {
    return this.#call<StopEvent>('extend', [{ reason, hits, hart }]);
  }
  harts = () => this.#call<HartState[]>('harts', []);
  registers = (hart: number) => this.#call<HartRegisters>('registers', [hart]);
  memory = (request: MemoryRequest) => this.#call<MemoryResult>('memory', [request]);
  translate = (hart: number, address: bigint) => this.#call<bigint | null>('translate', [hart, address]);
  evaluate = (hart: number, expression: string) => this.#call<bigint | null>('evaluate', [hart, expression]);
  consoleText = (bytesMax: number) => this.#call<ConsoleText>('consoleText', [bytesMax]);
  overview = (spec: OverviewSpec) => this.#call<Overview>('overview', [spec]);
  console = (bytesMax: number) => this.#call<Uint8Array>('console', [bytesMax]);
  addStop = (spec: StopSpec) => this.#call<number>('addStop', [spec]);
  removeStop = (id: number) => this.#call<void>('removeStop', [id]);
  enableStop = (id: number, enabled: boolean) => this.#call<void>('enableStop', [id, enabled]);
  stops = () => this.#call<StopInfo[]>('stops', []);
  bookmarks = () => this.#call<Bookmark[]>('bookmarks', []);
  setBookmark = (bookmark: Bookmark) => this.#call<void>('setBookmark', [bookmark]);
  removeBookmark = (name: string) => this.#call<void>('removeBookmark', [name]);

  async *query(spec: QuerySpec, control: Control = {}): AsyncGenerator<QueryRow, void> {
    let batch: readonly QueryRow[] = [];
    let wake = () => {};
    let arrived = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const { id, result } = this.#ask<null>('query', [spec], control, (rows) => {
      batch = rows;
      wake();
    });
    let over = false;
    const ended = result.finally(() => {
      over = true;
    });
    ended.catch(() => {});
    try {
      for (;;) {
        await Promise.race([arrived, ended]);
        if (batch.length === 0) {
          await ended;
          return;
        }
        const rows = batch;
        batch = [];
        arrived = new Promise((resolve) => {
          wake = resolve;
        });
        yield* rows;
        this.#send({ kind: 'more', id });
      }
    } finally {
      if (!over) this.#send({ kind: 'cancel', id });
    }
  }

  async type(_data: Uint8Array): Promise<void> {
    throw new UserError(UNCHANGEABLE);
  }

  async change(_change: StateChange): Promise<void> {
    throw new UserError(UNCHANGEABLE);
  }

  async close(): Promise<void> {
    if (this.#over) return;
    await this.#call<void>('close', []);
    await this.#worker.terminate();
  }

  #call<T>(method: string, args: readonly unknown[], control: Optional<Control> = {}): Promise<T> {
    return this.#ask<T>(method, args, control).result;
  }

  #ask<T>(
    method: string,
    args: readonly unknown[],
    { signal, progress }: Optional<Control>,
    rows?: (rows: readonly QueryRow[]) => void,
  ): { id: number; result: Promise<T> } {
    const id = ++this.#ids;
    const cancel = () => this.#send({ kind: 'cancel', id });
    const result = new Promise<T>((resolve, reject) => {
      if (this.#over) return reject(this.#over);
      this.#calls.set(id, { resolve: resolve as Call['resolve'], reject, progress, rows });
      this.#send({ kind: 'call', id, method, args });
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
    });
    return { id, result: result.finally(() => signal?.removeEventListener('abort', cancel)) };
  }

  #send(message: ToEngine): void {
    if (!this.#over) this.#worker.postMessage(message);
  }

  #receive(message: Exclude<FromEngine, { kind: 'ready' }>): void {
    const call = this.#calls.get(message.id ?? 0);
    if (!call) return;
    switch (message.kind) {
      case 'progress':
        call.progress?.(message.progress);
        return;
      case 'rows':
        call.rows?.(message.rows as readonly QueryRow[]);
        return;
      case 'result':
        call.resolve(message.value);
        break;
      case 'failed':
        call.reject(errorOf(message));
        break;
    }
    this.#calls.delete(message.id ?? 0);
  }

  #end(error: Error): void {
    this.#over ??= error;
    for (const { reject } of this.#calls.values()) reject(this.#over);
    this.#calls.clear();
  }
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };
