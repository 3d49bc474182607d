/** Stops that pass over their first hits. */
import type { Hit } from '../replay/stop-spec.ts';
import type { NumberedStop } from '../replay/watcher.ts';
import type { Passing } from './session.ts';

/** How many hits of each stop, and of those that are counted together, are still to be passed over. */
export class Ignored {
  readonly #own: Map<number, { left: number }>;
  readonly #together: readonly { readonly stops: readonly number[]; readonly hits: number; left: number }[];

  constructor(stops: readonly NumberedStop[], passing: readonly Passing[] = []) {
    this.#own = new Map(stops.map(({ id, spec }) => [id, { left: spec.ignore ?? 0 }]));
    this.#together = passing.map(({ stops: of, hits }) => ({ stops: of, hits, left: hits }));
  }

  wants(hit: Hit): boolean {
    const counters = [this.#own.get(hit.stop), ...this.#together.filter(({ stops }) => stops.includes(hit.stop))];
    const waiting = counters.find((counter) => counter && counter.left > 0);
    if (waiting) waiting.left--;
    return !waiting;
  }

  /** Hits that may have to be seen before one is wanted. */
  get most(): number {
    return [...this.#own.values(), ...this.#together].reduce((sum, { left }) => sum + left, 0);
  }

  /** Of those that are counted together, how many have been passed over. */
  get passed(): number[] {
    return this.#together.map(({ hits, left }) => (hits === Number.POSITIVE_INFINITY ? 0 : hits - left));
  }
}

/** Stops of which a hit can end a run. */
export function wantedAtAll(stops: readonly NumberedStop[], passing: readonly Passing[] = []): NumberedStop[] {
  const never = new Set(passing.flatMap(({ stops: of, hits }) => (hits === Number.POSITIVE_INFINITY ? of : [])));
  return stops.filter(({ id }) => !never.has(id));
}
