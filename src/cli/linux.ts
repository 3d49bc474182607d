/** `chronovisor linux`: what Linux was doing at any position of a trace, from its own data structures. */
import { UserError } from '../base/assert.ts';
import {
  currentTasks,
  filesOf,
  filesText,
  GuestSymbols,
  Kernel,
  KernelImage,
  logOf,
  logText,
  mappingsOf,
  modulesOf,
  modulesText,
  mountsOf,
  mountsText,
  programsOf,
  spaceOf,
  stackOf,
  type Task,
  taskOf,
  tasksOf,
  tasksText,
  taskText,
} from '../linux/index.ts';
import { Timeline } from '../replay/timeline.ts';
import { Unavailable } from '../symbols/index.ts';
import { parseWhole } from './arguments.ts';
import { command } from './command-line.ts';
import { jsonValue } from './format.ts';
import { guestFiles } from './guest-files.ts';
import { linuxMachine } from './hart-view.ts';
import { backtraceText, FRAMES_MAX, frameValue, openSymbols, symbolCache, symbolsOption } from './symbol-options.ts';
import { openTrace, parsePosition } from './trace-argument.ts';

const QUESTIONS = {
  tasks: 'all tasks, and which hart runs which',
  stack: 'the stack of the task with the number PID, or of all tasks',
  dmesg: "the kernel's log",
  modules: 'modules that are loaded',
  mounts: 'what is mounted where',
  files: 'files that the task with the number PID has open',
} as const;
type Question = keyof typeof QUESTIONS;

export const linuxCommand = command(
  '<trace> <what> [pid]',
  {
    at: { type: 'text', value: 'POSITION', default: 'end', describe: "position, 'end', or a percentage such as 50%" },
    symbols: { ...symbolsOption, describe: "the kernel's vmlinux with debug information, and other symbol files" },
    modules: {
      type: 'list',
      value: 'FOLDER',
      describe: 'folder with .ko or .ko.debug files; also looked for beside vmlinux',
    },
    program: { type: 'list', value: 'FILE', describe: 'ELF file of a program in the guest that has the same name' },
    json: { type: 'flag', describe: 'print as JSON' },
  },
  (args) => {
    const question = args.what as Question;
    if (!Object.hasOwn(QUESTIONS, question)) {
      const all = Object.entries(QUESTIONS).map(([name, what]) => `${name} (${what})`);
      throw new UserError(`linux ${args.what}: there is no such question; there are ${all.join(', ')}`);
    }
    const pid =
      args.pid === undefined ? null : parseWhole(`linux ${question}: the number of a task`, args.pid, 1, 2 ** 31);
    const symbols = openSymbols(args.symbols, '--symbols', symbolCache());
    const image = KernelImage.of(symbols);
    if (!image) throw new UserError("--symbols: the kernel's vmlinux with its debug information is needed");
    const trace = openTrace(args.trace);
    const { machine } = new Timeline(trace, { at: parsePosition('--at', args.at, trace) });
    const files = guestFiles({ kernel: image.module.file.name, moduleFolders: args.modules, programs: args.program });
    try {
      const kernel = new Kernel(image, linuxMachine(machine));
      const guest = new GuestSymbols(image, files, (problem) => console.error(`chronovisor: ${problem}`));
      const answer = answerOf(kernel, question, pid, guest);
      console.log(args.json ? JSON.stringify(answer.value, jsonValue, 2) : answer.text);
    } catch (error) {
      throw error instanceof Unavailable ? new UserError(`linux ${question}: ${error.message}`) : error;
    }
    for (const { file } of symbols.modules)
      for (const problem of file.problems) console.error(`chronovisor: ${problem.message}`);
  },
);

interface Answer {
  readonly text: string;
  readonly value: object;
}

function answerOf(kernel: Kernel, question: Question, pid: number | null, guest: GuestSymbols): Answer {
  switch (question) {
    case 'tasks': {
      const tasks = tasksOf(kernel);
      const currents = currentTasks(kernel);
      const harts = currents.map((task, hart) => `hart ${hart}: ${task === null ? 'no task' : taskText(task)}`);
      const value = { banner: kernel.banner, harts: currents.map(plain), ...tasks, items: tasks.items.map(plain) };
      return { text: [kernel.banner, ...harts, '', tasksText(tasks)].join('\n'), value };
    }
    case 'stack':
      return stacks(kernel, pid, guest);
    case 'dmesg': {
      const log = logOf(kernel);
      return { text: logText(log), value: log };
    }
    case 'modules': {
      const modules = modulesOf(kernel);
      return { text: modulesText(modules), value: modules };
    }
    case 'mounts': {
      const mounts = mountsOf(kernel);
      return { text: mountsText(mounts), value: mounts };
    }
    case 'files': {
      if (pid === null) throw new UserError('linux files: the number of a task is needed');
      const files = filesOf(kernel, taskOf(kernel, pid));
      return { text: filesText(files), value: files };
    }
  }
}

/** A task without what only we need. */
function plain(task: Task | null) {
  if (task === null) return null;
  const { object: _, ...rest } = task;
  return rest;
}

function stacks(kernel: Kernel, pid: number | null, guest: GuestSymbols): Answer {
  guest.placeModules(modulesOf(kernel).items);
  const { items, problem } = pid === null ? tasksOf(kernel) : { items: [taskOf(kernel, pid)], problem: null };
  const all = items.map((task) => {
    const mappings = mappingsOf(kernel, task).items;
    const wanted = (path: string) => guest.wants(path);
    guest.placePrograms(spaceOf(kernel, task), programsOf(kernel, task, mappings, wanted));
    return { task, stack: stackOf(kernel, task, FRAMES_MAX), mappings };
  });
  const texts = all.map(
    ({ task, stack, mappings }) => `${taskText(task)}, ${task.state.words}\n${backtraceText(stack, mappings)}`,
  );
  const value = all.map(({ task, stack, mappings }) => ({
    ...plain(task),
    stack: stack.map((frame) => frameValue(frame, mappings)),
  }));
  return {
    text: [...texts, ...(problem === null ? [] : [`(${problem})`])].join('\n\n'),
    value: { items: value, problem },
  };
}
