import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type CpioEntry, writeCpio } from '../../scripts/cpio.ts';
import { buildInitramfs } from '../../scripts/initramfs.ts';
import { loadOrder, modinfo } from '../../scripts/modules.ts';
import { needTool } from '../support/tools.ts';

const ENTRIES: CpioEntry[] = [
  { kind: 'folder', path: 'dev' },
  { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
  { kind: 'file', path: 'init', data: Buffer.from('#!/bin/sh\n'), mode: 0o755 },
  { kind: 'link', path: 'sh', target: 'busybox' },
  ...[0, 1, 2, 3, 4].map((length): CpioEntry => ({ kind: 'file', path: `f${length}`, data: Buffer.alloc(length, 97) })),
];

/** Reads an archive by the format's own words, to check the writer against. */
function readCpio(archive: Buffer): { name: string; mode: number; device: [number, number]; data: string }[] {
  const entries = [];
  for (let at = 0; ; ) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701', `magic at ${at}`);
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const [mode, bytes, nameBytes] = [field(1), field(6), field(11)];
    const name = archive.toString('latin1', at + 110, at + 110 + nameBytes - 1);
    assert.equal(archive[at + 110 + nameBytes - 1], 0);
    const start = (at + 110 + nameBytes + 3) & ~3;
    if (name === 'TRAILER!!!') {
      assert.equal(start, archive.length);
      return entries;
    }
    entries.push({
      name,
      mode,
      device: [field(9), field(10)] as [number, number],
      data: archive.toString('latin1', start, start + bytes),
    });
    at = (start + bytes + 3) & ~3;
  }
}

test('a cpio archive reads back as what was put in', () => {
  const read = readCpio(Buffer.from(writeCpio(ENTRIES)));
  assert.deepEqual(
    read.map(({ name }) => name),
    ENTRIES.map(({ path }) => path),
  );
  const byName = new Map(read.map((entry) => [entry.name, entry]));
  assert.equal(byName.get('dev')?.mode, 0o040755);
  assert.equal(byName.get('init')?.mode, 0o100755);
  assert.equal(byName.get('init')?.data, '#!/bin/sh\n');
  assert.equal(byName.get('sh')?.mode, 0o120777);
  assert.equal(byName.get('sh')?.data, 'busybox');
  assert.equal(byName.get('dev/console')?.mode, 0o020600);
  assert.deepEqual(byName.get('dev/console')?.device, [5, 1]);
  assert.equal(byName.get('f3')?.data, 'aaa');
});

test('cpio lists our archive', (t) => {
  if (!needTool(t, 'cpio', 'cpio')) return;
  const listed = spawnSync('cpio', ['-t', '--quiet'], { input: writeCpio(ENTRIES), encoding: 'utf8' });
  assert.equal(listed.stderr, '');
  assert.deepEqual(
    listed.stdout.trim().split('\n'),
    ENTRIES.map(({ path }) => path),
  );
});

test('the same initramfs has the same bytes, and holds its script and its modules', () => {
  const options = {
    busybox: Buffer.from('busybox'),
    script: 'echo here\n',
    modules: [{ name: 'ext4.ko', data: Buffer.from('module') }],
  };
  const packed = buildInitramfs(options);
  assert.deepEqual(buildInitramfs(options), packed);
  const files = new Map(readCpio(gunzipSync(packed)).map((entry) => [entry.name, entry.data]));
  assert.match(files.get('init') ?? '', /^#!\/bin\/busybox sh\n[\s\S]*\necho here\n$/);
  assert.equal(files.get('modules/order'), 'ext4.ko\n');
  assert.equal(files.get('modules/ext4.ko'), 'module');
});

test('modules load after what they depend on, each once', async () => {
  const module = (...info: string[]) => Buffer.from(`\x7fELF\0${info.join('\0')}\0`);
  const modules: { [name: string]: Buffer } = {
    ext4: module('license=GPL', 'softdep=pre: crypto-crc32c', 'depends=jbd2,crc16'),
    jbd2: module('depends=', 'softdep=pre: crypto-crc32c'),
    crc16: module('depends='),
    crc32c_generic: module('alias=crypto-crc32c', 'depends='),
  };
  assert.deepEqual(modinfo(modules.ext4, 'depends'), ['jbd2,crc16']);
  const order = await loadOrder(['crc16', 'ext4'], async (name) => modules[name]);
  assert.deepEqual(order, ['crc16', 'crc32c_generic', 'jbd2', 'ext4']);
});
