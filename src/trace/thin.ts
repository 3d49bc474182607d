/**
 * Writes a trace anew with fewer checkpoints. The file of a recording is only ever appended to, so old checkpoints cannot go while it grows; afterwards
 * they can, and with them the page contents that no other one names. What happened (inputs, journal, console) stays whole.
 */
import { assert } from '../base/assert.ts';
import { CopiedContents } from './copied-contents.ts';
import { TraceEncoder } from './encoder.ts';
import { createFile, DiskFile, discard, publish } from './file.ts';
import { PageMap } from './page-map.ts';
import type { CheckpointInfo, TraceReader } from './reader.ts';

/** A gap between checkpoints may be this share of its distance from the end, where that is more than the spacing that was asked for. */
const GAP_PER_AGE = 1 / 8;

/**
 * Which of the positions (ascending) stay: the first, the last, and those without which a gap would become wider than `spacing` and than an eighth of
 * its distance from the end. So their number grows with the logarithm of the recording's length. Indexes, ascending.
 */
export function checkpointsToKeep(positions: readonly number[], spacing: number): number[] {
  const last = positions.length - 1;
  const kept = [last];
  for (let index = last - 1; index > 0; index--) {
    const after = positions[kept[kept.length - 1]];
    const allowed = Math.max(spacing, (positions[last] - after) * GAP_PER_AGE);
    if (after - positions[index - 1] > allowed) kept.push(index);
  }
  if (last > 0) kept.push(0);
  return kept.reverse();
}

export interface Thinned {
  readonly kept: number;
  readonly of: number;
  /** Steps from one checkpoint to the next at most: what a seek replays when it is unlucky. */
  readonly gapMax: number;
}

/**
 * Writes the trace thinned by age to `path`. `accept` gets the new file's path when it is whole, before it takes its name: if it throws, nothing is
 * left. Errors: `UserError` for a trace that is damaged or a file that cannot be written.
 */
export function thin(
  trace: TraceReader,
  path: string,
  options: { spacing: number; force?: boolean; accept: (path: string) => void },
): Thinned {
  const positions = trace.checkpoints.map((c) => c.position);
  const kept = checkpointsToKeep(positions, options.spacing);
  const file = createFile(path, options.force ?? false);
  const disk = new DiskFile(file.fd);
  try {
    write(trace, new Set(kept), disk);
    options.accept(file.temporary ?? file.path);
    publish(file);
  } catch (error) {
    discard(file);
    throw error;
  }
  const gaps = kept.slice(1).map((index, i) => positions[index] - positions[kept[i]]);
  return { kept: kept.length, of: positions.length, gapMax: Math.max(0, ...gaps) };
}

function write(trace: TraceReader, kept: ReadonlySet<number>, disk: DiskFile): void {
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
      if (kept.has(checkpoint.index)) pages.keep(checkpoint);
    }
  }
  assert(next === trace.checkpoints.length, 'every checkpoint has been passed');
  const end = trace.end ?? { position: trace.replayableTo, timeNs: trace.replayableToNs, reason: 'interrupted' };
  encoder.end(end);
  encoder.index(end);
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
