/**
 * `npm run bench -- timeline`: how quickly a person moves through a long trace, in both directions. Wall time is what a person feels; the processor
 * time of all threads beside it tells what a busy host has added.
 */
import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Random } from '../src/base/random.ts';
import { openSession } from '../src/debugger/open.ts';
import type { DebugSession, StopSpec } from '../src/debugger/session.ts';
import { TraceReader } from '../src/trace/index.ts';
import { PAGE_BYTES, RAM_BASE } from '../src/vmm/layout.ts';
import { quantile } from './report.ts';

/** Milliseconds, wall and processor. */
interface Timed {
  readonly wall: number;
  readonly cpu: number;
}

export interface Distribution {
  readonly what: string;
  readonly target: string;
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuP50: number;
  readonly cpuP99: number;
}

export interface TimelineResult {
  readonly trace: string;
  readonly steps: number;
  readonly harts: number;
  readonly cores: number;
  readonly moves: readonly Distribution[];
  /** Running back over a stretch in which nothing is hit, and forward over the same; `ratio` is processor time, back to forward. */
  readonly runBack: { readonly steps: number; readonly back: Timed; readonly forward: Timed; readonly ratio: number };
  /** Who last wrote a word that is written in few places, and a replay of the whole trace. */
  readonly lastWrite: {
    readonly position: number;
    readonly search: Timed;
    readonly replay: Timed;
    readonly speedup: number;
  };
  /** From a cancel in the middle of a long search to its end, ms. */
  readonly cancelMs: { readonly p50: number; readonly max: number };
  readonly peakBytes: number;
}

const SEED = 1;
const SEEKS = 60;
const PLACES = 25;
const BACK_STEPS = 40;
const OPENS = 5;
const CANCELS = 10;
/** An address that nothing executes. */
const NOWHERE: StopSpec = { kind: 'breakpoint', address: 0x10n };

export async function benchTimeline(path: string): Promise<TimelineResult> {
  const trace = TraceReader.open(path);
  const { harts } = trace.header.machine;
  const rare = rarelyWritten(trace);
  trace.close();
  const [opens, firstSeeks]: Timed[][] = [[], []];
  const random = new Random(SEED);
  for (let i = 0; i < OPENS; i++) {
    let opening!: Promise<DebugSession>;
    opens.push(
      await timed(() => {
        opening = openAtEnd(path);
        return opening;
      }),
    );
    const session = await opening;
    const { end } = await session.info();
    firstSeeks.push(await timed(() => session.seek(random.below(end))));
    await session.close();
  }
  const session = await openSession(path);
  try {
    const { end } = await session.info();
    const moves = [
      distribution('open at the end, with registers', 'at most 1000', opens),
      distribution('seek, the first of a session', 'at most 300', firstSeeks),
      ...(await movesOf(session, end)),
    ];
    return {
      trace: path,
      steps: end,
      harts,
      cores: availableParallelism(),
      moves,
      runBack: await runBackOf(session, end),
      lastWrite: await lastWriteOf(session, end, rare),
      cancelMs: await cancelsOf(session, end),
      peakBytes: process.resourceUsage().maxRSS * 1024,
    };
  } finally {
    await session.close();
  }
}

/** Until a person sees where the recording ended. */
async function openAtEnd(path: string): Promise<DebugSession> {
  const session = await openSession(path, { at: 'end' });
  const { hart } = await session.where();
  await session.registers(hart);
  return session;
}

async function movesOf(session: DebugSession, end: number): Promise<Distribution[]> {
  const random = new Random(SEED);
  const seeks: Timed[] = [];
  for (let i = 0; i < SEEKS; i++) {
    const position = random.below(end);
    seeks.push(await timed(() => session.seek(position)));
  }
  const [first, more]: Timed[][] = [[], []];
  for (let i = 0; i < PLACES; i++) {
    await session.seek(random.below(end));
    first.push(await timed(() => session.step({ direction: 'back', hart: 'machine' })));
    for (let n = 0; n < BACK_STEPS; n++)
      more.push(await timed(() => session.step({ direction: 'back', hart: 'machine' })));
  }
  return [
    distribution('seek to a random position', '100 / 300', seeks),
    distribution('first step back after a far seek', 'at most 300', first),
    distribution('step back after that', '10 / 50', more),
  ];
}

async function runBackOf(session: DebugSession, end: number): Promise<TimelineResult['runBack']> {
  // The threads have their machines and their code by then, as in a session that goes on.
  const id = await session.addStop(NOWHERE);
  const from = Math.floor(end * 0.3);
  const to = Math.floor(end * 0.8);
  await session.seek(to);
  await session.run({ direction: 'back', limit: from });
  await session.seek(from);
  const forward = await timed(() => session.run({ direction: 'forward', limit: to }));
  const back = await timed(() => session.run({ direction: 'back', limit: from }));
  await session.removeStop(id);
  return { steps: to - from, back, forward, ratio: back.cpu / forward.cpu };
}

