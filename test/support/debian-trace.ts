/** Recordings of the Debian guest that several tests look at: made once, and again when what makes them has changed. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chronovisor, debianGuest, type Exchange, lastWords, writeScript } from './guests.ts';

const PRODUCT = fileURLToPath(new URL('../../src/', import.meta.url));

/** A shell on two harts that reads files, sleeps, starts programs and powers off. Addresses are those of vmlinux. */
const CONVERSATION: readonly Exchange[] = [
  ['built-in commands.', 'head -n 3 /proc/interrupts; sleep 1; ls /proc | head -n 3; echo done-$((6*7))'],
  ['done-42', 'poweroff -f'],
];

/** Path of the recording, in the folder of the guests. */
export async function debianTrace(cache: string): Promise<string> {
  const folder = join(cache, 'traces');
  const name = `shell-2-${fingerprint(cache)}.trace`;
  const path = join(folder, name);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  // Several test files may record it at the same time; each puts a whole one in place.
  const own = join(folder, `${process.pid}-${name}`);
  const script = writeScript(`${own}.script`, CONVERSATION);
  const options = ['--harts', '2', '--script', script, '--seed', '1', '--append', 'console=ttyS0 quiet nokaslr'];
  const guest = debianGuest(cache, 'shell').filter((_, i, all) => all[i] !== '--append' && all[i - 1] !== '--append');
  const recorded = await chronovisor('record', ...guest, ...options, '-o', own);
  assert.equal(recorded.code, 0, lastWords(recorded));
  rmSync(script);
  for (const old of readdirSync(folder)) {
    if (old.startsWith('shell-2-') && old !== name) rmSync(join(folder, old), { force: true });
  }
  renameSync(own, path);
  return path;
}

/** Changes with the guest, and with whatever may make its run another one. */
function fingerprint(cache: string): string {
  const hash = createHash('sha256').update(readFileSync(join(cache, 'versions.json')));
  for (const part of ['vmm', 'trace', 'recorder']) {
    const files = readdirSync(join(PRODUCT, part), { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((f) => f.endsWith('.js')).sort())
      hash.update(readFileSync(join(PRODUCT, part, file)));
  }
  return hash.update(JSON.stringify(CONVERSATION)).digest('hex').slice(0, 12);
}
