/**
 * What a timeline can stop at, as plain data that travels between threads.
 *
 * Each kind is an event of one step, the step from position p to p + 1. Running forward, a breakpoint stops at p, before its instruction, and
 * every other kind at p + 1, when the step is done. Running back, all of them stop at p: the machine is about to do what was looked for.
 */

/** An address space, as a value of satp: its page table root tells it from others, its ASID does not matter. */
export type AddressSpace = bigint;

interface Common {
  /** Only this hart; all of them without it. */
  readonly hart?: number;
  /**
   * An expression over the hart's registers and memory (see expression.ts); the event counts only where it is not 0. For a breakpoint it sees
   * the state before the instruction, for everything else the one after the step. Where it has no value, because memory is not mapped,
   * the event counts. The console and panics know no conditions.
   */
  readonly condition?: string;
  /** So many events are passed over first, in whichever direction the timeline runs; 0 without it. */
  readonly ignore?: number;
  /** Goes away with the first stop that it makes. */
  readonly once?: boolean;
}

/** The instruction at an address is about to be executed. */
export interface BreakpointSpec extends Common {
  readonly kind: 'breakpoint';
  readonly address: bigint;
  /** The address is physical. */
  readonly physical?: boolean;
  readonly space?: AddressSpace;
}

/**
 * Memory is read or written.
 *
 * `read`, `write`, `access`: by this virtual address, whatever it is mapped to, in one address space or in any; or to these physical bytes, by
 * whichever address and by devices, too.
 *
 * `change`: the bytes have another value after the step, whoever wrote them. A virtual address of the lower half is followed through the page
 * tables of its address space, so that another mapping is a change, too; where nothing is mapped the bytes are taken for zeros. One of the upper
 * half, where kernels live, means the memory that it is mapped to where the stop was set. Without `space` it is that of the hart whose turn it
 * is where the stop was set.
 */
export interface WatchSpec extends Common {
  readonly kind: 'watch';
  readonly access: 'read' | 'write' | 'access' | 'change';
  readonly address: bigint;
  /** Bytes, at least 1. */
  readonly length: number;
  readonly physical?: boolean;
  readonly space?: AddressSpace;
}

/** A register or CSR gets another value: such as `a0`, `x10`, `ft0`, `satp`; not `pc`. */
export interface RegisterSpec extends Common {
  readonly kind: 'register';
  readonly register: string;
}

/** An exception is taken; `causes` are codes of scause, all of them without it. */
export interface TrapSpec extends Common {
  readonly kind: 'trap';
  readonly causes?: readonly number[];
}

export interface InterruptSpec extends Common {
  readonly kind: 'interrupt';
  readonly causes?: readonly number[];
}

/** An environment call of user mode; `numbers` are values of a7. */
export interface SyscallSpec extends Common {
  readonly kind: 'syscall';
  readonly numbers?: readonly number[];
}

/** An environment call of the supervisor, to whichever firmware; `extensions` are values of a7, `functions` of a6. */
export interface SbiSpec extends Common {
  readonly kind: 'sbi';
  readonly extensions?: readonly number[];
  readonly functions?: readonly number[];
}

/** The step that sends the last byte of a text to the console. */
export interface ConsoleSpec extends Common {
  readonly kind: 'console';
  readonly text: string;
}

/** The guest says that it has failed: a kernel's panic message on the console (see console-log.ts). */
export interface PanicSpec extends Common {
  readonly kind: 'panic';
}

export type StopSpec =
  | BreakpointSpec
  | WatchSpec
  | RegisterSpec
  | TrapSpec
  | InterruptSpec
  | SyscallSpec
  | SbiSpec
  | ConsoleSpec
  | PanicSpec;

/** An event that a stop was looking for. */
export interface Hit {
  /** Number of the stop. */
  readonly stop: number;
  /** Position before the step. */
  readonly position: number;
  readonly hart: number;
  readonly pc: bigint;
  /** What was accessed, trapped or called: see the kind. */
  readonly detail?: HitDetail;
}

export interface HitDetail {
  /** Of an access: where, as the stop names it (virtual or physical), how many bytes, which way, and the device if no hart made it. */
  readonly address?: bigint;
  readonly length?: number;
  readonly access?: 'read' | 'write';
  readonly device?: string;
  /** An operator changed it, between two steps: no hart did, and `hart` is that of a register. Only answers to questions have such. */
  readonly byHand?: true;
  /** Of a change of memory (little-endian; ranges of up to 8 bytes) or of a register: before and after. */
  readonly before?: bigint;
  readonly after?: bigint;
  /** Of a trap or interrupt: the code, and what the trap value register got. */
  readonly cause?: number;
  readonly value?: bigint;
  /** Of a system call: a7. Of an SBI call: extension and function. */
  readonly number?: number;
  readonly function?: number;
  /** Of the console and of a panic. */
  readonly text?: string;
}
