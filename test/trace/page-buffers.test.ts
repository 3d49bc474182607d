import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { PageBuffers } from '../../src/trace/page-buffers.ts';
import { PAGE_BYTES } from '../../src/vmm/layout.ts';

test('a page that was handed over stays as it is until the thread is done with it, however few are sent at a time', () => {
  for (let seed = 0; seed < 6; seed++) {
    const random = new Random(seed);
    const waiting: Uint8Array[] = [];
    const memories = new Set<ArrayBufferLike>();
    let [added, seen, done] = [0, 0, 0];
    const lasting = seed % 2 === 0 ? null : new SharedArrayBuffer(1000 * PAGE_BYTES);
    const buffers = new PageBuffers((part) => {
      memories.add(part.buffer);
      waiting.push(part);
    }, lasting);
    let free = 0;
    /** Pages in that memory, each but once; or others. */
    const somePages = () => {
      const count = random.pick([1, 1, 2, 7, 150]);
      const stay = lasting !== null && free + count < 1000 && random.below(8) > 0;
      if (!stay) return new Uint32Array((PAGE_BYTES / 4) * Math.min(count, 3));
      free += count;
      return new Uint32Array(lasting, PAGE_BYTES * (free - count), (PAGE_BYTES / 4) * count);
    };
    for (let round = 0; round < 150; round++) {
      for (let n = random.pick([0, 1, 1, 1, 3, 130, 300]); n > 0; n--) {
        const pages = somePages();
        for (let at = 0; at < pages.length; at += PAGE_BYTES / 4) pages.fill(added++, at, at + PAGE_BYTES / 4);
        buffers.add(new Uint8Array(pages.buffer, pages.byteOffset, pages.length * 4));
        // Copies may be written again at once.
        if (pages.buffer !== lasting) pages.fill(-1);
      }
      buffers.flush();
      while (waiting.length > random.below(6)) {
        const part = waiting.shift()!;
        const words = new Uint32Array(part.buffer, part.byteOffset, part.length / 4);
        for (let at = 0; at < words.length; at += PAGE_BYTES / 4, seen++) {
          assert.ok(words.subarray(at, at + PAGE_BYTES / 4).every((word) => word === seen));
        }
        done++;
      }
      if (random.below(3) === 0) buffers.returned(done);
    }
    assert.ok(seen > 3000 && added - seen < 2000);
    assert.equal(lasting !== null && memories.has(lasting), lasting !== null, 'pages that stay are not copied');
    assert.ok(memories.size < 40, `${memories.size} buffers for ${added} pages: they are used again`);
  }
});
