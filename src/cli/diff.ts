/** `chronovisor diff`: the first position at which two recordings differ. */
import { diff } from '../replay/diff.ts';
import { command } from './command-line.ts';
import { count, table } from './format.ts';
import { openTrace } from './trace-argument.ts';

export const diffCommand = command(
  '<a> <b>',
  { json: { type: 'flag', describe: 'print the result as JSON' } },
  ({ a, b, json }) => {
    const [first, second] = [a, b].map((path) => openTrace(path));
    const result = diff(first, second);
    if (json) console.log(JSON.stringify(result));
    else console.log(describe(a, b, result, [first.replayableTo, second.replayableTo]));
    if (result.position !== null || first.replayableTo !== second.replayableTo) process.exitCode = 1;
  },
);

function describe(a: string, b: string, result: ReturnType<typeof diff>, ends: number[]): string {
  const { position, common, details } = result;
  if (position === null) {
    if (ends[0] === ends[1]) return `equal to the end, position ${count(common)}`;
    const [short, long] = ends[0] < ends[1] ? [a, b] : [b, a];
    return `equal to position ${count(common)}, where ${short} ends; ${long} goes on to ${count(Math.max(...ends))}`;
  }
  const rows = details.map(({ name, a: va, b: vb }) => [name, va, vb]);
  const look = `look closer with: chronovisor state ${a} --at ${position - 1}`;
  return `first difference at position ${position}\n${table([['what', a, b], ...rows])}\n${position > 0 ? look : ''}`.trimEnd();
}
