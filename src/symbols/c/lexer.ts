/** Words of a C expression, with a little of C++, Rust and gdb. */
import { UserError } from '../../base/assert.ts';

export type Token =
  | { readonly kind: 'name'; readonly text: string; readonly at: number }
  | { readonly kind: 'register'; readonly text: string; readonly at: number }
  | {
      readonly kind: 'integer';
      readonly value: bigint;
      readonly unsigned: boolean;
      readonly long: boolean;
      readonly decimal: boolean;
      readonly at: number;
    }
  | { readonly kind: 'float'; readonly value: number; readonly single: boolean; readonly at: number }
  | { readonly kind: 'character'; readonly value: number; readonly at: number }
  | { readonly kind: 'string'; readonly text: string; readonly at: number }
  /** In single quotes and not one character: a file's name. */
  | { readonly kind: 'file'; readonly text: string; readonly at: number }
  | { readonly kind: 'operator'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly at: number };

/** An expression that cannot be understood, or makes no sense. */
export class ExpressionError extends UserError {
  override name = 'ExpressionError';
}

const LENGTH_MAX = 10_000;

const OPERATORS = [
  ...[
    '<<=',
    '>>=',
    '->',
    '++',
    '--',
    '<<',
    '>>',
    '<=',
    '>=',
    '==',
    '!=',
    '&&',
    '||',
    '::',
    '+=',
    '-=',
    '*=',
    '/=',
    '%=',
  ],
  ...[
    '&=',
    '|=',
    '^=',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '.',
    ',',
    '+',
    '-',
    '*',
    '/',
    '%',
    '<',
    '>',
    '=',
    '!',
    '~',
    '&',
    '|',
  ],
  ...['^', '?', ':', '@', ';'],
];

const SIMPLE_ESCAPES: Record<string, number> = {
  n: 10,
  t: 9,
  r: 13,
  a: 7,
  b: 8,
  f: 12,
  v: 11,
  e: 27,
  '\\': 92,
  "'": 39,
  '"': 34,
  '?': 63,
};

export function tokenize(text: string): Token[] {
  if (text.length > LENGTH_MAX)
    throw new ExpressionError(`the expression has ${text.length} characters; ${LENGTH_MAX} are possible`);
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const space = /^\s+/.exec(rest);
    if (space) {
      at += space[0].length;
      continue;
    }
    const [token, length] = next(rest, at);
    tokens.push(token);
    at += length;
  }
  tokens.push({ kind: 'end', at: text.length });
  return tokens;
}

function next(rest: string, at: number): [Token, number] {
  const name = /^[A-Za-z_][A-Za-z0-9_$]*/.exec(rest);
  if (name) return [{ kind: 'name', text: name[0], at }, name[0].length];
  const register = /^\$([A-Za-z_][A-Za-z0-9_]*)/.exec(rest);
  if (register) return [{ kind: 'register', text: register[1], at }, register[0].length];
  if (/^(\d|\.\d)/.test(rest)) return number(rest, at);
  if (rest[0] === "'" || rest[0] === '"') return quoted(rest, at);
  const operator = OPERATORS.find((o) => rest.startsWith(o));
  if (operator !== undefined) return [{ kind: 'operator', text: operator, at }, operator.length];
  throw new ExpressionError(`'${rest[0]}' at column ${at + 1} is not part of an expression`);
}

function number(rest: string, at: number): [Token, number] {
  const float = /^(\d+\.\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|\d+e[+-]?\d+)([fl]?)/i.exec(rest);
  const [whole] = /^[0-9A-Za-z_.]+/.exec(rest)!;
  if (float && !/^0x/i.test(rest)) {
    const value = Number(float[1]);
    return [{ kind: 'float', value, single: float[4].toLowerCase() === 'f', at }, float[0].length];
  }
  const match = /^(0x[0-9a-f]+|0b[01]+|\d+)(u?l{0,2}|l{1,2}u)$/i.exec(whole);
  if (!match) throw new ExpressionError(`'${whole}' is not a number`);
  const [, digits, suffix] = match;
  // An octal number begins with 0, which BigInt wants as 0o.
  const octal = /^0\d/.test(digits);
  if (octal && /[89]/.test(digits))
    throw new ExpressionError(`'${whole}' is not a number: it begins with 0 and is not octal`);
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  if (value >= 1n << 64n) throw new ExpressionError(`${whole} does not fit into 64 bits`);
  const [unsigned, long] = [/u/i.test(suffix), /l/i.test(suffix)];
  const decimal = /^[1-9]/.test(digits);
  return [{ kind: 'integer', value, unsigned, long, decimal, at }, whole.length];
}

function quoted(rest: string, at: number): [Token, number] {
  const quote = rest[0];
  const codes: number[] = [];
  for (let i = 1; i < rest.length; ) {
    if (rest[i] === quote) {
      const text = String.fromCharCode(...codes);
      if (quote === '"') return [{ kind: 'string', text, at }, i + 1];
      if (codes.length === 1) return [{ kind: 'character', value: codes[0], at }, i + 1];
      return [{ kind: 'file', text, at }, i + 1];
    }
    if (rest[i] !== '\\') {
      codes.push(rest.charCodeAt(i));
      i++;
      continue;
    }
    const numeric = /^\\(x([0-9a-f]{1,2})|([0-7]{1,3}))/i.exec(rest.slice(i));
    const simple = SIMPLE_ESCAPES[rest[i + 1]];
    if (numeric) codes.push(numeric[2] ? Number.parseInt(numeric[2], 16) : Number.parseInt(numeric[3], 8) & 0xff);
    else if (simple !== undefined) codes.push(simple);
    else throw new ExpressionError(`'\\${rest[i + 1] ?? ''}' is not an escape sequence`);
    i += numeric ? numeric[0].length : 2;
  }
  throw new ExpressionError(`the text at column ${at + 1} has no end`);
}
