import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGE_KINDS, type PageKind, pageTables, translated, windowAddress } from '../../scripts/batch-pages.ts';
import { type Case, runBatchOnQemu } from '../../scripts/insn-batch.ts';
import { needTool } from '../support/tools.ts';

const LD_A0_A1 = [0x03, 0xb5, 0x05, 0x00];
const SD_A2_A1 = [0x23, 0xb0, 0xc5, 0x00];
const PAGE_FAULT = { load: 13n, store: 15n };

test('accesses across a page boundary meet every kind of second page', async (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const zeros = Array.from({ length: 32 }, () => 0n);
  const memory = Uint8Array.from({ length: 128 }, (_, index) => index);
  const access = (mode: 'S' | 'U', kind: PageKind, code: number[]): Case => {
    const address = windowAddress(kind) + 60n;
    return { ...translated(mode), code, x: zeros.with(11, address).with(12, -1n), f: zeros, fcsr: 0, memory };
  };
  const preload = pageTables();
  for (const mode of ['S', 'U'] as const) {
    const loads = await runBatchOnQemu(
      PAGE_KINDS.map((kind) => access(mode, kind, LD_A0_A1)),
      { preload },
    );
    const stores = await runBatchOnQemu(
      PAGE_KINDS.map((kind) => access(mode, kind, SD_A2_A1)),
      { preload },
    );
    PAGE_KINDS.forEach((kind, index) => {
      const where = `${mode} ${kind}`;
      const [load, store] = [loads[index], stores[index]];
      const mayLoad = ['whole', 'readOnly', 'notAccessed', 'notDirty'].includes(kind);
      const mayStore = ['whole', 'notAccessed', 'notDirty'].includes(kind);
      if (mayLoad) assert.equal(load.x[10], 0x434241403f3e3d3cn, where);
      else assert.equal(load.cause, PAGE_FAULT.load, where);
      assert.equal(load.completed, mayLoad, where);
      assert.equal(store.completed, mayStore, where);
      if (!mayStore) {
        assert.equal(store.cause, PAGE_FAULT.store, where);
        assert.deepEqual(store.memory, memory, where);
      } else assert.equal(store.memory[64], 0xff, where);
    });
  }
});
