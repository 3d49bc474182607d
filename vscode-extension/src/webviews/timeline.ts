/** The timeline's page: lanes on a canvas, a bar of buttons above, a tip beside the pointer. */
import { count, seconds } from '../format.ts';
import type { Standing } from '../messages.ts';
import { along, covers, following, panned, type Range, zoomed } from '../scale.ts';
import { element, listen, remember, remembered, send } from './host.ts';
import { draw, type Hit, hitAt, layout, type Mark, type Scene, type TimelineData } from './lanes.ts';

type Axis = 'position' | 'time';

interface State {
  axis: Axis;
  range: Range | null;
}
const state: State = remembered<State>({ axis: 'position', range: null });
let standing: Standing | null = null;
let data: TimelineData | null = null;
/** Where the pointer is, or the keyboard has chosen. */
let pointed: Hit | null = null;
let asked = 0;

const canvas = element('canvas', { tabindex: '0', role: 'application', 'aria-label': 'Timeline of the recording' });
const tip = element('div', { class: 'tip', role: 'tooltip', hidden: '' });
const spoken = element('div', { class: 'spoken', 'aria-live': 'polite' });
const place = element('span', { class: 'place' });
const axisButtons = (['position', 'time'] as const).map((axis) => {
  const made = element('button', { type: 'button', class: 'plain' }, axis === 'position' ? 'Position' : 'Guest time');
  made.addEventListener('click', () => setAxis(axis));
  return [axis, made] as const;
});
const bar = element(
  'div',
  { class: 'bar', role: 'toolbar' },
  element('span', { class: 'choice', role: 'group', 'aria-label': 'Axis' }, ...axisButtons.map(([, made]) => made)),
  button('−', 'Zoom out (-)', () => zoom(2)),
  button('+', 'Zoom in (+)', () => zoom(0.5)),
  button('All', 'Show the whole recording (0)', () => show(bounds())),
  button('Now', 'Show where the machine stands (.)', () => showNow()),
  element('span', { class: 'legend' }, ...legend()),
  place,
);
const nothing = element('p', { class: 'nothing' }, 'Start debugging to see the timeline of the recording.');
const stage = element('div', { class: 'stage' }, canvas);

function legend(): HTMLElement[] {
  const kinds = [
    ['interrupt', 'interrupts'],
    ['trap', 'traps'],
    ['sbi', 'firmware calls'],
    ['timer', 'timer reads'],
  ];
  return kinds.map(([kind, text]) => element('span', { class: `key ${kind}` }, text));
}

function button(text: string, title: string, action: () => void): HTMLButtonElement {
  const made = element('button', { type: 'button', class: 'plain', title, 'aria-label': title }, text);
  made.addEventListener('click', action);
  return made;
}

const bounds = (): Range => ({
  from: 0,
  to: Math.max(1, state.axis === 'time' ? endNs() : (standing?.end ?? 1)) + 1,
});
const endNs = () => data?.endNs ?? standing?.timeNs ?? 1;
const now = () => (state.axis === 'time' ? (standing?.timeNs ?? 0) : (standing?.position ?? 0));
const range = (): Range => state.range ?? bounds();
/** Position of a value of the axis. */
const positionOf = (value: number) =>
  state.axis === 'position'
    ? Math.round(value)
    : Math.round(
        along(
          (data?.clock ?? []).map(([p, t]) => [t, p]),
          value,
        ),
      );
const axisOf = (position: number) => (state.axis === 'position' ? position : along(data?.clock ?? [], position));

function setAxis(axis: Axis): void {
  if (axis === state.axis) return;
  const { from, to } = range();
  const [first, last] = [positionOf(from), positionOf(to)];
  const whole = state.range === null;
  const time = (position: number) => along(data?.clock ?? [], position);
  state.axis = axis;
  state.range =
    whole || !data
      ? null
      : axis === 'time'
        ? { from: Math.floor(time(first)), to: Math.ceil(time(last)) }
        : { from: first, to: last };
  data = null;
  // An answer on its way is about the other axis.
  asked++;
  show(state.range ?? bounds());
}

function show(wanted: Range): void {
  const all = bounds();
  const shown = wanted.from <= all.from && wanted.to >= all.to ? null : wanted;
  if (shown?.from !== state.range?.from || shown?.to !== state.range?.to) early = null;
  state.range = shown;
  remember(state);
  for (const [axis, made] of axisButtons) made.setAttribute('aria-pressed', String(axis === state.axis));
  ask();
  redraw();
}

