/** Names, types and values of C++: namespaces, classes, templates, references, scoped enumerations; compared with gdb where it says the same. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/process.ts';
import {
  evaluate,
  formatValue,
  framesOf,
  functionLocations,
  innermost,
  SymbolFile,
  Symbols,
  sourceOf,
  typeName,
} from '../../src/symbols/index.ts';
import { scratch } from '../support/guests.ts';
import { needTool } from '../support/tools.ts';

const SOURCE = `
namespace outer {
struct Base { int base_value; virtual int area() const { return base_value; } };
namespace inner {
template <typename T, int N> struct Ring {
  T items[N]; unsigned head : 5; unsigned tail : 11; bool full;
  void push(T item) { items[head] = item; head = (head + 1) % N; }
  T &front() { return items[tail]; }
};
enum class Colour : unsigned char { red, green = 7, blue };
}
class Shape : public Base {
public:
  int area() const override;
  static int count;
  int width = 3, height = 4;
  inner::Colour colour = inner::Colour::green;
};
int Shape::count = 3;
int Shape::area() const { return width * height + base_value; }
}
using Ints = outer::inner::Ring<int, 4>;
Ints ring = { { 10, 20, 30, 40 }, 17, 1025, true };
struct { int width, height; outer::inner::Colour colour; } plain = { 3, 4, outer::inner::Colour::blue };
int *pointer = &ring.items[1];
int &reference = ring.items[2];
outer::Shape shape;
static int helper(const outer::Shape &s, Ints *r) { r->push(s.area()); return r->front(); }
extern "C" int start() { return helper(shape, &ring); }
`;

test('names, types and values', async (t) => {
  if (!needTool(t, 'riscv64-linux-gnu-g++', 'g++-riscv64-linux-gnu')) return;
  const folder = scratch(t);
  const [source, elf] = [join(folder, 'shapes.cpp'), join(folder, 'shapes.elf')];
  writeFileSync(source, SOURCE);
  const flags = ['-g', '-O0', '-ffreestanding', '-fno-exceptions', '-fno-rtti', '-nostdlib', '-static', '-Wl,-e,start'];
  await run('riscv64-linux-gnu-g++', [...flags, source, '-o', elf]);
  const file = new SymbolFile(sourceOf('shapes.elf', readFileSync(elf)));
  const symbols = new Symbols();
  symbols.add(file);
  const memory = {
    read: (address: bigint, length: number) => {
      const section = file.elf.sectionAt(address);
      if (!section || section.name.endsWith('bss')) return new Uint8Array(length);
      return section.slice(Number(address - section.address), length);
    },
  };
  const [start] = functionLocations(symbols, 'start');
  const [frame] = framesOf(innermost({ symbols, memory }, { pc: start.address, get: () => 0n }));
  const expressions: Record<string, [value: string, type: string]> = {
    ring: ['{items = {10, 20, 30, 40}, head = 17, tail = 1025, full = true}', 'Ints'],
    'ring.tail': ['1025', 'unsigned int'],
    'sizeof(Ints)': ['20', 'unsigned long'],
    'sizeof(outer::inner::Ring<int, 4>)': ['20', 'unsigned long'],
    '((outer::inner::Ring<int, 4> *)&ring)->items[1]': ['20', 'int'],
    'plain.width < plain.height': ['1', 'int'],
    'plain.colour': ['blue', 'outer::inner::Colour'],
    'plain.colour == outer::inner::Colour::blue': ['1', 'int'],
    '(outer::inner::Colour)7': ['green', 'outer::inner::Colour'],
    'outer::Shape::count': ['3', 'int'],
    'Shape::count + 1': ['4', 'int'],
    'reference + 1': ['31', 'int'],
    '*pointer': ['20', 'int'],
    'shape.base_value': ['0', 'int'],
    '(outer::Base *)&shape': [
      `0x${[...file.symbols!.named('shape')][0].address.toString(16)} <shape>`,
      'outer::Base *',
    ],
    'sizeof(shape)': ['24', 'unsigned long'],
  };
  for (const [text, [value, type]] of Object.entries(expressions)) {
    const found = evaluate(text, frame).value;
    assert.deepEqual([formatValue(found), typeName(found.type)], [value, type], text);
  }
  const where = (name: string) => functionLocations(symbols, name).map((l) => `${l.name}:${l.location?.line}`);
  assert.deepEqual(where('outer::Shape::area'), ['outer::Shape::area:20']);
  assert.deepEqual(where('area').sort(), ['outer::Base::area:3', 'outer::Shape::area:20']);
  assert.deepEqual(where('push'), ['outer::inner::Ring<int, 4>::push:7']);
  assert.deepEqual(where('Base::area'), ['outer::Base::area:3']);
  assert.deepEqual(file.problems, []);
});
