/**
 * Virtual time: a function of position, plus skipped idle. Time runs at `psPerStep` picoseconds a step from a base that
 * moves when idle is skipped or the host's clock was read. Alarms fire at the first position whose time has reached them.
 */
import type { StateIO } from '../base/state.ts';
import type { Alarm } from './device.ts';
import { G } from './layout.ts';

export class Clock {
  readonly #shared: BigUint64Array;
  readonly #alarms: BoardAlarm[] = [];
  /** Called when an alarm was set: a running slice may reach past its deadline and must end. */
  alarmSet: () => void = () => {};
  /** Called before an alarm fires, which changes the device that it belongs to. */
  alarmFires: () => void = () => {};
  #basePosition = 0;
  #baseNs = 0;
  #psPerStep: number;
  /** Steps taken by all harts since reset. */
  position = 0;

  constructor(memory: WebAssembly.Memory, psPerStep: number) {
    this.#shared = new BigUint64Array(memory.buffer, 0, 0x1000 / 8);
    this.#psPerStep = psPerStep;
    this.#share();
  }

  get psPerStep(): number {
    return this.#psPerStep;
  }

  /** Virtual time in ns, now. */
  now(): number {
    return this.timeAt(this.position);
  }

  timeAt(position: number): number {
    const steps = position - this.#basePosition;
    // By thousands first, so that no product passes 2^53.
    const thousands = Math.floor(steps / 1000);
    return this.#baseNs + thousands * this.#psPerStep + Math.floor(((steps % 1000) * this.#psPerStep) / 1000);
  }

  /** The first position at which virtual time is at least `ns`, if no idle is skipped. */
  positionAt(ns: number): number {
    if (ns <= this.#baseNs) return this.#basePosition;
    if (ns === Number.POSITIVE_INFINITY) return ns;
    const wanted = ns - this.#baseNs;
    let position = this.#basePosition + Math.ceil((wanted / this.#psPerStep) * 1000);
    // The division rounds: settle on the exact first position.
    while (this.timeAt(position) < ns) position++;
    while (position > this.#basePosition && this.timeAt(position - 1) >= ns) position--;
    return position;
  }

  /** Sets time and rate from this position on. Time never goes back. */
  set(ns: number, psPerStep = this.#psPerStep): void {
    this.#baseNs = Math.max(ns, this.now());
    this.#basePosition = this.position;
    this.#psPerStep = psPerStep;
    this.#share();
  }

  alarm(fire: () => void): Alarm {
    const alarm = new BoardAlarm(fire, () => this.alarmSet());
    this.#alarms.push(alarm);
    return alarm;
  }

  /** The earliest deadline of all alarms, in ns; Infinity if none is set. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const alarm of this.#alarms) if (alarm.deadline < next) next = alarm.deadline;
    return next;
  }

  /** Fires what is due, earliest first; alarms of the same deadline in the order of their making. */
  fireDue(): void {
    const now = this.now();
    for (;;) {
      let due: BoardAlarm | null = null;
      for (const alarm of this.#alarms) {
        if (alarm.deadline <= now && (!due || alarm.deadline < due.deadline)) due = alarm;
      }
      if (!due) return;
      this.alarmFires();
      due.set(Number.POSITIVE_INFINITY);
      due.fire();
    }
  }

  sync(s: StateIO): void {
    this.position = s.num('position', this.position);
    this.#basePosition = s.num('base-position', this.#basePosition);
    this.#baseNs = s.num('base-ns', this.#baseNs);
    this.#psPerStep = s.num('ps-per-step', this.#psPerStep);
    this.#share();
  }

  #share(): void {
    this.#shared[G.clockPosition / 8] = BigInt(this.#basePosition);
    this.#shared[G.clockNs / 8] = BigInt(this.#baseNs);
    this.#shared[G.clockPs / 8] = BigInt(this.#psPerStep);
  }
}

class BoardAlarm implements Alarm {
  readonly fire: () => void;
  readonly #wasSet: () => void;
  deadline = Number.POSITIVE_INFINITY;
  constructor(fire: () => void, wasSet: () => void) {
    this.fire = fire;
    this.#wasSet = wasSet;
  }
  set(deadline: number): void {
    this.deadline = deadline;
    if (deadline !== Number.POSITIVE_INFINITY) this.#wasSet();
  }
}
