/**
 * Conditions as gdb sends them: programs of its bytecode for agents (gdb manual, appendix "The GDB Agent Expression Mechanism"). A
 * program is read once into an expression without jumps, which somebody can evaluate wherever the hits come up.
 */
export type Unary = 'not' | 'complement';
export type Binary =
  | 'add'
  | 'sub'
  | 'mul'
  | 'divS'
  | 'divU'
  | 'remS'
  | 'remU'
  | 'shl'
  | 'shrS'
  | 'shrU'
  | 'and'
  | 'or'
  | 'xor'
  | 'equal'
  | 'lessS'
  | 'lessU';

/** A value of 64 bits. `size` counts the nodes below and this one, each as often as it is used. */
export type AgentExpression = { readonly size: number } & (
  | { readonly kind: 'constant'; readonly value: bigint }
  /** A register by its number in packets. */
  | { readonly kind: 'register'; readonly number: number }
  /** Memory, little-endian, zero-extended. */
  | { readonly kind: 'load'; readonly bytes: 1 | 2 | 4 | 8; readonly address: AgentExpression }
  | { readonly kind: 'unary'; readonly op: Unary; readonly a: AgentExpression }
  | { readonly kind: 'binary'; readonly op: Binary; readonly a: AgentExpression; readonly b: AgentExpression }
  /** The low bits, extended by zeros or by the sign. */
  | { readonly kind: 'extend'; readonly signed: boolean; readonly bits: number; readonly a: AgentExpression }
  | {
      readonly kind: 'choose';
      readonly condition: AgentExpression;
      readonly yes: AgentExpression;
      readonly no: AgentExpression;
    }
);

/** Bounds of a condition: whoever sends a larger one evaluates it himself. */
const SIZE_MAX = 1000;
const STEPS_MAX = 10_000;
const STACK_MAX = 100;
const CHOICES_DEEP_MAX = 100;

const BINARY: Readonly<Record<number, Binary>> = {
  2: 'add',
  3: 'sub',
  4: 'mul',
  5: 'divS',
  6: 'divU',
  7: 'remS',
  8: 'remU',
  9: 'shl',
  10: 'shrS',
  11: 'shrU',
  15: 'and',
  16: 'or',
  17: 'xor',
  19: 'equal',
  20: 'lessS',
  21: 'lessU',
};
const LOADS: Readonly<Record<number, 1 | 2 | 4 | 8>> = { 23: 1, 24: 2, 25: 4, 26: 8 };
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

/**
 * The expression that a program computes; null for a program that cannot be followed. Jumps become choices, each way with the rest of the
 * program, so that loops end at the bound.
 */
export function readAgentCode(code: Uint8Array): AgentExpression | null {
  try {
    return new Follower(code).follow(0, [], 0);
  } catch (error) {
    if (error instanceof NotFollowed) return null;
    throw error;
  }
}

class Follower {
  readonly #code: Uint8Array;
  #steps = 0;

  constructor(code: Uint8Array) {
    this.#code = code;
  }

