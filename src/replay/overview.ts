/**
 * What happened in a recorded run, as far as the trace says so without a replay: the journal, inputs, console lines and checkpoints of a range, each kind in a lane of its own.
 * A lane with few events tells them all; one with many tells how many there are in each of equal parts of the range.
 */
import { UserError } from '../base/assert.ts';
import type { TraceReader } from '../trace/index.ts';
import type { Input } from '../vmm/inputs.ts';
import { exceptionName, interruptName, sbiName } from '../vmm/riscv/names.ts';
import type { ConsoleLog } from './console-log.ts';
import type { ClockSample, GuestClock } from './guest-clock.ts';

export interface OverviewSpec {
  /** What `from` and `to` count: positions, or guest time in ns. */
  readonly axis: 'position' | 'time';
  /** Events with `from <= event < to`; at most one beyond the end of the trace. */
  readonly from: number;
  readonly to: number;
  /** Parts that the range has, 1 to 10,000. */
  readonly buckets: number;
  /** Events of a lane that are told one by one, 0 to 10,000. */
  readonly itemsMax: number;
}

export type LaneKind = 'turn' | 'interrupt' | 'trap' | 'timer' | 'sbi' | 'note' | 'input' | 'console' | 'checkpoint';

export interface OverviewItem {
  readonly position: number;
  readonly timeNs: number;
  readonly text: string;
  /** The instruction that it befell. */
  readonly pc?: bigint;
}

/** A part of the range that is not empty. */
export interface OverviewBucket {
  /** From 0 to `buckets` - 1. */
  readonly index: number;
  /** Events; of turns, steps. */
  readonly count: number;
  /** Of the first event. */
  readonly position: number;
}

export interface OverviewLane {
  readonly kind: LaneKind;
  /** Null for what belongs to the machine. */
  readonly hart: number | null;
  /** Events in the range. */
  readonly count: number;
  /** All of them, in order, if there are no more than `itemsMax`. Turns are never told one by one. */
  readonly items?: readonly OverviewItem[];
  readonly buckets: readonly OverviewBucket[];
}

export interface Overview {
  readonly axis: 'position' | 'time';
  readonly from: number;
  readonly to: number;
  readonly buckets: number;
  /** Of the machine, whether they have events in the range or not. */
  readonly harts: number;
  /** The last position of the trace, and its guest time in ns. */
  readonly end: number;
  readonly endNs: number;
  /** Pairs of positions and guest times in the range, ascending: what lies between is on a line. */
  readonly clock: readonly ClockSample[];
  /** Lanes with events, by hart and kind; those of the machine come last. */
  readonly lanes: readonly OverviewLane[];
}

const COUNT_MAX = 10_000;
/** A turn that began so long before the range, and reaches into it, is looked for. */
const TURN_STEPS = 2 ** 20;
const KINDS: readonly LaneKind[] = [
  'turn',
  'interrupt',
  'trap',
  'timer',
  'sbi',
  'note',
  'input',
  'console',
  'checkpoint',
];

export function overview(trace: TraceReader, clock: GuestClock, console: ConsoleLog, spec: OverviewSpec): Overview {
  const { axis, from, to, buckets, itemsMax } = spec;
  const [end, endNs] = [trace.replayableTo, trace.replayableToNs];
  const last = axis === 'time' ? endNs : end;
  if (!(from >= 0 && from < to && to <= last + 1)) {
    throw new UserError(`a range of ${axis} from 0 to ${last + 1} is needed, not ${from} to ${to}`);
  }
  for (const [name, value, least] of [
    ['buckets', buckets, 1],
    ['itemsMax', itemsMax, 0],
  ] as const) {
    if (!(Number.isInteger(value) && value >= least && value <= COUNT_MAX)) {
      throw new UserError(`${name}: ${least} to ${COUNT_MAX} are possible, not ${value}`);
    }
  }
  const [first, beyond] = axis === 'time' ? [clock.positionAt(from), clock.positionAt(to) + 1] : [from, to];
  const lanes = new Lanes(spec, clock);
  // A turn lasts to the next one: a hart that alone can run goes on past its end.
  let turn: { hart: number; position: number } | null = null;
  for (const { position, input } of trace.inputs(Math.max(0, first - TURN_STEPS), beyond)) {
    if (input.kind !== 'turn') {
      if (position >= first) lanes.add('input', null, { position, text: inputText(input) });
      continue;
    }
    if (turn) lanes.spread(turn.hart, turn.position, position);
    turn = { hart: input.hart, position };
  }
  if (turn) lanes.spread(turn.hart, turn.position, Math.min(beyond, end));
  for (const { position, hart, kind, code, value } of trace.journal(first, beyond)) {
    const pc = kind === 'interrupt' || kind === 'trap' ? { pc: value } : {};
    lanes.add(kind, hart, { position, text: journalText(kind, code, value), ...pc });
  }
  for (const { position, text } of console.lines(first, beyond)) lanes.add('console', null, { position, text });
  for (const { position, changedPages } of trace.checkpoints) {
    lanes.add('checkpoint', null, { position, text: `checkpoint, ${changedPages} pages changed` });
  }
  const samples = clock.samples(Math.min(first, end), Math.min(beyond, end), buckets);
  const { harts } = trace.header.machine;
  return { axis, from, to, buckets, harts, end, endNs, clock: samples, lanes: lanes.all() };
}

