/** The ways in which a guest is run: ours by the command line, as a user does, and QEMU's. */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { guestArguments } from '../scripts/qemu.ts';
import { TraceReader } from '../src/trace/index.ts';
import type { BenchGuest } from './guests.ts';
import { measure, type ProcessResult } from './process.ts';

/** QEMU needs no more than half a minute for any of the guests, unless it hangs. */
const QEMU_TIMEOUT_MS = 120_000;

/** As it is installed. */
const MAIN = fileURLToPath(new URL('../bundle/cli/main.js', import.meta.url));

/**
 * Ours, and QEMU's: `icount` stands in for `rr` where QEMU cannot record, which is with more than one hart, and where a guest is typed to:
 * while QEMU 7.2 records, keys do not reach a guest that waits for them. With counted instructions and several harts they come to a
 * standstill too, so that such a guest has plain QEMU beside it alone.
 */
export const MODES = ['run', 'record', 'replay', 'qemu', 'qemu-rr', 'qemu-icount'] as const;
export type Mode = (typeof MODES)[number];

export const isQemu = (mode: Mode) => mode.startsWith('qemu');

export interface Sample {
  /** From the start of the process to its end. */
  readonly wallMs: number;
  readonly peakBytes: number | null;
  /** Steps of our machine; QEMU does not tell how many it took. */
  readonly steps: number | null;
  /** Inputs and journal, compressed, without checkpoints; QEMU's replay log. */
  readonly logBytes: number | null;
  /** The whole trace. */
  readonly traceBytes: number | null;
  readonly checkpoints: number | null;
}

export function modesOf(guest: BenchGuest, qemu: boolean): Mode[] {
  const [single, typed] = [guest.harts === 1, guest.script.length > 0];
  const theirs: Mode[] = ['qemu'];
  if (single && !typed) theirs.push('qemu-rr');
  else if (single || !typed) theirs.push('qemu-icount');
  return ['run', 'record', 'replay', ...(qemu ? theirs : [])];
}

/** Runs a guest once. `replay` takes the trace that the last `record` left in the folder. */
export async function sample(guest: BenchGuest, mode: Mode, folder: string): Promise<Sample> {
  const trace = join(folder, `${guest.name}.trace`);
  switch (mode) {
    case 'run': {
      const result = await ours(['run', ...machineArguments(guest, folder)]);
      return { ...plain(result), steps: stepsAtEnd(result, guest) };
    }
    case 'record': {
      const result = await ours(['record', ...machineArguments(guest, folder), '--force', '-o', trace]);
      return { ...plain(result), steps: stepsAtEnd(result, guest), ...contentsOf(trace) };
    }
    case 'replay': {
      const result = await ours(['verify', trace, '--json']);
      return { ...plain(result), steps: JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '').steps };
    }
    default:
      return theirs(guest, mode, folder);
  }
}

/** From the start of the process until it says that its guest has taken the first step: Node and all modules included, the end of the process not. */
export async function firstStep(guest: BenchGuest, folder: string): Promise<number> {
  const { firstOutputMs } = await ours(['run', ...machineArguments(guest, folder), '--max-steps', '1']);
  if (firstOutputMs === null) throw new Error(`${guest.name}: nothing was said of the first step`);
  return firstOutputMs;
}

const ours = (args: readonly string[]) => measure(process.execPath, [MAIN, ...args]);

function machineArguments(guest: BenchGuest, folder: string): string[] {
  const script = join(folder, 'script');
  const escaped = (text: string) => text.replaceAll('\n', '\\n');
  writeFileSync(script, guest.script.map(({ expect, send }) => `${expect.trim()} => ${escaped(send)}\n`).join(''));
  return [
    ...['--kernel', guest.kernel, '--bios', guest.bios, '--harts', String(guest.harts)],
    ...['--memory', `${guest.memoryMiB}M`, '--append', guest.append, '--json'],
    ...(guest.initrd === null ? [] : ['--initrd', guest.initrd]),
    ...(guest.script.length === 0 ? [] : ['--script', script]),
  ];
}

function plain({ wallMs, peakBytes }: ProcessResult): Sample {
  return { wallMs, peakBytes, steps: null, logBytes: null, traceBytes: null, checkpoints: null };
}

/** With `--json` progress comes on standard output, and the guest's console on standard error. */
function stepsAtEnd({ stdout, stderr }: ProcessResult, guest: BenchGuest): number {
  const end = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .findLast(({ event }) => event === 'end');
  if (end?.reason !== 'power-off' || !stderr.includes(guest.proof)) {
    throw new Error(`${guest.name} did not do its work (${end?.reason}): ${stderr.slice(-1000)}`);
  }
  return end.position;
}

function contentsOf(path: string): Pick<Sample, 'logBytes' | 'traceBytes' | 'checkpoints'> {
  const trace = TraceReader.open(path);
  const { chunks, fileBytes } = trace.statistics();
  const logBytes = (chunks.inputs?.storedBytes ?? 0) + (chunks.journal?.storedBytes ?? 0);
  const checkpoints = trace.checkpoints.length;
  trace.close();
  return { logBytes, traceBytes: fileBytes, checkpoints };
}

async function theirs(guest: BenchGuest, mode: Mode, folder: string): Promise<Sample> {
  const log = join(folder, 'rr.log');
  const consoleLog = join(folder, 'console');
  const typed = guest.script.length > 0;
  // While QEMU records it is forty times slower with a console on standard input than with one that only writes.
  const extra = ['-serial', typed ? 'stdio' : `file:${consoleLog}`, '-no-reboot'];
  if (mode === 'qemu') extra.push('-accel', 'tcg');
  if (mode === 'qemu-rr') extra.push('-icount', `shift=1,rr=record,rrfile=${log}`);
  // With a fixed shift and several harts Debian's kernel does not come to its init in QEMU 7.2; with one that adapts it does.
  const shift = guest.initrd !== null && guest.harts > 1 ? 'auto' : '1';
  if (mode === 'qemu-icount') extra.push('-accel', 'tcg,thread=single', '-icount', `shift=${shift}`);
  const { kernel, bios, harts, memoryMiB, script } = guest;
  const linux = guest.initrd === null ? {} : { initrd: guest.initrd, append: guest.append };
  const args = guestArguments({ kernel, bios, harts, memoryMiB, extra, ...linux });
  const result = await measure('qemu-system-riscv64', args, script, QEMU_TIMEOUT_MS);
  const said = typed ? result.stdout : readFileSync(consoleLog, 'latin1');
  if (!said.includes(guest.proof)) throw new Error(`${guest.name} in QEMU: ${said.slice(-1000)}`);
  if (mode !== 'qemu-rr') return plain(result);
  const logBytes = statSync(log).size;
  rmSync(log);
  return { ...plain(result), logBytes };
}
