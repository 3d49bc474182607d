/** What is installed is one bundle (scripts/bundle.mjs), not the modules that the other tests run: it must have all that they have. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { interpreterFile } from '../../src/compiler/machine.ts';
import { buildInterpreter } from '../../src/vmm/riscv/interpreter.ts';
import { scratch } from '../support/guests.ts';
import { CHECKOUT } from './small.ts';

const manifest = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly bin: Record<string, string>;
  readonly files: string[];
};
const program = join(CHECKOUT, manifest.bin.chronovisor);
const chronovisor = (...args: string[]) => execFileSync(process.execPath, [program, ...args], { encoding: 'utf8' });

test('the bundle is in the package, and has every thread that the sources start', () => {
  const folder = join(program, '..');
  assert.ok(manifest.files.some((file) => program.startsWith(join(CHECKOUT, file))));
  const sources = readdirSync(join(CHECKOUT, 'src'), { recursive: true, encoding: 'utf8' });
  const texts = sources.filter((f) => f.endsWith('.ts')).map((f) => readFileSync(join(CHECKOUT, 'src', f), 'utf8'));
  const threads = texts.flatMap((text) => [...text.matchAll(/new Worker\(new URL\('\.\/([\w-]+\.js)'/g)]);
  assert.ok(threads.length >= 4);
  for (const [, file] of threads) assert.ok(existsSync(join(folder, file)), file);
});

test('the interpreter that lies in the bundle is the one that the sources make', () => {
  for (const fused of [false, true]) {
    const ahead = readFileSync(join(program, '..', interpreterFile(fused)));
    assert.ok(ahead.equals(buildInterpreter(false, fused)), interpreterFile(fused));
  }
});

test('the bundle records, hunts, goes back and searches', (t) => {
  assert.equal(chronovisor('--version').trim(), manifest.version);
  // The demo has a compiler, a writer and a timeline, each in its thread; a question about writers has those that search.
  const trace = join(scratch(t), 'demo.trace');
  assert.match(chronovisor('demo', '-o', trace), /Back from there/);
  const query = (...what: string[]) =>
    chronovisor('query', trace, ...what, '--format', 'json')
      .trim()
      .split('\n');
  const [panic] = query('panic').map((row) => JSON.parse(row) as { readonly position: number });
  const kernel = join(CHECKOUT, 'guests/embedded/kernel.elf');
  const [write] = query('last-write', 'console_lock', '--symbols', kernel).map(
    (row) => JSON.parse(row) as { readonly position: number },
  );
  assert.ok(write.position > 0 && panic.position > 0);
});
