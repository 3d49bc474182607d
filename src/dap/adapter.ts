/**
 * The Debug Adapter Protocol on a session and its symbols: requests in, answers and events out. It knows no streams. Threads are harts; a thread's number is
 * the hart's plus one.
 */

import { Divergence, UserError } from '../base/assert.ts';
import { parsePlace } from '../debugger/place.ts';
import { type Control, type Direction, type Hit, type StateChange, UNCHANGEABLE } from '../debugger/session.ts';
import { lineLocations } from '../symbols/index.ts';
import { Arguments } from './arguments.ts';
import type { Wanted } from './breakpoints.ts';
import { CAPABILITIES } from './capabilities.ts';
import { changeOf } from './changes.ts';
import { type Console, runCommand } from './commands.ts';
import { completions } from './completions.ts';
import { Debuggee } from './debuggee.ts';
import { isTaskThread, noLinux } from './linux.ts';
import * as look from './look.ts';
import type { FrameReference } from './moment.ts';
import {
  dataPoints,
  exceptionPoints,
  functionPoints,
  instructionPoints,
  listingPoints,
  sourcePoints,
} from './points.ts';
import { progressOf } from './progress.ts';
import type { Answer, Host, Tell } from './protocol.ts';
import { type Arrival, hartOfTurn, run, type StepKind, step, stepOut, type Traveller } from './travel.ts';
import { watchedBy } from './variables.ts';
import { viewRequests } from './views.ts';

/** One request at work. */
interface Task {
  readonly signal: AbortSignal;
  /** Whether the client knows of the request that the machine moves after it. */
  readonly moves: boolean;
  /** To be done when the client has the answer. */
  afterwards: (() => void) | undefined;
}

type Handler = (args: Arguments, task: Task) => Promise<object | undefined> | object | undefined;

/** A movement under way. */
interface Motion {
  abort: AbortController;
  readonly done: Promise<void>;
  /** What is waiting for the machine to stand for a moment; then it goes on. */
  readonly interludes: (() => Promise<void>)[];
  /** Whether it can be interrupted and begun again and be the same. */
  readonly resumable: boolean;
  paused: boolean;
  /** Nobody is told of its end: the client has asked for something else. */
  quiet: boolean;
}

type Work = (traveller: Traveller) => Promise<Arrival>;

/** Requests of the protocol that imply that the machine moves. A movement by any other is told by a `continued` event. */
const MOVING = new Set(['configurationDone', 'continue', 'reverseContinue', 'next', 'stepIn', 'stepOut', 'stepBack']);
const RUNNING = 'the machine is running; pause it first';
/** `left = right`, but no comparison. */
const ASSIGNMENT = /^\s*([^=]*[^=\s!<>+*/%&|^-])\s*=(?!=)\s*(\S.*)$/s;
const PANIC = [{ kind: 'panic' }] as const;
/** Where a recording stops first: before its first step, when the guest panics, or nowhere by itself. */
const LIVE_ENTRIES = ['entry', 'panic', 'run'] as const;

export class Adapter {
  readonly #host: Host;
  readonly #tell: Tell;
  #debuggee: Debuggee | null = null;
  /** Where the trace is entered, once the client has set its breakpoints; or when a recording stops first. */
  #entry = 'panic';
  /** What the recording was begun with. */
  #launched: Arguments | null = null;
  #motion: Motion | null = null;
  /** The hit that the machine stands at, if it is a trap or a panic. */
  #exception: Hit | null = null;
  readonly #tasks = new Map<number, AbortController>();
  readonly #progress = new Map<string, AbortController>();
  #progressCount = 0;
  /** Breakpoints are set one group after the other. */
  #setting: Promise<unknown> = Promise.resolve();
  /** Groups of breakpoints, as they were asked for. */
  readonly #groups = new Map<string, (debuggee: Debuggee) => Wanted[]>();

  constructor(host: Host, tell: Tell) {
    this.#host = host;
    this.#tell = tell;
  }

