/**
 * `chronovisor demo`: the embedded guest has a bug that shows in some runs only. The demo records runs by random schedules until one fails,
 * replays that one, and goes back from the panic to the write that did the damage, and to the moment at which two harts took one message.
 */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AssertionError, UserError } from '../base/assert.ts';
import { buildMachine } from '../compiler/machine.ts';
import { openSession } from '../debugger/open.ts';
import type { DebugSession, StopEvent } from '../debugger/session.ts';
import { Chaos } from '../recorder/chaos.ts';
import { Recorder, recordedSource } from '../recorder/recorder.ts';
import { Session, type SessionEnd } from '../recorder/session.ts';
import { Timeline } from '../replay/timeline.ts';
import { verify } from '../replay/verify.ts';
import type { Frame } from '../symbols/index.ts';
import { type MachineDescription, TraceReader, TraceWriter } from '../trace/index.ts';
import type { InputSource } from '../vmm/inputs.ts';
import { MACHINE_REVISION } from '../vmm/revision.ts';
import { bootVirt, type VirtMachine } from '../vmm/riscv/virt.ts';
import { parseWhole } from './arguments.ts';
import { command } from './command-line.ts';
import { bytes, count, hex } from './format.ts';
import { consoleTail } from './state.ts';
import { backtrace, backtraceText, openSymbols } from './symbol-options.ts';
import { productVersion } from './version.ts';

const KERNEL = fileURLToPath(new URL('../../../guests/embedded/kernel.elf', import.meta.url));
const OWN_OUTPUT = join(tmpdir(), 'chronovisor-demo.trace');
const HARTS = 4;
const QUANTUM = 4096;
const CONSOLE_LINES = 5;
const COMMAND = 'work 400 1';
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
    first: { type: 'text', value: 'N', default: '19', describe: "seed of the first run's schedule" },
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
      await tell(resolve(args.output));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

/** Records one run after the other until one fails; returns its trace. */
async function hunt(path: string, runs: number, first: number): Promise<string> {
  console.log(
    `An SMP kernel on ${HARTS} harts passes letters between tasks. Sometimes it panics.\n` +
      'Recording runs, each with another schedule of the harts, until it does:\n',
  );
  const started = performance.now();
  let steps = 0;
  for (let run = 0; run < runs; run++) {
    const seed = first + run;
    const { end, position } = await recordRun(path, seed);
    steps += position;
    const failed = end.exitCode !== 0;
    console.log(`  run ${run + 1}, chaos seed ${seed}: ${count(position)} steps, ${failed ? 'PANIC' : 'fine'}`);
    if (!failed) continue;
    const elapsed = (performance.now() - started) / 1000;
    console.log(`\nCaught in run ${run + 1} after ${elapsed.toFixed(1)} s and ${count(steps)} steps.`);
    return path;
  }
  throw new UserError(`no run of ${runs} failed; try more with --runs, or other seeds with --first`);
}

