/** Conditions in gdb's bytecode, against a plain stack machine made from the manual's words, over random programs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { type AgentState, evaluateAgent, readAgentCode } from '../../src/gdb/agent.ts';

const state: AgentState = {
  register: (number) => (number < 40 ? BigInt.asUintN(64, BigInt(number) * 0x9e3779b97f4a7c15n) : null),
  load: (address, size) => (address % 7n === 0n ? null : BigInt.asUintN(size * 8, address * 0x2545f4914f6cdd1dn)),
};

class Stuck extends Error {}

/** The manual's "Bytecode Descriptions", as a machine with a stack of 64-bit words. Null where it cannot go on. */
function run(code: Uint8Array): bigint | null {
  const stack: bigint[] = [];
  const signed = (v: bigint) => BigInt.asIntN(64, v);
  const pop = () => {
    const value = stack.pop();
    if (value === undefined) throw new Stuck();
    return value;
  };
  const push = (value: bigint | boolean) => stack.push(BigInt.asUintN(64, BigInt(value)));
  const nonzero = (value: bigint) => {
    if (value === 0n) throw new Stuck();
    return value;
  };
  const known = (value: bigint | null) => {
    if (value === null) throw new Stuck();
    return value;
  };
  let pc = 0;
  const take = (n: number) => {
    let value = 0n;
    for (let i = 0; i < n; i++) value = value * 256n + BigInt(code[pc++] ?? known(null));
    return value;
  };
  const two = (f: (a: bigint, b: bigint) => bigint | boolean) => {
    const b = pop();
    push(f(pop(), b));
  };
  const count = (b: bigint) => (b > 64n ? 64n : b);
  const operations: Record<number, () => void> = {
    2: () => two((a, b) => a + b),
    3: () => two((a, b) => a - b),
    4: () => two((a, b) => a * b),
    5: () => two((a, b) => signed(a) / nonzero(signed(b))),
    6: () => two((a, b) => a / nonzero(b)),
    7: () => two((a, b) => signed(a) % nonzero(signed(b))),
    8: () => two((a, b) => a % nonzero(b)),
    9: () => two((a, b) => a << count(b)),
    10: () => two((a, b) => signed(a) >> count(b)),
    11: () => two((a, b) => a >> count(b)),
    14: () => push(pop() === 0n),
    15: () => two((a, b) => a & b),
    16: () => two((a, b) => a | b),
    17: () => two((a, b) => a ^ b),
    18: () => push(~pop()),
    19: () => two((a, b) => a === b),
    20: () => two((a, b) => signed(a) < signed(b)),
    21: () => two((a, b) => a < b),
    22: () => push(BigInt.asIntN(Number(take(1)), pop())),
    23: () => push(known(state.load(pop(), 1))),
    24: () => push(known(state.load(pop(), 2))),
    25: () => push(known(state.load(pop(), 4))),
    26: () => push(known(state.load(pop(), 8))),
    32: () => {
      const target = Number(take(2));
      if (pop() !== 0n) pc = target;
    },
    33: () => {
      pc = Number(take(2));
    },
    34: () => push(take(1)),
    35: () => push(take(2)),
    36: () => push(take(4)),
    37: () => push(take(8)),
    38: () => push(known(state.register(Number(take(2))))),
    40: () => push(stack.at(-1) ?? known(null)),
    41: () => pop(),
    42: () => push(BigInt.asUintN(Number(take(1)), pop())),
    43: () => {
      const [b, a] = [pop(), pop()];
      push(b);
      push(a);
    },
    50: () => push(stack.at(-1 - Number(take(1))) ?? known(null)),
    51: () => {
      const [c, b, a] = [pop(), pop(), pop()];
      for (const value of [c, a, b]) push(value);
    },
  };
  try {
    for (;;) {
      const op = Number(take(1));
      if (op === 39) return pop();
      (operations[op] ?? known(null as never))();
    }
  } catch (error) {
    if (error instanceof Stuck) return null;
    throw error;
  }
}

