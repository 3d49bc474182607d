/** How a command line is read: every way to give a value, and every refusal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command, commandHelp, parse } from '../../src/cli/command-line.ts';

const OPTIONS = {
  output: { type: 'text', alias: 'o', value: 'FILE', describe: 'where to' },
  lines: { type: 'text', value: 'N', default: '10', describe: 'how many' },
  disk: { type: 'list', value: 'FILE', describe: 'disks' },
  clock: { type: 'choice', choices: ['virtual', 'host'], default: 'virtual', describe: 'whose time', group: 'Time' },
  json: { type: 'flag', describe: 'as JSON' },
} as const;
const sample = command('<a> [b]', OPTIONS, () => {});
const read = (...words: string[]) => parse('sample', sample, words);
const NOTHING = { output: undefined, lines: '10', disk: [], clock: 'virtual', json: false, a: 'x', b: undefined };

test('values are given in every usual way', () => {
  assert.deepEqual(read('x'), NOTHING);
  assert.deepEqual(read('x', 'y'), { ...NOTHING, b: 'y' });
  for (const words of [['-o', 'f'], ['-of'], ['-o=f'], ['--output', 'f'], ['--output=f']]) {
    assert.deepEqual(read(...words, 'x'), { ...NOTHING, output: 'f' }, words.join(' '));
  }
  assert.deepEqual(read('x', '--output='), { ...NOTHING, output: '' });
  assert.deepEqual(read('x', '--output', ''), { ...NOTHING, output: '' });
  assert.deepEqual(read('x', '--output=a=b\nc'), { ...NOTHING, output: 'a=b\nc' });
  assert.deepEqual(read('x', '--lines', '-1'), { ...NOTHING, lines: '-1' });
  assert.deepEqual(read('--disk', 'p', 'x', '--disk=q'), { ...NOTHING, disk: ['p', 'q'] });
  assert.deepEqual(read('--json', '--clock', 'host', 'x'), { ...NOTHING, json: true, clock: 'host' });
  assert.deepEqual(read('--', '--json'), { ...NOTHING, a: '--json' });
  assert.deepEqual(read('-'), { ...NOTHING, a: '-' });
});

test('what cannot be meant is refused', () => {
  for (const [words, message] of [
    [[], /^sample: <a> is missing; chronovisor sample --help tells more$/],
    [['x', 'y', 'z'], /^sample: 'z' is one argument too many; /],
    [['x', '--nonsense=1'], /^unknown option --nonsense; /],
    [['x', '-q'], /^unknown option -q; /],
    [['x', '--output'], /^--output needs a value; /],
    [['x', '-o'], /^-o needs a value; /],
    [['x', '--output', '--json'], /^--output needs a value; /],
    [['x', '-o', 'f', '--output=g'], /^--output is given 2 times$/],
    [['x', '--json=yes'], /^--json takes no value; /],
    [['x', '--clock', 'wall'], /^--clock wall: one of "virtual", "host" is needed; /],
    [['x', '--toString'], /^unknown option --toString; /],
  ] as const) {
    assert.throws(() => read(...words), { name: 'UserError', message }, words.join(' '));
  }
});

test('the help names everything, and keeps to the width', () => {
  const text = commandHelp('sample', 'shows a thing', sample, 40);
  assert.match(text, /^chronovisor sample <a> \[b\]\n\nshows a thing\n\nOptions:\n {2}-o, --output FILE {2}where to\n/);
  assert.match(text, /--lines N +how many\n? +\[10\]/);
  assert.match(text, /Time:\n +--clock virtual\|host/);
});
