/**
 * Writes a trace anew with fewer checkpoints. The file of a recording is only ever appended to, so old checkpoints cannot go while it grows; afterwards
 * they can, and with them the page contents that no other one names. What happened (inputs, journal, console) stays whole.
 */
import { setImmediate } from 'node:timers/promises';
import { assert } from '../base/assert.ts';
import { FIRST_CONTENT } from './changes.ts';
import { checkPages } from './check-pages.ts';
import { CopiedContents } from './copied-contents.ts';
import { TraceEncoder } from './encoder.ts';
import { createFile, DiskFile, discard, publish } from './file.ts';
import { PageMap } from './page-map.ts';
import { type CheckpointInfo, TraceReader } from './reader.ts';
import { checkpointsToKeep, type GapAt, gapOfRecording } from './thinning.ts';

export interface Thinned {
  readonly kept: number;
  readonly of: number;
  /** Steps from one checkpoint to the next at most: what a seek replays when it is unlucky. */
  readonly gapMax: number;
}

export interface ThinOptions {
  readonly gapAt: GapAt;
  /** Replace an existing file. */
  readonly force?: boolean;
  /** Gets the new file's path when it is whole, before it takes its name: if it throws, nothing is left. */
  readonly accept: (path: string) => void;
  /** Ends it early, with nothing left. */
  readonly signal?: AbortSignal;
}

/** Writes the trace thinned by age to `path`. Errors: `UserError` for a trace that is damaged or a file that cannot be written. */
export async function thin(trace: TraceReader, path: string, options: ThinOptions): Promise<Thinned> {
  const positions = trace.checkpoints.map((c) => c.position);
  const kept = checkpointsToKeep(positions, options.gapAt);
  const file = createFile(path, options.force ?? false);
  const disk = new DiskFile(file.fd);
  try {
    await write(trace, new Set(kept), disk, options.signal);
    options.accept(file.temporary ?? file.path);
    publish(file);
  } catch (error) {
    discard(file);
    throw error;
  }
  const gaps = kept.slice(1).map((index, i) => positions[index] - positions[kept[i]]);
  return { kept: kept.length, of: positions.length, gapMax: Math.max(0, ...gaps) };
}

/**
 * Thins the old part of a recording that has ended, where that leaves at most half of its page contents; null where it does not. The file is replaced at once
 * by one whose checkpoints have been checked against what the recorder's digests say; whatever happens before, it stays as it was. `begin` is called when it is worth it.
 */
export async function thinRecording(
  path: string,
  { signal, begin, gapAt = gapOfRecording }: { signal: AbortSignal; begin?: () => void; gapAt?: GapAt },
): Promise<Thinned | null> {
  const trace = TraceReader.open(path);
  try {
    if (trace.damage) return null;
    const kept = checkpointsToKeep(
      trace.checkpoints.map((c) => c.position),
      gapAt,
    );
    const named = await contentsNamed(trace, new Set(kept), signal);
    if (named * 2 > trace.statistics().contents) return null;
    begin?.();
    const accept = (written: string) => {
      const thinned = TraceReader.open(written, { check: true });
      checkPages(thinned);
      thinned.close();
    };
    return await thin(trace, path, { gapAt, force: true, accept, signal });
  } finally {
    trace.close();
  }
}

/** How many contents some of the checkpoints name. */
async function contentsNamed(trace: TraceReader, kept: ReadonlySet<number>, signal: AbortSignal): Promise<number> {
  const named = new Set<number>();
  const since = new Map<number, number>();
  for (const checkpoint of trace.checkpoints) {
    const { pages, refs } = trace.changes(checkpoint);
    for (let row = 0; row < pages.length; row++) since.set(pages[row], refs[row]);
    if (!kept.has(checkpoint.index)) continue;
    for (const ref of since.values()) if (ref >= FIRST_CONTENT) named.add(ref);
    since.clear();
    await setImmediate();
    signal.throwIfAborted();
  }
  return named.size;
}

async function write(
  trace: TraceReader,
  kept: ReadonlySet<number>,
  disk: DiskFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  let length = 0;
  const encoder = new TraceEncoder(trace.header, (bytes) => {
    disk.write(bytes, length);
    length += bytes.length;
  });
  encoder.begin();
  const pages = new KeptPages(trace, encoder);
  let next = 0;
  for (const chunk of trace.chunks()) {
    if (chunk.type === 'inputs' || chunk.type === 'journal' || chunk.type === 'console') {
      encoder.copy(chunk.type, trace.payload(chunk), chunk);
    } else if (chunk.type === 'checkpoint') {
      const checkpoint = trace.checkpoints[next++];
      pages.pass(checkpoint);
      if (!kept.has(checkpoint.index)) continue;
      pages.keep(checkpoint);
      // Whoever asks for an end is heard now.
      await setImmediate();
      signal?.throwIfAborted();
    }
  }
  assert(next === trace.checkpoints.length, 'every checkpoint has been passed');
  const end = trace.end ?? { position: trace.replayableTo, timeNs: trace.replayableToNs, reason: 'interrupted' };
  encoder.end(end);
  encoder.index(end);
  disk.sync();
  disk.close();
}

/** Carries pages from one kept checkpoint to the next, and contents that are named into the new trace. */
class KeptPages {
  readonly #trace: TraceReader;
  readonly #encoder: TraceEncoder;
  #since = new PageMap();
  readonly #contents: CopiedContents;

  constructor(trace: TraceReader, encoder: TraceEncoder) {
    this.#trace = trace;
    this.#encoder = encoder;
    this.#contents = new CopiedContents(trace);
  }

  pass(checkpoint: CheckpointInfo): void {
    this.#since.apply(this.#trace.changes(checkpoint));
  }

  keep(checkpoint: CheckpointInfo): void {
    const { position, timeNs, digest } = checkpoint;
    const changes = this.#since.all();
    this.#since = new PageMap();
    const refs = this.#contents.renumber(changes.refs, (content) => this.#encoder.contents(position, content));
    this.#encoder.checkpoint({ ...changes, refs, position, timeNs, digest, state: this.#trace.state(checkpoint) });
    assert(this.#encoder.holds(checkpoint), `the checkpoint at ${position} has the same events before it`);
  }
}
