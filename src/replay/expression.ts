/**
 * Expressions over a hart's registers and memory, as people write them in conditions and log points.
 *
 *     a0 == 3 && u32(a1 + 8) > 0x1000
 *
 * Names are registers (ABI names, x0 to x31, f0 to f31 as bits, pc, priv, CSRs), with or without a `$` in front. `u8(address)`, `u16`, `u32`, `u64`
 * and `s8` to `s64` read memory as the hart sees it, `pu8` to `pu64` physical memory; `int1(value)` to `int64`, and `uint1` to `uint64`, take the low bits
 * of a value as a number with or without a sign, `signed` is `int64`. Operators are those of C with its precedence, `?:` included. Values are whole numbers of any size: registers are unsigned, nothing wraps, comparisons give
 * 1 or 0, and division goes towards zero. What divides by zero or reads memory that is not there has no value.
 */
import { UserError } from '../base/assert.ts';
import { readNumber, readPhysical } from '../vmm/riscv/inspect.ts';
import { registerReader } from '../vmm/riscv/registers.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';

/** Null where the expression has no value. */
export type Evaluate = (machine: VirtMachine, hart: number) => bigint | null;

type Node = (machine: VirtMachine, hart: number) => bigint;

class NoValue extends Error {}
/** Thrown again and again: making one costs more than all the rest. */
const NO_VALUE = new NoValue();

/** An expression longer or deeper than this was not written by a person. */
const LENGTH_MAX = 10_000;
const DEPTH_MAX = 200;
/** Products and shifts are cut to so many bits, so that no expression takes more and more memory. */
const BITS_MAX = 256;

const truth = (condition: boolean) => (condition ? 1n : 0n);
const nonzero = (value: bigint) => {
  if (value === 0n) throw NO_VALUE;
  return value;
};
const distance = (value: bigint) => {
  if (value < 0n || value > 255n) throw NO_VALUE;
  return value;
};

/** Binary operators by precedence, the loosest first. */
const BINARY: readonly Readonly<Record<string, (a: bigint, b: bigint) => bigint>>[] = [
  { '|': (a, b) => a | b },
  { '^': (a, b) => a ^ b },
  { '&': (a, b) => a & b },
  { '==': (a, b) => truth(a === b), '!=': (a, b) => truth(a !== b) },
  {
    '<': (a, b) => truth(a < b),
    '<=': (a, b) => truth(a <= b),
    '>': (a, b) => truth(a > b),
    '>=': (a, b) => truth(a >= b),
  },
  { '<<': (a, b) => BigInt.asIntN(BITS_MAX, a << distance(b)), '>>': (a, b) => a >> distance(b) },
  { '+': (a, b) => a + b, '-': (a, b) => a - b },
  {
    '*': (a, b) => BigInt.asIntN(BITS_MAX, a * b),
    '/': (a, b) => a / nonzero(b),
    '%': (a, b) => a % nonzero(b),
  },
];

const UNARY: Readonly<Record<string, (a: bigint) => bigint>> = {
  '-': (a) => -a,
  '+': (a) => a,
  '~': (a) => ~a,
  '!': (a) => truth(a === 0n),
};

const TOKEN =
  /\s*(?:(0[xX][0-9a-fA-F_]+|0[bB][01_]+|\d[\d_]*)|\$?([A-Za-z_][\w.]*)|(<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>()?:]))/y;

/** Compiles an expression. A `UserError` says what is wrong with it, and where. */
export function compileExpression(text: string): Evaluate {
  const node = new Parser(text).parse();
  return (machine, hart) => {
    try {
      return node(machine, hart);
    } catch (error) {
      if (error instanceof NoValue) return null;
      throw error;
    }
  };
}

interface Token {
  readonly kind: 'number' | 'name' | 'operator' | 'end';
  readonly text: string;
  readonly at: number;
}

