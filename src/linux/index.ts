/**
 * Linux as seen from outside: its tasks and their stacks, its log, its modules, mounts and files, read from the kernel's own data structures by the debug
 * information of its `vmlinux`. The guest runs nothing for it. Lists are bounded, and say where they are garbled; where nothing can be known, that is
 * `Unavailable`.
 */
export {
  type Mapping,
  mappingsMark,
  mappingsOf,
  type Program,
  programsOf,
  satpOf,
  satpOfSpace,
  spaceOf,
} from './address-space.ts';
export { filesOf, type OpenFile } from './files.ts';
export { type GuestFiles, GuestSymbols, programAt } from './guest-symbols.ts';
export { Kernel, KernelImage, type LinuxHart, type LinuxMachine, WrongKernel } from './kernel.ts';
export type { Found } from './list.ts';
export { type LogRecord, logOf } from './log.ts';
export { type Module, modulesMark, modulesOf } from './modules.ts';
export { type Mount, mountsOf } from './mounts.ts';
export { type StackStart, stackOf, stackStart } from './stack.ts';
export { currentTasks, type Task, taskOf, tasksOf, taskText } from './tasks.ts';
export { filesText, logText, modulesText, mountsText, recordText, tasksText } from './text.ts';
