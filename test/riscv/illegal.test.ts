/** Bits that are no instruction of ours raise an illegal instruction with the same tval as on QEMU. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { decode, INSTRUCTIONS } from '../../src/vmm/riscv/decoder.ts';
import { needTool } from '../support/tools.ts';
import { type Comparison, codeOf, compareBatches, report } from './support/batch.ts';
import { state } from './support/operands.ts';

const SEED = 20240613;

/** A word of 32 bits: any, or an instruction with one or two of its fixed bits changed. */
function nearlyAnInstruction(random: Random): number {
  const { pattern } = random.pick(INSTRUCTIONS);
  let bits = random.u32() | 3;
  if (random.below(4)) {
    bits = (pattern.match | (bits & ~pattern.mask)) >>> 0;
    for (let n = random.below(2); n >= 0; n--) bits ^= (1 << (2 + random.below(30))) & pattern.mask;
  }
  return bits >>> 0;
}

test('words of 32 bits', { timeout: 120_000 }, async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const base = state(random);
  const cases: Comparison[] = [];
  while (cases.length < 8000) {
    const bits = nearlyAnInstruction(random);
    if (decode(bits)) continue;
    cases.push({ ...base, name: 'word', code: codeOf(bits), crossing: random.below(8) === 0 });
  }
  const differences = await compareBatches(cases);
  assert.equal(differences.length, 0, report(differences, SEED));
});

test('all words of 16 bits', { timeout: 120_000 }, async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const base = state(new Random(SEED));
  const cases: Comparison[] = [];
  for (let bits = 0; bits < 0x10000; bits++) {
    if ((bits & 3) !== 3 && !decode(bits)) cases.push({ ...base, name: 'half', code: codeOf(bits) });
  }
  const differences = await compareBatches(cases);
  assert.equal(differences.length, 0, report(differences, SEED));
});