  /** From an instruction on, with this stack, `depth` choices deep. */
  follow(start: number, before: readonly AgentExpression[], depth: number): AgentExpression {
    if (depth > CHOICES_DEEP_MAX) fail();
    const stack = [...before];
    let pc = start;
    const operand = (bytes: number): bigint => {
      if (pc + bytes > this.#code.length) throw new NotFollowed();
      let value = 0n;
      for (let i = 0; i < bytes; i++) value = (value << 8n) | BigInt(this.#code[pc++]);
      return value;
    };
    const pop = (): AgentExpression => stack.pop() ?? fail();
    for (;;) {
      if (++this.#steps > STEPS_MAX || stack.length > STACK_MAX) fail();
      const op = Number(operand(1));
      if (op in BINARY) {
        const b = pop();
        stack.push(binary(BINARY[op], pop(), b));
      } else if (op in LOADS) {
        const address = pop();
        stack.push(sized({ kind: 'load', bytes: LOADS[op], address }, address));
      } else if (op in CONSTANTS) {
        stack.push(constant(operand(CONSTANTS[op])));
      } else {
        switch (op) {
          case OP.not:
            stack.push(unary('not', pop()));
            break;
          case OP.complement:
            stack.push(unary('complement', pop()));
            break;
          case OP.signExtend:
          case OP.zeroExtend:
            stack.push(extend(op === OP.signExtend, Number(operand(1)), pop()));
            break;
          case OP.register:
            stack.push({ kind: 'register', number: Number(operand(2)), size: 1 });
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
            stack.push(stack.at(-1 - Number(operand(1))) ?? fail());
            break;
          case OP.rot: {
            // a b c becomes c a b.
            const [c, b, a] = [pop(), pop(), pop()];
            stack.push(c, a, b);
            break;
          }
          case OP.goto:
            pc = Number(operand(2));
            break;
          case OP.ifGoto: {
            const target = Number(operand(2));
            const condition = pop();
            if (condition.kind === 'constant') {
              if (condition.value !== 0n) pc = target;
              break;
            }
            const yes = this.follow(target, stack, depth + 1);
            const no = this.follow(pc, stack, depth + 1);
            return sized({ kind: 'choose', condition, yes, no }, condition, yes, no);
          }
          case OP.end:
            return pop();
          default:
            fail();
        }
      }
    }
  }
}

function fail(): never {
  throw new NotFollowed();
}

type Shape = AgentExpression extends infer E ? (E extends { size: number } ? Omit<E, 'size'> : never) : never;

function sized(shape: Shape, ...parts: readonly AgentExpression[]): AgentExpression {
  const size = parts.reduce((sum, part) => sum + part.size, 1);
  if (size > SIZE_MAX) fail();
  return { ...shape, size } as AgentExpression;
}

const constant = (value: bigint): AgentExpression => ({ kind: 'constant', value: BigInt.asUintN(64, value), size: 1 });

function unary(op: Unary, a: AgentExpression): AgentExpression {
  if (a.kind === 'constant') return constant(applyUnary(op, a.value));
  return sized({ kind: 'unary', op, a }, a);
}

function binary(op: Binary, a: AgentExpression, b: AgentExpression): AgentExpression {
  if (a.kind === 'constant' && b.kind === 'constant') {
    const value = applyBinary(op, a.value, b.value);
    if (value !== null) return constant(value);
  }
  return sized({ kind: 'binary', op, a, b }, a, b);
}

function extend(signed: boolean, bits: number, a: AgentExpression): AgentExpression {
  if (bits === 0 || bits > 64) fail();
  if (bits === 64) return a;
  if (a.kind === 'constant') return constant(applyExtend(signed, bits, a.value));
  return sized({ kind: 'extend', signed, bits, a }, a);
}

/** What a condition may look at. Null: there is nothing to read. */
export interface AgentState {
  register(number: number): bigint | null;
  load(address: bigint, bytes: 1 | 2 | 4 | 8): bigint | null;
}

/** The value, unsigned; null where it divides by zero, or reads what is not there. */
export function evaluateAgent(e: AgentExpression, state: AgentState): bigint | null {
  const value = (part: AgentExpression) => evaluateAgent(part, state);
  switch (e.kind) {
    case 'constant':
      return e.value;
    case 'register':
      return state.register(e.number);
    case 'load': {
      const address = value(e.address);
      return address === null ? null : state.load(address, e.bytes);
    }
    case 'unary': {
      const a = value(e.a);
      return a === null ? null : applyUnary(e.op, a);
    }
    case 'binary': {
      const a = value(e.a);
      const b = value(e.b);
      return a === null || b === null ? null : applyBinary(e.op, a, b);
    }
    case 'extend': {
      const a = value(e.a);
      return a === null ? null : applyExtend(e.signed, e.bits, a);
    }
    case 'choose': {
      const condition = value(e.condition);
      return condition === null ? null : value(condition !== 0n ? e.yes : e.no);
    }
  }
}

function applyUnary(op: Unary, a: bigint): bigint {
  return op === 'not' ? BigInt(a === 0n) : BigInt.asUintN(64, ~a);
}

function applyExtend(signed: boolean, bits: number, a: bigint): bigint {
  return BigInt.asUintN(64, signed ? BigInt.asIntN(bits, a) : BigInt.asUintN(bits, a));
}

/** Null for a division by zero. */
function applyBinary(op: Binary, a: bigint, b: bigint): bigint | null {
  const [sa, sb] = [BigInt.asIntN(64, a), BigInt.asIntN(64, b)];
  if (b === 0n && /^(?:div|rem)/.test(op)) return null;
  return BigInt.asUintN(64, compute());

  function compute(): bigint {
    switch (op) {
      case 'add':
        return a + b;
      case 'sub':
        return a - b;
      case 'mul':
        return a * b;
      case 'divS':
        return sa / sb;
      case 'divU':
        return a / b;
      case 'remS':
        return sa % sb;
      case 'remU':
        return a % b;
      case 'shl':
        return b > 63n ? 0n : a << b;
      case 'shrS':
        return sa >> (b > 63n ? 63n : b);
      case 'shrU':
        return b > 63n ? 0n : a >> b;
      case 'and':
        return a & b;
      case 'or':
        return a | b;
      case 'xor':
        return a ^ b;
      case 'equal':
        return BigInt(a === b);
      case 'lessS':
        return BigInt(sa < sb);
      case 'lessU':
        return BigInt(a < b);
    }
  }
}
