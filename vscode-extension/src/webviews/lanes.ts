/** Lanes of the timeline: where they lie, how they are drawn, and what is at a point. */
import { count } from '../format.ts';
import { along, type Range, ticks, tickText } from '../scale.ts';

export interface Lane {
  readonly kind: string;
  readonly hart: number | null;
  readonly count: number;
  readonly items?: readonly { readonly position: number; readonly timeNs: number; readonly text: string }[];
  readonly buckets?: readonly { readonly index: number; readonly count: number; readonly position: number }[];
}

/** The answer of `chronovisor/timeline`. */
export interface TimelineData {
  readonly axis: 'position' | 'time';
  readonly from: number;
  readonly to: number;
  readonly buckets: number;
  readonly harts: number;
  readonly end: number;
  readonly endNs: number;
  readonly clock: readonly (readonly [position: number, timeNs: number])[];
  readonly lanes: readonly Lane[];
}

export interface Mark {
  readonly kind: 'bookmark' | 'hit' | 'moment';
  readonly position: number;
  readonly value: number;
  readonly text: string;
}

export interface Scene {
  readonly axis: 'position' | 'time';
  readonly range: Range;
  readonly now: number;
  readonly live: boolean;
  readonly data: TimelineData;
  readonly marks: readonly Mark[];
}

/** Something that can be gone to; `value` is on the axis, `x` and `y` are pixels. */
export interface Hit {
  readonly row: number;
  readonly lane: string;
  readonly text: string | null;
  readonly position: number;
  readonly timeNs: number;
  readonly value: number;
  readonly x: number;
  readonly y: number;
}

interface Row {
  readonly label: string;
  readonly top: number;
  readonly height: number;
  readonly parts: readonly { readonly lane: Lane; readonly top: number; readonly height: number }[];
  readonly marks: readonly Mark[];
}

export interface Layout {
  readonly rows: readonly Row[];
  readonly height: number;
  /** All that can be gone to. */
  hits(scene: Scene, width: number): Hit[];
}

const RULER = 22;
const LABELS = 92;
const HART = 24;
const PLAIN_LANE = 15;
const GAP = 2;
/** Which third of a hart's lane a kind has. */
const THIRDS: Readonly<Record<string, number>> = { interrupt: 0, trap: 1, sbi: 2, timer: 2, note: 2 };
const MACHINE: readonly (readonly [kind: string, label: string])[] = [
  ['input', 'Inputs'],
  ['console', 'Console'],
  ['checkpoint', 'Checkpoints'],
];
const MARKS: readonly (readonly [kinds: readonly string[], label: string])[] = [
  [['hit', 'moment'], 'Hits'],
  [['bookmark'], 'Bookmarks'],
];

export function layout({ data, marks }: Scene): Layout {
  const rows: Row[] = [];
  let top = RULER + GAP;
  const add = (label: string, height: number, parts: Row['parts'], own: readonly Mark[] = []) => {
    rows.push({ label, top, height, parts, marks: own });
    top += height + GAP;
  };
  for (let hart = 0; hart < data.harts; hart++) {
    const parts = data.lanes
      .filter((lane) => lane.hart === hart)
      .map((lane) => {
        if (lane.kind === 'turn') return { lane, top, height: HART };
        return { lane, top: top + (THIRDS[lane.kind] ?? 2) * (HART / 3), height: HART / 3 };
      });
    add(`Hart ${hart}`, HART, parts);
  }
  for (const [kind, label] of MACHINE) {
    const lane = data.lanes.find((one) => one.kind === kind && one.hart === null);
    add(label, PLAIN_LANE, lane ? [{ lane, top, height: PLAIN_LANE }] : []);
  }
  for (const [kinds, label] of MARKS) {
    add(
      label,
      PLAIN_LANE,
      [],
      marks.filter(({ kind }) => kinds.includes(kind)),
    );
  }
  return { rows, height: top, hits: (scene, width) => allHits(rows, scene, width) };
}

const xOf = (value: number, { range }: Scene, width: number) =>
  LABELS + ((value - range.from) / (range.to - range.from)) * (width - LABELS);
const valueAt = (x: number, { range }: Scene, width: number) =>
  range.from + ((Math.max(x, LABELS) - LABELS) / (width - LABELS)) * (range.to - range.from);