async function lastWriteOf(session: DebugSession, end: number, address: bigint): Promise<TimelineResult['lastWrite']> {
  const stop: StopSpec = { kind: 'watch', access: 'write', address, length: 8, physical: true };
  let position = -1;
  const search = await timed(async () => {
    for await (const { hit } of session.query({ kind: 'events', stop, newestFirst: true, limit: 1 }))
      position = hit.position;
  });
  await session.seek(0);
  const replay = await timed(() => session.run({ direction: 'forward', limit: end }));
  return { position, search, replay, speedup: replay.wall / search.wall };
}

async function cancelsOf(session: DebugSession, end: number): Promise<TimelineResult['cancelMs']> {
  const id = await session.addStop(NOWHERE);
  const waits: number[] = [];
  const random = new Random(SEED);
  for (let i = 0; i < CANCELS; i++) {
    await session.seek(Math.floor(end * 0.9));
    const abort = new AbortController();
    let aborted = 0;
    setTimeout(() => {
      aborted = performance.now();
      abort.abort();
    }, 100 + random.below(400));
    await session.run({ direction: i % 2 === 0 ? 'back' : 'forward', signal: abort.signal });
    waits.push(performance.now() - aborted);
  }
  await session.removeStop(id);
  return { p50: quantile(waits, 0.5), max: Math.max(...waits) };
}

/** A word of a page that few checkpoints list, and those early ones: written when the guest booted, and hardly since. */
function rarelyWritten(trace: TraceReader): bigint {
  const lists = new Map<number, number>();
  for (const checkpoint of trace.checkpoints.slice(1)) {
    for (const page of trace.changes(checkpoint).pages) lists.set(page, (lists.get(page) ?? 0) + 1);
  }
  const early = trace.checkpoints[Math.max(1, Math.floor(trace.checkpoints.length / 10))];
  const pages = [...trace.changes(early).pages].filter((page) => page * PAGE_BYTES < trace.header.machine.memoryBytes);
  const [page] = pages.sort((a, b) => lists.get(a)! - lists.get(b)!);
  return BigInt(RAM_BASE + page * PAGE_BYTES);
}

async function timed(action: () => Promise<unknown>): Promise<Timed> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await action();
  const wall = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return { wall, cpu: (user + system) / 1000 };
}

function distribution(what: string, target: string, samples: readonly Timed[]): Distribution {
  const [walls, cpus] = [samples.map(({ wall }) => wall), samples.map(({ cpu }) => cpu)];
  return {
    ...{ what, target, samples: samples.length },
    ...{ p50: quantile(walls, 0.5), p99: quantile(walls, 0.99) },
    ...{ cpuP50: quantile(cpus, 0.5), cpuP99: quantile(cpus, 0.99) },
  };
}

export function timelineText(result: TimelineResult): string {
  const { trace, steps, harts, cores, moves, runBack, lastWrite, cancelMs, peakBytes } = result;
  const ms = (value: number) => value.toFixed(value < 10 ? 1 : 0).padStart(6);
  const s = (value: number) => (value / 1000).toFixed(2);
  const millions = (value: number) => (value / 1e6).toFixed(0);
  const size = (statSync(trace).size / 2 ** 20).toFixed(0);
  return [
    `${millions(steps)} million steps, ${harts} hart${harts > 1 ? 's' : ''}, ${size} MiB; ${cores} cores`,
    `  ms, p50 and p99                    wall            processor      target`,
    ...moves.map(
      ({ what, target, p50, p99, cpuP50, cpuP99 }) =>
        `  ${what.padEnd(33)} ${ms(p50)} ${ms(p99)}   ${ms(cpuP50)} ${ms(cpuP99)}      ${target}`,
    ),
    `  running back over ${millions(runBack.steps)} million steps takes ${s(runBack.back.wall)} s, forward ${s(runBack.forward.wall)} s;` +
      ` processor time ${s(runBack.back.cpu)} and ${s(runBack.forward.cpu)} s: ${runBack.ratio.toFixed(2)}x (target 1.3x, on all cores)`,
    `  who last wrote a word: ${s(lastWrite.search.wall)} s, at ${millions(lastWrite.position)} million;` +
      ` a replay of all ${s(lastWrite.replay.wall)} s: ${lastWrite.speedup.toFixed(0)}x (target 10x)`,
    `  from a cancel to the end: ${cancelMs.p50.toFixed(0)} ms, at most ${cancelMs.max.toFixed(0)} ms (target 100)`,
    `  peak memory ${(peakBytes / 2 ** 20).toFixed(0)} MiB (budget 2048)`,
  ].join('\n');
}
