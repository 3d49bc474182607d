/** Movements of the machine as a client asks for them: on until a breakpoint, and by lines, statements and instructions, both ways. */
import type { Control, DebugSession, Direction, Hit, StepOptions, StopEvent, StopSpec } from '../debugger/session.ts';
import { type Frame, inFile, inMemory, type Symbols } from '../symbols/index.ts';
import type { Breakpoint, Breakpoints } from './breakpoints.ts';
import { type Granularity, type Stretch, stretchAt } from './lines.ts';
import { Moment } from './moment.ts';

/** Where a movement came to. */
export interface Arrival {
  readonly event: StopEvent;
  /** The breakpoints that ended it; none if it did what it was asked for, or came to an end of the trace. */
  readonly breakpoints: readonly Breakpoint[];
}

/** Looks at hits as a person has asked for: conditions, counts, messages. Gives the breakpoints that shall end the movement. */
export type Judge = (hits: readonly Hit[], moment: Moment) => Promise<Breakpoint[]>;

export interface Traveller {
  readonly session: DebugSession;
  readonly symbols: Symbols;
  readonly breakpoints: Breakpoints;
  readonly judge: Judge;
  readonly control: Control;
}

/** A function at work: which one, and where its frame is on the stack. */
interface Place {
  readonly fn: string;
  /** The stack pointer before the call; it falls with every call that is made from there. */
  readonly cfa: bigint;
  readonly pc: bigint;
  readonly frame: Frame;
}

/** The function that a hart is in. */
interface Standing extends Place {
  /** Whether it is a program's, which traps lead out of. */
  readonly inProgram: boolean;
}

const SP = 2;
/** Steps of one movement by line; a line that takes more of them is left where it is. */
const STEPS_MAX = 1_000_000;

/** Room for tracing at the beginning of functions is no longer than this. */
const ROOM_BYTES = 64n;

const ended = ({ reason }: StopEvent) => reason !== 'done' && reason !== 'stop';

/** Runs until a breakpoint that counts, or one of `until`, is hit. */
export async function run(
  traveller: Traveller,
  direction: Direction,
  until: readonly StopSpec[] = [],
  limit?: number,
): Promise<Arrival> {
  const { session, breakpoints: all, control } = traveller;
  for (;;) {
    const counted = all.passing();
    const passing = counted.map(({ stops, hits }) => ({ stops, hits }));
    const event = await session.run({
      direction,
      until,
      passing,
      ...control,
      ...(limit === undefined ? {} : { limit }),
    });
    event.passed?.forEach((hits, i) => {
      counted[i].breakpoint.hits += hits;
    });
    if (event.reason !== 'stop') return { event, breakpoints: [] };
    const breakpoints = await judged(traveller, event);
    if (breakpoints.length > 0 || event.hits.some(({ stop }) => stop < 0)) return { event, breakpoints };
    if (control.signal?.aborted) return { event: { ...event, reason: 'cancelled' }, breakpoints: [] };
  }
}

async function judged({ session, symbols, judge }: Traveller, { hits }: StopEvent): Promise<Breakpoint[]> {
  const own = hits.filter(({ stop }) => stop > 0);
  return own.length === 0 ? [] : judge(own, await Moment.of(session, symbols));
}

/** The hart that takes the machine's next step, or has taken its last one. */
export async function hartOfTurn({ session, control }: Traveller, direction: Direction): Promise<number> {
  const { position } = await session.where();
  const { hart } = await session.step({ direction, hart: 'machine', intoInterrupts: true, stops: false, ...control });
  await session.seek(position, control);
  return hart;
}

export interface StepKind {
  readonly direction: Direction;
  readonly hart: number;
  /** Calls are gone over as if they were one instruction. */
  readonly over: boolean;
  readonly granularity: Granularity | 'instruction';
}

export async function step(traveller: Traveller, kind: StepKind): Promise<Arrival> {
  if (kind.granularity === 'instruction') return instruction(traveller, kind);
  return new LineStep(traveller, kind, kind.granularity).take();
}

/** One instruction of a hart; with `over`, a call counts as one. */
async function instruction(traveller: Traveller, kind: StepKind): Promise<Arrival> {
  const { direction, hart, over } = kind;
  const level = over ? await placeOf(traveller, hart) : null;
  const arrival = await leg(traveller, { direction, hart, over });
  if (!level || !isInterrupted(arrival)) return arrival;
  const back = await backTo(traveller, kind, level);
  return back ?? { event: { ...(await traveller.session.where()), reason: 'done' }, breakpoints: [] };
}

/** A step that was stopped on its way by something that does not count. */
const isInterrupted = ({ event, breakpoints }: Arrival) => event.reason === 'stop' && breakpoints.length === 0;

