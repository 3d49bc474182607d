/** Replays a stretch of a trace and collects what its stops hit there: the work of one thread in a search. */

import type { CheckpointInfo, TraceReader } from '../trace/index.ts';
import { PAGE_BYTES, RAM_BASE } from '../vmm/layout.ts';
import type { Call } from './calls.ts';
import { compileExpression, type Evaluate } from './expression.ts';
import type { Hit, StopSpec } from './stop-spec.ts';
import type { Timeline, Travel } from './timeline.ts';
import { type NumberedStop, placesOf, Watcher } from './watcher.ts';

export interface ScanRequest {
  /** Steps `from <= position < to`. */
  readonly from: number;
  readonly to: number;
  readonly stops: readonly NumberedStop[];
  /** Which hits are kept where there are more than `keep`; rows are ascending in either case. */
  readonly order: 'oldest' | 'newest';
  /** Steps with hits; at least 1. All hits of a step are kept together. */
  readonly keep: number;
  /** Expressions that each row shows. */
  readonly print: readonly string[];
  /** The stops are entries of functions: each row has the call that it is (see calls.ts). */
  readonly calls?: boolean;
}

export interface ScanRow {
  readonly hit: Hit;
  readonly timeNs: number;
  readonly values: readonly (bigint | null)[];
  readonly call?: Call;
}

export interface ScanResult {
  /** Ascending. */
  readonly rows: readonly ScanRow[];
  /** Null if these are all; else where the next request ends (`newest`) or begins (`oldest`). */
  readonly resume: number | null;
}

/** After so many hits that are not the wanted ones, a search for the newest jumps ahead, because there will be more. */
const HOT_HITS = 4096;
/** But not in a stretch as short as this. */
const JUMP_STEPS_MIN = 2 ** 18;

export function* scan(timeline: Timeline, request: ScanRequest): Travel<ScanResult> {
  if (yield* cannotHit(timeline, request)) return { rows: [], resume: null };
  const print = request.print.map(compileExpression);
  const watcher = new Watcher(timeline.machine, request.stops);
  try {
    return request.order === 'oldest'
      ? yield* oldest(timeline, watcher, print, request)
      : yield* newest(timeline, watcher, print, request);
  } finally {
    watcher.disarm();
  }
}

function* oldest(
  timeline: Timeline,
  watcher: Watcher,
  print: readonly Evaluate[],
  { from, to, keep }: ScanRequest,
): Travel<ScanResult> {
  const rows: ScanRow[] = [];
  let steps = 0;
  let last = -1;
  let resume: number | null = null;
  yield* timeline.travel(from);
  yield* watch(timeline, watcher, to, (hit) => {
    if (hit.position !== last && steps === keep) {
      resume = hit.position;
      return true;
    }
    if (hit.position !== last) steps++;
    last = hit.position;
    rows.push(rowOf(timeline, hit, print));
    return false;
  });
  return { rows, resume };
}

/**
 * The newest hits. Where there are very many, most of them are jumped over: the stretch that is left is halved, and the farther half is looked
 * through only if the nearer one has too few.
 */
