/** The compiler believes that some results are sign-extensions of 32 bits, and then computes with 32: what it believes must be so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildBatch, parseResults } from '../../scripts/insn-batch.ts';
import { Random } from '../../src/base/random.ts';
import { type Decoded, decode, INSTRUCTIONS } from '../../src/vmm/riscv/decoder.ts';
import { NARROW_AT_ENTRY, narrowAfter } from '../../src/vmm/riscv/known.ts';
import { type Comparison, codeOf, runOnVmm } from './support/batch.ts';
import { instructionCase } from './support/operands.ts';

const SEED = 20261123;
const CASES_EACH = 60;

const RS1 = 31 << 15;
const IMMEDIATE = 0xfff << 20;

const isNarrow = (value: bigint) => BigInt.asUintN(64, BigInt.asIntN(32, value)) === value;
const extended = (value: bigint) => BigInt.asUintN(64, BigInt.asIntN(32, value));

/** Cases of every instruction that writes an integer register; in three of four the operands are narrow. */
function cases(random: Random): { item: Comparison; decoded: Decoded }[] {
  return INSTRUCTIONS.filter(({ name, uses }) => uses.rd && !/^(csr|jal|wfi)/.test(name)).flatMap((form) =>
    Array.from({ length: CASES_EACH }, (_, n) => {
      const found = instructionCase(random, form);
      if (!found) return [];
      // Constants and copies.
      const keep = /^addi?$/.test(form.name) ? [-1, ~RS1, form.name === 'addi' ? ~IMMEDIATE : -1][n % 3] : -1;
      const made = { ...found, code: codeOf(Buffer.from(found.code).readInt32LE() & keep) };
      const decoded = decode(Buffer.from(made.code).readInt32LE());
      assert.ok(decoded, `${form.name} decodes`);
      // An address stays what it is.
      const narrowed = form.uses.rd && !/^(l|amo|sc)/.test(form.name) && random.below(4) > 0;
      return [{ item: narrowed ? { ...made, x: made.x.map(extended) } : made, decoded }];
    }).flat(),
  );
}

test(`results that are taken for narrow are narrow (seed ${SEED})`, () => {
  const all = cases(new Random(SEED));
  const claimed = new Set<string>();
  for (let start = 0; start < all.length; start += 1000) {
    const part = all.slice(start, start + 1000);
    const items = part.map(({ item }) => item);
    const { image, results } = buildBatch(items);
    parseResults(runOnVmm(image, results, part.length), items).forEach((result, i) => {
      const { item, decoded } = part[i];
      const { rd, instruction } = decoded;
      const before = item.x.reduce(
        (mask, value, n) => (n > 0 && isNarrow(value) ? mask | (1 << n) : mask),
        NARROW_AT_ENTRY,
      );
      if (!result.completed || rd === 0 || ((narrowAfter(decoded, before) >>> rd) & 1) === 0) return;
      claimed.add(instruction.name);
      const value = BigInt.asUintN(64, result.x[rd]);
      assert.ok(isNarrow(value), `${instruction.name}: 0x${value.toString(16)} is no sign-extension of 32 bits`);
    });
  }
  // Nothing is gained where the compiler does not know of the instructions that it is for.
  const words = INSTRUCTIONS.filter(({ name, uses }) => uses.rd && /^(?!lwu|csr)[a-z]+(w|\.w)$/.test(name));
  assert.deepEqual(
    words.filter(({ name }) => !claimed.has(name)).map(({ name }) => name),
    [],
  );
  for (const name of ['lui', 'and', 'ori', 'xnor', 'addi', 'andi', 'add', 'srai', 'max', 'slt'])
    assert.ok(claimed.has(name), name);
});
