/** What the adapter needs of the computer that it runs on, and of the one who carries its messages. */
import type { DebugSession } from '../debugger/session.ts';
import type { GuestFiles } from '../linux/index.ts';
import type { Symbols } from '../symbols/index.ts';
import type { Arguments } from './arguments.ts';

/** What cannot be opened is a `UserError`. */
export interface Host {
  /** What is done in the background takes less of the computer than what a person waits for. */
  openTrace(path: string, purpose: 'person' | 'background'): Promise<DebugSession>;
  /** Files as `FILE` or `FILE@ADDRESS`: moved so that it begins at the address. */
  openSymbols(files: readonly string[]): Symbols;
  /** Symbols of the kernel that is to be recorded; null if its file can have none. */
  kernelSymbols(path: string): Symbols | null;
  /** Files of what runs in a guest, beside the kernel with this file: modules from folders, and programs by name. */
  guestFiles(options: { kernel: string; moduleFolders: readonly string[]; programs: readonly string[] }): GuestFiles;
  /** Begins a recording. `again`: of what was recorded before. */
  launch(args: Arguments, again: boolean, hooks: LaunchHooks): Promise<Recorded>;
  /** Takes up a guest again that is recorded to this trace, and that a client left to itself; null if there is none. It stands still. */
  adopt(trace: string, hooks: LaunchHooks): Promise<Recorded | null>;
  /** Begins a recording that goes on from a position of another one. */
  branch(trunk: string, at: number, args: Arguments, hooks: LaunchHooks): Promise<Recorded>;
  exists(path: string): boolean;
}

export interface LaunchHooks {
  /** The guest sends bytes to its console. */
  console(data: Uint8Array): void;
  /** The machine is running, and has come to here. Called about ten times a second. */
  moved(position: number, timeNs: number): void;
}

/** A guest that is recorded. */
export interface Recorded {
  readonly session: DebugSession;
  /** The trace. */
  readonly path: string;
  /** Where the machine is, which may be ahead of the session. */
  readonly position: number;
  readonly timeNs: number;
  /** Why it is over; null while it lives. */
  readonly ended: string | null;
  /** Ends the guest's life, if it lives, and closes the trace. Not while it runs. */
  finish(): Promise<void>;
  /** Lets the guest live on by itself, with nobody to look at it. */
  release(): void;
}

/** Tells the client something that it did not ask for. */
export type Tell = (event: string, body?: object) => void;

/** What came of a request. */
export type Answer =
  | {
      readonly success: true;
      readonly body: object | undefined /** To be done when the client has the answer. */;
      readonly afterwards?: () => void;
    }
  | { readonly success: false; readonly message: string };
