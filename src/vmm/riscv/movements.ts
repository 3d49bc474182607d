/**
 * How registers move that point to memory, while a loop runs. Compiled code looks up memory in the way that fits.
 *
 * Some move slowly, or not at all, as what goes through an array does, or the stack pointer. What they point to lies mostly on the page where it lay the
 * last time. Others are read from memory, as where a list is followed, and lead anywhere, often to pages that have no place in the fast TLB just now.
 */
import type { Structure } from '../codegen/structure.ts';
import type { Block } from './blocks.ts';
import { accessOf } from './known.ts';

/** Bytes that a register moves at a time, at most, if it is steady. */
const STRIDE_MAX = 1024;

/** Masks of registers. */
export interface Movements {
  readonly steady: number;
  readonly wandering: number;
}

const NONE: Movements = { steady: 0, wandering: 0 };

/** For each block what holds in the innermost loop around it. */
export function movementsIn(blocks: readonly Block[], structure: Structure): readonly Movements[] {
  const known = new Map<ReadonlySet<number>, Movements>();
  return structure.innermostLoops().map((loop) => {
    if (!loop) return NONE;
    const movements = known.get(loop) ?? movementsOf([...loop].map((index) => blocks[index]));
    known.set(loop, movements);
    return movements;
  });
}

function movementsOf(loop: readonly Block[]): Movements {
  let [steady, wandering] = [-1, 0];
  for (const { instructions } of loop) {
    for (const { decoded } of instructions) {
      const { instruction, rd, rs1, imm } = decoded;
      if (!instruction.uses.rd) continue;
      const moves = instruction.name === 'addi' && rs1 === rd && Math.abs(imm) <= STRIDE_MAX;
      if (!moves) steady &= ~(1 << rd);
      if (accessOf(decoded)) wandering |= 1 << rd;
    }
  }
  return { steady, wandering };
}
