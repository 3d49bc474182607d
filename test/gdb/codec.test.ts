import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { encodePacket, type Incoming, PACKET_BYTES_MAX, PacketReader } from '../../src/gdb/codec.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const read = (text: string) => new PacketReader().push(bytes(text));
const packet = (payload: string): Incoming => ({ kind: 'packet', payload });
const frame = (body: string) => {
  const sum = bytes(body).reduce((total, byte) => (total + byte) & 0xff, 0);
  return `$${body}#${sum.toString(16).padStart(2, '0')}`;
};

test('packets as the manual shows them', () => {
  assert.deepEqual(read('$g#67'), [packet('g')]);
  assert.deepEqual(read('+$OK#9a'), [{ kind: 'ack' }, packet('OK')]);
  assert.deepEqual(read('$#00'), [packet('')]);
  // "0* " is four zeros.
  assert.deepEqual(read(frame('0* ')), [packet('0000')]);
  assert.deepEqual(read(frame('}\x03}\x04}]}\x0a')), [packet('#$}*')]);
  assert.deepEqual(read('-\x03'), [{ kind: 'nak' }, { kind: 'interrupt' }]);
  // 0x03 within a frame is data.
  assert.deepEqual(read(frame('a\x03b')), [packet('a\x03b')]);
  assert.equal(encodePacket('0000').toString('latin1'), frame('0* '));
  assert.equal(encodePacket('#$}*').toString('latin1'), frame('}\x03}\x04}]}\x0a'));
});

test('noise between frames, and torsos of frames, are passed over', () => {
  assert.deepEqual(read('\r\nhello $g#67 \x00$OK#9a'), [packet('g'), packet('OK')]);
  assert.deepEqual(read('$abc$g#67'), [packet('g')]);
});

test('what is corrupt is told, and the next packet is taken', () => {
  assert.deepEqual(read('$g#68$g#67'), [{ kind: 'bad', problem: 'checksum' }, packet('g')]);
  assert.deepEqual(read('$g#zz$g#67'), [{ kind: 'bad', problem: 'checksum' }, packet('g')]);
  for (const body of ['*!', 'a*', 'a}', 'a*\x1f', 'a*\x7f', 'a*\xff']) {
    assert.deepEqual(
      read(`${frame(body)}$g#67`),
      [{ kind: 'bad', problem: 'encoding' }, packet('g')],
      JSON.stringify(body),
    );
  }
});

test('the largest packet passes; a larger one, or one that its runs make larger, does not', () => {
  const largest = '#'.repeat(PACKET_BYTES_MAX);
  assert.deepEqual(new PacketReader().push(encodePacket(largest)), [packet(largest)]);
  for (const body of [
    'x'.repeat(PACKET_BYTES_MAX + 1),
    `x${'*~'.repeat(PACKET_BYTES_MAX / 97 + 1)}`,
    'x'.repeat(1e6),
  ]) {
    assert.deepEqual(read(`${frame(body)}$g#67`), [{ kind: 'bad', problem: 'size' }, packet('g')]);
  }
});

test('any payload comes out as it went in, however the stream is cut', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const alphabet = random.pick(['0', '0}#$*', '\x00\x03\xff+-~', 'abc0123456789']);
    const payloads = Array.from({ length: 4 }, () => {
      let text = '';
      while (text.length < random.below(600)) {
        const any = String.fromCharCode(random.below(256));
        const char = random.below(3) === 0 ? any : random.pick([...alphabet]);
        text += char.repeat(1 + random.below(random.pick([2, 9, 140])));
      }
      return text;
    });
    const stream = Buffer.concat(payloads.map(encodePacket));
    const reader = new PacketReader();
    const found: Incoming[] = [];
    for (let at = 0; at < stream.length; ) {
      const size = 1 + random.below(random.pick([1, 10, 1000]));
      found.push(...reader.push(stream.subarray(at, at + size)));
      at += size;
    }
    assert.deepEqual(found, payloads.map(packet), `seed ${seed}`);
  }
});

test('frames hold no framing but their own, and runs make them short', () => {
  for (let length = 1; length < 400; length++) {
    const text = encodePacket('a'.repeat(length)).toString('latin1');
    assert.match(text, /^\$[^#$+-]*#[0-9a-f]{2}$/, `${length}`);
  }
  assert.ok(encodePacket('0'.repeat(10_000)).length < 330);
});

test('random bytes never break the reader', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    const reader = new PacketReader();
    const soup = Array.from({ length: 2000 }, () =>
      random.below(3) === 0 ? bytes('$#*}+-').at(random.below(6))! : random.below(256),
    );
    for (const item of reader.push(Uint8Array.from(soup))) {
      if (item.kind === 'packet') assert.ok(item.payload.length <= PACKET_BYTES_MAX);
    }
    // One clean frame end later it is in step again.
    reader.push(bytes('#00'));
    assert.deepEqual(reader.push(bytes('$g#67')).at(-1), packet('g'), `seed ${seed}`);
  }
});
