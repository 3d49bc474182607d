/** Linked lists and trees of the kernel. Each is gone through with a limit and an eye on circles: memory may hold anything. */
import { Unavailable } from '../symbols/index.ts';
import type { Kernel } from './kernel.ts';
import type { KernelObject } from './object.ts';

/** What was found before something could not be read, or made no sense; `problem` says what and where. */
export interface Found<T> {
  readonly items: readonly T[];
  readonly problem: string | null;
}

/** All that a generator gives, up to where it fails. */
export function collect<T>(items: () => Iterable<T>): Found<T> {
  const found: T[] = [];
  try {
    for (const item of items()) found.push(item);
    return { items: found, problem: null };
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return { items: found, problem: error.message };
  }
}

/** More entries than this no list of the kernel has that a person looks at. */
const ENTRIES_MAX = 100_000;
const DEPTH_MAX = 128;

export const hex = (address: bigint) => `0x${address.toString(16)}`;

/** Notes each entry of something; an address that comes twice, or that no object can have, is where it is garbled. */
export class Walk {
  readonly #seen = new Set<bigint>();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  visit(address: bigint, from: bigint): void {
    const where = `${this.#name} is garbled: the entry at ${hex(from)} leads`;
    if (address === 0n) throw new Unavailable(`${where} nowhere`);
    if (address % 8n !== 0n) throw new Unavailable(`${where} to ${hex(address)}, where no entry can be`);
    if (this.#seen.has(address)) throw new Unavailable(`${where} back to ${hex(address)}`);
    if (this.#seen.size === ENTRIES_MAX) throw new Unavailable(`${this.#name} has more than ${ENTRIES_MAX} entries`);
    this.#seen.add(address);
  }
}

/** The objects of a `struct list_head`, each holding its entry as a member. */
export function* listOf(
  kernel: Kernel,
  name: string,
  head: KernelObject,
  type: string,
  member: string,
): Generator<KernelObject> {
  const walk = new Walk(name);
  let from = head.address;
  for (let at = head.at('next').pointer; at !== head.address; ) {
    walk.visit(at, from);
    const object = kernel.container(at, type, member);
    yield object;
    from = at;
    at = object.at(member).at('next').pointer;
  }
}

/** The objects of a `struct rb_root`, in their order. */
export function* treeOf(
  kernel: Kernel,
  name: string,
  root: KernelObject,
  type: string,
  member: string,
): Generator<KernelObject> {
  const walk = new Walk(name);
  yield* below(root.at('rb_node').pointer, root.address, 0);

  function* below(node: bigint, from: bigint, depth: number): Generator<KernelObject> {
    if (node === 0n) return;
    if (depth === DEPTH_MAX) throw new Unavailable(`${name} is garbled: it is deeper than ${DEPTH_MAX} nodes`);
    walk.visit(node, from);
    const object = kernel.container(node, type, member);
    const links = object.at(member);
    yield* below(links.at('rb_left').pointer, node, depth + 1);
    yield object;
    yield* below(links.at('rb_right').pointer, node, depth + 1);
  }
}
