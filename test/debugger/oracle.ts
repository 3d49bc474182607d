/** A stretch of a trace taken step by step, with everything noted: what stops find is held against it. */
import { Timeline } from '../../src/replay/timeline.ts';
import type { TraceReader } from '../../src/trace/index.ts';
import { readPhysical, walk } from '../../src/vmm/riscv/inspect.ts';

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
  /** Of the last trap, if the step was one: scause, or mcause in machine mode. */
  readonly cause: bigint;
  readonly a0: bigint;
  readonly a7: bigint;
  readonly ra: bigint;
  readonly sp: bigint;
  readonly satp: bigint;
  readonly nextPc: bigint;
  readonly traps: bigint;
  readonly memory: readonly string[];
}

/** A range of memory within a page: physical, or virtual under a value of satp. */
export interface WatchedRange {
  readonly address: bigint;
  readonly length: number;
  readonly satp?: bigint;
}

/** Takes the steps `from <= position < to` one by one. What is not mapped counts as zeros. */
export function takeSteps(
  trace: TraceReader,
  from: number,
  to: number,
  watched: readonly WatchedRange[],
): OracleStep[] {
  const timeline = new Timeline(trace);
  const { machine } = timeline;
  const { cpu } = machine;
  const look = (hart: number): Seen => ({
    privilege: cpu.get32(hart, 'privilege'),
    cause: cpu.get(hart, cpu.get32(hart, 'privilege') === 3 ? 'mcause' : 'scause'),
    a0: cpu.x(hart, 10),
    a7: cpu.x(hart, 17),
    ra: cpu.x(hart, 1),
    sp: cpu.x(hart, 2),
    satp: cpu.get(hart, 'satp'),
    nextPc: cpu.get(hart, 'pc'),
    traps: cpu.get(hart, 'traps'),
    memory: watched.map(({ address, length, satp }) => {
      const place = satp === undefined ? address : walk(machine, satp, address).physical;
      const bytes = place === null ? null : readPhysical(machine, place, length);
      return Buffer.from(bytes ?? new Uint8Array(length)).toString('hex');
    }),
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
