/** One run of a guest at the command line, recorded or not. */
import { existsSync } from 'node:fs';
import { UserError } from '../base/assert.ts';
import { preferMainThread } from '../base/priority.ts';
import type { CompilerThread } from '../compiler/thread.ts';
import type { LiveMachine } from '../debugger/live.ts';
import { Recorder, recordedSource } from '../recorder/recorder.ts';
import { type FailureSigns, type ScriptLine, Session, type SessionEnd } from '../recorder/session.ts';
import { TraceWriteError } from '../trace/file.ts';
import type { ClosedTrace, TraceHeader, TraceWriter } from '../trace/index.ts';
import { RAM_BYTES_MAX } from '../vmm/layout.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { parseNumber, parseWhole } from './arguments.ts';
import type { Options, Values } from './command-line.ts';
import { HeldMachine } from './held-machine.ts';
import { MACHINE_OPTIONS, type MachineArguments } from './machine-options.ts';
import { readScript } from './script.ts';
import { SpeedMeter } from './speed.ts';
import { type Status, Terminal } from './terminal.ts';
import { readUserFile, readUserFileMeanwhile } from './user-file.ts';
import { productVersion } from './version.ts';

export const SESSION_OPTIONS = {
  until: { type: 'text', value: 'TEXT', describe: 'end when the console has shown this text', group: 'Ending' },
  'max-steps': { type: 'text', value: 'N', describe: 'end after so many steps', group: 'Ending' },
  timeout: { type: 'text', value: 'SECONDS', describe: 'end after so many seconds', group: 'Ending' },
  script: {
    type: 'text',
    value: 'FILE',
    describe: 'console script: lines "expected text => answer"; \\n, \\r and \\t are understood',
    group: 'Console',
  },
  input: {
    type: 'text',
    value: 'FILE',
    describe: 'file to type at the console instead of standard input',
    group: 'Console',
  },
  json: {
    type: 'flag',
    describe: 'progress as JSON lines on standard output; the console goes to standard error',
    group: 'Console',
  },
} as const satisfies Options;

export const RUN_OPTIONS = { ...MACHINE_OPTIONS, ...SESSION_OPTIONS } as const satisfies Options;

export type SessionArguments = Values<typeof SESSION_OPTIONS>;
export type RunArguments = Values<typeof RUN_OPTIONS>;

export interface Output {
  readonly path: string;
  readonly force: boolean;
}

/** What is typed, and what ends the run: read once, however often the guest is run. */
export interface RunPlan {
  readonly script: readonly ScriptLine[];
  readonly typed: Uint8Array | null;
  readonly ending: { readonly until?: string; readonly maxSteps?: number; readonly timeoutMs?: number };
}

const INPUT_BYTES_MAX = 2 ** 30;
const TIMEOUT_S_MAX = 1e9;

export function planRun(args: SessionArguments): RunPlan {
  const ending = endingOf(args);
  if (args.script !== undefined && args.input !== undefined) {
    throw new UserError('--script and --input: only one of them can type at the console');
  }
  const script = args.script === undefined ? [] : readScript(args.script);
  const typed = args.input === undefined ? null : readUserFile('--input', args.input, INPUT_BYTES_MAX);
  return { script, typed, ending };
}

export function checkOutput(output: Output): void {
  if (output.force || !existsSync(output.path)) return;
  throw new UserError(`${output.path} exists: choose another name, or replace it with --force`);
}

/** A run that is over. */
export interface Outcome {
  readonly end: SessionEnd;
  readonly last: Status;
  readonly closed: ClosedTrace | null;
  /** Why this was not the run that was asked for; null if it was. */
  readonly missed: string | null;
  /** The sign of failure that ended it; null if none was seen. */
  readonly failure: string | null;
  readonly terminal: Terminal;
}

/** Ways of running beside the usual one. */
export interface RunHow {
  /** Nobody types, the console is not shown, and signs of failure are looked for. */
  readonly unattended?: FailureSigns;
  /** Has the recorded machine in its hands first; afterwards it lives on by itself. */
  readonly debug?: (live: LiveMachine) => Promise<void>;
}

export async function performRun(
  args: RunArguments,
  plan: RunPlan,
  output: Output | null,
  how: RunHow = {},
): Promise<Outcome> {
  preferMainThread();
  const { living, close } = await assembleLiving(args, output);
  try {
    return await conduct(living, args, plan, { ...how, path: output?.path });
  } finally {
    // There may be a next run, with a machine and a compiler of its own.
    await close();
  }
}

/** A machine that is to live. */
export interface Living {
  readonly machine: VirtMachine;
  readonly recorder: Recorder | null;
  /** Makes code for the machine while it runs. */
  readonly compiler: CompilerThread;
  /** Device that the terminal is wired to. */
  readonly console: string;
  readonly clock: 'virtual' | 'host';
}

export interface AssembledLiving {
  readonly living: Living;
  /** To be done when the machine has run for the last time. */
  close(): Promise<void>;
}

