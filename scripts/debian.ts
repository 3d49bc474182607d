/**
 * Brings Debian's riscv64 kernel, busybox and OpenSBI into a cache folder, and builds the initramfs images that tests,
 * benchmarks and people boot. Needs neither root nor a change to the machine's apt: apt runs on a state of its own.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../src/base/assert.ts';
import { PrivateApt } from './apt.ts';
import { buildInitrds } from './initramfs.ts';
import { loadOrder } from './modules.ts';
import { requireProgram, run } from './process.ts';

const RELEASE = 'trixie';
const ARCHITECTURE = 'riscv64';

/** What a guest with a disk and a network card needs beyond what is built into the kernel. */
const WANTED_MODULES = ['virtio_mmio', 'virtio_blk', 'virtio_net', 'ext4'];

/** Where in the kernel's package the modules and all that they may depend on live. */
const MODULE_FOLDERS = ['fs', 'lib', 'crypto', 'arch', 'drivers/virtio', 'drivers/block', 'drivers/net', 'net/core'];

export interface Versions {
  release: string;
  packages: { [name: string]: string };
  /** Every file taken from the packages, with its size and SHA-256. */
  files: { [path: string]: { bytes: number; sha256: string } };
  /** Module file names in the order in which `insmod` takes them. */
  moduleOrder: string[];
}

/** The folder with the guests: `CHRONOVISOR_CACHE`, or `.cache/debian` in the checkout. */
export function debianCache(): string {
  const outside = process.env.CHRONOVISOR_CACHE;
  return outside ? resolve(outside) : join(checkout(), '.cache', 'debian');
}

/** The folder with `package.json`, whether this file runs compiled (from `dist/scripts`) or as source. */
function checkout(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!fs.existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder) throw new UserError('cannot find the checkout; set CHRONOVISOR_CACHE');
    folder = dirname(folder);
  }
  return folder;
}

/** What the cache holds, or undefined if something is missing, cut short or of another release. */
export function readVersions(cache: string): Versions | undefined {
  try {
    const versions: Versions = JSON.parse(fs.readFileSync(join(cache, 'versions.json'), 'utf8'));
    const whole = Object.entries(versions.files).every(
      ([path, { bytes }]) => fs.statSync(join(cache, path)).size === bytes,
    );
    const loadable = WANTED_MODULES.every((name) => versions.moduleOrder.includes(`${name}.ko`));
    return whole && loadable && versions.release === RELEASE ? versions : undefined;
  } catch {
    return undefined;
  }
}

interface Options {
  refresh: boolean;
  debugSymbols: boolean;
  keepPackages: boolean;
}

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args);
  const cache = debianCache();
  fs.mkdirSync(cache, { recursive: true });
  const say = (line: string) => console.log(line);
  let versions = options.refresh ? undefined : readVersions(cache);
  if (versions) say(`kernel, busybox and OpenSBI are in ${cache} (--refresh looks for newer ones)`);
  else versions = await fetchPackages(cache, options, say);
  if (options.debugSymbols) await fetchDebugSymbols(cache, versions, options, say);
  const initrds = buildInitrds(cache, versions.moduleOrder);
  say(`initramfs images: ${initrds.join(' ')}`);
}

function parseOptions(args: readonly string[]): Options {
  const known = ['--refresh', '--debug-symbols', '--keep-packages'];
  const unknown = args.find((arg) => !known.includes(arg));
  if (unknown !== undefined) throw new UserError(`unknown option ${unknown}; there are ${known.join(', ')}`);
  return {
    refresh: args.includes('--refresh'),
    debugSymbols: args.includes('--debug-symbols'),
    keepPackages: args.includes('--keep-packages'),
  };
}

async function fetchPackages(cache: string, options: Options, say: (line: string) => void): Promise<Versions> {
  requireProgram('apt-get', 'apt (on another system, bring a filled cache and set CHRONOVISOR_CACHE to its folder)');
  requireProgram('dpkg-deb', 'dpkg');
  requireProgram('xz', 'xz-utils');
  const apt = await PrivateApt.open(join(cache, 'apt'), RELEASE, ARCHITECTURE);
  say(`reading Debian ${RELEASE}'s package lists`);
  await apt.update();
  const kernelPackage = await apt.onlyDependency('linux-image-riscv64', /^linux-image-\d.*-riscv64$/);
  const downloads = join(cache, 'packages');
  const packages: { [name: string]: string } = {};
  const paths: { [name: string]: string } = {};
  for (const name of [kernelPackage, 'busybox-static', 'opensbi']) {
    say(`downloading ${name}`);
    const deb = await apt.download(name, downloads);
    packages[name] = deb.version;
    paths[name] = deb.path;
  }
  const work = join(cache, 'unpacked.tmp');
  fs.rmSync(work, { recursive: true, force: true });
  say('unpacking');
  await unpack(paths[kernelPackage], work, ['./boot/vmlinux-*', ...MODULE_FOLDERS.map(moduleFolderPattern)]);
  await unpack(paths['busybox-static'], work, ['*/bin/busybox']);
  await unpack(paths.opensbi, work, ['*/riscv64-linux-gnu/opensbi/generic/fw_*']);

  // Without versions.json the cache counts as incomplete, so it goes first and comes back last.
  fs.rmSync(join(cache, 'versions.json'), { force: true });
  const files: string[] = [];
  const take = (pattern: RegExp, name: string) => {
    const found = walk(work).filter((path) => pattern.test(path));
    if (found.length !== 1)
      throw new UserError(`expected one file like ${pattern} in the packages, found ${found.length}`);
    fs.renameSync(found[0], join(cache, name));
    files.push(name);
  };
  take(/\/boot\/vmlinux-[^/]*$/, 'kernel');
  take(/\/bin\/busybox$/, 'busybox');
  for (const name of ['fw_jump.bin', 'fw_jump.elf', 'fw_dynamic.bin']) {
    take(new RegExp(`/opensbi/generic/${name.replace('.', '\\.')}$`), name);
  }
  const moduleOrder = await takeModules(work, join(cache, 'modules'));
  files.push(...moduleOrder.map((name) => `modules/${name}`));
  fs.rmSync(work, { recursive: true });
  if (!options.keepPackages) fs.rmSync(downloads, { recursive: true });

  const versions: Versions = { release: RELEASE, packages, files: {}, moduleOrder };
  for (const file of files) versions.files[file] = describe(join(cache, file));
  writeWhole(join(cache, 'versions.json'), `${JSON.stringify(versions, null, 2)}\n`);
  say(
    Object.entries(packages)
      .map(([name, version]) => `${name} ${version}`)
      .join('\n'),
  );
  return versions;
}

