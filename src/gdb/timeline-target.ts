/** A timeline as gdb wants it: its stops, steps and registers in gdb's terms. */
import { parsePlace } from '../debugger/place.ts';
import type { DebugSession, HartRegisters, Hit, StopEvent, StopSpec } from '../debugger/session.ts';
import { expressionOf } from './agent.ts';
import { runMonitorCommand } from './monitor.ts';
import { progressPrinter } from './progress.ts';
import { expressionName, F_NAMES, registerList, X_NAMES } from './registers.ts';
import type { GdbTarget, Motion, Point, Print, Stop, Watchpoint } from './target.ts';

export class TimelineTarget implements GdbTarget {
  readonly harts: number;
  readonly csrs: readonly string[];
  readonly #session: DebugSession;
  /** Names that expressions have for registers, by number. */
  readonly #names: readonly (string | null)[];
  /** The session's stops for the points of the last motion. */
  #set: { readonly id: number; readonly point: Point }[] = [];

  static async open(session: DebugSession): Promise<TimelineTarget> {
    const { harts } = await session.info();
    return new TimelineTarget(session, harts, Object.keys((await session.registers(0)).csrs));
  }

  constructor(session: DebugSession, harts: number, csrs: readonly string[]) {
    this.#session = session;
    this.harts = harts;
    this.csrs = csrs;
    this.#names = registerList(csrs).map(expressionName);
  }

  async where(): Promise<Stop> {
    return this.#plain(await this.#session.where());
  }

  async registers(hart: number): Promise<ReadonlyMap<string, bigint>> {
    const [values, { position }] = await Promise.all([this.#session.registers(hart), this.#session.where()]);
    return namedValues(values, position);
  }

  async memory(hart: number, address: bigint, length: number): Promise<Uint8Array> {
    const { bytes, readable } = await this.#session.memory({ hart, address, length });
    const first = readable[0];
    return first?.from === 0 ? bytes.subarray(0, first.to) : new Uint8Array(0);
  }

  setRegister(hart: number, register: string, value: bigint): Promise<void> {
    return this.#session.change({ kind: 'register', hart, register, value });
  }

  setMemory(hart: number, address: bigint, bytes: Uint8Array): Promise<void> {
    return this.#session.change({ kind: 'memory', hart, address, bytes });
  }

  async describe(hart: number): Promise<string> {
    const { privilege, state } = (await this.#session.harts())[hart];
    return `${PRIVILEGES[privilege]}, ${STATES[state]}`;
  }

  async restart(args: readonly string[], signal: AbortSignal): Promise<Stop> {
    const position = args.length === 0 ? 0 : await parsePlace(this.#session, args.join(' '));
    return this.#plain(await this.#session.seek(position, { signal }));
  }

  monitor(command: string, print: Print, signal: AbortSignal): Promise<void> {
    return runMonitorCommand(this.#session, command, print, signal);
  }

  async resume(motion: Motion, print: Print, signal: AbortSignal): Promise<Stop> {
    await this.#place(motion.points);
    const { direction, how } = motion;
    const control = { direction, signal, progress: progressPrinter(print) };
    const stops = motion.points.length > 0;
    const event =
      how.kind === 'continue'
        ? await this.#session.run(control)
        : await this.#session.step({
            ...control,
            stops,
            hart: how.hart,
            ...(how.kind === 'range' ? { range: { start: how.start, end: how.end } } : {}),
          });
    return event.reason === 'stop' ? this.#atHit(motion, event) : this.#plain(event);
  }

  /** Sets the session's stops to these points. From one motion to the next they are mostly the same. */
  async #place(points: readonly Point[]): Promise<void> {
    const kept = this.#set.filter(({ point }) => points.includes(point));
    for (const { id, point } of this.#set) if (!points.includes(point)) await this.#session.removeStop(id);
    this.#set = kept;
    for (const point of points) {
      if (kept.some((known) => known.point === point)) continue;
      this.#set.push({ id: await this.#session.addStop(this.#stopSpec(point)), point });
    }
  }

  #stopSpec(point: Point): StopSpec {
    const conditions = point.conditions.map((code) => expressionOf(code, (number) => this.#names[number] ?? null));
    // One that cannot be put so is left to gdb, which looks at each hit itself: then every event counts.
    const condition =
      conditions.length === 0 || conditions.includes(null) ? {} : { condition: conditions.join(' || ') };
    const common = { address: point.address, ...condition };
    if (point.kind === 'breakpoint') return { kind: 'breakpoint', ...common };
    const access = point.access === 'write' ? 'change' : point.access;
    return { kind: 'watch', access, length: point.length, ...common };
  }

  /**
   * The stop that gdb is told of, where the session found some. Forward, a breakpoint comes before what its instruction does; going
   * back, after it.
   */
  async #atHit({ direction }: Motion, event: StopEvent): Promise<Stop> {
    const found = event.hits.flatMap((hit) => {
      const point = this.#set.find(({ id }) => id === hit.stop)?.point;
      return point ? [{ hit, point }] : [];
    });
    const breakpoint = found.find(({ point }) => point.kind === 'breakpoint');
    const watchpoint = found.find(({ point }) => point.kind === 'watchpoint');
    const chosen = direction === 'forward' ? (breakpoint ?? watchpoint) : (watchpoint ?? breakpoint);
    if (!chosen) return this.#plain(event);
    const { hit, point } = chosen;
    if (point.kind === 'breakpoint') return { reason: 'breakpoint', hart: hit.hart, point };
    return this.#beforeAccess(direction === 'forward' ? hit.position : hit.position + 1, hit, point);
  }

  /** gdb takes RISC-V's watchpoints to stop before the access: the one step over it, in its direction, is gdb's. */
  async #beforeAccess(position: number, hit: Hit, point: Watchpoint): Promise<Stop> {
    await this.#session.seek(position);
    const address = hit.detail?.address ?? point.address;
    return { reason: 'watchpoint', hart: hit.hart, point, address: address > point.address ? address : point.address };
  }

  #plain({ reason, hart }: StopEvent): Stop {
    switch (reason) {
      case 'begin':
      case 'end':
        return { reason, hart };
      case 'cancelled':
        return { reason: 'interrupted', hart };
      case 'done':
      case 'stop':
        return { reason: 'done', hart };
    }
  }
}

const PRIVILEGES = { U: 'user mode', S: 'supervisor mode', M: 'machine mode' } as const;
const STATES = {
  running: 'has the turn',
  ready: 'waits for its turn',
  waiting: 'waits for an interrupt',
  stopped: 'stopped by the firmware',
} as const;
const PRIVILEGE_NUMBERS = { U: 0n, S: 1n, M: 3n } as const;

function namedValues(values: HartRegisters, position: number): ReadonlyMap<string, bigint> {
  const { fcsr } = values;
  return new Map<string, bigint>([
    ...X_NAMES.map((name, n) => [name, values.x[n]] as const),
    ['pc', values.pc],
    ...F_NAMES.map((name, n) => [name, values.f[n]] as const),
    ...Object.entries(values.csrs),
    ['fflags', BigInt(fcsr & 0x1f)],
    ['frm', BigInt((fcsr >> 5) & 7)],
    ['fcsr', BigInt(fcsr)],
    ['priv', PRIVILEGE_NUMBERS[values.privilege]],
    ['position', BigInt(position)],
  ]);
}
