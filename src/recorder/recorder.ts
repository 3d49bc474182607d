/**
 * The recording side of the input door: writes down every input that passes, takes checkpoints, and notes what happens inside. It never
 * decides anything that the guest could notice.
 */
import { assert } from '../base/assert.ts';
import type { EndReason, TraceWriter } from '../trace/index.ts';
import type { InputSource, PushedInput } from '../vmm/inputs.ts';
import type { JournalEvent, JournalKind, Machine } from '../vmm/machine.ts';
import { CHECKPOINT_STRIDE, checkpointIsDue, JournalFilter } from './policy.ts';

export class Recorder {
  readonly #machine: Machine;
  readonly #writer: TraceWriter;
  readonly #journal = new JournalFilter();
  #lastCheckpoint: number;
  checkpoints: number;

  /** `resumed`: so many checkpoints are in the trace already, and the machine is as the last of them has it. */
  constructor(machine: Machine, writer: TraceWriter, resumed = 0) {
    this.#machine = machine;
    this.#writer = writer;
    this.#lastCheckpoint = machine.position;
    this.checkpoints = resumed;
    if (resumed === 0) this.checkpoint();
  }

  /** The position up to which the machine may run before `atPosition` is to be called. */
  get nextStop(): number {
    return (Math.floor(this.#machine.position / CHECKPOINT_STRIDE) + 1) * CHECKPOINT_STRIDE;
  }

  /** Call whenever the machine has stopped running; does something only at multiples of the stride. */
  atStop(): void {
    const { position, pages } = this.#machine;
    if (position % CHECKPOINT_STRIDE !== 0 || position === this.#lastCheckpoint) return;
    if (checkpointIsDue(position - this.#lastCheckpoint, pages.dirtyCount)) this.checkpoint();
  }

  pushed(input: PushedInput): void {
    this.#writer.input(this.#machine.position, input);
  }

  output(device: string, data: Uint8Array): void {
    this.#writer.console(this.#machine.position, device, data);
  }

  wants(kind: JournalKind, position: number): boolean {
    return this.#journal.wants(kind, position);
  }
  journal(event: JournalEvent): void {
    this.#writer.journal(event);
  }

  /** Why writing has failed, if it has. */
  get failed(): string | null {
    return this.#writer.failed?.message ?? null;
  }
  get bytesWritten(): number {
    return this.#writer.bytesWritten;
  }
  get backlogBytes(): number {
    return this.#writer.backlogBytes;
  }
  drain(): Promise<void> {
    return this.#writer.drain();
  }

  flush(): void {
    this.#writer.flush(this.#machine.position, this.#machine.clock.now());
  }

  checkpoint(): void {
    const { pages } = this.#machine;
    const { pages: written, ...taken } = this.#machine.changes();
    // The first one has all pages: a machine that comes from another trace has not written them since it was loaded.
    const changed = this.checkpoints === 0 ? pages.presentPages() : written;
    this.#lastCheckpoint = taken.position;
    this.checkpoints++;
    this.#writer.checkpoint({ ...taken, pages: changed, content: (row) => pages.look(changed[row]) });
  }

  /** Takes the last checkpoint and closes the trace. */
  async finish(reason: EndReason, exitCode?: number) {
    // What is due at the end has happened in the state that the trace ends with: the guest may be idle, and time may stand there.
    this.#machine.settle();
    if (!this.#writer.failed && this.#machine.position > this.#lastCheckpoint) this.checkpoint();
    const end = { position: this.#machine.position, timeNs: this.#machine.clock.now(), reason };
    return this.#writer.close(exitCode === undefined ? end : { ...end, exitCode });
  }
}

/**
 * A source that notes what it hands out. What is asked for before there is a writer goes into the guest's memory at reset, and so into the
 * first checkpoint.
 */
export function recordedSource(
  source: InputSource,
  writer: () => TraceWriter | null,
  position: () => number,
): InputSource {
  return {
    turn: (runnable) => {
      assert(source.turn, 'a source of turns where the schedule is drawn');
      const { hart, steps } = source.turn(runnable);
      writer()?.input(position(), { kind: 'turn', hart, steps });
      return { hart, steps };
    },
    entropy: (device, length) => {
      const data = source.entropy(device, length);
      writer()?.input(position(), { kind: 'entropy', device, data });
      return data;
    },
    block: (disk, block) => {
      const data = source.block(disk, block);
      writer()?.input(position(), { kind: 'block', disk, block, data });
      return data;
    },
  };
}
