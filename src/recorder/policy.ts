/**
 * When to take a checkpoint, and which journal entries to keep. Both depend on guest state alone, never on the host: two recordings with
 * the same inputs have the same checkpoints and the same journal.
 */
import type { JournalKind } from '../vmm/machine.ts';

/** Checkpoints lie at multiples of this many steps, so that the journal's windows begin with them. */
export const CHECKPOINT_STRIDE = 2 ** 22;

/**
 * Steps between checkpoints. The largest keeps a seek near a quarter of a second where the guest's code is neither cold nor all
 * compiled. A page that was written costs about 2 us to hash and hand over, a checkpoint some 3 ms beside that (host addresses that must be
 * found again, mostly), and a step 1 to 4 ns: the factors keep the cost of checkpoints between 1 and 5 %.
 */
const SPACING_MAX = 20 * CHECKPOINT_STRIDE;
const STEPS_PER_PAGE = 40_000;
const PAGES_PER_CHECKPOINT = 1600;

/** Asked at multiples of `CHECKPOINT_STRIDE`: whether a checkpoint is worth its cost now. */
export function checkpointIsDue(stepsSince: number, pagesWritten: number): boolean {
  return stepsSince >= Math.min(SPACING_MAX, (pagesWritten + PAGES_PER_CHECKPOINT) * STEPS_PER_PAGE);
}

/** Entries of a kind that one window of the journal keeps: what comes thickly is sampled, what is rare is kept whole. */
const WINDOW_STEPS = 2 ** 17;
const KEPT = { interrupt: Number.POSITIVE_INFINITY, trap: 64, sbi: 16, timer: 1 } as const;

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
