/**
 * Probes: what somebody asks the machine to look out for while it runs. They are no part of its state: positions, digests and whatever
 * the guest can see are the same with and without them, and a snapshot neither holds them nor takes them away.
 *
 * Addresses and register values are unsigned 64-bit numbers; lengths are bytes; positions are steps.
 */

/** Bytes of memory whose accesses are reported, if they touch at least one of them. */
export interface AccessProbe {
  /** `virtual`: accesses of harts through these virtual addresses, in any address space. `physical`: whoever makes them. */
  readonly space: 'virtual' | 'physical';
  readonly address: bigint;
  /** At least 1; the range does not wrap around. */
  readonly length: number;
  readonly read: boolean;
  readonly write: boolean;
}

/** A register whose changes are reported, by the name that the processor gives it (see `Processor.watchable`). */
export interface RegisterProbe {
  readonly hart: number;
  readonly name: string;
}

/** All that is to be looked out for. What is left out is not. */
export interface ProbeSet {
  /** Virtual addresses of instructions, in any address space and privilege. */
  readonly execute?: readonly bigint[];
  /** Physical addresses of instructions, wherever they are mapped. */
  readonly executePhysical?: readonly bigint[];
  readonly accesses?: readonly AccessProbe[];
  /** Exceptions taken: all, or those with these causes (0 to 63). Environment calls that trap are among them. */
  readonly traps?: boolean | ReadonlySet<number>;
  /** Interrupts taken: all, or those with these causes. */
  readonly interrupts?: boolean | ReadonlySet<number>;
  /** Calls that the built-in firmware takes: all, or those of these SBI extensions. They are no traps. */
  readonly calls?: boolean | ReadonlySet<number>;
  readonly registers?: readonly RegisterProbe[];
}

/** A hart is about to execute an instruction: the machine is at `position`, the instruction is that position's step. */
export interface ExecuteEvent {
  readonly kind: 'execute';
  readonly position: number;
  readonly hart: number;
  readonly pc: bigint;
}

/**
 * Memory or a device's registers were accessed. One instruction may make several: an atomic operation reads and writes, an access that
 * crosses a page's end is one for each page, and the page tables' accessed and dirty bits are written on the way. Fetches and the
 * reading of page tables are not reported. A store-conditional that fails writes nothing.
 */
export interface AccessEvent {
  readonly kind: 'access';
  readonly position: number;
  /** The hart, or null for a device. */
  readonly hart: number | null;
  /** Name of the device, or `firmware` for the built-in one; null for a hart. */
  readonly device: string | null;
  /** Address of the hart's instruction; null for a device. */
  readonly pc: bigint | null;
  readonly write: boolean;
  /** Null for a device, and for page tables. */
  readonly virtual: bigint | null;
  readonly physical: bigint;
  readonly length: number;
}

export interface TrapEvent {
  readonly kind: 'trap' | 'interrupt';
  readonly position: number;
  readonly hart: number;
  /** Without the bit that tells an interrupt. */
  readonly cause: number;
  /** What the trap value register got. */
  readonly value: bigint;
  readonly epc: bigint;
  /** Privilege before: 0 user, 1 supervisor, 3 machine. */
  readonly privilege: number;
}

/** The built-in firmware has served a call. The registers hold its results by now. */
export interface CallEvent {
  readonly kind: 'sbi';
  readonly position: number;
  readonly hart: number;
  readonly pc: bigint;
  readonly extension: number;
  readonly fn: bigint;
  /** a0 to a5 as they were. */
  readonly args: readonly bigint[];
}

export interface RegisterEvent {
  readonly kind: 'register';
  readonly position: number;
  /** The register's hart; another one may have taken the step, or a device driven the line. */
  readonly hart: number;
  readonly name: string;
  readonly before: bigint;
  readonly after: bigint;
}

export type ProbeEvent = ExecuteEvent | AccessEvent | TrapEvent | CallEvent | RegisterEvent;

/**
 * Hears of each event; true makes `run` return a result of kind `probe`. It may read everything of the machine and change nothing, the
 * probes included.
 *
 * For `execute` it is called before the instruction, from the middle of a slice: the registers of that hart, its pc and the machine's position
 * are those of `event.position`. (Alarms and inputs of that position may have come already; a machine that has just been brought to a
 * position by running to it has not had them yet.)
 *
 * For everything else it is called when the step `event.position` is over: registers and memory are as the step left them, and the
 * machine is at `event.position + 1`. What an alarm or an input of a position does counts as a part of that position's step, and is reported with
 * it. All events of a step are reported, in the order in which they came about, even if one of them has asked to stop.
 */
export type ProbeListener = (event: ProbeEvent) => boolean;

/** What `machine.probes` offers. */
export interface MachineProbes {
  /**
   * Replaces what is looked out for; an empty set costs nothing. Not to be called by the listener. Throws a UserError for a register that
   * cannot be watched, an empty or wrapping range, or more than `PROBES_MAX` of a kind.
   */
  set(probes: ProbeSet, listener: ProbeListener): void;
  /** Looks out for nothing. */
  clear(): void;
  /** An `execute` event at exactly this position is not reported: set it to the machine's position to go on from a stop. */
  pass: number;
}

/** Bound of each list of a set: each may cost a comparison wherever one of its kind is looked at. */
export const PROBES_MAX = 1024;