async function recordRun(path: string, seed: number): Promise<{ end: SessionEnd; position: number }> {
  const chaos = new Chaos(seed, HARTS, QUANTUM);
  const description: MachineDescription = {
    isa: 'riscv64',
    revision: MACHINE_REVISION,
    harts: HARTS,
    memoryBytes: 64 * 2 ** 20,
    psPerStep: 1000,
    quantum: QUANTUM,
    schedule: 'drawn',
    clockMode: 'virtual',
    console: 'uart0',
    boot: { kind: 'none', kernel: basename(KERNEL), append: '', bios: 'none' },
    disks: [],
    rtcOffsetNs: 0n,
    pageBytes: 4096,
  };
  let writer: TraceWriter | null = null;
  const outside: InputSource = {
    // The guest has no use for random numbers: the schedule is all that differs between two runs.
    entropy: (_device, length) => new Uint8Array(length),
    turn: (runnable) => chaos.turn(machine.position, runnable),
    block: () => {
      throw new AssertionError('the machine has no disk');
    },
  };
  const source = recordedSource(
    outside,
    () => writer,
    () => machine.position,
  );
  const machine: VirtMachine = buildMachine(description, source);
  const kernel = { name: KERNEL, bytes: readFileSync(KERNEL) };
  bootVirt(machine, description, { bios: 'none', kernel, initrd: null }, source);
  const notes = [['demo', COMMAND] as const, ['chaos seed', String(seed)] as const];
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
      { expect: PROMPT, send: `${COMMAND}\n` },
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
async function tell(path: string): Promise<void> {
  const trace = TraceReader.open(path, { check: true });
  const size = bytes(trace.statistics().fileBytes);
  const began = performance.now();
  const { steps, digests, journalEntries } = verify(trace);
  console.log(
    `\nIts trace: ${path}, ${size}. It needs no kernel, no seed and no luck to run again:\n` +
      `  replayed ${count(steps)} steps in ${(performance.now() - began).toFixed(0)} ms; ` +
      `${digests} recorded digests and ${journalEntries} journal entries equal\n`,
  );
  console.log(
    `The console at the end:\n${consoleTail(trace, trace.replayableTo, CONSOLE_LINES)
      .map((line) => `  ${line}`)
      .join('\n')}`,
  );
  const session = await openSession(path);
  try {
    await goBack(session, trace);
  } finally {
    await session.close();
  }
  console.log(`\nLook around yourself:  npx chronovisor gdb ${path}`);
}

/** Bytes of the guest's message that its checksum covers; before them is the pointer to the next free one (guests/embedded/message.h). */
const LINK_BYTES = 8;
const CONTENT_BYTES = 232;
/** Writes of the link that are looked at for the two that belong together. */
const LINKS_MAX = 20;
const FRAMES_SHOWN = 5;

/** From the panic to its cause. */
async function goBack(session: DebugSession, trace: TraceReader): Promise<void> {
  const look = new Look(trace);
  const panic = panicPosition(trace);
  const { hart } = await session.seek(panic);
  console.log(`\nThe panic, position ${count(panic)}, on hart ${hart}:`);
  look.show(panic, hart, 'panic');
  const text = consoleTail(trace, trace.replayableTo, CONSOLE_LINES).join(' ');
  const victim = /corrupt message at ([0-9a-f]+)/.exec(text)?.[1];
  if (victim === undefined) {
    console.log('\nIt names no message to look at; other schedules (--first) end in a panic that does.');
    return;
  }
  const address = BigInt(`0x${victim}`);
  const back = (from: bigint, length: number) => {
    const watch = { kind: 'watch', access: 'write', physical: true, address: from, length } as const;
    return session.run({ direction: 'back', until: [watch], untilOnly: true });
  };
  const write = await back(address + BigInt(LINK_BYTES), CONTENT_BYTES);
  if (write.reason !== 'stop') throw new UserError(`${trace.name}: nobody has written to the message at 0x${victim}`);
  console.log(
    `\nBack from there to the last write to the message, by a watchpoint, to position ${count(write.position)},\n` +
      `${count(panic - write.position)} steps before the panic:`,
  );
  look.show(write.position, write.hart);
  const takes = await lastTakes(() => back(address, LINK_BYTES), look);
  if (!takes) return;
  const [later, earlier] = takes;
  console.log(
    `\nBack further, to those who took the message: hart ${later.hart} at position ${count(later.position)},\nand ` +
      `${count(later.position - earlier.position)} steps before it hart ${earlier.hart}, at position ${count(earlier.position)}.\n` +
      'Nobody has given it back in between: it has two owners. The two, each as it took the message:',
  );
  for (const { position, hart: owner } of [earlier, later]) look.show(position, owner);
}

/**
 * Whoever takes a message links it out of the list of free ones. The last two who did so, if they are different harts and nobody has linked it
 * in again in between.
 */
async function lastTakes(back: () => Promise<StopEvent>, look: Look): Promise<[StopEvent, StopEvent] | null> {
  let later: StopEvent | null = null;
  for (let i = 0; i < LINKS_MAX; i++) {
    const link = await back();
    if (link.reason !== 'stop') return null;
    const takes = look.stack(link.position, link.hart)[0]?.name === 'unlink_first';
    if (takes && later && later.hart !== link.hart) return [later, link];
    later = takes ? link : null;
  }
  return null;
}

/** Stacks at positions of a trace. */
class Look {
  readonly #timeline: Timeline;
  readonly #symbols = openSymbols([KERNEL]);

  constructor(trace: TraceReader) {
    this.#timeline = new Timeline(trace);
  }

  stack(position: number, hart: number): Frame[] {
    this.#timeline.seek(position);
    return backtrace(this.#symbols, this.#timeline.machine, hart);
  }

  /** Prints a hart's stack, from a function on if one is named. */
  show(position: number, hart: number, from?: string): void {
    const stack = this.stack(position, hart);
    const first =
      from === undefined
        ? 0
        : Math.max(
            0,
            stack.findIndex(({ name }) => name === from),
          );
    console.log(`  hart ${hart}, pc ${hex(this.#timeline.machine.cpu.get(hart, 'pc'))}`);
    console.log(backtraceText(stack.slice(first, first + FRAMES_SHOWN)).replaceAll(/^/gm, '  '));
  }
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
