/** Where breakpoints on lines and functions belong, compared with where gdb puts them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { entryAddress } from '../../src/symbols/functions.ts';
import {
  type BreakLocation,
  functionLocations,
  lineLocations,
  type Symbols,
  sourcePaths,
} from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL } from '../support/guests.ts';
import { needTool } from '../support/tools.ts';
import { symbolsOf } from './support/files.ts';
import { runWithInput } from './support/oracle.ts';
import { buildVariant, needCompiler, VARIANTS } from './support/variants.ts';

const GUEST = fileURLToPath(new URL('../../../guests/embedded', import.meta.url));
const FILES = ['sched.c', 'message.c', 'lock.h', 'list.h', 'work.c', 'print.c', 'user.c'];
const FUNCTIONS = [
  'lock',
  'unlock',
  'message_take',
  'unlink_first',
  'trap_handle',
  'list_remove',
  'task_begin',
  'user_main',
  'shell',
  'be32',
];

/** Addresses of gdb's breakpoints, by what was asked for. */
async function gdbLocations(elf: string, places: readonly string[]): Promise<Map<string, string[]>> {
  const script = places.map((place) => `echo \\n@@${place}\\n\nbreak ${place}\ninfo breakpoints\ndelete\n`).join('');
  const args = ['-q', '-nx', '-ex', 'set breakpoint pending off', '-ex', 'set width 0', '-ex', 'set confirm off'];
  const output = await runWithInput('gdb-multiarch', [...args, '-ex', `file ${elf}`], `set prompt\n${script}quit\n`);
  const found = new Map<string, string[]>();
  for (const block of output.split('\n@@').slice(1)) {
    const [place] = block.split('\n', 1);
    const addresses = [...block.matchAll(/ (0x[0-9a-f]{16}) in /g)].map((m) => BigInt(m[1]).toString(16));
    found.set(place, [...new Set(addresses)].sort());
  }
  return found;
}

const sourceLines = () =>
  FILES.map((file) => ({ file, count: readFileSync(join(GUEST, file), 'utf8').split('\n').length }));

function locationsOf(symbols: Symbols, file: string, line: number): BreakLocation[] {
  const [path] = sourcePaths(symbols, file);
  return path === undefined ? [] : lineLocations(symbols, path, line);
}

const hexes = (locations: readonly { address: bigint }[]) => locations.map((l) => l.address.toString(16)).sort();

/** Without optimisation: just where gdb puts them, for every line of some files. */
async function compare(t: TestContext, elf: string): Promise<void> {
  const symbols = symbolsOf(elf);
  const lines = sourceLines().flatMap(({ file, count }) =>
    Array.from({ length: count }, (_, i) => [file, i + 1] as const),
  );
  const theirs = await gdbLocations(elf, [...lines.map(([file, line]) => `${file}:${line}`), ...FUNCTIONS]);
  const different: string[] = [];
  const check = (place: string, ours: string[]) => {
    const wanted = theirs.get(place) ?? [];
    if (ours.join() !== wanted.join()) different.push(`${place}: ours ${ours.join(' ')}, gdb's ${wanted.join(' ')}`);
  };
  for (const [file, line] of lines) check(`${file}:${line}`, hexes(locationsOf(symbols, file, line)));
  for (const name of FUNCTIONS) check(name, hexes(functionLocations(symbols, name)));
  t.diagnostic(`${theirs.size} places`);
  assert.equal(
    different.length,
    0,
    `${different.length} of ${theirs.size} differ:\n${different.slice(0, 25).join('\n')}`,
  );
}

