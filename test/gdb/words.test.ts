/** The words of monitor commands are those that a shell would make of them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { splitWords } from '../../src/gdb/words.ts';

const SEED = 91;
/** Printed between lines, and no word of any. */
const END = '\u0001';

/** What a shell makes of each line; null for one that it refuses. */
function shellWords(lines: readonly string[]): (string[] | null)[] {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  // A line that is not closed must not swallow those after it.
  const script = lines.map(
    (line) => `sh -c ${quoted(`printf '%s\\0' . ${line}`)} 2>/dev/null || printf 'refused\\0'; printf '${END}'`,
  );
  const { stdout, status } = spawnSync('sh', ['-c', script.join('\n')], { encoding: 'utf8' });
  assert.equal(status, 0);
  const parts = stdout.split(END).slice(0, -1);
  assert.equal(parts.length, lines.length);
  return parts.map((part) => {
    const [first, ...words] = part.split('\0').slice(0, -1);
    return first === '.' ? words : null;
  });
}

function words(line: string): string[] | null {
  try {
    return splitWords(line);
  } catch (error) {
    assert.match((error as Error).message, /is not closed/, line);
    return null;
  }
}

test(`words are split as a shell does (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const pieces = ['a', 'b0', ' ', '  ', '\t', "'", "'", '"', '"', '\\', '==', '-', '%', ',', 'ü'];
  const lines = Array.from({ length: 400 }, () => {
    const line = Array.from({ length: random.below(14) }, () => random.pick(pieces)).join('');
    // What a backslash at the end means depends on what would have come next.
    return line.endsWith('\\') ? `${line}a` : line;
  });
  const expected = shellWords(lines);
  lines.forEach((line, i) => {
    assert.deepEqual(words(line), expected[i], JSON.stringify(line));
  });
  const refused = expected.filter((each) => each === null).length;
  assert.ok(refused > 50 && refused < 350, `${refused} refused`);
});

test('what is not closed is told', () => {
  assert.throws(() => splitWords(`query console 'a b`), /text after ' at character 15 is not closed/);
  assert.throws(() => splitWords('bookmark x it"s'), /text after " at character 14 is not closed/);
  assert.throws(() => splitWords('console \\'), /character is needed after the last \\/);
  assert.deepEqual(splitWords(`hits 0x80 --if "a0 == 1 && \\"b" '' \\ c`), [
    'hits',
    '0x80',
    '--if',
    'a0 == 1 && "b',
    '',
    ' c',
  ]);
});
