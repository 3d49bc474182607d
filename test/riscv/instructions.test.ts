/**
 * Every instruction of the encoding table on our machine and on QEMU's, with random fields and operands that lean towards the
 * edges: all registers, flags, memory and the trap that ends each case must be equal.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MEMORY_ADDRESS, MEMORY_BYTES } from '../../scripts/insn-batch.ts';
import { Random } from '../../src/base/random.ts';
import { INSTRUCTIONS } from '../../src/vmm/riscv/decoder.ts';
import { COMPRESSED } from '../../src/vmm/riscv/insns/c.ts';
import { needTool } from '../support/tools.ts';
import { type Comparison, codeOf, compareBatches, compareTiers, report } from './support/batch.ts';
import { instructionCase, state } from './support/operands.ts';

const SEED = 20240611;

/** So many cases of each instruction; those of the floating-point unit get more. */
function casesOfEach(random: Random, integer: number, float: number): Comparison[] {
  const cases: Comparison[] = [];
  for (const form of [...INSTRUCTIONS, ...COMPRESSED]) {
    // Control registers and what changes the privilege have tests of their own.
    if (/^(csr|ecall|ebreak|mret|sret|wfi)/.test(form.name)) continue;
    const wanted = /^f(?!ence)/.test(form.name) ? float : integer;
    let made = 0;
    for (let tries = 0; made < wanted && tries < 1000 * wanted; tries++) {
      const item = instructionCase(random, form);
      if (!item) continue;
      cases.push(item);
      made++;
    }
    assert.equal(made, wanted, `cases of ${form.name}`);
  }
  return cases;
}

test('each instruction', { timeout: 120_000 }, async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const differences = await compareBatches(casesOfEach(new Random(SEED), 80, 300));
  assert.equal(differences.length, 0, report(differences, SEED));
});

test('each instruction, compiled', { timeout: 120_000 }, () => {
  const differences = compareTiers(casesOfEach(new Random(SEED), 4, 8));
  assert.equal(differences.length, 0, report(differences, SEED));
});

test('store-conditional after load-reserved', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  const atomic = (funct5: number, size: number, rd: number, rs2: number) =>
    ((funct5 << 27) | (random.below(4) << 25) | (rs2 << 20) | (10 << 15) | (size << 12) | (rd << 7) | 0x2f) >>> 0;
  const [LR, SC] = [0b00010, 0b00011];
  for (let n = 0; n < 500; n++) {
    const base = state(random);
    const size = 2 + random.below(2);
    const address = MEMORY_ADDRESS + random.below(MEMORY_BYTES - 8);
    const loaded = random.pick([5, 5, 5, 0, 12]);
    const code = codeOf(atomic(LR, size, loaded, 0), atomic(SC, size, random.pick([6, 6, 0, 10]), 12));
    const x = base.x.with(10, BigInt(random.below(4) ? address & -8 : address));
    cases.push({ ...base, name: 'lr, sc', code, x });
  }
  const differences = await compareBatches(cases);
  assert.equal(differences.length, 0, report(differences, SEED));
});
