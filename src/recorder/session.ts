/**
 * A live machine and the outside: runs the guest in short spells, brings in what is typed, keeps the guest's clock as asked,
 * and stops it when a condition is met. With a recorder, everything is written down; without one it is a plain run.
 */
import { UserError } from '../base/assert.ts';
import type { EndReason } from '../trace/index.ts';
import type { Change, PushedInput } from '../vmm/inputs.ts';
import type { Machine } from '../vmm/machine.ts';
import type { Recorder } from './recorder.ts';

/** A line of a console script: when the text has appeared, the answer is typed. */
export interface ScriptLine {
  readonly expect: string;
  readonly send: string;
}

export interface SessionOptions {
  readonly machine: Machine;
  readonly recorder: Recorder | null;
  /** Device that the console is wired to. */
  readonly console: string;
  /** `virtual`: guest time is a function of position and skipped idle. `host`: it follows the host's clock. */
  readonly clock: 'virtual' | 'host';
  /** Idle guests wait for real time or a key, instead of skipping to the next event. */
  readonly interactive: boolean;
  readonly output: (data: Uint8Array) => void;
  /** Typed before everything else, as fast as the guest takes it, at positions that do not depend on the host. */
  readonly input?: Uint8Array;
  readonly script?: readonly ScriptLine[];
  readonly until?: string;
  readonly maxSteps?: number;
  readonly timeoutMs?: number;
  /** Called about ten times a second. */
  readonly progress?: () => void;
  /** What makes the run a failure, beside an exit code: it ends soon after. */
  readonly failure?: FailureSigns;
}

export interface FailureSigns {
  /** Of the console. */
  readonly texts: readonly string[];
  /** Guest time, in ns, in which the console must show something; Infinity if it need not. */
  readonly silentNsMax: number;
}

export interface SessionEnd {
  readonly reason: EndReason;
  readonly exitCode?: number;
  /** What to tell the person, where the reason alone does not. */
  readonly message?: string;
  /** The machine stands still and `run` may be called again: `hold`, a probe or a position wanted it. */
  readonly held?: boolean;
}

const HELD: SessionEnd = { reason: 'interrupted', held: true };

/** Host time that the machine may run before the event loop has its turn: a key or a signal waits no longer. */
const SPELL_MS = 20;
const FLUSH_MS = 1000;
const PROGRESS_MS = 100;
const FIRST_SPELL_STEPS = 500_000;
/** Within a spell, the clock is looked at so often. */
const LOOK_STEPS = 2 ** 21;
/** The rest of an input that the guest's console had no room for is offered again at multiples of this, and when the guest is idle. */
const INPUT_STRIDE = 2 ** 20;
/** Typed in one go at most: an input of a trace has a limit. */
const INPUT_BYTES_MAX = 2 ** 20;
/** After a text that means failure the guest runs on for so many steps, to say more and perhaps to stop by itself. */
const AFTERMATH_STEPS = 20_000_000;
/** When so much waits to be written, the machine waits too. */
const BACKLOG_BYTES_MAX = 128 * 2 ** 20;

