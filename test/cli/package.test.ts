/** What is installed is one bundle (scripts/bundle.mjs), not the modules that the other tests run: it must have all that they have. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
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

test('the schema of traces lies in the bundle as it was read, without the text and what reads it', () => {
  const bundle = readFileSync(join(program, '..', 'chronovisor.js'), 'latin1');
  assert.ok(bundle.includes('"firstContent"') || bundle.includes('firstContent:'), 'a field of the schema');
  assert.ok(!bundle.includes('syntax = "proto3"'), 'the text');
});

test('what a recording runs first lies in the bundle as V8 has compiled it, and is compiled where V8 would have it otherwise', (t) => {
  const caches = readdirSync(join(program, '..')).filter((file) => file.endsWith('.cache'));
  assert.deepEqual(caches.map((file) => file.replace(/-\d.*/, '')).sort(), ['main', 'worker', 'writer-worker']);
  const hook = join(scratch(t), 'hook.cjs');
  writeFileSync(
    hook,
    `process.on('exit', () =>
      console.log(Object.keys(require.cache).some((file) => file.endsWith('chronovisor.js')) ? 'compiled' : 'taken'));`,
  );
  const start = (...flags: string[]) =>
    execFileSync(process.execPath, [...flags, '--require', hook, program, '--version'], { encoding: 'utf8' });
  assert.equal(start('--no-opt'), `${manifest.version}\ncompiled\n`, 'V8 has a flag of its own');
  const isSame = caches.includes(`main-${process.versions.v8}.cache`);
  assert.equal(start(), `${manifest.version}\n${isSame ? 'taken' : 'compiled'}\n`);
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
