/**
 * A recording that is being made, as a session: a timeline over all that has happened, and running forward past its end lets the machine live on.
 */

import { PANIC_TEXTS } from '../recorder/panic.ts';
import type { ConsoleSpec, Hit, PanicSpec } from '../replay/stop-spec.ts';
import { type NumberedStop, placed, Watcher } from '../replay/watcher.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { withoutConsole } from './console-stops.ts';
import { Ignored, wantedAtAll } from './ignored.ts';
import { type OpenOptions, startEngine, ThreadSession } from './open.ts';
import type { DebugSession, RunOptions, SessionInfo, StepOptions, StopEvent } from './session.ts';

/** A machine that lives and is recorded, as its owner lends it. */
export interface LiveMachine {
  readonly machine: VirtMachine;
  /** The file that it is recorded to, and the device that shows the guest's text. */
  readonly path: string;
  readonly console: string;
  /** Lets it live until it is held, a probe stops it or it comes to a position; true once it has ended. */
  run(until?: number): Promise<boolean>;
  hold(): void;
  /** Types at its console, as soon as it lives on. */
  type(data: Uint8Array): void;
  /** Afterwards the file replays to where the machine is. */
  flush(): Promise<void>;
}

/** A step past the end lets the machine live on for so many steps; the person steps through what was recorded. */
const AHEAD_STEPS = 2 ** 16;

export async function openLive(live: LiveMachine, options: OpenOptions = {}): Promise<DebugSession> {
  await live.flush();
  const session = new LiveSession(live, options);
  await session.ready;
  return session;
}

class LiveSession extends ThreadSession {
  readonly #live: LiveMachine;
  #over = false;

  constructor(live: LiveMachine, options: OpenOptions) {
    super(startEngine(live.path, { ...options, at: 'end' }));
    this.#live = live;
  }

  override async info(): Promise<SessionInfo> {
    return { ...(await super.info()), live: !this.#over };
  }

  override async type(data: Uint8Array): Promise<void> {
    if (this.#over) return super.type(data);
    this.#live.type(data);
  }

  override async run(options: RunOptions): Promise<StopEvent> {
    const { position } = await this.where();
    const event = await super.run(options);
    if (options.direction === 'back' || event.reason !== 'end' || this.#over) return event;
    return this.#goOn(options, event.position === position, event.passed ?? []);
  }

  override async step(options: StepOptions): Promise<StopEvent> {
    for (;;) {
      const { position } = await this.where();
      const event = await super.step(options);
      if (options.direction === 'back' || event.reason !== 'end' || this.#over) return event;
      this.#over = await this.#live.run(this.#live.machine.position + AHEAD_STEPS);
      await this.#live.flush();
      await this.extend('done', []);
      await this.seek(position);
    }
  }

  /** Lives on from the end of what is recorded, until one of the stops is hit; with `pass`, not by a breakpoint where it stands. */
  async #goOn(options: RunOptions, pass: boolean, passed: readonly number[]): Promise<StopEvent> {
    const { signal, until = [], untilOnly = false, limit, passing = [] } = options;
    const { machine } = this.#live;
    const set = untilOnly ? [] : (await this.stops()).filter(({ enabled }) => enabled);
    const stops: NumberedStop[] = [
      ...wantedAtAll(set, passing).map(({ id, spec }) => ({ id, spec })),
      ...until.map((spec, i) => ({ id: -1 - i, spec: placed(spec, machine) })),
    ];
    const ignored = new Ignored(
      stops,
      passing.map(({ stops: of, hits }, i) => ({ stops: of, hits: hits - passed[i] })),
    );
    const from = machine.position;
    const hits: Hit[] = [];
    const told = (hit: Hit) => {
      if (!ignored.wants(hit)) return false;
      hits.push(hit);
      return true;
    };
    const watcher = new Watcher(machine, withoutConsole(stops));
    const { output } = machine.events;
    const hold = () => this.#live.hold();
    machine.events.output = (device, data) => {
      output?.(device, data);
      if (device === this.#live.console && shown(data).some(told)) hold();
    };
    const shown = consoleWatch(machine, stops);
    signal?.addEventListener('abort', hold, { once: true });
    try {
      do {
        watcher.arm(told, pass || machine.position > from ? machine.position : undefined);
        if (signal?.aborted) break;
        this.#over = await this.#live.run(limit);
      } while (!this.#over && hits.length === 0 && watcher.stale);
    } finally {
      watcher.disarm();
      if (output) machine.events.output = output;
      signal?.removeEventListener('abort', hold);
    }
    await this.#live.flush();
    const reached = limit !== undefined && machine.position >= limit;
    const reason = hits.length > 0 ? 'stop' : this.#over ? 'end' : reached ? 'done' : 'cancelled';
    const event = await this.extend(reason, hits);
    return passing.length > 0 ? { ...event, passed: ignored.passed.map((count, i) => count + passed[i]) } : event;
  }
}

/** Looks for the texts of console stops in what the guest says from now on. */
function consoleWatch(machine: VirtMachine, stops: readonly NumberedStop[]): (data: Uint8Array) => Hit[] {
  const wanted = stops.flatMap(({ id, spec }) => textsOf(spec).map((text) => ({ id, text, bytes: Buffer.from(text) })));
  const longest = Math.max(0, ...wanted.map(({ bytes }) => bytes.length));
  let tail = Buffer.alloc(0);
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
