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
    /** A page in that memory, each but once. */
    let free = 0;
    const lastingPage = () => {
      // Here and there pages are not in a row.
      if (random.below(10) === 0) free++;
      return lasting && free < 1000 && random.below(8) > 0
        ? new Uint8Array(lasting, PAGE_BYTES * free++, PAGE_BYTES)
        : null;
    };
    const page = new Uint32Array(PAGE_BYTES / 4);
    for (let round = 0; round < 150; round++) {
      for (let n = random.pick([0, 1, 1, 1, 3, 130, 300]); n > 0; n--) {
        const stays = lastingPage();
        const words = stays ? new Uint32Array(stays.buffer, stays.byteOffset, PAGE_BYTES / 4) : page;
        words.fill(added++);
        buffers.add(stays ?? new Uint8Array(page.buffer));
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
