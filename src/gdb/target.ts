/**
 * What the protocol needs of a machine that can go both ways. Nothing here knows packets; nothing on the other side knows gdb. What is
 * optional a client is told about, and its absence is answered as gdb expects it.
 */

export type Direction = 'forward' | 'back';

/** Where to stop. A point is identified by the object: stops give back the very one that was handed in. */
export type Point = Breakpoint | Watchpoint;

interface Common {
  /**
   * The event counts if one of these is not 0, or cannot be evaluated; always if there are none. Each is an expression in gdb's bytecode (see
   * agent.ts).
   */
  readonly conditions: readonly Uint8Array[];
}

export interface Breakpoint extends Common {
  readonly kind: 'breakpoint';
  /** gdb's word for how it is made; here both are the same. */
  readonly how: 'software' | 'hardware';
  /** Virtual, in whichever address space runs. */
  readonly address: bigint;
}

export interface Watchpoint extends Common {
  readonly kind: 'watchpoint';
  /** `write`: the value changes. gdb passes over writes that leave it as it was. */
  readonly access: 'write' | 'read' | 'access';
  readonly address: bigint;
  /** Bytes, at least 1. */
  readonly length: number;
}

export interface Motion {
  readonly direction: Direction;
  /** One instruction of a hart; all instructions of a hart with `start <= pc < end`; or on until something stops it. */
  readonly how:
    | { readonly kind: 'step'; readonly hart: number }
    | { readonly kind: 'range'; readonly hart: number; readonly start: bigint; readonly end: bigint }
    | { readonly kind: 'continue' };
  readonly points: readonly Point[];
}

/** Where the machine stands, and why. */
export type Stop = { readonly hart: number } & (
  | { readonly reason: 'done' }
  | { readonly reason: 'breakpoint'; readonly point: Breakpoint }
  /**
   * An access of the watched bytes at `address`. It is not done yet, in the direction of the motion: forward, the machine stands before the
   * instruction; going back, behind it. So gdb expects it of RISC-V, and takes the one step itself.
   */
  | { readonly reason: 'watchpoint'; readonly point: Watchpoint; readonly address: bigint }
  /** The first and the last position there is. */
  | { readonly reason: 'begin' }
  | { readonly reason: 'end' }
  | { readonly reason: 'interrupted' }
);

/** Receives text for the person at gdb. */
export type Print = (text: string) => void;

/** What cannot be done, in a sentence for the person at gdb. */
export class TargetError extends Error {
  override name = 'TargetError';
}

export interface GdbTarget {
  readonly harts: number;
  /** Names of the control registers, as gdb has them. */
  readonly csrs: readonly string[];

  /** Where the machine stands now. */
  where(): Promise<Stop>;
  /** Values of all registers of a hart, by gdb's names (see registers.ts). */
  registers(hart: number): Promise<ReadonlyMap<string, bigint>>;
  /** Virtual memory as a hart sees it: as many bytes as can be read from the address on, none if there is nothing. */
  memory(hart: number, address: bigint, length: number): Promise<Uint8Array>;
  /** Moves until it is done or stopped. The signal ends it soon, with reason `interrupted`. */
  resume(motion: Motion, print: Print, signal: AbortSignal): Promise<Stop>;
  /** One line about a hart: what it does. */
  describe(hart: number): Promise<string>;

  /** Sets a register by its name, or memory. Refused with a `UserError`, but for a machine that lives, at the end of what is recorded. */
  setRegister?(hart: number, name: string, value: bigint): Promise<void>;
  setMemory?(hart: number, address: bigint, bytes: Uint8Array): Promise<void>;
  /** Goes to the beginning, or to the place that `run ARGUMENTS` names. */
  restart?(args: readonly string[], signal: AbortSignal): Promise<Stop>;
  /** A command of the person at gdb (`monitor ...`). */
  monitor?(command: string, print: Print, signal: AbortSignal): Promise<void>;
}
