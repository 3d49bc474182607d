/** What is being debugged: a trace, its symbols and sources, and what was set in it. */
import { assert, UserError } from '../base/assert.ts';
import type { DebugSession, Hit } from '../debugger/session.ts';
import type { Symbols } from '../symbols/index.ts';
import type { Arguments } from './arguments.ts';
import { type Breakpoint, Breakpoints } from './breakpoints.ts';
import { isInProcess } from './conditions.ts';
import { ConsoleFeed } from './console-feed.ts';
import { LinuxView } from './linux.ts';
import { type Background, LogPoints } from './log-points.ts';
import { holds, messageText } from './messages.ts';
import { Moment } from './moment.ts';
import type { Host, LaunchHooks, Recorded, Tell } from './protocol.ts';
import { Sources } from './sources.ts';
import { Variables } from './variables.ts';

/** Time between two positions that a client is told while the machine runs. */
const MOVED_MS = 250;

interface Live {
  readonly recorded: Recorded;
  readonly feed: ConsoleFeed;
}

export class Debuggee {
  readonly session: DebugSession;
  readonly symbols: Symbols;
  readonly sources: Sources;
  readonly breakpoints: Breakpoints;
  readonly variables = new Variables();
  /** Null if no symbol file is of a Linux kernel. */
  readonly linux: LinuxView | null;
  /** To be done when symbols have come or gone with what is loaded in Linux. */
  whenSymbolsChange: () => Promise<void> = async () => {};
  /** Stops of the session at which symbols may come or go. */
  #arrivals: readonly number[] | null = null;
  /** How many there are. */
  harts = 0;
  /** The recording that the session is of, if it is made here. */
  readonly recorded: Recorded | null;
  readonly #feed: ConsoleFeed | null;
  readonly #logPoints: LogPoints | null;

  /** `what`: a machine that lives, or the log points of a recording. */
  constructor(
    session: DebugSession,
    symbols: Symbols,
    sources: Sources,
    linux: LinuxView | null,
    what: Live | LogPoints,
  ) {
    const [live, logPoints] = what instanceof LogPoints ? [null, what] : [what, null];
    this.session = session;
    this.linux = linux;
    this.recorded = live?.recorded ?? null;
    this.#feed = live?.feed ?? null;
    this.#logPoints = logPoints;
    this.symbols = symbols;
    this.sources = sources;
    this.breakpoints = new Breakpoints(session, symbols, logPoints);
  }

  /** Ends the session; a guest that lives stays as it is. */
  async close(): Promise<void> {
    await this.#logPoints?.close();
    await this.session.close();
  }

  /** Opens what a client's configuration names. */
  static async open(host: Host, args: Arguments, background: Background, tell: Tell): Promise<Debuggee> {
    const trace = args.text('trace');
    const symbols = host.openSymbols(args.texts('symbolFiles'));
    const options = { map: args.entries('sourceMap'), folders: args.texts('sourceFolders') };
    const sources = new Sources(symbols, host, options);
    const live = await alive(tell, (hooks) => host.adopt(trace, hooks));
    if (live) return new Debuggee(live.recorded.session, symbols, sources, linuxView(host, args, symbols, tell), live);
    const session = await host.openTrace(trace, 'person');
    const another = () => host.openTrace(trace, 'background');
    const logPoints = new LogPoints(symbols, sources, another, background, tell);
    return new Debuggee(session, symbols, sources, linuxView(host, args, symbols, tell), logPoints);
  }

  /** Begins the recording that a client's configuration describes. `again`: after one of the same. */
  static async launch(host: Host, args: Arguments, again: boolean, tell: Tell): Promise<Debuggee> {
    const symbols = args.has('symbolFiles')
      ? host.openSymbols(args.texts('symbolFiles'))
      : kernelSymbols(host, args, tell);
    const options = { map: args.entries('sourceMap'), folders: args.texts('sourceFolders') };
    const live = await alive(tell, (hooks) => host.launch(args, again, hooks));
    assert(live, 'a recording that was begun is there');
    const sources = new Sources(symbols, host, options);
    return new Debuggee(live.recorded.session, symbols, sources, linuxView(host, args, symbols, tell), live);
  }

  /** Lets the guest live on from a position, as a recording of its own. */
  async branch(host: Host, at: number, args: Arguments, tell: Tell): Promise<Debuggee> {
    const { trace } = await this.session.info();
    const live = await alive(tell, (hooks) => host.branch(trace, at, args, hooks));
    assert(live, 'a branch that was begun is there');
    return new Debuggee(live.recorded.session, this.symbols, this.sources, this.linux, live);
  }