interface Lane {
  readonly kind: LaneKind;
  readonly hart: number | null;
  count: number;
  items: OverviewItem[];
  readonly buckets: Map<number, { index: number; count: number; position: number }>;
}

class Lanes {
  readonly #spec: OverviewSpec;
  readonly #clock: GuestClock;
  readonly #lanes = new Map<string, Lane>();

  constructor(spec: OverviewSpec, clock: GuestClock) {
    this.#spec = spec;
    this.#clock = clock;
  }

  add(kind: LaneKind, hart: number | null, item: Omit<OverviewItem, 'timeNs'>): void {
    const { position } = item;
    const timeNs = this.#clock.timeAt(position);
    const index = this.#bucket(this.#spec.axis === 'time' ? timeNs : position);
    if (index === null) return;
    const lane = this.#lane(kind, hart);
    lane.count++;
    if (lane.items.length <= this.#spec.itemsMax) lane.items.push({ ...item, timeNs });
    this.#count(lane, index, 1, position);
  }

  /** A hart's turn, which may take many buckets. */
  spread(hart: number, from: number, to: number): void {
    const { axis, buckets } = this.#spec;
    const at = (position: number) => this.#place(axis === 'time' ? this.#clock.timeAt(position) : position);
    const [begin, end] = [at(from), at(to)];
    if (!(begin < end) || end <= 0 || begin >= buckets) return;
    const lane = this.#lane('turn', hart);
    lane.count++;
    const perBucket = (to - from) / (end - begin);
    for (let index = Math.max(0, Math.floor(begin)); index < Math.min(buckets, end); index++) {
      const share = Math.min(index + 1, end) - Math.max(index, begin);
      this.#count(lane, index, share * perBucket, from);
    }
  }

  all(): OverviewLane[] {
    const lanes = [...this.#lanes.values()].sort(
      (a, b) => (a.hart ?? Infinity) - (b.hart ?? Infinity) || KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind),
    );
    return lanes.map(({ kind, hart, count, items, buckets }) => ({
      ...{ kind, hart, count },
      ...(kind === 'turn' || items.length > this.#spec.itemsMax ? {} : { items }),
      buckets: [...buckets.values()]
        .sort((a, b) => a.index - b.index)
        .map((bucket) => ({ ...bucket, count: Math.round(bucket.count) })),
    }));
  }

  /** Where a value lies, in buckets from the beginning of the range. */
  #place(value: number): number {
    const { from, to, buckets } = this.#spec;
    return ((value - from) / (to - from)) * buckets;
  }

  #bucket(value: number): number | null {
    const { from, to, buckets } = this.#spec;
    if (value < from || value >= to) return null;
    return Math.min(buckets - 1, Math.floor(this.#place(value)));
  }

  #lane(kind: LaneKind, hart: number | null): Lane {
    const key = `${kind} ${hart}`;
    const known = this.#lanes.get(key);
    if (known) return known;
    const lane: Lane = { kind, hart, count: 0, items: [], buckets: new Map() };
    this.#lanes.set(key, lane);
    return lane;
  }

  #count({ buckets }: Lane, index: number, n: number, position: number): void {
    const bucket = buckets.get(index);
    if (bucket) bucket.count += n;
    else buckets.set(index, { index, count: n, position });
  }
}

function journalText(kind: LaneKind, code: number, value: bigint): string {
  switch (kind) {
    case 'interrupt':
      return interruptName(code);
    case 'trap':
      return exceptionName(code);
    case 'sbi':
      return `${sbiName(code)}, function ${value}`;
    case 'timer':
      return `time ${value} read`;
    default:
      return `${kind} ${code}`;
  }
}

/** Characters of typed text that are told. */
const TEXT_MAX = 80;

function inputText(input: Input): string {
  switch (input.kind) {
    case 'console': {
      const text = JSON.stringify(new TextDecoder().decode(input.data.subarray(0, TEXT_MAX)));
      return `typed at ${input.device}: ${text}${input.data.length > TEXT_MAX ? '...' : ''}`;
    }
    case 'clock':
      return `clock set to ${input.timeNs} ns`;
    case 'command':
      return `command ${input.command}`;
    case 'entropy':
      return `${input.data.length} random bytes for ${input.device}`;
    case 'block':
      return `block ${input.block} of disk ${input.disk}`;
    case 'turn':
      return `turn of hart ${input.hart}`;
    case 'memory':
      return `${input.data.length} bytes changed at physical address 0x${input.address.toString(16)}`;
    case 'register':
      return `${input.register} of hart ${input.hart} set to 0x${input.value.toString(16)}`;
  }
}
