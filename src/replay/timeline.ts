/**
 * A trace as a timeline: its machine can be brought to any position, quickly to those near the present one. A position has one state: that
 * of a machine that has taken so many steps, before the inputs and alarms of that position; where a checkpoint of the trace lies, the
 * checkpoint's state. What an operator has changed at a position belongs to it, too.
 *
 * Work that may take long is a generator: it yields now and then, so that its caller can look whether to go on. It may be left at any yield; the
 * machine is at a position in between then.
 */
import { assert } from '../base/assert.ts';
import { StateReader } from '../base/state.ts';
import type { CheckpointInfo, TraceReader } from '../trace/index.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { Replayer } from './replayer.ts';
import { Snapshots } from './snapshots.ts';

/** Steps between two yields: some 2 to 20 ms. */
const SPELL_STEPS = 2 ** 21;

/**
 * On the way to a position, states are kept at these distances before it, so that going back from there is quick: by one step from the
 * nearest, by many from one that is at most four times as far.
 */
const WAYPOINTS = [2 ** 24, 2 ** 22, 2 ** 20, 2 ** 18, 2 ** 16, 2 ** 14, 2 ** 12, 2 ** 10];

/** A run whose end is not known keeps a state every so many steps. It costs it a percent or two. */
const STRIDE = 2 ** 24;

/** What loading a checkpoint from the trace costs beside restoring a state in memory, in steps. */
const LOAD_STEPS = 5_000_000;

export const MEMORY_BUDGET_DEFAULT = 2 ** 31;

export interface TimelineOptions {
  /** Bytes that the machine's memory and code and the states kept of it may take. */
  readonly memoryBudget?: number;
  /** Where to begin; 0 without it. */
  readonly at?: number;
}

/** A generator that tells the position it has come to. */
export type Travel<T> = Generator<number, T>;

export class Timeline {
  readonly machine: VirtMachine;
  readonly #replayer: Replayer;
  readonly #snapshots: Snapshots;

  constructor(trace: TraceReader, { memoryBudget = MEMORY_BUDGET_DEFAULT, at = 0 }: TimelineOptions = {}) {
    this.#replayer = new Replayer(trace, at);
    this.machine = this.#replayer.machine;
    this.#snapshots = new Snapshots(this.machine, memoryBudget);
    this.#keep(at);
    this.seek(at);
  }

  get trace(): TraceReader {
    return this.#replayer.trace;
  }
  get position(): number {
    return this.#replayer.position;
  }
  /** The last position. */
  get end(): number {
    return this.#replayer.end;
  }
  /** Memory that the machine and the kept states take. */
  get memoryBytes(): number {
    return this.#snapshots.bytes;
  }

  /** Goes on with the same trace, which has grown. */
  extend(trace: TraceReader): void {
    this.#replayer.extend(trace);
  }

  /** Keeps the state that the machine is in, as long as there is room. */
  keep(): void {
    this.#keep(this.position);
  }

  checkpointBefore(position: number): CheckpointInfo {
    return this.#replayer.checkpointBefore(position);
  }

  /** Brings the machine to a position, in one go. */
  seek(position: number): void {
    finish(this.travel(position));
  }

  /** Brings the machine to a position. With `fresh` from a kept state, not from where it is: for where a stop has left it. */
  *travel(position: number, fresh = false): Travel<void> {
    this.#replayer.check(position);
    if (position !== this.position || fresh) this.#startNear(position, fresh);
    for (const distance of WAYPOINTS) {
      const waypoint = position - distance;
      if (waypoint <= this.position) continue;
      yield* this.#runTo(waypoint);
      this.#keep(position);
    }
    yield* this.#runTo(position);
    this.#settle();
  }

  /**
   * Runs forward until somebody makes the machine stop, and says whether one did; at the latest to `position`. After a stop the machine is as
   * the stop left it; `travel` there makes sure of the position's own state.
   */
  *runUntil(position: number): Travel<boolean> {
    this.#replayer.check(position);
    while (this.position < position) {
      const next = Math.min(position, (Math.floor(this.position / STRIDE) + 1) * STRIDE);
      if (!(yield* this.#runTo(next))) return true;
      if (this.position < position) this.#keep(position);
    }
    this.#settle();
    return false;
  }

  /** Goes to the nearest known state at or before a position, unless the machine is on the way to it already. */
  #startNear(position: number, fresh: boolean): void {
    const checkpoint = this.checkpointBefore(position);
    const saved = this.#snapshots.before(position);
    const here = !fresh && this.position <= position ? this.position : Number.NEGATIVE_INFINITY;
    const savedAt = saved ? saved.snapshot.position : Number.NEGATIVE_INFINITY;
    const loadAt = checkpoint.position - LOAD_STEPS;
    if (here >= savedAt && here >= loadAt) return;
    if (saved && savedAt >= loadAt) {
      this.#replayer.restore(saved);
      return;
    }
    this.#replayer.load(checkpoint);
    this.#keep(position);
  }

  /** Steps that a hart had taken at a checkpoint, of the guest's own count. */
  stepsAt(checkpoint: CheckpointInfo, hart: number): bigint {
    for (const [name, value] of new StateReader(this.trace.state(checkpoint)).entries()) {
      if (name === `cpu.hart${hart}.steps`) return value as bigint;
    }
    assert(false, `hart ${hart} is part of the state`);
  }

  *#runTo(position: number): Travel<boolean> {
    while (this.position < position) {
      if (!this.#replayer.runTo(Math.min(position, this.position + SPELL_STEPS))) return false;
      yield this.position;
    }
    return true;
  }

  #keep(here: number): void {
    this.#snapshots.keep(this.#replayer.save(), here);
  }

  /** A position that a checkpoint lies at has the checkpoint's state; what has been changed there comes after it. */
  #settle(): void {
    const checkpoint = this.checkpointBefore(this.position);
    if (checkpoint.position === this.position) this.#replayer.settleAt(checkpoint);
    this.#replayer.settleChanges();
  }
}

/** Runs a generator to its end, for callers that have time. */
export function finish<T>(travel: Travel<T>): T {
  for (;;) {
    const { done, value } = travel.next();
    if (done) return value;
  }
}
