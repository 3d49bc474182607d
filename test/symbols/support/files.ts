/** Symbol files from the disk, and the guests' ones that tests compare with oracles. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { debianCache } from '../../../scripts/debian.ts';
import { SymbolFile, type SymbolSource, Symbols, sourceOf } from '../../../src/symbols/index.ts';
import { needTool } from '../../support/tools.ts';

export const needGdb = (t: TestContext) => needTool(t, 'gdb-multiarch', 'gdb-multiarch');

export const needBinutils = (t: TestContext) =>
  needTool(t, 'riscv64-linux-gnu-addr2line', 'binutils-riscv64-linux-gnu');

/** The symbols of one file. */
export function symbolsOf(path: string): Symbols {
  const symbols = new Symbols();
  symbols.add(new SymbolFile(sourceOf(path, readFileSync(path))));
  return symbols;
}

/** Opens a file for as long as the test takes. */
export function openSource(t: TestContext, path: string): SymbolSource {
  const file = openSync(path, 'r');
  t.after(() => closeSync(file));
  return {
    name: path,
    bytes: fstatSync(file).size,
    read: (target, offset) => {
      for (let done = 0; done < target.length; ) {
        const got = readSync(file, target, done, target.length - done, offset + done);
        if (got === 0) return;
        done += got;
      }
    },
  };
}

/** Debian's kernel with its debug information, 302 MB; without it the test is skipped, or fails where nothing may be. */
export function needVmlinux(t: TestContext): string | null {
  const path = join(debianCache(), 'vmlinux');
  if (existsSync(path)) return path;
  const message = `no ${path}: npm run debian -- --debug-symbols brings it`;
  if (process.env.CHRONOVISOR_NO_SKIP === '1') throw new Error(message);
  t.skip(message);
  return null;
}
