/**
 * `npm run bench -- --profile`: where the time of a guest goes, and why its code leaves the fast path. Each guest runs twice in this process:
 * once under V8's sampling profiler, and once with regions that count their exits, which makes them slower. Compiling is done
 * in the same thread, so that its cost shows.
 */
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { basename } from 'node:path';
import type { JitStatistics } from '../src/vmm/riscv/jit.ts';
import type { ExitReason } from '../src/vmm/riscv/region.ts';
import { bootVirt, buildVirt, type VirtMachine } from '../src/vmm/riscv/virt.ts';
import type { BenchGuest } from './guests.ts';

/** Milliseconds of the thread by what it did. */
export interface TimeProfile {
  readonly compiledCode: number;
  readonly interpreter: number;
  /** Functions that both share: address translation, control registers, traps, exact floating point. */
  readonly slowPaths: number;
  /** Generating WebAssembly, and V8 compiling it. */
  readonly generating: number;
  readonly compiling: number;
  /** Decoding instructions for the interpreter. */
  readonly decoding: number;
  /** Devices, the run loop, calls between generated code and the host. */
  readonly host: number;
  readonly garbageCollection: number;
}

export interface ProfileResult {
  readonly guest: string;
  readonly steps: number;
  readonly timeMs: TimeProfile;
  /** From the second run. */
  readonly compiledSteps: number;
  readonly exits: Readonly<Record<ExitReason, number>>;
  readonly regions: number;
  readonly statistics: JitStatistics;
  /** Where code was left most often, of a sample of the exits, as shares of them. */
  readonly places: readonly { readonly reason: ExitReason; readonly pc: string; readonly share: number }[];
}

const PLACES_SHOWN = 15;
const SAMPLE_US = 500;
/** Short slices: the last exits of each are the sample. */
const COUNTED_SLICE_STEPS = 50_000;

export async function profileOf(guest: BenchGuest): Promise<ProfileResult> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
  const timed = machineOf(guest);
  await session.post('Profiler.start');
  runToEnd(timed, guest);
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();

  const counted = machineOf(guest);
  const { jit } = counted.cpu;
  jit.counting = true;
  counted.sliceSteps = COUNTED_SLICE_STEPS;
  const places = new Map<string, number>();
  let [seen, sampled] = [0, 0];
  runToEnd(counted, guest, () => {
    const { exits, count } = jit.lastExits(seen);
    seen = count;
    for (const { reason, pc } of exits) {
      const key = `${reason} ${pc.toString(16)}`;
      places.set(key, (places.get(key) ?? 0) + 1);
      sampled++;
    }
  });
  const top = [...places].sort((a, b) => b[1] - a[1]).slice(0, PLACES_SHOWN);
  return {
    guest: guest.name,
    steps: timed.position,
    timeMs: timesOf(profile),
    compiledSteps: Number(jit.countedSteps()),
    exits: jit.exits(),
    regions: jit.compiled,
    statistics: jit.statistics,
    places: top.map(([key, times]) => {
      const [reason, pc] = key.split(' ');
      return { reason: reason as ExitReason, pc, share: times / sampled };
    }),
  };
}

function machineOf(guest: BenchGuest): VirtMachine {
  const board = {
    harts: guest.harts,
    memoryBytes: guest.memoryMiB * 2 ** 20,
    psPerStep: 1000,
    quantum: 4096,
    rtcOffsetNs: 0n,
    disks: [],
    boot: { append: guest.append },
  };
  const outside = { entropy: (_: string, length: number) => new Uint8Array(length), block: () => new Uint8Array(4096) };
  const machine = buildVirt(board, outside);
  const file = (path: string) => ({ name: basename(path), bytes: readFileSync(path) });
  bootVirt(
    machine,
    board,
    {
      bios: guest.bios === 'none' ? 'none' : file(guest.bios),
      kernel: file(guest.kernel),
      initrd: guest.initrd === null ? null : file(guest.initrd),
    },
    outside,
  );
  return machine;
}

/** Runs a guest to its power-off, typing what its script says. */
function runToEnd(machine: VirtMachine, guest: BenchGuest, spell: () => void = () => {}): void {
  const left = [...guest.script];
  let said = '';
  let proof = false;
  machine.events.wants = () => false;
  machine.events.output = (_device, data) => {
    said += Buffer.from(data).toString('latin1');
    proof ||= said.includes(guest.proof);
    const next = left[0];
    const at = next ? said.indexOf(next.expect) : -1;
    if (next && at >= 0) {
      left.shift();
      said = said.slice(at + next.expect.length);
      machine.input({ kind: 'console', device: 'uart0', data: Buffer.from(next.send) });
    } else if (!next) said = said.slice(-guest.proof.length);
  };
  for (;;) {
    const result = machine.run(machine.position + machine.sliceSteps);
    spell();
    if (result.kind === 'idle') machine.skipIdle(result.untilNs);
    else if (result.kind === 'stopped') break;
  }
  if (!proof) throw new Error(`${guest.name} did not do its work: ${said.slice(-1000)}`);
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[] | undefined;
}

