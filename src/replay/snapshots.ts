/**
 * States of a machine kept in memory, within a budget. They are there to make moving quick and for nothing else: any of them may go at any
 * time, and comes back from the trace when it is needed.
 */
import { PAGE_BYTES } from '../vmm/layout.ts';
import type { Machine } from '../vmm/machine.ts';
import type { Pages } from '../vmm/pages.ts';
import type { SavedState } from './replayer.ts';

/** Each is looked at when one must go; there is no use for more. */
const SNAPSHOTS_MAX = 1024;

export class Snapshots {
  readonly #pages: Pages;
  readonly #cpu: Machine['cpu'];
  readonly #budgetBytes: number;
  readonly #framesMax: number;
  /** By position, ascending. */
  readonly #states: SavedState[] = [];
  #stateBytes = 0;

  constructor({ pages, cpu }: Machine, budgetBytes: number) {
    this.#pages = pages;
    this.#cpu = cpu;
    const { slotsMax, framesMax } = pages.pool;
    // What is left of the pool must hold all pages that a run may write before the next snapshot, and a checkpoint from the trace.
    this.#budgetBytes = Math.min(budgetBytes, (slotsMax - Math.min(pages.count, slotsMax / 4)) * PAGE_BYTES);
    this.#framesMax = framesMax / 2;
  }

  /** Memory that the machine and the states take. */
  get bytes(): number {
    const { pool, mapBytes } = this.#pages;
    return pool.slots * PAGE_BYTES + mapBytes + this.#stateBytes + this.#cpu.codeBytes;
  }

  /** The last state at or before a position. */
  before(position: number): SavedState | undefined {
    return this.#states[this.#after(position) - 1];
  }

  /** Keeps a state; those that are missed least, as seen from `here`, make room. One that is there already goes back to its owner. */
  keep(state: SavedState, here: number): void {
    const at = this.#after(positionOf(state));
    if (at > 0 && positionOf(this.#states[at - 1]) === positionOf(state)) {
      this.#pages.release(state.snapshot.pages);
      return;
    }
    this.#states.splice(at, 0, state);
    this.#stateBytes += stateBytes(state);
    while (this.#states.length > SNAPSHOTS_MAX || (this.#isFull && this.#states.length > 1)) {
      const [victim] = this.#states.splice(mostExpendable(this.#states.map(positionOf), here), 1);
      this.#stateBytes -= stateBytes(victim);
      this.#pages.release(victim.snapshot.pages);
    }
  }

  get #isFull(): boolean {
    return this.bytes > this.#budgetBytes || this.#pages.pool.used > this.#framesMax;
  }

  /** Index of the first state after a position. */
  #after(position: number): number {
    let low = 0;
    let high = this.#states.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (positionOf(this.#states[middle]) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const positionOf = (state: SavedState) => state.snapshot.position;

/** The rest of the machine's state, and the lists of the parts of the page map. */
const stateBytes = ({ snapshot }: SavedState) => snapshot.state.length + 16 * snapshot.pages.chunks.length;

/**
 * Of positions in order, the index of the one that is missed least: where the neighbours are close to each other, measured by how far away
 * from `here` they are. So states lie dense around the present and thin out with distance.
 */
export function mostExpendable(positions: readonly number[], here: number): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  positions.forEach((position, i) => {
    const before = positions[i - 1] ?? 0;
    const after = positions[i + 1] ?? position;
    const worth = (after - before) / (Math.abs(position - here) + 1);
    if (worth < least) {
      least = worth;
      best = i;
    }
  });
  return best;
}
