import * as fs from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type CpioEntry, writeCpio } from './cpio.ts';
import { requireProgram, run } from './process.ts';

export interface InitramfsOptions {
  busybox: Uint8Array;
  /** The shell script that runs as /init, after the common part has mounted /proc, /sys and /dev. */
  script: string;
  /** Kernel modules, in loading order; `load_modules` in the script loads them all. */
  modules?: readonly { name: string; data: Uint8Array }[];
  extraFiles?: readonly CpioEntry[];
}

const PROLOGUE = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root PS1='# '
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
load_modules() {
  while read -r module; do insmod "/modules/$module" || echo "chronovisor: cannot load $module"; done </modules/order
}
`;

/** A gzipped initramfs with busybox and one script; the same input gives the same bytes. */
export function buildInitramfs({ busybox, script, modules = [], extraFiles = [] }: InitramfsOptions): Uint8Array {
  const folders = ['bin', 'dev', 'etc', 'mnt', 'modules', 'proc', 'root', 'run', 'sys', 'tmp'];
  const entries: CpioEntry[] = [
    ...folders.map((path): CpioEntry => ({ kind: 'folder', path })),
    { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'character-device', path: 'dev/null', major: 1, minor: 3, mode: 0o666 },
    { kind: 'file', path: 'bin/busybox', data: busybox, mode: 0o755 },
    { kind: 'link', path: 'bin/sh', target: 'busybox' },
    { kind: 'file', path: 'init', data: Buffer.from(PROLOGUE + script), mode: 0o755 },
    { kind: 'file', path: 'modules/order', data: Buffer.from(modules.map(({ name }) => `${name}\n`).join('')) },
    ...modules.map(({ name, data }): CpioEntry => ({ kind: 'file', path: `modules/${name}`, data })),
    ...extraFiles,
  ];
  const packed = gzipSync(writeCpio(entries), { level: 9 });
  packed[9] = 3; // The header's "made on" byte: Unix, wherever it was made.
  return packed;
}

/** The scripts that come ready-made, as `initrd-NAME.gz`. Each says its marks on the console in lines of its own. */
export const INIT_SCRIPTS: { [name: string]: { script: string; modules: boolean } } = {
  /** An interactive shell on the console; leaving it powers off. */
  shell: {
    modules: true,
    script: `echo 'chronovisor: init reached'
setsid cttyhack sh
poweroff -f
`,
  },
  /** The shortest whole run: boot, say so, power off. */
  poweroff: {
    modules: false,
    script: `echo 'chronovisor: init reached'
uname -a
poweroff -f
`,
  },
  /** Work for measuring: interpreted loops, hashing, compression, many small system calls. */
  bench: {
    modules: false,
    script: `echo 'chronovisor: init reached'
echo 'chronovisor: loop'
i=0
while [ $i -lt 200000 ]; do i=$((i + 1)); done
echo "chronovisor: loop done $i"
echo 'chronovisor: sha256'
dd if=/dev/zero bs=64k count=1024 2>/dev/null | sha256sum
echo 'chronovisor: gzip'
dd if=/dev/zero bs=64k count=512 2>/dev/null | gzip | wc -c
echo 'chronovisor: find'
find /sys | wc -l
echo 'chronovisor: bench done'
poweroff -f
`,
  },
  /** A disk with ext4 on it: what was written must be there after unmounting and mounting again. */
  disk: {
    modules: true,
    script: `echo 'chronovisor: init reached'
load_modules
mount -t ext4 /dev/vda /mnt || { echo 'chronovisor: cannot mount /dev/vda'; poweroff -f; }
test -f /mnt/boots && echo "chronovisor: earlier boots $(wc -l </mnt/boots)"
echo booted >>/mnt/boots
dd if=/dev/zero bs=64k count=32 2>/dev/null | tr '\\0' 'x' >/mnt/written
sync
expected=$(sha256sum </mnt/written)
umount /mnt
echo 3 >/proc/sys/vm/drop_caches
mount -t ext4 /dev/vda /mnt
found=$(sha256sum </mnt/written)
if [ "$expected" = "$found" ]; then echo 'chronovisor: disk holds what was written'; else echo 'chronovisor: disk differs'; fi
umount /mnt
sync
echo 'chronovisor: disk done'
poweroff -f
`,
  },
};

/** Writes `initrd-NAME.gz` for every ready-made script from what the cache holds; returns the file names. */
export function buildInitrds(cache: string, moduleOrder: readonly string[]): string[] {
  const busybox = fs.readFileSync(join(cache, 'busybox'));
  const modules = moduleOrder.map((name) => ({ name, data: fs.readFileSync(join(cache, 'modules', name)) }));
  return Object.entries(INIT_SCRIPTS).map(([name, init]) => {
    const file = `initrd-${name}.gz`;
    const packed = buildInitramfs({ busybox, script: init.script, modules: init.modules ? modules : [] });
    fs.writeFileSync(join(cache, `${file}.tmp`), packed);
    fs.renameSync(join(cache, `${file}.tmp`), join(cache, file));
    return file;
  });
}

/** Makes a raw disk image with an empty ext4 file system. */
export async function ext4Image(path: string, sizeMiB: number): Promise<void> {
  const mkfs = requireProgram('mkfs.ext4', 'e2fsprogs');
  fs.writeFileSync(path, '');
  fs.truncateSync(path, sizeMiB * 2 ** 20);
  const identity = 'c4a05000-0000-4000-8000-000000000001';
  // Nothing left to chance or to the clock, and all tables written at once: no background work in the guest later.
  const extended = `hash_seed=${identity},lazy_itable_init=0,lazy_journal_init=0,nodiscard`;
  const options = ['-q', '-F', '-U', identity, '-E', extended, '-L', 'chronovisor'];
  await run(mkfs, [...options, path], { env: { ...process.env, E2FSPROGS_FAKE_TIME: '1700000000' } });
}
