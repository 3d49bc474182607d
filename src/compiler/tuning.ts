/**
 * CHRONOVISOR_JIT in the environment says when code is compiled, in every machine of the process. No result depends on it: whole test suites
 * run with each value to prove that.
 *
 *     off            never
 *     now            before it runs
 *     random:SEED    after a random number of jumps, in slices of random lengths
 */
import { UserError } from '../base/assert.ts';
import { Random } from '../base/random.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';

const HOT_AFTER_MAX = 200;
const SLICE_STEPS_MAX = 50_000;

let random: Random | undefined;

export function applyTuning(machine: VirtMachine): void {
  const wanted = process.env.CHRONOVISOR_JIT;
  if (wanted === undefined || wanted === '') return;
  const { jit } = machine.cpu;
  if (wanted === 'off') {
    jit.hotAfter = Number.POSITIVE_INFINITY;
    return;
  }
  if (wanted === 'now') {
    jit.hotAfter = 0;
    jit.blockHotAfter = 0;
    return;
  }
  const seed = /^random:(\d+)$/.exec(wanted)?.[1];
  if (seed === undefined) throw new UserError(`CHRONOVISOR_JIT is '${wanted}': off, now or random:SEED is expected`);
  // Machines of a process differ.
  random ??= new Random(Number(seed));
  jit.hotAfter = random.below(HOT_AFTER_MAX);
  jit.batch = 1 + random.below(8);
  jit.blockHotAfter = random.below(2);
  machine.sliceSteps = 1 + random.below(SLICE_STEPS_MAX);
}
