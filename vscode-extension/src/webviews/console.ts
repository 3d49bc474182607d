/** The console's page: lines that can be gone to; those that the guest has not sent yet are pale. */
import { PLAIN, paletteColor, renderLine, type Span, type Style } from '../ansi.ts';
import { count } from '../format.ts';
import { element, listen, send } from './host.ts';

interface Line {
  readonly position: number;
  text: string;
}
interface Text {
  readonly kind: 'text';
  readonly whole: boolean;
  readonly live: boolean;
  readonly lines: Line[];
  readonly shown: { readonly lines: number; readonly characters: number };
}
type Message =
  | Text
  | { kind: 'nothing' }
  | { kind: 'more'; runs: readonly { position: number; text: string }[] }
  | { kind: 'error'; text: string };

const list = element('div', { class: 'lines', role: 'listbox', 'aria-label': 'Console of the guest', tabindex: '0' });
const input = element('input', {
  type: 'text',
  placeholder: 'Type to the guest: Enter sends the line, Ctrl+C and Ctrl+D send themselves',
  'aria-label': 'Type to the guest',
  spellcheck: 'false',
  autocomplete: 'off',
});
const form = element('form', {}, input);
const problem = element('div', { class: 'error', role: 'alert' });
const nothing = element('p', { class: 'nothing' }, 'Start debugging to see the console of the guest.');

let text: Text | null = null;
let chosen = -1;
/** Lines as they were when the page was last laid out, to leave those alone that stay. */
let rows: { line: Line; row: HTMLElement; begin: Style; end: Style }[] = [];

function styled({ text: content, style }: Span): HTMLElement {
  const span = element('span', {}, content);
  const [color, background] = style.inverse
    ? [style.background ?? 'back', style.color ?? 'fore']
    : [style.color, style.background];
  paint(span, 'color', color);
  paint(span, 'background', background);
  for (const name of ['bold', 'dim', 'italic', 'underline'] as const) if (style[name]) span.classList.add(name);
  return span;
}

/** The first 16 colours are the theme's. */
function paint(span: HTMLElement, what: 'color' | 'background', color: Style['color']): void {
  if (color === null) return;
  if (typeof color === 'number' && color < 16) span.classList.add(`${what}-${color}`);
  else if (color === 'fore' || color === 'back') span.classList.add(`${what}-${color}`);
  else
    span.style.setProperty(
      what === 'color' ? 'color' : 'background-color',
      typeof color === 'number' ? paletteColor(color) : color,
    );
}

function fill(row: HTMLElement, line: Line, begin: Style, sent: number | null): Style {
  const { spans, style } = renderLine(line.text, begin);
  const body = element('span', { class: 'text' });
  if (sent === null || sent === 0) body.append(...spans.map(styled));
  else {
    const before = renderLine(line.text.slice(0, sent), begin).spans;
    const width = before.reduce((sum, span) => sum + span.text.length, 0);
    const rest = spans
      .map((span) => span.text)
      .join('')
      .slice(width);
    body.append(...before.map(styled), element('span', { class: 'unsent' }, rest));
  }
  row.replaceChildren(element('span', { class: 'position' }, count(line.position)), body);
  return style;
}

function lay({ lines, shown }: Text): void {
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
  const kept = rows.findIndex(({ line }, i) => line.text !== lines[i]?.text || line.position !== lines[i]?.position);
  const from = kept < 0 ? Math.min(rows.length, lines.length) : kept;
  for (const { row } of rows.splice(from)) row.remove();
  let style = rows.at(-1)?.end ?? PLAIN;
  for (const line of lines.slice(from)) {
    const row = element('div', { class: 'line', role: 'option', title: 'Go to this line' });
    const begin = style;
    style = fill(row, line, begin, null);
    rows.push({ line: { ...line }, row, begin, end: style });
    list.append(row);
  }
  rows.forEach(({ line, row, begin }, i) => {
    const current = i === shown.lines;
    const partly = current && shown.characters > 0;
    if (partly || row.classList.contains('partly')) fill(row, line, begin, partly ? shown.characters : null);
    row.classList.toggle('partly', partly);
    row.classList.toggle('now', current);
    row.classList.toggle('future', i > shown.lines || (current && !partly));
  });
  const now = rows[Math.min(shown.lines, rows.length - 1)]?.row;
  if (now && (!atEnd || shown.lines < rows.length)) now.scrollIntoView({ block: 'nearest' });
  if (shown.lines >= rows.length) list.scrollTop = list.scrollHeight;
}

