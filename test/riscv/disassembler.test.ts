/** Our assembly text is that of GNU objdump (ABI names, no aliases), word for word. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/process.ts';
import { Random } from '../../src/base/random.ts';
import { decode, INSTRUCTIONS } from '../../src/vmm/riscv/decoder.ts';
import { disassemble } from '../../src/vmm/riscv/disassembler.ts';
import { COMPRESSED } from '../../src/vmm/riscv/insns/c.ts';
import { needTool } from '../support/tools.ts';

const SEED = 20240615;
const WORDS_PER_FORM = 200;
const START = 0x10000;
const BINUTILS = 'binutils-riscv64-linux-gnu';

/** Fields that objdump wants to be zero, and we do not look at. */
const ZERO_FIELDS: Record<string, number> = {
  fence: 0xf00fff80,
  'fence.i': 0xffffff80,
  'fcvt.d.s': 0x7000,
  'fcvt.d.w': 0x7000,
  'fcvt.d.wu': 0x7000,
  // A hint, which is C.ADDI to objdump.
  'c.nop': 0x107c,
};

function words(): number[] {
  const random = new Random(SEED);
  const list: number[] = [];
  for (const { name, pattern } of [...INSTRUCTIONS, ...COMPRESSED]) {
    for (let n = 0; n < WORDS_PER_FORM; n++) {
      const free = ~pattern.mask & ~(ZERO_FIELDS[name] ?? 0) & (pattern.width === 16 ? 0xffff : -1);
      const bits = (pattern.match | (random.u32() & free)) >>> 0;
      const decoded = decode(bits);
      if ((decoded?.compressed ?? decoded?.instruction)?.name === name) list.push(bits);
    }
  }
  return list;
}

/** Disassembly by address. */
async function objdump(list: readonly number[]): Promise<Map<number, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-objdump-'));
  try {
    const [source, object] = [join(folder, 'words.s'), join(folder, 'words.o')];
    const lines = list.map((bits) => `.insn ${(bits & 3) === 3 ? 4 : 2}, 0x${bits.toString(16)}\n`);
    writeFileSync(source, lines.join(''));
    await run('riscv64-linux-gnu-as', ['-march=rv64gc_zba_zbb_zbs_zihintpause', '-o', object, source]);
    const dump = ['-d', '-M', 'no-aliases', `--adjust-vma=0x${START.toString(16)}`, object];
    const text = await run('riscv64-linux-gnu-objdump', dump);
    const found = text.matchAll(/^\s*([0-9a-f]+):\t[0-9a-f]+\s*\t(.*)$/gm);
    return new Map([...found].map(([, address, line]) => [Number.parseInt(address, 16), line]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Without what objdump adds, or names beyond us. */
function normal(bits: number, ours: string, theirs: string): string {
  const line = theirs
    // The address that an operand amounts to, or the symbol there.
    .replace(/ # .*$/, '')
    .replace(/ <.*>$/, '')
    .replace(/^fence\tw,unknown$/, 'pause')
    .replace(/^c\.addi\tzero,0$/, 'c.nop')
    // Hints: shifts by nothing.
    .replace(/^(c\.s[lr][la]i)64(\t\w+)$/, '$1$2,0x0');
  if (decode(bits)?.instruction.operands.includes('target')) return line.replace(/([0-9a-f]+)$/, '0x$1');
  // A register that the machine does not have.
  const number = /^csr\w+\t\w+,(0x[0-9a-f]+),/.exec(ours);
  return number ? line.replace(/,\w+,/, `,${number[1]},`) : line;
}

test('the disassembly of every form is that of objdump', async (t) => {
  if (!needTool(t, 'riscv64-linux-gnu-objdump', BINUTILS)) return;
  const list = words();
  const theirs = await objdump(list);
  const wrong: string[] = [];
  let address = START;
  for (const bits of list) {
    const { text, length } = disassemble(bits, BigInt(address));
    const expected = normal(bits, text, theirs.get(address) ?? 'nothing');
    if (text !== expected) wrong.push(`${bits.toString(16)}: ours ${text}, objdump ${expected}`);
    address += length;
  }
  assert.deepEqual(wrong.slice(0, 20), [], `seed ${SEED}: ${wrong.length} of ${list.length} differ`);
});

test('what is no instruction is shown as data', () => {
  assert.equal(disassemble(0xffffffff, 0n).text, '.word\t0xffffffff');
  assert.equal(disassemble(0x00010000, 0n).text, '.short\t0x0000');
});
