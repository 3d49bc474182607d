/** Laws of the source tree that no single test would notice: import directions, purity of the machine, nothing dead, nothing left to do. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What each folder of src may import, beside itself. Everything points downwards. */
const LAYERS: Record<string, readonly string[]> = {
  base: [],
  vmm: ['base'],
  trace: ['base', 'vmm'],
  compiler: ['base', 'vmm'],
  recorder: ['base', 'vmm', 'trace'],
  replay: ['base', 'vmm', 'trace', 'recorder', 'compiler'],
  symbols: ['base'],
  linux: ['base', 'symbols'],
  debugger: ['base', 'vmm', 'compiler', 'trace', 'recorder', 'replay'],
  gdb: ['base', 'debugger'],
  dap: ['base', 'debugger', 'symbols', 'linux'],
  cli: ['base', 'vmm', 'compiler', 'trace', 'recorder', 'replay', 'debugger', 'symbols', 'linux', 'gdb', 'dap'],
};

/** Folders with sources. */
const ALL = ['src', 'scripts', 'bench', 'test', 'vscode-extension/src'];

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function sources(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.includes('node_modules'))
    .map((file) => {
      const path = join(folder, file);
      const text = readFileSync(join(root, path), 'utf8');
      const imports = [
        ...text.matchAll(/(?:\bfrom\s+|(?<!\.)\bimport\s+|(?<!\.)\bimport\(\s*|\bnew URL\(\s*)'([^'\n]+)'/g),
      ].map((m) => m[1]);
      return { path, text, imports };
    });
}

const target = (source: Source, specifier: string) =>
  relative(root, resolve(root, dirname(source.path), specifier)).replace(/\.js$/, '.ts');

test('imports point downwards', () => {
  const wrong: string[] = [];
  for (const source of sources('src')) {
    const layer = source.path.split('/')[1];
    assert.ok(LAYERS[layer], `${source.path}: a folder that LAYERS knows`);
    for (const specifier of source.imports.filter((s) => s.startsWith('.'))) {
      const to = target(source, specifier).split('/');
      if (to[0] !== 'src' || to[1] === layer) continue;
      if (!LAYERS[layer].includes(to[1])) wrong.push(`${source.path} imports ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the machine asks nothing of the host', () => {
  const forbidden =
    /\bDate\b|\bperformance\b|Math\.random|\bprocess\.|\bsetTimeout\b|\bsetInterval\b|\bsetImmediate\b|globalThis/;
  const wrong: string[] = [];
  for (const source of sources('src/vmm')) {
    for (const specifier of source.imports) {
      if (!specifier.startsWith('.')) wrong.push(`${source.path} imports ${specifier}`);
    }
    source.text.split('\n').forEach((line, i) => {
      const code = line.replace(/\/\/.*|^\s*\*.*|\/\*.*/, '').replace(/'[^']*'/g, "''");
      if (forbidden.test(code)) wrong.push(`${source.path}:${i + 1}: ${line.trim()}`);
    });
  }
  assert.deepEqual(wrong, []);
});

test('no instruction set outside its folder', () => {
  const wrong = sources('src/vmm')
    .filter((s) => !s.path.startsWith('src/vmm/riscv/'))
    .flatMap((s) => s.imports.filter((i) => i.includes('riscv')).map((i) => ({ s, i })))
    .filter(({ s }) => !/import type .*riscv/.test(s.text))
    .map(({ s, i }) => `${s.path} imports ${i}`);
  assert.deepEqual(wrong, []);
});

test('every source file is used', () => {
  const all = ALL.flatMap(sources);
  const used = new Set(all.flatMap((s) => s.imports.filter((i) => i.startsWith('.')).map((i) => target(s, i))));
  const roots =
    /\.test\.ts$|^src\/cli\/(main|load)\.ts$|^test\/run\.ts$|^bench\/main\.ts$|^scripts\/|^vscode-extension\/src\/(extension\.ts$|webviews\/)/;
  assert.deepEqual(
    all.map((s) => s.path).filter((path) => !roots.test(path) && !used.has(path)),
    [],
  );
});

test('nothing is left to do, and no host or folder of ours is named', () => {
  const words = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].map((w) => `\\b${w}\\b`).join('|'));
  const places = new RegExp(['registry' + '\\.npmjs', 'deb' + '\\.debian\\.org', '/wo' + 'rk/'].join('|'));
  const wrong = ALL.flatMap(sources)
    .filter((s) => words.test(s.text) || places.test(s.text))
    .map((s) => s.path);
  assert.deepEqual(wrong, []);
});
