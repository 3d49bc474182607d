/** What the extension's package.json promises is there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MACHINE_OPTIONS } from '../../src/cli/machine-options.ts';
import { CHECKOUT } from '../cli/small.ts';

const HERE = join(CHECKOUT, 'vscode-extension');
const read = (path: string) => readFileSync(join(CHECKOUT, path), 'utf8');
const manifest = JSON.parse(read('vscode-extension/package.json'));
const { contributes } = manifest;
const sources = readdirSync(join(HERE, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => read(join('vscode-extension/src', file)))
  .join('\n');

interface Entry {
  readonly command: string;
}
const contributed: string[] = contributes.commands.map(({ command }: Entry) => command);

test('it has the version of the product', () => {
  assert.equal(manifest.version, JSON.parse(read('package.json')).version);
});

test('each command is registered, and each entry of a menu or a key is a command', () => {
  for (const command of contributed) {
    const name = command.replace('chronovisor.', '');
    assert.match(sources, new RegExp(`'(chronovisor\\.)?${name}'`), `${command} is registered`);
  }
  const used = [...Object.values(contributes.menus as Record<string, Entry[]>).flat(), ...contributes.keybindings];
  for (const { command } of used) {
    assert.ok(contributed.includes(command) || command.startsWith('workbench.'), `${command} is contributed`);
  }
  assert.equal(new Set(contributed).size, contributed.length);
});

test('each view has a page or a tree, and each file that is named is there', () => {
  const views = Object.values(contributes.views as Record<string, { id: string; type?: string }[]>).flat();
  for (const { id, type } of views) {
    const name = id.replace('chronovisor.', '');
    if (type === 'webview') {
      assert.ok(
        existsSync(join(HERE, 'src/webviews', `${name}.ts`)) && existsSync(join(HERE, 'media', `${name}.css`)),
        id,
      );
      assert.match(read('vscode-extension/build.mjs'), new RegExp(`'${name}'`), id);
    } else assert.match(sources, new RegExp(`'${id}'`), id);
  }
  const files = JSON.stringify(manifest).matchAll(/"(?:\.\/)?((?:media|languages|walkthrough)\/[^"]+)"/g);
  for (const [, file] of files) assert.ok(existsSync(join(HERE, file)), file);
});

test('a recording is configured with the options of the command line, and their defaults', () => {
  const { properties } = contributes.debuggers[0].configurationAttributes.launch;
  for (const [long, option] of Object.entries(MACHINE_OPTIONS)) {
    const camel = long.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    const key = option.type === 'list' ? `${camel}s` : camel;
    assert.ok(properties[key], `${key} is described`);
    // A kernel's command line and its file are suggestions.
    if (!('default' in option) || key === 'append') continue;
    assert.equal(String(properties[key].default), option.default, key);
  }
});
