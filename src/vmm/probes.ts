/**
 * Probes: what somebody asks the machine to look out for while it runs. They are no part of its state: positions, digests and whatever
 * the guest can see are the same with and without them, and a snapshot neither holds them nor takes them away.
 *
 * Addresses and register values are unsigned 64-bit numbers; lengths are bytes; positions are steps.
 */
import { assert, UserError } from '../base/assert.ts';

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

/** A register whose changes are reported, by the name that the processor gives it (see riscv/watchable.ts). */
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

/** Bound of each list of a set: each may cost a comparison wherever one of its kind is looked at. */
export const PROBES_MAX = 512;

/** What happens in the middle of a step; it gets its position when the step is over. */
export type StepEvent = Exclude<ProbeEvent, ExecuteEvent>;
/** The position of a step that is not over. */
export const PRESENT_STEP = -1;

/** What probes need of the processor. */
export interface ProbeTarget {
  /** Looks out for these from now on, and for nothing else. Throws a UserError for a register that it does not know. */
  setProbes(probes: ProbeSet): void;
  /** What watched registers hold now is what they were. */
  restartProbes(): void;
  /** Ends the running slice after its present step. */
  leaveSlice(): void;
}

interface PhysicalRange extends AccessProbe {
  readonly first: number;
  readonly last: number;
}

/** The machine's probes. */
export class Probes {
  /** An `execute` event at exactly this position is not reported: set it to the machine's position to go on from a stop. */
  pass = -1;
  /** Whoever compares values is told that they were changed by no step. */
  changed: (() => void) | null = null;
  #listener: ProbeListener = () => false;
  #target: ProbeTarget | null = null;
  /** Ranges whose accesses by devices are reported. */
  #physical: readonly PhysicalRange[] = [];
  #pending: { position: number }[] & StepEvent[] = [];
  #stopped = false;
  #telling = false;

  /**
   * Replaces what is looked out for; an empty set costs nothing. Throws a UserError for a register that cannot be watched, an address or
   * range outside the 64-bit address space, or more than PROBES_MAX of a kind; the probes are then as they were before.
   */
  set(probes: ProbeSet, listener: ProbeListener): void {
    assert(this.#target && !this.#telling, 'probes are set from outside, not by their listener');
    checkSet(probes);
    this.#target.setProbes(probes);
    this.#listener = listener;
    this.#physical = (probes.accesses ?? [])
      .filter(({ space }) => space === 'physical')
      .map((range) => ({ ...range, first: Number(range.address), last: Number(range.address) + range.length - 1 }));
  }

  /** Looks out for nothing. */
  clear(): void {
    this.set({}, () => false);
    this.changed = null;
    this.#pending = [];
  }

  /** The processor says where it can be told. */
  attach(target: ProbeTarget): void {
    this.#target = target;
  }

  /** Something happened in the present step: the slice ends with it, and the listener hears of it then. */
  note(event: StepEvent): void {
    this.#pending.push(event);
    this.#target?.leaveSlice();
  }

  /** Events wait for their step to be over. */
  get pending(): boolean {
    return this.#pending.length > 0;
  }

  /** A device reads or writes guest memory. */
  deviceAccess(device: string, write: boolean, address: number, length: number): void {
    for (const { first, last, read, write: writes } of this.#physical) {
      if (!(write ? writes : read) || address > last || address + length <= first) continue;
      const nobody = { hart: null, pc: null, virtual: null } as const;
      const physical = BigInt(address);
      this.note({ kind: 'access', position: PRESENT_STEP, ...nobody, device, write, physical, length });
      return;
    }
  }

  /** A hart is about to execute a probed instruction; true if it is to stop. */
  execute(position: number, hart: number, pc: bigint): boolean {
    if (position === this.pass) return false;
    if (this.#tell({ kind: 'execute', position, hart, pc })) this.#stopped = true;
    return this.#stopped;
  }

  /** After a slice; `step` is the last step that it took, if it took any. True if the listener has asked to stop. */
  afterSlice(step: number | null): boolean {
    if (step !== null && this.#pending.length > 0) {
      const events = this.#pending;
      this.#pending = [];
      for (const event of events) {
        event.position = step;
        if (this.#tell(event)) this.#stopped = true;
      }
    }
    const stopped = this.#stopped;
    this.#stopped = false;
    return stopped;
  }

  /** Memory or registers were changed by no step: what they hold now is what they were. */
  restart(): void {
    this.#target?.restartProbes();
    this.changed?.();
  }

  /** The machine was taken elsewhere: the step that events waited for will not be over. */
  forget(): void {
    this.#pending = [];
    this.#stopped = false;
  }

  #tell(event: ProbeEvent): boolean {
    this.#telling = true;
    try {
      return this.#listener(event);
    } finally {
      this.#telling = false;
    }
  }
}

const ADDRESS_MAX = 2n ** 64n - 1n;

function checkSet({ execute = [], executePhysical = [], accesses = [], traps, interrupts, registers = [] }: ProbeSet) {
  for (const list of [execute, executePhysical, accesses, registers]) {
    if (list.length > PROBES_MAX)
      throw new UserError(`${list.length} probes of a kind; at most ${PROBES_MAX} can be set`);
  }
  const hex = (address: bigint) => `0x${address.toString(16)}`;
  for (const address of [...execute, ...executePhysical]) {
    if (address < 0n || address > ADDRESS_MAX) throw new UserError(`${hex(address)} is no 64-bit address`);
  }
  for (const { address, length } of accesses) {
    const valid = Number.isSafeInteger(length) && length > 0;
    if (!valid || address < 0n || address + BigInt(length) - 1n > ADDRESS_MAX) {
      throw new UserError(`${length} bytes at ${hex(address)} are no range of 64-bit addresses`);
    }
  }
  for (const causes of [traps, interrupts]) {
    if (typeof causes !== 'object') continue;
    for (const cause of causes) {
      if (!Number.isInteger(cause) || cause < 0 || cause > 63)
        throw new UserError(`cause ${cause} is not one of 0 to 63`);
    }
  }
}
