/** `chronovisor record` and `chronovisor run`: a guest, live. */
import { statSync } from 'node:fs';
import { UserError } from '../base/assert.ts';
import type { SessionEnd } from '../recorder/session.ts';
import type { ClosedTrace } from '../trace/index.ts';
import { mayThin } from '../trace/thinning.ts';
import { command, type Options } from './command-line.ts';
import { bytes, count, seconds } from './format.ts';
import { HUNT_OPTIONS, hunt, huntOf } from './hunt.ts';
import {
  checkOutput,
  type Outcome,
  type Output,
  performRun,
  planRun,
  RUN_OPTIONS,
  type RunArguments,
} from './one-run.ts';
import { SIGNALS, type Status } from './terminal.ts';

const RECORD_OPTIONS = {
  ...RUN_OPTIONS,
  ...HUNT_OPTIONS,
  output: { type: 'text', alias: 'o', value: 'TRACE', describe: 'trace file to write', group: 'Trace' },
  force: { type: 'flag', describe: 'replace the file if it exists', group: 'Trace' },
  'keep-checkpoints': {
    type: 'flag',
    describe: 'keep all checkpoints of a long recording: without it the old ones are thinned when it ends',
    group: 'Trace',
  },
  gdb: {
    type: 'text',
    value: '[HOST:]PORT',
    describe: 'wait for gdb here, which has the guest in its hands, past and present, until it goes',
    group: 'Debugging',
  },
} as const satisfies Options;

export const runCommand = command('', RUN_OPTIONS, (args) => live(args, null));

export const recordCommand = command('', RECORD_OPTIONS, (args) => {
  if (!args.output) throw new UserError('--output (-o) is missing: name the trace file to write');
  const output = { path: args.output, force: args.force };
  const plan = huntOf(args);
  if (plan && args.gdb !== undefined) throw new UserError('--gdb cannot be used with --until-failure');
  return plan ? hunt(args, plan, output) : live(args, output, args);
});

async function live(
  args: RunArguments,
  output: Output | null,
  how: { readonly gdb?: string | undefined; readonly 'keep-checkpoints': boolean } = { 'keep-checkpoints': true },
): Promise<void> {
  const plan = planRun(args);
  if (output) checkOutput(output);
  const debug = how.gdb === undefined ? undefined : (await import('./gdb.ts')).debugLive('--gdb', how.gdb);
  const outcome = await performRun(args, plan, output, debug ? { debug } : {});
  reportRun(how['keep-checkpoints'] ? outcome : await thinned(outcome));
}

/** The same with old checkpoints of a long recording thinned. Whatever hinders that, the recording is there, whole. */
async function thinned(outcome: Outcome): Promise<Outcome> {
  const { closed, terminal } = outcome;
  if (!closed || closed.failed) return outcome;
  if (!mayThin(closed.end.position)) return outcome;
  const { thinRecording } = await import('../trace/thin.ts');
  const controller = new AbortController();
  const abort = () => controller.abort();
  for (const signal of SIGNALS) process.on(signal, abort);
  try {
    const text = 'thinning the old checkpoints of a long recording; Ctrl-C keeps them all';
    const begin = () => terminal.report({ event: 'thinning' }, () => text);
    const result = await thinRecording(closed.path, { signal: controller.signal, begin });
    if (!result) return outcome;
    const bytes = statSync(closed.path).size;
    return { ...outcome, closed: { ...closed, bytes }, last: { ...outcome.last, traceBytes: bytes } };
  } catch (error) {
    if (!controller.signal.aborted && !(error instanceof UserError)) throw error;
    const reason = controller.signal.aborted ? 'interrupted' : (error as UserError).message;
    terminal.report({ event: 'not-thinned', reason }, () => `all checkpoints are kept: ${reason}`);
    return outcome;
  } finally {
    for (const signal of SIGNALS) process.off(signal, abort);
  }
}

/** Tells how a run ended, and sets the exit code. */
export function reportRun({ end, last, closed, missed, terminal }: Outcome): void {
  const reason = closed?.end.reason ?? end.reason;
  const facts = { event: 'end', ...last, reason, exitCode: end.exitCode ?? null, trace: closed?.path ?? null };
  terminal.report({ ...facts, error: closed?.failed?.message ?? missed }, () => summary(last, end, closed));
  if (closed?.failed) {
    throw new UserError(
      `${closed.failed.message}; what was recorded up to position ${count(closed.end.position)} replays`,
    );
  }
  if (missed) throw new UserError(missed);
  process.exitCode = terminal.signalCode ?? end.exitCode ?? 0;
}

function summary(status: Status, end: SessionEnd, closed: ClosedTrace | null): string {
  const { position, guestTimeNs, stepsPerSecond } = status;
  const where = closed ? `recorded to ${closed.path} (${bytes(closed.bytes)})` : 'not recorded';
  const speed = `${(stepsPerSecond / 1e6).toFixed(0)} million a second`;
  const why = `ended by ${closed?.end.reason ?? end.reason}${end.exitCode === undefined ? '' : `, exit code ${end.exitCode}`}`;
  const note = end.message ? ` (${end.message})` : '';
  return `${count(position)} steps, ${seconds(guestTimeNs)} of guest time, ${speed}; ${where}; ${why}${note}`;
}
