/** Garbled symbol files: each damage is an error that names its section and offset, for the unit that it is in; nothing crashes, hangs, or grows without end. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { findProgram } from '../../scripts/process.ts';
import { UserError } from '../../src/base/assert.ts';
import { Random } from '../../src/base/random.ts';
import {
  ExpressionError,
  evaluate,
  fileScope,
  formatValue,
  frames,
  functionLocations,
  lineLocations,
  SymbolError,
  SymbolFile,
  Symbols,
  scopesOf,
  sourceOf,
  Unavailable,
} from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL } from '../support/guests.ts';
import { buildVariant, VARIANTS } from './support/variants.ts';

const ITERATIONS = Number(process.env.CHRONOVISOR_FUZZ ?? 150);

/** What tests may ask of a file: everything, at some addresses. */
function exercise(file: SymbolFile, random: Random): void {
  const symbols = new Symbols();
  symbols.add(file);
  const text = file.elf.section('.text');
  const base = text?.address ?? 0x80000000n;
  const context = {
    symbols,
    memory: { read: (_: bigint, length: number) => Uint8Array.from({ length }, () => random.below(256)) },
  };
  for (let i = 0; i < 6; i++) {
    const pc = base + BigInt(2 * random.below(0x2000));
    const registers = { pc, get: (n: number) => (n === 2 ? 0x80060000n : base + BigInt(random.below(0x4000))) };
    let depth = 0;
    for (const frame of frames(context, registers)) {
      for (const { variables } of scopesOf(frame)) for (const { value } of variables) formatValue(value);
      if (++depth === 12) break;
    }
    const [frame] = frames(context, registers);
    if (i === 0) for (const { value } of fileScope(frame).variables) formatValue(value, { depth: 3 });
    for (const expression of [
      'tasks[1].context.s[2]',
      'sizeof(struct task)',
      '*current()',
      '&pool->first',
      'TASK_READY',
    ]) {
      try {
        formatValue(evaluate(expression, frame).value);
      } catch (error) {
        if (!(error instanceof ExpressionError || error instanceof Unavailable || error instanceof SymbolError))
          throw error;
      }
    }
  }
  for (const path of file.names.paths.slice(0, 3)) lineLocations(symbols, path, 1 + random.below(100));
  functionLocations(symbols, 'lock');
  for (const unit of file.info.units.slice(0, 4)) file.lines(unit);
}

/** A file with some bytes changed, mostly in the sections that matter, and what was done. */
function garbled(good: Uint8Array, file: SymbolFile, random: Random): { bytes: Uint8Array; what: string } {
  const bytes = Uint8Array.from(good);
  const sections = file.elf.sections.filter((s) => /^\.(debug|sym|str|eh_|note)/.test(s.name) && s.header.bytes > 0);
  const what: string[] = [];
  for (let n = 1 + random.below(6); n > 0; n--) {
    const section = random.pick(sections);
    const inHeader = random.below(40) === 0;
    const at = inHeader ? random.below(64) : section.header.offset + random.below(section.header.bytes);
    const value = random.pick([0, 0xff, 0x80, 1, bytes[at] ^ (1 << random.below(8)), random.below(256)]);
    // Runs of one byte make numbers that are far too big.
    for (let i = 0; i < random.pick([1, 1, 2, 4, 8]) && at + i < bytes.length; i++) bytes[at + i] = value;
    what.push(`${inHeader ? 'header' : section.name}+${at.toString(16)}=${value.toString(16)}`);
  }
  return { bytes, what: what.join(' ') };
}

function fuzz(t: TestContext, good: Uint8Array, seed: number): void {
  const random = new Random(seed);
  t.diagnostic(`seed ${seed}, ${ITERATIONS} files`);
  const whole = new SymbolFile(sourceOf('good', good));
  let [refused, noted] = [0, 0];
  for (let i = 0; i < ITERATIONS; i++) {
    const { bytes, what } = garbled(good, whole, random);
    try {
      const file = new SymbolFile(sourceOf('garbled', bytes));
      exercise(file, random);
      if (file.problems.length > 0) noted++;
      for (const problem of file.problems) {
        assert.match(problem.message, /^garbled: [.\w]+ at offset 0x[0-9a-f]+: /);
      }
    } catch (error) {
      // A file whose ELF header or sections make no sense is refused whole.
      assert.ok(error instanceof UserError, `file ${i} (${what}): ${(error as Error).stack}`);
      refused++;
    }
  }
  t.diagnostic(`${refused} refused, ${noted} with problems noted, the others without`);
  assert.ok(refused < ITERATIONS / 4 && noted > ITERATIONS / 10);
}

test('the committed guest', (t) => fuzz(t, readFileSync(EMBEDDED_KERNEL), 1));

for (const name of [
  'gcc -O2, DWARF 4',
  'gcc -O0, DWARF 2',
  'gcc -O2, type units',
  'gcc -O3, compressed, 64-bit DWARF',
  'clang -O2, DWARF 5',
]) {
  test(name, async (t) => {
    const variant = VARIANTS.find((v) => v.name === name)!;
    const compilers = ['riscv64-linux-gnu-gcc', ...(variant.compiler === 'clang' ? ['clang-14'] : [])];
    const missing = compilers.find((program) => findProgram(program) === undefined);
    if (missing !== undefined) return t.skip(`${missing} is not installed`);
    fuzz(t, readFileSync(await buildVariant(t, variant)), 2);
  });
}

test('damage in one unit leaves the others alone', () => {
  const good = readFileSync(EMBEDDED_KERNEL);
  const whole = new SymbolFile(sourceOf('kernel.elf', good));
  const section = whole.elf.section('.debug_info')!;
  const victim = whole.info.units.find((u) => u.name.endsWith('sched.c'))!;
  const bytes = Uint8Array.from(good);
  // An abbreviation that does not exist, in the middle of the unit.
  const at = victim.tree.offsets[victim.tree.count >> 1];
  bytes.set([0xff, 0xff, 0x7f], section.header.offset + victim.offset + at);
  const file = new SymbolFile(sourceOf('kernel.elf', bytes));
  const named = (name: string) => [...whole.symbols!.named(name)][0].address;
  assert.deepEqual(file.framesAt(named('schedule')), []);
  assert.equal(file.problems.length, 1);
  assert.match(
    file.problems[0].message,
    /^kernel\.elf: \.debug_info at offset 0x[0-9a-f]+: abbreviation 2097151 is not in the table/,
  );
  assert.equal(file.problems[0].offset, victim.offset + at);
  assert.equal(file.framesAt(named('trap_handle'))[0].name, 'trap_handle');
  assert.equal(file.symbolAt(named('schedule'))?.name, 'schedule');
  assert.ok([...file.names.find('trap_handle')].length === 1);
});