const zoom = (factor: number, at = pointed?.value ?? now()) => show(zoomed(range(), factor, at, bounds()));
const pan = (share: number) => show(panned(range(), (range().to - range().from) * share, bounds()));
function showNow(): void {
  const { from, to } = range();
  const span = Math.min(to - from, (bounds().to - bounds().from) / 20);
  show(following({ from: -span, to: 0 }, now() || 1, bounds()));
}

let waiting: ReturnType<typeof setTimeout> | null = null;
const ASK_MS = 50;
/** One question at a time, and the last one always. */
function ask(): void {
  if (waiting !== null || !standing) return;
  waiting = setTimeout(() => {
    waiting = null;
    const width = Math.max(50, Math.floor(canvas.clientWidth / 2));
    const { from, to } = range();
    // A live machine's newest steps are not in the trace before it stands.
    const known = (state.axis === 'time' ? data?.endNs : data?.end) ?? Number.POSITIVE_INFINITY;
    if (from > known) return;
    const last = state.range === null ? {} : { to: Math.min(Math.floor(to), known + 1) };
    send({
      command: 'range',
      id: ++asked,
      axis: state.axis,
      from: Math.floor(from),
      ...last,
      buckets: width,
      itemsMax: 250,
    });
  }, ASK_MS);
}

const mark = (kind: Mark['kind'], position: number, text: string): Mark => {
  return { kind, position, value: axisOf(position), text };
};

function scene(): Scene | null {
  if (!standing || !data) return null;
  const { clock } = data;
  const all = [
    ...standing.bookmarks.map(({ name, position }) => mark('bookmark', position, `bookmark ${name}`)),
    ...standing.hits.map(({ position, text }) => mark('hit', position, `stopped: ${text}`)),
    ...standing.moments.map(({ position, text }) => mark('moment', position, text)),
  ];
  // Of what lies outside of the range the guest time is not known.
  const marks = state.axis === 'position' ? all : all.filter(({ position }) => covers(clock, position));
  return {
    axis: state.axis,
    range: range(),
    now: now(),
    live: standing.live && standing.position === standing.end,
    data,
    marks,
  };
}

let drawing = false;
function redraw(): void {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const what = scene();
    if (!what) return;
    const rows = layout(what);
    const ratio = window.devicePixelRatio;
    const [width, height] = [stage.clientWidth, Math.max(stage.clientHeight, rows.height)];
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    draw(canvas, what, rows, pointed, ratio);
    place.textContent = `${count(standing!.position)} · ${seconds(standing!.timeNs)}`;
  });
}

function point(hit: Hit | null, at?: { x: number; y: number }): void {
  pointed = hit;
  redraw();
  if (!hit) {
    tip.hidden = true;
    return;
  }
  const { lane, text, position, timeNs } = hit;
  const where = `${count(position)} · ${seconds(timeNs)}`;
  tip.replaceChildren(
    element('div', { class: 'where' }, where),
    ...(text === null ? [] : [element('div', {}, lane === '' ? text : `${lane}: ${text}`)]),
  );
  tip.hidden = false;
  const { x, y } = at ?? { x: hit.x, y: hit.y };
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  tip.style.left = `${Math.max(0, Math.min(x + 14, document.body.clientWidth - width - 4))}px`;
  tip.style.top = `${y + height + 20 > document.body.clientHeight ? Math.max(0, y - height - 10) : y + 16}px`;
  if (!at) spoken.textContent = `${lane} ${text ?? ''}, position ${count(position)}`;
}

/** What is there; null while that is not known: the answer about a range that is shown comes a little later. */
function find(event: MouseEvent): Hit | null {
  const what = scene();
  if (!what) return null;
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const hit = hitAt(what, layout(what), canvas.clientWidth, x, y, positionOf);
  const { from, to } = what.data;
  return state.axis === 'position' || (hit.value >= from && hit.value <= to) ? hit : null;
}

const go = (hit: Hit) => send({ command: 'go', position: Math.max(0, Math.min(hit.position, standing?.end ?? 0)) });

/** A click on what was not known yet: it counts when the answer comes, unless something else is shown or pressed before. */
let early: MouseEvent | null = null;
function click(event: MouseEvent): boolean {
  const hit = find(event);
  if (hit) go(hit);
  return hit !== null;
}

let drag: { x: number; range: Range; moved: boolean } | null = null;
const DRAG_PIXELS = 4;

