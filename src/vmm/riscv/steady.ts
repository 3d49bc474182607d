/**
 * Registers that move slowly, or not at all, while a loop runs: pointers that go through an array, the stack pointer. What they point to lies mostly
 * on the page where it lay the last time, so that compiled code remembers that page. For others, as where a list is followed, it would be no use.
 */
import type { Structure } from '../codegen/structure.ts';
import type { Block } from './blocks.ts';

/** Bytes that such a register moves at a time, at most. */
const STRIDE_MAX = 1024;

/** For each block the mask of the registers that are steady in the innermost loop around it; 0 outside of loops. */
export function steadyRegisters(blocks: readonly Block[], structure: Structure): Int32Array {
  const masks = new Map<ReadonlySet<number>, number>();
  return Int32Array.from(structure.innermostLoops(), (loop) => {
    if (!loop) return 0;
    const mask = masks.get(loop) ?? steadyIn([...loop].map((index) => blocks[index]));
    masks.set(loop, mask);
    return mask;
  });
}

function steadyIn(loop: readonly Block[]): number {
  let mask = -1;
  for (const { instructions } of loop) {
    for (const { decoded } of instructions) {
      const { instruction, rd, rs1, imm } = decoded;
      if (!instruction.uses.rd) continue;
      const moves = instruction.name === 'addi' && rs1 === rd && Math.abs(imm) <= STRIDE_MAX;
      if (!moves) mask &= ~(1 << rd);
    }
  }
  return mask;
}
