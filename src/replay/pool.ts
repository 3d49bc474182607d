/** Worker threads that replay stretches of one trace side by side, each with a machine of its own. */
import { Worker } from 'node:worker_threads';
import { Divergence, UserError } from '../base/assert.ts';
import type { ScanRequest, ScanResult } from './scan.ts';

export interface PoolOptions {
  /** The trace file. */
  readonly path: string;
  /** Threads at most. */
  readonly size: number;
  /** Bytes that each may take for its machine and kept states. */
  readonly memoryBudget: number;
}

export type ToWorker =
  | { readonly kind: 'scan'; readonly id: number; readonly request: ScanRequest }
  | { readonly kind: 'cancel' };
export type FromWorker =
  | { readonly kind: 'at'; readonly id: number; readonly position: number }
  | { readonly kind: 'done'; readonly id: number; readonly result: ScanResult | null }
  | { readonly kind: 'failed'; readonly id: number; readonly name: string; readonly message: string };

/** A stretch that is being looked through, or waits for it. */
export interface Job {
  /** Null if it was cancelled. */
  readonly result: Promise<ScanResult | null>;
  /** The position that it has come to. */
  readonly at: number;
  cancel(): void;
}

class PoolJob implements Job {
  readonly id: number;
  readonly request: ScanRequest;
  readonly result: Promise<ScanResult | null>;
  at: number;
  resolve!: (result: ScanResult | null) => void;
  reject!: (error: Error) => void;
  readonly #cancel: (job: PoolJob) => void;

  constructor(id: number, request: ScanRequest, cancel: (job: PoolJob) => void) {
    this.id = id;
    this.request = request;
    this.at = request.from;
    this.#cancel = cancel;
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever cancels a job does not wait for it any more.
    this.result.catch(() => {});
  }

  cancel(): void {
    this.#cancel(this);
  }
}

interface Thread {
  readonly worker: Worker;
  job: PoolJob | null;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #threads: Thread[] = [];
  #waiting: PoolJob[] = [];
  #jobs = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#options.size;
  }

  /** Jobs are begun in the order in which they come. */
  scan(request: ScanRequest): Job {
    const job = new PoolJob(++this.#jobs, request, (cancelled) => this.#cancel(cancelled));
    this.#waiting.push(job);
    this.#next();
    return job;
  }

  async close(): Promise<void> {
    for (const job of this.#waiting.splice(0)) job.resolve(null);
    await Promise.all(this.#threads.splice(0).map(({ worker }) => worker.terminate()));
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#threads.find(({ job }) => job === null) ?? this.#start();
      if (!thread) return;
      const job = this.#waiting.shift()!;
      thread.job = job;
      const message: ToWorker = { kind: 'scan', id: job.id, request: job.request };
      thread.worker.postMessage(message);
    }
  }

  #start(): Thread | null {
    if (this.#threads.length >= this.#options.size) return null;
    const worker = new Worker(new URL('./scan-worker.js', import.meta.url), { workerData: this.#options });
    const thread: Thread = { worker, job: null };
    worker.unref();
    worker.on('message', (message: FromWorker) => this.#receive(thread, message));
    worker.on('error', (error) => this.#died(thread, error));
    this.#threads.push(thread);
    return thread;
  }

  #receive(thread: Thread, message: FromWorker): void {
    const { job } = thread;
    if (job?.id !== message.id) return;
    if (message.kind === 'at') {
      job.at = message.position;
      return;
    }
    thread.job = null;
    if (message.kind === 'done') job.resolve(message.result);
    else job.reject(errorOf(message));
    this.#next();
  }

  #died(thread: Thread, error: Error): void {
    this.#threads.splice(this.#threads.indexOf(thread), 1);
    thread.job?.reject(error);
    this.#next();
  }

  #cancel(job: PoolJob): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting !== job);
    const thread = this.#threads.find((t) => t.job === job);
    const message: ToWorker = { kind: 'cancel' };
    if (thread) thread.worker.postMessage(message);
    job.resolve(null);
  }
}

/** An error that came from another thread by its name and message. */
export function errorOf({ name, message }: { readonly name: string; readonly message: string }): Error {
  if (name === 'UserError') return new UserError(message);
  return name === 'Divergence' ? new Divergence(0, message) : new Error(message);
}