canvas.addEventListener('pointerdown', (event) => {
  if (event.button !== 0) return;
  drag = { x: event.clientX, range: range(), moved: false };
  early = null;
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', (event) => {
  if (drag && (drag.moved || Math.abs(event.clientX - drag.x) > DRAG_PIXELS)) {
    drag.moved = true;
    const { from, to } = drag.range;
    show(panned(drag.range, ((drag.x - event.clientX) / canvas.clientWidth) * (to - from), bounds()));
    return point(null);
  }
  point(find(event), { x: event.clientX, y: event.clientY });
});
canvas.addEventListener('pointerup', (event) => {
  const clicked = drag && !drag.moved;
  drag = null;
  if (clicked && !click(event)) early = event;
});
canvas.addEventListener('pointerleave', () => point(null));
canvas.addEventListener(
  'wheel',
  (event) => {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    // Many lanes are scrolled as any other page, unless a modifier says zoom.
    const scrolls = canvas.offsetHeight > stage.clientHeight + 1;
    if (!sideways && scrolls && !event.ctrlKey && !event.altKey) return;
    event.preventDefault();
    if (sideways) pan((event.deltaX || event.deltaY) / 1000);
    else zoom(1.0015 ** event.deltaY, find(event)?.value ?? now());
  },
  { passive: false },
);

/** The next event of the chosen lane, or of any, beyond what is chosen. */
function step(direction: 1 | -1): void {
  const what = scene();
  if (!what) return;
  const lane = pointed && pointed.row >= 0 ? pointed.row : null;
  const from = pointed?.value ?? what.now;
  const found = layout(what)
    .hits(what, canvas.clientWidth)
    .filter(
      ({ row, value }) =>
        (lane === null || row === lane) &&
        (value - from) * direction > 0 &&
        value >= what.range.from &&
        value <= what.range.to,
    )
    .sort((a, b) => (a.value - b.value) * direction);
  if (found.length > 0) point(found[0]);
  else pan(direction * 0.5);
}

function chooseLane(direction: 1 | -1): void {
  const what = scene();
  if (!what) return;
  const all = layout(what).hits(what, canvas.clientWidth);
  const rows = [...new Set(all.map(({ row }) => row))].sort((a, b) => a - b);
  const at = pointed ? rows.indexOf(pointed.row) : -1;
  const row = rows[(at + direction + rows.length) % rows.length];
  const near = pointed?.value ?? what.now;
  const best = all
    .filter((hit) => hit.row === row)
    .sort((a, b) => Math.abs(a.value - near) - Math.abs(b.value - near))[0];
  if (best) point(best);
}

const KEYS: Readonly<Record<string, () => void>> = {
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  ArrowUp: () => chooseLane(-1),
  ArrowDown: () => chooseLane(1),
  PageUp: () => pan(-0.8),
  PageDown: () => pan(0.8),
  Home: () => show(panned(range(), -Number.MAX_SAFE_INTEGER, bounds())),
  End: () => show(panned(range(), Number.MAX_SAFE_INTEGER, bounds())),
  '+': () => zoom(0.5),
  '=': () => zoom(0.5),
  '-': () => zoom(2),
  '0': () => show(bounds()),
  '.': () => showNow(),
  Escape: () => point(null),
  Enter: () => pointed && go(pointed),
  ' ': () => pointed && go(pointed),
};
canvas.addEventListener('keydown', (event) => {
  const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

new ResizeObserver(() => {
  ask();
  redraw();
}).observe(stage);
// A theme changes classes and variables.
new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ['class'] });
new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });

type Message =
  | Standing
  | { kind: 'nothing' }
  | { kind: 'range'; id: number; data: TimelineData }
  | { kind: 'error'; text: string };

document.body.replaceChildren(nothing);
listen<Message>((message) => {
  if (message.kind === 'nothing') {
    standing = null;
    data = null;
    document.body.replaceChildren(nothing);
    return;
  }
  if (message.kind === 'error') {
    spoken.textContent = message.text;
    return;
  }
  if (message.kind === 'range') {
    if (message.id !== asked) return;
    data = message.data;
    redraw();
    if (early) click(early);
    early = null;
    return;
  }
  const first = standing === null;
  // The trace of a live machine has grown when it stands again.
  const grown = data !== null && data.end !== message.end && !message.running;
  standing = message;
  if (first) document.body.replaceChildren(bar, stage, tip, spoken);
  if (state.range) show(following(state.range, now(), bounds()));
  else if (first || !data || grown) show(bounds());
  else redraw();
});
