/** What a debug adapter's `launch` asks for, read as `chronovisor record` reads its options: the same names, in camel case, and the same checks. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { UserError } from '../base/assert.ts';
import type { Arguments } from '../dap/arguments.ts';
import { BRANCH_OPTIONS } from './branching.ts';
import type { Option, Options, Values } from './command-line.ts';
import { MACHINE_OPTIONS } from './machine-options.ts';
import { type Output, planRun, type RunPlan, SESSION_OPTIONS } from './one-run.ts';

const { until, 'max-steps': maxSteps, script, input } = SESSION_OPTIONS;
/** What is typed, and what ends a recording. */
const DRIVING_OPTIONS = { until, 'max-steps': maxSteps, script, input } as const satisfies Options;
const LAUNCH_OPTIONS = { ...MACHINE_OPTIONS, ...DRIVING_OPTIONS } as const satisfies Options;

type LaunchArguments = Values<typeof LAUNCH_OPTIONS>;

export interface LaunchPlan {
  readonly machine: LaunchArguments;
  readonly run: RunPlan;
  readonly output: Output;
}

export interface BranchPlan {
  readonly options: Values<typeof BRANCH_OPTIONS>;
  readonly run: RunPlan;
  readonly output: Output;
}

/** A branch of a recording; without a name its file lies beside that. */
export function readBranch(args: Arguments, trunk: string): BranchPlan {
  const options = valuesOf(BRANCH_OPTIONS, args) as Values<typeof BRANCH_OPTIONS>;
  const session = valuesOf(DRIVING_OPTIONS, args) as Values<typeof DRIVING_OPTIONS>;
  const run = planRun({ ...session, timeout: undefined, json: false });
  const stem = trunk.replace(/\.trace$/, '');
  return { options, run, output: outputOf(args, `${stem}-branch.trace`, false) };
}

/** `again`: a new recording of the same, which does not take an earlier one's place unless it may. */
export function readLaunch(args: Arguments, again: boolean): LaunchPlan {
  const machine = valuesOf(LAUNCH_OPTIONS, args) as LaunchArguments;
  const run = planRun({ ...machine, timeout: undefined, json: false });
  return { machine, run, output: outputOf(args, besideKernel(args), again) };
}

/** Does something whose errors name options, and lets them have the names that a configuration knows. */
export async function named<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      error.message.replaceAll(/--([a-z][a-z-]*)/g, (whole, long: string) =>
        Object.hasOwn(LAUNCH_OPTIONS, long) ? keyOf(long, LAUNCH_OPTIONS[long as keyof LaunchArguments]) : whole,
      ),
    );
  }
}

/** `max-steps` is `maxSteps`; of what may be given more than once there is a list: `disks`. */
function keyOf(long: string, option: Option): string {
  const key = long.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  return option.type === 'list' ? `${key}s` : key;
}

function valuesOf(options: Options, args: Arguments): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [long, option] of Object.entries(options)) {
    const key = keyOf(long, option);
    if (option.type === 'list') values[long] = args.texts(key);
    else if (option.type === 'flag') values[long] = args.flag(key);
    else if (option.type === 'choice') values[long] = args.choice(key, option.choices, option.default);
    else values[long] = args.has(key) ? args.textOrNumber(key) : option.default;
  }
  return values;
}

/** By the kernel's name. */
function besideKernel(args: Arguments): string {
  const kernel = args.text('kernel', 'recording');
  return join(dirname(kernel), `${basename(kernel, extname(kernel))}.trace`);
}

/** The trace's file; where it has no name the usual one, with a number if that is taken. */
function outputOf(args: Arguments, usual: string, again: boolean): Output {
  const force = args.flag('force');
  const wanted = args.text('trace', usual);
  if (force || !existsSync(wanted)) return { path: wanted, force };
  if (args.has('trace') && !again) {
    throw new UserError(`trace ${wanted} exists: choose another name, or replace it with "force": true`);
  }
  return { path: freeName(wanted), force: false };
}

/** `kernel-2.trace`, or the next number that nobody has. */
function freeName(path: string): string {
  const extension = extname(path);
  const stem = path.slice(0, path.length - extension.length);
  for (let n = 2; ; n++) {
    const candidate = `${stem}-${n}${extension}`;
    if (!existsSync(candidate)) return candidate;
  }
}

const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1');

/** Whether a file is an ELF file, which may have symbols. What cannot be read is none: whoever boots it says why. */
export function isElf(path: string): boolean {
  const head = Buffer.alloc(4);
  try {
    const file = openSync(path, 'r');
    try {
      readSync(file, head, 0, head.length, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
  return head.equals(ELF_MAGIC);
}
