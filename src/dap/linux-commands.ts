/** Commands of the debug console that ask Linux. */
import { UserError } from '../base/assert.ts';
import {
  filesOf,
  filesText,
  type Kernel,
  logOf,
  logText,
  modulesOf,
  modulesText,
  mountsOf,
  mountsText,
  taskOf,
  tasksOf,
  tasksText,
} from '../linux/index.ts';
import type { Command, Console } from './commands.ts';
import { noLinux } from './linux.ts';

const LOG_LINES = 50;

function ask<T>({ linux }: Console, work: (kernel: Kernel) => T): Promise<T> {
  if (!linux) throw noLinux();
  return linux.ask(work);
}

export const LINUX_COMMANDS: Readonly<Record<string, Command>> = {
  tasks: {
    usage: '',
    help: 'tasks of Linux',
    run: (console) => ask(console, (kernel) => tasksText(tasksOf(kernel))),
  },
  dmesg: {
    usage: '[LINES | all]',
    help: `the last lines of the kernel's log up to here (${LOG_LINES})`,
    run: async (console, rest) => {
      if (!/^(\d{1,6}|all)?$/.test(rest)) throw new UserError(`'${rest}': a number of lines, or 'all', is needed`);
      const lines = (await ask(console, (kernel) => logText(logOf(kernel)))).split('\n');
      return rest === 'all' ? lines.join('\n') : lines.slice(-Math.max(1, Number(rest || LOG_LINES))).join('\n');
    },
  },
  modules: {
    usage: '',
    help: 'modules that are loaded',
    run: (console) => ask(console, (kernel) => modulesText(modulesOf(kernel))),
  },
  mounts: {
    usage: '',
    help: 'what is mounted where',
    run: (console) => ask(console, (kernel) => mountsText(mountsOf(kernel))),
  },
  files: {
    usage: 'PID',
    help: 'files that a task has open',
    run: (console, rest) => {
      if (!/^\d{1,9}$/.test(rest)) throw new UserError('the number of a task is needed; tasks lists them');
      return ask(console, (kernel) => filesText(filesOf(kernel, taskOf(kernel, Number(rest)))));
    },
  },
};
