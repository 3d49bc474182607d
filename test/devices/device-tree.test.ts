import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { cells64, encodeFdt, FdtNode } from '../../src/vmm/devices/fdt.ts';
import { virtTree } from '../../src/vmm/riscv/virt-tree.ts';
import { cells, type ReadNode, readFdt } from '../support/fdt-reader.ts';
import { needTool } from '../support/tools.ts';

const OPTIONS = {
  harts: 4,
  memoryBytes: 512 * 2 ** 20,
  bootargs: 'console=ttyS0 root=/dev/vda',
  initrd: { start: 0x8820_0000, end: 0x8830_1234 },
  isa: 'rv64imafdc_zicsr_zifencei_zba_zbb_zbs_sstc',
  isaBase: 'rv64i',
  isaExtensions: ['i', 'm', 'a', 'f', 'd', 'c', 'zicsr'],
  mmuType: 'riscv,sv57',
  timebaseHz: 10_000_000,
  rngSeed: Uint8Array.from({ length: 32 }, (_, i) => i),
} as const;

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** What dtc makes of a blob: the source text, and its warnings with node names only. */
function decompile(folder: string, blob: Uint8Array): { source: string; warnings: Set<string> } {
  const path = join(folder, 'tree.dtb');
  writeFileSync(path, blob);
  const run = spawnSync('dtc', ['-I', 'dtb', '-O', 'dts', path], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const warnings = run.stderr.split('\n').filter((line) => line !== '');
  return { source: run.stdout, warnings: new Set(warnings) };
}

function qemuTree(folder: string): Buffer {
  const path = join(folder, 'qemu.dtb');
  const run = spawnSync('qemu-system-riscv64', ['-nographic', '-M', `virt,dumpdtb=${path}`, '-smp', '4', '-m', '512'], {
    encoding: 'utf8',
  });
  assert.equal(run.status, 0, run.stderr);
  return readFileSync(path);
}

describe('flattened device tree', () => {
  test('header, values of each kind, and names stored once', () => {
    const root = new FdtNode('').prop('text', 'abc').prop('list', ['a', 'bc']).prop('flag', true);
    root
      .child('a@1')
      .prop('text', 'x')
      .prop('cells', [1, 0xffffffff, ...cells64(2 ** 33 + 5)]);
    root
      .child('b')
      .child('c')
      .prop('raw', Uint8Array.of(1, 2, 3, 4, 5));
    const blob = encodeFdt(root);
    const view = new DataView(blob.buffer);
    assert.equal(view.getUint32(0), 0xd00dfeed);
    assert.equal(view.getUint32(4), blob.length);
    assert.deepEqual([view.getUint32(20), view.getUint32(24)], [17, 16]);
    const nodes = readFdt(blob);
    assert.deepEqual([...nodes.keys()], ['/', '/a@1', '/b', '/b/c']);
    assert.equal(nodes.get('/')!.properties.get('list')!.toString(), 'a\0bc\0');
    assert.equal(nodes.get('/')!.properties.get('flag')!.length, 0);
    assert.deepEqual(cells(nodes.get('/a@1')!.properties.get('cells')!), [1, 0xffffffff, 2, 5]);
    assert.deepEqual([...nodes.get('/b/c')!.properties.get('raw')!], [1, 2, 3, 4, 5]);
    assert.equal(Buffer.from(blob).toString('latin1').split('text\0').length, 2);
  });
});

describe('device tree of the board', () => {
  test('what the caller chooses is in it', () => {
    const nodes = readFdt(virtTree(OPTIONS));
    const value = (path: string, name: string) => nodes.get(path)!.properties.get(name)!;
    assert.equal(value('/chosen', 'bootargs').toString(), 'console=ttyS0 root=/dev/vda\0');
    assert.deepEqual(cells(value('/chosen', 'linux,initrd-start')), [0, 0x8820_0000]);
    assert.deepEqual(cells(value('/chosen', 'linux,initrd-end')), [0, 0x8830_1234]);
    assert.deepEqual([...value('/chosen', 'rng-seed')], [...OPTIONS.rngSeed]);
    assert.equal(value('/cpus/cpu@3', 'riscv,isa-extensions').toString(), 'i\0m\0a\0f\0d\0c\0zicsr\0');
    assert.equal(value('/cpus/cpu@3', 'mmu-type').toString(), 'riscv,sv57\0');
    const { bootargs: _b, initrd: _i, rngSeed: _r, ...plain } = OPTIONS;
    assert.deepEqual([...readFdt(virtTree(plain)).get('/chosen')!.properties.keys()], ['stdout-path']);
  });

  test('dtc reads it, with no warning that the tree of QEMU does not give', (t) => {
    if (!needTool(t, 'dtc', 'device-tree-compiler') || !needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
    const folder = temporaryFolder(t);
    const ours = decompile(folder, virtTree(OPTIONS));
    const theirs = decompile(folder, qemuTree(folder));
    assert.match(ours.source, /virtio_mmio@10008000/);
    assert.deepEqual(
      [...ours.warnings].filter((warning) => !theirs.warnings.has(warning)),
      [],
    );
  });

  test('each node is as QEMU has it', (t) => {
    if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
    const ours = normalised(readFdt(virtTree(OPTIONS)));
    const theirs = normalised(readFdt(qemuTree(temporaryFolder(t))));
    for (const [path, properties] of Object.entries(ours)) assert.deepEqual(properties, theirs[path], path);
    const left = Object.keys(theirs).filter((path) => !(path in ours));
    // What this board leaves out; later versions of QEMU may have more.
    for (const path of left) assert.match(path, /^\/(pmu|fw-cfg|flash|platform-bus|soc\/pci|aliases|reserved)/);
  });
});

/** What the harts can do, what is random, and a count that QEMU 7.2 has wrong. */
const OURS_ALONE = /^(phandle|riscv,isa.*|mmu-type|rng-seed|bootargs|linux,initrd-.*|riscv,ndev|riscv,cb.*)$/;
const REFERENCES = /^(interrupts-extended|interrupt-parent|cpu|regmap)$/;

/** Properties by path as text, with the nodes that handles refer to by their path. */
function normalised(nodes: Map<string, ReadNode>): Record<string, Record<string, string>> {
  const byHandle = new Map<number, string>();
  for (const { path, properties } of nodes.values()) {
    const handle = properties.get('phandle');
    if (handle) byHandle.set(handle.readUInt32BE(0), path);
  }
  const result: Record<string, Record<string, string>> = {};
  for (const { path, properties } of nodes.values()) {
    const own: Record<string, string> = {};
    for (const name of [...properties.keys()].filter((n) => !OURS_ALONE.test(n)).sort()) {
      const value = properties.get(name)!;
      // Handles stand in the even places.
      const resolve = (cell: number, i: number) => (i % 2 === 0 ? byHandle.get(cell) : cell);
      own[name] = REFERENCES.test(name) ? cells(value).map(resolve).join(' ') : value.toString('hex');
    }
    result[path] = own;
  }
  return result;
}
