/** The first position at which two recordings differ, and in what. */
import { UserError } from '../base/assert.ts';
import { StateReader, type StateValue } from '../base/state.ts';
import type { TraceReader } from '../trace/index.ts';
import { PAGE_BYTES, RAM_BASE } from '../vmm/layout.ts';
import { Timeline } from './timeline.ts';

export interface Difference {
  /** The first position at which the states differ; `null` if they are equal as far as both go. */
  readonly position: number | null;
  /** Where both recordings still go on, or the shorter one ends. */
  readonly common: number;
  /** Names, with the value in each: registers and device state, then memory. */
  readonly details: readonly { readonly name: string; readonly a: string; readonly b: string }[];
}

const DETAILS_MAX = 64;
const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i]);

export function diff(a: TraceReader, b: TraceReader, progress?: (low: number, high: number) => void): Difference {
  const [left, right] = [new Timeline(a), new Timeline(b)];
  const common = Math.min(left.end, right.end);
  const equalAt = (position: number) => {
    left.seek(position);
    right.seek(position);
    return same(left.machine.digest(), right.machine.digest());
  };
  if (left.machine.pages.count !== right.machine.pages.count || left.machine.cpu.harts !== right.machine.cpu.harts) {
    throw new UserError(
      `${a.name} and ${b.name}: recordings of different machines; diff needs the same memory, harts and disks`,
    );
  }
  if (!equalAt(0)) return { position: 0, common, details: compareStates(left, right) };
  let low = 0;
  // Checkpoints that both have at the same position tell without replaying.
  const other = new Map(b.checkpoints.map((c) => [c.position, c.digest]));
  let high = common;
  for (const { position, digest } of a.checkpoints) {
    const digestB = other.get(position);
    if (!digestB || position > common) continue;
    if (same(digest, digestB)) low = position;
    else {
      high = position;
      break;
    }
  }
  if (high === common && equalAt(common)) return { position: null, common, details: [] };
  while (high - low > 1) {
    progress?.(low, high);
    const middle = Math.floor((low + high) / 2);
    if (equalAt(middle)) low = middle;
    else high = middle;
  }
  left.seek(high);
  right.seek(high);
  return { position: high, common, details: compareStates(left, right) };
}

function compareStates(left: Timeline, right: Timeline): Difference['details'] {
  const details: { name: string; a: string; b: string }[] = [];
  const [a, b] = [left, right].map((r) => {
    const { snapshot } = r.machine.snapshot();
    return { machine: r.machine, snapshot };
  });
  const values = new Map(new StateReader(b.snapshot.state).entries());
  for (const [name, value] of new StateReader(a.snapshot.state).entries()) {
    const [va, vb] = [valueText(value), valueText(values.get(name))];
    if (va !== vb) details.push({ name, a: va, b: vb });
  }
  for (let page = 0; page < a.machine.pages.count && details.length < DETAILS_MAX; page++) {
    const [pa, pb] = [a.machine.pages.read(page), b.machine.pages.read(page)];
    if (!pa && !pb) continue;
    const zeros = new Uint8Array(PAGE_BYTES);
    const [da, db] = [pa ?? zeros, pb ?? zeros];
    const at = da.findIndex((byte, i) => byte !== db[i]);
    if (at < 0) continue;
    const word = at & ~7;
    const text = (bytes: Uint8Array) =>
      Buffer.from(bytes.subarray(word, word + 8))
        .reverse()
        .toString('hex');
    const name =
      page < a.machine.pages.ramPages
        ? `memory 0x${(RAM_BASE + page * PAGE_BYTES + word).toString(16)}`
        : `disk block ${page - a.machine.pages.ramPages}, offset ${word}`;
    details.push({ name, a: `0x${text(da)}`, b: `0x${text(db)}` });
  }
  a.machine.pages.release(a.snapshot.pages);
  b.machine.pages.release(b.snapshot.pages);
  return details;
}

function valueText(value: StateValue | undefined): string {
  if (value === undefined) return 'absent';
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (value instanceof Uint8Array) {
    const text = Buffer.from(value.subarray(0, 16)).toString('hex');
    return `${value.length} bytes ${text}${value.length > 16 ? '...' : ''}`;
  }
  return JSON.stringify(value);
}
