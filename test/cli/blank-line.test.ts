import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlankLine } from '../../src/cli/blank-line.ts';

const ROWS = 5;

/** Whether the cursor is on an empty line after this text; the text may come in any pieces. */
function blank(text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  const [whole, pieces] = [new BlankLine(() => ROWS), new BlankLine(() => ROWS)];
  whole.add(bytes);
  for (const byte of bytes) pieces.add(Uint8Array.of(byte));
  assert.equal(pieces.blank, whole.blank);
  return whole.blank;
}

test('a line is blank after a line feed, and only then', () => {
  assert.equal(blank(''), true);
  assert.equal(blank('hello\r\n'), true);
  assert.equal(blank('hello\n\r'), true);
  assert.equal(blank('hello'), false);
  // A progress bar's text is still there when the cursor has gone back to its beginning.
  assert.equal(blank('50 %\r'), false);
  assert.equal(blank('a\nb\bc'), false);
});

test('control sequences do not count as text, and are never broken up', () => {
  assert.equal(blank('red\n\x1b[0m'), true);
  assert.equal(blank('\x1b[1;31mred\x1b[0m\n'), true);
  assert.equal(blank('\n\x1b'), false);
  assert.equal(blank('\n\x1b[3'), false);
  assert.equal(blank('\n\x1b]0;title'), false);
  assert.equal(blank('\n\x1b]0;title\x07'), true);
  assert.equal(blank('\n\x1b]0;title\x1b\\'), true);
  assert.equal(blank('\n\x1b(B'), true);
  assert.equal(blank('# \x1b[6n'), false);
});

test('after the cursor was moved about, a screenful must pass', () => {
  for (const move of ['\x1b[A', '\x1b[2;3H', '\x1b[?1049h\x1b[H', '\x1b7', '\x1bM', '\x1bc']) {
    assert.equal(blank(`text\n${move}\n`), false, JSON.stringify(move));
    assert.equal(blank(`text\n${move}${'\n'.repeat(ROWS - 1)}`), false);
    assert.equal(blank(`text\n${move}${'\n'.repeat(ROWS)}`), true);
  }
});
