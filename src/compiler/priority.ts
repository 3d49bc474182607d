/**
 * Who gets a processor first. While a guest runs in one thread, V8's helpers and the compiler of regions have work as well; where all of them
 * share two processors in turns, the guest waits for what only makes it faster later. Linux gives each thread a priority of its own; elsewhere
 * all stay alike.
 */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';

/** As a niceness (setpriority(2)): a third of the weight of others, so that they still get on where the machine is busy with something else. */
const HELPERS_NICENESS = 5;
const TASKS = '/proc/self/task';
const THIS_TASK = '/proc/thread-self';

/** The main thread comes before all others that the process has by now. */
export function preferMainThread(): void {
  if (process.platform !== 'linux' || !existsSync(TASKS)) return;
  for (const task of readdirSync(TASKS)) if (task !== String(process.pid)) yieldTask(Number(task));
}

/** The running thread, which is not the main one, comes after it. */
export function yieldThisThread(): void {
  if (process.platform !== 'linux' || !existsSync(THIS_TASK)) return;
  yieldTask(Number(basename(readlinkSync(THIS_TASK))));
}

function yieldTask(task: number): void {
  try {
    setPriority(task, HELPERS_NICENESS);
  } catch (error) {
    // It may have ended meanwhile, and it may have been given an even lower priority that only root can raise.
    const { code } = (error as { info?: { code?: string } }).info ?? {};
    if (code !== 'ESRCH' && code !== 'EACCES' && code !== 'EPERM') throw error;
  }
}
