/**
 * The engine behind a session: one timeline, its stops, and the threads that search it. It serves one request after the other; while one takes
 * long it lets the event loop have its turn between spells, so that a cancel is heard.
 */
import { UserError } from '../base/assert.ts';
import { CompilerThread } from '../compiler/thread.ts';
import { ConsoleLog, type ConsoleText } from '../replay/console-log.ts';
import { compileExpression } from '../replay/expression.ts';
import { GuestClock } from '../replay/guest-clock.ts';
import { type Overview, type OverviewSpec, overview } from '../replay/overview.ts';
import { Pool } from '../replay/pool.ts';
import { type ScanRow, scan, watch } from '../replay/scan.ts';
import { byStepDescending, search } from '../replay/search.ts';
import type { Hit, StopSpec } from '../replay/stop-spec.ts';
import { Timeline, type Travel } from '../replay/timeline.ts';
import { checkStop, type NumberedStop, placed, Watcher } from '../replay/watcher.ts';
import { TraceReader } from '../trace/index.ts';
import { RAM_BASE } from '../vmm/layout.ts';
import { translate } from '../vmm/riscv/inspect.ts';
import { Bookmarks } from './bookmarks.ts';
import { changesByHand, merged } from './by-hand.ts';
import { consoleHits, withoutConsole } from './console-stops.ts';
import { Ignored, wantedAtAll } from './ignored.ts';
import { hartRegisters, hartState, readMemory } from './look.ts';
import type {
  Bookmark,
  Direction,
  HartRegisters,
  HartState,
  MemoryRequest,
  MemoryResult,
  Progress,
  QueryRow,
  QuerySpec,
  RunOptions,
  SessionInfo,
  StepOptions,
  StopEvent,
  StopInfo,
  StopReason,
} from './session.ts';
import { observes, returnTo, stepOn, type Walker } from './stepping.ts';
import { callLength, isReturn, stepBack, stepForward } from './travels.ts';

/** Why a living machine stands where it does. */
export type Reached = Pick<StopEvent, 'reason' | 'hits' | 'hart'>;

export interface EngineOptions {
  /** Bytes that all threads together may take. */
  readonly memoryBudget: number;
  /** Threads that search, at most. */
  readonly workers: number;
  /** Position to begin at; 0 without it. */
  readonly at?: number | 'end';
  /** The machine that is recorded lives: the trace will grow. */
  readonly live?: boolean;
}

/** What a running request is told, and tells. */
export interface Task {
  readonly cancelled: boolean;
  progress(progress: Progress): void;
}

/** Without the parts of `Control`, which stay on the asking side. */
export type Plain<T> = Omit<T, 'signal' | 'progress'>;

class Cancelled extends Error {}

/** Turns of the event loop are given at least so often, in ms. */
const BREATH_MS = 10;
/** Going back, stretches so long before now are looked through here, one after the other, before threads look through the rest. */
const NEAR = [2 ** 12, 2 ** 16, 2 ** 20, 2 ** 24];
/** What a searching thread takes for JavaScript and for what it reads of the trace, about. */
const SCRIPT_BYTES = 2 ** 26;
/** And for its copy of code and of the pages that it looks at: more threads than have room for these would not be quicker. */
const MACHINE_BYTES_MIN = 2 ** 27;
/** Hits that a search keeps at a time. */
const KEEP_MAX = 10_000;

export class Engine {
  /** Stands where the session stands whenever no request is being served. */
  readonly timeline: Timeline;
  #trace: TraceReader;
  readonly #path: string;
  readonly #live: boolean;
  readonly #pool: Pool;
  readonly #compiler = new CompilerThread();
  readonly #bookmarks: Bookmarks;
  readonly #stops = new Map<number, { spec: StopSpec; enabled: boolean; hits: number }>();
  #nextStop = 1;
  #console: ConsoleLog | null = null;
  #clock: GuestClock | null = null;
  #breathed = performance.now();
  #last: StopEvent | null = null;

  constructor(trace: TraceReader, path: string, { memoryBudget, workers, at = 0, live = false }: EngineOptions) {
    this.#trace = trace;
    this.#path = path;
    this.#live = live;
    // Whoever opens a trace goes somewhere in it, mostly at once.
    this.#compiler.start();
    // A quarter is left to what JavaScript needs here and elsewhere; a searching thread keeps few states, the timeline many.
    const share = (memoryBudget * 3) / 8;
    const threads = Math.max(1, Math.min(workers, Math.floor(share / (SCRIPT_BYTES + MACHINE_BYTES_MIN))));
    this.timeline = new Timeline(trace, { memoryBudget: share, at: at === 'end' ? trace.replayableTo : at });
    // Whoever seeks waits for this machine alone; the searching threads have all cores busy as it is.
    this.timeline.machine.cpu.jit.compiler = this.#compiler;
    this.#pool = new Pool({ path, size: threads, memoryBudget: Math.max(0, share / threads - SCRIPT_BYTES) });
    this.#bookmarks = new Bookmarks(path);
  }

