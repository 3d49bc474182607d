/** Replays a whole trace and compares everything that was recorded: digests, journal entries, console output. */

import { Divergence } from '../base/assert.ts';
import { CompilerThread } from '../compiler/thread.ts';
import { JournalFilter } from '../recorder/policy.ts';
import type { ConsoleRun, JournalEntry, TraceReader } from '../trace/index.ts';
import { Replayer } from './replayer.ts';

export interface VerifyResult {
  readonly steps: number;
  readonly digests: number;
  readonly journalEntries: number;
  readonly consoleBytes: number;
}

export interface ReplayWatcher {
  /** The guest's console, as it comes. */
  output?(device: string, data: Uint8Array): void;
  /** Called at each checkpoint. */
  progress?(position: number): void;
  /** Longest slice in steps, for shuffling what must not matter. */
  sliceSteps?: number;
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Throws a `Divergence` that names the first difference, both values, and the command that looks closer. */
export function verify(trace: TraceReader, watcher: ReplayWatcher = {}): VerifyResult {
  const replayer = new Replayer(trace);
  replayer.machine.cpu.jit.compiler = new CompilerThread();
  const { machine } = replayer;
  // What no step looks at is checked, too.
  machine.pages.fetchAll();
  replayer.forgetLoaded();
  if (watcher.sliceSteps) machine.sliceSteps = watcher.sliceSteps;
  const journal = new Expected(trace, trace.journal(0, trace.replayableTo), isSameEvent, journalText);
  const output = new Expected(trace, trace.consoleOutput(0, trace.replayableTo), isSameOutput, consoleText);
  let consoleBytes = 0;
  const filter = new JournalFilter();
  machine.events = {
    wants: (kind, position) => filter.wants(kind, position),
    journal: (event) => journal.check(event),
    output: (device, data) => {
      output.check({ position: machine.position, device, bytes: data });
      consoleBytes += data.length;
      watcher.output?.(device, data);
    },
  };
  let before = 0;
  let digests = 0;
  for (const checkpoint of trace.checkpoints) {
    replayer.runTo(checkpoint.position);
    replayer.settleAt(checkpoint);
    const digest = machine.digest();
    if (hexOf(digest) !== hexOf(checkpoint.digest)) {
      throw new Divergence(
        checkpoint.position,
        `${trace.name}: replay differs between positions ${before} and ${checkpoint.position}: ` +
          `recorded digest ${hexOf(checkpoint.digest)}, replayed ${hexOf(digest)}; ` +
          `look closer with: chronovisor state ${trace.name} --at ${before}`,
      );
    }
    digests++;
    before = checkpoint.position;
    watcher.progress?.(before);
  }
  replayer.runTo(replayer.end);
  machine.drainJournal();
  journal.finish();
  output.finish();
  return { steps: replayer.end, digests, journalEntries: journal.checked, consoleBytes };
}

function isSameEvent(a: JournalEntry, b: JournalEntry): boolean {
  return (
    a.position === b.position && a.kind === b.kind && a.code === b.code && a.hart === b.hart && a.value === b.value
  );
}

function isSameOutput(a: ConsoleRun, b: ConsoleRun): boolean {
  return a.position === b.position && a.device === b.device && Buffer.compare(a.bytes, b.bytes) === 0;
}

function journalText({ position, hart, kind, code, value }: JournalEntry): string {
  return `${kind} ${code} of hart ${hart} at position ${position}, value 0x${value.toString(16)}`;
}

function consoleText({ position, device, bytes }: ConsoleRun): string {
  return `output of ${device} at position ${position}: ${JSON.stringify(new TextDecoder().decode(bytes))}`;
}

/** What was recorded, in order; what replay does is held against it. */
class Expected<T extends { readonly position: number }> {
  readonly #trace: TraceReader;
  readonly #recorded: Iterator<T>;
  readonly #isSame: (a: T, b: T) => boolean;
  readonly #text: (item: T) => string;
  checked = 0;

  constructor(trace: TraceReader, recorded: Iterator<T>, isSame: (a: T, b: T) => boolean, text: (item: T) => string) {
    this.#trace = trace;
    this.#recorded = recorded;
    this.#isSame = isSame;
    this.#text = text;
  }

  check(replayed: T): void {
    const { value, done } = this.#recorded.next();
    const { position } = replayed;
    if (done) {
      // A recording that was cut off ends somewhere; what follows was never written.
      if (position >= this.#trace.replayableTo) return;
      this.#differs('nothing more', this.#text(replayed), position);
    }
    if (!this.#isSame(value, replayed)) {
      this.#differs(this.#text(value), this.#text(replayed), Math.min(position, value.position));
    }
    this.checked++;
  }

  /** Nothing that was recorded may be left over. */
  finish(): void {
    const { value, done } = this.#recorded.next();
    if (!done) this.#differs(this.#text(value), 'nothing more', value.position);
  }

  #differs(recorded: string, replayed: string, position: number): never {
    throw new Divergence(
      position,
      `${this.#trace.name}: replay differs at position ${position}: recorded ${recorded}; replayed ${replayed}; ` +
        `look closer with: chronovisor state ${this.#trace.name} --at ${position}`,
    );
  }
}
