/** Recordings of the Debian guest that several tests look at: made once, and again when what makes them has changed. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildInitramfs } from '../../scripts/initramfs.ts';
import { run } from '../../scripts/process.ts';
import { chronovisor, debianGuest, type Exchange, lastWords, writeScript } from './guests.ts';

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));
const PRODUCT = fileURLToPath(new URL('../../src/', import.meta.url));

const TRACE = 'guest.trace';
const MACHINE = ['--harts', '2', '--seed', '1', '--append', 'console=ttyS0 quiet nokaslr'];
const PROGRAMS = ['nested', 'nested-pie'] as const;
/** How the programs are compiled. */
const FLAGS = ['-nostdlib', '-ffreestanding', '-O0', '-g'];
/** In the order in which they load. */
const MODULES = [
  'virtio_mmio.ko',
  'virtio_blk.ko',
  'crc32c_generic.ko',
  'crc16.ko',
  'jbd2.ko',
  'mbcache.ko',
  'ext4.ko',
];

/** A shell on two harts that reads files, sleeps, starts programs and powers off. Addresses are those of vmlinux. */
const CONVERSATION: readonly Exchange[] = [
  ['built-in commands.', 'head -n 3 /proc/interrupts; sleep 1; ls /proc | head -n 3; echo done-$((6*7))'],
  ['done-42', 'poweroff -f'],
];

/** Path of the recording, in the folder of the guests. */
export async function debianTrace(cache: string): Promise<string> {
  const folder = await kept(cache, 'conversation', JSON.stringify(CONVERSATION), async (own) => {
    const script = writeScript(join(own, 'script'), CONVERSATION);
    const guest = debianGuest(cache, 'shell').filter((_, i, all) => all[i] !== '--append' && all[i - 1] !== '--append');
    const recorded = await chronovisor('record', ...guest, ...MACHINE, '--script', script, '-o', join(own, TRACE));
    assert.equal(recorded.code, 0, lastWords(recorded));
  });
  return join(folder, TRACE);
}

export interface CrashGuest {
  readonly trace: string;
  /** ELF files with debug information of the programs `nested` and `nested-pie` in the guest. */
  readonly programs: readonly string[];
}

/** What stands at the beginning of the disk that the crashed guest reads. */
export const DISK_TEXT = 'a disk of blocks\n';
const DISK_BYTES = 2 ** 20;

/** A guest that loads modules, starts processes, tells all that it knows of itself, and is crashed by `nested-pie`; see test/linux. */
export async function crashTrace(cache: string): Promise<CrashGuest> {
  const [source, script] = ['nested.c', 'crash-init.txt'].map((file) => join(CHECKOUT, 'test/linux', file));
  const folder = await kept(
    cache,
    'crash-3',
    [...[source, script].map((f) => readFileSync(f, 'utf8')), ...FLAGS].join(' '),
    async (own) => {
      const common = [...FLAGS, `-ffile-prefix-map=${CHECKOUT}=`, source];
      const compiler = 'riscv64-linux-gnu-gcc';
      await run(compiler, ['-static', '-no-pie', ...common, '-o', join(own, 'nested')]);
      const pie = ['-static-pie', '-fPIE', '-Wl,--no-dynamic-linker'];
      await run(compiler, [...pie, ...common, '-o', join(own, 'nested-pie')]);
      const initrd = buildInitramfs({
        busybox: readFileSync(join(cache, 'busybox')),
        script: readFileSync(script, 'utf8'),
        modules: MODULES.map((name) => ({ name, data: readFileSync(join(cache, 'modules', name)) })),
        extraFiles: PROGRAMS.map((name) => {
          return { kind: 'file', path: `bin/${name}`, data: readFileSync(join(own, name)), mode: 0o755 };
        }),
      });
      writeFileSync(join(own, 'initrd.gz'), initrd);
      const disk = join(own, 'disk.img');
      writeFileSync(disk, Buffer.concat([Buffer.from(DISK_TEXT), Buffer.alloc(DISK_BYTES - DISK_TEXT.length)]));
      const boot = ['--kernel', join(cache, 'kernel'), '--initrd', join(own, 'initrd.gz')];
      const guest = [...boot, '--disk', disk, '--timeout', '240'];
      const ending = ['--until', 'end Kernel panic', '-o', join(own, TRACE)];
      const recorded = await chronovisor('record', ...guest, ...MACHINE, ...ending);
      assert.equal(recorded.code, 0, lastWords(recorded));
    },
  );
  return { trace: join(folder, TRACE), programs: PROGRAMS.map((name) => join(folder, name)) };
}

/** A folder of recordings that bears a name, made when it is not there yet for the guest and the product as they are. */
async function kept(
  cache: string,
  kind: string,
  from: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const traces = join(cache, 'traces');
  const name = `${kind}-${fingerprint(cache, from)}`;
  const path = join(traces, name);
  if (existsSync(path)) return path;
  // Several test files may make it at the same time; the first puts a whole one in place.
  const own = join(traces, `${process.pid}-${name}`);
  mkdirSync(own, { recursive: true });
  await make(own);
  for (const old of readdirSync(traces)) {
    if (old.startsWith(`${kind}-`) && old !== name) rmSync(join(traces, old), { recursive: true, force: true });
  }
  try {
    renameSync(own, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
    rmSync(own, { recursive: true, force: true });
  }
  return path;
}

/** Changes with the guest, and with whatever may make its run another one. */
function fingerprint(cache: string, from: string): string {
  const hash = createHash('sha256').update(readFileSync(join(cache, 'versions.json')));
  for (const part of ['vmm', 'trace', 'recorder']) {
    const files = readdirSync(join(PRODUCT, part), { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((f) => f.endsWith('.js')).sort())
      hash.update(readFileSync(join(PRODUCT, part, file)));
  }
  return hash.update(from).digest('hex').slice(0, 12);
}