  /** Shows things as a person wanted them in what was debugged before. */
  showAs(before: Debuggee): void {
    this.variables.hexadecimal = before.variables.hexadecimal;
    if (this.linux && before.linux) this.linux.tasksShown = before.linux.tasksShown;
  }

  /** The machine stands still from now on, and can be looked at. */
  async settle(): Promise<Moment> {
    this.#feed?.flush();
    const moment = await this.#look();
    this.variables.enter(moment);
    this.harts = moment.harts.length;
    return moment;
  }

  /** The machine as it stands, with the symbols of what is there. */
  async #look(): Promise<Moment> {
    const { session } = this;
    this.#arrivals ??= await Promise.all((this.linux?.arrivals ?? []).map((stop) => session.addStop(stop)));
    const moment = await Moment.of(session, this.symbols, this.linux);
    if (await this.linux?.follow(moment)) await this.whenSymbolsChange();
    return moment;
  }

  /** Which hits shall end a movement, as a person sees it; prints what log points have to say. */
  async judge(hits: readonly Hit[], moment: Moment, tell: Tell): Promise<Breakpoint[]> {
    const ending: Breakpoint[] = [];
    if (hits.some(({ stop }) => this.#arrivals?.includes(stop))) await this.#look();
    for (const hit of hits) {
      const breakpoint = this.breakpoints.of(hit.stop);
      if (!breakpoint || ending.includes(breakpoint)) continue;
      if (breakpoint.wanted.stops.some(isInProcess) && !(await this.#isThere(hit))) continue;
      const { condition, logMessage, stops } = breakpoint.wanted;
      // What happened in a step, the engine has looked at when it was done; going back, the machine stands before it.
      const decided = breakpoint.exact && stops[0].kind !== 'breakpoint';
      if (condition !== undefined && !decided && !(await holds(condition, hit.hart, moment, tell))) continue;
      breakpoint.hits++;
      if (breakpoint.count && !breakpoint.count.counts(breakpoint.hits)) continue;
      if (logMessage === undefined) ending.push(breakpoint);
      else await this.#log(logMessage, hit.hart, moment, tell);
    }
    return ending;
  }

  /** Whether the process that was hit has the program: another may have had its page tables at another time. */
  async #isThere({ pc }: Hit): Promise<boolean> {
    await this.#look();
    return this.symbols.moduleAt(pc) !== null;
  }

  /** Says what a log point has to say where the machine stands. */
  async #log(message: string, hart: number, moment: Moment, tell: Tell): Promise<void> {
    const text = await messageText(message, hart, moment);
    const frame = await moment.frame({ hart, index: 0 });
    const { source, line } = await this.sources.place(moment, hart, frame.machine.pc, frame.location);
    const { position, timeNs } = moment.event;
    const place = source ? { source, line } : {};
    tell('output', { category: 'stdout', output: `${text}\n`, ...place, data: { position, timeNs, hart } });
  }
}

/** Begins, or takes up, a recording whose console and whose way the client is told of. */
async function alive(tell: Tell, begin: (hooks: LaunchHooks) => Promise<Recorded | null>): Promise<Live | null> {
  const feed = new ConsoleFeed(tell);
  let moved = 0;
  let recorded: Recorded | null = null;
  recorded = await begin({
    console: (data) => {
      if (recorded) feed.add(data, recorded.position, recorded.timeNs);
    },
    moved: (position, timeNs) => {
      const now = performance.now();
      if (now - moved < MOVED_MS) return;
      moved = now;
      tell('chronovisor/position', { position, timeNs, live: true, running: true });
    },
  });
  return recorded && { recorded, feed };
}

/** Where a configuration names no symbol files, the kernel may have symbols itself. */
function kernelSymbols(host: Host, args: Arguments, tell: Tell): Symbols {
  try {
    const own = host.kernelSymbols(args.text('kernel', ''));
    if (own) return own;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    tell('output', { category: 'important', output: `${error.message}; there are no symbols\n` });
  }
  return host.openSymbols([]);
}

function linuxView(host: Host, args: Arguments, symbols: Symbols, tell: Tell): LinuxView | null {
  const report = (problem: string) => tell('output', { category: 'important', output: `${problem}\n` });
  const files = (kernel: string) => host.guestFiles({ kernel, moduleFolders, programs });
  const [moduleFolders, programs] = [args.texts('moduleFolders'), args.texts('programs')];
  return LinuxView.of(symbols, files, args.flag('tasks'), report);
}
