/**
 * Types and values of Rust: enums with values, niches, generics, slices, texts, tuples, and names in modules. `rust/shapes.elf` was compiled from the source beside it by
 * rustc 1.95 for riscv64gc-unknown-none-elf, without optimisation; gdb, which knows Rust, is asked for the same values.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  evaluate,
  formatValue,
  framesOf,
  innermost,
  SymbolFile,
  Symbols,
  sourceOf,
  typeName,
} from '../../src/symbols/index.ts';
import { CHECKOUT } from '../cli/small.ts';
import { needTool } from '../support/tools.ts';
import { runWithInput } from './support/oracle.ts';

const PATH = join(CHECKOUT, 'test/symbols/rust/shapes.elf');

/** By the names of statics: type and value. */
const EXPECTED: { readonly [name: string]: readonly [type: string, value: string] } = {
  POINT: ['shapes::geometry::Point<i32>', '{x = -3, y = 4}'],
  FINE: ['shapes::geometry::Point<f64>', '{x = 0.5, y = 2.25}'],
  NOTHING: ['shapes::geometry::Shape', '{Nothing = {}}'],
  CIRCLE: ['shapes::geometry::Shape', '{Circle = {center = {x = 1, y = 2}, radius = 7}}'],
  LINE: ['shapes::geometry::Shape', '{Line = {__0 = {x = 1, y = 2}, __1 = {x = 3, y = 4}}}'],
  NAMED: ['shapes::geometry::Shape', '{Named = {__0 = "hexagon"}}'],
  COLOR: ['shapes::geometry::Color', 'Far'],
  NUMBER: ['shapes::Option<u16>', '{Some = {__0 = 513}}'],
  NO_NUMBER: ['shapes::Option<u16>', '{None = {}}'],
  REFERENCE: ['shapes::Option<&i32>', '{Some = {__0 = ADDRESS <POINT>}}'],
  NO_REFERENCE: ['shapes::Option<&i32>', '{None = {}}'],
  NESTED: ['shapes::Option<shapes::Option<bool>>', '{Some = {__0 = {Some = {__0 = true}}}}'],
  TUPLE: ['(u8, &str, bool)', '{__0 = 200, __1 = "two", __2 = false}'],
  LETTERS: ['char [3]', "{97 'a', 233 'é', 9731 '☃'}"],
  SLICE: ['&[u16]', '{10, 20, 30}'],
  BITS: ['shapes::geometry::Bits', '{number = 67305985, bytes = {1, 2, 3, 4}}'],
  WIDE: ['u128', '1512366075204170928972419503379277431'],
};

function open() {
  const file = new SymbolFile(sourceOf('shapes.elf', readFileSync(PATH)));
  const symbols = new Symbols();
  symbols.add(file);
  const memory = {
    read: (address: bigint, length: number) => {
      const section = file.elf.sectionAt(address);
      return section ? section.slice(Number(address - section.address), length) : null;
    },
  };
  const [entry] = file.symbols!.named('POINT');
  const [frame] = framesOf(innermost({ symbols, memory }, { pc: entry.address, get: () => 0n }));
  return { file, frame };
}

test('statics of all kinds', () => {
  const { file, frame } = open();
  for (const [name, [type, text]] of Object.entries(EXPECTED)) {
    const { value } = evaluate(`shapes::${name}`, frame);
    assert.equal(typeName(value.type), type, name);
    assert.equal(formatValue(value, { depth: 4 }).replace(/0x[0-9a-f]+/, 'ADDRESS'), text, name);
  }
  assert.equal(evaluate('shapes::CIRCLE', frame).value.size, 24);
  assert.deepEqual(file.problems, []);
});

/** Numbers, texts and truth values, in their order; names of types and members left out. */
function atoms(text: string): string[] {
  const plain = text.replace(/'[^']*'/g, '');
  return plain.match(/(?<![\w.])-?(?:0x[0-9a-f]+|\d+(?:\.\d+)?)(?!\w)|"[^"]*"|\btrue\b|\bfalse\b/g) ?? [];
}

test('the same values as gdb tells', async (t) => {
  if (!needTool(t, 'gdb-multiarch', 'gdb-multiarch')) return;
  const { frame } = open();
  const names = Object.keys(EXPECTED);
  const script = names.map((name) => `print shapes::${name}`).join('\n');
  const args = ['-q', '-nx', '-ex', 'set language rust', PATH];
  const answer = await runWithInput('gdb-multiarch', args, `set prompt\n${script}\nquit\n`);
  const theirs = [...answer.matchAll(/^(?:\(gdb\) )?\$\d+ = (.*)$/gm)].map((match) => match[1]);
  assert.equal(theirs.length, names.length, answer);
  for (const [i, name] of names.entries()) {
    const ours = formatValue(evaluate(`shapes::${name}`, frame).value, { depth: 4 });
    assert.deepEqual(atoms(ours), atoms(theirs[i]), `${name}: ${ours}, gdb ${theirs[i]}`);
    const variant = /^\{(\w+) = (?:\{|$)/.exec(ours)?.[1];
    if (variant && /^[A-Z]/.test(variant)) assert.ok(theirs[i].includes(`::${variant}`), `${name}: gdb ${theirs[i]}`);
  }
});
