/**
 * The only door through which something from outside reaches the machine. A recorder stands at it and writes down what
 * passes; a replayer hands the same back.
 */

/** Entered by the run loop, at a position. */
export type PushedInput =
  /** Bytes typed at a console, for the device of that name. */
  | { kind: 'console'; device: string; data: Uint8Array }
  /** From here on virtual time is `timeNs` plus `psPerStep` a step: the host's clock was read, or idle was skipped. */
  | { kind: 'clock'; timeNs: number; psPerStep: number }
  /** An operator's command. */
  | { kind: 'command'; command: 'power-off' | 'reset' }
  | Change;

/** An operator changes the guest's state, by no step of a hart. It belongs to the state of its position, which other inputs follow. */
export type Change =
  /** Bytes of RAM from a physical address on. */
  | { kind: 'memory'; address: number; data: Uint8Array }
  /** 64 bits, unsigned; names are those of `registers` of the processor. */
  | { kind: 'register'; hart: number; register: string; value: bigint };

export const isChange = (input: Input): input is Change => input.kind === 'memory' || input.kind === 'register';

/** Bytes of one change of memory at most. */
export const CHANGE_BYTES_MAX = 2 ** 20;

/** A hart's turn: so many steps, unless it gives up before. */
export interface Turn {
  readonly hart: number;
  readonly steps: number;
}

/** Steps of a turn at most. */
export const TURN_STEPS_MAX = 2 ** 30;

/** Asked for by the machine, most of them in mid-step; the answer is part of the input. */
export type PulledInput =
  | { kind: 'entropy'; device: string; data: Uint8Array }
  /** A 4 KiB block of an outside disk image, on its first read. */
  | { kind: 'block'; disk: number; block: number; data: Uint8Array }
  /** Whose turn it is from this position on, where the schedule is drawn. */
  | ({ kind: 'turn' } & Turn);

export type Input = PushedInput | PulledInput;

/** The pulling half of the door: what the machine asks of the outside. Answers must come at once. */
export interface InputSource {
  entropy(device: string, length: number): Uint8Array;
  /** Always 4096 bytes; the part past the end of the image is zero. */
  block(disk: number, block: number): Uint8Array;
  /** Present where the schedule is drawn. `runnable` has a bit for each hart that may be given the turn; more than none. */
  turn?(runnable: number): Turn;
}
