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
const PATHS = ['trace', 'kernel', 'initrd'] as const;
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
    symbolFiles: symbolFiles.map(absolute),
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

/** Whether the first bytes are those of an ELF file for RISC-V of 64 bits (ELF header: e_ident, e_machine 243). */
export function isRiscvElf(head: Uint8Array): boolean {
  const [machineLow, machineHigh] = [head[18], head[19]];
  return (
    head.length >= 20 &&
    head[0] === 0x7f &&
    String.fromCharCode(...head.subarray(1, 4)) === 'ELF' &&
    head[4] === 2 &&
    machineLow + machineHigh * 256 === 243
  );
}