/** What a live guest has sent since: it continues the last line, unless that had ended. */
function more(runs: readonly { position: number; text: string }[]): void {
  text ??= open({ kind: 'text', whole: true, live: true, lines: [], shown: { lines: 0, characters: 0 } });
  const lines = text.lines.map((line) => ({ ...line }));
  for (const run of runs) {
    const last = openLine && lines.at(-1);
    const content = run.text.replace(/\r*\n$/, '');
    if (last) last.text += content;
    else lines.push({ position: run.position, text: content });
    openLine = !run.text.endsWith('\n');
  }
  const dropped = Math.max(0, lines.length - LINES_MAX);
  text = { ...text, lines: lines.slice(dropped), shown: { lines: lines.length - dropped, characters: 0 } };
  lay(text);
}
let openLine = false;
function open(content: Text): Text {
  if (!list.isConnected) document.body.replaceChildren(list, problem, form);
  form.hidden = !content.live;
  return content;
}
const LINES_MAX = 5000;

function choose(index: number): void {
  rows[chosen]?.row.setAttribute('aria-selected', 'false');
  chosen = Math.max(0, Math.min(index, rows.length - 1));
  const row = rows[chosen]?.row;
  if (!row) return;
  row.setAttribute('aria-selected', 'true');
  row.scrollIntoView({ block: 'nearest' });
}

const go = (index: number) => {
  const line = rows[index]?.line;
  if (line) send({ command: 'go', position: line.position });
};

list.addEventListener('click', (event) => {
  // Whoever selects text to copy it does not want to go anywhere.
  if (window.getSelection()?.toString()) return;
  const row = (event.target as Element).closest('.line');
  const index = rows.findIndex((one) => one.row === row);
  if (index < 0) return;
  choose(index);
  go(index);
});
list.addEventListener('keydown', (event) => {
  const moves: Readonly<Record<string, number>> = {
    ArrowUp: chosen - 1,
    ArrowDown: chosen + 1,
    Home: 0,
    End: rows.length - 1,
    PageUp: chosen - 20,
    PageDown: chosen + 20,
  };
  if (event.key === 'Enter') go(chosen);
  else if (event.key in moves) choose(chosen < 0 ? (text?.shown.lines ?? 0) : moves[event.key]);
  else return;
  event.preventDefault();
});
form.addEventListener('submit', (event) => {
  event.preventDefault();
  send({ command: 'type', text: `${input.value}\n` });
  input.value = '';
});
input.addEventListener('keydown', (event) => {
  if (!event.ctrlKey || input.selectionStart !== input.selectionEnd) return;
  const typed = { c: '\x03', d: '\x04' }[event.key];
  if (typed === undefined) return;
  event.preventDefault();
  send({ command: 'type', text: typed });
});

document.body.replaceChildren(nothing);
listen<Message>((message) => {
  if (message.kind === 'error') {
    problem.textContent = message.text;
    return;
  }
  problem.textContent = '';
  if (message.kind === 'nothing') {
    text = null;
    rows = [];
    list.replaceChildren();
    document.body.replaceChildren(nothing);
    return;
  }
  if (message.kind === 'more') return more(message.runs);
  text = open(message);
  openLine = message.shown.characters > 0;
  lay(message);
});
