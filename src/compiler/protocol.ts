/** What the compiler's thread is sent and sends back. */
import { assert } from '../base/assert.ts';
import type { Block, BlockEnd, Placed } from '../vmm/riscv/blocks.ts';
import { decode } from '../vmm/riscv/decoder.ts';
import type { RegionPlan } from '../vmm/riscv/region.ts';

/**
 * A plan as words, since copying many small objects to another thread takes longer than planning: whether stores beside code are done, the number of hot blocks and their starts, the number of pages, and for each its number and
 * its records; then for each block its start, the kind of its end, the number of offsets that it goes on to, those offsets, the number of
 * its instructions, and their bits. What bits mean is the same everywhere.
 */
export type PackedPlan = Int32Array;

export interface CompileRequest {
  readonly plans: readonly PackedPlan[];
  readonly counting: boolean;
}
export type CompileReply =
  /** Comes first, without a request. */
  | { readonly kind: 'up' }
  | { readonly kind: 'compiled'; readonly module: WebAssembly.Module; readonly imports: readonly string[] }
  | { readonly kind: 'failed'; readonly stack: string };

const END_KINDS = ['branch', 'goto', 'call', 'return', 'indirect', 'stop'] as const satisfies BlockEnd['kind'][];

export function packPlan({ blocks, records, besideCode, hot }: RegionPlan): PackedPlan {
  const words: number[] = [besideCode ? 1 : 0, hot.length, ...hot, records.size];
  for (const [page, address] of records) words.push(page, address);
  for (const { start, instructions, end } of blocks) {
    const offsets = offsetsOf(end);
    words.push(start, END_KINDS.indexOf(end.kind), offsets.length, ...offsets, instructions.length);
    for (const { decoded } of instructions) words.push(decoded.bits);
  }
  return Int32Array.from(words);
}

export function unpackPlan(words: PackedPlan): RegionPlan {
  let at = 0;
  const next = () => words[at++];
  const some = (count: number) => {
    at += count;
    return words.subarray(at - count, at);
  };
  const besideCode = next() === 1;
  const hot = [...some(next())];
  const records = new Map<number, number>();
  for (let pages = next(); pages > 0; pages--) records.set(next(), next() >>> 0);
  const blocks: Block[] = [];
  while (at < words.length) {
    const start = next();
    const kind = END_KINDS[next()];
    const end = endOf(kind, [...some(next())]);
    blocks.push({ start, instructions: placed(start, some(next())), end });
  }
  return { blocks, records, besideCode, hot };
}

function offsetsOf(end: BlockEnd): readonly number[] {
  switch (end.kind) {
    case 'branch':
      return [end.taken, end.next];
    case 'goto':
      return [end.to];
    case 'call':
      return [end.to, end.link];
    case 'return':
      return end.to;
    case 'indirect':
      return [];
    case 'stop':
      return [end.at];
  }
}

function endOf(kind: BlockEnd['kind'], offsets: readonly number[]): BlockEnd {
  const [first, second] = offsets;
  switch (kind) {
    case 'branch':
      return { kind, taken: first, next: second };
    case 'goto':
      return { kind, to: first };
    case 'call':
      return { kind, to: first, link: second };
    case 'return':
      return { kind, to: offsets };
    case 'indirect':
      return { kind };
    case 'stop':
      return { kind, at: first };
  }
}

function placed(start: number, bits: Int32Array): Placed[] {
  let offset = start;
  return Array.from(bits, (word): Placed => {
    const decoded = decode(word);
    assert(decoded, 'what was planned is an instruction');
    const at = offset;
    offset += decoded.length;
    return { offset: at, decoded };
  });
}
