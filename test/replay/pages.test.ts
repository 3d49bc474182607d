/** The laws of pages and their snapshots: copied when written, restored whole, and a digest that follows from the content alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { DIGESTER_BYTES, Digester } from '../../src/vmm/digest.ts';
import { MEMORY_BYTES, PAGE_BYTES } from '../../src/vmm/layout.ts';
import { type OutsideChange, type PageSnapshot, Pages } from '../../src/vmm/pages.ts';

const RAM_PAGES = 1100;
const DISK_PAGES = 30;
const COUNT = RAM_PAGES + DISK_PAGES;

function freshPages(): Pages {
  const memory = new WebAssembly.Memory({ initial: MEMORY_BYTES / 65536, maximum: MEMORY_BYTES / 65536 });
  return new Pages(memory, RAM_PAGES, DISK_PAGES, new Digester(memory));
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const fill = (pages: Pages, page: number, byte: number) => pages.write(page).fill(byte);
/** The frame of a page at a snapshot. */
const frameAt = ({ chunks }: PageSnapshot, page: number) => chunks[Math.floor(page / 512)]?.frames[page % 512] ?? 0;
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
  assert.equal(pages.pool.bytes(frameAt(snapshot, 1))[0], 2, 'the snapshot keeps what it had');
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
    return hex(pages.digest());
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

const digester = new Digester(new WebAssembly.Memory({ initial: Math.ceil(DIGESTER_BYTES / 65536) }));

/** Contents outside are bytes that fill a page: their hashes, and a count of those that were fetched. */
function outside(pages: Pages) {
  const hashes = new Int32Array(4 * 257);
  for (let byte = 0; byte < 256; byte++) digester.hashOf(new Uint8Array(PAGE_BYTES).fill(byte), hashes, 4 * byte);
  const fetched: number[] = [];
  pages.outside = (content) => {
    fetched.push(content);
    return new Uint8Array(PAGE_BYTES).fill(content);
  };
  const holds = (page: number, byte: number | null): OutsideChange => {
    return { page, content: byte ?? -1, hashes, at: 4 * (byte ?? 256) };
  };
  return { holds, fetched };
}

test('what lies outside is fetched when somebody looks, once, and counts from the beginning', () => {
  const pages = freshPages();
  const { holds, fetched } = outside(pages);
  const one = pages.derive(null, [holds(700, 9), holds(3, 7), holds(4, 0), holds(RAM_PAGES, 8)]);
  const two = pages.derive(one, [holds(3, null), holds(5, 6), holds(700, 5)]);
  pages.restore(two);
  assert.deepEqual([pages.present(3), pages.present(4), pages.present(5)], [false, true, true]);
  assert.deepEqual([fetched.length, pages.pool.slots, pages.pool.used], [0, 0, 6]);
  const plain = freshPages();
  for (const [page, byte] of [
    [700, 5],
    [4, 0],
    [5, 6],
    [RAM_PAGES, 8],
  ])
    fill(plain, page, byte);
  const sum = hex(plain.digest());
  assert.equal(hex(pages.digest()), sum);
  assert.deepEqual([firstByte(pages, RAM_PAGES), pages.word(700, 8), pages.number(5, 0, 2)], [8, 0x05050505, 0x0606n]);
  // The one before has that page of the disk, too.
  pages.restore(one);
  assert.deepEqual([firstByte(pages, RAM_PAGES), firstByte(pages, 3)], [8, 7]);
  assert.equal(pages.pool.bytes(frameAt(two, 700))[0], 5);
  assert.deepEqual(fetched, [8, 5, 6, 7]);
  fill(pages, 3, 1);
  pages.write(700)[0] = 1;
  assert.equal(pages.read(700)![1], 9, 'a part of a page that was not there yet is written');
  pages.restore(two);
  assert.equal(hex(pages.digest()), sum);
  pages.fetchAll();
  assert.equal(pages.pool.slots, 6, 'four pages of one, and two that the other has');
});

test('pages that were placed lie outside until somebody looks, and count as what they hold', () => {
  const pages = freshPages();
  const { fetched } = outside(pages);
  pages.place(3, 5);
  pages.place(510, 514);
  assert.deepEqual([...pages.presentPages()], [3, 4, 510, 511, 512, 513]);
  assert.deepEqual([pages.look(4)![0], pages.look(4)![PAGE_BYTES - 1], pages.look(6)], [4, 4, null]);
  assert.equal(pages.pool.slots, 0, 'a look leaves a page where it is');
  assert.deepEqual([firstByte(pages, 511), pages.look(511)![1]], [511 % 256, 511 % 256]);
  assert.equal(pages.pool.slots, 1);
  const plain = freshPages();
  for (const page of [3, 4, 510, 511, 512, 513]) fill(plain, page, page);
  const { snapshot } = pages.snapshot();
  assert.equal(pages.pool.slots, 1, 'nor does a snapshot need it');
  pages.write(512)[0] = 9;
  plain.write(512)[0] = 9;
  assert.deepEqual([...pages.changes()], [512], 'a page counts as written when it was');
  assert.equal(hex(pages.digest()), hex(plain.digest()));
  assert.deepEqual(fetched, [4, 4, 511, 512, 3, 4, 510, 513]);
  pages.restore(snapshot);
  fill(plain, 512, 512);
  assert.equal(hex(pages.digest()), hex(plain.digest()));
  pages.drop(3);
  plain.drop(3);
  assert.equal(hex(pages.digest()), hex(plain.digest()));
  assert.throws(() => pages.place(513, 515), /never touched/);
  assert.throws(() => pages.place(RAM_PAGES - 1, RAM_PAGES + 1), /lies in RAM/);
});

