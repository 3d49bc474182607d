/**
 * Searches through a trace: its stretches between checkpoints are replayed in worker threads side by side, in the order in which answers are
 * wanted. Stretches in which nothing can be hit, because the pages in question were not written, are not replayed at all.
 */
import { assert } from '../base/assert.ts';
import type { TraceReader } from '../trace/index.ts';
import type { Job, Pool } from './pool.ts';
import { needsWrites, type ScanRequest, type ScanRow, touches, writtenPages } from './scan.ts';

export interface Searched {
  /** Rows of one stretch, in the order asked for: those of `newest` are descending. */
  readonly rows: readonly ScanRow[];
  /** The part of the whole range that has been looked through. */
  readonly done: number;
}

/** Jobs that are given out beyond one for each thread, so that none waits for the next. */
const AHEAD = 2;
/** How often the position of a search is told, in ms. */
const PROGRESS_MS = 50;

/** Stretches between checkpoints are looked through together up to this length: going to a checkpoint takes as long as millions of steps. */
const PIECE_STEPS = 84_000_000;

interface Piece {
  readonly from: number;
  readonly to: number;
}

export interface SearchControl {
  readonly cancelled: () => boolean;
  readonly progress: (done: number, position: number) => void;
}

/**
 * Yields rows until all have been found, the caller leaves, or it is cancelled; `request.keep` is how many steps with hits come at once.
 */
export async function* search(
  trace: TraceReader,
  pool: Pool,
  request: ScanRequest,
  control: SearchControl,
): AsyncGenerator<readonly ScanRow[], void> {
  const { order, from, to } = request;
  const pieces = piecesOf(trace, request);
  const running: { piece: Piece; job: Job }[] = [];
  const total = Math.max(1, to - from);
  const begin = (piece: Piece) => ({ piece, job: pool.scan({ ...request, ...piece }) });
  try {
    for (;;) {
      while (running.length < pool.size + AHEAD && pieces.length > 0) running.push(begin(pieces.shift()!));
      const first = running[0];
      if (!first || control.cancelled()) return;
      const result = await Promise.race([first.job.result, delay()]);
      const { job, piece } = first;
      const left = order === 'oldest' ? to - job.at : piece.to - from - (job.at - piece.from);
      control.progress(Math.min(1, Math.max(0, 1 - left / total)), job.at);
      if (result === undefined) continue;
      assert(result, 'nobody else cancels');
      running.shift();
      if (result.resume !== null) {
        // More of the same stretch comes before everything that has been begun after it.
        running.unshift(
          begin(order === 'oldest' ? { from: result.resume, to: piece.to } : { from: piece.from, to: result.resume }),
        );
      }
      if (result.rows.length > 0) yield order === 'oldest' ? result.rows : byStepDescending(result.rows);
    }
  } finally {
    for (const { job } of running) job.cancel();
  }
}

/** Stretches between checkpoints, in order, without those in which nothing can be hit. */
function piecesOf(trace: TraceReader, { from, to, order, stops }: ScanRequest): Piece[] {
  const pieces: Piece[] = [];
  const specs = stops.map(({ spec }) => spec);
  const onlyWrites = specs.every((spec) => needsWrites(spec) && spec.physical === true);
  trace.checkpoints.forEach((checkpoint, i) => {
    const piece = {
      from: Math.max(from, checkpoint.position),
      to: Math.min(to, trace.checkpoints[i + 1]?.position ?? trace.replayableTo),
    };
    if (piece.from >= piece.to) return;
    const written = onlyWrites ? writtenPages(trace, checkpoint, piece.to) : null;
    if (written && !specs.some((spec) => needsWrites(spec) && touches(written, spec.address, spec.length))) return;
    const last = pieces.at(-1);
    const together = last?.to === piece.from && piece.to - last.from <= PIECE_STEPS;
    // Where writes decide, a thread may still find that nothing can be hit between two checkpoints, and only there.
    if (together && !specs.some(needsWrites)) pieces[pieces.length - 1] = { from: last.from, to: piece.to };
    else pieces.push(piece);
  });
  return order === 'oldest' ? pieces : pieces.reverse();
}

/** Steps from the last to the first; the hits of a step stay in their order. */
export function byStepDescending(rows: readonly ScanRow[]): ScanRow[] {
  return [...rows].sort((a, b) => b.hit.position - a.hit.position);
}

function delay(): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(resolve, PROGRESS_MS, undefined);
  });
}
