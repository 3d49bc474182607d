/** Relocatable files, such as kernel modules: their debug sections are relocated to where the sections were put; and the same code linked there by the linker says the same. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../scripts/process.ts';
import { rowAt } from '../../src/symbols/dwarf/line.ts';
import {
  fileScope,
  formatValue,
  framesOf,
  innermost,
  lineLocations,
  SymbolFile,
  Symbols,
  sourceOf,
  typeName,
} from '../../src/symbols/index.ts';
import { scratch } from '../support/guests.ts';
import { needTool } from '../support/tools.ts';

const SOURCES = fileURLToPath(new URL('../../../guests/embedded', import.meta.url));
const TEXT = 0x80100000n;
const DATA = 0x80200000n;

interface Build {
  readonly object: string;
  readonly linked: string;
}

/** Compiles a source to an object, and links that alone, with its sections where a loader would have put them. */
async function build(t: TestContext, program: string, flags: readonly string[]): Promise<Build> {
  const folder = scratch(t);
  const object = join(folder, 'module.ko');
  const linked = join(folder, 'module.elf');
  const common = [
    '-ffreestanding',
    '-fno-pic',
    '-fno-pie',
    '-mcmodel=medany',
    '-fno-common',
    '-msmall-data-limit=0',
    '-w',
  ];
  await run(program, [...common, ...flags, '-c', join(SOURCES, 'sched.c'), '-o', object]);
  const script = join(folder, 'script.ld');
  const place = (name: string, at: bigint) => `${name} 0x${at.toString(16)} : { *(${name}) }`;
  writeFileSync(
    script,
    `SECTIONS { ${place('.text', TEXT)} ${place('.data', DATA)} ${place('.bss', DATA + 0x100000n)} }\n`,
  );
  const relax = ['-Wl,--no-relax', '-Wl,--unresolved-symbols=ignore-all', '-Wl,--noinhibit-exec'];
  await run('riscv64-linux-gnu-gcc', ['-nostdlib', '-static', ...relax, '-T', script, object, '-o', linked]);
  return { object, linked };
}

function openObject(path: string, bss: bigint): SymbolFile {
  const sections = new Map([
    ['.text', TEXT],
    ['.data', DATA],
    ['.bss', bss],
  ]);
  return new SymbolFile(sourceOf(path, readFileSync(path)), { sections });
}

/** Everything about each address of code. */
function listing(file: SymbolFile, bytes: number): string[] {
  const lines: string[] = [];
  for (let at = TEXT; at < TEXT + BigInt(bytes); at += 2n) {
    const unit = file.unitAt(at);
    const rows = unit
      ? file
          .lines(unit)
          .sequences.map((s) => [s, rowAt(s, at)] as const)
          .filter(([, row]) => row >= 0)
      : [];
    const line = rows.map(([s, row]) => `${s.lines[row]}:${s.columns[row]}`).join();
    const names = file.framesAt(at).map((f) => `${f.name}@${f.location?.line}`);
    const rules = file.frameRules(at);
    const cfa = rules?.cfa.kind === 'register' ? `${rules.cfa.register}+${rules.cfa.offset}` : 'none';
    const saved = [...(rules?.registers ?? [])].map(
      ([r, rule]) => `${r}:${rule.kind === 'offset' ? rule.offset : rule.kind}`,
    );
    lines.push(
      `${at.toString(16)} ${line} ${names.join(' < ')} ${cfa} ${saved.sort().join(' ')} ${file.symbolAt(at)?.name}`,
    );
  }
  return lines;
}

const BUILDS: readonly (readonly [name: string, program: string, debian: string, flags: readonly string[]])[] = [
  ['gcc, DWARF 5', 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu', ['-O2', '-gdwarf-5']],
  ['gcc, DWARF 4', 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu', ['-O2', '-gdwarf-4']],
  ['gcc, DWARF 5, -O0', 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu', ['-O0', '-gdwarf-5']],
  ['gcc, compressed', 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu', ['-O2', '-gdwarf-5', '-gz=zlib']],
  [
    'clang, relaxed',
    'clang-14',
    'clang-14',
    ['-O2', '-gdwarf-4', '--target=riscv64-linux-gnu', '-march=rv64imafdc', '-mrelax'],
  ],
];

for (const [name, program, debian, flags] of BUILDS) {
  test(`${name}: an object at its addresses says what the linked file says`, async (t) => {
    if (!needTool(t, program, debian) || !needTool(t, 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu')) return;
    const { object, linked } = await build(t, program, flags);
    const whole = new SymbolFile(sourceOf(linked, readFileSync(linked)));
    const bss = whole.elf.section('.bss')!.address;
    const module = openObject(object, bss);
    const bytes = module.elf.section('.text')!.header.bytes;
    const [ours, theirs] = [listing(module, bytes), listing(whole, bytes)];
    for (const [i, line] of ours.entries()) assert.equal(line, theirs[i]);
    assert.deepEqual(module.problems, []);
    // Variables and breakpoints lie where the sections do.
    const places = (file: SymbolFile) => {
      const symbols = new Symbols();
      symbols.add(file);
      const path = file.names.paths.find((p) => p.endsWith('/sched.c'))!;
      const lines = Array.from({ length: 320 }, (_, i) => lineLocations(symbols, path, i).map((l) => l.address));
      const context = { symbols, memory: { read: (_: bigint, length: number) => new Uint8Array(length) } };
      const at = [...file.symbols!.named('schedule')][0].address;
      const [frame] = framesOf(innermost(context, { pc: at, get: () => 0n }));
      const globals = fileScope(frame).variables.map(
        (v) => `${v.name} ${typeName(v.value.type)} ${v.value.address} ${formatValue(v.value)}`,
      );
      return { lines, globals };
    };
    const found = places(module);
    assert.ok(found.globals.length >= 4 && found.lines.flat().length > 100);
    assert.deepEqual(found, places(whole));
  });
}

test('a file at an address other than its own', async (t) => {
  if (!needTool(t, 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu')) return;
  const { linked } = await build(t, 'riscv64-linux-gnu-gcc', ['-O2', '-gdwarf-5']);
  const file = new SymbolFile(sourceOf(linked, readFileSync(linked)));
  const symbols = new Symbols();
  symbols.add(file, { space: 'kernel' });
  symbols.add(file, { bias: 0x1000_0000n, space: 'user:1' });
  const at = [...file.symbols!.named('schedule')][0].address;
  assert.equal(symbols.symbolise(at, 'kernel')?.symbol?.name, 'schedule');
  assert.equal(symbols.symbolise(at, 'user:1'), null);
  assert.equal(symbols.symbolise(at + 0x1000_0000n, 'user:1')?.symbol?.name, 'schedule');
  assert.equal(symbols.symbolise(at), null, 'no space was named');
});
