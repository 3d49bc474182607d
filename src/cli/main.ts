#!/usr/bin/env node
/** The command line. One file a command, loaded when it is asked for; this one only names them and turns errors into messages. */
import { Divergence, UserError } from '../base/assert.ts';
import { setV8Flags } from '../compiler/v8-flags.ts';
import type { Command } from './command-line.ts';
import { productVersion } from './version.ts';

setV8Flags();

interface Listed {
  readonly describe: string;
  readonly load: () => Promise<Command>;
}

const COMMANDS: Readonly<Record<string, Listed>> = {
  record: {
    describe: 'run a guest and record it to a trace',
    load: async () => (await import('./record.ts')).recordCommand,
  },
  run: { describe: 'run a guest without recording it', load: async () => (await import('./record.ts')).runCommand },
  replay: {
    describe: 'replay a trace: the same console, the same everything, checked',
    load: async () => (await import('./replay.ts')).replayCommand,
  },
  verify: {
    describe: 'replay a trace and compare every digest, journal entry and console byte',
    load: async () => (await import('./replay.ts')).verifyCommand,
  },
  state: {
    describe: 'show registers, CSRs, code around pc, stacks and the console at a position',
    load: async () => (await import('./state.ts')).stateCommand,
  },
  linux: {
    describe: 'show tasks, stack [pid], dmesg, modules, mounts or files pid of a Linux guest at a position',
    load: async () => (await import('./linux.ts')).linuxCommand,
  },
  info: {
    describe: 'show machine, guest, duration, inputs, checkpoints and sizes of a trace',
    load: async () => (await import('./info.ts')).infoCommand,
  },
  dump: {
    describe: 'print inputs, journal, console, checkpoints and chunks of a trace',
    load: async () => (await import('./dump.ts')).dumpCommand,
  },
  gdb: {
    describe: 'serve a trace to gdb, forward and back',
    load: async () => (await import('./gdb.ts')).gdbCommand,
  },
  dap: {
    describe: 'debug adapter: records kernels and opens traces for editors that speak the Debug Adapter Protocol',
    load: async () => (await import('./dap.ts')).dapCommand,
  },
  diff: {
    describe: 'find the first position at which two recordings differ, and in what (exit code 1 if they do)',
    load: async () => (await import('./diff.ts')).diffCommand,
  },
  branch: {
    describe: 'let the guest of a trace live on from any position, as a new recording',
    load: async () => (await import('./branch.ts')).branchCommand,
  },
  query: {
    describe:
      'ask over a whole trace: hits, calls, writers, last-write, first-write, readers, values, traps, interrupts, syscalls, sbi, console or panic',
    load: async () => (await import('./query.ts')).queryCommand,
  },
  repair: {
    describe: 'make a trace whole that was cut off (killed recording, full disk) or damaged',
    load: async () => (await import('./repair.ts')).repairCommand,
  },
  thin: {
    describe: 'write a trace anew with fewer checkpoints, the sparser the older they are',
    load: async () => (await import('./thin.ts')).thinCommand,
  },
  bundle: {
    describe: 'put a trace, its symbol files and sources into one zip file, for a colleague',
    load: async () => (await import('./bundle.ts')).bundleCommand,
  },
  demo: {
    describe: 'hunt a bug of the embedded guest that shows in some runs only',
    load: async () => (await import('./demo.ts')).demoCommand,
  },
};

const width = () => Math.min(110, process.stdout.columns ?? 110);
const asksForHelp = (word: string) => word === '--help' || word === '-h';

async function run(words: readonly string[]): Promise<void> {
  const [name = '', ...rest] = words;
  if (name === '--version') return console.log(productVersion());
  if (asksForHelp(name)) return console.log(await (await import('./command-reader.ts')).generalHelp(COMMANDS, width()));
  if (name === '' || name.startsWith('-')) {
    throw new UserError('the name of a command is missing; chronovisor --help tells more');
  }
  const listed = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!listed) throw new UserError(`${name}: no such command; there are ${Object.keys(COMMANDS).join(', ')}`);
  // Side by side: a guest that starts waits for both.
  const [command, { commandHelp, optionsEnd, parse }] = await Promise.all([
    listed.load(),
    import('./command-reader.ts'),
  ]);
  if (rest.slice(0, optionsEnd(rest)).some(asksForHelp)) {
    return console.log(await commandHelp(name, listed.describe, command, width()));
  }
  // A command's own types say what its handler takes; `parse` made just that.
  await command.handler(parse(name, command, rest) as never);
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may leave early (`| head`).
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
});

/** Paths are taken from the working folder, which another process may have removed. */
function needWorkingFolder(): void {
  try {
    process.cwd();
  } catch {
    throw new UserError('the working folder is not there any more; change to one that is');
  }
}

let isDone = false;
process.on('beforeExit', () => {
  if (isDone) return;
  console.error('chronovisor: there is nothing left to wait for; this is a bug of Chronovisor, not of yours');
  process.exit(2);
});

async function main(): Promise<void> {
  try {
    needWorkingFolder();
    await run(process.argv.slice(2));
  } catch (error) {
    if (error instanceof UserError || error instanceof Divergence) {
      console.error(`chronovisor: ${error.message}`);
      process.exitCode = 1;
    } else {
      console.error(error);
      console.error('chronovisor: this is a bug of Chronovisor, not of yours');
      process.exitCode = 2;
    }
  }
  isDone = true;
}

void main();
