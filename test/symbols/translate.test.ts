/** Conditions of C in the engine's language: worth the same as in C, at many moments of the embedded guest and with expressions drawn at random. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { hartMemory, hartRegisters } from '../../src/cli/hart-view.ts';
import { compileExpression } from '../../src/replay/expression.ts';
import {
  ExpressionError,
  evaluate,
  type Frame,
  frames,
  numberOf,
  scopesOf,
  stripped,
  translateCondition,
  translateValue,
  Unavailable,
  type Value,
} from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL } from '../support/guests.ts';
import { embeddedGuest } from '../support/recording.ts';
import { symbolsOf } from './support/files.ts';
import { moments } from './support/states.ts';

const ATOMS = [
  ...[
    '0',
    '1',
    '7',
    '0x7fffffff',
    '0xffffffff',
    '4294967296',
    '0x7fffffffffffffff',
    '0xffffffffffffffffu',
    '3u',
    '5ul',
    "'a'",
  ],
  ...[
    'tasks[0].pid',
    'tasks[1].pid',
    'tasks[1].state',
    'TASK_SLEEPING',
    'tasks[1].context.s[3]',
    'tasks[1].context.sp',
  ],
  ...[
    'tasks[1].name[0]',
    '(&tasks[1])->pid',
    '&tasks[1]',
    '&tasks[2]',
    'tasks + 1',
    '*(u64 *)$sp',
    '*(int *)$sp',
    '*(char *)$sp',
  ],
  ...[
    '$sp',
    '$pc',
    '$a0',
    '$a1',
    '$s0',
    '$satp',
    '$ra',
    'sizeof(struct task)',
    'sizeof tasks[0].name',
    '&tasks[0].link.next->previous',
  ],
  ...[
    '*(short *)0',
    '1 / 0',
    '1.5',
    'nothing_of_that_name',
    'pool.lock',
    '&pool',
    'panic',
    '(long)panic',
    '(u8)$a0',
    '(short)$a1',
  ],
];
const UNARY = [
  '-',
  '~',
  '!',
  '+',
  '(char)',
  '(unsigned char)',
  '(short)',
  '(int)',
  '(unsigned)',
  '(long)',
  '(u64)',
  '(_Bool)',
  '(u8 *)',
];
const BINARY = '+ - * / % & | ^ << >> == != < > <= >= && ||'.split(' ');

function drawn(random: Random, atoms: readonly string[], depth: number): string {
  const kind = depth === 0 ? 0 : random.below(8);
  const deeper = () => drawn(random, atoms, depth - 1);
  if (kind < 2) return random.pick(atoms);
  if (kind < 4) return `${random.pick(UNARY)}(${deeper()})`;
  if (kind === 4) return `(${deeper()} ? ${deeper()} : ${deeper()})`;
  if (kind === 5) return `tasks[(${deeper()}) & 3].pid`;
  return `(${deeper()} ${random.pick(BINARY)} ${deeper()})`;
}

/** What C makes of it: a number, or why there is none. */
function inC(text: string, frame: Frame): bigint | string {
  try {
    const { value } = evaluate(text, frame);
    const { kind } = stripped(value.type);
    if (kind === 'array' || kind === 'function') return value.address ?? 'no address';
    if (!isWhole(value)) return 'no whole number';
    return numberOf(value);
  } catch (error) {
    if (error instanceof ExpressionError || error instanceof Unavailable) return error.message;
    throw error;
  }
}

function isWhole(value: Value): boolean {
  const plain = stripped(value.type);
  if (plain.kind === 'base') return plain.encoding !== 'float' && plain.encoding !== 'complex';
  return plain.kind === 'enum' || plain.kind === 'pointer';
}

test('a condition is worth in the engine what it is worth in C', async (t) => {
  const symbols = symbolsOf(EMBEDDED_KERNEL);
  const random = new Random(5);
  const counts = { values: 0, none: 0, left: 0, conditions: 0, locals: 0 };
  await moments(t, embeddedGuest(23), 40, (timeline, hart) => {
    const { machine } = timeline;
    const [frame] = frames({ symbols, memory: hartMemory(machine, hart) }, hartRegisters(machine, hart));
    const place = { pc: frame.machine.pc };
    const locals = scopesOf(frame).flatMap(({ variables }) => variables.filter(({ value }) => isWhole(value)));
    const names = [...new Set(locals.map(({ name }) => name))];
    const pointers = locals
      .filter(({ value }) => stripped(value.type).kind === 'pointer')
      .map(({ name }) => `*${name}`);
    const own = [...names, ...pointers];
    const atoms = [...ATOMS, ...own, ...own, ...own];
    for (const text of [...atoms, ...Array.from({ length: 100 }, () => drawn(random, atoms, 3))]) {
      const wanted = inC(text, frame);
      const where = `${text} at ${timeline.position}, hart ${hart}`;
      const value = translateValue(text, symbols, place);
      if (value) {
        const found = compileExpression(value.expression)(machine, hart);
        assert.equal(found, typeof wanted === 'bigint' ? wanted : null, `${where}: ${value.expression} (${wanted})`);
        counts[found === null ? 'none' : 'values']++;
        if (names.includes(text)) counts.locals++;
      }
      const condition = translateCondition(text, symbols, place);
      if (!condition) {
        if (typeof wanted === 'bigint') counts.left++;
        continue;
      }
      const holds = compileExpression(condition.condition)(machine, hart) !== 0n;
      // What cannot be told counts as true.
      const truth = typeof wanted !== 'bigint' || wanted !== 0n;
      if (condition.exact) assert.equal(holds, truth, `${where}: ${condition.condition}`);
      else assert.ok(holds || !truth, `${where}: ${condition.condition}`);
      counts.conditions++;
    }
  });
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.values > 5000 && counts.locals > 100 && counts.none > 50, JSON.stringify(counts));
  assert.ok(counts.left < counts.values / 5, 'little that C can tell is left to it');
});

test('of two conditions, what the engine cannot say is left out', () => {
  const symbols = symbolsOf(EMBEDDED_KERNEL);
  assert.deepEqual(translateCondition('tasks[1].pid == 3 && 1.5 > 1', symbols, null)?.exact, false);
  assert.equal(translateCondition('1.5 > 1 && tasks[1].pid == 3', symbols, null), null);
  assert.equal(translateCondition('tasks[1].pid == 3 || 1.5 > 1', symbols, null), null);
  assert.equal(translateCondition(`tasks[1].pid == ${'-'.repeat(100)}1`.padEnd(20_000, ' + 1'), symbols, null), null);
});