/**
 * A step of the session. Taking it, the session sees little of what other harts do meanwhile, and of the memory that single instructions change: with
 * breakpoints, the same way is gone again with an eye on everything.
 */
async function leg(traveller: Traveller, options: StepOptions): Promise<Arrival> {
  const { session, symbols, breakpoints, judge, control } = traveller;
  const { direction, hart } = options;
  const { position: from } = await session.where();
  const event = await session.step({ ...options, ...control });
  if (!breakpoints.any || event.reason === 'cancelled' || event.position === from) return { event, breakpoints: [] };
  await session.seek(from, control);
  const arrival = await run(traveller, direction, [], event.position);
  if (arrival.breakpoints.length > 0 || arrival.event.reason === 'cancelled') return arrival;
  if (direction === 'back') return { event, breakpoints: [] };
  // Forward, the instruction that the machine comes to stand at is not on the way yet.
  const { state, pc } = (await session.harts())[Number(hart)];
  const stood =
    state === 'running'
      ? breakpoints.at(pc).map((stop) => ({ stop, position: event.position, hart: Number(hart), pc }))
      : [];
  const hits = event.reason === 'stop' ? event.hits.filter(({ position }) => position === event.position) : stood;
  const ending = hits.length > 0 ? await judge(hits, await Moment.of(session, symbols)) : [];
  return { event: ending.length > 0 ? { ...event, reason: 'stop', hits } : event, breakpoints: ending };
}

/** Out of what was called, to the frame that a step is in. Null once it is there. */
async function backTo(traveller: Traveller, { hart, direction }: StepKind, level: Place): Promise<Arrival | null> {
  const moment = await Moment.of(traveller.session, traveller.symbols);
  const { frames } = await moment.stack(hart, Number.MAX_SAFE_INTEGER);
  const places = await moment.settle(() => frames.map(placeOfFrame));
  const index = places.findIndex((place) => same(place, level));
  if (index <= 0 || places[index].frame.machine === frames[0].machine) return null;
  const { machine } = places[index].frame;
  const arrival = await returnTo(traveller, direction, machine.pc, machine.get(SP) ?? 0n, machine.exact);
  return arrival.breakpoints.length > 0 || ended(arrival.event) ? arrival : null;
}

const ECALL = 0x73n;

/**
 * Back into a program from a trap that it took, such as a system call or a missing page: as if the kernel took no time. Null if the hart is in no trap that was
 * taken from the program's frame.
 */
