/** The real guests that tests boot, and the command line that boots them. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { debianCache, readVersions } from '../../scripts/debian.ts';

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));
export const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** A guest that hangs ends its test with its console's last words, long before the runner loses patience. */
const TIMEOUT_S = 240;

/**
 * The folder with Debian's kernel, busybox, OpenSBI and the initramfs images; if it is not filled, the test is skipped with a message
 * that says how. Where nothing may be skipped (CHRONOVISOR_NO_SKIP=1) its absence is a failure.
 */
export function needGuest(t: TestContext): string | null {
  const cache = debianCache();
  if (readVersions(cache) && existsSync(join(cache, 'initrd-shell.gz'))) return cache;
  const message = `no Debian guest in ${cache}: run npm run debian, or set CHRONOVISOR_CACHE to a filled folder`;
  if (process.env.CHRONOVISOR_NO_SKIP === '1') throw new Error(message);
  t.skip(message);
  return null;
}

/** The embedded guest's kernel, which the checkout holds. */
export const EMBEDDED_KERNEL = join(CHECKOUT, 'guests/embedded/kernel.elf');

/** A folder that goes away with the test. */
export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Those that this process was given, without the test runner's. */
const V8_OPTIONS = process.execArgv.filter((option) => !option.startsWith('--test'));

/** Runs the command line to its end. */
export function chronovisor(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...V8_OPTIONS, MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const ended = { stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
      if (code === null) reject(new Error(`${args[0]} ended with ${signal}: ${lastWords(ended)}`));
      else resolve({ code, ...ended });
    });
  });
}

/** The end of what a program said, for a failing test's message. */
export function lastWords({ stdout, stderr }: Omit<Ended, 'code'>): string {
  return `${stdout.slice(-1500)}\n${stderr.slice(-1500)}`;
}

/** Says `command` when the guest has said `expect`. */
export type Exchange = readonly [expect: string, command: string];

/** Writes a console script. */
export function writeScript(path: string, exchanges: readonly Exchange[]): string {
  writeFileSync(path, exchanges.map(([expect, command]) => `${expect} => ${command}\\n\n`).join(''));
  return path;
}

/** Options that boot Debian's kernel with one of the ready-made images. */
export function debianGuest(cache: string, initrd: 'shell' | 'poweroff' | 'bench' | 'disk'): string[] {
  const append = 'console=ttyS0 quiet';
  return [
    ...['--kernel', join(cache, 'kernel'), '--initrd', join(cache, `initrd-${initrd}.gz`), '--append', append],
    ...['--timeout', String(TIMEOUT_S)],
  ];
}
