/**
 * A recording that is being made, as a session: a timeline over all that has happened, and running forward past its end lets the machine live on.
 */

import { type NumberedStop, placed } from '../replay/watcher.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { Ignored, wantedAtAll } from './ignored.ts';
import { LiveWalker } from './live-walker.ts';
import { type OpenOptions, startEngine, ThreadSession } from './open.ts';
import type { DebugSession, RunOptions, SessionInfo, StepOptions, StopEvent } from './session.ts';
import { observes, stepOn } from './stepping.ts';

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
    super(startEngine(live.path, { ...options, at: 'end', live: true }));
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
    const { until = [], untilOnly = false, limit, passing = [] } = options;
    const passed = event.passed ?? [];
    return this.#goOn(options.signal, event.position === position, async (walker) => {
      const own = until.map((spec, i) => ({ id: -1 - i, spec: placed(spec, walker.machine) }));
      const stops = [...(untilOnly ? [] : wantedAtAll(await this.#enabled(), passing)), ...own];
      const left = passing.map(({ stops: of, hits }, i) => ({ stops: of, hits: hits - passed[i] }));
      const ignored = new Ignored(stops, left);
      const reached = await walker.run(stops, limit, ignored);
      return passing.length > 0 ? { ...reached, passed: ignored.passed.map((count, i) => count + passed[i]) } : reached;
    });
  }

  /** One that is cancelled past the end stays where it has come to. */
  override async step(options: StepOptions): Promise<StopEvent> {
    const { position } = await this.where();
    const { awaited, ...event } = await super.step(options);
    if (options.direction === 'back' || event.reason !== 'end' || this.#over) return event;
    return this.#goOn(options.signal, event.position === position, async (walker) =>
      stepOn(walker, options, observes(options) ? await this.#enabled() : [], awaited),
    );
  }

  async #enabled(): Promise<NumberedStop[]> {
    return (await this.stops()).filter(({ enabled }) => enabled).map(({ id, spec }) => ({ id, spec }));
  }

  /** Lives on from the end of what is recorded; `passed`: the session was there before. */
  async #goOn(
    signal: AbortSignal | undefined,
    passed: boolean,
    move: (walker: LiveWalker) => Promise<StopEvent>,
  ): Promise<StopEvent> {
    const walker = new LiveWalker(this.#live, signal, passed);
    const { passed: counted, ...event } = await move(walker);
    this.#over = walker.over;
    await this.#live.flush();
    const reached = await this.extend(event);
    return counted ? { ...reached, passed: counted } : reached;
  }
}
