/** What the adapter needs of the computer that it runs on, and of the one who carries its messages. */
import type { DebugSession } from '../debugger/session.ts';
import type { Symbols } from '../symbols/index.ts';

/** What cannot be opened is a `UserError`. */
export interface Host {
  openTrace(path: string): Promise<DebugSession>;
  /** Files as `FILE` or `FILE@ADDRESS`: moved so that it begins at the address. */
  openSymbols(files: readonly string[]): Symbols;
  exists(path: string): boolean;
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