/** Addresses at which a statement of each line begins, by LLVM's word: `file:line` to addresses. */
async function statements(elf: string): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>();
  let names = new Map<string, string>();
  let index = '';
  for (const line of (await runWithInput('llvm-dwarfdump', ['--debug-line', elf], '')).split('\n')) {
    if (line.startsWith('debug_line[')) names = new Map();
    index = /^file_names\[ *(\d+)\]/.exec(line)?.[1] ?? index;
    const name = /^ +name: "(?:.*\/)?(.*)"$/.exec(line);
    if (name) names.set(index, name[1]);
    const row = /^0x([0-9a-f]{16}) +(\d+) +\d+ +(\d+) .*is_stmt/.exec(line);
    if (!row || line.includes('end_sequence')) continue;
    const key = `${names.get(row[3])}:${row[2]}`;
    found.set(key, (found.get(key) ?? new Set()).add(BigInt(`0x${row[1]}`).toString(16)));
  }
  return found;
}

/** With optimisation, gdb forgets lines and moves others. Each place must then begin a statement of its line, or be a function's first one, and the first address of a line among them. */
async function check(t: TestContext, elf: string): Promise<void> {
  const symbols = symbolsOf(elf);
  const rows = await statements(elf);
  let compared = 0;
  for (const { file, count } of sourceLines()) {
    for (let line = 1; line <= count; line++) {
      const places = locationsOf(symbols, file, line);
      const found = places[0]?.location?.line ?? line;
      const wanted = rows.get(`${file}:${found}`);
      const between = Array.from({ length: found - line }, (_, i) => rows.has(`${file}:${line + i}`));
      assert.ok(!between.includes(true), `${file}:${line} is taken for line ${found}`);
      if (!wanted) {
        assert.equal(places.length, 0, `${file}:${line}`);
        continue;
      }
      for (const { address, module, name } of places) {
        const fn = module.file.functionAt(address);
        const prologue = fn !== null && module.file.afterPrologue(fn, entryAddress(fn)!) === address;
        assert.ok(prologue || wanted.has(address.toString(16)), `${file}:${line}: ${address.toString(16)} in ${name}`);
        compared++;
      }
      const [first] = [...wanted].sort();
      const fn = symbols.modules[0].file.functionAt(BigInt(`0x${first}`));
      const moved = fn && symbols.modules[0].file.afterPrologue(fn, BigInt(`0x${first}`)).toString(16);
      const here = hexes(places);
      assert.ok(
        here.includes(first) || (moved && here.includes(moved)),
        `${file}:${line}: ${first} in ${here.join(' ')}`,
      );
    }
  }
  t.diagnostic(`${compared} addresses`);
}

/** Copies of functions that are inlined: as many as LLVM lists, each with an address. */
async function inlined(elf: string): Promise<void> {
  const symbols = symbolsOf(elf);
  const text = await runWithInput('llvm-dwarfdump', ['--debug-info', elf], '');
  for (const name of ['lock_spin', 'lock', 'unlock', 'current', 'this_hart', 'unlink_first']) {
    const copies = text.split(/\n(?=0x[0-9a-f]+: )/).filter((die) => {
      return /DW_TAG_inlined_subroutine/.test(die) && die.includes(`"${name}")`) && /DW_AT_(low_pc|ranges)/.test(die);
    });
    const entries = new Set(copies.map((die) => /DW_AT_(?:entry_pc|low_pc)\t\((0x[0-9a-f]+)\)/.exec(die)?.[1] ?? die));
    const places = functionLocations(symbols, name).filter((l) => l.inlined);
    assert.deepEqual(hexes(places), [...entries].map((e) => BigInt(e).toString(16)).sort(), name);
  }
}

test('the committed guest', async (t) => {
  if (!needTool(t, 'llvm-dwarfdump', 'llvm')) return;
  await check(t, EMBEDDED_KERNEL);
  await inlined(EMBEDDED_KERNEL);
});

for (const variant of VARIANTS.filter(({ flags }) => flags.includes('-O0') || flags.includes('-gdwarf-5'))) {
  test(variant.name, async (t) => {
    if (!needCompiler(t, variant) || !needTool(t, 'llvm-dwarfdump', 'llvm')) return;
    const elf = await buildVariant(t, variant);
    if (!variant.flags.includes('-O0')) await check(t, elf);
    else if (needTool(t, 'gdb-multiarch', 'gdb-multiarch')) await compare(t, elf);
  });
}
