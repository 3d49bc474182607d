/**
 * When to take a checkpoint, and which journal entries to keep. Both depend on guest state alone, never on the host: two recordings with
 * the same inputs have the same checkpoints and the same journal.
 */
import type { JournalEvent } from '../vmm/machine.ts';

/** Checkpoints lie at multiples of this many steps, so that the journal's windows begin with them. */
export const CHECKPOINT_STRIDE = 2 ** 22;

/**
 * Steps between checkpoints. The largest keeps a seek below a quarter of a second at the interpreter's usual speed. A page that was
 * written costs about 2 us to hash and hand over, a checkpoint about 1 ms beside that, a step about 4 ns: the factor keeps
 * the cost of checkpoints near 2 %.
 */
const SPACING_MAX = 12 * CHECKPOINT_STRIDE;
const STEPS_PER_PAGE = 20_000;
const PAGES_PER_CHECKPOINT = 500;

/** Asked at multiples of `CHECKPOINT_STRIDE`: whether a checkpoint is worth its cost now. */
export function checkpointIsDue(stepsSince: number, pagesWritten: number): boolean {
  return stepsSince >= Math.min(SPACING_MAX, (pagesWritten + PAGES_PER_CHECKPOINT) * STEPS_PER_PAGE);
}

/** Entries of a kind that one window of the journal keeps: what comes thickly is sampled, what is rare is kept whole. */
const WINDOW_STEPS = 2 ** 17;
const KEPT = { interrupt: Number.POSITIVE_INFINITY, trap: 64, sbi: 16, timer: 1 } as const;

/** Passes on the first few entries of each kind in each window of positions. */
export class JournalFilter {
  readonly #keep: (event: JournalEvent) => void;
  #window = -1;
  #counts = { interrupt: 0, trap: 0, sbi: 0, timer: 0 };

  constructor(keep: (event: JournalEvent) => void) {
    this.#keep = keep;
  }

  add(event: JournalEvent): void {
    const window = Math.floor(event.position / WINDOW_STEPS);
    if (window !== this.#window) {
      this.#window = window;
      this.#counts = { interrupt: 0, trap: 0, sbi: 0, timer: 0 };
    }
    if (this.#counts[event.kind]++ < KEPT[event.kind]) this.#keep(event);
  }

  /** Forgets the present window: the machine has moved to another position. */
  reset(): void {
    this.#window = -1;
  }
}
