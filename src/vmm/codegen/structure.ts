/**
 * From a graph of blocks to the structured control flow of WebAssembly. Each block is emitted at its place in the dominator tree: one that
 * several jumps meet at goes behind the end of a WebAssembly block, one that is jumped back to begins a loop, and all others stand where
 * the only jump to them is (N. Ramsey, "Beyond Relooper", ICFP 2022). A jump into the middle of a loop has no such
 * form; those are given up.
 */

export class Structure {
  /** Reachable blocks in reverse postorder. */
  readonly order: readonly number[];
  /** The jumps that have a form, by block. */
  readonly successors: readonly (readonly number[])[];
  /** Place of a block in the order; -1 where it is not reachable. */
  readonly #place: Int32Array;
  readonly #loops = new Set<number>();
  readonly #forward: Int32Array;
  readonly #mergesBehind: readonly (readonly number[])[];

  /** `successors` has the jumps of each block; blocks are numbered from 0, which is the entry. */
  constructor(successors: readonly (readonly number[])[]) {
    let kept = successors;
    for (;;) {
      const order = reversePostorder(kept);
      const place = new Int32Array(successors.length).fill(-1);
      order.forEach((block, i) => {
        place[block] = i;
      });
      const dominator = dominators(order, place, kept);
      const structured = withoutJumpsIntoLoops(order, place, dominator, kept);
      if (structured !== kept) {
        kept = structured;
        continue;
      }
      this.order = order;
      this.successors = kept;
      this.#place = place;
      this.#forward = new Int32Array(successors.length);
      for (const from of order) {
        for (const to of kept[from]) {
          if (this.isBack(from, to)) this.#loops.add(to);
          else this.#forward[to]++;
        }
      }
      const behind: number[][] = successors.map(() => []);
      for (const block of order) if (this.isMerge(block)) behind[dominator[block]].push(block);
      this.#mergesBehind = behind;
      return;
    }
  }

  /** False for a jump that was given up. */
  follows(from: number, to: number): boolean {
    return this.successors[from].includes(to);
  }
  isBack(from: number, to: number): boolean {
    return this.#place[to] <= this.#place[from];
  }
  /** For each block the innermost loop around it, as all blocks of that loop; undefined where there is none. */
  innermostLoops(): (ReadonlySet<number> | undefined)[] {
    const predecessors: number[][] = this.successors.map(() => []);
    for (const from of this.order) for (const to of this.successors[from]) predecessors[to].push(from);
    const innermost: (ReadonlySet<number> | undefined)[] = this.successors.map(() => undefined);
    // A loop comes before the loops in it, so that the last one that has a block is the innermost.
    for (const header of this.order) {
      if (!this.#loops.has(header)) continue;
      const loop = new Set([header]);
      const work = predecessors[header].filter((from) => this.isBack(from, header));
      for (let block = work.pop(); block !== undefined; block = work.pop()) {
        if (loop.has(block)) continue;
        loop.add(block);
        work.push(...predecessors[block]);
      }
      for (const block of loop) innermost[block] = loop;
    }
    return innermost;
  }
  isLoop(block: number): boolean {
    return this.#loops.has(block);
  }
  /** Several jumps forward meet there. */
  isMerge(block: number): boolean {
    return this.#forward[block] > 1;
  }
  /** The merges that belong right behind a block, in the order in which they follow it. */
  mergesBehind(block: number): readonly number[] {
    return this.#mergesBehind[block];
  }
}

type Edges = readonly (readonly number[])[];

function reversePostorder(successors: Edges): number[] {
  const seen = new Uint8Array(successors.length);
  const postorder: number[] = [];
  const stack: { block: number; rest: number[] }[] = [];
  const enter = (block: number) => {
    seen[block] = 1;
    // Taken from the end: the first successor comes first in the reversed order.
    stack.push({ block, rest: [...successors[block]] });
  };
  enter(0);
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const next = top.rest.pop();
    if (next === undefined) {
      postorder.push(top.block);
      stack.pop();
    } else if (!seen[next]) {
      enter(next);
    }
  }
  return postorder.reverse();
}

/** Immediate dominators (Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm"). */
function dominators(order: readonly number[], place: Int32Array, successors: Edges): Int32Array {
  const dominator = new Int32Array(place.length).fill(-1);
  const predecessors: number[][] = Array.from(place, () => []);
  for (const from of order) for (const to of successors[from]) predecessors[to].push(from);
  const meet = (a: number, b: number) => {
    let [x, y] = [a, b];
    while (x !== y) {
      while (place[x] > place[y]) x = dominator[x];
      while (place[y] > place[x]) y = dominator[y];
    }
    return x;
  };
  dominator[order[0]] = order[0];
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of order.slice(1)) {
      let found = -1;
      for (const before of predecessors[block]) {
        if (dominator[before] >= 0) found = found < 0 ? before : meet(before, found);
      }
      if (dominator[block] !== found) {
        dominator[block] = found;
        changed = true;
      }
    }
  }
  return dominator;
}

/** The jumps without those back to a block that does not dominate where they come from; the very same where there are none. */
function withoutJumpsIntoLoops(
  order: readonly number[],
  place: Int32Array,
  dominator: Int32Array,
  successors: Edges,
): Edges {
  const dominates = (block: number, other: number) => {
    let at = other;
    while (place[at] > place[block]) at = dominator[at];
    return at === block;
  };
  let kept: (readonly number[])[] | null = null;
  for (const from of order) {
    const structured = successors[from].filter((to) => place[to] > place[from] || dominates(to, from));
    if (structured.length === successors[from].length) continue;
    kept ??= [...successors];
    kept[from] = structured;
  }
  return kept ?? successors;
}
