/** Breakpoints as a client sets them, and the stops of the session that they become. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/assert.ts';
import type { DebugSession, StopSpec } from '../debugger/session.ts';

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
  readonly counts: (hits: number) => boolean;
  readonly stops: readonly number[];
  /** Times that it was come by, in whichever direction, with its condition true. */
  hits: number;
}

const HIT_CONDITION = /^\s*(==|=|>=|>|<=|<|%)?\s*(\d{1,15})\s*$/;

/** `5`, `== 5`: the fifth hit; `> 5`, `>= 5`, `< 5`, `<= 5`; `% 5`: every fifth. */
export function parseHitCondition(text: string): (hits: number) => boolean {
  const match = HIT_CONDITION.exec(text);
  const n = Number(match?.[2]);
  if (!match || (match[1] === '%' && n === 0)) {
    throw new UserError(`hit count '${text}': a number such as 5, or one with >, >=, <, <= or % before it, is needed`);
  }
  switch (match[1]) {
    case '>':
      return (hits) => hits > n;
    case '>=':
      return (hits) => hits >= n;
    case '<':
      return (hits) => hits < n;
    case '<=':
      return (hits) => hits <= n;
    case '%':
      return (hits) => hits % n === 0;
    default:
      return (hits) => hits === n;
  }
}

export class Breakpoints {
  readonly #session: DebugSession;
  /** By where they were set: a source file, or one of the other kinds. */
  readonly #groups = new Map<string, Breakpoint[]>();
  /** The client's numbers of each group, in its order. */
  readonly #ids = new Map<string, readonly number[]>();
  #next = 1;

  constructor(session: DebugSession) {
    this.#session = session;
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

  async #set(group: string, all: readonly Wanted[], idOf: (i: number) => number): Promise<DebugProtocol.Breakpoint[]> {
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
    for (const { stops } of before) for (const stop of stops) await this.#session.removeStop(stop);
    this.#groups.set(group, now);
    this.#ids.set(
      group,
      answers.map(({ id }) => id!),
    );
    return answers;
  }

  async #add(wanted: Wanted, now: Breakpoint[], id: number): Promise<DebugProtocol.Breakpoint> {
    const stops: number[] = [];
    try {
      if (wanted.stops.length === 0) throw new UserError(wanted.problem ?? 'nothing can stop here');
      const counts = wanted.hitCondition === undefined ? () => true : parseHitCondition(wanted.hitCondition);
      for (const spec of wanted.stops) stops.push(await this.#session.addStop(spec));
      now.push({ id, wanted, counts, stops, hits: 0 });
      return { ...wanted.place, id, verified: true };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      for (const stop of stops) await this.#session.removeStop(stop);
      return { ...wanted.place, id, verified: false, message: error.message, reason: 'failed' };
    }
  }

  /** Whether there is anything to stop at. */
  get any(): boolean {
    return [...this.#groups.values()].some((group) => group.length > 0);
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