function moduleFolderPattern(folder: string): string {
  return `*/kernel/${folder}/*.ko.xz`;
}

/** Streams a package's file tree through tar and keeps what matches: nothing else touches the disk. */
async function unpack(deb: string, folder: string, patterns: readonly string[], tarOptions = ''): Promise<void> {
  fs.mkdirSync(folder, { recursive: true });
  const quoted = patterns.map((pattern) => `'${pattern}'`).join(' ');
  // With --occurrence tar stops at the first match and dpkg-deb dies of the closed pipe, so only tar's result counts.
  const script = `dpkg-deb --fsys-tarfile "$1" | tar -x --no-same-owner -C "$2" --wildcards ${tarOptions} ${quoted}`;
  await run('/bin/sh', ['-c', script, 'unpack', deb, folder]).catch((error) => {
    throw new UserError(`cannot unpack ${basename(deb)}: ${error.message}`);
  });
}

/** Decompresses the wanted modules and their dependencies into `folder`; returns their names in loading order. */
async function takeModules(unpacked: string, folder: string): Promise<string[]> {
  const compressed = new Map<string, string>();
  for (const path of walk(unpacked)) {
    if (path.endsWith('.ko.xz')) compressed.set(basename(path, '.ko.xz').replaceAll('-', '_'), path);
  }
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder);
  const fetch = async (name: string) => {
    const path = compressed.get(name);
    if (path === undefined) return undefined;
    await run('xz', ['--decompress', '--keep', '--force', path]);
    const file = path.slice(0, -'.xz'.length);
    const data = fs.readFileSync(file);
    fs.renameSync(file, join(folder, `${name}.ko`));
    return data;
  };
  return (await loadOrder(WANTED_MODULES, fetch)).map((name) => `${name}.ko`);
}

async function fetchDebugSymbols(
  cache: string,
  versions: Versions,
  options: Options,
  say: (line: string) => void,
): Promise<void> {
  const target = join(cache, 'vmlinux');
  const kernelPackage = Object.keys(versions.packages).find((name) => name.startsWith('linux-image-'));
  if (kernelPackage === undefined) throw new UserError('the cache names no kernel package; run again with --refresh');
  const stamp = join(cache, 'vmlinux.version');
  const wanted = `${kernelPackage} ${versions.packages[kernelPackage]}\n`;
  if (fs.existsSync(target) && fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return;
  const apt = await PrivateApt.open(join(cache, 'apt'), RELEASE, ARCHITECTURE);
  await apt.update();
  const name = `${kernelPackage}-dbg`;
  say(`downloading ${name} (about 1 GB)`);
  const downloads = join(cache, 'packages');
  const deb = await apt.download(`${name}=${versions.packages[kernelPackage]}`, downloads);
  const work = join(cache, 'symbols.tmp');
  fs.rmSync(work, { recursive: true, force: true });
  const release = kernelPackage.slice('linux-image-'.length);
  await unpack(deb.path, work, [`./usr/lib/debug/boot/vmlinux-${release}`], '--occurrence=1');
  fs.renameSync(join(work, 'usr/lib/debug/boot', `vmlinux-${release}`), target);
  fs.rmSync(work, { recursive: true });
  writeWhole(stamp, wanted);
  if (!options.keepPackages) fs.rmSync(downloads, { recursive: true });
  say(`kernel symbols: ${target}`);
}

function walk(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function describe(path: string): { bytes: number; sha256: string } {
  const data = fs.readFileSync(path);
  return { bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') };
}

/** Writes a file so that it is either the old one or the whole new one. */
function writeWhole(path: string, data: string): void {
  fs.writeFileSync(`${path}.tmp`, data);
  fs.renameSync(`${path}.tmp`, path);
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
