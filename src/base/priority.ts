/**
 * Who gets a processor first. While a guest runs in one thread, V8's helpers and the compiler of regions have work as well; where all of them
 * share two processors in turns, the guest waits for what only makes it faster later. Linux gives each thread a priority of its own; elsewhere
 * all stay alike.
 */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';

/**
 * As a niceness (setpriority(2)). What makes regions comes before V8's helpers, which make them faster still: until there is a region, the guest is
 * interpreted. None is so low that it would not get on where the machine is busy with something else: 5 is a third of the weight of others, 10 a tenth.
 */
export const NICENESS = { compiler: 5, helpers: 10, writer: 10 } as const;
type Niceness = (typeof NICENESS)[keyof typeof NICENESS];
const TASKS = '/proc/self/task';
const THIS_TASK = '/proc/thread-self';

/** The main thread comes before all others that the process has by now. */
export function preferMainThread(): void {
  if (process.platform !== 'linux' || !existsSync(TASKS)) return;
  for (const task of readdirSync(TASKS)) if (task !== String(process.pid)) yieldTask(Number(task), NICENESS.helpers);
}

/** The running thread, which is not the main one, comes after it. */
export function yieldThisThread(niceness: Niceness): void {
  if (process.platform !== 'linux' || !existsSync(THIS_TASK)) return;
  yieldTask(Number(basename(readlinkSync(THIS_TASK))), niceness);
}

function yieldTask(task: number, niceness: Niceness): void {
  try {
    setPriority(task, niceness);
  } catch (error) {
    // It may have ended meanwhile, and it may have been given an even lower priority that only root can raise.
    const { code } = (error as { info?: { code?: string } }).info ?? {};
    if (code !== 'ESRCH' && code !== 'EACCES' && code !== 'EPERM') throw error;
  }
}
