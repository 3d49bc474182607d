/** Numbers in memory as a hart sees them, read in the quick way and in the plain one, under random page tables of every depth. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { PAGE_BYTES, RAM_BASE } from '../../src/vmm/layout.ts';
import { readNumber, readVirtual } from '../../src/vmm/riscv/inspect.ts';
import { bareMachine } from './support/batch.ts';

const SEED = 83;
const FIRST_PAGE = BigInt(RAM_BASE / PAGE_BYTES);
const PRIVILEGES = [0, 1, 3];

/** A page table entry: mostly to a page of RAM, of whatever kind. */
function entry(random: Random, pages: number): bigint {
  const kind = random.pick([0b0000n, 0b0001n, 0b0001n, 0b0011n, 0b1011n, 0b1111n]);
  const anywhere = BigInt(random.below(2 ** 22)) << BigInt(random.below(22));
  const number = random.below(8) === 0 ? anywhere : FIRST_PAGE + BigInt(random.below(pages));
  // Superpages that lie in RAM begin at multiples of their size.
  const aligned = random.below(3) === 0 ? (number >> 9n) << 9n : number;
  return kind | (BigInt(random.below(4)) << 6n) | ((aligned & (2n ** 44n - 1n)) << 10n);
}

test(`numbers are read as bytes are (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const machine = bareMachine(new Uint8Array(4));
  const { pages, cpu } = machine;
  const used = 40;
  const found = { there: 0, missing: 0 };
  for (let round = 0; round < 300; round++) {
    for (let page = 0; page < used; page++) {
      const view = new DataView(pages.write(page).buffer, pages.write(page).byteOffset, PAGE_BYTES);
      for (let i = 0; i < 512; i += 1 + random.below(3)) view.setBigUint64(8 * i, entry(random, used), true);
    }
    for (let n = 0; n < 100; n++) {
      const mode = random.pick([0n, 8n, 9n, 10n]);
      cpu.set(0, 'satp', (mode << 60n) | (FIRST_PAGE + BigInt(random.below(used))));
      cpu.set32(0, 'privilege', random.pick(PRIVILEGES));
      const near = BigInt(RAM_BASE) + BigInt(random.below((used + 1) * PAGE_BYTES));
      const bits = BigInt(random.below(2 ** 32)) | (BigInt(random.below(2 ** 32)) << 32n);
      const address = random.below(4) === 0 ? near : bits >> BigInt(random.below(40));
      const size = random.pick([1, 2, 4, 8] as const);
      const bytes = readVirtual(machine, 0, address, size);
      const expected = bytes?.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n) ?? null;
      const where = `round ${round}, mode ${mode}, ${size} bytes at 0x${address.toString(16)}`;
      assert.equal(readNumber(machine, 0, address, size), expected, where);
      found[expected === null ? 'missing' : 'there']++;
    }
  }
  assert.ok(found.there > 3000 && found.missing > 3000, JSON.stringify(found));
});
