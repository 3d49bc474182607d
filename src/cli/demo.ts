/**
 * `chronovisor demo`: the embedded guest has a bug that shows in some runs only. The demo records runs until one fails, replays that one twice,
 * and goes to the moment of the panic.
 */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AssertionError, assert, UserError } from '../base/assert.ts';
import { Random } from '../base/random.ts';
import { Recorder, recordedSource } from '../recorder/recorder.ts';
import { Session, type SessionEnd } from '../recorder/session.ts';
import { Timeline } from '../replay/timeline.ts';
import { digestOf, verify } from '../replay/verify.ts';
import { type MachineDescription, TraceReader, TraceWriter } from '../trace/index.ts';
import type { InputSource } from '../vmm/inputs.ts';
import { bootVirt, buildVirt, type VirtMachine } from '../vmm/riscv/virt.ts';
import { parseWhole } from './arguments.ts';
import { command } from './command-line.ts';
import { bytes, count, digestText, seconds } from './format.ts';
import { consoleTail, hartText } from './state.ts';
import { openSymbols } from './symbol-options.ts';
import { productVersion } from './version.ts';

const KERNEL = fileURLToPath(new URL('../../../guests/embedded/kernel.elf', import.meta.url));
const OWN_OUTPUT = join(tmpdir(), 'chronovisor-demo.trace');
const HARTS = 4;
const LETTERS = 400;
const PROMPT = '> ';

export const demoCommand = command(
  '',
  {
    output: {
      type: 'text',
      alias: 'o',
      value: 'TRACE',
      default: OWN_OUTPUT,
      describe: 'where the trace of the failing run goes',
    },
    force: { type: 'flag', describe: 'replace that file if it exists' },
    runs: { type: 'text', value: 'N', default: '100', describe: 'give up after so many runs' },
    first: { type: 'text', value: 'N', default: '1', describe: 'seed of the first run' },
  },
  async (args) => {
    const runs = parseWhole('--runs', args.runs, 1, 100_000);
    const first = parseWhole('--first', args.first, 0, 2 ** 31);
    // Only the demo's own default file is replaced without asking.
    const own = args.output === OWN_OUTPUT;
    if (existsSync(args.output) && !own && !args.force) {
      throw new UserError(`--output ${args.output}: the file exists; choose another name or give --force`);
    }
    const folder = mkdtempSync(join(tmpdir(), 'chronovisor-'));
    try {
      const failing = await hunt(join(folder, 'run.trace'), runs, first);
      copyFileSync(failing, args.output);
      tell(resolve(args.output));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

/** Records one run after the other until one fails; returns its trace. */
async function hunt(path: string, runs: number, first: number): Promise<string> {
  console.log(
    `An SMP kernel on ${HARTS} harts passes letters between tasks. Sometimes it panics. Recording runs until it does:\n`,
  );
  const started = performance.now();
  let steps = 0;
  for (let run = 0; run < runs; run++) {
    const seed = first + run;
    const { end, position } = await recordRun(path, seed);
    steps += position;
    const failed = end.exitCode !== 0;
    console.log(`  run ${run + 1}, seed ${seed}: ${count(position)} steps, ${failed ? 'PANIC' : 'fine'}`);
    if (!failed) continue;
    const elapsed = (performance.now() - started) / 1000;
    console.log(`\nCaught in run ${run + 1} after ${elapsed.toFixed(1)} s and ${count(steps)} steps.`);
    return path;
  }
  throw new UserError(`no run of ${runs} failed; try more with --runs, or other seeds with --first`);
}

async function recordRun(path: string, seed: number): Promise<{ end: SessionEnd; position: number }> {
  const random = new Random(seed);
  const description: MachineDescription = {
    isa: 'riscv64',
    harts: HARTS,
    memoryBytes: 64 * 2 ** 20,
    psPerStep: 1000,
    quantum: 4096,
    schedule: 'fixed',
    clockMode: 'virtual',
    console: 'uart0',
    boot: { kind: 'none', kernel: basename(KERNEL), append: '', bios: 'none' },
    disks: [],
    rtcOffsetNs: 0n,
    pageBytes: 4096,
  };
  let writer: TraceWriter | null = null;
  const outside: InputSource = {
    entropy: (_device, length) => Uint8Array.from({ length }, () => random.below(256)),
    block: () => {
      throw new AssertionError('the machine has no disk');
    },
  };
  const source = recordedSource(
    outside,
    () => writer,
    () => machine.position,
  );
  const machine: VirtMachine = buildVirt(description, source);
  const kernel = { name: KERNEL, bytes: readFileSync(KERNEL) };
  bootVirt(machine, description, { bios: 'none', kernel, initrd: null }, source);
  const notes = [['demo', `work ${LETTERS} ${seed}`] as const];
  const header = { productVersion: productVersion(), createdMs: Date.now(), machine: description, notes };
  writer = new TraceWriter(path, header, { force: true });
  const recorder = new Recorder(machine, writer);
  const session = new Session({
    machine,
    recorder,
    console: description.console,
    clock: 'virtual',
    interactive: false,
    output: () => {},
    script: [
      { expect: PROMPT, send: `work ${LETTERS} ${seed}\n` },
      { expect: PROMPT, send: 'poweroff\n' },
    ],
  });
  session.endInput();
  const end = await session.run();
  const closed = await recorder.finish(end.reason, end.exitCode);
  if (closed.failed) throw new UserError(`${path}: ${closed.failed.message}`);
  return { end, position: machine.position };
}

/** Shows what the trace holds. */
function tell(path: string): void {
  const trace = TraceReader.open(path, { check: true });
  console.log(
    `\nIts trace: ${path}, ${bytes(trace.statistics().fileBytes)}. It needs no kernel and no luck to run again:\n`,
  );
  const digests = [1, 2].map((time) => {
    const began = performance.now();
    const { steps, digests: compared, journalEntries } = verify(trace);
    const timeline = new Timeline(trace, { at: trace.replayableTo });
    const digest = digestText(digestOf(timeline.machine));
    const ms = performance.now() - began;
    console.log(
      `  replay ${time}: ${count(steps)} steps, ${compared} recorded digests and ${journalEntries} journal entries equal, ` +
        `state at the end ${digest} (${ms.toFixed(0)} ms)`,
    );
    return digest;
  });
  assert(digests[0] === digests[1], 'two replays of a trace end in the same state');

  const position = panicPosition(trace);
  const began = performance.now();
  const timeline = new Timeline(trace, { at: position });
  const { machine } = timeline;
  const ms = (performance.now() - began).toFixed(0);
  console.log(
    `\nThe moment of the panic, position ${count(position)} (${seconds(machine.clock.now())} of guest time), reached in ${ms} ms:\n`,
  );
  console.log(hartText(machine, machine.currentHart, false, openSymbols([KERNEL])));
  console.log(
    `\nand the console at the end:\n${consoleTail(trace, timeline.end, 8)
      .map((line) => `  ${line}`)
      .join('\n')}`,
  );
  console.log(
    `\nLook around yourself:  npx chronovisor state ${path} --at ${position - 1000} --symbols ${relative('.', KERNEL)}`,
  );
}

/** The position at which the guest began to print its panic. */
export function panicPosition(trace: TraceReader): number {
  let text = '';
  const positions: number[] = [];
  const decoder = new TextDecoder('latin1');
  for (const run of trace.consoleOutput()) {
    for (const character of decoder.decode(run.bytes)) {
      text += character;
      positions.push(run.position);
    }
  }
  const at = text.indexOf('panic:');
  if (at < 0) throw new UserError(`${trace.name}: the guest did not panic in this recording`);
  return positions[at];
}
