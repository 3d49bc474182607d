/** Laws of the encoding table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, INSTRUCTIONS } from '../../src/vmm/riscv/decoder.ts';
import { COMPRESSED } from '../../src/vmm/riscv/insns/c.ts';

/** Instructions that are a more specific form of another one, and stand before it in the table. */
const SPECIFIC: Record<string, string> = { pause: 'fence' };

test('no bits are two instructions', () => {
  INSTRUCTIONS.forEach((a, i) => {
    for (const b of INSTRUCTIONS.slice(i + 1)) {
      const both = a.pattern.mask & b.pattern.mask;
      const overlap = ((a.pattern.match ^ b.pattern.match) & both) === 0;
      assert.equal(overlap, SPECIFIC[a.name] === b.name, `${a.name} and ${b.name}`);
    }
  });
});

test('no bits are two compressed instructions, of those that are valid', () => {
  const specific = new Map<string, number>();
  for (let bits = 0; bits < 0x10000; bits++) {
    if ((bits & 3) === 3) continue;
    const forms = COMPRESSED.filter((c) => c.pattern.matches(bits) && c.valid(bits, c.pattern)).map((c) => c.name);
    if (bits === 0 || forms.length < 2) continue;
    const pair = forms.join(' before ');
    specific.set(pair, (specific.get(pair) ?? 0) + 1);
  }
  // NOP and its hints are ADDI with rd = x0; ADDI16SP is where LUI would have rd = x2.
  assert.deepEqual([...specific.keys()].sort(), ['c.addi16sp before c.lui', 'c.nop before c.addi']);
});

test('each instruction decodes to itself, whatever its fields', () => {
  for (const instruction of INSTRUCTIONS) {
    const { pattern } = instruction;
    for (const fields of [0, 0xffffffff, 0x55555555, 0xaaaaaaaa, 0x12345678]) {
      const bits = (pattern.match | (fields & ~pattern.mask)) >>> 0;
      const found = decode(bits)?.instruction;
      const expected = [
        instruction.name,
        ...Object.keys(SPECIFIC).filter((name) => SPECIFIC[name] === instruction.name),
      ];
      assert.ok(
        found && expected.includes(found.name),
        `0x${bits.toString(16)} is ${found?.name}, not ${instruction.name}`,
      );
    }
  }
});

test('an immediate goes in and comes out', () => {
  for (const { name, pattern } of [...INSTRUCTIONS, ...COMPRESSED]) {
    if (!pattern.hasImmediate) continue;
    for (const value of [0, -1, 1, 2, 4, 8, 0x10, 0x554, 0x2a8, 0x12345000]) {
      const bits = pattern.withImmediate(pattern.match, value);
      assert.ok(pattern.matches(bits), `${name}: the fixed bits stay`);
      const read = pattern.immediate(bits);
      assert.equal(pattern.withImmediate(pattern.match, read), bits, `${name}: ${value}`);
    }
  }
});