/** Sorts the samples: generated modules have addresses of their own, and the interpreter is the one that the harts call. */
function timesOf(profile: {
  readonly nodes: readonly ProfileNode[];
  readonly samples?: readonly number[] | undefined;
  readonly timeDeltas?: readonly number[] | undefined;
}): TimeProfile {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children } of profile.nodes) for (const child of children ?? []) parents.set(child, id);
  const isWasm = (node: ProfileNode | undefined) => node?.callFrame.url.startsWith('wasm://') ?? false;
  const isGlue = (node: ProfileNode | undefined) => node?.callFrame.functionName.startsWith('js-to-wasm') ?? false;
  const parentOf = (node: ProfileNode) => nodes.get(parents.get(node.id) ?? -1);
  const entered = (node: ProfileNode) => {
    if (!isWasm(node) || isGlue(node)) return false;
    let parent = parentOf(node);
    while (parent && isGlue(parent)) parent = parentOf(parent);
    return parent?.callFrame.url.endsWith('/riscv/cpu.js') && parent.callFrame.functionName === 'run';
  };
  // A sample taken while compiled code is just being entered shows it without its caller: the interpreter is what most is below.
  const below = samplesBelow(profile.nodes, parents, profile.samples ?? []);
  const execs = profile.nodes.filter(entered).sort((a, b) => below.get(b.id)! - below.get(a.id)!);
  const exec = execs[0]?.callFrame;
  const kinds = new Map<number, keyof TimeProfile>();
  const kindOf = (node: ProfileNode): keyof TimeProfile => {
    const { functionName, url } = node.callFrame;
    if (isGlue(node)) return 'host';
    if (isWasm(node)) {
      if (exec?.url !== url) return 'compiledCode';
      return exec.functionName === functionName ? 'interpreter' : 'slowPaths';
    }
    if (functionName === '(garbage collector)') return 'garbageCollection';
    if (url === '' && (functionName === 'Module' || functionName === 'Instance')) return 'compiling';
    for (let at: ProfileNode | undefined = node; at; at = parentOf(at)) {
      const { url: file } = at.callFrame;
      if (file.endsWith('/riscv/compiler.js') || file.endsWith('/riscv/jit.js')) return 'generating';
      if (file.endsWith('/riscv/decoder.js')) return 'decoding';
    }
    return 'host';
  };
  const us = new Map<keyof TimeProfile, number>();
  profile.samples?.forEach((id, i) => {
    const node = nodes.get(id)!;
    const kind = kinds.get(id) ?? kindOf(node);
    kinds.set(id, kind);
    us.set(kind, (us.get(kind) ?? 0) + (profile.timeDeltas?.[i] ?? 0));
  });
  const ms = (kind: keyof TimeProfile) => Math.round((us.get(kind) ?? 0) / 1000);
  return {
    compiledCode: ms('compiledCode'),
    interpreter: ms('interpreter'),
    slowPaths: ms('slowPaths'),
    generating: ms('generating'),
    compiling: ms('compiling'),
    decoding: ms('decoding'),
    host: ms('host'),
    garbageCollection: ms('garbageCollection'),
  };
}

/** For each node how many samples were taken in it, or in what it has called. */
function samplesBelow(
  nodes: readonly ProfileNode[],
  parents: ReadonlyMap<number, number>,
  samples: readonly number[],
): Map<number, number> {
  const below = new Map(nodes.map(({ id }) => [id, 0]));
  for (const sample of samples) {
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) below.set(id, below.get(id)! + 1);
  }
  return below;
}

export function profileText(result: ProfileResult): string {
  const { guest, steps, timeMs, compiledSteps, exits, regions, statistics: s, places } = result;
  const total = Object.values(timeMs).reduce((a, b) => a + b, 0);
  const percent = (part: number, whole: number) => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`);
  const exitCount = Object.values(exits).reduce((a, b) => a + b, 0);
  const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return [
    `${guest}: ${(steps / 1e6).toFixed(0)} million steps, ${percent(compiledSteps, steps)} of them in compiled code`,
    '  time, with the compiler in the same thread:',
    ...Object.entries(timeMs).map(
      ([kind, ms]) => `    ${words(kind).padEnd(20)} ${String(ms).padStart(7)} ms  ${percent(ms, total).padStart(7)}`,
    ),
    `  ${exitCount} exits, one in ${exitCount === 0 ? '-' : (compiledSteps / exitCount).toFixed(0)} steps:`,
    ...Object.entries(exits).map(
      ([reason, count]) =>
        `    ${reason.padEnd(20)} ${String(count).padStart(10)}  ${percent(count, exitCount).padStart(7)}`,
    ),
    `  ${regions} regions in ${s.modules} modules, ${(s.blocks / regions).toFixed(1)} blocks and ${(s.instructions / regions).toFixed(1)} instructions each`,
    `  ${s.requests} requests; nothing compiled for ${s.empty} (first instruction left to the interpreter), ` +
      `${s.rewritten} (page rewritten too often), ${s.postponed} (too much to compile already), ${s.outdated} (code changed meanwhile)`,
    `  ${s.forgotten} regions thrown away because code was written; all of them ${s.cleared} times, for want of room or to be made otherwise`,
    '  where code is left most often:',
    ...places.map(
      ({ reason, pc, share }) => `    ${pc.padStart(16)}  ${reason.padEnd(10)} ${percent(share, 1).padStart(7)}`,
    ),
  ].join('\n');
}