test('a look gives the pages behind as well, as far as they lie outside in a row', () => {
  const pages = freshPages();
  const file = Uint8Array.from({ length: 9 * PAGE_BYTES }, (_, at) => Math.floor(at / PAGE_BYTES));
  pages.outside = (content) => file.subarray((content - 20) * PAGE_BYTES);
  pages.place(20, 26);
  pages.place(27, 29);
  const counts = () => {
    return Array.from({ length: 11 }, (_, i) => {
      const seen = pages.look(19 + i);
      assert.ok(!seen || seen[0] === i - 1, `page ${19 + i}`);
      return (seen?.length ?? 0) / PAGE_BYTES;
    });
  };
  assert.deepEqual(counts(), [0, 6, 5, 4, 3, 2, 1, 0, 2, 1, 0]);
  assert.deepEqual([firstByte(pages, 23), pages.read(23)!.length], [3, PAGE_BYTES]);
  assert.deepEqual(counts(), [0, 3, 2, 1, 1, 2, 1, 0, 2, 1, 0]);
  pages.drop(25);
  assert.deepEqual(counts(), [0, 3, 2, 1, 1, 1, 0, 0, 2, 1, 0]);
  // Neighbours, but not in the file.
  const hashes = new Int32Array(12);
  const changes = [5, 7, 8].map((number, i) => {
    digester.hashOf(file.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES), hashes, 4 * i);
    return { page: 40 + i, content: 20 + number, hashes, at: 4 * i };
  });
  pages.restore(pages.derive(null, changes));
  assert.deepEqual([pages.look(40)!.length, pages.look(41)!.length], [PAGE_BYTES, 2 * PAGE_BYTES]);
});

test('a content that is not what its hash says is refused, and may be right the next time', () => {
  const pages = freshPages();
  const { holds } = outside(pages);
  const right = pages.outside;
  pages.restore(pages.derive(null, [holds(6, 42)]));
  pages.outside = () => new Uint8Array(PAGE_BYTES).fill(43);
  assert.throws(() => pages.read(6), /memory page 6: .* hash/);
  pages.outside = () => {
    throw new Error('unreadable');
  };
  assert.throws(() => pages.touch(6), /unreadable/);
  const unknown = { page: 7, content: 1, hashes: new Int32Array(4), at: 0 };
  assert.throws(() => pages.derive(null, [unknown]), /memory page 7: .* no hash/);
  assert.equal(pages.pool.slots, 0);
  pages.outside = right;
  assert.equal(firstByte(pages, 6), 42);
});

/** The digest of memory that follows from what a model has, all of it hashed anew. */
function digestOf(model: Model): string {
  const hash = new Int32Array(4);
  digester.begin(new Uint8Array(16));
  for (const [page, byte] of model) {
    digester.hashOf(new Uint8Array(PAGE_BYTES).fill(byte), hash, 0);
    digester.add(page, hash, 0);
  }
  return hex(digester.sum());
}

test('random writes, snapshots, digests and restores agree with a model', () => {
  for (const seed of [1, 2, 3, 4]) {
    const random = new Random(seed);
    const pages = freshPages();
    let live: Model = new Map();
    let written = new Set<number>();
    const expectChanges = (changed: Uint32Array, where: string) => {
      assert.deepEqual(
        [...changed],
        [...written].sort((a, b) => a - b),
        `seed ${seed}, ${where}: what has changed`,
      );
      written = new Set();
    };
    const kept: { snapshot: PageSnapshot; model: Model }[] = [];
    const { holds } = outside(pages);
    for (let step = 0; step < 500; step++) {
      const where = `step ${step}`;
      const act = random.below(13);
      if (act < 6) {
        for (let i = random.below(40); i >= 0; i--) {
          const page = random.below(COUNT);
          const byte = random.below(4);
          if (random.below(8) > 0) {
            fill(pages, page, byte);
            live.set(page, byte);
            written.add(page);
          } else if (live.delete(page)) {
            pages.drop(page);
            written.add(page);
          }
        }
      } else if (act < 8) {
        const { snapshot, changed } = pages.snapshot();
        expectChanges(changed, where);
        kept.push({ snapshot, model: new Map(live) });
      } else if (act === 8 && kept.length > 0) {
        const { snapshot, model } = random.pick(kept);
        pages.restore(snapshot);
        live = new Map(model);
        written = new Set();
        const { snapshot: again, changed } = pages.snapshot();
        expectChanges(changed, `${where}, restored`);
        pages.release(again);
      } else if (act === 9 && kept.length > 0) {
        const [gone] = kept.splice(random.below(kept.length), 1);
        pages.release(gone.snapshot);
      } else if (act === 10) {
        expectChanges(pages.changes(), where);
      } else if (act === 11) {
        const base = kept.length > 0 && random.below(3) > 0 ? random.pick(kept) : null;
        const model: Model = new Map(base?.model);
        const changes = new Map<number, number | null>();
        for (let i = random.below(60); i > 0; i--) {
          changes.set(random.below(COUNT), random.below(5) > 0 ? random.below(4) : null);
        }
        for (const [page, byte] of changes) {
          if (byte === null) model.delete(page);
          else model.set(page, byte);
        }
        const all = [...changes].map(([page, byte]) => holds(page, byte));
        kept.push({ snapshot: pages.derive(base?.snapshot ?? null, all), model });
      } else {
        assert.equal(hex(pages.digest()), digestOf(live), `seed ${seed}, ${where}: digest`);
        written = new Set();
      }
      if (step % 50 === 0) same(pages, live, `seed ${seed}, ${where}`);
    }
    for (const { snapshot, model } of kept) {
      pages.restore(snapshot);
      same(pages, model, `seed ${seed}, at the end`);
      assert.equal(hex(pages.digest()), digestOf(model), `seed ${seed}, at the end: digest`);
    }
  }
});
