/** How long symbol files take to load, with an empty and with a filled cache, and what memory that costs: each in a process of its own. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { table } from '../src/cli/format.ts';
import type { LoadStep } from './symbols-load.ts';

const LOAD = fileURLToPath(new URL('./symbols-load.js', import.meta.url));

export interface SymbolsResult {
  readonly path: string;
  readonly runs: readonly { readonly cache: 'empty' | 'filled'; readonly steps: readonly LoadStep[] }[];
}

export async function benchSymbols(path: string): Promise<SymbolsResult> {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-bench-'));
  try {
    const runs: SymbolsResult['runs'][number][] = [];
    for (const cache of ['empty', 'filled'] as const) {
      const { stdout } = await promisify(execFile)(process.execPath, [LOAD, path, folder]);
      runs.push({ cache, steps: JSON.parse(stdout) });
    }
    return { path, runs };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function symbolsText({ path, runs }: SymbolsResult): string {
  const rows = runs.flatMap(({ cache, steps }) =>
    steps.map(({ what, cpuMs, wallMs, rssBytes }) => {
      return [
        `${cache} cache`,
        what,
        `${cpuMs.toFixed(0)} ms`,
        `${wallMs.toFixed(0)} ms`,
        `${(rssBytes / 2 ** 20).toFixed(0)} MiB`,
      ];
    }),
  );
  return `${path}\n${table([['', 'from the beginning to', 'CPU', 'wall', 'resident'], ...rows])}`;
}
