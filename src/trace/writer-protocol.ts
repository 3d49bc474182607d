/** What a `TraceWriter` and its worker say to each other. */
import type { MessagePort } from 'node:worker_threads';
import type { NewFile } from './file.ts';
import type { TraceEnd, TraceHeader } from './schema.ts';
import type { TraceRecord } from './store.ts';

export interface WorkerStart {
  file: NewFile;
  header: TraceHeader;
  maxBytes: number;
  progress: SharedArrayBuffer;
  replies: MessagePort;
}

export type WorkerMessage =
  | { kind: 'start'; start: WorkerStart }
  | { kind: 'records'; records: TraceRecord[]; bytes: number }
  | { kind: 'drain' }
  | { kind: 'close'; end: TraceEnd };

export type WorkerReply =
  | { kind: 'failed'; message: string; code: string }
  | { kind: 'drained' }
  | { kind: 'closed'; end: TraceEnd | undefined };

/** Slots of the shared 64-bit counters. */
export const PROGRESS = { bytesDone: 0, bytesWritten: 1, failed: 2, buffersDone: 3, slots: 4 } as const;
