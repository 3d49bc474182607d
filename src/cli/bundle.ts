/** `chronovisor bundle`: a trace with all that a colleague needs to debug it, as one zip file. */
import { existsSync, statSync } from 'node:fs';
import { basename, extname, posix } from 'node:path';
import { UserError } from '../base/assert.ts';
import { Sources } from '../dap/sources.ts';
import type { Symbols } from '../symbols/index.ts';
import { command } from './command-line.ts';
import { bytes, plural } from './format.ts';
import { openSymbols, symbolCache, symbolsOption } from './symbol-options.ts';
import { openTrace } from './trace-argument.ts';
import { ZipFile } from './zip-file.ts';

export const bundleCommand = command(
  '<trace>',
  {
    output: { type: 'text', alias: 'o', value: 'FILE', describe: 'the zip file to write' },
    symbols: symbolsOption,
    sources: {
      type: 'list',
      value: 'FOLDER',
      describe: 'folder in which source files are looked for by the ends of their paths',
    },
    'source-map': {
      type: 'list',
      value: 'FROM=TO',
      describe: 'beginning of paths in the debug information, and what it is here',
    },
    force: { type: 'flag', describe: 'replace the output file if it exists' },
    json: { type: 'flag', describe: 'print the result as JSON' },
  },
  ({ trace: path, output, symbols: words, sources: folders, 'source-map': maps, force, json }) => {
    if (!output) throw new UserError('--output (-o) is missing: name the zip file to write');
    openTrace(path).close();
    const symbols = openSymbols(words, '--symbols', symbolCache());
    const files = sourceFiles(symbols, folders, maps.map(mapping));
    const zip = new ZipFile(output, force);
    let size: number;
    try {
      fill(zip, { folder: basename(output, extname(output)), path, words, symbols, files });
      size = zip.finish();
    } catch (error) {
      zip.discard();
      throw error;
    }
    if (json) {
      console.log(JSON.stringify({ path: output, bytes: size, symbolFiles: words.length, sourceFiles: files.size }));
      return;
    }
    console.log(
      `${output}: ${bytes(size)}, with ${plural(words.length, 'symbol file')} and ${plural(files.size, 'source file')}; ` +
        'whoever unpacks it opens the folder in VS Code and presses F5',
    );
  },
);

function mapping(word: string): readonly [string, string] {
  const [, from, to] = /^([^=]+)=(.+)$/.exec(word) ?? [];
  if (from === undefined || to === undefined) throw new UserError(`--source-map ${word}: FROM=TO is needed`);
  return [from, to];
}

/** Source files that the debug information names and that are here, by the names that the bundle has for them. */
function sourceFiles(
  symbols: Symbols,
  folders: readonly string[],
  map: readonly (readonly [string, string])[],
): Map<string, string> {
  for (const folder of folders) {
    if (!existsSync(folder) || !statSync(folder).isDirectory())
      throw new UserError(`--sources ${folder}: no such folder`);
  }
  const exists = (file: string) => existsSync(file) && statSync(file).isFile();
  const sources = new Sources(symbols, { exists }, { map, folders });
  const files = new Map<string, string>();
  for (const path of symbols.modules.flatMap(({ file }) => file.names.paths)) {
    const here = sources.here(path);
    if (here !== null) files.set(nameOf(path), here);
  }
  return files;
}

/** A path that stays within its folder, and that every system takes; its end is that of the path that the debug information has. */
function nameOf(path: string): string {
  return posix
    .normalize(path.replaceAll('\\', '/'))
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .map((part) => part.replaceAll(/[:*?"<>|]/g, '_'))
    .join('/');
}

interface Contents {
  /** Name of the one folder that the zip file has. */
  readonly folder: string;
  readonly path: string;
  readonly words: readonly string[];
  readonly symbols: Symbols;
  readonly files: ReadonlyMap<string, string>;
}

function fill(zip: ZipFile, { folder, path, words, symbols, files }: Contents): void {
  const trace = basename(path);
  zip.addFile(`${folder}/${trace}`, 'trace', path, true);
  const bookmarks = `${path}.bookmarks`;
  if (existsSync(bookmarks)) zip.addFile(`${folder}/${trace}.bookmarks`, 'bookmarks', bookmarks);
  const names = symbolNames(symbols);
  // The file with the debug information, which may be another one than the file that was named.
  symbols.modules.forEach(({ file }, i) => {
    zip.addFile(`${folder}/symbols/${names[i]}`, '--symbols', file.elf.source.name);
  });
  for (const [name, here] of files) zip.addFile(`${folder}/sources/${name}`, '--sources', here);
  const symbolFiles = names.map((name, i) => `symbols/${name}${/@(0x[0-9a-f]+|\d+)$/i.exec(words[i])?.[0] ?? ''}`);
  zip.addText(`${folder}/.vscode/launch.json`, launchText(trace, symbolFiles));
  zip.addText(`${folder}/README.txt`, readmeText(trace, symbolFiles));
}

/** Names of symbol files, each of its own. */
function symbolNames(symbols: Symbols): string[] {
  const names: string[] = [];
  for (const { file } of symbols.modules) {
    const name = basename(file.elf.source.name);
    const same = names.filter((other) => other === name || other.endsWith(`-${name}`)).length;
    names.push(same === 0 ? name : `${same + 1}-${name}`);
  }
  return names;
}

function launchText(trace: string, symbolFiles: readonly string[]): string {
  const here = (name: string) => `\${workspaceFolder}/${name}`;
  const configuration = {
    type: 'chronovisor',
    request: 'attach',
    name: `Debug ${trace}`,
    trace: here(trace),
    symbolFiles: symbolFiles.map(here),
    sourceFolders: [here('sources')],
    stopAt: 'panic',
  };
  return `${JSON.stringify({ version: '0.2.0', configurations: [configuration] }, null, 2)}\n`;
}

function readmeText(trace: string, symbolFiles: readonly string[]): string {
  const symbols = symbolFiles.map((name) => ` --symbols ${name}`).join('');
  return [
    `${trace} is a recording of a virtual machine by Chronovisor, with the symbol files and sources that belong to it.`,
    '',
    'In VS Code, with the Chronovisor extension: open this folder and press F5.',
    `At the command line: chronovisor state ${trace} --at end${symbols}`,
    '',
  ].join('\n');
}