/** Puts a machine together and, with an output, a recorder beside it. */
export async function assembleLiving(args: MachineArguments, output: Output | null): Promise<AssembledLiving> {
  // Kernels are large: all that has to be loaded is loaded meanwhile.
  const kernelRead = args.kernel === undefined ? null : readUserFileMeanwhile('--kernel', args.kernel, RAM_BYTES_MAX);
  // Told where it is waited for, after what is wrong with the options.
  kernelRead?.catch(() => {});
  // A run without a recorder loads nothing of the trace; a recorder's thread loads while the machine is put together.
  const tracing = output
    ? import('../trace/writer.ts').then(({ TraceWriter, startWriterThread }) => {
        return { TraceWriter, thread: startWriterThread() };
      })
    : null;
  let writer: TraceWriter | null = null;
  const { assembleMachine } = await import('./assemble.ts');
  const { machine, compiler, description, notes, kernelMemory } = await assembleMachine(
    args,
    kernelRead,
    (source, of) =>
      output
        ? recordedSource(
            source,
            () => writer!,
            () => of().position,
          )
        : source,
  );
  if (tracing && output) {
    const { TraceWriter, thread } = await tracing;
    const header: TraceHeader = {
      productVersion: productVersion(),
      createdMs: Date.now(),
      machine: description,
      notes: notes(),
    };
    writer = new TraceWriter(output.path, header, {
      force: output.force,
      thread,
      ...(kernelMemory ? { lasting: kernelMemory } : {}),
    });
  }
  const recorder = writer ? new Recorder(machine, writer) : null;
  return {
    living: { machine, recorder, compiler, console: description.console, clock: args.clock },
    close: () => compiler.close(),
  };
}

/** Runs a machine with the terminal until something ends it. */
export async function conduct(
  { machine, recorder, compiler, console, clock }: Living,
  args: SessionArguments,
  { script, typed, ending }: RunPlan,
  { unattended, debug, path }: RunHow & { readonly path?: string | undefined } = {},
): Promise<Outcome> {
  const meter = new SpeedMeter(performance.now());
  const begin = machine.position;
  const status = (): Status => ({
    position: machine.position,
    guestTimeNs: machine.clock.now(),
    stepsPerSecond: meter.at(machine.position, performance.now()),
    traceBytes: recorder?.bytesWritten ?? null,
  });
  const ownInput = typed !== null || script.length > 0 || unattended !== undefined;
  const terminal = new Terminal({ json: args.json, ownInput, status });
  const session: Session = new Session({
    machine,
    recorder,
    console,
    clock,
    interactive: terminal.interactive,
    output: (data) => {
      if (!unattended) terminal.guestOutput(data);
    },
    script,
    ...(typed ? { input: typed } : {}),
    progress: () => terminal.progress(),
    ...ending,
    ...(unattended ? { failure: unattended } : {}),
  });
  if (ownInput) session.endInput();
  terminal.start(session);
  let end: SessionEnd | null = null;
  try {
    if (debug && recorder && path !== undefined) {
      const live = new HeldMachine({ machine, recorder, console }, session, path);
      await debug(live);
      end = live.end;
    }
    end ??= await session.run();
  } catch (error) {
    // The disk filled up in the middle of a slice: what has been written is a trace.
    if (!(error instanceof TraceWriteError)) throw error;
    end = { reason: 'disk-full' };
  } finally {
    terminal.stop();
  }
  // What is still being compiled is of no use any more, and would hold up what is still to be written.
  const [closed] = await Promise.all([recorder?.finish(end.reason, end.exitCode) ?? null, compiler.close()]);
  terminal.release();
  const last = {
    ...status(),
    stepsPerSecond: Math.round(((machine.position - begin) * 1000) / Math.max(1, session.busyMs)),
  };
  const missed = closed?.failed ? null : whatWasMissed(end, session, args);
  return { end, last, closed, missed, failure: session.failure, terminal };
}

function endingOf(args: SessionArguments) {
  if (args.until === '') throw new UserError("--until '': a text to wait for is needed");
  const maxSteps =
    args['max-steps'] === undefined ? null : parseWhole('--max-steps', args['max-steps'], 1, Number.MAX_SAFE_INTEGER);
  const timeoutS = args.timeout === undefined ? null : parseNumber('--timeout', args.timeout, 0.001, TIMEOUT_S_MAX);
  return {
    ...(args.until === undefined ? {} : { until: args.until }),
    ...(maxSteps === null ? {} : { maxSteps }),
    ...(timeoutS === null ? {} : { timeoutMs: timeoutS * 1000 }),
  };
}

/** Why this was not the run that was asked for: a text that was waited for has not come. */
function whatWasMissed(end: SessionEnd, session: Session, args: SessionArguments): string | null {
  const { awaited } = session;
  if (awaited === null || end.reason === 'until') return null;
  // A guest that ends by itself ends a script, too, and so does whoever set a number of steps.
  if (args.until === undefined && (end.reason === 'power-off' || end.reason === 'max-steps')) return null;
  if (end.reason === 'interrupted' && !end.message) return null;
  const option = args.script !== undefined && awaited !== args.until ? '--script' : '--until';
  return `${option}: the console has not shown ${JSON.stringify(awaited)}`;
}
