/** Debug configurations: what is filled in where a person has left something out. Knows nothing of VS Code. */
import { basename, isAbsolute, resolve } from 'node:path';

/** The fields that the adapter reads beside `type`, `name` and `request`; others go through as they are. */
export interface Configuration {
  readonly [key: string]: unknown;
}

/** What configurations are completed from. */
export interface Surroundings {
  /** The folder that relative paths begin at; null where no folder is open. */
  readonly folder: string | null;
  /** All folders of the workspace. */
  readonly folders: readonly string[];
  readonly settings: {
    readonly symbolFiles: readonly string[];
    readonly sourceMap: Readonly<Record<string, string>>;
    readonly sourceFolders: readonly string[];
  };
  /** ELF files that fit the kernel, for those that name none. */
  findSymbols(): Promise<readonly string[]>;
}

/** Fields with one path. */
const PATHS = ['trace', 'kernel', 'initrd', 'script', 'input'] as const;
/** Values of `bios` that are no file. */
const BUILT_IN = new Set(['builtin', 'none', '']);

/** The configuration with absolute paths, and symbols and sources from the settings where it says nothing of them. */
export async function complete(given: Configuration, around: Surroundings): Promise<Configuration> {
  const { folder, folders, settings } = around;
  const absolute = (path: string) => (folder === null || isAbsolute(path) ? path : resolve(folder, path));
  const list = (key: string) => given[key] as readonly string[] | undefined;
  const paths = PATHS.filter((key) => typeof given[key] === 'string' && given[key] !== '').map((key) => [
    key,
    absolute(given[key] as string),
  ]);
  const bios = typeof given.bios === 'string' && !BUILT_IN.has(given.bios) ? { bios: absolute(given.bios) } : {};
  const disks = Array.isArray(given.disks) ? { disks: given.disks.map((disk) => absolute(String(disk))) } : {};
  const symbolFiles =
    list('symbolFiles') ?? (settings.symbolFiles.length > 0 ? settings.symbolFiles : await around.findSymbols());
  const sourceFolders = list('sourceFolders') ?? (settings.sourceFolders.length > 0 ? settings.sourceFolders : folders);
  const sourceMap = (given.sourceMap as Record<string, string> | undefined) ?? settings.sourceMap;
  return {
    ...given,
    ...Object.fromEntries(paths),
    ...bios,
    ...disks,
    // Without any, the adapter takes those of the kernel that it boots.
    ...(symbolFiles.length > 0 || list('symbolFiles') ? { symbolFiles: symbolFiles.map(absolute) } : {}),
    sourceFolders: sourceFolders.map(absolute),
    sourceMap: Object.fromEntries(Object.entries(sourceMap).map(([from, to]) => [from, absolute(to)])),
  };
}

/** Names that the debug information of a kernel goes by, the best first. */
export function symbolNames(kernel: string): string[] {
  const name = basename(kernel.replaceAll('\\', '/'));
  const plain = name.replace(/\.(gz|elf|bin|img)$/i, '');
  const linux = /^(b?z?|vm)(image|linux)|^kernel$/i.test(plain) ? ['vmlinux'] : [];
  return [...new Set([...linux, name, `${plain}.elf`, `${name}.debug`, plain])];
}

/** Of files that were found, the one to take: the best name, then the shortest path, then the first in the alphabet. */
export function bestSymbols(kernel: string, files: readonly string[]): string | null {
  const names = symbolNames(kernel);
  const rank = (path: string) => names.indexOf(basename(path));
  const fitting = files.filter((path) => rank(path) >= 0);
  fitting.sort((a, b) => rank(a) - rank(b) || a.length - b.length || (a < b ? -1 : 1));
  return fitting[0] ?? null;
}

/** Bytes of a file that tell what it is. */
export const HEAD_BYTES = 64;

/** Whether the first bytes are those of an ELF file for RISC-V of 64 bits (ELF header: e_ident, e_machine 243). */
export function isRiscvElf(head: Uint8Array): boolean {
  return head.length >= 20 && textAt(head, 0, 4) === '\x7fELF' && head[4] === 2 && head[18] + head[19] * 256 === 243;
}

const textAt = (bytes: Uint8Array, from: number, length: number) =>
  String.fromCharCode(...bytes.subarray(from, from + length));

/** Where firmware lies: a program that begins here needs none. */
const FIRMWARE_BASE = 0x80000000n;
/** ET_EXEC and ET_DYN: what can be run. */
const RUNNABLE = [2, 3];

/** What is said of a kernel in a configuration, by its first bytes; null if it is none: an ELF file that runs, or an `Image` of Linux (its header's second magic, at 56). */
export function kernelOptions(head: Uint8Array): { readonly bios: 'builtin' | 'none' } | null {
  if (head.length >= HEAD_BYTES && textAt(head, 56, 4) === 'RSC\x05') return { bios: 'builtin' };
  if (!isRiscvElf(head) || !RUNNABLE.includes(head[16])) return null;
  const entry = new DataView(head.buffer, head.byteOffset).getBigUint64(24, true);
  return { bios: entry === FIRMWARE_BASE ? 'none' : 'builtin' };
}
