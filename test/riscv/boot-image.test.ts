/** What lies in memory at reset, against a memory that all pieces were copied into. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { PAGE_BYTES, RAM_BASE } from '../../src/vmm/layout.ts';
import { BootImage, type BootPiece } from '../../src/vmm/riscv/boot.ts';

const PAGES = 24;

test('pages of an image are what its pieces make of them, the later ones over the earlier', () => {
  const random = new Random(5);
  let [shared, composed] = [0, 0];
  for (let round = 0; round < 300; round++) {
    const pieces: BootPiece[] = [];
    const model = new Uint8Array(PAGES * PAGE_BYTES);
    const touched = new Set<number>();
    const files: ArrayBufferLike[] = [];
    for (let n = random.below(5); n > 0; n--) {
      const aligned = random.below(2) === 0;
      const start = random.below(PAGES - 1) * PAGE_BYTES + (aligned ? 0 : random.below(PAGE_BYTES));
      const length = Math.min(random.pick([0, 1, 40, PAGE_BYTES, 5 * PAGE_BYTES, 5001]), model.length - start);
      const bytes = Uint8Array.from({ length }, () => random.below(256));
      files.push(bytes.buffer);
      pieces.push({ address: RAM_BASE + start, bytes });
      model.set(bytes, start);
      for (let at = start; at < start + length; at++) touched.add(Math.floor(at / PAGE_BYTES));
    }
    const image = new BootImage(pieces);
    const listed: number[] = [];
    for (const { first, end } of image.spans) for (let page = first; page < end; page++) listed.push(page);
    assert.deepEqual(
      listed,
      [...touched].sort((a, b) => a - b),
    );
    for (let page = 0; page < PAGES; page++) {
      const content = image.from(page);
      if (!touched.has(page)) {
        assert.equal(content, null);
        continue;
      }
      const span = image.spans.find(({ first, end }) => first <= page && page < end)!;
      assert.equal(content!.length, (span.end - page) * PAGE_BYTES);
      assert.deepEqual(Buffer.from(content!), Buffer.from(model.subarray(page * PAGE_BYTES, span.end * PAGE_BYTES)));
      if (files.includes(content!.buffer)) shared++;
      else composed++;
    }
  }
  assert.ok(shared > 100 && composed > 100, `${shared} pages are parts of files, ${composed} are put together`);
});
