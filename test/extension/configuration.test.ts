/** What the extension fills in where a debug configuration says nothing. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bestSymbols, complete, isRiscvElf, symbolNames } from '../../vscode-extension/src/configuration.ts';
import { CHECKOUT } from '../cli/small.ts';
import { EMBEDDED_KERNEL } from '../support/guests.ts';

const AROUND = {
  folder: '/home/me/linux',
  folders: ['/home/me/linux', '/home/me/rootfs'],
  settings: { symbolFiles: [], sourceMap: {}, sourceFolders: [] },
  findSymbols: async () => ['/home/me/linux/vmlinux'],
};

test('what is not said comes from the workspace', async () => {
  assert.deepEqual(await complete({ trace: 'out/boot.trace', stopAt: 'end' }, AROUND), {
    trace: '/home/me/linux/out/boot.trace',
    stopAt: 'end',
    symbolFiles: ['/home/me/linux/vmlinux'],
    sourceFolders: ['/home/me/linux', '/home/me/rootfs'],
    sourceMap: {},
  });
});

test('settings come before what is found, and the configuration before both', async () => {
  const settings = {
    symbolFiles: ['debug/vmlinux@0x80200000'],
    sourceMap: { '/build': 'src' },
    sourceFolders: ['src'],
  };
  const findSymbols = () => assert.fail('nothing is looked for');
  const fromSettings = await complete({ trace: '/t/boot.trace' }, { ...AROUND, settings, findSymbols });
  assert.deepEqual(fromSettings, {
    trace: '/t/boot.trace',
    symbolFiles: ['/home/me/linux/debug/vmlinux@0x80200000'],
    sourceFolders: ['/home/me/linux/src'],
    sourceMap: { '/build': '/home/me/linux/src' },
  });
  const own = { trace: 'a.trace', symbolFiles: [], sourceFolders: ['/elsewhere'], sourceMap: { a: '/b' } };
  const { trace: _, ...rest } = await complete(own, { ...AROUND, settings, findSymbols });
  assert.deepEqual(rest, { symbolFiles: [], sourceFolders: ['/elsewhere'], sourceMap: { a: '/b' } });
});

test('paths of a machine are those of the folder; names of built-in firmware are no paths', async () => {
  const given = { kernel: 'Image', initrd: 'initrd.gz', disks: ['a.img', '/b.img'], bios: 'builtin', append: 'quiet' };
  const { symbolFiles: _, sourceFolders: __, sourceMap: ___, ...machine } = await complete(given, AROUND);
  const folder = AROUND.folder;
  assert.deepEqual(machine, {
    ...given,
    kernel: `${folder}/Image`,
    initrd: `${folder}/initrd.gz`,
    disks: [`${folder}/a.img`, '/b.img'],
  });
  assert.equal((await complete({ bios: 'fw_jump.bin' }, AROUND)).bios, `${folder}/fw_jump.bin`);
  assert.equal((await complete({ bios: 'none' }, AROUND)).bios, 'none');
});

test('without a folder, paths stay as they are', async () => {
  const nowhere = { ...AROUND, folder: null, folders: [] };
  assert.equal((await complete({ trace: 'a.trace' }, nowhere)).trace, 'a.trace');
});

test('the debug information of a kernel is found by its name', () => {
  assert.deepEqual(symbolNames('Image.gz')[0], 'vmlinux');
  assert.deepEqual(symbolNames('C:\\guests\\kernel')[0], 'vmlinux');
  assert.ok(!symbolNames('kernel.elf').includes('kernel.bin'));
  const files = ['/w/old/build/vmlinux', '/w/vmlinux', '/w/Image', '/w/readme'];
  assert.equal(bestSymbols('Image', files), '/w/vmlinux');
  assert.equal(bestSymbols('mine.bin', ['/w/mine', '/w/deep/mine.elf']), '/w/deep/mine.elf');
  assert.equal(bestSymbols('mine.bin', ['/w/vmlinux']), null);
});

test('an ELF file of the guest is told from other files', () => {
  const head = (path: string) => {
    const bytes = new Uint8Array(20);
    const file = openSync(path, 'r');
    const length = readSync(file, bytes, 0, 20, 0);
    closeSync(file);
    return bytes.subarray(0, length);
  };
  assert.equal(isRiscvElf(head(EMBEDDED_KERNEL)), true);
  assert.equal(isRiscvElf(head(process.execPath)), false);
  assert.equal(isRiscvElf(head(join(CHECKOUT, 'package.json'))), false);
  assert.equal(isRiscvElf(new Uint8Array(3)), false);
});
