/**
 * Conditions as gdb sends them: programs of its bytecode for agents (gdb manual, appendix "The GDB Agent Expression Mechanism"). A
 * program is read once and put as an expression of the session's language (replay/expression.ts), which the engine evaluates wherever
 * hits come up. Words of the bytecode have 64 bits and wrap; numbers of expressions have any size, so that what may leave 64 bits is cut.
 */

/** The text of a value between 0 and 2^64, as deep in parentheses, and its value where that is known. */
interface Value {
  readonly text: string;
  readonly depth: number;
  readonly known?: bigint;
}

/** Bounds that keep within those of expressions. */
const LENGTH_MAX = 8000;
const DEPTH_MAX = 150;
const STEPS_MAX = 10_000;
const STACK_MAX = 100;
const CHOICES_DEEP_MAX = 50;

type Operator = readonly [form: (a: string, b: string) => string, compute: (a: bigint, b: bigint) => bigint | null];

const WORD = (1n << 64n) - 1n;
const cut = (text: string) => `(${text} & 0x${WORD.toString(16)})`;
const signed = (value: bigint) => BigInt.asIntN(64, value);
/** Null for a division by zero, which is left for the engine to find. */
const divided = (a: bigint, b: bigint, by: (a: bigint, b: bigint) => bigint) => (b === 0n ? null : by(a, b));

const BINARY: Readonly<Record<number, Operator>> = {
  2: [(a, b) => cut(`(${a} + ${b})`), (a, b) => a + b],
  3: [(a, b) => cut(`(${a} - ${b})`), (a, b) => a - b],
  4: [(a, b) => cut(`(${a} * ${b})`), (a, b) => a * b],
  5: [(a, b) => cut(`(signed(${a}) / signed(${b}))`), (a, b) => divided(signed(a), signed(b), (x, y) => x / y)],
  6: [(a, b) => `(${a} / ${b})`, (a, b) => divided(a, b, (x, y) => x / y)],
  7: [(a, b) => cut(`(signed(${a}) % signed(${b}))`), (a, b) => divided(signed(a), signed(b), (x, y) => x % y)],
  8: [(a, b) => `(${a} % ${b})`, (a, b) => divided(a, b, (x, y) => x % y)],
  9: [(a, b) => cut(`(${a} << ${b})`), (a, b) => (b > 63n ? 0n : a << b)],
  10: [(a, b) => cut(`(signed(${a}) >> ${b})`), (a, b) => signed(a) >> (b > 63n ? 63n : b)],
  11: [(a, b) => `(${a} >> ${b})`, (a, b) => (b > 63n ? 0n : a >> b)],
  15: [(a, b) => `(${a} & ${b})`, (a, b) => a & b],
  16: [(a, b) => `(${a} | ${b})`, (a, b) => a | b],
  17: [(a, b) => `(${a} ^ ${b})`, (a, b) => a ^ b],
  19: [(a, b) => `(${a} == ${b})`, (a, b) => BigInt(a === b)],
  20: [(a, b) => `(signed(${a}) < signed(${b}))`, (a, b) => BigInt(signed(a) < signed(b))],
  21: [(a, b) => `(${a} < ${b})`, (a, b) => BigInt(a < b)],
};
/** Bits read, and bytes of the constants that follow. */
const LOADS: Readonly<Record<number, number>> = { 23: 8, 24: 16, 25: 32, 26: 64 };
const CONSTANTS: Readonly<Record<number, number>> = { 34: 1, 35: 2, 36: 4, 37: 8 };
const OP = {
  not: 0x0e,
  complement: 0x12,
  signExtend: 0x16,
  ifGoto: 0x20,
  goto: 0x21,
  register: 0x26,
  end: 0x27,
  dup: 0x28,
  pop: 0x29,
  zeroExtend: 0x2a,
  swap: 0x2b,
  pick: 0x32,
  rot: 0x33,
} as const;

/** A program that is not followed: it is wrong, does what conditions do not (floating point, tracing), or is too large. */
class NotFollowed extends Error {}

/** The name that expressions have for a register's number in packets; null if they have none. */
export type RegisterName = (number: number) => string | null;

/**
 * The expression that a program computes; null for a program that cannot be followed. Jumps become choices, each way with the rest of the
 * program, so that loops end at a bound.
 */
export function expressionOf(code: Uint8Array, registerName: RegisterName): string | null {
  try {
    return new Follower(code, registerName).follow(0, [], 0).text;
  } catch (error) {
    if (error instanceof NotFollowed) return null;
    throw error;
  }
}

class Follower {
  readonly #code: Uint8Array;
  readonly #registerName: RegisterName;
  #steps = 0;

