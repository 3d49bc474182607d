/**
 * When to take a checkpoint, and which journal entries to keep. Both depend on guest state alone, never on the host: two recordings with
 * the same inputs have the same checkpoints and the same journal.
 */
import type { JournalKind } from '../vmm/machine.ts';

/** Checkpoints lie at multiples of this many steps, so that the journal's windows begin with them. */
export const CHECKPOINT_STRIDE = 2 ** 22;

/**
 * Steps between checkpoints at most: a replay that has just begun takes a fifth of a second for them, because it interprets most of them. Where the
 * guest writes to many pages it runs much code for a short time each, and replaying that takes up to twice as long for each thousand pages; more
 * than that, and it is copying, not running.
 */
const SPACING_MAX = 10 * CHECKPOINT_STRIDE;
const STEPS_PER_PAGE = 20_000;
const PAGES_MAX = 1000;
/** Steps that must have passed for each page that was written, which takes the guest's thread about a microsecond: a guest that only writes goes on, too. */
const STEPS_BEHIND_PAGE = 2000;

/** Asked at multiples of `CHECKPOINT_STRIDE`: whether a checkpoint is worth its cost now. */
export function checkpointIsDue(stepsSince: number, pagesWritten: number): boolean {
  const worth = stepsSince + Math.min(pagesWritten, PAGES_MAX) * STEPS_PER_PAGE;
  return worth >= SPACING_MAX && stepsSince >= pagesWritten * STEPS_BEHIND_PAGE;
}

/** Entries of a kind that one window of the journal keeps: what comes thickly is sampled, what is rare is kept whole. */
const WINDOW_STEPS = 2 ** 17;
const KEPT = { interrupt: Number.POSITIVE_INFINITY, trap: 64, sbi: 16, timer: 1 } as const;

/** Whether a recording may begin at a position as if it had gone on: nothing that decides remembers what was before. */
export function canResumeAt(position: number): boolean {
  return position % WINDOW_STEPS === 0;
}

/** Wants the first few entries of each kind in each window of positions. */
export class JournalFilter {
  #window = -1;
  #counts = { interrupt: 0, trap: 0, sbi: 0, timer: 0 };

  /** Whether an entry is kept; to be asked once for each, in order. */
  wants(kind: JournalKind, position: number): boolean {
    const window = Math.floor(position / WINDOW_STEPS);
    if (window !== this.#window) {
      this.#window = window;
      this.#counts = { interrupt: 0, trap: 0, sbi: 0, timer: 0 };
    }
    return this.#counts[kind]++ < KEPT[kind];
  }
}
