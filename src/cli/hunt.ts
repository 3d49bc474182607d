/** `record --until-failure`: the same guest again and again, until it fails; that run's trace is kept, and no other. */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { UserError } from '../base/assert.ts';
import { PANIC_TEXTS } from '../recorder/panic.ts';
import type { FailureSigns } from '../recorder/session.ts';
import { parseNumber, parseWhole } from './arguments.ts';
import type { Options, Values } from './command-line.ts';
import { bytes, count, plural } from './format.ts';
import { SEED_MAX } from './machine-options.ts';
import { checkOutput, type Outcome, type Output, performRun, planRun, type RunArguments } from './one-run.ts';
import { SIGNALS } from './terminal.ts';

const GROUP = 'Hunting';

export const HUNT_OPTIONS = {
  'until-failure': {
    type: 'flag',
    describe:
      "run again and again until a run fails (panic, exit code, --fail-text, silence), and keep that run's trace",
    group: GROUP,
  },
  repeat: { type: 'text', value: 'N', describe: 'give up after so many runs; 100 without it', group: GROUP },
  'fail-text': {
    type: 'list',
    value: 'TEXT',
    describe: 'a run in which the console shows this has failed',
    group: GROUP,
  },
  watchdog: {
    type: 'text',
    value: 'SECONDS',
    describe: 'a run whose console is silent for so long, in guest time, has failed; 30 without it, 0 for never',
    group: GROUP,
  },
} as const satisfies Options;

const RUNS_MAX = 1_000_000;
const RUNS_DEFAULT = '100';
const WATCHDOG_S_MAX = 1e6;
const WATCHDOG_S_DEFAULT = '30';

interface Hunt {
  readonly runs: number;
  readonly signs: FailureSigns;
}

/** The hunt that was asked for; null if none was. */
export function huntOf(args: Values<typeof HUNT_OPTIONS>): Hunt | null {
  if (!args['until-failure']) {
    const given = (['repeat', 'fail-text', 'watchdog'] as const).find(
      (name) => args[name] !== undefined && args[name].length > 0,
    );
    if (given) throw new UserError(`--${given} is for --until-failure: a single run is only recorded`);
    return null;
  }
  if (args['fail-text'].includes('')) throw new UserError("--fail-text '': a text is needed");
  const runs = parseWhole('--repeat', args.repeat ?? RUNS_DEFAULT, 1, RUNS_MAX);
  const watchdogS = parseNumber('--watchdog', args.watchdog ?? WATCHDOG_S_DEFAULT, 0, WATCHDOG_S_MAX);
  const silentNsMax = watchdogS === 0 ? Number.POSITIVE_INFINITY : watchdogS * 1e9;
  return { runs, signs: { texts: [...PANIC_TEXTS, ...args['fail-text']], silentNsMax } };
}

export async function hunt(args: RunArguments, { runs, signs }: Hunt, output: Output): Promise<void> {
  const plan = planRun(args);
  checkOutput(output);
  const firstSeed = args.chaos === undefined ? null : parseWhole('--chaos', args.chaos, 0, SEED_MAX - runs + 1);
  // Another file that somebody has there is replaced by a failing run only.
  const path = `${output.path}.run`;
  if (existsSync(path)) throw new UserError(`${path} exists: a hunt writes its runs there; move it away`);
  // Within a run they are the terminal's; the file must go in between, too.
  let signalled: number | null = null;
  const onSignal = (signal: (typeof SIGNALS)[number]) => {
    signalled = 128 + constants.signals[signal];
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    for (let run = 1; run <= runs; run++) {
      const seed = firstSeed === null ? null : firstSeed + run - 1;
      const seeded = seed === null ? args : { ...args, chaos: String(seed) };
      const outcome = await performRun(seeded, plan, { path, force: true }, { unattended: signs });
      const { closed, terminal, end, last } = outcome;
      if (closed?.failed) throw new UserError(closed.failed.message);
      const failure = failureOf(outcome);
      const facts = {
        run,
        chaosSeed: seed,
        position: last.position,
        reason: end.reason,
        exitCode: end.exitCode ?? null,
        failure,
      };
      if (signalled !== null) {
        terminal.report({ event: 'end', ...facts, trace: null }, () => `interrupted in run ${run}; no run has failed`);
        process.exitCode = signalled;
        return;
      }
      const name = `run ${run} of ${count(runs)}${seed === null ? '' : `, chaos seed ${seed}`}`;
      terminal.report(
        { event: 'run', ...facts },
        () => `${name}: ${plural(last.position, 'step')}, ${failure ?? 'no failure'}`,
      );
      if (failure === null) continue;
      renameSync(path, output.path);
      const after = run === 1 ? 'the first run' : `${count(run - 1)} without a failure`;
      terminal.report(
        { event: 'end', ...facts, trace: output.path },
        () => `failed in ${name} (${after}); recorded to ${output.path} (${bytes(closed?.bytes ?? 0)})`,
      );
      return;
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    rmSync(path, { force: true });
  }
  throw new UserError(`no run of ${count(runs)} has failed; try more with --repeat, or other seeds with --chaos`);
}

/** Why a run counts as a failure; null if it does not. */
function failureOf({ end, failure, missed }: Outcome): string | null {
  if (failure !== null) return failure;
  if (end.exitCode !== undefined && end.exitCode !== 0) return `exit code ${end.exitCode}`;
  return end.message ?? missed;
}
