/** What the extension and its pages, or the adapter, tell each other. */

/** An event of the guest's past that a person can go to. */
export interface Moment {
  readonly position: number;
  /** Guest time in ns, where it is known. */
  readonly timeNs: number | null;
  readonly hart: number | null;
  readonly text: string;
}

export interface Bookmark {
  readonly name: string;
  readonly position: number;
  readonly note: string;
}

/** Where a machine stands, and what a person has found in its recording. */
export interface Standing {
  readonly kind: 'standing';
  readonly position: number;
  readonly timeNs: number;
  readonly end: number;
  readonly running: boolean;
  readonly live: boolean;
  readonly hits: readonly Moment[];
  readonly moments: readonly Moment[];
  readonly bookmarks: readonly Bookmark[];
}

/** The answer of `chronovisor/consoleText`. */
export interface ConsoleText {
  readonly whole: boolean;
  readonly lines: readonly { readonly position: number; readonly text: string }[];
  readonly shown: { readonly lines: number; readonly characters: number };
}
