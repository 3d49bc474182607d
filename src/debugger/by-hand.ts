/** What an operator has changed by hand, among the answers to who wrote what: from the trace's inputs, without a replay. */
import type { ScanRow } from '../replay/scan.ts';
import type { StopSpec } from '../replay/stop-spec.ts';
import type { NumberedStop } from '../replay/watcher.ts';
import type { TraceReader } from '../trace/index.ts';
import { type Change, isChange } from '../vmm/inputs.ts';
import { sameRegister } from '../vmm/riscv/registers.ts';

/**
 * Rows of the changes in `from <= position <= to`, ascending: what was changed at a position is there when the machine comes to it. A stop that is for a hart, or
 * has a condition, is about steps, of which these are none; so is one that means memory by a virtual address.
 */
export function changesByHand(
  trace: TraceReader,
  stops: readonly NumberedStop[],
  [from, to]: readonly [number, number],
  timeAt: (position: number) => number,
): ScanRow[] {
  const rows: ScanRow[] = [];
  if (!stops.some(({ spec }) => spec.kind === 'watch' || spec.kind === 'register')) return rows;
  for (const { position, input } of trace.inputs(from, to + 1)) {
    if (!isChange(input)) continue;
    for (const { id, spec } of stops) {
      if (!concerns(spec, input)) continue;
      const hit = { stop: id, position, ...whatOf(input, spec) };
      rows.push({ hit, timeNs: timeAt(position), values: [] });
    }
  }
  return rows;
}

function concerns(spec: StopSpec, change: Change): boolean {
  if (spec.condition !== undefined) return false;
  if (spec.kind === 'register') {
    const isHart = spec.hart === undefined || (change.kind === 'register' && spec.hart === change.hart);
    return change.kind === 'register' && isHart && sameRegister(spec.register, change.register);
  }
  if (spec.kind !== 'watch' || change.kind !== 'memory' || spec.hart !== undefined) return false;
  if (spec.physical !== true || spec.access === 'read') return false;
  const [first, end] = [BigInt(change.address), BigInt(change.address + change.data.length)];
  return first < spec.address + BigInt(spec.length) && spec.address < end;
}

function whatOf(change: Change, spec: StopSpec): Pick<ScanRow['hit'], 'hart' | 'pc' | 'detail'> {
  if (change.kind === 'register') return { hart: change.hart, pc: 0n, detail: { byHand: true, after: change.value } };
  const { address, data } = change;
  const where = { address: BigInt(address), length: data.length };
  const after = spec.kind === 'watch' ? valueIn(data, Number(spec.address) - address, spec.length) : {};
  return { hart: 0, pc: 0n, detail: { byHand: true, access: 'write', ...where, ...after } };
}

/** The watched bytes as a number, if all of them were changed. */
function valueIn(data: Uint8Array, at: number, length: number): { after?: bigint } {
  if (at < 0 || at + length > data.length || length > 8) return {};
  return { after: data.subarray(at, at + length).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n) };
}

/** Rows of a search, batch by batch in its order, with those by hand between. */
export async function* merged(
  batches: AsyncIterable<readonly ScanRow[]>,
  byHand: readonly ScanRow[],
  order: 'oldest' | 'newest',
): AsyncGenerator<readonly ScanRow[], void> {
  const left = order === 'oldest' ? [...byHand] : [...byHand].reverse();
  // A change at a position comes before the step that begins there.
  const comesFirst = (change: ScanRow, step: ScanRow) =>
    order === 'oldest' ? change.hit.position <= step.hit.position : change.hit.position > step.hit.position;
  for await (const rows of batches) {
    const all: ScanRow[] = [];
    for (const row of rows) {
      while (left.length > 0 && comesFirst(left[0], row)) all.push(left.shift()!);
      all.push(row);
    }
    yield all;
  }
  if (left.length > 0) yield left;
}
