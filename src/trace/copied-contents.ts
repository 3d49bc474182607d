/** Page contents of one trace on their way into another, where each is stored once, under a number of its own. */
import { ABSENT, FIRST_CONTENT, ZERO } from './changes.ts';
import type { TraceReader } from './reader.ts';

export class CopiedContents {
  readonly #trace: TraceReader;
  /** By the number that a content has in the old trace: the one in the new. */
  readonly #numbers = new Map<number, number>([
    [ABSENT, ABSENT],
    [ZERO, ZERO],
  ]);
  #next = FIRST_CONTENT;

  constructor(trace: TraceReader) {
    this.#trace = trace;
  }

  /** Numbers in the new trace, of contents by their numbers in the old one. `fresh` gets those that have not come before, in the order of their new numbers. */
  renumber(refs: Int32Array, fresh: (content: Uint8Array) => void): Int32Array {
    const first = [...new Set(refs)].filter((ref) => !this.#numbers.has(ref)).sort((a, b) => a - b);
    this.#trace.readContents(first, (i, content) => {
      this.#numbers.set(first[i], this.#next++);
      fresh(content);
    });
    return refs.map((ref) => this.#numbers.get(ref)!);
  }
}
