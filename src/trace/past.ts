/** The past that two recordings share: what one has written is written into another, without replaying anything. */
import { CopiedContents } from './copied-contents.ts';
import type { CheckpointInfo, TraceReader } from './reader.ts';
import type { TraceWriter } from './writer.ts';

/** When so much waits to be written, the writer's thread is waited for. */
const BACKLOG_BYTES_MAX = 64 * 2 ** 20;

/** Events of one kind, and how many of them have been written. */
interface Stream<T> {
  readonly events: Iterator<T>;
  readonly write: (event: T) => void;
  next: T | undefined;
  written: number;
}

function stream<T>(events: Iterator<T>, write: (event: T) => void): Stream<T> {
  return { events, write, next: given(events.next()), written: 0 };
}

const given = <T>({ value, done }: IteratorResult<T>) => (done ? undefined : value);

/**
 * Writes all that a trace has up to one of its checkpoints: what came before, and the checkpoints themselves. The writer has nothing yet. Errors: a
 * `UserError` for a trace that is damaged, a `TraceWriteError` for a file that cannot be written.
 */
export async function copyPast(trace: TraceReader, writer: TraceWriter, last: CheckpointInfo): Promise<void> {
  const inputs = stream(trace.inputs(), ({ position, input }) => writer.input(position, input));
  const journal = stream(trace.journal(), (entry) => writer.journal(entry));
  const output = stream(trace.consoleOutput(), ({ position, device, bytes }) =>
    writer.console(position, device, bytes),
  );
  const contents = new CopiedContents(trace);
  for (const checkpoint of trace.checkpoints.slice(0, last.index + 1)) {
    for (;;) {
      const first = earliest([
        pending(inputs, checkpoint.inputsBefore),
        pending(journal, checkpoint.journalBefore),
        pending(output, checkpoint.consoleBefore),
      ]);
      if (!first) break;
      first.write();
    }
    copyCheckpoint(trace, writer, contents, checkpoint);
    if (writer.backlogBytes > BACKLOG_BYTES_MAX) await writer.drain();
  }
}

interface Pending {
  readonly position: number;
  write(): void;
}

/** The next event, if it is among the first so many. */
function pending<T extends { position: number }>(from: Stream<T>, before: number): Pending | null {
  const { next } = from;
  if (from.written >= before || next === undefined) return null;
  const write = () => {
    from.write(next);
    from.written++;
    from.next = given(from.events.next());
  };
  return { position: next.position, write };
}

function earliest(all: readonly (Pending | null)[]): Pending | null {
  return all.reduce((first, one) => (one && (!first || one.position < first.position) ? one : first), null);
}

function copyCheckpoint(trace: TraceReader, writer: TraceWriter, contents: CopiedContents, of: CheckpointInfo): void {
  const { position, timeNs, digest } = of;
  const { pages, refs, hashes } = trace.changes(of);
  const renumber = (fresh: (content: Uint8Array) => void) => contents.renumber(refs, fresh);
  writer.copyCheckpoint({ position, timeNs, digest, state: trace.state(of), pages, hashes }, renumber);
}
