/** What is known of contents is bounded, and what pages have is never stored again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { ABSENT } from '../../src/trace/changes.ts';
import { CheckpointMaker } from '../../src/trace/checkpoint-maker.ts';
import { PageMap } from '../../src/trace/page-map.ts';
import { digestOf } from './sample.ts';

const PAGE_BYTES = 4096;

test('contents that no page has any more may be forgotten, others never; numbers and digests stay right', () => {
  for (const seed of [1, 2, 3]) {
    const random = new Random(seed);
    const map = new PageMap();
    const maker = new CheckpointMaker(map, 20);
    /** Contents in the order of their numbers, from 1. */
    const stored: Uint8Array[] = [new Uint8Array(PAGE_BYTES)];
    const memory = new Map<number, Uint8Array>();
    for (let position = 0; position < 60; position++) {
      const held = new Set([...memory.values()].map((content) => content.join()));
      const pages = Uint32Array.from(new Set(Array.from({ length: 12 }, () => random.below(40)))).sort();
      const contents = Array.from(pages, () => new Uint8Array(PAGE_BYTES).fill(random.below(200)));
      const [absent, zeros, given] = [[] as number[], [] as number[], [] as Uint8Array[]];
      for (const [row, page] of pages.entries()) {
        const kind = random.below(8);
        if (kind === 0) absent.push(page);
        else if (kind === 1) zeros.push(page);
        else given.push(contents[row]);
        if (kind === 1) contents[row].fill(0);
      }
      const before = stored.length;
      maker.contents(new Uint8Array(Buffer.concat(given)), (content) => stored.push(content.slice()));
      for (const content of stored.slice(before)) {
        assert.ok(!held.has(content.join()), `seed ${seed}, ${position}: a content that a page has is stored again`);
      }
      const state = new Uint8Array(10).fill(position);
      const made = maker.make({ position, timeNs: position, state, pages, absent, zeros });
      for (const [row, page] of pages.entries()) memory.set(page, contents[row]);
      for (const page of absent) memory.delete(page);
      made.refs.forEach((ref, row) => {
        if (absent.includes(pages[row])) assert.equal(ref, ABSENT);
        else assert.deepEqual(stored[ref], contents[row], `seed ${seed}, ${position}: number ${ref}`);
      });
      assert.deepEqual(made.digest, digestOf(memory, state), `seed ${seed}, ${position}: digest`);
      map.apply(made);
    }
    assert.ok(stored.length > 200, 'some contents were forgotten, and stored again when they came back');
  }
});