  /** Answers a request; never throws. `seq` is its number, by which it can be cancelled. */
  async answer(seq: number, command: string, values: unknown): Promise<Answer> {
    const abort = new AbortController();
    const task: Task = { signal: abort.signal, moves: MOVING.has(command), afterwards: undefined };
    this.#tasks.set(seq, abort);
    try {
      const handler = Object.hasOwn(this.#handlers, command) ? this.#handlers[command] : undefined;
      if (!handler) throw new UserError(`'${command}' is not supported`);
      const body = await handler(new Arguments(values, command), task);
      return { success: true, body, ...(task.afterwards ? { afterwards: task.afterwards } : {}) };
    } catch (error) {
      return { success: false, message: messageOf(error) };
    } finally {
      this.#tasks.delete(seq);
    }
  }

  /** Ends everything; the adapter can be thrown away. With `release` a guest that is being recorded lives on. */
  async close(release = false): Promise<void> {
    for (const abort of [...this.#tasks.values(), ...this.#progress.values()]) abort.abort();
    const debuggee = this.#debuggee;
    this.#debuggee = null;
    await this.#halt();
    await debuggee?.close();
    if (release) debuggee?.recorded?.release();
    else await debuggee?.recorded?.finish();
  }

  /** Ends a movement, of which nobody is told. */
  async #halt(): Promise<void> {
    const motion = this.#motion;
    if (!motion) return;
    motion.quiet = true;
    motion.paused = true;
    motion.abort.abort();
    await motion.done;
  }

  get #open(): Debuggee {
    if (!this.#debuggee) throw new UserError('no trace is open: launch or attach comes first');
    return this.#debuggee;
  }

  /** The frame that a request is about; that of the machine's last step without one. */
  #frame(args: Arguments): FrameReference {
    const { variables } = this.#open;
    const { hart } = variables.now.event;
    return args.has('frameId') ? variables.frameOf(args.whole('frameId')) : { hart, index: 0 };
  }

  #hart(args: Arguments): number {
    const hart = args.whole('threadId', undefined, 1) - 1;
    const { harts } = this.#open.variables.now;
    if (isTaskThread(hart)) throw new UserError('this task waits: only what a hart runs can move');
    if (hart >= harts.length) throw new UserError(`there is no thread ${hart + 1}`);
    return hart;
  }