class Parser {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.length > LENGTH_MAX)
      throw new UserError(`an expression of ${text.length} characters; ${LENGTH_MAX} are allowed`);
    const end = text.trimEnd().length;
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < end) {
      const at = TOKEN.lastIndex;
      const match = TOKEN.exec(text);
      if (!match) this.#fail(at, 'a number, a register or an operator is needed');
      const [, number, name, operator] = match!;
      const kind = number !== undefined ? 'number' : name !== undefined ? 'name' : 'operator';
      this.#tokens.push({ kind, text: number ?? name ?? operator, at });
    }
    this.#tokens.push({ kind: 'end', text: 'the end', at: end });
  }

  parse(): Node {
    const node = this.#choice();
    if (this.#peek.kind !== 'end') this.#fail(this.#peek.at, `an operator is needed before '${this.#peek.text}'`);
    return node;
  }

  get #peek(): Token {
    return this.#tokens[this.#next];
  }

  #takeIf(operator: string): boolean {
    if (this.#peek.kind !== 'operator' || this.#peek.text !== operator) return false;
    this.#next++;
    return true;
  }

  #expect(operator: string): void {
    if (!this.#takeIf(operator)) this.#fail(this.#peek.at, `'${operator}' is needed`);
  }

  #choice(): Node {
    if (++this.#depth > DEPTH_MAX) this.#fail(this.#peek.at, 'the expression is nested too deeply');
    const condition = this.#either();
    let node = condition;
    if (this.#takeIf('?')) {
      const yes = this.#choice();
      this.#expect(':');
      const no = this.#choice();
      node = (m, h) => (condition(m, h) !== 0n ? yes(m, h) : no(m, h));
    }
    this.#depth--;
    return node;
  }

  #either(): Node {
    let left = this.#both();
    while (this.#takeIf('||')) {
      const [a, b] = [left, this.#both()];
      left = (m, h) => truth(a(m, h) !== 0n || b(m, h) !== 0n);
    }
    return left;
  }

  #both(): Node {
    let left = this.#binary(0);
    while (this.#takeIf('&&')) {
      const [a, b] = [left, this.#binary(0)];
      left = (m, h) => truth(a(m, h) !== 0n && b(m, h) !== 0n);
    }
    return left;
  }

  #binary(level: number): Node {
    const operators = BINARY[level];
    if (!operators) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const { kind, text } = this.#peek;
      if (kind !== 'operator' || !Object.hasOwn(operators, text)) return left;
      this.#next++;
      const [a, b, apply] = [left, this.#binary(level + 1), operators[text]];
      left = (m, h) => apply(a(m, h), b(m, h));
    }
  }

  #unary(): Node {
    const { kind, text, at } = this.#peek;
    if (kind !== 'operator' || !Object.hasOwn(UNARY, text)) return this.#primary();
    if (++this.#depth > DEPTH_MAX) this.#fail(at, 'the expression is nested too deeply');
    this.#next++;
    const [apply, operand] = [UNARY[text], this.#unary()];
    this.#depth--;
    return (m, h) => apply(operand(m, h));
  }

  #primary(): Node {
    const { kind, text, at } = this.#peek;
    if (this.#takeIf('(')) {
      const inside = this.#choice();
      this.#expect(')');
      return inside;
    }
    this.#next++;
    if (kind === 'number') {
      const value = BigInt(text.replaceAll('_', ''));
      return () => value;
    }
    if (kind !== 'name') this.#fail(at, `a value is needed, not '${text}'`);
    if (this.#takeIf('(')) return this.#call(text, at);
    const read = registerReader(text);
    if (!read) this.#fail(at, `there is no register '${text}'`);
    return (m, h) => read!(m.cpu, h);
  }

  #call(name: string, at: number): Node {
    const argument = this.#choice();
    this.#expect(')');
    const conversion = /^(u?)int([1-9]\d?)$/.exec(name === 'signed' ? 'int64' : name);
    const bits = Number(conversion?.[2]);
    if (conversion && bits <= 64) {
      return conversion[1]
        ? (m, h) => BigInt.asUintN(bits, argument(m, h))
        : (m, h) => BigInt.asIntN(bits, argument(m, h));
    }
    const match = /^(p?)([us])(8|16|32|64)$/.exec(name);
    if (!match || (match[1] && match[2] === 's')) {
      this.#fail(
        at,
        `there is no function '${name}'; there are u8 to u64, s8 to s64, pu8 to pu64, int1 to int64 and uint1 to uint64`,
      );
    }
    const [, physical, sign, digits] = match!;
    const width = Number(digits);
    const size = (width / 8) as 1 | 2 | 4 | 8;
    const read = (m: VirtMachine, h: number, address: bigint) => {
      if (!physical) return readNumber(m, h, address, size);
      const bytes = readPhysical(m, address, size);
      return bytes && littleEndian(bytes);
    };
    return (m, h) => {
      const value = read(m, h, BigInt.asUintN(64, argument(m, h)));
      if (value === null) throw NO_VALUE;
      return sign === 's' ? BigInt.asIntN(width, value) : value;
    };
  }

  #fail(at: number, what: string): never {
    throw new UserError(`expression ${JSON.stringify(this.#text)}, character ${at + 1}: ${what}`);
  }
}

/** Bytes as an unsigned number, the lowest first. */
export function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}
