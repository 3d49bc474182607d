/**
 * Log points of a recording: what they have to say is known at once, for the whole of it. Each is a question to a session of its own, so that the
 * machine that a person looks at stays where it is; where the engine cannot say what the message wants, the hits are visited one by one.
 */
import type { Control, DebugSession, Hit, QueryRow, StopSpec } from '../debugger/session.ts';
import { type Symbols, type TranslatedValue, translateValue } from '../symbols/index.ts';
import { type Condition, codePlace, engineCondition } from './conditions.ts';
import { type HitCount, parseHitCount } from './hit-count.ts';
import { holds, messageParts, messageText } from './messages.ts';
import { Moment } from './moment.ts';
import type { Tell } from './protocol.ts';
import type { Sources } from './sources.ts';

/** What is to be told of all hits in some places of the code. */
export interface LogPoint {
  readonly stops: readonly StopSpec[];
  readonly message: string;
  readonly condition?: string | undefined;
  readonly hitCondition?: string | undefined;
}

/** Does something long in the background, of which a person is told and which can be cancelled. */
export type Background = (
  title: string,
  abort: AbortController,
  work: (control: Control) => Promise<void>,
) => Promise<void>;

/** Messages of one log point: a client keeps them all. */
const MESSAGES_MAX = 10_000;
/** Hits that are visited: each takes some milliseconds. */
const VISITS_MAX = 1000;
const EVERY: HitCount = { counts: () => true, before: () => 0 };
/** Why a question is not asked any more, where nobody needs to hear of it. */
const REMOVED = 'removed';

export class LogPoints {
  readonly #symbols: Symbols;
  readonly #sources: Sources;
  readonly #open: () => Promise<DebugSession>;
  readonly #background: Background;
  readonly #tell: Tell;
  readonly #running = new Map<number, AbortController>();
  #session: Promise<DebugSession> | null = null;
  /** One after the other: they share a session, and what they say is not mixed up. */
  #last: Promise<void> = Promise.resolve();

  constructor(
    symbols: Symbols,
    sources: Sources,
    open: () => Promise<DebugSession>,
    background: Background,
    tell: Tell,
  ) {
    this.#symbols = symbols;
    this.#sources = sources;
    this.#open = open;
    this.#background = background;
    this.#tell = tell;
  }

  /** Begins to look for the hits of a log point, which is known by a number. */
  add(id: number, point: LogPoint): void {
    const abort = new AbortController();
    this.#running.set(id, abort);
    const title = `Log point: ${point.message}`;
    const ask = () => (abort.signal.aborted ? undefined : this.#background(title, abort, (c) => this.#ask(point, c)));
    this.#last = this.#last.then(ask).then(
      () => this.#ended(id, abort),
      (error: Error) => {
        this.#ended(id, abort);
        this.#say(`log point '${point.message}': ${error.message}`);
      },
    );
  }

  #ended(id: number, abort: AbortController): void {
    if (this.#running.get(id) === abort) this.#running.delete(id);
  }

  /** It is not wanted any more. */
  remove(id: number): void {
    this.#running.get(id)?.abort(REMOVED);
    this.#running.delete(id);
  }

  async close(): Promise<void> {
    for (const id of [...this.#running.keys()]) this.remove(id);
    await this.#last;
    const session = await this.#session?.catch(() => null);
    await session?.close();
  }

  #say(text: string): void {
    this.#tell('output', { category: 'console', output: `${text}\n` });
  }

  async #ask(point: LogPoint, control: Control): Promise<void> {
    this.#session ??= this.#open();
    const session = await this.#session;
    const places = point.stops.map((stop) => placeOf(stop, point, this.#symbols));
    const print = places.flatMap(({ values }) => values ?? []).map(({ expression }) => expression);
    const query = { kind: 'events', stop: places.map(({ condition }) => condition.stop), print } as const;
    const visited = places.some(({ values, condition }) => values === null || !condition.exact);
    const most = visited ? VISITS_MAX : MESSAGES_MAX;
    const count = point.hitCondition === undefined ? EVERY : parseHitCount(point.hitCondition);
    const rows: QueryRow[] = [];
    let hits = 0;
    let told = 0;
    let cut = false;
    for await (const row of session.query(query, control)) {
      cut = (visited ? rows.length : told) === most;
      if (cut || count.before(hits) === Number.POSITIVE_INFINITY) break;
      if (visited) rows.push(row);
      else if (count.counts(++hits)) {
        this.#report(messageOf(point.message, row, places), row.hit, row.timeNs);
        told++;
      }
    }
    for (const { hit, timeNs } of rows) {
      if (control.signal?.aborted || count.before(hits) === Number.POSITIVE_INFINITY) break;
      const text = await this.#visit(session, point, places[hit.stop].condition, hit, control);
      if (text === null || !count.counts(++hits)) continue;
      this.#report(text, hit, timeNs);
      told++;
    }
    if (control.signal?.reason === REMOVED) return;
    const times = `${told.toLocaleString('en-US')} time${told === 1 ? '' : 's'} in the recording`;
    const more = `; only the first ${most.toLocaleString('en-US')} were looked at, there are more`;
    const early = control.signal?.aborted ? '; ended before its end' : '';
    this.#say(`log point '${point.message}': ${times}${cut ? more : early}`);
  }

  /** What the message says at a hit; null where the condition does not hold. */
  async #visit(
    session: DebugSession,
    { condition, message }: LogPoint,
    { stop, exact }: Condition,
    { position, hart }: Hit,
    control: Control,
  ): Promise<string | null> {
    // Everything but the execution of an instruction is looked at when the step is done.
    const event = await session.seek(stop.kind === 'breakpoint' ? position : position + 1, control);
    if (event.reason === 'cancelled') return null;
    const moment = await Moment.of(session, this.#symbols);
    if (condition !== undefined && !exact && !(await holds(condition, hart, moment, this.#tell))) return null;
    return messageText(message, hart, moment);
  }

  #report(text: string, { position, hart, pc }: Hit, timeNs: number): void {
    const location = this.#symbols.symbolise(pc)?.location ?? null;
    const source = location ? this.#sources.file(location.path) : undefined;
    const place = source && location ? { source, line: location.line } : {};
    this.#tell('output', { category: 'stdout', output: `${text}\n`, ...place, data: { position, timeNs, hart } });
  }
}

/** How a log point is looked for in one place of the code. */
interface Place {
  readonly condition: Condition;
  /** What the engine tells of the message's expressions, in their order; null if it cannot tell them all. */
  readonly values: readonly TranslatedValue[] | null;
}

function placeOf(stop: StopSpec, { message, condition }: LogPoint, symbols: Symbols): Place {
  const place = codePlace(stop, symbols);
  const values = messageParts(message).flatMap((part) => {
    return 'expression' in part ? [translateValue(part.expression, symbols, place)] : [];
  });
  const known = values.filter((value) => value !== null);
  return {
    condition: engineCondition(stop, condition, symbols),
    values: known.length === values.length ? known : null,
  };
}

/** What a message says, from what the engine has told of all places at a hit of one. */
function messageOf(message: string, { hit, values }: QueryRow, places: readonly Place[]): string {
  let at = places.slice(0, hit.stop).reduce((count, place) => count + (place.values?.length ?? 0), 0);
  const own = places[hit.stop].values ?? [];
  let text = '';
  let n = 0;
  for (const part of messageParts(message)) {
    if ('text' in part) text += part.text;
    else {
      const value = values[at++];
      text += value === null ? '<cannot be read>' : own[n].show(value);
      n++;
    }
  }
  return text;
}
