/** The cache of indices: what comes out is what went in, and damage only costs time. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { folderCache, SymbolFile, sourceOf } from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL, scratch } from '../support/guests.ts';

const KERNEL = readFileSync(EMBEDDED_KERNEL);

function open(folder: string): SymbolFile {
  return new SymbolFile(sourceOf('kernel.elf', KERNEL), { cache: folderCache(folder) });
}

/** Everything that an index answers, for a few thousand questions. */
function answers(file: SymbolFile): unknown {
  const { names, unitMap, symbols } = file;
  const all = names.complete('', 100_000);
  const { address, header } = file.elf.section('.text')!;
  return {
    found: all.map((name) => [...names.find(name)]),
    paths: names.paths.map((path) => [path, names.unitsOf(path)]),
    units: [...unitMap.values],
    symbols: Array.from({ length: header.bytes / 64 }, (_, i) => symbols?.at(address + BigInt(64 * i))),
    main: [...symbols!.named('trap_handle')],
  };
}

test('an index that was kept answers as a new one does', (t) => {
  const folder = scratch(t);
  const first = answers(open(folder));
  const [file, ...others] = readdirSync(folder);
  assert.match(file, /^[0-9a-f]{40}-\d+\.symbols$/);
  assert.deepEqual(others, [], 'nothing else is left behind');
  const written = readFileSync(join(folder, file));
  assert.deepEqual(answers(open(folder)), first);
  assert.ok(readFileSync(join(folder, file)).equals(written));
  // It is the cache that answers, not the file.
  const cache = folderCache(folder);
  const asked: string[] = [];
  const source = sourceOf('kernel.elf', KERNEL);
  const spy = {
    load: (id: string, n: number) => {
      asked.push('load');
      return cache.load(id, n);
    },
    store: () => asked.push('store'),
  };
  assert.deepEqual(answers(new SymbolFile(source, { cache: spy })), first);
  assert.deepEqual(asked, ['load']);
});

test('a damaged index is made again', (t) => {
  const folder = scratch(t);
  const first = answers(open(folder));
  const path = join(folder, readdirSync(folder)[0]);
  const good = readFileSync(path);
  const random = new Random(7);
  t.diagnostic(`seed ${random.seed}`);
  const damages: Uint8Array[] = [new Uint8Array(0), good.subarray(0, 100), good.subarray(0, good.length - 8)];
  for (let i = 0; i < 40; i++) {
    const copy = Uint8Array.from(good);
    copy[i < 24 ? i : random.below(copy.length)] ^= 1 << random.below(8);
    damages.push(copy);
  }
  for (const [i, bytes] of damages.entries()) {
    writeFileSync(path, bytes);
    const file = open(folder);
    if (i % 10 === 0) assert.deepEqual(answers(file), first);
    else file.names.find('x').next();
    assert.ok(readFileSync(path).equals(good), `damage ${i} is mended`);
  }
});

test('a folder that cannot be written costs nothing but time', () => {
  const file = new SymbolFile(sourceOf('kernel.elf', KERNEL), { cache: folderCache('/dev/null/nowhere') });
  assert.ok([...file.names.find('trap_handle')].length > 0);
});
