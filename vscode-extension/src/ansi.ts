/**
 * What a terminal would show of a line of a guest's console: colours and other renditions (ECMA-48, 8.3.117: SGR), and what moves the cursor within the line. All other control
 * sequences are left out. Knows nothing of web pages.
 */

export interface Style {
  /** A number of the palette of 256 colours, or `#rrggbb`; null is the terminal's own. */
  readonly color: number | string | null;
  readonly background: number | string | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
}

export const PLAIN: Style = {
  color: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
};

export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** Columns beyond this the cursor does not go. */
const COLUMNS_MAX = 4096;
const TAB = 8;

// CSI (9.): parameters, intermediates, final byte. OSC ends with BEL or ST. Others: intermediates and a final byte.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const SEQUENCE = /^\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\|$)|[ -/]*[0-~]|$)/;

/** A line as it looks, and the style that goes on after it. */
export function renderLine(text: string, begin: Style = PLAIN): { spans: Span[]; style: Style } {
  const line = new Line();
  let style = begin;
  for (let at = 0; at < text.length; ) {
    const rest = text[at] === '\x1b' ? SEQUENCE.exec(text.slice(at, at + SEQUENCE_MAX)) : null;
    if (rest) {
      at += rest[0].length;
      const [, parameters, final] = rest;
      if (final === 'm') style = rendition(style, parameters);
      else if (final) line.control(final, Number.parseInt(parameters, 10) || 0);
      continue;
    }
    const character = String.fromCodePoint(text.codePointAt(at)!);
    at += character.length;
    line.put(character, style);
  }
  return { spans: line.spans(), style };
}

const SEQUENCE_MAX = 256;

class Line {
  readonly #cells: Span[] = [];
  #column = 0;

  put(character: string, style: Style): void {
    if (character === '\r') this.#column = 0;
    else if (character === '\b') this.#column = Math.max(0, this.#column - 1);
    else if (character === '\t') {
      const to = Math.min(COLUMNS_MAX, (Math.floor(this.#column / TAB) + 1) * TAB);
      while (this.#column < to) this.#set(' ', style);
    } else if (character >= ' ' && character !== '\x7f') this.#set(character, style);
  }

  #set(text: string, style: Style): void {
    if (this.#column >= COLUMNS_MAX) return;
    while (this.#cells.length < this.#column) this.#cells.push({ text: ' ', style: PLAIN });
    this.#cells[this.#column++] = { text, style };
  }

  /** ECMA-48 8.3.20 CUF, 8.3.18 CUB, 8.3.9 CHA, 8.3.41 EL, 8.3.26 DCH. */
  control(final: string, n: number): void {
    if (final === 'C') this.#column = Math.min(COLUMNS_MAX, this.#column + Math.max(1, n));
    else if (final === 'D') this.#column = Math.max(0, this.#column - Math.max(1, n));
    else if (final === 'G') this.#column = Math.min(COLUMNS_MAX, Math.max(0, n - 1));
    else if (final === 'P') this.#cells.splice(this.#column, Math.max(1, n));
    else if (final === 'K') {
      if (n === 0) this.#cells.length = Math.min(this.#cells.length, this.#column);
      else if (n === 2) this.#cells.length = 0;
      else this.#cells.fill({ text: ' ', style: PLAIN }, 0, Math.min(this.#cells.length, this.#column + 1));
    }
  }

  /** Cells of one style together. */
  spans(): Span[] {
    const spans: { text: string; style: Style }[] = [];
    for (const { text, style } of this.#cells) {
      const last = spans.at(-1);
      if (last && last.style === style) last.text += text;
      else spans.push({ text, style });
    }
    return spans;
  }
}

/** Select graphic rendition. */
function rendition(style: Style, parameters: string): Style {
  const codes = parameters === '' ? [0] : parameters.split(/[;:]/).map(Number);
  let next = style;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 38 || code === 48) {
      const [color, taken] = extendedColor(codes.slice(i + 1));
      i += taken;
      if (color !== null) next = { ...next, [code === 38 ? 'color' : 'background']: color };
    } else next = plainRendition(next, code);
  }
  return next;
}

function plainRendition(style: Style, code: number): Style {
  if (code >= 30 && code <= 37) return { ...style, color: code - 30 };
  if (code >= 90 && code <= 97) return { ...style, color: code - 90 + 8 };
  if (code >= 40 && code <= 47) return { ...style, background: code - 40 };
  if (code >= 100 && code <= 107) return { ...style, background: code - 100 + 8 };
  switch (code) {
    case 0:
      return PLAIN;
    case 1:
      return { ...style, bold: true };
    case 2:
      return { ...style, dim: true };
    case 3:
      return { ...style, italic: true };
    case 4:
      return { ...style, underline: true };
    case 7:
      return { ...style, inverse: true };
    case 22:
      return { ...style, bold: false, dim: false };
    case 23:
      return { ...style, italic: false };
    case 24:
      return { ...style, underline: false };
    case 27:
      return { ...style, inverse: false };
    case 39:
      return { ...style, color: null };
    case 49:
      return { ...style, background: null };
    default:
      return style;
  }
}

/** `5;n` or `2;r;g;b`, and how many codes it took. */
function extendedColor([kind, ...codes]: readonly number[]): [color: number | string | null, taken: number] {
  const byte = (n: number | undefined) => n !== undefined && n >= 0 && n <= 255;
  if (kind === 5) return [byte(codes[0]) ? codes[0] : null, 2];
  if (kind !== 2) return [null, 1];
  const parts = codes.slice(0, 3);
  if (parts.length < 3 || !parts.every(byte)) return [null, 4];
  return [`#${parts.map((n) => n.toString(16).padStart(2, '0')).join('')}`, 4];
}

const STEPS = [0, 95, 135, 175, 215, 255];

/** A colour of the palette beyond the first 16, which are the theme's: a cube of 6 by 6 by 6, then 24 greys. */
export function paletteColor(n: number): string {
  const grey = 8 + (n - 232) * 10;
  const parts =
    n >= 232
      ? [grey, grey, grey]
      : [Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6].map((i) => STEPS[i]);
  return `rgb(${parts.join(', ')})`;
}