async function outOfTrap(
  traveller: Traveller,
  { hart, direction }: StepKind,
  level: Standing,
): Promise<Arrival | null> {
  if (!level.inProgram) return null;
  const { session, symbols } = traveller;
  const moment = await Moment.of(session, symbols);
  if (moment.harts[hart].privilege === 'U') return null;
  const { frames } = await moment.stack(hart, Number.MAX_SAFE_INTEGER);
  const places = await moment.settle(() => frames.map(placeOfFrame));
  const place = places.find((one) => one.frame.machine.method === 'trap frame' && same(one, level));
  if (!place) return null;
  const { machine } = place.frame;
  const isEcall = (address: bigint) =>
    moment.settle(() => littleEndian(machine.context.memory.read(address, 4) ?? new Uint8Array(4)) === ECALL);
  const { pc } = machine;
  // A system call goes on behind itself; anything else is tried again.
  const addresses =
    direction === 'forward'
      ? [(await isEcall(pc)) ? pc + 4n : pc]
      : [pc, ...((await isEcall(pc - 4n)) ? [pc - 4n] : [])];
  const condition = `sp == ${machine.get(SP) ?? 0n}`;
  const until = addresses.map((address) => ({ kind: 'breakpoint', address, condition }) as const);
  return run(traveller, direction, until);
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** On until the function of the innermost frame has returned; back, to the call that led into it. */
export async function stepOut(traveller: Traveller, direction: Direction, hart: number): Promise<Arrival | null> {
  const here = await placeOf(traveller, hart);
  if (here.frame.inlined)
    return new LineStep(traveller, { direction, hart, over: true, granularity: 'line' }, 'line').out();
  const { caller } = here.frame.machine;
  if (!caller) return null;
  return returnTo(traveller, direction, caller.pc, caller.get(SP) ?? here.cfa, caller.exact);
}

/** Leads to where a frame goes on once what it has called is done; back, to before the call. */
function returnTo(
  traveller: Traveller,
  direction: Direction,
  pc: bigint,
  sp: bigint,
  exact: boolean,
): Promise<Arrival> {
  const addresses = direction === 'forward' || exact ? [pc] : [pc - 4n, pc - 2n];
  const condition = `sp == ${sp}`;
  return run(
    traveller,
    direction,
    addresses.map((address) => ({ kind: 'breakpoint', address, condition })),
  );
}

/** Where the innermost frame of a hart is. */
async function placeOf({ session, symbols }: Traveller, hart: number): Promise<Standing> {
  const moment = await Moment.of(session, symbols);
  const frame = await moment.frame({ hart, index: 0 });
  // The caller, too, while memory is at hand.
  await moment.settle(() => frame.machine.caller?.pc);
  const place = await moment.settle(() => placeOfFrame(frame));
  return { ...place, inProgram: moment.harts[hart].privilege === 'U' };
}

function placeOfFrame(frame: Frame): Place {
  const { machine, symbolised } = frame;
  const symbol = symbolised?.symbol;
  const fn = symbol ? `${symbolised.module.file.name} ${machine.address - symbol.offset}` : 'unknown';
  return { fn, cfa: machine.cfa ?? machine.get(SP) ?? 0n, pc: machine.pc, frame };
}

/** One step by line or statement. */
class LineStep {
  readonly #traveller: Traveller;
  readonly #kind: StepKind;
  readonly #granularity: Granularity;
  #steps = 0;

  constructor(traveller: Traveller, kind: StepKind, granularity: Granularity) {
    this.#traveller = traveller;
    this.#kind = kind;
    this.#granularity = granularity;
  }

  async take(): Promise<Arrival> {
    const here = await placeOf(this.#traveller, this.#kind.hart);
    const stretch = this.#stretch(here.pc);
    // Where there are no lines, going by lines is going out of the function, or by instructions.
    if (!stretch) return instruction(this.#traveller, this.#kind);
    return this.#kind.direction === 'forward' ? this.#forward(here, stretch) : this.#back(here, stretch);
  }

  #stretch(pc: bigint): Stretch | null {
    return stretchAt(this.#traveller.symbols, pc, this.#granularity);
  }

  async #forward(from: Place, begin: Stretch): Promise<Arrival> {
    let stretch = begin;
    for (;;) {
      const arrival = await this.#within(stretch, stretch.start, this.#kind.over);
      if (this.#isOver(arrival)) return arrival;
      const here = await placeOf(this.#traveller, this.#kind.hart);
      if (!same(here, from)) {
        if (here.cfa >= from.cfa) return arrival;
        const entered = await this.#entered(here, arrival);
        if (entered) return entered;
        continue;
      }
      const now = this.#stretch(here.pc);
      if (!now) return arrival;
      const inside = this.#kind.over && this.#depth(here.pc) > this.#depth(from.pc);
      if (!inside && now.start === here.pc && now.statement && this.#isOther(now, begin)) return arrival;
      stretch = now;
    }
  }

  /** How many functions are inlined into one another there: calls of inlined ones are gone over, too. */
  #depth(pc: bigint): number {
    return this.#traveller.symbols.symbolise(pc)?.frames.length ?? 0;
  }

  /** Whether a stretch is another line, or by statements just another one. */
  #isOther(now: Stretch, begin: Stretch): boolean {
    return this.#granularity === 'statement' || now.line !== begin.line || now.path !== begin.path;
  }

  /** A function was stepped into: on to its first line; or out again if it has none. Null if the step goes on from there. */
  async #entered(here: Place, arrival: Arrival): Promise<Arrival | null> {
    const start = this.#kind.over ? null : this.#firstLine(here.pc);
    if (start === here.pc) return arrival;
    if (start !== null) {
      return run(this.#traveller, 'forward', [{ kind: 'breakpoint', address: start, hart: this.#kind.hart }]);
    }
    const { caller } = here.frame.machine;
    if (!caller) return arrival;
    const back = await returnTo(this.#traveller, 'forward', caller.pc, caller.get(SP) ?? here.cfa, caller.exact);
    return this.#isOver(back) ? back : null;
  }

  /**
   * Where a function that was entered at an address has its first line behind the prologue; null if it has none. Compilers leave room for tracing at the
   * beginning, which belongs to no line.
   */
  #firstLine(pc: bigint): bigint | null {
    const { symbols } = this.#traveller;
    const entered = symbols.symbolAt(pc);
    if (!entered) return null;
    const { module, symbol } = entered;
    // Somewhere in its middle it has been jumped to, not called.
    if (inMemory(module, symbol.address) !== pc) return this.#stretch(pc) ? pc : null;
    for (let at = pc; at < pc + ROOM_BYTES && at < pc + BigInt(symbol.size); at += 2n) {
      const fn = module.file.functionAt(inFile(module, at));
      if (fn && this.#stretch(at)) return inMemory(module, module.file.afterPrologue(fn, inFile(module, at)));
    }
    return null;
  }

  /** To the beginning of the line; from there, to the beginning of the one before. */
  async #back(from: Standing, begin: Stretch): Promise<Arrival> {
    let stretch = begin;
    let arrival: Arrival;
    if (from.pc === begin.start) {
      arrival = await instruction(this.#traveller, { ...this.#kind });
      if (this.#isOver(arrival)) return arrival;
      arrival = (await outOfTrap(this.#traveller, this.#kind, from)) ?? arrival;
      if (this.#isOver(arrival)) return arrival;
      let here = await placeOf(this.#traveller, this.#kind.hart);
      const { caller } = here.frame.machine;
      // What is before the first line of a function belongs to the call.
      if (!this.#stretch(here.pc) && here.fn === from.fn && caller) {
        arrival = await returnTo(this.#traveller, 'back', caller.pc, caller.get(SP) ?? here.cfa, caller.exact);
        if (this.#isOver(arrival)) return arrival;
        here = await placeOf(this.#traveller, this.#kind.hart);
      }
      const now = this.#stretch(here.pc);
      if (!now || here.pc === now.start) return arrival;
      stretch = now;
    }
    let level = await placeOf(this.#traveller, this.#kind.hart);
    let { over } = this.#kind;
    for (;;) {
      arrival = await this.#within(stretch, stretch.start + 1n, over);
      if (this.#isOver(arrival)) return arrival;
      const here = await placeOf(this.#traveller, this.#kind.hart);
      if (same(here, level)) {
        if (here.pc === stretch.start) return arrival;
        if (this.#stretch(here.pc)?.start === stretch.start) continue;
        // The line was come to by a jump: its first step was the one after this.
        return this.#again(arrival);
      }
      if (over || here.cfa >= level.cfa) return this.#again(arrival);
      // Into what was called, from its end.
      const now = this.#stretch(here.pc);
      if (!now) {
        const { caller } = here.frame.machine;
        if (!caller) return arrival;
        arrival = await returnTo(this.#traveller, 'back', caller.pc, caller.get(SP) ?? here.cfa, caller.exact);
        if (this.#isOver(arrival)) return arrival;
        continue;
      }
      if (here.pc === now.start) return arrival;
      [stretch, level, over] = [now, here, true];
    }
  }

  /** One instruction forward, after one back too many. */
  async #again(arrival: Arrival): Promise<Arrival> {
    const { session, control } = this.#traveller;
    if (arrival.event.reason !== 'done') return arrival;
    const event = await session.step({
      direction: 'forward',
      hart: this.#kind.hart,
      over: true,
      stops: false,
      ...control,
    });
    return { event, breakpoints: [] };
  }

  /** Steps as long as the pc is in a stretch, from `start` on. What a breakpoint that does not count interrupts goes on. */
  async #within({ end }: Stretch, start: bigint, over: boolean): Promise<Arrival> {
    const { session } = this.#traveller;
    const { direction, hart } = this.#kind;
    for (;;) {
      const level = await placeOf(this.#traveller, hart);
      const arrival = await leg(this.#traveller, { direction, hart, over, range: { start, end } });
      if (isInterrupted(arrival)) {
        const back = await backTo(this.#traveller, this.#kind, level);
        if (back) return back;
      } else {
        const out =
          arrival.breakpoints.length > 0 || ended(arrival.event)
            ? null
            : await outOfTrap(this.#traveller, this.#kind, level);
        if (!out) return arrival;
        if (out.breakpoints.length > 0 || ended(out.event)) return out;
      }
      const { pc } = (await session.harts())[hart];
      const event: StopEvent = { ...(await session.where()), reason: 'done', hart, pc, hits: [] };
      if (pc < start || pc >= end) return { event, breakpoints: [] };
    }
  }

  /** By lines until the inlined function of now is left. */
  async out(): Promise<Arrival> {
    const from = await placeOf(this.#traveller, this.#kind.hart);
    const fn = from.frame.code?.die;
    for (;;) {
      const arrival = await this.take();
      if (this.#isOver(arrival)) return arrival;
      const here = await placeOf(this.#traveller, this.#kind.hart);
      if (!same(here, from) || !fn) return arrival;
      const { frames } = await (await Moment.of(this.#traveller.session, this.#traveller.symbols)).stack(
        this.#kind.hart,
        STACK_INLINED_MAX,
      );
      if (!frames.some(({ code }) => code?.die.unit === fn.unit && code.die.index === fn.index)) return arrival;
    }
  }

  #isOver({ event, breakpoints }: Arrival): boolean {
    return (
      ended(event) || breakpoints.length > 0 || ++this.#steps >= STEPS_MAX || !!this.#traveller.control.signal?.aborted
    );
  }
}

/** Frames that are looked at for an inlined function: more are not inlined into one another. */
const STACK_INLINED_MAX = 64;

const same = (a: Place, b: Place) => a.fn === b.fn && a.cfa === b.cfa;