  constructor(code: Uint8Array, registerName: RegisterName) {
    this.#code = code;
    this.#registerName = registerName;
  }

  /** From an instruction on, with this stack, `choices` choices deep. */
  follow(start: number, before: readonly Value[], choices: number): Value {
    if (choices > CHOICES_DEEP_MAX) fail();
    const stack = [...before];
    let pc = start;
    const operand = (bytes: number): number => {
      let value = 0;
      for (let i = 0; i < bytes; i++) value = value * 256 + (this.#code[pc++] ?? fail());
      return value;
    };
    const pop = (): Value => stack.pop() ?? fail();
    for (;;) {
      if (++this.#steps > STEPS_MAX || stack.length > STACK_MAX) fail();
      const op = operand(1);
      if (op in BINARY) {
        const b = pop();
        stack.push(binary(BINARY[op], pop(), b));
        continue;
      }
      if (op in LOADS) {
        const address = pop();
        stack.push(bounded({ text: `u${LOADS[op]}(${address.text})`, depth: address.depth + 1 }));
        continue;
      }
      if (op in CONSTANTS) {
        let value = 0n;
        for (let i = CONSTANTS[op]; i > 0; i--) value = value * 256n + BigInt(operand(1));
        stack.push(constant(value));
        continue;
      }
      switch (op) {
        case OP.not:
          stack.push(
            unary(
              (a) => `(!${a})`,
              (a) => BigInt(a === 0n),
              pop(),
            ),
          );
          break;
        case OP.complement:
          stack.push(
            unary(
              (a) => cut(`~${a}`),
              (a) => ~a,
              pop(),
            ),
          );
          break;
        case OP.signExtend:
        case OP.zeroExtend:
          stack.push(extended(op === OP.signExtend, operand(1), pop()));
          break;
        case OP.register:
          stack.push({ text: this.#registerName(operand(2)) ?? fail(), depth: 0 });
          break;
        case OP.dup:
          stack.push(stack.at(-1) ?? fail());
          break;
        case OP.pop:
          pop();
          break;
        case OP.swap:
          stack.push(...[pop(), pop()]);
          break;
        case OP.pick:
          stack.push(stack.at(-1 - operand(1)) ?? fail());
          break;
        case OP.rot: {
          // a b c becomes c a b.
          const [c, b, a] = [pop(), pop(), pop()];
          stack.push(c, a, b);
          break;
        }
        case OP.goto:
          pc = operand(2);
          break;
        case OP.ifGoto: {
          const target = operand(2);
          const condition = pop();
          if (condition.known === undefined) {
            const yes = this.follow(target, stack, choices + 1);
            const no = this.follow(pc, stack, choices + 1);
            const depth = Math.max(condition.depth, yes.depth, no.depth) + 1;
            return bounded({ text: `(${condition.text} ? ${yes.text} : ${no.text})`, depth });
          }
          if (condition.known !== 0n) pc = target;
          break;
        }
        case OP.end:
          return pop();
        default:
          fail();
      }
    }
  }
}

function fail(): never {
  throw new NotFollowed();
}

function bounded(value: Value): Value {
  return value.text.length > LENGTH_MAX || value.depth > DEPTH_MAX ? fail() : value;
}

function constant(value: bigint): Value {
  const known = BigInt.asUintN(64, value);
  return { text: known.toString(), depth: 0, known };
}

function unary(form: (a: string) => string, compute: (a: bigint) => bigint, a: Value): Value {
  if (a.known !== undefined) return constant(compute(a.known));
  return bounded({ text: form(a.text), depth: a.depth + 4 });
}

function binary([form, compute]: Operator, a: Value, b: Value): Value {
  const value = a.known === undefined || b.known === undefined ? null : compute(a.known, b.known);
  if (value !== null) return constant(value);
  return bounded({ text: form(a.text, b.text), depth: Math.max(a.depth, b.depth) + 3 });
}

/** The low bits, extended by the sign or by zeros. */
function extended(bySign: boolean, bits: number, a: Value): Value {
  if (bits === 0 || bits > 64) fail();
  if (bits === 64) return a;
  const low = (text: string) => `(${text} & 0x${((1n << BigInt(bits)) - 1n).toString(16)})`;
  const sign = `0x${(1n << BigInt(bits - 1)).toString(16)}`;
  return bySign
    ? unary(
        (text) => cut(`((${low(text)} ^ ${sign}) - ${sign})`),
        (value) => BigInt.asIntN(bits, value),
        a,
      )
    : unary(low, (value) => BigInt.asUintN(bits, value), a);
}
