/**
 * What a region is made of: the blocks of guest code that are reachable from an entry by jumps whose targets are known. Calls are followed
 * into functions that are called often, and their returns back to where they were called from.
 *
 * Offsets are bytes from the start of the entry's page, and may lie on other pages, before or behind it.
 */
import { PAGE_BYTES, PAGE_SHIFT } from '../layout.ts';
import { type Decoded, decode } from './decoder.ts';
import { SYSTEM } from './insns/system.ts';

/** Bounds the size of a region, and with it the time that V8's optimising compiler takes for it. */
const INSTRUCTIONS_MAX = 600;
const BLOCK_INSTRUCTIONS_MAX = 100;
/** Places that one return may go back to within a region: each costs a comparison. */
const RETURNS_MAX = 8;

/** Offsets are 32-bit numbers. */
const NEAR = 2 ** 31 - 2 ** 12;

const LEFT_TO_INTERPRETER = new Set([
  ...SYSTEM.map((instruction) => instruction.name),
  ...['ecall', 'ebreak', 'fence.i', 'pause'],
]);
const BRANCHES = new Set(['beq', 'bne', 'blt', 'bge', 'bltu', 'bgeu']);
/** Registers that hold return addresses by convention (unprivileged specification, 2.5.1). */
const isLink = (register: number) => register === 1 || register === 5;

/** The instruction ends its block and says where to go on. */
export function isJump({ instruction }: Decoded): boolean {
  return BRANCHES.has(instruction.name) || instruction.name === 'jal' || instruction.name === 'jalr';
}

export interface Placed {
  readonly offset: number;
  readonly decoded: Decoded;
}

/** How a block goes on. */
export type BlockEnd =
  | { readonly kind: 'branch'; readonly taken: number; readonly next: number }
  | { readonly kind: 'goto'; readonly to: number }
  | { readonly kind: 'call'; readonly to: number; readonly link: number }
  /** To the caller, which is one of `to` if it belongs to the region. */
  | { readonly kind: 'return'; readonly to: readonly number[] }
  | { readonly kind: 'indirect' }
  /** The instruction at the offset is left to the interpreter. */
  | { readonly kind: 'stop'; readonly at: number };

/** Instructions that run one after the other. They lie on one page. */
export interface Block {
  readonly start: number;
  readonly instructions: readonly Placed[];
  readonly end: BlockEnd;
}

/** A page of code, as the interpreter knows it. */
export interface CodePage {
  /** Reads 16 bits. */
  read(offset: number): number;
  /** Whether the interpreter has come to an offset, and may go on from there unhindered. */
  executed(offset: number): boolean;
  /** Whether the interpreter must come by an offset. */
  stops(offset: number): boolean;
  /** Whether jumps come to an offset often. */
  frequent(offset: number): boolean;
}

export interface CodeSource {
  /** Offset of the entry. */
  readonly entry: number;
  /** The page that lies so many pages behind the entry's; null where nothing is known of it. */
  page(number: number): CodePage | null;
  /** Whether an instruction is left to the interpreter, beside those that always are. */
  leaves(decoded: Decoded): boolean;
}

/** Number of the page that an offset lies on, counted from the entry's. */
export const pageOf = (offset: number) => offset >> PAGE_SHIFT;
const within = (offset: number) => offset & (PAGE_BYTES - 1);

/**
 * The blocks of a region, the entry's first; empty if its first instruction cannot be compiled. Code that was never executed is left out: it is
 * likely to stay so.
 */
export function findBlocks(source: CodeSource): Block[] {
  const found = new Discovery(source).run();
  const blocks = cutAtLeaders(found.scanned, found.leaders);
  if (!blocks.has(source.entry)) return [];
  const rest = [...blocks.values()].filter((block) => block.start !== source.entry);
  return withReturns([blocks.get(source.entry)!, ...rest.sort((a, b) => a.start - b.start)]);
}

class Discovery {
  readonly #source: CodeSource;
  readonly scanned = new Map<number, Block>();
  readonly leaders = new Set<number>();
  readonly #work: number[] = [];
  #total = 0;

  constructor(source: CodeSource) {
    this.#source = source;
  }

  run(): this {
    const calls: { to: number; link: number }[] = [];
    this.#reach(this.#source.entry);
    for (;;) {
      const start = this.#work.pop();
      if (start !== undefined) {
        if (!this.scanned.has(start) && this.#total < INSTRUCTIONS_MAX) this.#follow(this.#scan(start), calls);
        continue;
      }
      // Functions come last: what is left of the size is theirs.
      const call = calls.shift();
      if (!call) return this;
      if (this.#total < INSTRUCTIONS_MAX && this.#known(call.to, 'frequent')) {
        this.#reach(call.to);
        if (this.#known(call.link, 'executed')) this.#reach(call.link);
      }
    }
  }

  #scan(start: number): Block {
    const block = scan(this.#source, start);
    this.scanned.set(start, block);
    this.#total += block.instructions.length;
    return block;
  }

  #follow({ end }: Block, calls: { to: number; link: number }[]): void {
    const tryReach = (offset: number) => {
      if (this.#known(offset, 'executed')) this.#reach(offset);
    };
    if (end.kind === 'branch') {
      tryReach(end.taken);
      tryReach(end.next);
    } else if (end.kind === 'goto') {
      tryReach(end.to);
    } else if (end.kind === 'call') {
      calls.push(end);
    }
  }

  #known(offset: number, how: 'executed' | 'frequent'): boolean {
    return this.#source.page(pageOf(offset))?.[how](within(offset)) ?? false;
  }

  #reach(offset: number): void {
    this.leaders.add(offset);
    this.#work.push(offset);
  }
}

