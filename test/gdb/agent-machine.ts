/** The manual's "Bytecode Descriptions", as a machine with a stack of 64-bit words. */

/** What a program may look at. Null: there is nothing to read. */
export interface AgentState {
  register(number: number): bigint | null;
  load(address: bigint, bytes: number): bigint | null;
}

class Stuck extends Error {}

/** What a program computes; null where it cannot go on. */
export function runAgentCode(code: Uint8Array, state: AgentState): bigint | null {
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
  // C leaves open what longer shifts do.
  const count = (b: bigint) => (b > 63n ? known(null) : b);
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