  /** Whose step is asked for; null for the machine's: that of whichever hart has the turn. */
  #stepping(args: Arguments): number | null {
    return args.flag('wholeMachine') ? null : this.#hart(args);
  }

  /** A hart, or a task of Linux. */
  #thread(args: Arguments): number {
    const thread = args.whole('threadId', undefined, 1) - 1;
    return isTaskThread(thread) ? thread : this.#hart(args);
  }

  readonly #handlers: Readonly<Record<string, Handler>> = {
    initialize: (args) => {
      if (args.has('linesStartAt1') && !args.flag('linesStartAt1')) throw new UserError('lines must start at 1');
      if (args.text('pathFormat', 'path') !== 'path') throw new UserError('paths must be plain paths, not URIs');
      return CAPABILITIES;
    },
    launch: (args, task) => this.#launch(args, task),
    attach: (args, task) => this.#attach(args, task),
    configurationDone: async (_, task) => this.#enter(task),
    disconnect: async (args) => {
      await this.close(args.has('terminateDebuggee') && !args.flag('terminateDebuggee'));
      return undefined;
    },
    terminate: async (_, task) => {
      await this.#halt();
      await this.#debuggee?.recorded?.finish();
      task.afterwards = () => this.#tell('terminated');
      return undefined;
    },
    restart: (args, task) => (this.#launched ? this.#restart(args, task) : this.#goTo(0, 'restart', task)),
    cancel: (args) => {
      if (args.has('requestId')) this.#tasks.get(args.whole('requestId'))?.abort();
      if (args.has('progressId')) this.#progress.get(args.text('progressId'))?.abort();
      return undefined;
    },

    threads: () => (this.#motion ? look.movingThreads(this.#open) : look.threads(this.#open)),
    stackTrace: (args) =>
      look.stackTrace(this.#open, this.#thread(args), args.whole('startFrame', 0), args.whole('levels', 0)),
    scopes: async (args) => ({ scopes: await this.#open.variables.scopes(args.whole('frameId')) }),
    variables: async (args) => {
      const filter = args.text('filter', '');
      const range = [args.whole('start', 0), args.whole('count', 0)] as const;
      return { variables: await this.#open.variables.children(args.whole('variablesReference'), filter, ...range) };
    },
    evaluate: (args, task) => this.#evaluate(args, task),
    completions: async (args) => {
      const text = args.text('text').split('\n')[args.whole('line', 1, 1) - 1] ?? '';
      return completions(this.#open, this.#frame(args), text.slice(0, args.whole('column', text.length + 1, 1) - 1));
    },
    setVariable: (args, task) => {
      this.#mustLive();
      const { expression, frame } = this.#open.variables.part(args.whole('variablesReference'), args.text('name'));
      return this.#setValue(frame, expression, args.text('value'), args, task);
    },
    setExpression: (args, task) =>
      this.#setValue(this.#frame(args), args.text('expression'), args.text('value'), args, task),
    writeMemory: (args, task) => this.#writeMemory(args, task),
    readMemory: (args) => look.readMemory(this.#open, args),
    disassemble: (args) => look.disassemble(this.#open, args),
    modules: (args) => look.modules(this.#open, args.whole('startModule', 0), args.whole('moduleCount', 0)),
    loadedSources: () => ({ sources: this.#open.sources.all() }),
    source: (args) => {
      const reference = args.whole('sourceReference', args.object('source').whole('sourceReference', 0));
      return { content: this.#open.sources.listing(reference).text, mimeType: 'text/x-asm' };
    },
    exceptionInfo: (args) => look.exceptionInfo(this.#exception, this.#hart(args)),

    breakpointLocations: (args) => look.breakpointLocations(this.#open, args),
    setBreakpoints: (args) => {
      const source = args.object('source');
      const all = args.objects('breakpoints');
      const reference = source.whole('sourceReference', 0);
      if (reference > 0)
        return this.#set(`listing ${reference}`, ({ sources }) => listingPoints(sources, reference, all));
      const path = source.text('path');
      return this.#set(`source ${path}`, ({ symbols, sources }) => sourcePoints(symbols, sources, path, all));
    },
    setFunctionBreakpoints: (args) => {
      const all = args.objects('breakpoints');
      return this.#set('functions', ({ symbols, sources }) => functionPoints(symbols, sources, all));
    },
    setInstructionBreakpoints: (args) => {
      const all = args.objects('breakpoints');
      return this.#set('instructions', ({ symbols }) => instructionPoints(symbols, all));
    },
    setDataBreakpoints: (args) => this.#set('data', () => dataPoints(args.objects('breakpoints'))),
    setExceptionBreakpoints: (args) =>
      this.#set('exceptions', () => exceptionPoints(args.texts('filters'), args.objects('filterOptions'))),
    dataBreakpointInfo: (args) => look.dataBreakpointInfo(this.#open, args, () => this.#frame(args)),

    continue: (_, task) => this.#run('forward', task),
    reverseContinue: (_, task) => this.#run('back', task),
    next: (args, task) => this.#step(args, { direction: 'forward', over: true }, task),
    stepIn: (args, task) => this.#step(args, { direction: 'forward', over: false }, task),
    stepBack: (args, task) => this.#step(args, { direction: 'back', over: true }, task),
    stepOut: (args, task) => this.#out(args, 'forward', task),
    pause: () => {
      if (!this.#motion) return undefined;
      this.#motion.paused = true;
      this.#motion.abort.abort();
      return undefined;
    },

    // Beyond the protocol: what it has no words for.
    'chronovisor/stepBackInto': (args, task) => this.#step(args, { direction: 'back', over: false }, task),
    'chronovisor/stepBackOut': (args, task) => this.#out(args, 'back', task),
    'chronovisor/when': async () => {
      const [{ position, timeNs, hart }, { end, live, trace }] = await Promise.all([
        this.#open.session.where(),
        this.#open.session.info(),
      ]);
      return { position, end, timeNs, hart, live, trace };
    },
    'chronovisor/branch': (args, task) => this.#branch(args, task),
    'chronovisor/type': async (args) => {
      await this.#open.session.type(new TextEncoder().encode(args.text('text')));
      return undefined;
    },
    'chronovisor/display': (args, task) => {
      this.#open.variables.hexadecimal = args.flag('hexadecimal');
      task.afterwards = () => this.#tell('invalidated', { areas: ['variables'] });
      return undefined;
    },
    'chronovisor/tasks': (args, task) => {
      const { linux } = this.#open;
      if (!linux) throw noLinux();
      linux.tasksShown = args.flag('on');
      task.afterwards = () => this.#tell('invalidated', { areas: ['threads'] });
      return undefined;
    },
    'chronovisor/seek': async (args, task) =>
      this.#goTo(await parsePlace(this.#open.session, args.textOrWhole('position', '')), 'goto', task),
    'chronovisor/runTo': (args, task) => this.#runTo(args, task),
    'chronovisor/change': (args, task) => this.#toChange(args, task),
    ...viewRequests(
      () => this.#open,
      (event, body) => this.#tell(event, body),
    ),
  };

  async #attach(args: Arguments, task: Task): Promise<undefined> {
    if (this.#debuggee) throw new UserError('a trace is open already');
    this.#entry = args.textOrWhole('stopAt', 'panic');
    const debuggee = await Debuggee.open(this.#host, args, (...what) => this.#told(...what), this.#tell);
    this.#debuggee = debuggee;
    // A guest that lives is entered where it stands.
    if (debuggee.recorded) this.#entry = 'entry';
    debuggee.whenSymbolsChange = () => this.#resetBreakpoints(debuggee, debuggee);
    await debuggee.settle();
    task.afterwards = () => this.#tell('initialized');
  }

  async #launch(args: Arguments, task: Task): Promise<undefined> {
    if (this.#debuggee) throw new UserError('a trace is open already');
    await this.#begin(args, null);
    task.afterwards = () => this.#tell('initialized');
  }

  /** Begins a recording, and takes over the breakpoints of the one before. */
  async #begin(args: Arguments, before: Debuggee | null): Promise<void> {
    this.#entry = args.choice('stopAt', LIVE_ENTRIES, 'panic');
    const debuggee = await Debuggee.launch(this.#host, args, before !== null, this.#tell);
    this.#debuggee = debuggee;
    debuggee.whenSymbolsChange = () => this.#resetBreakpoints(debuggee, debuggee);
    this.#launched = args;
    if (before) {
      debuggee.showAs(before);
      await this.#resetBreakpoints(debuggee, before);
    }
    await debuggee.settle();
    this.#tell('output', { category: 'console', output: `recording to ${debuggee.recorded?.path}\n` });
  }

  async #resetBreakpoints(debuggee: Debuggee, before: Debuggee): Promise<void> {
    for (const [group, wanted] of this.#groups) {
      for (const breakpoint of await debuggee.breakpoints.setAgain(group, wanted(debuggee), before.breakpoints)) {
        this.#tell('breakpoint', { reason: 'changed', breakpoint });
      }
    }
  }

  /** The guest lives on from a position, as a recording of its own, and debugging goes on there. */
  async #branch(args: Arguments, task: Task): Promise<object> {
    const before = this.#open;
    const { event } = before.variables.now;
    const { position, hart } = event;
    const at = args.has('position') ? await parsePlace(before.session, args.textOrWhole('position', '')) : position;
    await this.#alone(before, async () => {
      const debuggee = await before.branch(this.#host, at, args, this.#tell);
      this.#debuggee = debuggee;
      debuggee.whenSymbolsChange = () => this.#resetBreakpoints(debuggee, debuggee);
      debuggee.showAs(before);
      await this.#resetBreakpoints(debuggee, before);
      await before.recorded?.finish();
      await before.close();
    });
    this.#exception = null;
    const trace = this.#open.recorded!.path;
    task.afterwards = () => {
      this.#continued(event);
      this.#tell('output', { category: 'console', output: `the guest lives on from here: recording to ${trace}\n` });
      this.#stopped({ reason: 'goto', description: 'A branch: the guest lives on from here' }, hart);
    };
    return { trace };
  }

  /** The recording ends, and another one begins; its configuration may be a new one. */
  async #restart(args: Arguments, task: Task): Promise<undefined> {
    const before = this.#open;
    const launched = args.has('arguments') ? args.object('arguments') : this.#launched!;
    await this.#halt();
    this.#debuggee = null;
    await before.close();
    await before.recorded?.finish();
    try {
      await this.#begin(launched, before);
    } catch (error) {
      task.afterwards = () => this.#tell('terminated');
      throw error;
    }
    return this.#enter(task);
  }

  /** The first movement of a recording, from position 0. */
  #enterLive(task: Task): undefined {
    const entry = this.#entry;
    const motion = { title: 'Running', reason: entry === 'entry' ? 'entry' : 'pause', hart: null };
    if (entry === 'entry') {
      this.#move(task, motion, async ({ session }) => ({ event: await session.where(), breakpoints: [] }));
      return undefined;
    }
    const until = entry === 'panic' ? PANIC : [];
    this.#move(task, { ...motion, resumable: true }, async (traveller) => {
      const arrival = await run(traveller, 'forward', until);
      this.#exception = arrival.event.hits.find(({ stop }) => stop < 0) ?? null;
      return arrival;
    });
    return undefined;
  }

  /** To the place where the trace is entered. One without a panic is entered at its end. */
  async #enter(task: Task): Promise<undefined> {
    const { session, recorded } = this.#open;
    if (recorded) return this.#enterLive(task);
    const { end } = await session.info();
    const panic = this.#entry === 'panic';
    const position = panic ? end : await parsePlace(session, this.#entry);
    this.#move(task, { title: 'Opening the trace', reason: 'entry', hart: null }, async ({ control }) => {
      let event = await session.seek(position, control);
      if (panic && event.reason === 'done') {
        const found = await session.run({ direction: 'back', until: PANIC, untilOnly: true, ...control });
        event = found.reason === 'stop' ? found : await session.seek(end, control);
        if (found.reason !== 'stop') return { event, breakpoints: [] };
        this.#exception = found.hits[0];
      }
      return { event: { ...event, reason: event.reason === 'stop' ? 'done' : event.reason }, breakpoints: [] };
    });
    return undefined;
  }

  #goTo(position: number, reason: string, task: Task): undefined {
    const { session } = this.#open;
    this.#move(task, { title: 'Going there', reason, hart: null }, async ({ control }) => ({
      event: await session.seek(position, control),
      breakpoints: [],
    }));
  }

  #run(direction: Direction, task: Task): object {
    this.#move(task, { title: 'Running', reason: 'pause', hart: null, resumable: true }, (t) => run(t, direction));
    return { allThreadsContinued: true };
  }

  #step(args: Arguments, how: Pick<StepKind, 'direction' | 'over'>, task: Task): undefined {
    const granularity = args.choice('granularity', ['statement', 'line', 'instruction'], 'line');
    const asked = this.#stepping(args);
    this.#move(task, { title: 'Stepping', reason: 'step', hart: asked }, async (t) => {
      const hart = asked ?? (await hartOfTurn(t, how.direction));
      return step(t, { ...how, hart, granularity });
    });
  }

  #out(args: Arguments, direction: Direction, task: Task): undefined {
    const asked = this.#stepping(args);
    this.#move(task, { title: 'Stepping out', reason: 'step', hart: asked }, async (traveller) => {
      const arrival = await stepOut(traveller, direction, asked ?? (await hartOfTurn(traveller, direction)));
      if (arrival) return arrival;
      this.#tell('output', { category: 'important', output: 'the outermost frame has no caller\n' });
      return { event: await traveller.session.where(), breakpoints: [] };
    });
  }

  /** To a line of a file, whichever way. */
  #runTo(args: Arguments, task: Task): undefined {
    const { symbols, sources } = this.#open;
    const direction = args.choice('direction', ['forward', 'back'], 'forward');
    const [path, line] = [args.object('source').text('path'), args.whole('line', undefined, 1)];
    const locations = sources.known(path).flatMap((file) => lineLocations(symbols, file, line));
    if (locations.length === 0) throw new UserError(`${path}: there is no code on line ${line}, or after it`);
    const until = locations.map(({ address }) => ({ kind: 'breakpoint', address }) as const);
    this.#move(task, { title: 'Running', reason: 'goto', hart: null, resumable: true }, (t) =>
      run(t, direction, until),
    );
  }

  /** To the next or the previous change of an expression's value. */
  async #toChange(args: Arguments, task: Task): Promise<undefined> {
    const direction = args.choice('direction', ['forward', 'back'], 'forward');
    const what = await watchedBy(this.#open.variables.now, this.#frame(args), args.text('expression'));
    const stop =
      'register' in what
        ? ({ kind: 'register', register: what.register } as const)
        : ({
            kind: 'watch',
            access: 'change',
            address: what.address,
            length: what.bytes,
            ...(what.space === undefined ? {} : { space: what.space }),
          } as const);
    this.#move(task, { title: 'Looking for a change', reason: 'goto', hart: null }, (t) => run(t, direction, [stop]));
  }

  /** Begins a movement, which goes on after the request has been answered; a `stopped` event tells its end. */
  #move(
    task: Task,
    {
      title,
      reason,
      hart,
      resumable = false,
    }: { title: string; reason: string; hart: number | null; resumable?: boolean },
    work: Work,
  ): void {
    const debuggee = this.#open;
    if (this.#motion) throw new UserError(RUNNING);
    const from = debuggee.variables.now.event;
    debuggee.variables.enter(null);
    this.#exception = null;
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = () => {
        if (!task.moves) this.#continued(from);
        resolve();
      };
    });
    const motion: Motion = {
      abort: new AbortController(),
      interludes: [],
      resumable,
      paused: false,
      quiet: false,
      done: begun
        .then(() => this.#travel(debuggee, title, work, motion))
        .then((arrival) => this.#arrived(debuggee, motion, arrival, { reason, hart })),
    };
    this.#motion = motion;
    task.afterwards = begin;
  }

  /** Moves, with breaks for what must be done where the machine stands. */
  async #travel(debuggee: Debuggee, title: string, work: Work, motion: Motion): Promise<Arrival | Error> {
    for (;;) {
      const arrival = await this.#told(title, motion.abort, async (control) => {
        const { session, symbols, breakpoints } = debuggee;
        const judge: Traveller['judge'] = (hits, moment) => debuggee.judge(hits, moment, this.#tell);
        return work({ session, symbols, breakpoints, judge, control });
      }).catch((error: Error) => error);
      const waited = motion.interludes.length > 0;
      for (const interlude of motion.interludes.splice(0)) await interlude();
      const cancelled = !(arrival instanceof Error) && arrival.event.reason === 'cancelled';
      if (!waited || !cancelled || motion.paused) return arrival;
      motion.abort = new AbortController();
    }
  }

  async #arrived(
    debuggee: Debuggee,
    motion: Motion,
    arrival: Arrival | Error,
    asked: { reason: string; hart: number | null },
  ): Promise<void> {
    // Between the last look and now, somebody may have come to wait.
    for (const interlude of motion.interludes.splice(0)) await interlude();
    this.#motion = null;
    if (motion.quiet) return;
    try {
      const { event } = await debuggee.settle();
      if (arrival instanceof Error) {
        this.#tell('output', { category: 'important', output: `${messageOf(arrival)}\n` });
        this.#stopped({ reason: 'pause', description: 'Failed', text: messageOf(arrival) }, asked.hart ?? event.hart);
      } else this.#tellArrival(arrival, asked);
    } catch (error) {
      this.#tell('output', { category: 'important', output: `${messageOf(error)}\n` });
      this.#tell('terminated');
    }
  }

  #tellArrival({ event, breakpoints }: Arrival, asked: { reason: string; hart: number | null }): void {
    const { reason, hits } = event;
    if (breakpoints.length > 0) {
      const first = breakpoints[0];
      const hit = hits.find(({ stop }) => first.stops.includes(stop));
      const told = { reason: first.wanted.reason, hitBreakpointIds: breakpoints.map(({ id }) => id) };
      const isException = first.wanted.reason === 'exception';
      if (isException) this.#exception = hit ?? null;
      const text = isException && hit ? { text: look.exceptionText(hit) } : {};
      this.#stopped({ ...told, ...text }, hit?.hart ?? event.hart);
      return;
    }
    const ended = this.#open.recorded?.ended ?? null;
    const ends = {
      begin: 'Beginning of the trace',
      end: ended === null ? 'End of the trace' : `End of the recording: ${ended}`,
      cancelled: 'Paused',
    };
    if (reason === 'begin' || reason === 'end' || reason === 'cancelled') {
      this.#stopped({ reason: 'pause', description: ends[reason] }, asked.hart ?? event.hart);
      return;
    }
    const panic = this.#exception ? { text: look.exceptionText(this.#exception) } : {};
    // The panic that a recording was run to is no place that was asked for.
    const why = reason === 'stop' && this.#exception ? 'exception' : asked.reason;
    this.#stopped({ reason: why, ...panic }, asked.hart ?? event.hart);
  }

  /** The machine moves, though nothing that the client asked for says so by itself. */
  #continued({ hart }: { readonly hart: number }): void {
    this.#tell('continued', { threadId: hart + 1, allThreadsContinued: true });
  }

  #stopped(body: { reason: string; description?: string; text?: string }, hart: number): void {
    const { variables, recorded } = this.#open;
    const { position, timeNs } = variables.now.event;
    this.#tell('stopped', { ...body, threadId: hart + 1, allThreadsStopped: true });
    this.#tell('chronovisor/position', { position, timeNs, live: recorded !== null && recorded.ended === null });
  }

  /** Does something long, of which the client is told, and which it can cancel. */
  async #told<T>(title: string, abort: AbortController, work: (control: Control) => Promise<T>): Promise<T> {
    const id = `progress ${++this.#progressCount}`;
    this.#progress.set(id, abort);
    const told = progressOf(this.#tell, id, title, abort.signal);
    try {
      return await work(told.control);
    } finally {
      this.#progress.delete(id);
      told.end();
    }
  }

  /** Sets a group of breakpoints, in the middle of a run if there is one. */
  #set(group: string, wanted: (debuggee: Debuggee) => Wanted[]): Promise<object> {
    const debuggee = this.#open;
    const points = wanted(debuggee);
    this.#groups.set(group, wanted);
    const set = async () => ({ breakpoints: await debuggee.breakpoints.set(group, points) });
    const motion = this.#motion;
    const work = async () => {
      if (!motion || motion !== this.#motion) return set();
      if (!motion.resumable) return motion.done.then(set);
      return new Promise<object>((resolve, reject) => {
        motion.interludes.push(() => set().then(resolve, reject));
        motion.abort.abort();
      });
    };
    const result = this.#setting.then(work, work);
    this.#setting = result;
    return result;
  }

  /** A machine whose state can be changed. */
  #mustLive(): Debuggee {
    const debuggee = this.#open;
    if (debuggee.recorded?.ended !== null) throw new UserError(UNCHANGEABLE);
    return debuggee;
  }

  /** Gives an expression another value; the answer shows it. */
  async #setValue(frame: FrameReference, expression: string, value: string, args: Arguments, task: Task) {
    const { variables } = this.#mustLive();
    await this.#change(task, await changeOf(variables.now, frame, expression, value));
    const { name: _, ...shown } = await variables.evaluate(expression, frame, args.object('format').flag('hex'));
    return shown;
  }

  async #writeMemory(args: Arguments, task: Task): Promise<object> {
    const { now } = this.#mustLive().variables;
    const { address, space } = args.place('memoryReference');
    const hart = space === undefined ? now.event.hart : now.hartIn(space);
    if (hart === undefined) throw new UserError('no hart uses these page tables now: their memory cannot be changed');
    const text = args.text('data');
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) throw new UserError("writeMemory: 'data' must be bytes in base64");
    if (bytes.length > 0) await this.#change(task, { kind: 'memory', hart, address, bytes });
    return { bytesWritten: bytes.length };
  }

  /** Changes the guest's state; what the client knows of it is over. */
  async #change(task: Task, change: StateChange): Promise<void> {
    const debuggee = this.#open;
    await this.#alone(debuggee, () => debuggee.session.change(change));
    task.afterwards = () => this.#tell('invalidated', { areas: ['all'] });
  }

  async #evaluate(args: Arguments, task: Task): Promise<object> {
    const debuggee = this.#open;
    const text = args.text('expression');
    const frame = this.#frame(args);
    if (args.text('context', '') === 'repl') {
      const result = await this.#command(debuggee, frame, text, task);
      if (result !== null) return { result, variablesReference: 0 };
      const assignment = ASSIGNMENT.exec(text);
      if (assignment) {
        const { value, ...rest } = await this.#setValue(frame, assignment[1], assignment[2], args, task);
        return { result: value, ...rest };
      }
    }
    const {
      name: _,
      value,
      ...rest
    } = await debuggee.variables.evaluate(text, frame, args.object('format').flag('hex'));
    return { result: value, ...rest };
  }

  /** What a console command says; null if the text is none. */
  async #command(debuggee: Debuggee, frame: FrameReference, text: string, task: Task): Promise<string | null> {
    const abort = new AbortController();
    const forward = () => abort.abort();
    task.signal.addEventListener('abort', forward, { once: true });
    const { session, symbols, variables } = debuggee;
    return this.#told(text, abort, (control) => {
      const console: Console = {
        session,
        symbols,
        control,
        tell: this.#tell,
        linux: variables.now.linux,
        seek: (position) => this.#seekNow(debuggee, position, control),
        watched: (expression) => watchedBy(variables.now, frame, expression),
        hartIn: (space) => (space === undefined ? variables.now.event.hart : variables.now.hartIn(space)),
      };
      return runCommand(console, text);
    });
  }

  /** Goes to a position within a request. */
  async #seekNow(debuggee: Debuggee, position: number, control: Control): Promise<void> {
    if (this.#motion) throw new UserError(RUNNING);
    this.#exception = null;
    this.#continued(debuggee.variables.now.event);
    try {
      await this.#alone(debuggee, () => debuggee.session.seek(position, control));
    } finally {
      this.#stopped({ reason: 'goto' }, debuggee.variables.now.event.hart);
    }
  }

  /** Does something with the machine within a request, while nobody else moves it. */
  async #alone(debuggee: Debuggee, work: () => Promise<unknown>): Promise<void> {
    if (this.#motion) throw new UserError(RUNNING);
    let finish = () => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const abort = new AbortController();
    this.#motion = { abort, interludes: [], resumable: false, paused: false, quiet: false, done };
    debuggee.variables.enter(null);
    try {
      await work();
    } finally {
      await (this.#debuggee ?? debuggee).settle();
      this.#motion = null;
      finish();
    }
  }
}

/** What the client is told of an error. One that is no fault of the client's says so. */
function messageOf(error: unknown): string {
  if (error instanceof UserError || error instanceof Divergence) return error.message;
  const { name, message } = error as Error;
  if (name === 'Unavailable') return message;
  return `${message} (this is a bug of Chronovisor, not of yours)`;
}
