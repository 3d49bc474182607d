/** Breakpoints as a client sets them, and the stops of the session that they become. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/assert.ts';
import type { DebugSession, Passing, StopSpec } from '../debugger/session.ts';
import type { Symbols } from '../symbols/index.ts';
import { engineCondition, isInProcess } from './conditions.ts';
import { type HitCount, parseHitCount } from './hit-count.ts';
import type { LogPoints } from './log-points.ts';

/** What a client wants in one place: where to stop, and when. */
export interface Wanted {
  /** One for each copy of the code. Empty if there is no such place: then `problem` says why. */
  readonly stops: readonly StopSpec[];
  readonly problem?: string;
  /** Where it came to lie, for the client. */
  readonly place?: Partial<DebugProtocol.Breakpoint>;
  /** A C expression, looked at in the frame of the hit. */
  readonly condition?: string;
  readonly hitCondition?: string;
  /** Printed instead of stopping; `{expression}` stands for its value. */
  readonly logMessage?: string;
  /** What a stop is called: a reason of the protocol. */
  readonly reason: 'breakpoint' | 'function breakpoint' | 'data breakpoint' | 'instruction breakpoint' | 'exception';
}

export interface Breakpoint {
  readonly id: number;
  readonly wanted: Wanted;
  readonly count: HitCount | null;
  /** Of the session; none for a log point of a recording. */
  readonly stops: readonly number[];
  /** Whether the engine stops only where the condition holds. */
  readonly exact: boolean;
  /** Times that it was come by, in whichever direction, with its condition true. */
  hits: number;
}

export class Breakpoints {
  readonly #session: DebugSession;
  /** By where they were set: a source file, or one of the other kinds. */
  readonly #groups = new Map<string, Breakpoint[]>();
  /** The client's numbers of each group, in its order. */
  readonly #ids = new Map<string, readonly number[]>();
  #next = 1;
  #setting: Promise<unknown> = Promise.resolve();

  readonly #symbols: Symbols;
  /** For a recording; a machine that lives tells what its log points have to say as it comes by them. */
  readonly #logPoints: LogPoints | null;

  constructor(session: DebugSession, symbols: Symbols, logPoints: LogPoints | null) {
    this.#session = session;
    this.#symbols = symbols;
    this.#logPoints = logPoints;
  }

  /** Sets a group that had these numbers in another session. */
  async setAgain(group: string, all: readonly Wanted[], before: Breakpoints): Promise<DebugProtocol.Breakpoint[]> {
    this.#next = Math.max(this.#next, before.#next);
    const ids = before.#ids.get(group) ?? [];
    return this.#set(group, all, (i) => ids[i] ?? this.#next++);
  }

  /** Sets all breakpoints of a group, those that were there before among them. Those that stay as they are keep their count. */
  set(group: string, all: readonly Wanted[]): Promise<DebugProtocol.Breakpoint[]> {
    return this.#set(group, all, () => this.#next++);
  }

  /** One group after the other: modules that come and go set them, too. */
  #set(group: string, all: readonly Wanted[], idOf: (i: number) => number): Promise<DebugProtocol.Breakpoint[]> {
    const set = () => this.#setNow(group, all, idOf);
    const result = this.#setting.then(set, set);
    this.#setting = result;
    return result;
  }

  async #setNow(
    group: string,
    all: readonly Wanted[],
    idOf: (i: number) => number,
  ): Promise<DebugProtocol.Breakpoint[]> {
    const before = [...(this.#groups.get(group) ?? [])];
    const now: Breakpoint[] = [];
    const answers: DebugProtocol.Breakpoint[] = [];
    for (const [i, wanted] of all.entries()) {
      const same = before.findIndex((known) => keyOf(known.wanted) === keyOf(wanted));
      if (same >= 0) {
        const [kept] = before.splice(same, 1);
        now.push(kept);
        answers.push({ ...wanted.place, id: kept.id, verified: true });
      } else answers.push(await this.#add(wanted, now, idOf(i)));
    }
    for (const { id, stops } of before) {
      for (const stop of stops) await this.#session.removeStop(stop);
      this.#logPoints?.remove(id);
    }
    this.#groups.set(group, now);
    this.#ids.set(
      group,
      answers.map(({ id }) => id!),
    );
    return answers;
  }

  async #add(wanted: Wanted, now: Breakpoint[], id: number): Promise<DebugProtocol.Breakpoint> {
    const stops: number[] = [];
    const removeAll = async () => {
      for (const stop of stops.splice(0)) await this.#session.removeStop(stop);
    };
    try {
      if (wanted.stops.length === 0) throw new UserError(wanted.problem ?? 'nothing can stop here');
      const count = wanted.hitCondition === undefined ? null : parseHitCount(wanted.hitCondition);
      const conditions = wanted.stops.map((stop) => engineCondition(stop, wanted.condition, this.#symbols));
      for (const { stop } of conditions) stops.push(await this.#session.addStop(stop));
      if (this.#logPoints && wanted.logMessage !== undefined && !wanted.stops.some(isInProcess)) {
        // The session has seen that the stops make sense; it need not stop there.
        await removeAll();
        this.#logPoints.add(id, { ...wanted, message: wanted.logMessage });
      }
      now.push({ id, wanted, count, stops, exact: conditions.every(({ exact }) => exact), hits: 0 });
      return { ...wanted.place, id, verified: true };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await removeAll();
      return { ...wanted.place, id, verified: false, message: error.message, reason: 'failed' };
    }
  }

  /** What a run need not stop at, because hits there are only counted. */
  passing(): (Passing & { readonly breakpoint: Breakpoint })[] {
    return [...this.#groups.values()].flat().flatMap((breakpoint) => {
      const { count, stops, exact, hits: seen } = breakpoint;
      const hits = count && exact && stops.length > 0 ? count.before(seen) : 0;
      return hits > 0 ? [{ breakpoint, stops, hits }] : [];
    });
  }

  /** Whether there is anything to stop at. */
  get any(): boolean {
    return [...this.#groups.values()].some((group) => group.some(({ stops }) => stops.length > 0));
  }

  /** Stops of the session on an instruction. */
  at(address: bigint): number[] {
    return [...this.#groups.values()].flat().flatMap(({ wanted, stops }) => {
      return stops.filter((_, i) => {
        const spec = wanted.stops[i];
        return spec.kind === 'breakpoint' && spec.address === address;
      });
    });
  }

  /** The breakpoint that a stop of the session is of. */
  of(stop: number): Breakpoint | null {
    for (const group of this.#groups.values()) {
      for (const breakpoint of group) if (breakpoint.stops.includes(stop)) return breakpoint;
    }
    return null;
  }
}

const keyOf = ({ place: _, ...wanted }: Wanted) =>
  JSON.stringify(wanted, (_, value) => (typeof value === 'bigint' ? value.toString() : value));
