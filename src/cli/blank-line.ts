/**
 * Whether a terminal's cursor stands on an empty line, told by what was written to it. There, and only there, something can be shown and
 * taken away again without harm to the text around it.
 */

const ESC = 0x1b;
/** Final bytes of control sequences (ECMA-48) that leave the cursor, or text, where following lines cannot tell. */
const MOVES = new Set([...'ABEFHLMSTdfrsu'].map((c) => c.charCodeAt(0)));
/** Single characters after ESC that leave the cursor and all text as they were: the keypad's modes. */
const HARMLESS = new Set([...'=>'].map((c) => c.charCodeAt(0)));

type Mode = 'text' | 'escape' | 'designation' | 'control' | 'string';

export class BlankLine {
  readonly #rows: () => number;
  #mode: Mode = 'text';
  #empty = true;
  /** Line feeds until a cursor that was moved about is surely below all text. */
  #unsure = 0;

  constructor(rows: () => number) {
    this.#rows = rows;
  }

  /** The cursor stands at the beginning of a line that is empty. */
  get blank(): boolean {
    return this.#mode === 'text' && this.#empty && this.#unsure === 0;
  }

  /** As far as text goes: the last line that was written has ended. */
  get atStart(): boolean {
    return this.#empty;
  }

  add(data: Uint8Array): void {
    for (const byte of data) this.#byte(byte);
  }

  #byte(byte: number): void {
    switch (this.#mode) {
      case 'text':
        this.#text(byte);
        break;
      case 'escape':
        this.#escape(byte);
        break;
      case 'designation':
        this.#mode = 'text';
        break;
      case 'control':
        if (byte < 0x40 || byte > 0x7e) break;
        if (MOVES.has(byte)) this.#moved();
        this.#mode = 'text';
        break;
      case 'string':
        // Ends with BEL, or with ESC and a backslash.
        if (byte === 7) this.#mode = 'text';
        else if (byte === ESC) this.#mode = 'designation';
        break;
    }
  }

  #text(byte: number): void {
    if (byte === ESC) this.#mode = 'escape';
    else if (byte === 10) {
      this.#empty = true;
      if (this.#unsure > 0) this.#unsure--;
    } else if (byte >= 32 || byte === 9) this.#empty = false;
  }

  #escape(byte: number): void {
    if (byte === 0x5b) this.#mode = 'control';
    else if (byte === 0x5d || byte === 0x50 || byte === 0x5f || byte === 0x5e) this.#mode = 'string';
    else if (byte >= 0x28 && byte <= 0x2f) this.#mode = 'designation';
    else {
      if (!HARMLESS.has(byte)) this.#moved();
      this.#mode = 'text';
    }
  }

  #moved(): void {
    this.#unsure = this.#rows();
  }
}
