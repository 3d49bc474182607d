/**
 * Bundles the command line and its threads into one script: Node takes twice as long to find and read two hundred modules as the rest of the start does. What begins
 * each program loads that script (src/cli/load.ts). The folder lies as deep in the package as the modules do, because they look for the package's
 * other files from where they are.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
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

const nameOf = (entry) => basename(entry, '.ts');

/** What a recording runs, of which V8's compiled form is kept. */
const KEPT = ['main', 'worker', 'writer-worker'];

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

/** Instead of the text of the traces' schema, and protobufjs's parser, what the parser makes of it. */
const readAhead = {
  name: 'read ahead',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/trace\/messages\.ts$/ }, async () => {
      const { messages } = await import(new URL('../dist/src/trace/messages.js', import.meta.url));
      const json = JSON.stringify(messages.toJSON());
      return {
        contents: `import { Root } from 'protobufjs/light.js'; export const messages = Root.fromJSON(${json});`,
        resolveDir: root,
      };
    });
  },
};

const common = {
  outbase: root,
  bundle: true,
  plugins: [leaveOut, readAhead],
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: 'warning',
  platform: 'node',
  format: 'cjs',
  target: 'es2023',
  // A script that is loaded by hand has no other way to find modules than `require`.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': '__url' },
  banner: { js: "const __url=require('node:url').pathToFileURL(__filename).href;" },
};

export async function bundleCommandLine(folder) {
  rmSync(folder, { recursive: true, force: true });
  const programs = ENTRIES.map((path) => `${JSON.stringify(nameOf(path))}: () => import('./${path}'),`);
  await build({
    ...common,
    stdin: { contents: `export const programs = { ${programs.join('\n')} };`, resolveDir: root },
    outfile: join(folder, 'chronovisor.js'),
  });
  await build({ ...common, entryPoints: [join(root, 'src/cli/load.ts')], outfile: join(folder, 'load.js') });
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  for (const name of ENTRIES.map(nameOf)) {
    const begin = name === 'main' ? '#!/usr/bin/env node\n' : '';
    writeFileSync(join(folder, `${name}.js`), `${begin}require('./load.js').load('${name}');\n`);
  }
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

/** Has this Node compile what a recording runs, and keeps that: see src/cli/load.ts. */
function keepCompiled(folder) {
  const scratch = mkdtempSync(join(tmpdir(), 'chronovisor-'));
  const guest = ['--kernel', join(root, 'guests/bench/mix.elf'), '--bios', 'none', '--memory', '64M'];
  try {
    execFileSync(process.execPath, [join(folder, 'main.js'), 'record', ...guest, '-o', join(scratch, 'trace')], {
      env: { ...process.env, CHRONOVISOR_CODE_CACHE: 'make' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
  for (const name of KEPT) {
    if (!existsSync(join(folder, `${name}-${process.versions.v8}.cache`))) throw new Error(`${name} was not compiled`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = join(root, 'dist', 'bundle', 'cli');
  await bundleCommandLine(folder);
  keepCompiled(folder);
}