function* newest(
  timeline: Timeline,
  watcher: Watcher,
  print: readonly Evaluate[],
  { from, to, keep }: Pick<ScanRequest, 'from' | 'to' | 'keep'>,
): Travel<ScanResult> {
  let steps: ScanRow[][] = [];
  let seen = 0;
  let hotAt: number | null = null;
  yield* timeline.travel(from);
  yield* watch(timeline, watcher, to, (hit) => {
    const same = steps.at(-1)?.[0].hit.position === hit.position;
    if (!same && ++seen > HOT_HITS + keep && to - hit.position > JUMP_STEPS_MIN) {
      hotAt = hit.position;
      return true;
    }
    const row = rowOf(timeline, hit, print);
    if (same) steps.at(-1)!.push(row);
    else steps.push([row]);
    // The oldest go in lumps, because taking one off the front costs as much as taking many.
    if (steps.length >= 2 * keep + 64) steps = steps.slice(-keep);
    return false;
  });
  const dropped = seen > steps.length;
  if (hotAt === null) {
    const kept = steps.slice(-keep);
    const more = dropped || kept.length < steps.length;
    return { rows: kept.flat(), resume: more ? kept[0][0].hit.position : null };
  }
  const rest: number = hotAt;
  const middle = Math.floor((rest + to) / 2);
  watcher.disarm();
  const near: ScanResult = yield* newest(timeline, watcher, print, { from: middle, to, keep });
  const found = new Set(near.rows.map(({ hit }) => hit.position)).size;
  // What is before the nearer half has at least the hits seen so far.
  if (found >= keep) return { rows: near.rows, resume: near.rows[0].hit.position };
  watcher.disarm();
  const far: ScanResult = yield* newest(timeline, watcher, print, { from: rest, to: middle, keep: keep - found });
  const farFound = new Set(far.rows.map(({ hit }) => hit.position)).size;
  const rows = [...far.rows, ...near.rows];
  if (found + farFound >= keep) return { rows, resume: rows[0].hit.position };
  const old = steps.slice(found + farFound - keep);
  return {
    rows: [...old.flat(), ...rows],
    resume: dropped || old.length < steps.length ? old[0][0].hit.position : null,
  };
}

/** Runs to a position, hit by hit, and stays where `told` wanted it to end. True if it did. A breakpoint at `pass` is not hit. */
export function* watch(
  timeline: Timeline,
  watcher: Watcher,
  to: number,
  told: (hit: Hit) => boolean,
  pass = -1,
): Travel<boolean> {
  let ended = false;
  do {
    watcher.arm((hit) => {
      const ends = told(hit);
      ended ||= ends;
      return ends;
    }, pass);
    yield* timeline.runUntil(to);
  } while (!ended && watcher.stale);
  return ended;
}

function rowOf({ machine }: Timeline, hit: Hit, print: readonly Evaluate[]): ScanRow {
  return { hit, timeNs: machine.clock.timeAt(hit.position), values: print.map((value) => value(machine, hit.hart)) };
}

/**
 * True if nothing can be hit in a stretch, because nothing wrote the pages in question: a checkpoint lists all pages that were written
 * since the one before, even if they hold again what they held. For a virtual address the pages of the page tables that lead to it count, too.
 */
function* cannotHit(timeline: Timeline, { from, to, stops }: ScanRequest): Travel<boolean> {
  const checkpoint = timeline.checkpointBefore(from);
  const written = writtenPages(timeline.trace, checkpoint, to);
  if (!written) return false;
  for (const { spec } of stops) {
    if (!needsWrites(spec)) return false;
    if (spec.physical) {
      if (touches(written, spec.address, spec.length)) return false;
      continue;
    }
    if (spec.access !== 'change') return false;
    yield* timeline.travel(checkpoint.position);
    const { places, entries } = placesOf(timeline.machine, spec.space!, spec.address, spec.length);
    if (entries.some((entry) => touches(written, entry, 8))) return false;
    if (places.some(({ physical, length }) => physical !== null && touches(written, physical, length))) return false;
  }
  return true;
}

type WriteWatch = Extract<StopSpec, { kind: 'watch' }>;

/** A stop that only writes to memory can hit. */
export function needsWrites(spec: StopSpec): spec is WriteWatch {
  return spec.kind === 'watch' && (spec.access === 'change' || (spec.access === 'write' && spec.physical === true));
}

/** Pages written between a checkpoint and a position before the next one; null where the trace does not tell. */
export function writtenPages(trace: TraceReader, checkpoint: CheckpointInfo, to: number): Set<number> | null {
  const next = trace.checkpoints[checkpoint.index + 1];
  if (!next || next.position < to) return null;
  return new Set(trace.changes(next).pages);
}

/** Whether one of the pages is among those of a physical range. */
export function touches(pages: ReadonlySet<number>, address: bigint, length: number): boolean {
  const first = Math.floor(Number(address - BigInt(RAM_BASE)) / PAGE_BYTES);
  const last = Math.floor(Number(address - BigInt(RAM_BASE) + BigInt(length - 1)) / PAGE_BYTES);
  for (let page = first; page <= last; page++) if (pages.has(page)) return true;
  return false;
}
