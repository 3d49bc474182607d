/**
 * A recording that is being made, as a session: a timeline over all that has happened, and running forward past its end lets the machine live on.
 */

import { UserError } from '../base/assert.ts';
import { type NumberedStop, placed } from '../replay/watcher.ts';
import type { Change } from '../vmm/inputs.ts';
import { PAGE_BYTES } from '../vmm/layout.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { Ignored, wantedAtAll } from './ignored.ts';
import { LiveWalker, RecentOutput } from './live-walker.ts';
import { type OpenOptions, startEngine, ThreadSession } from './open.ts';
import type { DebugSession, RunOptions, SessionInfo, StateChange, StepOptions, StopEvent } from './session.ts';
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
  /** Changes its state where it stands. A `UserError` says why it cannot be. */
  change(change: Change): void;
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
  readonly #recent = new RecentOutput();
  #over = false;

  constructor(live: LiveMachine, options: OpenOptions) {
    super(startEngine(live.path, { ...options, at: 'end', live: true }));
    this.#live = live;
    const { events } = live.machine;
    const { output } = events;
    events.output = (device, data) => {
      output?.(device, data);
      if (device === live.console) this.#recent.add(data);
    };
  }

  override async info(): Promise<SessionInfo> {
    return { ...(await super.info()), live: !this.#over };
  }

  override async type(data: Uint8Array): Promise<void> {
    if (this.#over) return super.type(data);
    this.#live.type(data);
  }

  override async change(change: StateChange): Promise<void> {
    if (this.#over) return super.change(change);
    const { position } = await this.where();
    const { end } = await this.info();
    if (position < end) {
      throw new UserError(
        `the past cannot be changed: go to the end of what is recorded (position ${end}) first, or make a branch here`,
      );
    }
    for (const part of await this.#parts(change)) this.#live.change(part);
    await this.#live.flush();
    await this.extend({ reason: 'done', hits: [], hart: change.hart });
  }

  /** A change by physical addresses, page by page. */
  async #parts(change: StateChange): Promise<Change[]> {
    if (change.kind === 'register') return [{ ...change, value: BigInt.asUintN(64, change.value) }];
    const { hart, address, bytes } = change;
    const parts: Change[] = [];
    for (let at = 0; at < bytes.length; ) {
      const here = BigInt.asUintN(64, address + BigInt(at));
      const count = Math.min(bytes.length - at, PAGE_BYTES - Number(here % BigInt(PAGE_BYTES)));
      const physical = await this.translate(hart, here);
      const part = { kind: 'memory', address: Number(physical ?? -1n), data: bytes.subarray(at, at + count) } as const;
      const refusal = physical === null ? 'nothing is mapped there' : this.#live.machine.refusal(part);
      if (refusal) throw new UserError(`0x${here.toString(16)}: ${refusal}`);
      parts.push(part);
      at += count;
    }
    return parts;
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
    const walker = new LiveWalker(this.#live, this.#recent, signal, passed);
    const { passed: counted, ...event } = await move(walker);
    this.#over = walker.over;
    await this.#live.flush();
    const reached = await this.extend(event);
    return counted ? { ...reached, passed: counted } : reached;
  }
}
