/** A line of a guest's console as a terminal shows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { PLAIN, paletteColor, renderLine, type Style } from '../../vscode-extension/src/ansi.ts';

const ESC = '\x1b';
const shown = (text: string) =>
  renderLine(text)
    .spans.map((span) => span.text)
    .join('');
/** Texts with what is not plain about them. */
const styled = (text: string, begin?: Style) =>
  renderLine(text, begin).spans.map(({ text: part, style }) => [
    part,
    Object.fromEntries(Object.entries(style).filter(([name, value]) => value !== PLAIN[name as keyof Style])),
  ]);

test('colours and renditions', () => {
  assert.deepEqual(styled('plain'), [['plain', {}]]);
  assert.deepEqual(styled(`a${ESC}[31mred${ESC}[0mb`), [
    ['a', {}],
    ['red', { color: 1 }],
    ['b', {}],
  ]);
  assert.deepEqual(styled(`${ESC}[1;92;44mx${ESC}[22;39;49my`), [
    ['x', { bold: true, color: 10, background: 4 }],
    ['y', {}],
  ]);
  assert.deepEqual(styled(`${ESC}[3;4;7mx${ESC}[23;24;27my`), [
    ['x', { italic: true, underline: true, inverse: true }],
    ['y', {}],
  ]);
  assert.deepEqual(styled(`${ESC}[31mx${ESC}[my`)[1], ['y', {}]);
  assert.deepEqual(styled(`${ESC}[100;2mx`), [['x', { background: 8, dim: true }]]);
});

test('colours of the palette of 256, and of 24 bits', () => {
  assert.deepEqual(styled(`${ESC}[38;5;196;1mx`), [['x', { color: 196, bold: true }]]);
  assert.deepEqual(styled(`${ESC}[48;2;1;2;255;4mx`), [['x', { background: '#0102ff', underline: true }]]);
  assert.deepEqual(styled(`${ESC}[38:5:20mx`), [['x', { color: 20 }]]);
  // What is out of range changes nothing, and takes nothing else with it.
  assert.deepEqual(styled(`${ESC}[38;5;999;1mx`), [['x', { bold: true }]]);
  assert.deepEqual(styled(`${ESC}[38;2;1;2mx`), [['x', {}]]);
  // xterm's own table.
  assert.equal(paletteColor(16), 'rgb(0, 0, 0)');
  assert.equal(paletteColor(196), 'rgb(255, 0, 0)');
  assert.equal(paletteColor(110), 'rgb(135, 175, 215)');
  assert.equal(paletteColor(231), 'rgb(255, 255, 255)');
  assert.equal(paletteColor(232), 'rgb(8, 8, 8)');
  assert.equal(paletteColor(255), 'rgb(238, 238, 238)');
});

test('a style goes on in the next line', () => {
  const { style } = renderLine(`${ESC}[33mfirst`);
  assert.deepEqual(styled('second', style), [['second', { color: 3 }]]);
});

test('the cursor moves within the line', () => {
  assert.equal(shown('50 %\r100 %'), '100 %');
  assert.equal(shown('abc\b\bX'), 'aXc');
  assert.equal(shown(`abcdef\r${ESC}[3CX`), 'abcXef');
  assert.equal(shown(`abc${ESC}[2DX`), 'aXc');
  assert.equal(shown(`abc${ESC}[1GX`), 'Xbc');
  assert.equal(shown(`abcdef\r${ESC}[2C${ESC}[K`), 'ab');
  assert.equal(shown(`abc${ESC}[2Kd`), '   d');
  assert.equal(shown(`abcdef\r${ESC}[2P`), 'cdef');
  assert.equal(shown(`ab\b${ESC}[1KX`), ' X');
  assert.equal(shown('a\tb'), 'a       b');
  assert.equal(shown(`${ESC}[5Cx`), '     x');
});

test('what has no meaning within a line is left out', () => {
  assert.equal(shown(`${ESC}[2J${ESC}[H${ESC}[6nx`), 'x');
  assert.equal(shown(`${ESC}]0;title\x07x`), 'x');
  assert.equal(shown(`${ESC}]0;title${ESC}\\x`), 'x');
  assert.equal(shown(`${ESC}(Bx${ESC}7y${ESC}c`), 'xy');
  assert.equal(shown('a\x00\x07\x7fb'), 'ab');
  assert.equal(shown(`x${ESC}`), 'x');
  assert.equal(shown('grüße 🐧'), 'grüße 🐧');
});

test('garbage is neither fatal nor long', () => {
  const seed = Number(process.env.CHRONOVISOR_SEED ?? 11);
  console.log(`seed ${seed}`);
  const random = new Random(seed);
  const pieces = [ESC, '[', ';', '9', '99999999999', 'm', 'K', 'C', 'D', 'P', 'G', 'x', '\r', '\b', '\t', ']', '🐧'];
  for (let round = 0; round < 3000; round++) {
    const text = Array.from({ length: random.below(40) }, () => random.pick(pieces)).join('');
    const { spans } = renderLine(text);
    const length = spans.reduce((sum, span) => sum + [...span.text].length, 0);
    assert.ok(length <= 4096, JSON.stringify(text));
    assert.ok(!spans.some((span) => /[\p{Cc}]/u.test(span.text)), JSON.stringify(text));
  }
});
