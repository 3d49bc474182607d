/**
 * The thread that compresses and writes. It gets records from a `TraceWriter` in order, and tells how far it is through
 * shared memory, so that a recorder in the middle of a long slice can see it without going back to its event loop.
 */
import { parentPort } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { NICENESS, yieldThisThread } from '../base/priority.ts';
import { DiskFile, discard, publish } from './file.ts';
import { TraceStore } from './store.ts';
import { PROGRESS, type WorkerMessage, type WorkerStart } from './writer-protocol.ts';

yieldThisThread(NICENESS.writer);

/** What handles the messages after the first one. */
function open({ file, header, maxBytes, progress, replies }: WorkerStart): (message: WorkerMessage) => void {
  const counters = new BigInt64Array(progress);
  const store = new TraceStore(new DiskFile(file.fd), header, {
    name: file.path,
    maxBytes,
    onFirstMark: () => publish(file),
  });
  let told = false;
  const report = (bytesDone: number) => {
    if (store.failed && !told) {
      told = true;
      // The message goes first: who sees the flag finds it waiting.
      replies.postMessage({ kind: 'failed', message: store.failed.message, code: store.failed.code });
      Atomics.store(counters, PROGRESS.failed, 1n);
    }
    Atomics.store(counters, PROGRESS.bytesWritten, BigInt(store.bytesWritten));
    Atomics.add(counters, PROGRESS.bytesDone, BigInt(bytesDone));
    Atomics.notify(counters, PROGRESS.bytesDone);
  };
  report(0);
  return (message) => {
    switch (message.kind) {
      case 'records':
        for (const record of message.records) {
          store.add(record);
          if (record.kind === 'pages' || record.kind === 'contents') Atomics.add(counters, PROGRESS.buffersDone, 1n);
        }
        report(message.bytes);
        break;
      case 'drain':
        replies.postMessage({ kind: 'drained' });
        break;
      case 'close': {
        const end = store.close(message.end);
        if (!end) discard(file);
        report(0);
        replies.postMessage({ kind: 'closed', end });
        parentPort!.close();
        break;
      }
    }
  };
}

parentPort!.once('message', (first: WorkerMessage) => {
  assert(first.kind === 'start', 'a writer starts its thread first');
  parentPort!.on('message', open(first.start));
});
