import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  buildBatch,
  type Case,
  CROSSING_SLOT_ADDRESS,
  MEMORY_ADDRESS,
  parseResults,
  runBatchOnQemu,
  runOnQemu,
  SLOT_ADDRESS,
} from '../../scripts/insn-batch.ts';
import { needTool } from '../support/tools.ts';

const ADD_A0_A1_A2 = 0x00c58533;
const ILLEGAL = 0xffffffff;
const ECALL = 0x00000073;
const LD_A0_A1 = 0x0005b503;
const SD_A2_A1 = 0x00c5b023;
const LR_D_A0_A1 = 0x1005b52f;
const SC_D_A2_A0_A1 = 0x18a5b62f;
const JR_A1 = 0x00058067;
const JUMP_TO_ITSELF = 0x0000006f;
const CSRRS_A0_SSCRATCH = 0x14002573;
const CSRRS_A0_CYCLE = 0xc0002573;
const FENCE = 0x0ff0000f;
/** `fadd.d fa0, fa1, fa2` with a static rounding mode. */
const faddD = (roundingMode: number) => 0x02c58553 | (roundingMode << 12);

const FS_MASK = 0x6000n;

function words(...list: number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(list).buffer);
}

function base(code: Uint8Array, changes: { [register: number]: bigint } = {}): Case {
  const x = Array.from({ length: 32 }, (_, index) => changes[index] ?? (BigInt(index) << 40n) | BigInt(index));
  const f = Array.from({ length: 32 }, (_, index) => 0x4000000000000000n + BigInt(index));
  return { code, x, f, fcsr: 0, memory: Uint8Array.from({ length: 128 }, (_, index) => index) };
}

function bits(value: number): bigint {
  return new DataView(new Float64Array([value]).buffer).getBigUint64(0, true);
}

test('QEMU runs a batch, each case by itself', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const boundary = BigInt(MEMORY_ADDRESS + 64);
  const tiny = 2 ** -60;
  const roundings = [0, 1, 2, 3, 4].map((mode): Case => {
    const item = base(words(faddD(mode)));
    return { ...item, f: item.f.with(11, bits(1)).with(12, bits(tiny)) };
  });
  const reservation = base(words(LR_D_A0_A1), { 11: boundary });
  const cases: Case[] = [
    base(words(ADD_A0_A1_A2)),
    base(words(LD_A0_A1), { 11: boundary - 3n }),
    base(words(SD_A2_A1), { 11: boundary - 5n, 12: 0x1122334455667788n }),
    base(words(ILLEGAL)),
    { ...base(words(ECALL)), mode: 'U', crossing: true },
    reservation,
    base(words(SC_D_A2_A0_A1), { 11: boundary }),
    base(words(LR_D_A0_A1, SC_D_A2_A0_A1), { 11: boundary }),
    base(words(JR_A1), { 11: BigInt(SLOT_ADDRESS - 0x100) }),
    { ...base(words(CSRRS_A0_SSCRATCH)), mode: 'S', set: [[0x140, 77n]], read: [0x140, 0x340] },
    { ...base(words(CSRRS_A0_SSCRATCH)), mode: 'S' },
    { ...base(words(CSRRS_A0_CYCLE)), mode: 'U', set: [[0x306, 0n]] },
    { ...base(new Uint8Array([0x2e, 0x95])), fcsr: 0xff },
    { ...base(words(faddD(0))), mstatus: 0x1800n },
    ...roundings,
  ];
  const results = await runBatchOnQemu(cases);
  const [add, load, store, illegal, ecall, lr, sc, lrSc, jump, csr, csrAgain, cycle, compressed, noFloat] = results;

  assert.equal(add.x[10], (23n << 40n) | 23n);
  assert.ok(add.completed);
  assert.equal(add.epc, BigInt(SLOT_ADDRESS + 4));
  assert.equal(add.mstatus & FS_MASK, 0x2000n);
  for (const register of [1, 2, 9, 28, 29, 30, 31]) assert.equal(add.x[register], cases[0].x[register]);
  assert.deepEqual(add.f, cases[0].f);
  assert.deepEqual(add.memory, cases[0].memory);

  assert.equal(load.x[10], 0x44434241403f3e3dn);
  assert.deepEqual([...store.memory.slice(58, 68)], [58, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 67]);

  assert.deepEqual([illegal.cause, illegal.epc, illegal.completed], [2n, BigInt(SLOT_ADDRESS), false]);
  assert.equal(illegal.tval, 0xffffffffn);
  assert.deepEqual([ecall.cause, ecall.epc], [8n, BigInt(CROSSING_SLOT_ADDRESS)]);
  assert.ok(lr.completed);
  assert.equal(sc.x[12], 1n, 'a reservation does not reach into the next case');
  assert.equal(lrSc.x[12], 0n);
  assert.equal(jump.epc, BigInt(SLOT_ADDRESS - 0x100));
  assert.ok(jump.completed);
  assert.equal(csr.x[10], 77n);
  assert.equal(csr.read[0], 77n);
  assert.notEqual(csrAgain.x[10], 77n, 'a CSR is put back');
  assert.equal(cycle.cause, 2n);
  assert.equal(compressed.x[10], (21n << 40n) | 21n);
  assert.equal(compressed.epc, BigInt(SLOT_ADDRESS + 2));
  assert.equal(compressed.fcsr, 0xff);
  assert.equal(noFloat.cause, 2n);

  const up = bits(1) + 1n;
  const sums = results.slice(-roundings.length);
  assert.deepEqual(
    sums.map(({ f }) => f[10]),
    [bits(1), bits(1), bits(1), up, bits(1)],
  );
  for (const { fcsr, mstatus } of sums) assert.deepEqual([fcsr, mstatus & FS_MASK], [1, FS_MASK]);
});

test('a batch is a pure function of its cases, and reads back from any view', () => {
  const cases = [base(words(ADD_A0_A1_A2)), base(words(FENCE))];
  const { image, results } = buildBatch(cases);
  assert.deepEqual(buildBatch(cases).image, image);
  assert.equal(results.bytes % cases.length, 0);
  const shifted = new Uint8Array(results.bytes + 3).subarray(3);
  assert.equal(parseResults(shifted, cases).length, 2);
  assert.throws(() => buildBatch([{ ...cases[0], code: new Uint8Array(10) }]), /code of 10 bytes/);
});

test('a case that never ends is named', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const { image, results } = buildBatch([base(words(FENCE)), base(words(JUMP_TO_ITSELF))]);
  await assert.rejects(runOnQemu(image, results, 500), /hangs in case 1/);
});
