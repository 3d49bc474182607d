/** Moves a machine that lives: step by step, or on until something stops it. */
import { PANIC_TEXTS } from '../recorder/panic.ts';
import type { ConsoleSpec, Hit, PanicSpec } from '../replay/stop-spec.ts';
import { type NumberedStop, Watcher } from '../replay/watcher.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { withoutConsole } from './console-stops.ts';
import { Ignored } from './ignored.ts';
import type { LiveMachine } from './live.ts';
import type { StopEvent, StopReason } from './session.ts';
import type { Walker } from './stepping.ts';
import { contextOf, returnStop, type StepHart } from './travels.ts';

export class LiveWalker implements Walker {
  readonly machine: VirtMachine;
  readonly #live: LiveMachine;
  readonly #recent: RecentOutput;
  readonly #signal: AbortSignal | undefined;
  /** The position whose breakpoints are behind it already. */
  #passed: number | undefined;
  /** The machine has ended. */
  over = false;

  /** `passed`: it has stood where it is before, and breakpoints there have had their time. */
  constructor(live: LiveMachine, recent: RecentOutput, signal: AbortSignal | undefined, passed: boolean) {
    this.machine = live.machine;
    this.#live = live;
    this.#recent = recent;
    this.#signal = signal;
    this.#passed = passed ? live.machine.position : undefined;
  }

  event(reason: StopReason, hits: readonly Hit[], hart = hits[0]?.hart ?? this.machine.currentHart): StopEvent {
    const { machine } = this;
    const { position } = machine;
    return { reason, position, timeNs: machine.clock.now(), hart, pc: machine.cpu.get(hart, 'pc'), hits };
  }

  async one(hart: StepHart, intoInterrupts: boolean): Promise<number | StopEvent> {
    for (;;) {
      const interrupted = await this.#raw(hart);
      if (!interrupted) return this.#unfinished();
      this.#passed = this.machine.position;
      if (intoInterrupts || !interrupted.context) return interrupted.hart;
      const until = returnStop(interrupted.context);
      const event = await this.run([{ id: -1, spec: until }]);
      if (event.reason !== 'stop') return event;
    }
  }

  /** Takes a step of a hart, and tells what an interrupt has interrupted with it; null if there was none. */
  async #raw(wanted: StepHart) {
    const { machine } = this;
    if (wanted !== 'machine' && machine.cpu.harts > 1) {
      let came = false;
      machine.turn = (next) => {
        came = next === wanted;
        return came;
      };
      try {
        await this.#run();
      } finally {
        machine.turn = null;
      }
      if (!came) return null;
    }
    const from = machine.position;
    let hart = machine.currentHart;
    let context = contextOf(machine, hart);
    let taken = false;
    machine.turn = (next) => {
      hart = next;
      context = contextOf(machine, next);
      return false;
    };
    machine.probes.set({ interrupts: true }, () => {
      taken = true;
      return false;
    });
    try {
      await this.#run(from + 1);
    } finally {
      machine.turn = null;
      machine.probes.clear();
    }
    return machine.position === from ? null : { hart, context: taken ? context : null };
  }

  /** On until one of the stops is hit, at the latest to a position. */
  async run(stops: readonly NumberedStop[], limit?: number, ignored = new Ignored(stops)): Promise<StopEvent> {
    const { machine } = this;
    const hits: Hit[] = [];
    const told = (hit: Hit) => {
      if (!ignored.wants(hit)) return false;
      hits.push(hit);
      return true;
    };
    const watcher = new Watcher(machine, withoutConsole(stops));
    const shown = consoleWatch(machine, stops, this.#recent);
    const { output } = machine.events;
    machine.events.output = (device, data) => {
      output?.(device, data);
      if (device === this.#live.console && shown(data).some(told)) this.#live.hold();
    };
    try {
      do {
        watcher.arm(told, this.#passed);
        await this.#run(limit);
        this.#passed = machine.position;
      } while (!this.over && hits.length === 0 && watcher.stale && !this.#signal?.aborted);
    } finally {
      watcher.disarm();
      if (output) machine.events.output = output;
    }
    if (hits.length > 0) return this.event('stop', hits);
    return limit !== undefined && machine.position >= limit ? this.event('done', []) : this.#unfinished();
  }

  #unfinished(): StopEvent {
    return this.event(this.over ? 'end' : 'cancelled', []);
  }

  async #run(until?: number): Promise<void> {
    if (this.#signal?.aborted || this.over) return;
    const hold = () => this.#live.hold();
    this.#signal?.addEventListener('abort', hold, { once: true });
    try {
      this.over = await this.#live.run(until);
    } finally {
      this.#signal?.removeEventListener('abort', hold);
    }
  }
}

/** No text that is looked for in the console is longer, in UTF-8. */
const RECENT_BYTES = 2 ** 15;

/** What a guest has said last on its console: a text may have begun before somebody looks for it. */
export class RecentOutput {
  #pieces: Buffer[] = [];
  #bytes = 0;

  add(data: Uint8Array): void {
    this.#pieces.push(Buffer.from(data));
    this.#bytes += data.length;
    if (this.#bytes < 2 * RECENT_BYTES) return;
    this.#pieces = [this.last(RECENT_BYTES)];
    this.#bytes = RECENT_BYTES;
  }

  last(count: number): Buffer {
    const all = Buffer.concat(this.#pieces);
    return all.subarray(Math.max(0, all.length - count));
  }
}

/** Looks for the texts of console stops that are complete from now on. */
function consoleWatch(
  machine: VirtMachine,
  stops: readonly NumberedStop[],
  recent: RecentOutput,
): (data: Uint8Array) => Hit[] {
  const wanted = stops.flatMap(({ id, spec }) => textsOf(spec).map((text) => ({ id, text, bytes: Buffer.from(text) })));
  const longest = Math.max(0, ...wanted.map(({ bytes }) => bytes.length));
  let tail = longest === 0 ? Buffer.alloc(0) : recent.last(longest);
  return (data) => {
    if (longest === 0) return [];
    const all = Buffer.concat([tail, data]);
    const { position, currentHart: hart } = machine;
    const found = wanted.filter(({ bytes }) => all.indexOf(bytes, Math.max(0, tail.length - bytes.length + 1)) >= 0);
    tail = Buffer.from(all.subarray(Math.max(0, all.length - longest)));
    const pc = machine.cpu.get(hart, 'pc');
    return found.map(({ id, text }) => ({ stop: id, position, hart, pc, detail: { text } }));
  };
}

function textsOf(spec: NumberedStop['spec'] | ConsoleSpec | PanicSpec): readonly string[] {
  return spec.kind === 'console' ? [spec.text] : spec.kind === 'panic' ? PANIC_TEXTS : [];
}