/** A program that leaves at least one value, whose jumps lead forward. */
function randomProgram(random: Random): Uint8Array {
  const code: number[] = [];
  const jumps: number[] = [];
  let depth = 0;
  const word = (bytes: number) => {
    for (let i = 0; i < bytes; i++) code.push(random.below(3) === 0 ? random.below(256) : random.below(2));
  };
  const length = 2 + random.below(30);
  for (let n = 0; n < length; n++) {
    const choice = random.below(10);
    if (depth < 2 || choice < 3) {
      if (random.below(2) === 0) {
        code.push(38, 0, random.below(42));
      } else {
        const size = random.below(4);
        code.push(34 + size);
        word(1 << size);
      }
      depth++;
    } else if (choice < 7) {
      code.push(random.pick([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 17, 19, 20, 21]));
      depth--;
    } else if (choice === 7) {
      code.push(random.pick([14, 18, 23, 24, 25, 26]));
    } else if (choice === 8) {
      const op = random.pick([22, 42, 40, 43, 50, 51]);
      if (op === 51 && depth < 3) continue;
      code.push(op);
      if (op === 22 || op === 42) code.push(random.pick([1, 8, 16, 31, 32, 64]));
      if (op === 50) code.push(random.below(depth));
      if (op === 40 || op === 50) depth++;
    } else {
      // Around one instruction that leaves the depth as it is.
      code.push(32);
      jumps.push(code.length);
      code.push(0, 0);
      depth--;
      if (depth === 0) {
        code.push(34, 1);
        depth++;
      }
      code.push(random.pick([14, 18]));
      const at = jumps.pop()!;
      // Where a value had to be pushed first, the jump leads past nothing of it.
      const target = code.length;
      code[at] = target >> 8;
      code[at + 1] = target & 255;
    }
  }
  code.push(39);
  return Uint8Array.from(code);
}

test('expressions compute what the programs compute', () => {
  let values = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const code = randomProgram(new Random(seed));
    const expected = run(code);
    const expression = readAgentCode(code);
    if (expression === null) {
      // Too large, or a jump that left the stack empty; otherwise it must be followed.
      assert.ok(expected === null || code.includes(32) || code.includes(40), `seed ${seed}`);
      continue;
    }
    const value = evaluateAgent(expression, state);
    // An expression without the program's unused parts may know more than the program, never something else.
    if (expected !== null) {
      assert.equal(value, expected, `seed ${seed}`);
      values++;
    }
  }
  assert.ok(values > 500, `${values} programs gave values`);
});

test('a condition of gdb: a0 == 5 && *(int *) (sp + 8) < -1', () => {
  const program = (a0: bigint, word: number) => {
    const at = { register: (n: number) => (n === 10 ? a0 : 0x1000n), load: () => BigInt(word >>> 0) };
    const code = Buffer.from(
      [
        ...['26000a', '2205', '13', '0e', '200019'], // a0 == 5, or on at 25
        ...['260002', '2208', '02', '19', '1620', '22ff', '1608', '14', '27'], // *(int *) (sp + 8) < -1
        ...['2200', '27'],
      ].join(''),
      'hex',
    );
    assert.equal(code.indexOf(Buffer.from('220027', 'hex')), 25, 'the jump leads to the last part');
    return evaluateAgent(readAgentCode(code)!, at);
  };
  assert.equal(program(5n, -2), 1n);
  assert.equal(program(5n, -1), 0n);
  assert.equal(program(4n, -2), 0n);
});

test('what cannot be followed is refused, and never takes long', () => {
  const refused = (hex: string) => assert.equal(readAgentCode(Buffer.from(hex, 'hex')), null, hex);
  refused('');
  refused('27');
  refused('2201');
  refused('220102');
  refused('01');
  refused('0c27');
  refused('ff27');
  refused('210000');
  refused('2600');
  refused('2201160027');
  // A loop whose condition is not known, and doubling without end.
  refused('260001200000260001200000');
  refused(`260001${'2802'.repeat(60)}27`);
  refused(`${'2201'.repeat(200)}27`);
  // Choices one after the other double the ways.
  refused(
    `260001${Array.from({ length: 40 }, (_, i) => `260002200${(9 + 6 * i + 3).toString(16).padStart(3, '0')}`).join('')}27`,
  );
});
