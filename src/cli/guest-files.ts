/** Files with symbols of what runs in a guest: kernel modules found in folders, and programs that a person names. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../base/assert.ts';
import type { GuestFiles } from '../linux/index.ts';
import { SymbolFile } from '../symbols/index.ts';
import { openUserFile } from './user-file.ts';

export interface GuestFileOptions {
  /** The kernel's file: modules are looked for beside it, too. */
  readonly kernel: string;
  /** Folders with modules, at any depth. */
  readonly moduleFolders: readonly string[];
  /** Files of programs and libraries. Each is for that of the guest with the same name. */
  readonly programs: readonly string[];
}

/** More entries than all the modules of a distribution have. */
const ENTRIES_MAX = 200_000;
const MODULE = /\.ko(\.debug)?$/;

export function guestFiles({ kernel, moduleFolders, programs }: GuestFileOptions): GuestFiles {
  const known = new Map(programs.map((path) => [basename(path).replace(/\.debug$/, ''), open(path)]));
  for (const folder of moduleFolders) {
    if (!existsSync(folder)) throw new UserError(`modules ${folder}: no such folder`);
  }
  let modules: Map<string, string> | null = null;
  return {
    module: (name, sections) => {
      modules ??= modulePaths(dirname(kernel), moduleFolders);
      const path = modules.get(name);
      return path === undefined ? null : open(path, { sections });
    },
    programs: [...known.values()],
    program: (path) => known.get(basename(path)) ?? null,
  };
}

function open(path: string, options: { sections?: ReadonlyMap<string, bigint> } = {}): SymbolFile {
  const { bytes, read } = openUserFile('symbols', path);
  return new SymbolFile({ name: path, bytes, read }, options);
}

/**
 * Files of modules by the modules' names. What stands first counts most: folders that a person names, then what lies beside the kernel's file, in `modules` there, and what a
 * build tree lists in `modules.order`. Of two in one folder the one with debug information is taken.
 */
function modulePaths(beside: string, folders: readonly string[]): Map<string, string> {
  const paths = new Map<string, string>();
  const add = (path: string) => {
    const name = basename(path).replace(MODULE, '').replaceAll('-', '_');
    const before = paths.get(name);
    if (before === undefined || `${before}.debug` === path) paths.set(name, path);
  };
  for (const folder of folders) {
    for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).slice(0, ENTRIES_MAX)) {
      if (MODULE.test(file)) add(join(folder, file));
    }
  }
  for (const folder of [beside, join(beside, 'modules')]) {
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder)) if (MODULE.test(file)) add(join(folder, file));
  }
  const order = join(beside, 'modules.order');
  if (existsSync(order)) {
    // Kernels from 6.3 on list objects.
    for (const line of readFileSync(order, 'utf8').split('\n').slice(0, ENTRIES_MAX)) {
      const path = join(beside, line.trim().replace(/\.o$/, '.ko'));
      if (MODULE.test(path) && existsSync(path)) add(path);
    }
  }
  return paths;
}