/** The instructions from an offset to the next jump, or to the page's end. */
function scan(source: CodeSource, start: number): Block {
  const page = source.page(pageOf(start))!;
  const instructions: Placed[] = [];
  const block = (end: BlockEnd): Block => ({ start, instructions, end });
  const pageStart = start - within(start);
  /** Registers that hold the address of an offset, for calls of far functions. */
  const addresses = new Map<number, number>();
  let at = start;
  while (instructions.length < BLOCK_INSTRUCTIONS_MAX && at < pageStart + PAGE_BYTES) {
    if (page.stops(within(at))) return block({ kind: 'stop', at });
    const low = page.read(within(at));
    const wide = (low & 3) === 3;
    // An instruction that straddles the page's end belongs to the interpreter, as does one that it must look at.
    if (wide && within(at) + 2 >= PAGE_BYTES) return block({ kind: 'stop', at });
    const decoded = decode(wide ? low | (page.read(within(at) + 2) << 16) : low);
    if (!decoded || LEFT_TO_INTERPRETER.has(decoded.instruction.name) || source.leaves(decoded)) {
      return block({ kind: 'stop', at });
    }
    instructions.push({ offset: at, decoded });
    const { instruction, rd, rs1, imm, length } = decoded;
    const here = at;
    at += length;
    if (BRANCHES.has(instruction.name)) return block({ kind: 'branch', taken: here + imm, next: at });
    if (instruction.name === 'jal') return block(jump(decoded, here + imm, at));
    if (instruction.name === 'jalr') {
      const known = addresses.get(rs1);
      return block(jump(decoded, known === undefined ? null : (known + imm) & ~1, at));
    }
    // In x0 the address does not stay.
    if (instruction.name === 'auipc' && rd !== 0 && Math.abs(here + imm) < NEAR) addresses.set(rd, here + imm);
    else if (instruction.uses.rd) addresses.delete(rd);
  }
  return block({ kind: 'goto', to: at });
}

function jump({ rd, rs1, imm }: Decoded, target: number | null, link: number): BlockEnd {
  if (target !== null) return rd === 0 ? { kind: 'goto', to: target } : { kind: 'call', to: target, link };
  return rd === 0 && isLink(rs1) && imm === 0 ? { kind: 'return', to: [] } : { kind: 'indirect' };
}

/** A block that runs over another one's start ends there. */
function cutAtLeaders(scanned: ReadonlyMap<number, Block>, leaders: ReadonlySet<number>): Map<number, Block> {
  const blocks = new Map<number, Block>();
  for (const block of scanned.values()) {
    const cut = block.instructions.findIndex(
      ({ offset }) => offset !== block.start && scanned.has(offset) && leaders.has(offset),
    );
    const instructions = cut < 0 ? block.instructions : block.instructions.slice(0, cut);
    const end: BlockEnd = cut < 0 ? block.end : { kind: 'goto', to: block.instructions[cut].offset };
    if (instructions.length > 0) blocks.set(block.start, { start: block.start, instructions, end });
  }
  return blocks;
}

/** Offsets that a block may go on to. */
export function successorsOf({ end }: Block): readonly number[] {
  switch (end.kind) {
    case 'branch':
      return [end.next, end.taken];
    case 'goto':
    case 'call':
      return [end.to];
    case 'return':
      return end.to;
    default:
      return [];
  }
}

/** Gives the returns of functions that are called within the region the places behind those calls. */
function withReturns(blocks: readonly Block[]): Block[] {
  const byStart = new Map(blocks.map((block) => [block.start, block]));
  const places = new Map<number, Set<number>>();
  const returnsOf = new Map<number, ReadonlySet<number>>();
  for (const { end } of blocks) {
    if (end.kind !== 'call' || !byStart.has(end.to) || !byStart.has(end.link)) continue;
    const found = returnsOf.get(end.to) ?? returnsFrom(end.to, byStart);
    returnsOf.set(end.to, found);
    for (const start of found) {
      const to = places.get(start) ?? new Set();
      places.set(start, to);
      if (to.size < RETURNS_MAX) to.add(end.link);
    }
  }
  return blocks.map((block) => {
    const to = places.get(block.start);
    return to ? { ...block, end: { kind: 'return', to: [...to] } } : block;
  });
}

/** The returning blocks that a function comes to, itself; what it calls returns to it. */
function returnsFrom(entry: number, byStart: ReadonlyMap<number, Block>): Set<number> {
  const seen = new Set<number>();
  const returns = new Set<number>();
  const work = [entry];
  while (work.length > 0) {
    const block = byStart.get(work.pop()!);
    if (!block || seen.has(block.start)) continue;
    seen.add(block.start);
    const { end } = block;
    if (end.kind === 'return') returns.add(block.start);
    else if (end.kind === 'call') work.push(...(byStart.has(end.to) ? [end.link] : []));
    else work.push(...successorsOf(block));
  }
  return returns;
}
