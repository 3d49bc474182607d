/**
 * Guest time and positions of a recorded run, each from the other, without a replay: exact at checkpoints, at changes of the clock and where the journal has a
 * reading of the timer; on a straight line between these.
 */
import { firstAbove } from '../base/search.ts';
import type { TraceReader } from '../trace/index.ts';
import { NANOSECONDS_PER_TICK } from '../vmm/devices/clint.ts';

/** A position and the guest time there, in ns. */
export type ClockSample = readonly [position: number, timeNs: number];

export class GuestClock {
  readonly #positions: number[] = [];
  readonly #times: number[] = [];

  constructor(trace: TraceReader) {
    const exact: ClockSample[] = [
      [0, 0],
      ...trace.checkpoints.map(({ position, timeNs }): ClockSample => [position, timeNs]),
      [trace.replayableTo, trace.replayableToNs],
    ];
    const read: ClockSample[] = [];
    for (const { position, input } of trace.inputs(0, trace.replayableTo)) {
      if (input.kind === 'clock') read.push([position, input.timeNs]);
    }
    for (const { position, kind, value } of trace.journal(0, trace.replayableTo)) {
      if (kind === 'timer') read.push([position, Number(value) * NANOSECONDS_PER_TICK]);
    }
    read.sort(([a], [b]) => a - b);
    let at = 0;
    for (const [i, sample] of exact.entries()) {
      this.#add(sample);
      const next = exact[i + 1];
      for (; next && at < read.length && read[at][0] < next[0]; at++) {
        // A guest that has set its timer reads something else than the time.
        if (read[at][1] <= next[1]) this.#add(read[at]);
      }
    }
  }

  /** Neither positions nor times go back. */
  #add([position, timeNs]: ClockSample): void {
    const last = this.#positions.length - 1;
    if (last >= 0 && (position <= this.#positions[last] || timeNs < this.#times[last])) return;
    this.#positions.push(position);
    this.#times.push(timeNs);
  }

  timeAt(position: number): number {
    return between(this.#positions, this.#times, position);
  }

  /** The last position of that time, if several have it. */
  positionAt(timeNs: number): number {
    return Math.floor(between(this.#times, this.#positions, timeNs));
  }

  /** Samples between two positions, and at both, at most about so many: enough to draw. */
  samples(from: number, to: number, most: number): ClockSample[] {
    const [first, end] = [firstAbove(this.#positions, from), firstAbove(this.#positions, to - 1)];
    const stride = Math.max(1, Math.ceil((end - first) / most));
    const inner: ClockSample[] = [];
    for (let i = first; i < end; i += stride) inner.push([this.#positions[i], this.#times[i]]);
    return [[from, this.timeAt(from)], ...inner, [to, this.timeAt(to)]];
  }
}

/** y of an x, on the line through the points around it; the ends' beyond them. */
function between(xs: readonly number[], ys: readonly number[], x: number): number {
  const right = firstAbove(xs, x);
  if (right === 0) return ys[0];
  if (right === xs.length) return ys[right - 1];
  const left = right - 1;
  return ys[left] + ((ys[right] - ys[left]) * (x - xs[left])) / (xs[right] - xs[left]);
}
