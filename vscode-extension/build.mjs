/**
 * Bundles the extension: its own code for VS Code's extension host, scripts for web views, and the whole command line of Chronovisor, of which the debug adapter is one
 * command. Beside them lie what they read: the product's wasm, the demo's guest and trace.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

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

// As deep as in the product's package, because it looks for its own files from there. Threads are started from files beside.
// Pages run in a browser.
const pages = ['trace'];
await build({
  ...common,
  entryPoints: pages.map((name) => at('src/webviews', `${name}.ts`)),
  outdir: at('dist/webviews'),
  platform: 'browser',
  format: 'iife',
});

const cli = at('dist/src/cli');
await build({
  ...common,
  entryPoints: [
    'src/cli/main.ts',
    'src/debugger/engine-worker.ts',
    'src/replay/scan-worker.ts',
    'src/compiler/worker.ts',
    'src/trace/writer-worker.ts',
  ].map((path) => checkout(path)),
  entryNames: '[name]',
  outdir: cli,
  platform: 'node',
  format: 'esm',
  splitting: true,
  outExtension: { '.js': '.js' },
  banner: {
    // Packages in CommonJS find these where they expect them.
    js: [
      "import{createRequire as __createRequire}from'node:module';",
      "import{fileURLToPath as __pathOf}from'node:url';",
      'const require=__createRequire(import.meta.url);',
      "const __dirname=__pathOf(new URL('.',import.meta.url));",
    ].join(''),
  },
});
const lz4 = dirname(createRequire(checkout('package.json')).resolve('lz4-wasm-nodejs'));
cpSync(join(lz4, 'lz4_wasm_nodejs_bg.wasm'), join(cli, 'lz4_wasm_nodejs_bg.wasm'));

// The command line looks for the demo's guest in its package; the walkthrough's demo has sources and a trace, too.
mkdirSync(at('demo'), { recursive: true });
cpSync(checkout('guests/embedded/kernel.elf'), at('guests/embedded/kernel.elf'));
const isSource = (path) => !/\.\w+$/.test(path) || /\.(c|h|S|ld|md)$/.test(path);
cpSync(checkout('guests/embedded'), at('demo/guests/embedded'), { recursive: true, filter: isSource });
cpSync(checkout('traces/heisenbug-v2.trace'), at('demo/heisenbug.trace'));
cpSync(checkout('LICENSE'), at('LICENSE'));
if (!existsSync(join(cli, 'engine-worker.js'))) throw new Error("the engine's thread was not bundled");
