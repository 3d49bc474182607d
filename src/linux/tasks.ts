/** Tasks: the threads that Linux knows of, and which of them each hart runs. */
import { registerNumber, Unavailable } from '../symbols/index.ts';
import type { Kernel } from './kernel.ts';
import { collect, type Found, listOf } from './list.ts';
import type { KernelObject } from './object.ts';

export interface Task {
  /** Of its `task_struct`, by which it is told from all others. */
  readonly address: bigint;
  /** Number of the thread, which a person calls the pid of a task; 0 for the tasks that harts run when there is nothing to do. */
  readonly pid: number;
  /** Number of the process that it is a thread of. */
  readonly process: number;
  readonly name: string;
  readonly state: TaskState;
  /** Process number of its parent. */
  readonly parent: number;
  /** Whether it never runs a user program. */
  readonly kernelThread: boolean;
  /** The hart that runs it now; null if none does. */
  readonly hart: number | null;
  readonly object: KernelObject;
}

export interface TaskState {
  /** As `ps` shows it. */
  readonly letter: string;
  readonly words: string;
}

/** Bits of `task_struct.__state` and `exit_state` (include/linux/sched.h), and how /proc/PID/stat names them (fs/proc/array.c). */
const RUNNING: TaskState = { letter: 'R', words: 'running' };
const SLEEPING_DEEPLY: TaskState = { letter: 'D', words: 'disk sleep' };
const STATES: readonly (readonly [bit: number, state: TaskState])[] = [
  [0x01, { letter: 'S', words: 'sleeping' }],
  [0x02, SLEEPING_DEEPLY],
  [0x04, { letter: 'T', words: 'stopped' }],
  [0x08, { letter: 't', words: 'tracing stop' }],
  [0x10, { letter: 'X', words: 'dead' }],
  [0x20, { letter: 'Z', words: 'zombie' }],
  [0x40, { letter: 'P', words: 'parked' }],
];
const IDLE: TaskState = { letter: 'I', words: 'idle' };
const TASK_IDLE = 0x402;
/** Waiting for a lock that sleeps, and frozen: /proc shows both as disk sleep. */
const TASK_HIDDEN = 0x1000 | 0x8000;
const PF_KTHREAD = 0x200000;

function stateOf(task: KernelObject): TaskState {
  // Called `state` before 5.14.
  const state = Number(BigInt.asUintN(32, task.either('__state', 'state').big));
  const exit = task.at('exit_state').number;
  if ((state & TASK_IDLE) === TASK_IDLE) return IDLE;
  if (state & TASK_HIDDEN) return SLEEPING_DEEPLY;
  const reported = (state | exit) & 0x7f;
  return STATES.findLast(([bit]) => reported & bit)?.[1] ?? RUNNING;
}

export function readTask(object: KernelObject, currents: readonly (bigint | null)[]): Task {
  const { address } = object;
  const hart = currents.indexOf(address);
  const parent = object.at('real_parent');
  return {
    address,
    pid: object.at('pid').number,
    process: object.at('tgid').number,
    name: object.at('comm').text,
    state: stateOf(object),
    parent: parent.pointer === 0n ? 0 : parent.deref().at('tgid').number,
    kernelThread: (object.at('flags').number & PF_KTHREAD) !== 0,
    hart: hart < 0 ? null : hart,
    object,
  };
}

/** All tasks, thread by thread, in the order of the kernel's list; without the idle ones. */
export function tasksOf(kernel: Kernel): Found<Task> {
  return collect(() => allTasks(kernel));
}

function* allTasks(kernel: Kernel): Generator<Task> {
  const currents = currentAddresses(kernel);
  const all = kernel.need('init_task').at('tasks');
  for (const leader of listOf(kernel, 'init_task.tasks', all, 'struct task_struct', 'tasks')) {
    const name = `the list of threads of process ${leader.at('pid').number}`;
    const signal = leader.at('signal');
    // A process that is being buried has nothing of this any more.
    if (signal.pointer === 0n) yield readTask(leader, currents);
    else {
      const threads = signal.deref().at('thread_head');
      for (const thread of listOf(kernel, name, threads, 'struct task_struct', 'thread_node')) {
        yield readTask(thread, currents);
      }
    }
  }
}

const TP = 4;
const SSCRATCH = registerNumber('sscratch')!;
const MSCRATCH = registerNumber('mscratch')!;

/** The task that each hart runs; null where that cannot be told, as on a hart that is not started. */
export function currentTasks(kernel: Kernel): (Task | null)[] {
  const currents = currentAddresses(kernel);
  return currents.map((address) => {
    if (address === null) return null;
    return collect(() => [readTask(kernel.object('struct task_struct', address), currents)]).items[0] ?? null;
  });
}

/**
 * Linux keeps the current task in `tp`; while a user program runs, which has `tp` to itself, in `sscratch`; and within the first and last
 * instructions of a trap in either. Firmware that runs in machine mode has its own in `tp` for a moment, and Linux's in `mscratch`.
 */
function currentAddresses(kernel: Kernel): (bigint | null)[] {
  return kernel.machine.harts.map(({ privilege, registers }, hart) => {
    const order = privilege === 'U' ? [SSCRATCH] : privilege === 'S' ? [TP, SSCRATCH] : [TP, MSCRATCH, SSCRATCH];
    const candidates = order.map((register) => registers.get(register) ?? 0n);
    return candidates.find((address) => isTaskOn(kernel, address, hart)) ?? null;
  });
}

/** Whether there is a task at an address that runs on a hart. A task points to its own leader, and a leader to itself. */
function isTaskOn(kernel: Kernel, address: bigint, hart: number): boolean {
  if (address % 8n !== 0n || address >> 63n === 0n) return false;
  const task = kernel.object('struct task_struct', address);
  const [found] = collect(() => {
    const leader = task.at('group_leader').deref();
    const known = leader.at('group_leader').pointer === leader.address && task.at('stack').pointer !== 0n;
    return [known && hartOf(kernel, task.at('thread_info.cpu').number) === hart];
  }).items;
  return found === true;
}

/** Cpus are Linux's numbers, given in the order in which harts were found; null for one that is not set up. */
function hartOf(kernel: Kernel, cpu: number): number | null {
  const map = kernel.find('__cpuid_to_hartid_map');
  // A kernel for one hart has no such map.
  if (!map) return kernel.machine.harts.length === 1 ? 0 : cpu;
  const { plain } = map.value;
  if (plain.kind !== 'array' || cpu < 0 || cpu >= (plain.count ?? 0)) return null;
  const hart = BigInt.asUintN(64, map.element(cpu).big);
  // Before the map is filled only the first hart runs.
  if (hart >= BigInt(kernel.machine.harts.length)) return cpu === 0 ? firstTranslating(kernel) : null;
  return Number(hart);
}

function firstTranslating(kernel: Kernel): number {
  const satp = registerNumber('satp')!;
  return kernel.machine.harts.findIndex(({ registers }) => (registers.get(satp) ?? 0n) !== 0n);
}

/** A task by its number, as `ps` shows it. */
export function taskOf(kernel: Kernel, pid: number): Task {
  const { items, problem } = tasksOf(kernel);
  const found = items.find((task) => task.pid === pid);
  if (!found) throw new Unavailable(`there is no task ${pid} now${problem === null ? '' : ` (${problem})`}`);
  return found;
}

export const taskText = ({ name, pid }: Pick<Task, 'name' | 'pid'>) => `${name} (pid ${pid})`;
