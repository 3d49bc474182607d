/** Blocks of our compressor: the package's decompressor reads them, and they keep to the format. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decompress } from 'lz4-wasm-nodejs';
import { Random } from '../../src/base/random.ts';
import { compressed } from '../../src/trace/lz4.ts';

/** Walks a block by the format's own words, with the conditions at its end, and returns what it is made of. */
function decode(block: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let [at, to] = [0, 0];
  const extended = (start: number) => {
    let count = start;
    if (start === 15) {
      let byte: number;
      do {
        byte = block[at++];
        count += byte;
      } while (byte === 255);
    }
    return count;
  };
  for (;;) {
    const token = block[at++];
    const literals = extended(token >> 4);
    out.set(block.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at >= block.length) {
      assert.equal(at, block.length, 'the block ends with literals');
      assert.equal(to, length);
      assert.equal(token & 15, 0);
      assert.ok(literals >= 5, `${literals} literals at the end`);
      return out;
    }
    const distance = block[at] | (block[at + 1] << 8);
    at += 2;
    assert.ok(distance > 0 && distance <= to, `distance ${distance} at ${to}`);
    assert.ok(to <= length - 12, `a match at ${to} of ${length}`);
    const matched = 4 + extended(token & 15);
    for (let i = 0; i < matched; i++, to++) out[to] = out[to - distance];
  }
}

function check(raw: Uint8Array, what: string): boolean {
  const room = 48;
  const { bytes, isBlock } = compressed(raw, room);
  bytes.fill(0xee, 0, room);
  const stored = bytes.subarray(room);
  if (!isBlock) {
    assert.deepEqual(stored, raw, what);
    return false;
  }
  assert.ok(stored.length < raw.length, `${what}: ${stored.length} bytes`);
  assert.ok(Buffer.from(decode(stored, raw.length)).equals(raw), what);
  const framed = new Uint8Array(4 + stored.length);
  new DataView(framed.buffer).setUint32(0, raw.length, true);
  framed.set(stored, 4);
  assert.ok(Buffer.from(decompress(framed)).equals(raw), what);
  return true;
}

test('blocks of all lengths, of what compresses well, badly and not at all', () => {
  const random = new Random(3);
  const noise = Uint8Array.from({ length: 70_000 }, () => random.below(256));
  for (let length = 0; length < 300; length++) {
    check(noise.slice(0, length), `noise of ${length}`);
    const zeros = check(new Uint8Array(length), `zeros of ${length}`);
    assert.equal(zeros, length >= 64 || zeros, `zeros of ${length} get shorter`);
  }
  for (const length of [4096, 65_535, 65_536, 65_537, 131_072, 1 << 20, (1 << 22) + 7]) {
    assert.ok(check(new Uint8Array(length), `zeros of ${length}`));
    // Its second half repeats the first from just as far as a match may lie back, or just not.
    for (const back of [65_534, 65_535, 65_536]) {
      const raw = new Uint8Array(length);
      for (let i = 0; i < length; i++) raw[i] = i < back ? noise[i] : raw[i - back];
      check(raw, `${length} bytes from ${back} back`);
    }
  }
  assert.equal(check(noise, 'noise'), false);
});

test('pieces that come again, with changes, among others', () => {
  const random = new Random(4);
  let blocks = 0;
  for (let round = 0; round < 400; round++) {
    const raw = new Uint8Array(random.below(20_000));
    const letters = 1 + random.below(round % 2 ? 4 : 256);
    for (let at = 0; at < raw.length; ) {
      const count = 1 + random.below(random.pick([3, 20, 300, 5000]));
      const from = random.below(at + 1);
      const fresh = at === 0 || random.below(3) === 0;
      for (let i = 0; i < count && at < raw.length; i++, at++) raw[at] = fresh ? random.below(letters) : raw[from + i];
    }
    if (check(raw, `round ${round}`)) blocks++;
  }
  assert.ok(blocks > 300, `${blocks} blocks`);
});
