/** A console script has a line an exchange: `login: => root\n`. Empty lines and those that begin with # are passed over. */
import { UserError } from '../base/assert.ts';
import type { ScriptLine } from '../recorder/session.ts';
import { readUserFile } from './user-file.ts';

const SCRIPT_BYTES_MAX = 16 * 2 ** 20;
const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

export function readScript(path: string): ScriptLine[] {
  const lines = new TextDecoder().decode(readUserFile('--script', path, SCRIPT_BYTES_MAX)).split(/\r?\n/);
  const script: ScriptLine[] = [];
  lines.forEach((line, i) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const where = `--script ${path}: line ${i + 1}`;
    const at = line.indexOf('=>');
    if (at < 0) throw new UserError(`${where}: 'expected text => answer' is needed, such as: login: => root\\n`);
    const expect = plain(line.slice(0, at).trim(), where);
    if (expect === '') throw new UserError(`${where}: a text to wait for is needed before =>`);
    script.push({ expect, send: plain(line.slice(at + 2).trim(), where) });
  });
  if (script.length === 0) throw new UserError(`--script ${path}: has no line 'expected text => answer'`);
  return script;
}

function plain(text: string, where: string): string {
  return text.replace(/\\(.?)/g, (whole, c: string) => {
    const meant = ESCAPES[c];
    if (meant === undefined) throw new UserError(`${where}: ${whole} is not known; \\n, \\r, \\t and \\\\ are`);
    return meant;
  });
}
