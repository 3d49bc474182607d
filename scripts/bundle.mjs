/**
 * Bundles the command line and its threads into few files: Node takes twice as long to find and read two hundred modules as the rest of the start does. The folder
 * lies as deep in the package as the modules do, because they look for the package's other files from where they are.
 */
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Begins what runs in a thread of its own; `new Worker` finds them beside the rest. */
const ENTRIES = [
  'src/cli/main.ts',
  'src/compiler/worker.ts',
  'src/debugger/engine-worker.ts',
  'src/replay/scan-worker.ts',
  'src/trace/writer-worker.ts',
];

/** Packages in CommonJS find these where they expect them. */
const COMMON_JS = [
  "import{createRequire as __createRequire}from'node:module';",
  "import{fileURLToPath as __pathOf}from'node:url';",
  'const require=__createRequire(import.meta.url);',
  "const __folder=__pathOf(new URL('.',import.meta.url));",
];

/**
 * What yargs loads at each start and next to never uses. Widths are those of our own texts, but what tells other ones takes a tenth of a start to load; and the folder
 * that it looks for a package.json in, for a version that is not asked for, is the working folder, which may hold anything.
 */
const LEFT_OUT = {
  'string-width': `
    let full;
    export default function stringWidth(text, options) {
      if (/^[\\x20-\\x7e]*$/.test(text)) return text.length;
      full ??= require('string-width').default;
      return full(text, options);
    }`,
  'escalade/sync': 'export default () => undefined;',
};
const leaveOut = {
  name: 'leave out',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(string-width|escalade\/sync)$/ }, ({ path, namespace, resolveDir }) =>
      namespace === 'left-out'
        ? undefined
        : { path: join(resolveDir, path), namespace: 'left-out', pluginData: { path, resolveDir } },
    );
    onLoad({ filter: /./, namespace: 'left-out' }, ({ pluginData: { path, resolveDir } }) => ({
      contents: LEFT_OUT[path],
      resolveDir,
    }));
  },
};

export async function bundleCommandLine(folder) {
  rmSync(folder, { recursive: true, force: true });
  await build({
    entryPoints: ENTRIES.map((path) => join(root, path)),
    entryNames: '[name]',
    outdir: folder,
    bundle: true,
    plugins: [leaveOut],
    splitting: true,
    minifyWhitespace: true,
    minifySyntax: true,
    logLevel: 'warning',
    platform: 'node',
    format: 'esm',
    target: 'es2023',
    define: { __dirname: '__folder' },
    banner: { js: COMMON_JS.join('') },
  });
  // Compiled by now, since the command line is as well.
  const [{ buildInterpreter }, { interpreterFile }] = await Promise.all(
    ['vmm/riscv/interpreter.js', 'compiler/machine.js'].map(
      (path) => import(new URL(`../dist/src/${path}`, import.meta.url)),
    ),
  );
  for (const fused of [false, true]) {
    writeFileSync(join(folder, interpreterFile(fused)), buildInterpreter(false, fused));
  }
  const lz4 = dirname(createRequire(join(root, 'package.json')).resolve('lz4-wasm-nodejs'));
  copyFileSync(join(lz4, 'lz4_wasm_nodejs_bg.wasm'), join(folder, 'lz4_wasm_nodejs_bg.wasm'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundleCommandLine(join(root, 'dist', 'bundle', 'cli'));
