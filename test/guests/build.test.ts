/** The committed guests are what their sources say. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../scripts/process.ts';
import { needTool } from '../support/tools.ts';

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));
const GUESTS = join(CHECKOUT, 'guests');
const BENCH = readdirSync(join(GUESTS, 'bench')).filter((file) => file.endsWith('.elf'));
const ELFS = [
  ...['embedded/kernel.elf', 'tests/exit.elf', 'tests/pending.elf', 'tests/poweroff.elf'],
  ...BENCH.map((file) => `bench/${file}`),
];
const COMPILER = 'embedded/kernel.elf.compiler';

/** Another version of the compiler makes other code, but not much more or less of it. */
const SIZE_TOLERANCE = 0.2;

async function rebuild(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-guests-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await run('sh', [join(GUESTS, 'build.sh'), folder]);
  return folder;
}

/** Size of a section, by the toolchain's own word. */
async function sectionBytes(elf: string, section: string): Promise<number> {
  const lines = await run('riscv64-linux-gnu-size', ['-A', elf]);
  const line = lines.split('\n').find((text) => text.split(/\s+/)[0] === section);
  assert.ok(line, `${elf} has no section ${section}`);
  return Number(line.split(/\s+/)[1]);
}

test('the guests build to the bytes that are committed', async (t) => {
  if (!needTool(t, 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu')) return;
  const folder = await rebuild(t);
  const sameCompiler = readFileSync(join(folder, COMPILER)).equals(readFileSync(join(GUESTS, COMPILER)));
  for (const elf of ELFS) {
    if (sameCompiler) {
      const same = readFileSync(join(folder, elf)).equals(readFileSync(join(GUESTS, elf)));
      assert.ok(same, `guests/${elf} is not what its source builds to: run guests/build.sh and commit the result`);
    } else {
      const committed = await sectionBytes(join(GUESTS, elf), '.text');
      const built = await sectionBytes(join(folder, elf), '.text');
      assert.ok(
        Math.abs(built - committed) <= committed * SIZE_TOLERANCE,
        `guests/${elf}: ${committed} bytes of code are committed, this compiler makes ${built}`,
      );
    }
  }
});

test('the debug information names sources by their path in the checkout', () => {
  const elf = readFileSync(join(GUESTS, 'embedded/kernel.elf')).toString('latin1');
  assert.ok(elf.includes('guests/embedded/main.c\0'));
  assert.ok(!elf.includes('/home/') && !elf.includes('/tmp/'), 'a path of the building machine is in kernel.elf');
});

test("the README's spoiler points at the line of the bug", () => {
  const readme = readFileSync(join(GUESTS, 'embedded/README.md'), 'utf8');
  const line = Number(/`message\.c:(\d+)`/.exec(readme)?.[1]);
  const source = readFileSync(join(GUESTS, 'embedded/message.c'), 'utf8').split('\n');
  assert.equal(source[line - 1].trim(), 'return unlink_first();');
});