export class Session {
  readonly #options: SessionOptions;
  readonly #machine: Machine;
  readonly #recorder: Recorder | null;
  readonly #typed: Uint8Array[] = [];
  #input: Uint8Array;
  #inputEnded = false;
  #interrupted: SessionEnd | null = null;
  #wake: (() => void) | null = null;
  readonly #watch: TextWatch;
  readonly #script: ScriptLine[];
  #found = false;
  #hold = false;
  /** The machine was stopped on the way from one position to the next. */
  #within = false;
  readonly #failureTexts: readonly { readonly text: string; readonly watch: TextWatch }[];
  #failure: { readonly message: string; readonly position: number } | null = null;
  #heardNs: number;
  #busyMs = 0;
  #hostStart = 0;
  #spellSteps = FIRST_SPELL_STEPS;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#machine = options.machine;
    this.#recorder = options.recorder;
    this.#script = [...(options.script ?? [])];
    this.#input = options.input ?? new Uint8Array();
    this.#watch = new TextWatch(options.until ?? null);
    this.#failureTexts = (options.failure?.texts ?? []).map((text) => ({ text, watch: new TextWatch(text) }));
    this.#heardNs = this.#machine.clock.now();
    this.#machine.events = {
      output: (device, data) => this.#output(device, data),
      ...(this.#recorder
        ? {
            journal: (event) => this.#recorder?.journal(event),
            wants: (kind, position) => this.#recorder?.wants(kind, position) ?? false,
          }
        : {}),
    };
    this.#expectNext();
  }

  /** Host time that the machine has run, without waiting. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** The text that the session still waits for: the script's next line, or the one that ends it; null if none. */
  get awaited(): string | null {
    if (this.#script.length > 0) return this.#script[0].expect;
    return this.#watch.done ? null : (this.#options.until ?? null);
  }

  /** The sign of failure that has been seen; null if none. */
  get failure(): string | null {
    return this.#failure?.message ?? null;
  }

  /** Bytes typed by the person. */
  type(data: Uint8Array): void {
    this.#typed.push(data);
    this.#wake?.();
  }

  /** No more will be typed. */
  endInput(): void {
    this.#inputEnded = true;
    this.#wake?.();
  }

  /** Ends the session at the next opportunity. */
  interrupt(end: SessionEnd): void {
    this.#interrupted ??= end;
    this.#wake?.();
  }

  /** Makes `run` return with the machine standing still, soon; in the middle of a step, with the end of that step. */
  hold(): void {
    this.#hold = true;
    this.#machine.pause();
    this.#wake?.();
  }

  /** Changes the guest's state where it stands, between two runs. A `UserError` says why it cannot be. */
  change(change: Change): void {
    const refusal = this.#machine.refusal(change);
    if (refusal) throw new UserError(refusal);
    this.#pinTime();
    this.#push(change);
  }

  /** Runs until something ends the session, or holds the machine; at the latest to a position. */
  async run(until = Number.POSITIVE_INFINITY): Promise<SessionEnd> {
    const { maxSteps = Number.POSITIVE_INFINITY, timeoutMs = Number.POSITIVE_INFINITY } = this.#options;
    const started = performance.now();
    // A machine that has lived before goes on from its own time.
    this.#hostStart = started - this.#machine.clock.now() / 1e6;
    let flushed = started;
    let reported = started;
    this.#hold = false;
    if (!this.#within) this.#enterInput();
    for (;;) {
      if (this.#interrupted) {
        this.#completeStep();
        return this.#interrupted;
      }
      if (this.#hold || this.#machine.position >= until) {
        this.#hold = false;
        return HELD;
      }
      const now = performance.now();
      if (now - started >= timeoutMs) return { reason: 'timeout' };
      if (now - reported >= PROGRESS_MS) {
        reported = now;
        this.#options.progress?.();
      }
      if (this.#recorder && now - flushed >= FLUSH_MS) {
        flushed = now;
        this.#recorder.flush();
      }
      if (this.#recorder?.failed) return { reason: 'disk-full', message: this.#recorder.failed };
      if (this.#failed()) return { reason: 'failure' };
      if (this.#machine.position >= maxSteps) return { reason: 'max-steps' };
      const end = await this.#spell(Math.min(maxSteps, until, this.#machine.position + this.#spellSteps));
      // A guest that has failed may wait forever.
      if (end?.reason === 'interrupted' && this.#failure) return { reason: 'failure' };
      if (end) return end;
    }
  }

  /** A trace ends at a position, where a replay comes to the same state: whose turn it is may have been settled already for the step after it. */
  #completeStep(): void {
    if (!this.#within) return;
    this.#within = false;
    this.#machine.run(this.#machine.position + 1);
  }

  /** True if the guest has failed, and has had its time to say so. */
  #failed(): boolean {
    const { position, clock } = this.#machine;
    const silentNs = clock.now() - this.#heardNs;
    const { silentNsMax = Number.POSITIVE_INFINITY } = this.#options.failure ?? {};
    if (!this.#failure && silentNs > silentNsMax) {
      const message = `the console has shown nothing for ${(silentNsMax / 1e9).toFixed(0)} s of guest time`;
      this.#failure = { message, position: position - AFTERMATH_STEPS };
    }
    return this.#failure !== null && position >= this.#failure.position + AFTERMATH_STEPS;
  }

  /** Runs for a while, then lets the event loop have its turn. */
  async #spell(until: number): Promise<SessionEnd | null> {
    if (!this.#within) this.#enterInputs();
    const began = performance.now();
    const from = this.#machine.position;
    while (this.#machine.position < until) {
      // Inputs are entered between two steps, and the machine may be on its way into the next one.
      const step = this.#machine.position + (this.#within ? 1 : LOOK_STEPS);
      const stop = Math.min(step, until, this.#recorder?.nextStop ?? until, this.#nextInputStop);
      const entered = performance.now();
      const before = this.#machine.position;
      const result = this.#machine.run(stop);
      // In the middle of a slice a position's alarms may have come: no place for a checkpoint.
      const stopped = result.kind === 'probe' || result.kind === 'turn';
      const waits = result.kind === 'paused' && this.#machine.position === before;
      this.#within = stopped || (this.#within && waits);
      if (stopped) return HELD;
      if (!this.#within) {
        this.#recorder?.atStop();
        if (this.#machine.position % INPUT_STRIDE === 0) this.#enterInput();
      }
      this.#busyMs += performance.now() - entered;
      if (result.kind === 'stopped') return endOf(result.request);
      if (result.kind === 'paused' && this.#watch.done) return { reason: 'until' };
      if (this.#found && !this.#within) this.#answer();
      // What comes for the first time runs much slower than what the spell was measured by.
      if (this.#hold || performance.now() - began > SPELL_MS) break;
      if (result.kind === 'idle') {
        if (this.#enterInput()) continue;
        if (this.#typed.length > 0 && this.#room > 0) break;
        const end = await this.#idle(result.untilNs);
        if (end) return end;
        // Much guest time may pass within a spell.
        if (this.#failed()) break;
      }
    }
    const spent = performance.now() - began;
    const steps = this.#machine.position - from;
    if (steps > 0 && spent > 1) this.#spellSteps = Math.max(10_000, Math.round((steps / spent) * SPELL_MS));
    if (this.#recorder && this.#recorder.backlogBytes > BACKLOG_BYTES_MAX) await this.#recorder.drain();
    await new Promise<void>((resolve) => setImmediate(resolve));
    return null;
  }

  async #idle(untilNs: number): Promise<SessionEnd | null> {
    const { interactive, clock } = this.#options;
    const waits = interactive || clock === 'host';
    const now = this.#machine.clock.now();
    if (untilNs === Number.POSITIVE_INFINITY && this.#inputEnded && !this.#interrupted) {
      return {
        reason: 'interrupted',
        message: 'the guest waits for an interrupt that cannot come; the input has ended',
      };
    }
    if (!waits && untilNs !== Number.POSITIVE_INFINITY) {
      this.#machine.skipIdle(untilNs);
      return null;
    }
    const began = performance.now();
    const waitMs = (untilNs - now) / 1e6;
    await this.#waitFor(clock === 'host' ? Math.min(waitMs, Math.max(0, (untilNs - this.#hostNs()) / 1e6)) : waitMs);
    const waitedNs = Math.floor((performance.now() - began) * 1e6);
    const reached = clock === 'host' ? this.#hostNs() : now + waitedNs;
    if (reached >= untilNs && clock === 'virtual') this.#machine.skipIdle(untilNs);
    else this.#push({ kind: 'clock', timeNs: Math.max(now, reached), psPerStep: this.#machine.clock.psPerStep });
    return null;
  }

  /** Waits until the time is over, a key is pressed or someone ends the session. */
  #waitFor(ms: number): Promise<void> {
    if (this.#typed.length > 0 || this.#interrupted) return Promise.resolve();
    // A wait is cut so that flushes, progress and the timeout go on.
    const limit = Math.min(ms, PROGRESS_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(), limit);
      const done = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      this.#wake = done;
    });
  }

  #hostNs(): number {
    return Math.floor((performance.now() - this.#hostStart) * 1e6);
  }

  #enterInputs(): void {
    if (this.#options.clock === 'host') {
      const now = this.#machine.clock.now();
      const host = this.#hostNs();
      // Guest time may not go back: where it is ahead it creeps until the host has caught up.
      const behind = host >= now;
      const measured = (SPELL_MS * 1e9) / this.#spellSteps;
      const psPerStep = Math.max(1, Math.round(behind ? measured : measured / 10));
      this.#push({ kind: 'clock', timeNs: Math.max(now, host), psPerStep });
    }
    while (this.#typed.length > 0) {
      this.#typed[0] = this.#enter(this.#typed[0]);
      if (this.#typed[0].length > 0) break;
      this.#typed.shift();
    }
  }

  /** The next position at which the rest of the input is offered; Infinity when there is none. */
  get #nextInputStop(): number {
    if (this.#input.length === 0) return Number.POSITIVE_INFINITY;
    return (Math.floor(this.#machine.position / INPUT_STRIDE) + 1) * INPUT_STRIDE;
  }

  /** True if some of the input has been entered. */
  #enterInput(): boolean {
    const before = this.#input.length;
    this.#input = this.#enter(this.#input);
    return this.#input.length < before;
  }

  /** Bytes that the console's device would take now. */
  get #room(): number {
    return this.#machine.devices.find((d) => d.name === this.#options.console)?.room ?? Number.POSITIVE_INFINITY;
  }

  /** Types what the device has room for; the rest is given back. */
  #enter(data: Uint8Array): Uint8Array {
    const typed = data.subarray(0, Math.min(this.#room, INPUT_BYTES_MAX));
    if (typed.length > 0) {
      // If idle has been skipped at this very position, replay must come to the same time first.
      this.#pinTime();
      this.#push({ kind: 'console', device: this.#options.console, data: typed });
    }
    return data.subarray(typed.length);
  }

  #pinTime(): void {
    const { clock } = this.#machine;
    this.#push({ kind: 'clock', timeNs: clock.now(), psPerStep: clock.psPerStep });
  }

  #push(input: PushedInput): void {
    this.#machine.settle();
    this.#recorder?.pushed(input);
    this.#machine.input(input);
  }

  #output(device: string, data: Uint8Array): void {
    this.#recorder?.output(device, data);
    if (device !== this.#options.console) return;
    this.#options.output(data);
    this.#heardNs = this.#machine.clock.now();
    for (const { text, watch } of this.#failureTexts) {
      if (watch.add(data) && !this.#failure) {
        this.#failure = {
          message: `the console has shown ${JSON.stringify(text.trim())}`,
          position: this.#machine.position,
        };
      }
    }
    this.#watch.add(data);
    if (this.#watch.done) this.#machine.pause();
    if (this.#scriptWatch?.add(data)) {
      this.#found = true;
      this.#machine.pause();
    }
  }

  #scriptWatch: TextWatch | null = null;
  #expectNext(): void {
    this.#found = false;
    const next = this.#script[0];
    this.#scriptWatch = next ? new TextWatch(next.expect) : null;
  }

  #answer(): void {
    const line = this.#script.shift();
    this.#expectNext();
    if (!line) return;
    this.#pinTime();
    this.#push({ kind: 'console', device: this.#options.console, data: new TextEncoder().encode(line.send) });
  }
}

function endOf(request: { kind: 'power-off'; exitCode: number } | { kind: 'reboot' }): SessionEnd {
  if (request.kind === 'power-off') return { reason: 'power-off', exitCode: request.exitCode };
  return {
    reason: 'power-off',
    exitCode: 0,
    message: 'the guest asked for a reboot, and there is no state to go back to',
  };
}

/** Looks for a text in a stream of bytes. */
class TextWatch {
  readonly #wanted: Uint8Array | null;
  #tail: number[] = [];
  done = false;

  constructor(text: string | null) {
    this.#wanted = text === null ? null : new TextEncoder().encode(text);
    if (this.#wanted?.length === 0) this.done = true;
  }

  /** True once the text has been seen. */
  add(data: Uint8Array): boolean {
    const wanted = this.#wanted;
    if (!wanted || this.done) return this.done;
    for (const byte of data) {
      this.#tail.push(byte);
      if (this.#tail.length > wanted.length) this.#tail.shift();
      if (this.#tail.length === wanted.length && this.#tail.every((b, i) => b === wanted[i])) {
        this.done = true;
        return true;
      }
    }
    return false;
  }
}
