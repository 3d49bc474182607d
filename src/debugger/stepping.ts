/** What a step forward is made of, wherever it is taken: on a timeline, or by a machine that lives. */
import type { StopSpec } from '../replay/stop-spec.ts';
import type { NumberedStop } from '../replay/watcher.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import type { Awaited, Hit, StepOptions, StopEvent, StopReason } from './session.ts';
import { callLength, type StepHart, spaceOf } from './travels.ts';

export interface Walker {
  readonly machine: VirtMachine;
  /** One step of a hart: which one took it, or what has become of it instead. */
  one(hart: StepHart, intoInterrupts: boolean): Promise<number | StopEvent>;
  /** On until one of the stops is hit. */
  run(stops: readonly NumberedStop[]): Promise<StopEvent>;
  event(reason: StopReason, hits: readonly Hit[], hart?: number): StopEvent;
}

type Kind = Pick<StepOptions, 'hart' | 'over' | 'range' | 'intoInterrupts' | 'stops'>;

/** Whether stops that are set are looked at on the way. */
export const observes = ({ over = false, range, stops }: Kind) => stops ?? (over || range !== undefined);

/** `awaited`: what the step was waiting for already when the trace ended. */
export async function stepOn(
  walker: Walker,
  { hart, over = false, range, intoInterrupts = false }: Kind,
  observed: readonly NumberedStop[],
  awaited?: Awaited,
): Promise<StopEvent> {
  let event: StopEvent | null = awaited ? await waitFor(walker, observed, awaited) : null;
  if (event?.reason === 'done' && awaited?.after === 'again') event = null;
  for (;;) {
    event ??= await once(walker, hart, over, intoInterrupts, observed);
    if (event.reason !== 'done' || !range) return event;
    const { pc, position, hart: stepped } = event;
    if (pc < range.start || pc >= range.end) return event;
    const here = observed.filter(({ spec }) => spec.kind === 'breakpoint' && !spec.physical && spec.address === pc);
    if (here.length > 0) {
      const hits = here.map(({ id }) => ({ stop: id, position, hart: stepped, pc }));
      return walker.event('stop', hits, stepped);
    }
    event = null;
  }
}

async function once(
  walker: Walker,
  hart: StepHart,
  over: boolean,
  intoInterrupts: boolean,
  observed: readonly NumberedStop[],
): Promise<StopEvent> {
  const { machine } = walker;
  const who = hart === 'machine' ? machine.currentHart : hart;
  const [pc, sp] = [machine.cpu.get(who, 'pc'), machine.cpu.x(who, 2)];
  const call = over ? callLength(machine, who, pc) : 0;
  const stepped = await walker.one(hart, intoInterrupts);
  if (typeof stepped !== 'number') return stepped;
  const done = walker.event('done', [], stepped);
  if (call === 0 || stepped !== who || done.pc === pc + BigInt(call)) return done;
  const until = returnTo(machine, stepped, pc + BigInt(call), `sp >= ${sp}`);
  return waitFor(walker, observed, { until, after: 'done' });
}

/** Where a hart comes to when it has come back. */
export function returnTo(machine: VirtMachine, hart: number, address: bigint, condition: string): StopSpec {
  const space = spaceOf(machine, hart);
  return { kind: 'breakpoint', address, hart, condition, ...(space === undefined ? {} : { space }) };
}

async function waitFor(walker: Walker, observed: readonly NumberedStop[], awaited: Awaited): Promise<StopEvent> {
  const event = await walker.run([...observed, { id: -1, spec: awaited.until }]);
  if (event.reason === 'end') return { ...event, awaited };
  const own = event.hits.length > 0 && event.hits.every((hit) => hit.stop < 0);
  return own ? { ...event, reason: 'done', hits: [] } : event;
}
