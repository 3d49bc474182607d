/** What is being debugged: a trace, its symbols and sources, and what was set in it. */
import { UserError } from '../base/assert.ts';
import type { DebugSession, Hit } from '../debugger/session.ts';
import { evaluate, formatValue, type Symbols } from '../symbols/index.ts';
import type { Arguments } from './arguments.ts';
import { type Breakpoint, Breakpoints } from './breakpoints.ts';
import { ConsoleFeed } from './console-feed.ts';
import { Moment } from './moment.ts';
import type { Host, Recorded, Tell } from './protocol.ts';
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
  /** How many there are. */
  harts = 0;
  /** The recording that the session is of, if it is made here. */
  readonly recorded: Recorded | null;
  readonly #feed: ConsoleFeed | null;

  constructor(session: DebugSession, symbols: Symbols, sources: Sources, live: Live | null = null) {
    this.session = session;
    this.recorded = live?.recorded ?? null;
    this.#feed = live?.feed ?? null;
    this.symbols = symbols;
    this.sources = sources;
    this.breakpoints = new Breakpoints(session);
  }

  /** Opens what a client's configuration names. */
  static async open(host: Host, args: Arguments): Promise<Debuggee> {
    const trace = args.text('trace');
    const symbols = host.openSymbols(args.texts('symbolFiles'));
    const options = { map: args.entries('sourceMap'), folders: args.texts('sourceFolders') };
    const session = await host.openTrace(trace);
    return new Debuggee(session, symbols, new Sources(symbols, host, options));
  }

  /** Begins the recording that a client's configuration describes. `again`: after one of the same. */
  static async launch(host: Host, args: Arguments, again: boolean, tell: Tell): Promise<Debuggee> {
    const symbols = args.has('symbolFiles')
      ? host.openSymbols(args.texts('symbolFiles'))
      : kernelSymbols(host, args, tell);
    const options = { map: args.entries('sourceMap'), folders: args.texts('sourceFolders') };
    const feed = new ConsoleFeed(tell);
    let moved = 0;
    const recorded: Recorded = await host.launch(args, again, {
      console: (data) => feed.add(data, recorded.position, recorded.timeNs),
      moved: (position, timeNs) => {
        const now = performance.now();
        if (now - moved < MOVED_MS) return;
        moved = now;
        tell('chronovisor/position', { position, timeNs, live: true, running: true });
      },
    });
    return new Debuggee(recorded.session, symbols, new Sources(symbols, host, options), { recorded, feed });
  }

  /** The machine stands still from now on, and can be looked at. */
  async settle(): Promise<Moment> {
    this.#feed?.flush();
    const moment = await Moment.of(this.session, this.symbols);
    this.variables.enter(moment);
    this.harts = moment.harts.length;
    return moment;
  }

  /** Which hits shall end a movement, as a person sees it; prints what log points have to say. */
  async judge(hits: readonly Hit[], moment: Moment, tell: Tell): Promise<Breakpoint[]> {
    const ending: Breakpoint[] = [];
    for (const hit of hits) {
      const breakpoint = this.breakpoints.of(hit.stop);
      if (!breakpoint || ending.includes(breakpoint)) continue;
      const { condition, logMessage } = breakpoint.wanted;
      if (condition !== undefined && !(await this.#holds(condition, hit.hart, moment, tell))) continue;
      breakpoint.hits++;
      if (!breakpoint.counts(breakpoint.hits)) continue;
      if (logMessage === undefined) ending.push(breakpoint);
      else await this.#log(logMessage, hit.hart, moment, tell);
    }
    return ending;
  }

  /** A condition that cannot be told counts as true: nothing is passed over unseen. */
  async #holds(condition: string, hart: number, moment: Moment, tell: Tell): Promise<boolean> {
    try {
      const frame = await moment.frame({ hart, index: 0 });
      return await moment.settle(() => {
        const { value } = evaluate(condition, frame);
        return value.raw !== 0n;
      });
    } catch (error) {
      tell('output', { category: 'important', output: `condition '${condition}': ${(error as Error).message}\n` });
      return true;
    }
  }

  /** Expressions in braces are replaced by their values. */
  async #log(message: string, hart: number, moment: Moment, tell: Tell): Promise<void> {
    const frame = await moment.frame({ hart, index: 0 });
    let text = '';
    let from = 0;
    for (const { 0: braces, 1: expression, index } of message.matchAll(/\{([^{}]+)\}/g)) {
      text += message.slice(from, index) + (await this.#valueText(expression, frame, moment));
      from = index + braces.length;
    }
    text += message.slice(from);
    const { source, line } = await this.sources.place(moment, hart, frame.machine.pc, frame.location);
    const { position, timeNs } = moment.event;
    const place = source ? { source, line } : {};
    tell('output', { category: 'stdout', output: `${text}\n`, ...place, data: { position, timeNs, hart } });
  }

  async #valueText(expression: string, frame: Awaited<ReturnType<Moment['frame']>>, moment: Moment): Promise<string> {
    try {
      return await moment.settle(() => {
        const { value, format } = evaluate(expression, frame);
        return formatValue(value, format ? { format } : {});
      });
    } catch (error) {
      return `<${(error as Error).message}>`;
    }
  }
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
