/** Stacks of tasks, whether they run or sleep, from the kernel out to the user program. */
import { type Frame, frames, type Registers, registerNumber, type UnwindContext } from '../symbols/index.ts';
import { memoryOf, spaceOf } from './address-space.ts';
import type { Kernel } from './kernel.ts';
import type { Task } from './tasks.ts';

/** Where unwinding begins. */
export interface StackStart {
  readonly context: UnwindContext;
  readonly registers: Registers;
}

const [RA, SP] = ['ra', 'sp'].map((name) => registerNumber(name)!);
const SAVED = Array.from({ length: 12 }, (_, n) => registerNumber(`s${n}`)!);

export function stackStart(kernel: Kernel, task: Task): StackStart {
  const { symbols } = kernel.image;
  const userSpace = task.kernelThread ? undefined : spaceOf(kernel, task);
  const user = userSpace === undefined ? {} : { userSpace };
  const memory = memoryOf(kernel, task);
  if (task.hart === null) return { context: { symbols, memory, ...user }, registers: sleepingRegisters(kernel, task) };
  const { privilege, registers } = kernel.machine.harts[task.hart];
  const space = privilege === 'U' && userSpace !== undefined ? { space: userSpace } : {};
  return { context: { symbols, memory, ...space, ...user }, registers };
}

/**
 * A task that does not run has called `__switch_to`, which has put by what calls keep (arch/riscv/kernel/entry.S). It goes on where ra leads: behind
 * that call, or, if it never ran, at the beginning of `ret_from_fork`.
 */
function sleepingRegisters(kernel: Kernel, { object }: Task): Registers {
  const thread = object.at('thread');
  const saved = thread.at('s');
  const ra = thread.at('ra').pointer;
  const [entry] = kernel.image.module.file.symbols?.named('__switch_to') ?? [];
  const { symbols } = kernel.image;
  const found = symbols.symbolAt(ra);
  const isNew = found !== null && found.symbol.address + found.module.bias === ra;
  const pc = isNew || !entry ? ra : entry.address + kernel.image.module.bias;
  return {
    pc: BigInt.asUintN(64, pc),
    get: (register) => {
      if (register === RA) return ra;
      if (register === SP) return thread.at('sp').pointer;
      const index = SAVED.indexOf(register);
      return index < 0 ? undefined : saved.element(index).pointer;
    },
  };
}

/** The innermost frames of a task, as many as are wanted. */
export function stackOf(kernel: Kernel, task: Task, count: number): Frame[] {
  const { context, registers } = stackStart(kernel, task);
  const found: Frame[] = [];
  for (const frame of frames(context, registers)) {
    if (found.length === count) break;
    found.push(frame);
  }
  return found;
}
