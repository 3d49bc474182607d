/** A thread of the pool: replays the stretches that it is given, and looks between spells whether it is still wanted. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { TraceReader } from '../trace/index.ts';
import { scanCalls } from './calls.ts';
import type { FromWorker, PoolOptions, ToWorker } from './pool.ts';
import { type ScanRequest, type ScanResult, scan } from './scan.ts';
import { Timeline } from './timeline.ts';

assert(parentPort, 'this module runs in a worker thread');
const port = parentPort;
const { path, memoryBudget } = workerData as PoolOptions;
const timeline = new Timeline(TraceReader.open(path), { memoryBudget });
let cancelled = false;

async function work(id: number, request: ScanRequest): Promise<ScanResult | null> {
  cancelled = false;
  const work = request.calls ? scanCalls(timeline, request) : scan(timeline, request);
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    send({ kind: 'at', id, position: value });
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (cancelled) {
      // Closes the generator, which takes its probes away.
      work.return({ rows: [], resume: null });
      return null;
    }
  }
}

function send(message: FromWorker): void {
  port.postMessage(message);
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'cancel') {
    cancelled = true;
    return;
  }
  const { id } = message;
  work(id, message.request).then(
    (result) => send({ kind: 'done', id, result }),
    (error) => send({ kind: 'failed', id, name: error.name, message: error.message }),
  );
});
