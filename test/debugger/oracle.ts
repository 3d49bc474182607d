/** A stretch of a trace taken step by step, with everything noted: what stops find is held against it. */
import { Timeline } from '../../src/replay/timeline.ts';
import type { TraceReader } from '../../src/trace/index.ts';
import { readPhysical } from '../../src/vmm/riscv/inspect.ts';

export interface OracleStep {
  readonly position: number;
  readonly hart: number;
  readonly pc: bigint;
  /** Register and memory values before the step and after it. */
  readonly before: Seen;
  readonly after: Seen;
}

interface Seen {
  readonly privilege: number;
  readonly scause: bigint;
  readonly sepc: bigint;
  readonly a0: bigint;
  readonly a7: bigint;
  readonly sp: bigint;
  readonly satp: bigint;
  readonly nextPc: bigint;
  readonly traps: bigint;
  readonly memory: readonly string[];
}

/** Takes the steps `from <= position < to` one by one; `watched` are physical ranges. */
export function takeSteps(
  trace: TraceReader,
  from: number,
  to: number,
  watched: readonly { readonly address: bigint; readonly length: number }[],
): OracleStep[] {
  const timeline = new Timeline(trace);
  const { machine } = timeline;
  const { cpu } = machine;
  const look = (hart: number): Seen => ({
    privilege: cpu.get32(hart, 'privilege'),
    scause: cpu.get(hart, 'scause'),
    sepc: cpu.get(hart, 'sepc'),
    a0: cpu.x(hart, 10),
    a7: cpu.x(hart, 17),
    sp: cpu.x(hart, 2),
    satp: cpu.get(hart, 'satp'),
    nextPc: cpu.get(hart, 'pc'),
    traps: cpu.get(hart, 'traps'),
    memory: watched.map(({ address, length }) => Buffer.from(readPhysical(machine, address, length)!).toString('hex')),
  });
  timeline.seek(from);
  const steps: OracleStep[] = [];
  for (let position = from; position < to; position++) {
    const before = Array.from({ length: cpu.harts }, (_, hart) => look(hart));
    const counts = before.map((_, hart) => cpu.get(hart, 'steps'));
    timeline.seek(position + 1);
    const hart = counts.findIndex((count, n) => cpu.get(n, 'steps') !== count);
    steps.push({ position, hart, pc: before[hart].nextPc, before: before[hart], after: look(hart) });
  }
  return steps;
}
