/** The console of a guest that lives, told to the client: what comes within a moment is told together. */
import type { Tell } from './protocol.ts';

const GATHER_MS = 40;
const GATHER_CHARACTERS = 2 ** 16;
const NEWLINE = 0x0a;

/** A stretch of the console's text, and where it began: a line, or what there is of one. */
interface Run {
  readonly position: number;
  readonly timeNs: number;
  text: string;
}

export class ConsoleFeed {
  readonly #tell: Tell;
  readonly #decoder = new TextDecoder();
  #runs: Run[] = [];
  #characters = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  add(data: Uint8Array, position: number, timeNs: number): void {
    for (let from = 0; from < data.length; ) {
      const newline = data.indexOf(NEWLINE, from);
      const to = newline < 0 ? data.length : newline + 1;
      const text = this.#decoder.decode(data.subarray(from, to), { stream: true });
      const last = this.#runs.at(-1);
      if (last && !last.text.endsWith('\n')) last.text += text;
      else if (text !== '') this.#runs.push({ position, timeNs, text });
      this.#characters += text.length;
      from = to;
    }
    if (this.#characters >= GATHER_CHARACTERS) this.flush();
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }

  /** Tells what has come. */
  flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#runs.length === 0) return;
    const runs = this.#runs;
    this.#runs = [];
    this.#characters = 0;
    const { position, timeNs } = runs[0];
    const output = runs.map(({ text }) => text).join('');
    this.#tell('output', { category: 'stdout', output, data: { position, timeNs } });
    this.#tell('chronovisor/console', { runs });
  }
}
