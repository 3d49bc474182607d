/** Stops that pass over their first hits. */
import type { Hit } from '../replay/stop-spec.ts';
import type { NumberedStop } from '../replay/watcher.ts';

/** How many hits of each stop are still to be passed over. */
export class Ignored {
  readonly #left: Map<number, number>;

  constructor(stops: readonly NumberedStop[]) {
    this.#left = new Map(stops.map(({ id, spec }) => [id, spec.ignore ?? 0]));
  }

  wants(hit: Hit): boolean {
    const left = this.#left.get(hit.stop) ?? 0;
    if (left > 0) this.#left.set(hit.stop, left - 1);
    return left === 0;
  }
}
