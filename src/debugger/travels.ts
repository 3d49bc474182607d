/** Stepping: from where the machine is to where one step of a hart, forward or back, leads. */

import { scan, watch } from '../replay/scan.ts';
import type { StopSpec } from '../replay/stop-spec.ts';
import type { Timeline, Travel } from '../replay/timeline.ts';
import { type NumberedStop, Watcher } from '../replay/watcher.ts';
import { activeSatp, readVirtual } from '../vmm/riscv/inspect.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';

export type StepHart = number | 'machine';

/** Where a hart stands, as far as returning to it can be told: an interrupt's handler comes back to just this. */
interface Context {
  readonly hart: number;
  readonly pc: bigint;
  readonly sp: bigint;
  readonly privilege: number;
}

const SP = 2;
/** An interrupt's handler that began longer ago than this is not looked for. */
const HANDLER_STEPS_MAX = 2 ** 26;

export function contextOf({ cpu }: VirtMachine, hart: number): Context {
  return { hart, pc: cpu.get(hart, 'pc'), sp: cpu.x(hart, SP), privilege: cpu.get32(hart, 'privilege') };
}

/**
 * One step of a hart forward. Returns the hart that took it; null if the trace ended before. One that ends in an interrupt's handler has it as the last
 * step; with `open` the machine lives on from that end, and what returns from the handler is given instead.
 */
export function* stepForward(
  timeline: Timeline,
  hart: StepHart,
  intoInterrupts: boolean,
  open: boolean,
): Travel<number | StopSpec | null> {
  for (;;) {
    const interrupted: { context: Context | null } = { context: null };
    const stepped = yield* rawStep(timeline, hart, interrupted);
    if (stepped === null || intoInterrupts || !interrupted.context) return stepped;
    const stop = returnStop(interrupted.context);
    if (yield* runUntilReturn(timeline, stop, open)) continue;
    return open ? stop : stepped;
  }
}

function* rawStep(timeline: Timeline, hart: StepHart, interrupted: { context: Context | null }): Travel<number | null> {
  const { machine, end } = timeline;
  if (timeline.position >= end) return null;
  let stepped = machine.currentHart;
  if (hart !== 'machine' && machine.cpu.harts > 1) {
    machine.turn = (next) => next === hart;
    try {
      if (!(yield* timeline.runUntil(end))) return null;
    } finally {
      machine.turn = null;
    }
  }
  machine.turn = (next) => {
    stepped = next;
    interrupted.context = contextOf(machine, next);
    return false;
  };
  const before = interrupted;
  let taken = false;
  machine.probes.set({ interrupts: true }, () => {
    taken = true;
    return false;
  });
  try {
    const to = timeline.position + 1;
    yield* timeline.runUntil(to);
  } finally {
    machine.turn = null;
    machine.probes.clear();
  }
  if (!taken) before.context = null;
  return stepped;
}

/** Where an interrupt's handler returns to what it interrupted. */
export function returnStop({ hart, pc, sp, privilege }: Context): StopSpec {
  return { kind: 'breakpoint', address: pc, hart, condition: `sp == ${sp} && priv == ${privilege}` };
}

/** Runs on to a stop. False if the trace ends before; the machine is back where it was then, but for an open one's end. */
function* runUntilReturn(timeline: Timeline, stop: StopSpec, open: boolean): Travel<boolean> {
  const from = timeline.position;
  const watcher = new Watcher(timeline.machine, [{ id: 1, spec: stop }]);
  let back = false;
  try {
    back = yield* watch(timeline, watcher, timeline.end, () => true);
  } finally {
    watcher.disarm();
  }
  yield* timeline.travel(back || open ? timeline.position : from, true);
  return back;
}

/** To before the last step of a hart. Returns the hart that took it; null if there is none. */
export function* stepBack(timeline: Timeline, hart: StepHart, intoInterrupts: boolean): Travel<number | null> {
  for (;;) {
    const after = timeline.position;
    const step = yield* lastStep(timeline, hart, after);
    if (!step) return null;
    const resumed = contextOf(timeline.machine, step.hart);
    yield* timeline.travel(step.position);
    if (intoInterrupts || !returnsFromTrap(timeline, step.hart)) return step.hart;
    const handled = yield* interruptBefore(timeline, resumed, step.position);
    if (handled === null) {
      yield* timeline.travel(step.position);
      return step.hart;
    }
    yield* timeline.travel(handled);
  }
}

