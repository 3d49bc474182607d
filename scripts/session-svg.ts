/**
 * Runs the demo and draws what it printed as a terminal window: the picture in the README. The trace gets a short name; every other character
 * is the program's own.
 *
 *     npm run build && node dist/scripts/session-svg.js > docs/session.svg
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const COLUMNS = 128;
const WIDTH = { character: 7.23, line: 16, margin: 16 };

const folder = mkdtempSync(join(tmpdir(), 'chronovisor-'));
const trace = join(folder, 'demo.trace');
const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'demo', '-o', trace], { encoding: 'utf8' });
rmSync(folder, { recursive: true });
if (status !== 0) throw new Error(`the demo failed: ${stderr}`);

const lines = ['$ npm run demo', ...stdout.replaceAll(trace, 'demo.trace').trimEnd().split('\n')];
process.stdout.write(picture(lines.map((line) => expanded(line.replace(/\r$/, '')).slice(0, COLUMNS))));

function picture(text: readonly string[]): string {
  const width = Math.ceil(COLUMNS * WIDTH.character + 2 * WIDTH.margin);
  const height = text.length * WIDTH.line + 2 * WIDTH.margin;
  const rows = text.map((line, i) => {
    const y = WIDTH.margin + (i + 0.75) * WIDTH.line;
    return `<text x="${WIDTH.margin}" y="${y}"${colour(line)}>${escaped(line)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    '<title>A session of npm run demo</title>',
    `<rect width="${width}" height="${height}" rx="8" fill="#1b1d23"/>`,
    '<g fill="#d5d8de" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="12" xml:space="preserve">',
    ...rows,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

function colour(line: string): string {
  if (line.startsWith('$')) return ' fill="#8fd18f"';
  if (/PANIC|panic:/.test(line)) return ' fill="#f28b82"';
  return /^ +#\d/.test(line) ? ' fill="#fdd663"' : '';
}

/** Tabs go to the next multiple of eight columns. */
function expanded(line: string): string {
  return line.replace(/([^\t]*)\t/g, (_, text: string) => text.padEnd(Math.ceil((text.length + 1) / 8) * 8));
}

function escaped(line: string): string {
  return line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
