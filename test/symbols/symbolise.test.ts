/** Functions, inlined copies and source lines of addresses, compared with LLVM's symbolizer: every address of the embedded guest in many builds, thousands of Debian's kernel. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { rowAt } from '../../src/symbols/dwarf/line.ts';
import { SymbolFile, sourceOf } from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL } from '../support/guests.ts';
import { needTool } from '../support/tools.ts';
import { needVmlinux, openSource } from './support/files.ts';
import { runWithInput } from './support/oracle.ts';
import { buildVariant, needCompiler, VARIANTS } from './support/variants.ts';

const needLlvm = (t: TestContext) => needTool(t, 'llvm-symbolizer', 'llvm');

/** `function file:line:column` for each function at work, the innermost first. The row of the line table is the plain one, without regard to statements. */
function symbolised(file: SymbolFile, address: bigint, functions: boolean): string {
  const unit = file.unitAt(address);
  let innermost = '??:0:0';
  for (const sequence of unit ? file.lines(unit).sequences : []) {
    const row = rowAt(sequence, address);
    if (row < 0) continue;
    const path = file.lines(unit!).files[sequence.files[row]];
    innermost = `${path.split('/').pop()}:${sequence.lines[row]}:${sequence.columns[row]}`;
    break;
  }
  const frames = file.framesAt(address);
  if (frames.length === 0) return `?? ${innermost}`;
  if (!functions) return `${frames.at(-1)!.name} ${innermost}`;
  return frames
    .map(({ name, location }, i) => {
      if (i === 0) return `${name} ${innermost}`;
      return `${name} ${location ? `${location.path.split('/').pop()}:${location.line}:${location.column}` : '??:0:0'}`;
    })
    .join(' | ');
}

async function oracle(path: string, addresses: readonly bigint[], functions: boolean): Promise<string[]> {
  const words = ['-e', path, '--inlines', '--functions=short'];
  const output = await runWithInput('llvm-symbolizer', words, addresses.map((a) => `0x${a.toString(16)}\n`).join(''));
  return output
    .trimEnd()
    .split('\n\n')
    .map((block) => {
      const lines = block.split('\n');
      const frames: string[] = [];
      for (let i = 0; i + 1 < lines.length; i += 2) frames.push(`${lines[i]} ${lines[i + 1].split('/').pop()}`);
      return functions ? frames.join(' | ') : `${lines.at(-2)} ${frames[0].split(' ')[1]}`;
    });
}

async function compare(file: SymbolFile, path: string, addresses: readonly bigint[], functions = true): Promise<void> {
  const theirs = await oracle(path, addresses, functions);
  assert.equal(theirs.length, addresses.length);
  const different: string[] = [];
  addresses.forEach((address, i) => {
    const ours = symbolised(file, address, functions);
    // The assembler does not say where a sequence without any row belongs.
    const same = ours === theirs[i] || (theirs[i].startsWith('?? ??') && ours.endsWith('??:0:0'));
    if (!same) different.push(`${address.toString(16)}\n  ours   ${ours}\n  theirs ${theirs[i]}`);
  });
  assert.equal(
    different.length,
    0,
    `${different.length} of ${addresses.length}:\n${different.slice(0, 10).join('\n')}`,
  );
  assert.deepEqual(file.problems, []);
}

function codeAddresses(file: SymbolFile): bigint[] {
  const addresses: bigint[] = [];
  for (const name of ['.text', '.user']) {
    const { address, header } = file.elf.section(name)!;
    for (let at = 0; at < header.bytes; at += 2) addresses.push(address + BigInt(at));
  }
  return addresses;
}

test('the committed guest: every address', async (t) => {
  if (!needLlvm(t)) return;
  const file = new SymbolFile(sourceOf('kernel.elf', readFileSync(EMBEDDED_KERNEL)));
  await compare(file, EMBEDDED_KERNEL, codeAddresses(file));
});

for (const variant of VARIANTS) {
  test(`${variant.name}: every address`, async (t) => {
    if (!needCompiler(t, variant) || !needLlvm(t)) return;
    const path = await buildVariant(t, variant);
    const file = new SymbolFile(sourceOf(variant.name, readFileSync(path)));
    // Strict DWARF 2 cannot say where pieces of an inlined function are, and every reader makes its own of that.
    await compare(file, path, codeAddresses(file), !variant.flags.includes('-gdwarf-2'));
  });
}

test("Debian's kernel: addresses at random", async (t) => {
  const path = needVmlinux(t);
  if (!path || !needLlvm(t)) return;
  const random = new Random(20261123);
  t.diagnostic(`seed ${random.seed}`);
  const file = new SymbolFile(openSource(t, path));
  const { unitMap } = file;
  const addresses = Array.from({ length: 4000 }, () => {
    const i = random.below(unitMap.length);
    return unitMap.lows[i] + BigInt(2 * random.below(Number(unitMap.highs[i] - unitMap.lows[i]) / 2));
  });
  await compare(file, path, addresses);
});
