import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildBatch, SLOT_ADDRESS } from '../../scripts/insn-batch.ts';
import { type GuestOptions, QemuOracle } from '../../scripts/qemu.ts';
import { traceQemu } from '../../scripts/qemu-trace.ts';
import { needTool } from '../support/tools.ts';

const IMAGE_ADDRESS = 0x80000000;

/** A small guest: one case of a batch, with an `ecall` from U mode in it. */
function withGuest(use: (guest: GuestOptions) => Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'chronovisor-test-'));
  const path = join(folder, 'image');
  const registers = Array.from({ length: 32 }, (_, index) => BigInt(index) << 32n);
  const ecall = {
    code: [0x73, 0, 0, 0],
    x: registers,
    f: registers,
    fcsr: 0x65,
    memory: new Uint8Array(0),
    mode: 'U' as const,
  };
  fs.writeFileSync(path, buildBatch([ecall]).image);
  const guest = { bios: 'none', memoryMiB: 32, load: { path, address: IMAGE_ADDRESS } };
  return use(guest).finally(() => fs.rmSync(folder, { recursive: true }));
}

test('the gdb stub steps, reads and writes registers and memory, and stops at breakpoints', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  await withGuest(async (guest) => {
    const qemu = await QemuOracle.start(guest);
    t.after(() => qemu.close());
    const reset = await qemu.registers();
    assert.deepEqual([reset.pc, reset.priv, reset.x.length, reset.f.length], [0x1000n, 3, 32, 32]);

    await qemu.setBreakpoint(BigInt(SLOT_ADDRESS));
    await qemu.continue();
    const user = await qemu.registers();
    assert.deepEqual([user.pc, user.priv, user.x[31]], [BigInt(SLOT_ADDRESS), 0, 31n << 32n]);
    assert.equal(user.f[9], 9n << 32n);
    assert.equal(user.csr.get('fcsr'), 0x65n);
    await qemu.clearBreakpoint(BigInt(SLOT_ADDRESS));

    await qemu.step();
    const trapped = await qemu.registers();
    assert.deepEqual([trapped.priv, trapped.csr.get('mcause'), trapped.csr.get('mepc')], [3, 8n, BigInt(SLOT_ADDRESS)]);
    assert.equal(trapped.pc, trapped.csr.get('mtvec'));

    await qemu.writeRegister('a0', 0x123456789abcdef0n);
    await qemu.writeRegister('mscratch', 77n);
    const written = await qemu.registers();
    assert.deepEqual([written.x[10], written.csr.get('mscratch')], [0x123456789abcdef0n, 77n]);
    const data = Uint8Array.from({ length: 3000 }, (_, index) => index);
    await qemu.writeMemory(0x80100001n, data);
    assert.deepEqual(await qemu.readMemory(0x80100001n, data.length), data);
    assert.equal(await qemu.readRegister('no-such-register'), undefined);
  });
});

test('the log and the gdb stub tell the same story', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  await withGuest(async (guest) => {
    const qemu = await QemuOracle.start(guest);
    t.after(() => qemu.close());
    let steps = 0;
    let sawUserMode = false;
    for await (const state of traceQemu(guest, { float: true })) {
      if (steps < 300) {
        const stepped = await qemu.registers(['mcause', 'mtvec']);
        const where = `after ${steps} steps`;
        assert.deepEqual([state.pc, state.priv], [stepped.pc, stepped.priv], where);
        assert.deepEqual(state.x, stepped.x, where);
        assert.deepEqual(state.f, stepped.f, where);
        for (const [name, value] of stepped.csr) assert.equal(state.csr.get(name), value, `${name} ${where}`);
        await qemu.step();
      }
      sawUserMode ||= state.priv === 0;
      steps++;
    }
    assert.ok(steps > 350 && sawUserMode, `${steps} steps to the power-off`);
  });
});

test('an image that QEMU refuses is an error in its own words', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  await assert.rejects(QemuOracle.start({ bios: '/does/not/exist' }), /does.not.exist/);
});
