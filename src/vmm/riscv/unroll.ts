/**
 * Loops that are one way from block to block, laid out several times in a row. Where a loop begins there is a choice: if the steps that are left last for all
 * copies, and so does what memory they go through, they run with one look at both; else the blocks run once, as they would in any other place. So what is
 * carried from one iteration to the next is moved once in a while only, and arrays are looked up once for several elements.
 */
import { type Block, type Placed, successorsOf } from './blocks.ts';

/** Instructions and blocks of an iteration, for which steps are counted once, at most. */
const ITERATION_MAX = 64;
const BLOCKS_MAX = 4;
/** Instructions of all copies, and copies, at most. */
const COPIED_MAX = 400;
const COPIES_MAX = 8;
const COPIES_MIN = 2;

export interface Choice {
  /** The first block of the first copy, and what all copies are made of. */
  readonly first: number;
  readonly instructions: readonly Placed[];
  /** The block that the loop begins with, alone. */
  readonly plain: number;
}

/** The blocks of a region by number, the entry's first; copies have numbers of their own. */
export interface Graph {
  readonly blocks: readonly Block[];
  /** By the number of the empty block where they are made. */
  readonly choices: ReadonlyMap<number, Choice>;
  readonly successors: readonly (readonly number[])[];
  isCopy(index: number): boolean;
  /** The block that a jump from another one to an offset leads to. */
  next(from: number, offset: number): number | undefined;
}

/** `hot`: starts of blocks in which much time is spent; other loops are not worth the time that the host's compiler takes for their copies. */
export function unroll(blocks: readonly Block[], hot: ReadonlySet<number>): Graph {
  const numbers = new Map(blocks.map(({ start }, index) => [start, index]));
  const all = [...blocks];
  const choices = new Map<number, Choice>();
  const copies = new Set<number>();
  /** Of copies, by offset: where they go on if it is another copy. */
  const goOn = new Map<number, ReadonlyMap<number, number>>();
  for (const loop of loopsOf(blocks, numbers)) {
    if (!loop.some((index) => hot.has(blocks[index].start))) continue;
    const [head] = loop;
    const iteration = loop.flatMap((index) => blocks[index].instructions);
    const count = Math.min(COPIES_MAX, Math.floor(COPIED_MAX / iteration.length));
    if (iteration.length > ITERATION_MAX || count < COPIES_MIN) continue;
    const first = all.length;
    for (let i = 0; i < count * loop.length; i++) {
      const following = loop[(i + 1) % loop.length];
      if (i < count * loop.length - 1) goOn.set(all.length, new Map([[blocks[following].start, all.length + 1]]));
      copies.add(all.length);
      all.push(blocks[loop[i % loop.length]]);
    }
    const plain = all.push(blocks[head]) - 1;
    choices.set(head, { first, instructions: Array.from({ length: count }, () => iteration).flat(), plain });
    all[head] = { start: blocks[head].start, instructions: [], end: { kind: 'goto', to: blocks[head].start } };
  }
  const next = (from: number, offset: number) => goOn.get(from)?.get(offset) ?? numbers.get(offset);
  const successors = all.map((block, index) => {
    const choice = choices.get(index);
    if (choice) return [choice.first, choice.plain];
    return successorsOf(block).flatMap((offset) => next(index, offset) ?? []);
  });
  return { blocks: all, choices, successors, next, isCopy: (index) => copies.has(index) };
}

/** The loops, each as its blocks in order. Of these only the first is come to from elsewhere, and only the last leads back to it. */
function loopsOf(blocks: readonly Block[], numbers: ReadonlyMap<number, number>): number[][] {
  const successors = blocks.map((block) => successorsOf(block).flatMap((offset) => numbers.get(offset) ?? []));
  const comeTo = new Int32Array(blocks.length);
  // The region's own entry is another way to a block.
  comeTo[0] = 1;
  for (const to of successors.flat()) comeTo[to]++;
  const wayBack = (head: number, from: number, length: number): number[] | null => {
    if (successors[from].includes(head)) return [from];
    if (length === BLOCKS_MAX) return null;
    for (const to of successors[from]) {
      const rest = comeTo[to] === 1 ? wayBack(head, to, length + 1) : null;
      if (rest) return [from, ...rest];
    }
    return null;
  };
  const loops: number[][] = [];
  const taken = new Set<number>();
  for (let head = 0; head < blocks.length; head++) {
    if (taken.has(head)) continue;
    const loop = wayBack(head, head, 1);
    if (!loop) continue;
    loops.push(loop);
    for (const index of loop) taken.add(index);
  }
  return loops;
}
