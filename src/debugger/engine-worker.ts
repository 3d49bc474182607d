/** The engine's thread: serves requests one after the other; a cancel overtakes them. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { TraceReader } from '../trace/index.ts';
import { Engine, type Task } from './engine.ts';
import type { EngineStart, FromEngine, ToEngine } from './protocol.ts';
import type { QuerySpec } from './session.ts';

assert(parentPort, 'this module runs in a worker thread');
const port = parentPort;
const PROGRESS_MS = 100;

class PortTask implements Task {
  readonly id: number;
  cancelled = false;
  /** Resolves when the asking side wants more rows, or nothing more at all. */
  #wanted: (() => void) | null = null;
  #told = performance.now();

  constructor(id: number) {
    this.id = id;
  }

  progress(progress: Parameters<Task['progress']>[0]): void {
    const now = performance.now();
    if (now - this.#told < PROGRESS_MS) return;
    this.#told = now;
    send({ kind: 'progress', id: this.id, progress });
  }

  cancel(): void {
    this.cancelled = true;
    this.more();
  }

  more(): void {
    this.#wanted?.();
    this.#wanted = null;
  }

  wanted(): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted = resolve;
    });
  }
}

type Served = (engine: Engine, task: Task, args: readonly never[]) => unknown;

/** Methods by name; what the session's types promise is what arrives. */
const METHODS: Readonly<Record<string, Served>> = {
  info: (engine) => engine.info(),
  where: (engine) => engine.where(),
  extend: (engine, task, [reached]) => engine.extend(reached, task),
  seek: (engine, task, [position]) => engine.seek(position, task),
  step: (engine, task, [options]) => engine.step(options, task),
  run: (engine, task, [options]) => engine.run(options, task),
  harts: (engine) => engine.harts(),
  registers: (engine, _, [hart]) => engine.registers(hart),
  memory: (engine, _, [request]) => engine.memory(request),
  translate: (engine, _, [hart, address]) => engine.translate(hart, address),
  evaluate: (engine, _, [hart, expression]) => engine.evaluate(hart, expression),
  console: (engine, _, [bytesMax]) => engine.console(bytesMax),
  consoleText: (engine, _, [bytesMax]) => engine.consoleText(bytesMax),
  overview: (engine, _, [spec]) => engine.overview(spec),
  addStop: (engine, _, [spec]) => engine.addStop(spec),
  removeStop: (engine, _, [id]) => engine.removeStop(id),
  enableStop: (engine, _, [id, enabled]) => engine.enableStop(id, enabled),
  stops: (engine) => engine.stops(),
  bookmarks: (engine) => engine.bookmarks(),
  setBookmark: (engine, _, [bookmark]) => engine.setBookmark(bookmark),
  removeBookmark: (engine, _, [name]) => engine.removeBookmark(name),
  close: (engine) => engine.close(),
};

/** These look at the trace alone: nobody has to wait for a movement to end. */
const ASIDE: ReadonlySet<string> = new Set(['overview']);

function send(message: FromEngine): void {
  port.postMessage(message);
}

function failed(id: number | null, error: unknown): void {
  const { name, message, stack } = error as Error;
  // What is a bug of ours is wanted with its stack.
  send({
    kind: 'failed',
    id,
    name,
    message: name === 'UserError' || name === 'Divergence' ? message : `${message}\n${stack}`,
  });
}

async function serve(engine: Engine, { id, method, args }: Extract<ToEngine, { kind: 'call' }>, task: PortTask) {
  try {
    if (method === 'query') {
      for await (const rows of engine.query(args[0] as QuerySpec, task)) {
        if (rows.length === 0) continue;
        const wanted = task.wanted();
        send({ kind: 'rows', id, rows });
        await wanted;
        if (task.cancelled) break;
      }
      send({ kind: 'result', id, value: null });
      return;
    }
    assert(Object.hasOwn(METHODS, method), `the engine knows '${method}'`);
    send({ kind: 'result', id, value: await METHODS[method](engine, task, args as readonly never[]) });
  } catch (error) {
    failed(id, error);
  }
}

function start(): Engine | null {
  const { path, options } = workerData as EngineStart;
  try {
    const engine = new Engine(TraceReader.open(path), path, options);
    send({ kind: 'ready' });
    return engine;
  } catch (error) {
    failed(null, error);
    return null;
  }
}

const engine = start();
const tasks = new Map<number, PortTask>();
let last = Promise.resolve();
if (engine) {
  port.on('message', (message: ToEngine) => {
    if (message.kind === 'cancel') tasks.get(message.id)?.cancel();
    if (message.kind === 'more') tasks.get(message.id)?.more();
    if (message.kind !== 'call') return;
    const task = new PortTask(message.id);
    tasks.set(message.id, task);
    if (ASIDE.has(message.method)) void serve(engine, message, task).then(() => tasks.delete(message.id));
    else last = last.then(() => serve(engine, message, task)).then(() => void tasks.delete(message.id));
  });
}
