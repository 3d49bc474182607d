/**
 * What a device is, and all that it sees of the machine. A device knows its own register offsets, its interrupt line,
 * virtual time and guest memory; never the CPU, another device, or the host.
 */
import type { StateIO } from '../base/state.ts';

/** Bytes of one register access. The bus splits 8-byte accesses into two of 4, the low half first. */
export type AccessSize = 1 | 2 | 4;

export interface Device {
  /** Unique on the board, such as `uart0`; names the part of the machine state and appears in messages. */
  readonly name: string;
  /** Reads a register. The result is unsigned and fits `size` bytes. */
  read(offset: number, size: AccessSize): number;
  /** Writes a register; `value` is unsigned and fits `size` bytes. */
  write(offset: number, size: AccessSize, value: number): void;
  /** Passes the whole state of the device through `s` (see base/state). */
  sync(s: StateIO): void;
  /** Bytes of input that `receive` would take now. */
  readonly room?: number;
  /** Takes an input that arrived from outside, such as console bytes. */
  receive?(data: Uint8Array): void;
}

/** A level-triggered interrupt line. */
export interface InterruptLine {
  set(level: boolean): void;
}

/** A one-shot alarm in virtual time. Its deadline is state of the device that owns it: pass it through `sync`. */
export interface Alarm {
  /** Virtual time at which it fires, in ns; Infinity while it is off. */
  readonly deadline: number;
  /** Sets (or with Infinity clears) the deadline; one in the past fires at the next step. */
  set(deadline: number): void;
}

/** Guest-physical memory as a bus master sees it. Addresses are JS numbers. */
export interface GuestMemory {
  /** True if every byte of the range is RAM. The other methods throw an AssertionError where it is not. */
  contains(address: number, length: number): boolean;
  read(address: number, length: number): Uint8Array;
  write(address: number, bytes: Uint8Array): void;
  u8(address: number): number;
  u16(address: number): number;
  u32(address: number): number;
  /** Low 53 bits only matter for addresses: values of 2^53 and more lose their low bits. */
  u64(address: number): number;
  setU8(address: number, value: number): void;
  setU16(address: number, value: number): void;
  setU32(address: number, value: number): void;
}

/**
 * Storage of a disk in blocks of 4 KiB, inside the machine (the frame pool): copy-on-write over an outside image whose
 * blocks enter as inputs on their first read.
 */
export interface DiskStorage {
  /** Size in bytes, a multiple of 512. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Both throw an AssertionError outside 0..size. */
  read(offset: number, length: number): Uint8Array;
  write(offset: number, bytes: Uint8Array): void;
}

/** What the board hands a device when it is made. */
export interface DeviceHost {
  /** Virtual time in ns, a whole number. */
  now(): number;
  alarm(fire: () => void): Alarm;
  readonly irq: InterruptLine;
  readonly memory: GuestMemory;
  /** Sends bytes to the outside, such as the text of a console. */
  emit(data: Uint8Array): void;
  /** Random bytes from outside: an input. */
  entropy(length: number): Uint8Array;
  /** Asks the machine to stop after this step. */
  stop(reason: StopRequest): void;
}

export type StopRequest = { kind: 'power-off'; exitCode: number } | { kind: 'reboot' };
