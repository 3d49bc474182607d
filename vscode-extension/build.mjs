/**
 * Bundles the extension: its own code for VS Code's extension host, scripts for web views, and the whole command line of Chronovisor, of which the debug adapter is one
 * command. Beside them lie what they read: the product's wasm, the demo's guest and trace.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundleCommandLine } from '../scripts/bundle.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..');
const at = (...parts) => join(here, ...parts);
const checkout = (...parts) => join(root, ...parts);

const { version } = JSON.parse(readFileSync(at('package.json'), 'utf8'));
const product = JSON.parse(readFileSync(checkout('package.json'), 'utf8'));
if (version !== product.version) throw new Error(`version ${version}: the product's is ${product.version}`);

for (const folder of ['dist', 'demo', 'guests']) rmSync(at(folder), { recursive: true, force: true });

mkdirSync(checkout('dist'), { recursive: true });
const common = { bundle: true, logLevel: 'warning', minify: true, keepNames: true, sourcemap: false, target: 'es2023' };

await build({
  ...common,
  entryPoints: [at('src/extension.ts')],
  outfile: at('dist/extension.cjs'),
  platform: 'node',
  format: 'cjs',
  external: ['vscode'],
});

// Pages run in a browser.
const pages = ['trace', 'timeline', 'console', 'memory'];
await build({
  ...common,
  entryPoints: pages.map((name) => at('src/webviews', `${name}.ts`)),
  outdir: at('dist/webviews'),
  platform: 'browser',
  format: 'iife',
});

// As deep as in the product's package, because it looks for its own files from there.
const cli = at('dist/src/cli');
await bundleCommandLine(cli);

// The command line looks for the demo's guest in its package; the walkthrough's demo has sources, and a trace of a run that failed.
mkdirSync(at('demo'), { recursive: true });
cpSync(checkout('guests/embedded/kernel.elf'), at('guests/embedded/kernel.elf'));
const isSource = (path) => !/\.\w+$/.test(path) || /\.(c|h|S|ld|md)$/.test(path);
cpSync(checkout('guests/embedded'), at('demo/guests/embedded'), { recursive: true, filter: isSource });
execFileSync(process.execPath, [join(cli, 'main.js'), 'demo', '-o', at('demo/heisenbug.trace'), '--force']);
cpSync(checkout('LICENSE'), at('LICENSE'));
