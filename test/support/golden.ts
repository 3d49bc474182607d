/** Texts that are kept beside the tests: what differs is shown as a diff, and `npm run accept` takes what came out for what is expected. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const ACCEPT = process.env.CHRONOVISOR_ACCEPT === '1';
/** Lines around a change. */
const CONTEXT = 3;

export function assertGolden(path: string, found: string): void {
  const expected = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (found === expected) return;
  if (ACCEPT) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, found);
    return;
  }
  assert.fail(`${path} expects something else (npm run accept, if what is found is right):\n${diff(expected, found)}`);
}

/** The lines that differ, those that are gone with `-` and those that came with `+`, and some around them. */
export function diff(before: string, after: string): string {
  const [a, b] = [before.split('\n'), after.split('\n')];
  // Lengths of the longest common subsequences of the ends.
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const lines: string[] = [];
  for (let [i, j] = [0, 0]; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(`  ${a[i++]}`);
      j++;
    } else if (j === b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) lines.push(`- ${a[i++]}`);
    else lines.push(`+ ${b[j++]}`);
  }
  const near = (n: number) => lines.slice(Math.max(0, n - CONTEXT), n + CONTEXT + 1).some((line) => line[0] !== ' ');
  const shown = lines.map((line, n) => (near(n) ? line : null));
  return shown
    .flatMap((line, n) => (line !== null ? [line] : n === 0 || shown[n - 1] !== null ? ['  ...'] : []))
    .join('\n');
}