  async close(): Promise<void> {
    await this.#pool.close();
    await this.#compiler.close();
  }

  info(): SessionInfo {
    const { machine } = this.#trace.header;
    return {
      trace: this.#trace.name,
      harts: machine.harts,
      ramBase: BigInt(RAM_BASE),
      ramBytes: machine.memoryBytes,
      end: this.timeline.end,
      console: machine.console,
      live: false,
    };
  }

  where(): StopEvent {
    return this.#last ?? this.#event('done', []);
  }

  /**
   * The trace has grown, because its machine has lived on: goes to its new end, where the machine stopped for a reason. What was read of the
   * trace before is read anew where it may have changed.
   */
  async extend({ reason, hits, hart }: Reached, task: Task): Promise<StopEvent> {
    await this.#pool.close();
    const before = this.#trace;
    this.#trace = TraceReader.open(this.#path, { grown: before });
    this.timeline.extend(this.#trace);
    before.close();
    this.#console = null;
    this.#clock = null;
    return this.#move(async () => {
      const { position, end } = this.timeline;
      await this.#drive(this.timeline.travel(end), task, position, end);
      return this.#event(reason, hits, hart);
    });
  }

  async seek(position: number, task: Task): Promise<StopEvent> {
    return this.#move(async () => {
      await this.#drive(this.timeline.travel(position), task, this.timeline.position, position);
      return this.#event('done', []);
    });
  }

  async step(options: Plain<StepOptions>, task: Task): Promise<StopEvent> {
    return this.#move(() => this.#step(options, task));
  }

  async run(options: Plain<RunOptions>, task: Task): Promise<StopEvent> {
    const { direction, until = [], untilOnly = false, limit, passing = [] } = options;
    const stops = untilOnly ? [] : wantedAtAll(this.#enabled(), passing);
    until.forEach((spec, i) => {
      checkStop(spec, this.timeline.machine.cpu.harts);
      stops.push({ id: -1 - i, spec: placed(spec, this.timeline.machine) });
    });
    const ignored = new Ignored(stops, passing);
    const event = await this.#move(() => this.#run(direction, stops, limit, task, ignored));
    // Who was cancelled on the way back has gone nowhere.
    const moved = direction === 'forward' || event.reason !== 'cancelled';
    return passing.length > 0 ? { ...event, passed: moved ? ignored.passed : passing.map(() => 0) } : event;
  }

  harts(): HartState[] {
    const { machine } = this.timeline;
    return Array.from({ length: machine.cpu.harts }, (_, hart) => hartState(machine, hart));
  }

  registers(hart: number): HartRegisters {
    return hartRegisters(this.timeline.machine, this.#checkHart(hart));
  }

  memory(request: MemoryRequest): MemoryResult {
    return readMemory(this.timeline.machine, request);
  }

  translate(hart: number, address: bigint): bigint | null {
    return translate(this.timeline.machine, this.#checkHart(hart), address);
  }

  evaluate(hart: number, expression: string): bigint | null {
    return compileExpression(expression)(this.timeline.machine, this.#checkHart(hart));
  }

  console(bytesMax: number): Uint8Array {
    return this.#consoleLog().before(this.timeline.position, bytesMax);
  }

  consoleText(bytesMax: number): ConsoleText {
    return this.#consoleLog().around(this.timeline.position, bytesMax);
  }

  overview(spec: OverviewSpec): Overview {
    return overview(this.#trace, this.#guestClock(), this.#consoleLog(), spec);
  }

  addStop(spec: StopSpec): number {
    checkStop(spec, this.timeline.machine.cpu.harts);
    const bound = placed(spec, this.timeline.machine);
    // A register that cannot be watched is refused here, not in the middle of a run.
    const watcher = new Watcher(this.timeline.machine, [{ id: 1, spec: bound }]);
    watcher.arm(() => false);
    watcher.disarm();
    const id = this.#nextStop++;
    this.#stops.set(id, { spec: bound, enabled: true, hits: 0 });
    return id;
  }

  removeStop(id: number): void {
    this.#stop(id);
    this.#stops.delete(id);
  }

  enableStop(id: number, enabled: boolean): void {
    this.#stop(id).enabled = enabled;
  }

  stops(): StopInfo[] {
    return [...this.#stops].map(([id, stop]) => ({ id, ...stop }));
  }

  bookmarks(): Bookmark[] {
    return this.#bookmarks.list();
  }
  setBookmark(bookmark: Bookmark): void {
    if (bookmark.position < 0 || bookmark.position > this.timeline.end || !Number.isSafeInteger(bookmark.position)) {
      throw new UserError(`bookmark ${bookmark.name}: a position from 0 to ${this.timeline.end} is needed`);
    }
    this.#bookmarks.set(bookmark);
  }
  removeBookmark(name: string): void {
    this.#bookmarks.remove(name);
  }

  /** Rows in batches, in the order asked for. */
  async *query(spec: QuerySpec, task: Task): AsyncGenerator<readonly QueryRow[], void> {
    const { print = [], newestFirst: newest = false } = spec;
    const stops: readonly StopSpec[] = [spec.kind === 'events' ? spec.stop : entryOf(spec)].flat();
    const [from, to] = this.#range(spec);
    for (const stop of stops) checkStop(stop, this.timeline.machine.cpu.harts);
    for (const text of print) compileExpression(text);
    let left = spec.limit ?? Number.POSITIVE_INFINITY;
    const take = (rows: readonly ScanRow[]) => {
      const taken = rows.slice(0, left);
      left -= taken.length;
      return taken;
    };
    const numbered = stops.map((stop, id) => ({ id, spec: placed(stop, this.timeline.machine) }));
    if (withoutConsole(numbered).length < numbered.length) {
      if (numbered.length > 1) throw new UserError('a question about the console is about nothing else');
      const hits = consoleHits(this.#consoleLog(), numbered, from, to);
      const rows = hits.map((hit) => ({ hit, timeNs: 0, values: print.map(() => null) }));
      yield take(newest ? byStepDescending(rows) : rows);
      return;
    }
    const request = {
      ...{ from, to, print, keep: Math.min(KEEP_MAX, left) },
      stops: numbered,
      order: newest ? ('newest' as const) : ('oldest' as const),
      calls: spec.kind === 'calls',
    };
    const byHand =
      spec.kind === 'events'
        ? changesByHand(this.#trace, numbered, [from, to], (p) => this.#guestClock().timeAt(p))
        : [];
    for await (const rows of merged(this.#search(request, task), byHand, request.order)) {
      yield take(rows.map((row) => (row.hit.detail?.byHand ? { ...row, values: print.map(() => null) } : row)));
      if (left === 0) return;
    }
  }

  #range({ from = 0, to = this.timeline.end }: QuerySpec): [from: number, to: number] {
    for (const position of [from, to]) {
      if (!Number.isSafeInteger(position) || position < 0 || position > this.timeline.end) {
        throw new UserError(`position ${position}: one from 0 to ${this.timeline.end} is needed`);
      }
    }
    return [from, to];
  }

  #search(request: Parameters<typeof search>[2], task: Task) {
    const { from, to } = request;
    return search(this.#trace, this.#pool, request, {
      cancelled: () => task.cancelled,
      progress: (done, position) => task.progress({ position, from, to, done }),
    });
  }

  /**
   * A movement; what it leaves behind on the way is a state of its own. One that was cancelled, and one that failed, ends where it began.
   */
  async #move(action: () => Promise<StopEvent>): Promise<StopEvent> {
    const from = this.timeline.position;
    this.timeline.keep();
    this.#last = null;
    try {
      const event = await action();
      this.#count(event.hits);
      this.#last = event;
      return event;
    } catch (error) {
      // The state was kept a moment ago: this is quick.
      for (const _ of this.timeline.travel(from, true));
      if (!(error instanceof Cancelled)) throw error;
      this.#last = this.#event('cancelled', []);
      return this.#last;
    }
  }

  async #drive<T>(travel: Travel<T>, task: Task, from: number, to: number): Promise<T> {
    for (;;) {
      const { done, value } = travel.next();
      if (done) return value;
      if (performance.now() - this.#breathed < BREATH_MS) continue;
      const span = Math.abs(to - from) || 1;
      task.progress({ position: value, from, to, done: Math.min(1, Math.abs(value - from) / span) });
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.#breathed = performance.now();
      if (task.cancelled) {
        travel.return(undefined as T);
        throw new Cancelled();
      }
    }
  }

  async #run(
    direction: Direction,
    stops: readonly NumberedStop[],
    limit: number | undefined,
    task: Task,
    ignored = new Ignored(stops),
  ): Promise<StopEvent> {
    return direction === 'forward'
      ? this.#runForward(stops, Math.min(limit ?? this.timeline.end, this.timeline.end), task, ignored)
      : this.#runBack(stops, Math.max(limit ?? 0, 0), task, ignored);
  }

  async #runForward(stops: readonly NumberedStop[], limit: number, task: Task, ignored: Ignored): Promise<StopEvent> {
    const timeline = this.timeline;
    const from = timeline.position;
    const shown = consoleHits(this.#consoleLog(), stops, from, limit).find((hit) => ignored.wants(hit));
    const to = shown ? shown.position + 1 : limit;
    const hits: Hit[] = [];
    const watcher = new Watcher(timeline.machine, withoutConsole(stops));
    const points = new Set(stops.filter(({ spec }) => spec.kind === 'breakpoint').map(({ id }) => id));
    let at: number | null = null;
    if (to > from) {
      const told = (hit: Hit) => {
        if (!ignored.wants(hit)) return false;
        hits.push(hit);
        return true;
      };
      try {
        const run = watcher.any ? watch(timeline, watcher, to, told, from) : timeline.runUntil(to);
        if (await this.#drive(run, task, from, to)) at = timeline.position;
      } catch (error) {
        // Between two spells the machine is at a position like any other.
        if (error instanceof Cancelled) return this.#event('cancelled', []);
        throw error;
      } finally {
        watcher.disarm();
      }
    }
    if (at === null && !shown) return this.#event(limit < timeline.end ? 'done' : 'end', []);
    // What a stop leaves may have had the alarms of its position already: the position's own state is made anew.
    const together = shown && (at === null || (at === to && !points.has(hits[0].stop)));
    if (together) {
      await this.#drive(timeline.travel(shown.position, true), task, from, to);
      hits.push(this.#located(shown));
    }
    await this.#drive(timeline.travel(at ?? to, !together), task, from, to);
    return this.#event('stop', hits);
  }

  async #runBack(stops: readonly NumberedStop[], limit: number, task: Task, ignored: Ignored): Promise<StopEvent> {
    const now = this.timeline.position;
    const keep = Math.min(KEEP_MAX, 1 + ignored.most);
    const replayed = withoutConsole(stops);
    const shown = consoleHits(this.#consoleLog(), stops, limit, now).findLast((hit) => ignored.wants(hit));
    const floor = shown?.position ?? limit;
    const answer = (rows: readonly ScanRow[]) => {
      const hits: Hit[] = [];
      for (const { hit } of rows) {
        if (hits.length > 0 && hit.position < hits[0].position) break;
        if (ignored.wants(hit)) hits.push(hit);
      }
      return hits;
    };
    let hits: Hit[] = [];
    let to = now;
    for (const distance of replayed.length > 0 ? NEAR : []) {
      const from = Math.max(floor, now - distance);
      if (from >= to) break;
      const near = scan(this.timeline, { from, to, stops: replayed, order: 'newest', keep, print: [] });
      const { rows, resume } = await this.#drive(near, task, now, floor);
      hits = answer(byStepDescending(rows));
      to = resume ?? from;
      if (hits.length > 0 || resume !== null) break;
    }
    if (hits.length === 0 && replayed.length > 0 && to > floor) {
      const request = { from: floor, to, stops: replayed, order: 'newest' as const, keep, print: [] };
      for await (const rows of this.#search(request, task)) {
        hits = answer(rows);
        if (hits.length > 0) break;
      }
      if (task.cancelled) throw new Cancelled();
    }
    const position = hits[0]?.position ?? floor;
    await this.#drive(this.timeline.travel(position), task, now, position);
    if (shown?.position === position) hits.push(this.#located(shown));
    if (hits.length > 0) return this.#event('stop', hits);
    return this.#event(position === 0 ? 'begin' : 'done', []);
  }

  async #step(options: Plain<StepOptions>, task: Task): Promise<StopEvent> {
    const { direction, hart, over = false, range, intoInterrupts = false } = options;
    if (hart !== 'machine') this.#checkHart(hart);
    const observed = observes(options) ? this.#enabled() : [];
    if (direction === 'forward') return stepOn(this.#walker(task), options, observed);
    for (;;) {
      const event = await this.#stepBack(hart, over, intoInterrupts, observed, task);
      if (event.reason !== 'done' || !range) return event;
      const inside = event.pc >= range.start && event.pc < range.end;
      if (!inside) return event;
      const here = observed.filter(
        ({ spec }) => spec.kind === 'breakpoint' && !spec.physical && spec.address === event.pc,
      );
      if (here.length > 0) {
        const hits = here.map(({ id }) => ({ stop: id, position: event.position, hart: event.hart, pc: event.pc }));
        return this.#event('stop', hits, event.hart);
      }
    }
  }

  #walker(task: Task): Walker {
    const { timeline } = this;
    return {
      machine: timeline.machine,
      one: async (hart, intoInterrupts) => {
        const travel = stepForward(timeline, hart, intoInterrupts, this.#isOpen);
        const stepped = await this.#drive(travel, task, timeline.position, timeline.end);
        if (typeof stepped === 'number') return stepped;
        await this.#drive(timeline.travel(timeline.end), task, timeline.position, timeline.end);
        const event = this.#event('end', []);
        return stepped === null ? event : { ...event, awaited: { until: stepped, after: 'again' } };
      },
      run: (stops) => this.#run('forward', stops, undefined, task),
      event: (reason, hits, hart) => this.#event(reason, hits, hart),
    };
  }

  async #stepBack(
    hart: number | 'machine',
    over: boolean,
    intoInterrupts: boolean,
    stops: readonly NumberedStop[],
    task: Task,
  ): Promise<StopEvent> {
    const { timeline } = this;
    const { machine } = timeline;
    const from = timeline.position;
    const who = hart === 'machine' ? machine.currentHart : hart;
    const [pc, sp] = [machine.cpu.get(who, 'pc'), machine.cpu.x(who, 2)];
    const stepped = await this.#drive(stepBack(timeline, hart, intoInterrupts), task, from, timeline.end);
    if (stepped === null) {
      await this.#drive(timeline.travel(0), task, from, 0);
      return this.#event('begin', []);
    }
    const done = this.#event('done', [], stepped);
    if (!over || !isReturn(machine, stepped, done.pc)) return done;
    // The call is before the place to which the function returned.
    const calls = [4n, 2n].filter((length) => callLength(machine, stepped, pc - length) === Number(length));
    if (calls.length === 0) return done;
    const until = calls.map((length, i) => ({
      id: -1 - i,
      spec: returnTo(machine, stepped, pc - length, `sp == ${sp}`),
    }));
    const event = await this.#run('back', [...stops, ...until], undefined, task);
    const own = event.hits.length > 0 && event.hits.every((hit) => hit.stop < 0);
    return own ? { ...event, reason: 'done', hits: [] } : event;
  }

  /** Whether a machine lives on from the end. */
  get #isOpen(): boolean {
    return this.#live && !this.#trace.end;
  }

  #event(
    reason: StopReason,
    hits: readonly Hit[],
    hart = hits[0]?.hart ?? this.timeline.machine.currentHart,
  ): StopEvent {
    const { machine, position } = this.timeline;
    return { reason, position, timeNs: machine.clock.now(), hart, pc: machine.cpu.get(hart, 'pc'), hits };
  }

  /** What the console's log does not know of a hit: which hart's step it was, as far as the machine now tells. */
  #located(hit: Hit): Hit {
    const { machine } = this.timeline;
    const hart = machine.currentHart;
    return { ...hit, hart, pc: machine.cpu.get(hart, 'pc') };
  }

  #count(hits: readonly Hit[]): void {
    for (const { stop: id } of hits) {
      const stop = this.#stops.get(id);
      if (!stop) continue;
      stop.hits++;
      if (stop.spec.once) this.#stops.delete(id);
    }
  }

  #enabled(): NumberedStop[] {
    return [...this.#stops].filter(([, { enabled }]) => enabled).map(([id, { spec }]) => ({ id, spec }));
  }

  #stop(id: number) {
    const stop = this.#stops.get(id);
    if (!stop) throw new UserError(`there is no stop ${id}`);
    return stop;
  }

  #checkHart(hart: number): number {
    const { harts } = this.timeline.machine.cpu;
    if (!Number.isInteger(hart) || hart < 0 || hart >= harts)
      throw new UserError(`hart ${hart}: one from 0 to ${harts - 1} is needed`);
    return hart;
  }

  #guestClock(): GuestClock {
    this.#clock ??= new GuestClock(this.#trace);
    return this.#clock;
  }

  #consoleLog(): ConsoleLog {
    this.#console ??= new ConsoleLog(this.#trace);
    return this.#console;
  }
}

/** The entry of the function whose calls are asked for. */
function entryOf({ address, space, hart }: Extract<QuerySpec, { kind: 'calls' }>): StopSpec {
  const where = { ...(space === undefined ? {} : { space }), ...(hart === undefined ? {} : { hart }) };
  return { kind: 'breakpoint', address, ...where };
}
