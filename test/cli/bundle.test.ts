/** A bundle has all that a colleague needs: unpacked elsewhere, its configuration shows the same stack in its own sources. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { unzipSync } from 'fflate';
import { type Body, Client } from '../dap/client.ts';
import { chronovisor, EMBEDDED_KERNEL, lastWords, scratch } from '../support/guests.ts';
import { CHECKOUT } from './small.ts';

const TRACE = join(CHECKOUT, 'traces/heisenbug-v2.trace');

test('a bundle is debugged where it was unpacked', async (t) => {
  const folder = scratch(t);
  const trace = join(folder, 'race.trace');
  copyFileSync(TRACE, trace);
  writeFileSync(`${trace}.bookmarks`, '{"format":"chronovisor-bookmarks","version":1,"bookmarks":[]}');
  const zip = join(folder, 'for-you.zip');
  const options = ['--symbols', EMBEDDED_KERNEL, '--sources', CHECKOUT];
  const made = await chronovisor('bundle', trace, ...options, '-o', zip);
  assert.equal(made.code, 0, lastWords(made));
  assert.match(made.stdout, /with 1 symbol file and \d+ source files/);

  const there = join(folder, 'there');
  for (const [name, content] of Object.entries(unzipSync(readFileSync(zip)))) {
    assert.match(name, /^for-you\/[^:*?"<>|\\]+$/);
    assert.ok(!name.split('/').includes('..'));
    mkdirSync(dirname(join(there, name)), { recursive: true });
    writeFileSync(join(there, name), content);
  }
  const workspace = join(there, 'for-you');
  assert.deepEqual(readFileSync(join(workspace, 'race.trace')), readFileSync(TRACE));
  assert.ok(existsSync(join(workspace, 'race.trace.bookmarks')));

  const launch = readFileSync(join(workspace, '.vscode/launch.json'), 'utf8').replaceAll(
    /\$\{workspaceFolder\}/g,
    workspace,
  );
  const [{ type, request, name, ...configuration }] = JSON.parse(launch).configurations;
  assert.deepEqual([type, request, name], ['chronovisor', 'attach', 'Debug race.trace']);
  const client = await Client.open(t, configuration);
  const stopped = client.next('stopped');
  await client.ask('configurationDone');
  const { threadId } = await stopped;
  const { stackFrames } = await client.ask('stackTrace', { threadId });
  const own = join(workspace, 'sources/guests/embedded');
  const panic = stackFrames.find((frame: Body) => frame.name === 'panic');
  assert.equal(panic?.source.path, join(own, 'panic.c'));
  for (const { source } of stackFrames) assert.ok(source.path.startsWith(own), source.path);
});

test('what cannot be bundled is refused, and leaves nothing behind', async (t) => {
  const zip = join(scratch(t), 'a.zip');
  const refused = async (message: RegExp, ...args: string[]) => {
    const { code, stderr } = await chronovisor('bundle', ...args);
    assert.equal(code, 1);
    assert.match(stderr, message);
    assert.ok(!existsSync(`${zip}.part`));
  };
  await refused(/--output \(-o\) is missing/, TRACE);
  await refused(/no such folder/, TRACE, '-o', zip, '--sources', '/no/such/folder');
  await refused(/--source-map a: FROM=TO is needed/, TRACE, '-o', zip, '--source-map', 'a');
  await refused(/\/no\/such\.elf: no such file/, TRACE, '-o', zip, '--symbols', '/no/such.elf');
  await refused(/cannot be written/, TRACE, '-o', '/no/such/folder/a.zip');
  assert.ok(!existsSync(zip));
  assert.equal((await chronovisor('bundle', TRACE, '-o', zip)).code, 0);
  const before = readFileSync(zip);
  await refused(/exists: choose another name, or replace it with --force/, TRACE, '-o', zip);
  assert.deepEqual(readFileSync(zip), before);
});
