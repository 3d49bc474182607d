/** A machine that lives and is recorded, in the hands of a debugger. */
import type { LiveMachine } from '../debugger/live.ts';
import type { Recorder } from '../recorder/recorder.ts';
import type { Session, SessionEnd } from '../recorder/session.ts';
import { TraceWriteError } from '../trace/file.ts';
import type { Change } from '../vmm/inputs.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';

export class HeldMachine implements LiveMachine {
  readonly machine: VirtMachine;
  readonly console: string;
  readonly path: string;
  /** How it ended; null while it lives. */
  end: SessionEnd | null = null;
  readonly #recorder: Recorder;
  readonly #session: Session;

  constructor(
    { machine, recorder, console }: { machine: VirtMachine; recorder: Recorder; console: string },
    session: Session,
    path: string,
  ) {
    this.machine = machine;
    this.console = console;
    this.path = path;
    this.#recorder = recorder;
    this.#session = session;
  }

  async run(until?: number): Promise<boolean> {
    await this.#unlessFull(async () => {
      if (this.end) return;
      const stopped = await this.#session.run(until);
      if (!stopped.held) this.end = stopped;
    });
    return this.end !== null;
  }

  hold(): void {
    this.#session.hold();
  }

  type(data: Uint8Array): void {
    this.#session.type(data);
  }

  change(change: Change): void {
    this.#session.change(change);
  }

  async flush(): Promise<void> {
    await this.#unlessFull(async () => {
      if (this.#recorder.failed) return;
      this.#recorder.flush();
      await this.#recorder.drain();
    });
  }

  /** The disk may fill up in the middle of a slice: what has been written is a trace. */
  async #unlessFull(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof TraceWriteError)) throw error;
      this.end ??= { reason: 'disk-full', message: error.message };
    }
  }
}
