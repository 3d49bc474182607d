import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { PageBuffers } from '../../src/trace/page-buffers.ts';
import { PAGE_BYTES } from '../../src/vmm/layout.ts';

test('a page that was handed over stays as it is until the thread is done with it, however few are sent at a time', () => {
  for (let seed = 0; seed < 6; seed++) {
    const random = new Random(seed);
    const buffers = new PageBuffers(seed % 2 === 0 ? undefined : new SharedArrayBuffer(3 << 19));
    const waiting: Uint8Array[] = [];
    const memories = new Set<ArrayBufferLike>();
    let [added, seen, done] = [0, 0, 0];
    const send = (part: Uint8Array | null) => {
      if (!part) return;
      memories.add(part.buffer);
      waiting.push(part);
    };
    const page = new Uint32Array(PAGE_BYTES / 4);
    for (let round = 0; round < 150; round++) {
      for (let n = random.pick([0, 1, 1, 1, 3, 130, 300]); n > 0; n--) {
        page.fill(added++);
        send(buffers.add(new Uint8Array(page.buffer)));
      }
      send(buffers.flush());
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
    assert.ok(memories.size < 40, `${memories.size} buffers for ${added} pages: they are used again`);
  }
});
