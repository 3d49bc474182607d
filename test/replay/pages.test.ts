/** The laws of pages and their snapshots: copied when written, restored whole, and a digest that follows from the content alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Digester } from '../../src/vmm/digest.ts';
import { MEMORY_BYTES, PAGE_BYTES } from '../../src/vmm/layout.ts';
import { type PageSnapshot, Pages } from '../../src/vmm/pages.ts';

const RAM_PAGES = 1100;
const DISK_PAGES = 30;
const COUNT = RAM_PAGES + DISK_PAGES;

function freshPages(): Pages {
  const memory = new WebAssembly.Memory({ initial: MEMORY_BYTES / 65536, maximum: MEMORY_BYTES / 65536 });
  return new Pages(memory, RAM_PAGES, DISK_PAGES, new Digester(memory));
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const fill = (pages: Pages, page: number, byte: number) => pages.write(page).fill(byte);
const firstByte = (pages: Pages, page: number) => pages.read(page)?.[0] ?? null;

/** What a model remembers of each page: the byte that fills it. */
type Model = Map<number, number>;

function same(pages: Pages, model: Model, where: string): void {
  for (let page = 0; page < COUNT; page++) {
    const content = pages.read(page);
    const wanted = model.get(page);
    assert.equal(content?.[0], wanted, `${where}: page ${page}`);
    assert.equal(content?.[PAGE_BYTES - 1], wanted, `${where}: the end of page ${page}`);
  }
}

test('a page that was never touched has no storage and reads as nothing', () => {
  const pages = freshPages();
  assert.equal(pages.present(3), false);
  assert.equal(pages.read(3), null);
  pages.touch(3);
  assert.equal(pages.present(3), true);
  assert.deepEqual(pages.read(3), new Uint8Array(PAGE_BYTES));
  assert.equal(pages.pool.used, 1);
  pages.drop(3);
  assert.equal(pages.read(3), null);
  assert.equal(pages.pool.used, 0);
});

test('a write after a snapshot copies that page and no other', () => {
  const pages = freshPages();
  for (const page of [0, 1, 511, 512, RAM_PAGES]) fill(pages, page, page + 1);
  const { snapshot, changed } = pages.snapshot();
  assert.deepEqual([...changed], [0, 1, 511, 512, RAM_PAGES]);
  assert.equal(pages.pool.used, 5, 'a snapshot copies nothing');
  fill(pages, 1, 77);
  fill(pages, 1, 78);
  assert.equal(pages.pool.used, 6);
  assert.deepEqual([...pages.snapshot().changed], [1]);
  assert.equal(pages.pool.bytes(pages.frameAt(snapshot, 1))[0], 2, 'the snapshot keeps what it had');
  assert.equal(firstByte(pages, 1), 78);
});

test('nothing is left in the pool when all pages and snapshots are gone', () => {
  const pages = freshPages();
  const empty = pages.snapshot().snapshot;
  for (let page = 0; page < COUNT; page += 3) fill(pages, page, 9);
  const one = pages.snapshot().snapshot;
  for (let page = 0; page < COUNT; page += 2) fill(pages, page, 8);
  const two = pages.snapshot().snapshot;
  pages.hold(one);
  pages.release(one);
  pages.restore(one);
  pages.release(one);
  pages.release(two);
  pages.restore(empty);
  pages.release(empty);
  assert.equal(pages.pool.used, 0);
});

test('the digest follows from the content, not from how it came about', () => {
  const sumOf = (act: (pages: Pages) => void) => {
    const pages = freshPages();
    act(pages);
    return hex(pages.snapshot().snapshot.sum);
  };
  const plain = sumOf((pages) => {
    fill(pages, 5, 1);
    fill(pages, 600, 2);
  });
  const roundabout = sumOf((pages) => {
    fill(pages, 600, 9);
    fill(pages, 7, 3);
    pages.snapshot();
    fill(pages, 600, 2);
    pages.touch(8);
    pages.snapshot();
    fill(pages, 7, 0);
    fill(pages, 5, 1);
  });
  assert.equal(plain, roundabout, 'a page of zeros counts as one that was never touched');
  const swapped = sumOf((pages) => {
    fill(pages, 5, 2);
    fill(pages, 600, 1);
  });
  assert.notEqual(plain, swapped, 'where a content lies matters');
});

test('random writes, snapshots and restores agree with a model', () => {
  for (const seed of [1, 2, 3, 4]) {
    const random = new Random(seed);
    const pages = freshPages();
    let live: Model = new Map();
    const kept: { snapshot: PageSnapshot; model: Model; sum: string }[] = [];
    for (let step = 0; step < 300; step++) {
      const act = random.below(10);
      if (act < 6) {
        for (let i = random.below(40); i >= 0; i--) {
          const page = random.below(COUNT);
          const byte = random.below(4);
          fill(pages, page, byte);
          live.set(page, byte);
        }
      } else if (act < 8) {
        const { snapshot } = pages.snapshot();
        kept.push({ snapshot, model: new Map(live), sum: hex(snapshot.sum) });
      } else if (act < 9 && kept.length > 0) {
        const { snapshot, model, sum } = random.pick(kept);
        pages.restore(snapshot);
        live = new Map(model);
        const { snapshot: again, changed } = pages.snapshot();
        assert.equal(hex(again.sum), sum, `seed ${seed}, step ${step}: what was restored has the same digest`);
        assert.deepEqual([...changed], [], 'and nothing in it is new');
        pages.release(again);
      } else if (kept.length > 0) {
        const [gone] = kept.splice(random.below(kept.length), 1);
        pages.release(gone.snapshot);
      }
      if (step % 50 === 0) same(pages, live, `seed ${seed}, step ${step}`);
    }
    for (const { snapshot, model } of kept) {
      pages.restore(snapshot);
      same(pages, model, `seed ${seed}, at the end`);
    }
  }
});
