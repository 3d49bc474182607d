/**
 * Schedules that make races show, drawn at random from a seed. The ideas are those of rr's chaos mode: most turns are of any length and a
 * few are very short, because some races want a switch at one instruction; some harts get few turns for a while; and now and then they get
 * none at all, for as long as another hart can run.
 */
import { Random } from '../base/random.ts';
import type { Turn } from '../vmm/inputs.ts';

/** Of ten turns, one is at most this short, and one more this short; the others are shorter than twice the quantum. */
const TINY_STEPS = 32;
const SHORT_STEPS = 512;
/** Turns until priorities are drawn anew, at most. */
const PRIORITY_TURNS = 400;
/** One hart of four has low priority, and then one turn for this many of another hart. */
const LOW_ODDS = 4;
const LOW_SHARE = 8;
/** A starvation window is 2^10 to 2^20 steps long, and windows fill a fifth of the time. */
const WINDOW_BITS_MIN = 10;
const WINDOW_BITS_MAX = 20;
const WINDOW_PERIOD = 5;

export class Chaos {
  readonly #random: Random;
  readonly #harts: number;
  readonly #quantum: number;
  /** A bit for each hart. */
  #low = 0;
  #turnsToDraw = 0;
  #window = { start: 0, end: 0, next: 0 };
  #last: Turn & { readonly start: number } = { hart: 0, steps: 0, start: 0 };

  constructor(seed: number, harts: number, quantum: number) {
    this.#random = new Random(seed);
    this.#harts = harts;
    this.#quantum = quantum;
  }

  /** The next turn, at a position, for one of the harts whose bits are set. */
  turn(position: number, runnable: number): Turn {
    if (this.#turnsToDraw-- === 0) this.#drawPriorities();
    if (position >= this.#window.next) this.#drawWindow(position);
    const hart = this.#choose(position, runnable);
    this.#last = { hart, steps: this.#steps(), start: position };
    return { hart, steps: this.#last.steps };
  }

  #drawPriorities(): void {
    this.#turnsToDraw = this.#random.below(PRIORITY_TURNS);
    this.#low = 0;
    for (let hart = 0; hart < this.#harts; hart++) {
      if (this.#random.below(LOW_ODDS) === 0) this.#low |= 1 << hart;
    }
  }

  #drawWindow(position: number): void {
    const bits = WINDOW_BITS_MIN + this.#random.below(WINDOW_BITS_MAX - WINDOW_BITS_MIN);
    const length = 2 ** bits + this.#random.below(2 ** bits);
    const start = position + this.#random.below(length * (WINDOW_PERIOD - 1));
    this.#window = { start, end: start + length, next: position + length * WINDOW_PERIOD };
  }

  #choose(position: number, runnable: number): number {
    const { hart: last, steps, start } = this.#last;
    const others = runnable & ~(1 << last);
    // Who gives up a turn waits for another hart, maybe for one that is to starve: that one must get on.
    if (others !== 0 && position < start + steps) return this.#oneOf(others, 0);
    const high = runnable & ~this.#low;
    const starves = position >= this.#window.start && position < this.#window.end;
    if (starves && high !== 0) return this.#oneOf(high, 0);
    return this.#oneOf(runnable, this.#low);
  }

  /** One of some harts; those of low priority get few turns beside others. */
  #oneOf(harts: number, low: number): number {
    const tickets: number[] = [];
    for (let hart = 0; hart < this.#harts; hart++) {
      if (harts & (1 << hart)) tickets.push(...new Array(low & (1 << hart) ? 1 : LOW_SHARE).fill(hart));
    }
    return this.#random.pick(tickets);
  }

  #steps(): number {
    const kind = this.#random.below(10);
    const most = kind === 0 ? TINY_STEPS : kind === 1 ? SHORT_STEPS : 2 * this.#quantum;
    return 1 + this.#random.below(most);
  }
}
