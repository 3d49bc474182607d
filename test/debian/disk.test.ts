/** A disk with ext4 on it: Linux mounts, writes and reads it; the image stays as it was; the trace needs neither image nor kernel. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ext4Image } from '../../scripts/initramfs.ts';
import {
  chronovisor,
  debianGuest,
  type Exchange,
  lastWords,
  needGuest,
  scratch,
  writeScript,
} from '../support/guests.ts';
import { needTool } from '../support/tools.ts';

const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

test('a disk that the init writes: the image is unchanged, and the trace replays without image, kernel and initrd', async (t) => {
  const cache = needGuest(t);
  if (!cache || !needTool(t, 'mkfs.ext4', 'e2fsprogs')) return;
  const folder = scratch(t);
  const outside = join(folder, 'outside');
  mkdirSync(outside);
  for (const file of ['kernel', 'initrd-disk.gz']) copyFileSync(join(cache, file), join(outside, file));
  const disk = join(outside, 'disk.img');
  await ext4Image(disk, 16);
  const before = hashOf(disk);

  const trace = join(folder, 'disk.trace');
  const recorded = await chronovisor('record', ...debianGuest(outside, 'disk'), '--disk', disk, '-o', trace);
  assert.equal(recorded.code, 0, lastWords(recorded));
  assert.match(recorded.stdout, /chronovisor: disk holds what was written\r?\n/, lastWords(recorded));
  assert.match(recorded.stdout, /chronovisor: disk done\r?\n/);
  assert.equal(hashOf(disk), before, 'the image is never written');

  rmSync(outside, { recursive: true });
  const verified = await chronovisor('verify', trace);
  assert.equal(verified.code, 0, lastWords(verified));
  const replayed = await chronovisor('replay', trace);
  assert.equal(replayed.code, 0, lastWords(replayed));
  assert.equal(replayed.stdout, recorded.stdout, 'the same console');
});

const AT_THE_DISKS: readonly Exchange[] = [
  ['built-in commands.', 'while read m; do insmod /modules/$m; done </modules/order; echo loaded-$((6*7))'],
  ['loaded-42', 'mkdir /a /b; mount -t ext4 /dev/vda /a && mount -t ext4 -o ro /dev/vdb /b && echo mounted-$((1+1))'],
  [
    'mounted-2',
    'for i in $(seq 1 40); do echo line $i >/a/file-$i; done; sync; ls /a | grep -c file; echo wrote-$((2+1))',
  ],
  ['wrote-3', 'touch /b/x; dd if=/dev/zero of=/dev/vdb count=1 conv=fsync; echo refused-$((2+2))'],
  ['refused-4', 'umount /a /b; poweroff -f'],
];

test('two disks on four harts from a shell, one of them read-only', async (t) => {
  const cache = needGuest(t);
  if (!cache || !needTool(t, 'mkfs.ext4', 'e2fsprogs')) return;
  const folder = scratch(t);
  const [disk, readOnly] = [join(folder, 'a.img'), join(folder, 'b.img')];
  await ext4Image(disk, 16);
  await ext4Image(readOnly, 8);
  const before = [disk, readOnly].map(hashOf);

  const trace = join(folder, 'disks.trace');
  const script = writeScript(join(folder, 'script'), AT_THE_DISKS);
  const machine = ['--harts', '4', '--disk', disk, '--disk', `${readOnly},ro`, '--script', script];
  const recorded = await chronovisor('record', ...debianGuest(cache, 'shell'), ...machine, '-o', trace);
  assert.equal(recorded.code, 0, lastWords(recorded));
  assert.match(recorded.stdout, /^40\r?\nwrote-3/m, lastWords(recorded));
  assert.match(recorded.stdout, /touch: \/b\/x: Read-only file system/);
  assert.match(recorded.stdout, /vdb.*(not permitted|Read-only|read-only)/i);
  assert.deepEqual([disk, readOnly].map(hashOf), before, 'the images are never written');

  rmSync(disk);
  rmSync(readOnly);
  const verified = await chronovisor('verify', trace);
  assert.equal(verified.code, 0, lastWords(verified));
});
