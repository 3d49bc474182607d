/** Calls of a function: found by its entry, then followed to where they return. */

import { PROBES_MAX } from '../vmm/probes.ts';
import { PPN_MASK } from '../vmm/riscv/inspect.ts';
import { type ScanRequest, type ScanResult, type ScanRow, scan, watch } from './scan.ts';
import type { Timeline, Travel } from './timeline.ts';
import { type NumberedStop, Watcher } from './watcher.ts';

export interface Call {
  /** a0 to a7 at the entry. */
  readonly arguments: readonly bigint[];
  /** Value of ra at the entry. */
  readonly returnAddress: bigint;
  /**
   * Position after the return, and a0 and a1 there; null for a call that has not returned within `RETURN_STEPS_MAX` steps after the last
   * call that was found with it, or by the end of the trace.
   */
  readonly returned: { readonly position: number; readonly a0: bigint; readonly a1: bigint } | null;
}

/** Calls that never return are many in a kernel: the search for a return ends somewhere. */
const RETURN_STEPS_MAX = 2 ** 30;

const ARGUMENTS = Array.from({ length: 8 }, (_, n) => `a${n}`);
const ENTRY = [...ARGUMENTS, 'ra', 'sp', 'satp'];
const [A0, A1, SP] = [10, 11, 2];

interface Pending {
  readonly position: number;
  readonly ra: bigint;
  readonly sp: bigint;
  readonly root: bigint;
  returned: Call['returned'];
}

/** Hits of breakpoints at a function's entry, each with the call that it is. */
export function* scanCalls(timeline: Timeline, request: ScanRequest): Travel<ScanResult> {
  const shown = request.print.length;
  const { rows, resume } = yield* scan(timeline, { ...request, print: [...request.print, ...ENTRY] });
  const pending = rows.map(({ hit, values }): Pending => {
    const [ra, sp, satp] = values.slice(shown + ARGUMENTS.length) as bigint[];
    return { position: hit.position, ra, sp, root: satp & PPN_MASK, returned: null };
  });
  const addresses = [...new Set(pending.map(({ ra }) => ra))];
  for (let at = 0; at < addresses.length; at += PROBES_MAX) {
    yield* follow(timeline, pending, addresses.slice(at, at + PROBES_MAX));
  }
  return {
    resume,
    rows: rows.map((row, i): ScanRow => {
      const found = row.values.slice(shown, shown + ARGUMENTS.length) as bigint[];
      const { ra, returned } = pending[i];
      return { ...row, values: row.values.slice(0, shown), call: { arguments: found, returnAddress: ra, returned } };
    }),
  };
}

/** Finds the returns to some addresses: there, with the stack pointer of the entry, the latest call that is open has returned. */
function* follow(timeline: Timeline, pending: readonly Pending[], addresses: readonly bigint[]): Travel<void> {
  const { machine } = timeline;
  const open = pending.filter(({ ra }) => addresses.includes(ra));
  let left = open.length;
  const stops: NumberedStop[] = addresses.map((address, id) => ({ id, spec: { kind: 'breakpoint', address } }));
  const watcher = new Watcher(machine, stops);
  yield* timeline.travel(open[0].position);
  const to = Math.min(timeline.end, open[open.length - 1].position + RETURN_STEPS_MAX);
  try {
    yield* watch(timeline, watcher, to, ({ position, hart, pc }) => {
      const { cpu } = machine;
      const [sp, root] = [cpu.x(hart, SP), cpu.get(hart, 'satp') & PPN_MASK];
      const call = open.findLast(
        (one) => one.position < position && !one.returned && one.ra === pc && one.sp === sp && one.root === root,
      );
      if (!call) return false;
      call.returned = { position, a0: cpu.x(hart, A0), a1: cpu.x(hart, A1) };
      return --left === 0;
    });
  } finally {
    watcher.disarm();
  }
}
