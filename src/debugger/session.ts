/**
 * What every front end sees of a timeline: one session API for the command line, gdb's protocol and the Debug Adapter Protocol. It knows
 * no protocol. The engine runs in a thread of its own; requests are served in the order in which they are made.
 *
 * Long operations take an `AbortSignal` and end within 100 ms of its abort: a run forward stays where it has come to, everything else where it
 * began, and the stop event's reason is `cancelled`.
 */
import type { Call } from '../replay/calls.ts';
import type { ConsoleText } from '../replay/console-log.ts';
import type { Overview, OverviewSpec } from '../replay/overview.ts';
import type { AddressSpace, Hit, StopSpec } from '../replay/stop-spec.ts';

export type { Call } from '../replay/calls.ts';
export type { ConsoleText } from '../replay/console-log.ts';
export type * from '../replay/overview.ts';
export type * from '../replay/stop-spec.ts';

/** Why a machine that does not live cannot be changed. */
export const UNCHANGEABLE =
  'a recording cannot be changed; chronovisor/branch, or chronovisor branch, makes a machine that lives on from any position';

export interface SessionInfo {
  /** Name of the trace. */
  readonly trace: string;
  readonly harts: number;
  /** Guest-physical RAM. */
  readonly ramBase: bigint;
  readonly ramBytes: number;
  /** The last position; the first is 0. */
  readonly end: number;
  /** Device that the person's terminal is wired to. */
  readonly console: string;
  /** Whether the machine lives on from the last position when it is run forward. */
  readonly live: boolean;
}

export type Direction = 'forward' | 'back';

export type StopReason =
  /** A step or a seek did what was asked for. */
  | 'done'
  /** One or more stops: `hits` tells. */
  | 'stop'
  /** The first position of the trace. */
  | 'begin'
  /** The last position of the trace. */
  | 'end'
  | 'cancelled';

/** Where the timeline stands, and why. */
export interface StopEvent {
  readonly reason: StopReason;
  readonly position: number;
  /** Guest time in ns. */
  readonly timeNs: number;
  /** The hart that the stop is about: of the hit, of the step, or the one whose turn it is. */
  readonly hart: number;
  readonly pc: bigint;
  /** All stops that were hit by this step, with what they found. */
  readonly hits: readonly Hit[];
  /** Of each of `RunOptions.passing`, how many hits the run has passed over. */
  readonly passed?: readonly number[];
  /** What a step was waiting for when the trace ended; only of a trace whose machine lives. */
  readonly awaited?: Awaited;
}

/** So many hits of some stops, counted together, are passed over before one ends the run; Infinity: all of them, and nobody counts. */
export interface Passing {
  readonly stops: readonly number[];
  readonly hits: number;
}

export interface Awaited {
  readonly until: StopSpec;
  /** The step is done with it, or begins again there. */
  readonly after: 'done' | 'again';
}

export interface Progress {
  /** The position that the work has come to, and the range that it may have to go through. */
  readonly position: number;
  readonly from: number;
  readonly to: number;
  /** From 0 to 1, as far as it can be told. */
  readonly done: number;
}

export interface Control {
  readonly signal?: AbortSignal;
  /** Called at most ten times a second. */
  readonly progress?: (progress: Progress) => void;
}

export interface StepOptions extends Control {
  readonly direction: Direction;
  /** The hart whose step it is; `machine`: whichever hart's turn it is. */
  readonly hart: number | 'machine';
  /** Calls are stepped over as if they were one instruction. */
  readonly over?: boolean;
  /** Steps until the pc is outside of this range (a source line): `start <= pc < end`. With `over`, calls count as inside. */
  readonly range?: { readonly start: bigint; readonly end: bigint };
  /** Interrupts are stepped into; without it their handlers run as if they took no time. */
  readonly intoInterrupts?: boolean;
  /** Stops that are set end a step that comes by them; without it (false) none is looked at. Default true where more than one step is run. */
  readonly stops?: boolean;
}

export interface RunOptions extends Control {
  readonly direction: Direction;
  /** Stops for this run only, such as the caller's return address with a condition on sp: hits carry numbers -1, -2, ... */
  readonly until?: readonly StopSpec[];
  /** Only `until`, the ends, and nothing that was set. */
  readonly untilOnly?: boolean;
  readonly passing?: readonly Passing[];
  /** The run ends at this position at the latest, with reason `done`. */
  readonly limit?: number;
}

/** Values by name, 64 bits unsigned. Names are those of the ABI and of the privileged specification, lower case. */
export interface HartRegisters {
  readonly pc: bigint;
  /** x0 to x31 and f0 to f31. */
  readonly x: readonly bigint[];
  readonly f: readonly bigint[];
  readonly fcsr: number;
  /** `U`, `S` or `M`. */
  readonly privilege: 'U' | 'S' | 'M';
  readonly csrs: Readonly<Record<string, bigint>>;
}

