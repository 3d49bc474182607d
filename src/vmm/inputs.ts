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
  | { kind: 'command'; command: 'power-off' | 'reset' };

/** Asked for by the machine in mid-step; the answer is part of the input. */
export type PulledInput =
  | { kind: 'entropy'; device: string; data: Uint8Array }
  /** A 4 KiB block of an outside disk image, on its first read. */
  | { kind: 'block'; disk: number; block: number; data: Uint8Array };

export type Input = PushedInput | PulledInput;

/** The pulling half of the door: what the machine asks of the outside. Answers must come at once. */
export interface InputSource {
  entropy(device: string, length: number): Uint8Array;
  /** Always 4096 bytes; the part past the end of the image is zero. */
  block(disk: number, block: number): Uint8Array;
}