/** Where a bucket begins, on the axis. */
const bucketValue = ({ from, to, buckets }: TimelineData, index: number) => from + (index / buckets) * (to - from);

const laneName = ({ hart }: Lane) => (hart === null ? '' : `hart ${hart}`);

const NOUNS: Readonly<Record<string, string>> = {
  interrupt: 'interrupts',
  trap: 'traps',
  sbi: 'firmware calls',
  timer: 'timer reads',
  note: 'notes',
  input: 'inputs',
  console: 'console lines',
  checkpoint: 'checkpoints',
};

function allHits(rows: readonly Row[], scene: Scene, width: number): Hit[] {
  const timeOf = (position: number) => along(scene.data.clock, position);
  const hits: Hit[] = [];
  rows.forEach((row, index) => {
    for (const { lane, top, height } of row.parts) {
      const y = top + height / 2;
      const own = { row: index, lane: laneName(lane), y };
      for (const { position, timeNs, text } of lane.items ?? []) {
        const value = scene.axis === 'time' ? timeNs : position;
        hits.push({ ...own, text, position, timeNs, value, x: xOf(value, scene, width) });
      }
      if (lane.kind === 'turn') continue;
      for (const bucket of lane.buckets ?? []) {
        const { position } = bucket;
        const value = scene.axis === 'time' ? timeOf(position) : position;
        const text = `${count(bucket.count)} ${NOUNS[lane.kind] ?? lane.kind}, the first here`;
        hits.push({ ...own, text, position, timeNs: timeOf(position), value, x: xOf(value, scene, width) });
      }
    }
    for (const { position, value, text } of row.marks) {
      const y = row.top + row.height / 2;
      hits.push({
        row: index,
        lane: '',
        text,
        position,
        timeNs: timeOf(position),
        value,
        x: xOf(value, scene, width),
        y,
      });
    }
  });
  return hits;
}

const NEAR = 5;

/** The event nearest to a point, or the place on the axis where there is none. */
export function hitAt(
  scene: Scene,
  { rows, hits }: Layout,
  width: number,
  x: number,
  y: number,
  positionOf: (value: number) => number,
): Hit {
  const row = rows.findIndex(({ top, height }) => y >= top - 1 && y <= top + height + 1);
  const near = hits(scene, width)
    .filter((hit) => hit.row === row && Math.abs(hit.x - x) <= NEAR)
    .sort((a, b) => Math.hypot(a.x - x, a.y - y) - Math.hypot(b.x - x, b.y - y))[0];
  if (near) return near;
  const value = valueAt(x, scene, width);
  const position = positionOf(value);
  const timeNs = scene.axis === 'time' ? value : along(scene.data.clock, position);
  return { row: -1, lane: '', text: null, position, timeNs, value, x, y };
}

const COLORS: Readonly<Record<string, string>> = {
  interrupt: '--vscode-charts-blue',
  trap: '--vscode-charts-yellow',
  sbi: '--vscode-charts-purple',
  timer: '--vscode-descriptionForeground',
  note: '--vscode-descriptionForeground',
  input: '--vscode-charts-green',
  console: '--vscode-foreground',
  checkpoint: '--vscode-descriptionForeground',
  turn: '--vscode-foreground',
  hit: '--vscode-debugIcon-breakpointForeground',
  moment: '--vscode-charts-yellow',
  bookmark: '--vscode-charts-blue',
};

export function draw(
  canvas: HTMLCanvasElement,
  scene: Scene,
  { rows }: Layout,
  pointed: Hit | null,
  ratio: number,
): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const style = getComputedStyle(document.body);
  const color = (name: string) => style.getPropertyValue(name).trim() || style.color;
  const [width, height] = [canvas.width / ratio, canvas.height / ratio];
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `11px ${style.fontFamily}`;
  context.textBaseline = 'middle';
  drawRuler(context, scene, width, height, color);
  context.save();
  context.beginPath();
  context.rect(LABELS, 0, width - LABELS, height);
  context.clip();
  for (const row of rows) {
    context.globalAlpha = 0.05;
    context.fillStyle = color('--vscode-foreground');
    context.fillRect(LABELS, row.top, width - LABELS, row.height);
    context.globalAlpha = 1;
    for (const part of row.parts)
      drawLane(context, scene, part, width, color(COLORS[part.lane.kind] ?? '--vscode-foreground'));
    for (const mark of row.marks) drawMark(context, mark, row, xOf(mark.value, scene, width), color(COLORS[mark.kind]));
  }
  drawNow(context, scene, width, height, color);
  if (pointed) {
    context.globalAlpha = 0.6;
    context.fillStyle = color('--vscode-focusBorder');
    context.fillRect(Math.round(xOf(pointed.value, scene, width)), RULER, 1, height - RULER);
    context.globalAlpha = 1;
  }
  context.restore();
  context.textAlign = 'left';
  rows.forEach((row, index) => {
    context.fillStyle = color(pointed?.row === index ? '--vscode-foreground' : '--vscode-descriptionForeground');
    context.fillText(row.label, 10, row.top + row.height / 2);
  });
}

