/** What the machine asks of its harts, whatever their instruction set. */
import type { StateIO } from '../base/state.ts';

export interface Processor {
  readonly harts: number;
  /** True if the hart has something to execute now; asking wakes one whose interrupt has come. */
  runnable(hart: number): boolean;
  /** Runs a hart for at most `budget` steps; the clock's position moves on. True if the hart gave up the rest of its turn. */
  run(hart: number, budget: number, othersRunnable: boolean): boolean;
  /** The hart's turn is over. */
  endTurn(hart: number): void;
  /** Ends the running slice after its present step. */
  leaveSlice(): void;
  /** Brings timer interrupts up to date with virtual time. */
  updateTimers(): void;
  /** Virtual time in ns at which the hart's own timer fires next; Infinity if it is off. */
  timerDeadline(hart: number): number;
  /** A page of RAM was written by someone else than a hart. */
  pageWritten(page: number): void;
  /** Whether there is a register of this name that can be set. */
  settable(register: string): boolean;
  /** Sets it, as far as it can hold the value. */
  setRegister(hart: number, register: string, value: bigint): void;
  /** Forgets host addresses: those for writing are wrong after a snapshot, all of them after a restore. */
  dropHostAddresses(): void;
  /** Memory that decoded and compiled code takes, about. */
  readonly codeBytes: number;
  sync(s: StateIO): void;
}
