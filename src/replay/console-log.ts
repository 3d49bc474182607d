/** What the guest's console showed, and when: read from the trace once, searched without replaying anything. */
import { firstAbove } from '../base/search.ts';
import { PANIC_TEXTS } from '../recorder/panic.ts';
import type { TraceReader } from '../trace/index.ts';

export interface ConsoleMatch {
  /** Position before the step that sent the last byte of what was looked for; of a line, the first. */
  readonly position: number;
  readonly text: string;
}

export interface ConsoleText {
  /** Whether the first line of the recording is there. */
  readonly whole: boolean;
  /** With the position before the step that sent the first byte. */
  readonly lines: readonly ConsoleMatch[];
  readonly shown: { readonly lines: number; readonly characters: number };
}

const NEWLINE = 10;
/** What is longer no person reads. */
const LINE_BYTES_MAX = 4096;

export class ConsoleLog {
  readonly #bytes: Buffer;
  /** By run: offset of its first byte, and the position at which it was sent. */
  readonly #offsets: number[] = [];
  readonly #positions: number[] = [];

  constructor(trace: TraceReader) {
    const { console: device } = trace.header.machine;
    const pieces: Uint8Array[] = [];
    let length = 0;
    for (const run of trace.consoleOutput(0, trace.replayableTo)) {
      if (run.device !== device) continue;
      pieces.push(run.bytes);
      this.#offsets.push(length);
      this.#positions.push(run.position);
      length += run.bytes.length;
    }
    this.#bytes = Buffer.concat(pieces);
  }

  /** The last bytes, at most so many, that had been sent when the machine came to a position. */
  before(position: number, bytesMax: number): Uint8Array {
    const end = this.#offsetOf(position);
    return new Uint8Array(this.#bytes.subarray(Math.max(0, end - bytesMax), end));
  }

  /** Where a text was completed in `from <= position < to`, ascending. */
  find(text: string, from: number, to: number): ConsoleMatch[] {
    const wanted = Buffer.from(text);
    const matches: ConsoleMatch[] = [];
    const end = this.#offsetOf(to);
    let at = Math.max(0, this.#offsetOf(from) - wanted.length + 1);
    for (;;) {
      at = this.#bytes.indexOf(wanted, at);
      if (at < 0 || at + wanted.length > end) return matches;
      const position = this.#positionOf(at + wanted.length - 1);
      if (position >= from) matches.push({ position, text });
      at++;
    }
  }

  /** Where the guest said that it had failed, ascending. */
  findPanics(from: number, to: number): ConsoleMatch[] {
    const found = PANIC_TEXTS.flatMap((text) => this.find(text, from, to));
    return found.map(({ position, text }) => ({ position, text: text.trim() })).sort((a, b) => a.position - b.position);
  }

  /** Lines whose first byte was sent in `from <= position < to`, without what ends them. */
  *lines(from: number, to: number): Generator<ConsoleMatch> {
    const end = this.#offsetOf(to);
    let at = this.#offsetOf(from);
    if (at > 0 && this.#bytes[at - 1] !== NEWLINE) at = this.#lineAfter(at);
    for (; at < end; at = this.#lineAfter(at)) yield this.#line(at);
  }

  /**
   * The last lines of the whole recording, with no more bytes than that, and how much of them had been sent when the machine came to a position: whole lines, and characters of
   * the line after them.
   */
  around(position: number, bytesMax: number): ConsoleText {
    const cut = Math.max(0, this.#bytes.length - bytesMax);
    const begin = cut === 0 ? 0 : this.#lineAfter(cut);
    const now = this.#offsetOf(position);
    const lines: ConsoleMatch[] = [];
    let shown = { lines: 0, characters: 0 };
    for (let at = begin; at < this.#bytes.length; ) {
      const next = this.#lineAfter(at);
      if (next <= now) shown = { lines: shown.lines + 1, characters: 0 };
      else if (at < now) shown = { ...shown, characters: this.#bytes.toString('utf8', at, now).length };
      lines.push(this.#line(at));
      at = next;
    }
    return { whole: begin === 0, lines, shown };
  }

  #line(at: number): ConsoleMatch {
    const end = Math.min(this.#lineAfter(at), at + LINE_BYTES_MAX);
    return { position: this.#positionOf(at), text: this.#bytes.toString('utf8', at, end).replace(/\r*\n$/, '') };
  }

  /** Where the next line begins. */
  #lineAfter(offset: number): number {
    const newline = this.#bytes.indexOf(NEWLINE, offset);
    return newline < 0 ? this.#bytes.length : newline + 1;
  }

  /** Bytes sent by steps before a position. */
  #offsetOf(position: number): number {
    const run = firstAbove(this.#positions, position - 1);
    return run === this.#offsets.length ? this.#bytes.length : this.#offsets[run];
  }

  #positionOf(offset: number): number {
    return this.#positions[firstAbove(this.#offsets, offset) - 1];
  }
}
