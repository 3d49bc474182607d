/** Conditions in gdb's bytecode, against a plain stack machine (see agent-machine.ts), over random programs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { expressionOf } from '../../src/gdb/agent.ts';
import { compileExpression, littleEndian } from '../../src/replay/expression.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { readVirtual } from '../../src/vmm/riscv/inspect.ts';
import { CHECKOUT } from '../cli/small.ts';
import { type AgentState, runAgentCode } from './agent-machine.ts';

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
  const timeline = new Timeline(TraceReader.open(join(CHECKOUT, 'traces/heisenbug-v1.trace')));
  timeline.seek(1_000_000);
  const { machine } = timeline;
  const hart = 1;
  const state: AgentState = {
    register: (number) => (number < 32 ? machine.cpu.x(hart, number) : null),
    load: (address, bytes) => {
      const found = readVirtual(machine, hart, address, bytes);
      return found && littleEndian(found);
    },
  };
  let values = 0;
  for (let seed = 1; seed <= 4000; seed++) {
    const code = randomProgram(new Random(seed));
    const expected = runAgentCode(code, state);
    const text = expressionOf(code, (number) => (number < 32 ? `x${number}` : null));
    if (text === null) {
      // It looks at a register that there is not, or is too large.
      assert.ok(expected === null || code.includes(32) || code.includes(40), `seed ${seed}`);
      continue;
    }
    // An expression without the program's unused parts may know more than the program, never something else.
    if (expected === null) continue;
    assert.equal(compileExpression(text)(machine, hart), expected, `seed ${seed}: ${text}`);
    values++;
  }
  assert.ok(values > 400, `${values} programs gave values`);
});

test('a condition of gdb: a0 == 5 && *(int *) (sp + 8) < -1', () => {
  const code = Buffer.from(
    [
      ...['26000a', '2205', '13', '0e', '200019'], // a0 == 5, or on at 25
      ...['260002', '2208', '02', '19', '1620', '22ff', '1608', '14', '27'], // *(int *) (sp + 8) < -1
      ...['2200', '27'],
    ].join(''),
    'hex',
  );
  assert.equal(code.indexOf(Buffer.from('220027', 'hex')), 25, 'the jump leads to the last part');
  assert.equal(
    expressionOf(code, (number) => `x${number}`)
      ?.replaceAll('0xffffffffffffffff', 'W')
      .replaceAll('18446744073709551615', 'W'),
    '((!(x10 == 5)) ? 0 : (signed(((((u32(((x2 + 8) & W)) & 0xffffffff) ^ 0x80000000) - 0x80000000) & W)) < signed(W)))',
  );
});

test('what cannot be followed is refused, and never takes long', () => {
  const refused = (hex: string) =>
    assert.equal(
      expressionOf(Buffer.from(hex, 'hex'), (n) => `x${n}`),
      null,
      hex,
    );
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
