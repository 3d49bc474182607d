/** Guests that are recorded for a debug adapter, without a terminal. */
import { resolve } from 'node:path';
import { UserError } from '../base/assert.ts';
import type { Arguments } from '../dap/arguments.ts';
import type { LaunchHooks, Recorded } from '../dap/protocol.ts';
import { type LiveMachine, openLive } from '../debugger/live.ts';
import type { DebugSession } from '../debugger/session.ts';
import { Session, type SessionEnd } from '../recorder/session.ts';
import { TraceReader } from '../trace/index.ts';
import type { Change } from '../vmm/inputs.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { branchOff } from './branching.ts';
import { HeldMachine } from './held-machine.ts';
import { named, readBranch, readLaunch } from './launch.ts';
import { type AssembledLiving, assembleLiving, type Output, type RunPlan } from './one-run.ts';

interface Plan {
  readonly run: RunPlan;
  readonly output: Output;
}

/** The recordings of a process. */
export class Recordings {
  /** Those that nobody looks at any more. */
  readonly #released = new Set<Recording>();

  /** A guest as a client's configuration describes it, before its first step. */
  launch(args: Arguments, again: boolean, hooks: LaunchHooks): Promise<Recorded> {
    return named(async () => {
      const plan = readLaunch(args, again);
      return this.#begin(plan, await assembleLiving(plan.machine, plan.output), hooks);
    });
  }

  /** The guest of a recording, which lives on from a position. */
  branch(trunk: string, at: number, args: Arguments, hooks: LaunchHooks): Promise<Recorded> {
    return named(async () => {
      const plan = readBranch(args, trunk);
      return this.#begin(plan, await branchOff(TraceReader.open(trunk), at, plan.options, plan.output), hooks);
    });
  }

  /** A guest that was left to itself here, for somebody who looks at it again, standing still; null if the trace is of none. */
  async adopt(trace: string, hooks: LaunchHooks): Promise<Recorded | null> {
    const recording = [...this.#released].find(({ path }) => resolve(path) === resolve(trace));
    if (!recording) return null;
    // Nobody else takes it.
    this.#released.delete(recording);
    if (!(await recording.take(hooks))) return null;
    recording.session = await openLive(recording);
    return recording;
  }

  async #begin(plan: Plan, assembled: AssembledLiving, hooks: LaunchHooks): Promise<Recorded> {
    const recording = new Recording(plan, assembled, hooks, this.#released);
    try {
      recording.session = await openLive(recording);
      return recording;
    } catch (error) {
      await recording.finish();
      throw error;
    }
  }

  /** Resolves when those that live on by themselves have ended. */
  async ended(): Promise<void> {
    while (this.#released.size > 0) await Promise.all([...this.#released].map((recording) => recording.life));
  }

  /** Ends them. */
  async end(): Promise<void> {
    await Promise.all([...this.#released].map((recording) => recording.finish()));
  }
}

class Recording implements LiveMachine, Recorded {
  readonly path: string;
  session!: DebugSession;
  /** Of a guest that lives by itself. */
  life: Promise<void> | null = null;
  /** Null when nobody listens any more. */
  #hooks: LaunchHooks | null;
  readonly #assembled: AssembledLiving;
  readonly #session: Session;
  readonly #held: HeldMachine;
  readonly #released: Set<Recording>;
  #finished: Promise<void> | null = null;
  #failed: string | null = null;
  /** The machine is in no state that a trace could end with: what was written before is all that replays. */
  #broken = false;

  constructor(plan: Plan, assembled: AssembledLiving, hooks: LaunchHooks, released: Set<Recording>) {
    const { script, typed, ending } = plan.run;
    const { machine, recorder, console, clock } = assembled.living;
    this.path = plan.output.path;
    this.#hooks = hooks;
    this.#assembled = assembled;
    this.#released = released;
    this.#session = new Session({
      ...{ machine, recorder, console, clock, script, ...ending },
      // A person sits before it, unless all that is typed is known.
      interactive: script.length === 0 && typed === null,
      ...(typed ? { input: typed } : {}),
      output: (data) => this.#hooks?.console(data),
      progress: () => this.#hooks?.moved(this.position, this.timeNs),
    });
    this.#held = new HeldMachine({ machine, recorder: recorder!, console }, this.#session, this.path);
  }

  get machine(): VirtMachine {
    return this.#held.machine;
  }
  get console(): string {
    return this.#held.console;
  }
  get position(): number {
    return this.machine.position;
  }
  get timeNs(): number {
    return this.machine.clock.now();
  }

  get ended(): string | null {
    const { end } = this.#held;
    return end && (this.#failed ?? endText(end));
  }

  async run(until?: number): Promise<boolean> {
    try {
      if (!(await this.#held.run(until))) return false;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      // What the guest asks of the outside is not there: in the middle of a step, which nothing can be made of.
      this.#held.end = { reason: 'error', message: error.message };
      this.#broken = true;
    }
    await this.#close();
    return true;
  }

  hold(): void {
    this.#held.hold();
  }
  type(data: Uint8Array): void {
    this.#held.type(data);
  }
  change(change: Change): void {
    this.#held.change(change);
  }
  async flush(): Promise<void> {
    if (!this.#finished) await this.#held.flush();
  }

  release(): void {
    this.#hooks = null;
    if (this.#finished) return;
    this.#released.add(this);
    this.life = this.run().then(() => void this.#released.delete(this));
  }

  /** The end of its living by itself; false if it has ended altogether. */
  async take(hooks: LaunchHooks): Promise<boolean> {
    this.hold();
    await this.life;
    this.life = null;
    if (this.ended !== null) return false;
    this.#hooks = hooks;
    return true;
  }

  async finish(): Promise<void> {
    this.#session.interrupt(ENDED);
    await (this.life ?? this.run());
  }

  #close(): Promise<void> {
    const { reason, exitCode } = this.#held.end!;
    this.#finished ??= (async () => {
      if (!this.#broken) {
        const closed = await this.#assembled.living.recorder!.finish(reason, exitCode);
        this.#failed = closed.failed?.message ?? null;
      }
      await this.#assembled.close();
    })();
    return this.#finished;
  }
}

const ENDED: SessionEnd = { reason: 'interrupted' };

const ENDINGS: Partial<Record<SessionEnd['reason'], string>> = {
  'power-off': 'the guest has switched itself off',
  until: 'the console has shown the text that ends the recording',
  'max-steps': 'the recording has all the steps that it is to have',
  interrupted: 'the recording was ended',
  'disk-full': 'nothing more can be written',
};

function endText({ reason, exitCode, message }: SessionEnd): string {
  const text = message ?? ENDINGS[reason] ?? reason;
  return exitCode === undefined ? text : `${text}, exit code ${exitCode}`;
}