function drawRuler(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  height: number,
  color: (name: string) => string,
): void {
  const all = ticks(scene.range, width - LABELS, 110);
  const step = all.length > 1 ? all[1] - all[0] : scene.range.to - scene.range.from;
  context.textAlign = 'left';
  for (const value of all) {
    const x = Math.round(xOf(value, scene, width));
    context.globalAlpha = 0.12;
    context.fillStyle = color('--vscode-foreground');
    context.fillRect(x, 0, 1, height);
    context.globalAlpha = 1;
    context.fillStyle = color('--vscode-descriptionForeground');
    context.fillText(tickText(value, scene.axis, step), x + 4, RULER / 2);
  }
}

function drawLane(
  context: CanvasRenderingContext2D,
  scene: Scene,
  { lane, top, height }: Row['parts'][number],
  width: number,
  color: string,
): void {
  context.fillStyle = color;
  const quiet = lane.kind === 'timer' || lane.kind === 'checkpoint' || lane.kind === 'note';
  context.globalAlpha = quiet ? 0.6 : 1;
  for (const { position, timeNs } of lane.items ?? []) {
    const x = xOf(scene.axis === 'time' ? timeNs : position, scene, width);
    context.fillRect(Math.round(x), top + 1, 2, height - 2);
  }
  const buckets = lane.buckets ?? [];
  const most = Math.max(1, ...buckets.map((bucket) => bucket.count));
  for (const { index, count: n } of buckets) {
    const from = xOf(bucketValue(scene.data, index), scene, width);
    const to = xOf(bucketValue(scene.data, index + 1), scene, width);
    // Few beside many are still to be seen.
    const share = Math.sqrt(n / most);
    if (lane.kind === 'turn') {
      context.globalAlpha = 0.22;
      const tall = (n / ((scene.data.to - scene.data.from) / scene.data.buckets)) * height;
      const own = scene.axis === 'time' ? share * height : Math.min(height, tall);
      context.fillRect(from, top + height - own, Math.max(1, to - from), own);
    } else {
      context.globalAlpha = (quiet ? 0.6 : 1) * (0.35 + 0.65 * share);
      context.fillRect(from, top + 1, Math.max(1.5, to - from), height - 2);
    }
  }
  context.globalAlpha = 1;
}

function drawMark(context: CanvasRenderingContext2D, { kind }: Mark, row: Row, x: number, color: string): void {
  const y = row.top + row.height / 2;
  context.fillStyle = color;
  context.beginPath();
  if (kind === 'bookmark') {
    context.moveTo(x - 4, y - 6);
    context.lineTo(x + 4, y - 6);
    context.lineTo(x + 4, y + 6);
    context.lineTo(x, y + 2);
    context.lineTo(x - 4, y + 6);
  } else if (kind === 'hit') context.arc(x, y, 4.5, 0, 2 * Math.PI);
  else context.rect(x - 1.5, y - 5, 3, 10);
  context.closePath();
  context.fill();
}

function drawNow(
  context: CanvasRenderingContext2D,
  scene: Scene,
  width: number,
  height: number,
  color: (name: string) => string,
): void {
  const x = Math.round(xOf(scene.now, scene, width));
  context.fillStyle = color(scene.live ? '--vscode-charts-green' : '--vscode-debugIcon-continueForeground');
  context.fillRect(x - 1, 4, 2, height - 4);
  context.beginPath();
  context.moveTo(x - 6, 2);
  context.lineTo(x + 6, 2);
  context.lineTo(x + 6, 10);
  context.lineTo(x, 17);
  context.lineTo(x - 6, 10);
  context.closePath();
  context.fill();
}
