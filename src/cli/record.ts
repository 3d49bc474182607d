/** `chronovisor record` and `chronovisor run`: a guest, live. */
import { readFileSync } from 'node:fs';
import type { ArgumentsCamelCase, Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';
import { UserError } from '../base/assert.ts';
import { Recorder, recordedSource } from '../recorder/recorder.ts';
import { type ScriptLine, Session, type SessionEnd } from '../recorder/session.ts';
import { TraceWriter } from '../trace/index.ts';
import { bytes, count, seconds } from './format.ts';
import { assembleMachine, type MachineArguments, machineOptions, reasonOf, whole } from './machine-options.ts';
import { Terminal } from './terminal.ts';
import { productVersion } from './version.ts';

const RUN_OPTIONS = {
  until: { type: 'string', describe: 'end when the console has shown this text', group: 'Ending:' },
  'max-steps': { type: 'number', describe: 'end after so many steps', group: 'Ending:' },
  timeout: { type: 'number', describe: 'end after so many seconds', group: 'Ending:' },
  script: {
    type: 'string',
    describe: 'console script: lines "expected text => answer"; \\n, \\r and \\t are understood',
    group: 'Console:',
  },
  input: { type: 'string', describe: 'file to type at the console instead of standard input', group: 'Console:' },
  json: {
    type: 'boolean',
    default: false,
    describe: 'machine-readable progress on standard output',
    group: 'Console:',
  },
} as const satisfies Record<string, Options>;

const RECORD_OPTIONS = {
  output: { type: 'string', alias: 'o', demandOption: true, describe: 'trace file to write', group: 'Trace:' },
  force: { type: 'boolean', default: false, describe: 'replace the file if it exists', group: 'Trace:' },
} as const satisfies Record<string, Options>;

type RunArguments = MachineArguments & InferredOptionTypes<typeof RUN_OPTIONS>;
type RecordArguments = RunArguments & InferredOptionTypes<typeof RECORD_OPTIONS>;

export const runCommand: CommandModule<object, RunArguments> = {
  command: 'run',
  describe: 'run a guest without recording it',
  builder: (y: Argv) => machineOptions(y).options(RUN_OPTIONS),
  handler: (args) => live(args, null),
};

export const recordCommand: CommandModule<object, RecordArguments> = {
  command: 'record',
  describe: 'run a guest and record it to a trace',
  builder: (y: Argv) => machineOptions(y).options(RUN_OPTIONS).options(RECORD_OPTIONS),
  handler: (args) => live(args, { path: args.output, force: args.force }),
};

async function live(
  args: ArgumentsCamelCase<RunArguments>,
  trace: { path: string; force: boolean } | null,
): Promise<void> {
  if (args.maxSteps !== undefined) whole('--max-steps', args.maxSteps, 1, Number.MAX_SAFE_INTEGER);
  if (args.timeout !== undefined && !(args.timeout > 0)) {
    throw new UserError(`--timeout ${args.timeout}: seconds above 0 are needed`);
  }
  const script = args.script === undefined ? [] : readScript(args.script);
  const typed = args.input === undefined ? null : readInput(args.input);
  let writer: TraceWriter | null = null;
  const { machine, description } = assembleMachine(args, (source, of) =>
    trace
      ? recordedSource(
          source,
          () => writer!,
          () => of().position,
        )
      : source,
  );
  if (trace) {
    const header = { productVersion: productVersion(), createdMs: Date.now(), machine: description, notes: [] };
    writer = new TraceWriter(trace.path, header, { force: trace.force });
  }
  const recorder = writer ? new Recorder(machine, writer) : null;
  const terminal = new Terminal({ json: args.json, ownInput: typed !== null || script.length > 0 });
  const started = performance.now();
  const status = () => ({
    position: machine.position,
    guestTimeNs: machine.clock.now(),
    stepsPerSecond: Math.round((machine.position * 1000) / Math.max(1, performance.now() - started)),
    traceBytes: recorder?.bytesWritten ?? 0,
  });
  const session = new Session({
    machine,
    recorder,
    console: description.console,
    clock: args.clock,
    interactive: terminal.interactive,
    output: (data) => terminal.guestOutput(data),
    script,
    progress: () => terminal.status(status()),
    ...(args.until === undefined ? {} : { until: args.until }),
    ...(args.maxSteps === undefined ? {} : { maxSteps: args.maxSteps }),
    ...(args.timeout === undefined ? {} : { timeoutMs: args.timeout * 1000 }),
  });
  if (typed) session.type(typed);
  if (typed || script.length > 0) session.endInput();
  terminal.start(session);
  let end: SessionEnd;
  try {
    end = await session.run();
  } finally {
    terminal.stop();
  }
  const closed = recorder ? await recorder.finish(end.reason, end.exitCode) : null;
  terminal.report({ event: 'end', ...status(), reason: end.reason, exitCode: end.exitCode ?? null }, () => {
    const { position, guestTimeNs, stepsPerSecond } = status();
    const where = closed ? `recorded to ${closed.path} (${bytes(closed.bytes)})` : 'ran';
    const speed = `${(stepsPerSecond / 1e6).toFixed(0)} million a second`;
    const why = `ended by ${end.reason}${end.exitCode === undefined ? '' : `, exit code ${end.exitCode}`}`;
    const note = end.message ? `\n${end.message}` : '';
    return `${count(position)} steps, ${seconds(guestTimeNs)} of guest time, ${speed}; ${where}; ${why}${note}`;
  });
  if (closed?.failed)
    throw new UserError(`${closed.failed.message}; the trace replays to position ${closed.end.position}`);
  process.exitCode = end.exitCode ?? (end.reason === 'error' ? 1 : 0);
}

/** A script has a line an exchange: `login: => root\n`. Empty lines and those that begin with # are passed over. */
function readScript(path: string): ScriptLine[] {
  const lines = readText('--script', path).split('\n');
  const script: ScriptLine[] = [];
  lines.forEach((line, i) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const at = line.indexOf('=>');
    if (at < 0) throw new UserError(`--script ${path}: line ${i + 1}: "expected text => answer" is needed`);
    const plain = (s: string) =>
      s.replace(/\\([nrt\\])/g, (_, c: string) => ({ n: '\n', r: '\r', t: '\t', '\\': '\\' })[c]!);
    const expect = plain(line.slice(0, at).trim());
    if (expect === '') throw new UserError(`--script ${path}: line ${i + 1}: no text to wait for before =>`);
    script.push({ expect, send: plain(line.slice(at + 2).trim()) });
  });
  return script;
}

function readText(option: string, path: string): string {
  return new TextDecoder().decode(readInputFile(option, path));
}
function readInput(path: string): Uint8Array {
  return readInputFile('--input', path);
}
function readInputFile(option: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UserError(`${option} ${path}: ${reasonOf(error)}`);
  }
}