export interface HartState {
  readonly hart: number;
  readonly pc: bigint;
  readonly privilege: 'U' | 'S' | 'M';
  /** The page tables that it uses, as a value of satp; 0 for none. */
  readonly satp: bigint;
  /** What it does: its turn, ready for one, waits for an interrupt (WFI), or stopped by the firmware. */
  readonly state: 'running' | 'ready' | 'waiting' | 'stopped';
}

export interface MemoryRequest {
  readonly address: bigint;
  /** Bytes, at most 16 MiB. */
  readonly length: number;
  /** The address is physical; else it is the hart's virtual one. */
  readonly physical?: boolean;
  /** Default: the hart whose turn it is. */
  readonly hart?: number;
  /** Another address space than the hart's own. */
  readonly space?: AddressSpace;
}

/** A change of memory, by virtual addresses as a hart has them, or of a register by its name. */
export type StateChange =
  | { readonly kind: 'memory'; readonly hart: number; readonly address: bigint; readonly bytes: Uint8Array }
  | { readonly kind: 'register'; readonly hart: number; readonly register: string; readonly value: bigint };

export interface MemoryResult {
  /** As many bytes as were asked for; zeros where there is nothing. */
  readonly bytes: Uint8Array;
  /** Parts that could be read, ascending, as offsets: `from <= i < to`. */
  readonly readable: readonly { readonly from: number; readonly to: number }[];
}

export interface StopInfo {
  readonly id: number;
  readonly spec: StopSpec;
  readonly enabled: boolean;
  /** Times that it ended a run. */
  readonly hits: number;
}

export interface Bookmark {
  readonly name: string;
  readonly position: number;
  readonly note: string;
}

export type QuerySpec = {
  /** Events with `from <= position < to`; default: the whole trace. */
  readonly from?: number;
  readonly to?: number;
  readonly newestFirst?: boolean;
  readonly limit?: number;
} & (
  | {
      /** Every event of a stop, or of several: hits of a breakpoint, writers of an address, traps, system calls, console lines. */
      readonly kind: 'events';
      /** Of several none is of the console. */
      readonly stop: StopSpec | readonly StopSpec[];
      /** Expressions whose values each row has, from the state before the step. */
      readonly print?: readonly string[];
    }
  | {
      /** Calls of a function: arguments at its entry, and what it returned. */
      readonly kind: 'calls';
      readonly address: bigint;
      readonly space?: AddressSpace;
      readonly hart?: number;
      readonly print?: readonly string[];
    }
);

export interface QueryRow {
  /** The event; `stop` is the place of the stop among those asked for. */
  readonly hit: Hit;
  readonly timeNs: number;
  /** In the order of `print`; null where an expression cannot be evaluated. */
  readonly values: readonly (bigint | null)[];
  readonly call?: Call;
}

export interface DebugSession {
  info(): Promise<SessionInfo>;
  /** Where the timeline stands now. */
  where(): Promise<StopEvent>;

  seek(position: number, control?: Control): Promise<StopEvent>;
  step(options: StepOptions): Promise<StopEvent>;
  run(options: RunOptions): Promise<StopEvent>;

  harts(): Promise<HartState[]>;
  registers(hart: number): Promise<HartRegisters>;
  memory(request: MemoryRequest): Promise<MemoryResult>;
  /** Physical address of a hart's virtual one; null where nothing is mapped. */
  translate(hart: number, address: bigint): Promise<bigint | null>;
  /** Value of an expression (see replay/expression.ts); null where memory that it reads is not mapped. */
  evaluate(hart: number, expression: string): Promise<bigint | null>;
  /** What the guest has sent to the console so far: the last bytes, at most so many. */
  console(bytesMax: number): Promise<Uint8Array>;
  /** Types at the console of a live machine, which hears it as soon as it lives on; a UserError elsewhere. */
  type(data: Uint8Array): Promise<void>;
  /** Changes the state of a live machine, at the end; a UserError elsewhere, and for what cannot be changed. */
  change(change: StateChange): Promise<void>;

  /** The last lines of the console in the whole recording, at most so many bytes, and how much of them had been sent by now. */
  consoleText(bytesMax: number): Promise<ConsoleText>;
  /** What happened in a range, as far as the trace tells without a replay. Answered at once, also while the machine moves. */
  overview(spec: OverviewSpec): Promise<Overview>;

  /** The new stop's number, from 1 up. A spec that makes no sense is a UserError. */
  addStop(spec: StopSpec): Promise<number>;
  removeStop(id: number): Promise<void>;
  enableStop(id: number, enabled: boolean): Promise<void>;
  stops(): Promise<StopInfo[]>;

  /** Rows as they are found, in order; leaving the loop early, or the signal, ends the search. */
  query(spec: QuerySpec, control?: Control): AsyncIterable<QueryRow>;

  bookmarks(): Promise<Bookmark[]>;
  /** Sets or moves a bookmark. */
  setBookmark(bookmark: Bookmark): Promise<void>;
  removeBookmark(name: string): Promise<void>;

  close(): Promise<void>;
}
