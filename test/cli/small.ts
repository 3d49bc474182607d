/** A small recording that tests of the command line look at: the embedded guest on two harts, one command, power off. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chronovisor, EMBEDDED_KERNEL, lastWords } from '../support/guests.ts';

export const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));
export const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
export const testGuest = (name: string) => join(CHECKOUT, 'guests/tests', `${name}.elf`);

/** Options that run the embedded guest on a small machine. */
export const SMALL_MACHINE = ['--kernel', EMBEDDED_KERNEL, '--bios', 'none', '--memory', '16M', '--harts', '2'];

/** Records what the guest does with these lines typed; returns the trace's path. */
export async function recordSmall(folder: string, name: string, lines: string, seed = 1): Promise<string> {
  const input = join(folder, `${name}.input`);
  writeFileSync(input, lines);
  const trace = join(folder, `${name}.trace`);
  const options = [...SMALL_MACHINE, '--input', input, '--seed', String(seed), '--timeout', '120'];
  const recorded = await chronovisor('record', ...options, '-o', trace);
  assert.equal(recorded.code, 0, lastWords(recorded));
  return trace;
}

export interface Child {
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly stdin: NodeJS.WritableStream;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
  /** What has come on standard output so far. */
  readonly stdout: () => string;
  /** And on standard error. */
  readonly stderr: () => string;
}

/** Starts the command line and leaves it running. */
export function start(args: readonly string[], options: { limitKiB?: number } = {}): Child {
  const { limitKiB } = options;
  const plain = [process.execPath, MAIN, ...args];
  // POSIX has the limit in blocks of 512 bytes; shells that count in KiB only make it larger.
  const [program, ...rest] =
    limitKiB === undefined ? plain : ['sh', '-c', `ulimit -f ${limitKiB * 2} && exec "$@"`, 'sh', ...plain];
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  // Whoever ends early does not read what is typed to the end.
  child.stdin.on('error', () => {});
  const ended = new Promise<Awaited<Child['ended']>>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return {
    kill: (signal) => child.kill(signal),
    stdin: child.stdin,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
  };
}

/** Waits until something is so, however long the machine takes. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const stop = performance.now() + 120_000;
  while (!holds()) {
    assert.ok(performance.now() < stop, `waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
