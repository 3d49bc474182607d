/** What the compiler's thread is sent and sends back. */
import { assert } from '../base/assert.ts';
import type { Block, BlockEnd, Placed } from '../vmm/riscv/blocks.ts';
import { decode } from '../vmm/riscv/decoder.ts';
import type { RegionPlan } from '../vmm/riscv/region.ts';

/** Instructions travel as their bits: what they mean is the same everywhere. */
interface PackedPlan {
  readonly blocks: readonly { readonly start: number; readonly bits: Int32Array; readonly end: BlockEnd }[];
  readonly records: ReadonlyMap<number, number>;
}

export interface CompileRequest {
  readonly plans: readonly PackedPlan[];
  readonly counting: boolean;
}
export type CompileReply =
  | { readonly kind: 'compiled'; readonly module: WebAssembly.Module; readonly imports: readonly string[] }
  | { readonly kind: 'failed'; readonly stack: string };

export function packPlan({ blocks, records }: RegionPlan): PackedPlan {
  return {
    blocks: blocks.map(({ start, instructions, end }) => {
      return { start, bits: Int32Array.from(instructions, ({ decoded }) => decoded.bits), end };
    }),
    records,
  };
}

export function unpackPlan({ blocks, records }: PackedPlan): RegionPlan {
  const unpacked = blocks.map(({ start, bits, end }): Block => {
    let offset = start;
    const instructions = Array.from(bits, (word): Placed => {
      const decoded = decode(word);
      assert(decoded, 'what was planned is an instruction');
      const placed = { offset, decoded };
      offset += decoded.length;
      return placed;
    });
    return { start, instructions, end };
  });
  return { blocks: unpacked, records };
}
