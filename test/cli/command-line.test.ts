/** How a command line is read: every way to give a value, and every refusal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../src/base/assert.ts';
import { Random } from '../../src/base/random.ts';
import { command } from '../../src/cli/command-line.ts';
import { commandHelp, generalHelp, parse } from '../../src/cli/command-reader.ts';

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
  for (const words of [['-o', 'f'], ['-o=f'], ['--output', 'f'], ['--output=f']]) {
    assert.deepEqual(read(...words, 'x'), { ...NOTHING, output: 'f' }, words.join(' '));
  }
  assert.deepEqual(read('x', '--output='), { ...NOTHING, output: '' });
  assert.deepEqual(read('x', '--output', ''), { ...NOTHING, output: '' });
  assert.deepEqual(read('x', '--output=a=b\nc'), { ...NOTHING, output: 'a=b\nc' });
  assert.deepEqual(read('x', '--lines', '-1'), { ...NOTHING, lines: '-1' });
  assert.deepEqual(read('--disk', 'p', 'x', '--disk=q'), { ...NOTHING, disk: ['p', 'q'] });
  assert.deepEqual(read('x', '--disk='), { ...NOTHING, disk: [''] });
  assert.deepEqual(read('x', '--disk', '', '--disk=', '--disk', 'p'), { ...NOTHING, disk: ['', '', 'p'] });
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
    [['x', '-of'], /^unknown option -of; /],
    [['x', '-_', '--$0=y'], /^unknown option -_; /],
    [['x', '--$0=y'], /^unknown option --\$0; /],
    [['x', '--a=y'], /^unknown option --a; /],
  ] as const) {
    assert.throws(() => read(...words), { name: 'UserError', message }, words.join(' '));
  }
});

test('whatever is typed is read as declared, or refused', () => {
  const seed = 61;
  const random = new Random(seed);
  const pick = (from: readonly string[]) => from[random.below(from.length)];
  const pieces = ['-', '--', '=', 'output', 'o', 'json', 'disk', 'a', 'clock', '_', '$0', '__proto__', 'constructor'];
  const piece = () => pick([...pieces, 'host', ' ', '', '.', '1', '\n', "'", '[]', 'no-', 'x']);
  let taken = 0;
  for (let round = 0; round < 1500; round++) {
    const words = Array.from({ length: random.below(5) }, () =>
      Array.from({ length: 1 + random.below(3) }, piece).join(''),
    );
    const where = `seed ${seed}, round ${round}: ${JSON.stringify(words)}`;
    let values: Record<string, unknown>;
    try {
      values = read(...words);
    } catch (error) {
      assert.ok(error instanceof UserError, `${where}: ${error}`);
      continue;
    }
    taken++;
    assert.deepEqual(Object.keys(values).sort(), [...Object.keys(OPTIONS), 'a', 'b'].sort(), where);
    const { output, lines, disk, clock, json, a, b } = values;
    for (const text of [lines, a, output ?? '', b ?? '']) assert.equal(typeof text, 'string', where);
    assert.ok(Array.isArray(disk) && disk.every((path) => typeof path === 'string'), where);
    assert.ok((clock === 'virtual' || clock === 'host') && typeof json === 'boolean', where);
    // No value is made up or changed: each was typed, alone or behind its option's name.
    for (const text of [output, a, b, ...(disk as string[])]) {
      assert.ok(text === undefined || words.some((word) => word === text || word.endsWith(`=${text}`)), where);
    }
  }
  assert.ok(taken > 100, `seed ${seed}: only ${taken} were taken`);
});

test('the help names everything, and keeps to the width', async () => {
  const width = 70;
  const text = await commandHelp('sample', 'shows a thing', sample, width);
  assert.match(text, /^chronovisor sample <a> \[b\]\n\nshows a thing\n\nOptions:\n {2}-o, --output FILE {2}where to\n/);
  assert.match(text, /--lines N +how many +\[default: "10"\]/);
  assert.match(text, /--disk FILE +disks \(may be repeated\)/);
  assert.match(text, /Time:\n +--clock WORD +whose time\n? +\[choices: "virtual", "host"\] \[default: "virtual"\]/);
  const general = await generalHelp(
    { sample: { describe: 'shows a thing' }, other: { describe: 'more '.repeat(20) } },
    width,
  );
  assert.match(general, /chronovisor sample +shows a thing\n/);
  for (const line of [...text.split('\n'), ...general.split('\n')].filter((line) => !line.includes('COMMAND')))
    assert.ok(line.length <= width, line);
});