/** The last step before a position that a hart took. */
function* lastStep(
  timeline: Timeline,
  hart: StepHart,
  before: number,
): Travel<{ position: number; hart: number } | null> {
  const { machine } = timeline;
  if (before === 0) return null;
  if (machine.cpu.harts === 1) return { position: before - 1, hart: 0 };
  // Farther and farther back, until the hart has had a turn; it is in the last one that the step lies.
  for (let distance = 2 ** 10; ; distance *= 4) {
    const from = Math.max(0, before - distance);
    if (hart === 'machine' || from === 0 || (yield* hasStepped(timeline, hart, from, before))) {
      yield* timeline.travel(from);
      const turns: { position: number; hart: number }[] = [];
      machine.turn = (next) => {
        if (turns.at(-1)?.hart !== next) turns.push({ position: timeline.position, hart: next });
        return false;
      };
      try {
        yield* timeline.runUntil(before);
      } finally {
        machine.turn = null;
      }
      const last = turns.findLastIndex((turn) => hart === 'machine' || turn.hart === hart);
      if (last >= 0) return { position: (turns[last + 1]?.position ?? before) - 1, hart: turns[last].hart };
      if (from === 0) return null;
    }
  }
}

/** Whether a hart took a step in a stretch. The machine is at its end, before and after. */
function* hasStepped(timeline: Timeline, hart: number, from: number, to: number): Travel<boolean> {
  const { cpu } = timeline.machine;
  const after = cpu.get(hart, 'steps');
  yield* timeline.travel(from);
  const before = cpu.get(hart, 'steps');
  yield* timeline.travel(to);
  return before !== after;
}

const SRET = 0x10200073;
const MRET = 0x30200073;

function returnsFromTrap({ machine }: Timeline, hart: number): boolean {
  const bytes = readVirtual(machine, hart, machine.cpu.get(hart, 'pc'), 4);
  if (!bytes) return false;
  const bits = new DataView(bytes.buffer).getUint32(0, true);
  return bits === SRET || bits === MRET;
}

/** Where the interrupt was taken whose handler has just returned to a context; null if it was another trap that did. */
function* interruptBefore(timeline: Timeline, context: Context, before: number): Travel<number | null> {
  const { hart, pc, sp } = context;
  const epc = '(priv == 3 ? mepc : sepc)';
  // A system call returns behind its instruction, everything else to where it was.
  const condition = `(${epc} == ${pc} || ${epc} == ${pc - 4n}) && sp == ${sp}`;
  const stops: NumberedStop[] = [
    { id: 1, spec: { kind: 'interrupt', hart, condition } },
    { id: 2, spec: { kind: 'trap', hart, condition } },
  ];
  for (let to = before, distance = 2 ** 12; distance <= HANDLER_STEPS_MAX && to > 0; distance *= 4) {
    const from = Math.max(0, before - distance);
    const { rows } = yield* scan(timeline, { from, to, stops, order: 'newest', keep: 1, print: [] });
    const last = rows.at(-1)?.hit;
    if (last) return last.stop === 1 ? last.position : null;
    to = from;
  }
  return null;
}

/** Length of the call instruction at an address as a hart sees it; 0 if it is none. Calls link to x1 or x5 (unprivileged specification, 2.5.1). */
export function callLength(machine: VirtMachine, hart: number, address: bigint): number {
  const low = readVirtual(machine, hart, address, 2);
  if (!low) return 0;
  const first = low[0] | (low[1] << 8);
  if ((first & 3) !== 3) {
    // c.jalr: funct4 1001, a register, no second one.
    return (first & 0xf07f) === 0x9002 && (first >> 7) % 32 !== 0 ? 2 : 0;
  }
  const opcode = first & 0x7f;
  const link = (first >> 7) & 0x1f;
  return (opcode === 0x6f || opcode === 0x67) && (link === 1 || link === 5) ? 4 : 0;
}

/** Whether a function's return is at an address as a hart sees it: a jump to x1 or x5 that links nowhere. */
export function isReturn(machine: VirtMachine, hart: number, address: bigint): boolean {
  const low = readVirtual(machine, hart, address, 2);
  if (!low) return false;
  const first = low[0] | (low[1] << 8);
  if ((first & 3) !== 3) return first === 0x8082 || first === 0x8282;
  const high = readVirtual(machine, hart, address + 2n, 2);
  if (!high) return false;
  const bits = (first | (high[0] << 16) | (high[1] << 24)) >>> 0;
  const source = (bits >>> 15) & 0x1f;
  return (bits & 0x7fff) === 0x67 && (source === 1 || source === 5);
}

/** The root of the page tables that a hart translates by, as a stop's `space`; undefined where it does not translate. */
export function spaceOf(machine: VirtMachine, hart: number): bigint | undefined {
  const satp = activeSatp(machine, hart);
  return satp >> 60n === 0n ? undefined : satp;
}
