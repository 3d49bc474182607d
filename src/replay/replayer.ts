/**
 * The replaying side of the input door: a machine that is given the inputs of a trace at their positions, and nothing else. It
 * moves forward; to go elsewhere it starts from a checkpoint.
 */
import { assert, Divergence, UserError } from '../base/assert.ts';
import { buildMachine } from '../compiler/machine.ts';
import { ABSENT, type CheckpointInfo, type TimedInput, type TraceReader } from '../trace/index.ts';
import { type InputSource, isChange, type PulledInput, type PushedInput } from '../vmm/inputs.ts';
import type { MachineSnapshot, ResetState } from '../vmm/machine.ts';
import type { OutsideChange, PageSnapshot } from '../vmm/pages.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';

/** A state kept in memory; release its pages when it is no longer needed. */
export interface SavedState {
  readonly snapshot: MachineSnapshot;
  /** Inputs of the trace that it contains. */
  readonly inputsBefore: number;
}

/** Another recording, which begins as this one does and then goes its own way. */
export interface Branch {
  /** Hears of each input that the machine is given from the trace, in order. */
  heard(input: PushedInput | PulledInput): void;
  /** Answers the machine once it has left the trace. */
  readonly source: InputSource;
}

/** Of a page that does not exist. */
const NO_HASH = new Int32Array(4);

interface Timed<T> {
  readonly position: number;
  readonly input: T;
}

export class Replayer {
  trace: TraceReader;
  readonly machine: VirtMachine;
  /** Where the recording, or what is readable of it, ends. */
  end: number;
  #pushed!: Lookahead<PushedInput>;
  #pulled!: Lookahead<PulledInput>;
  /** What each page held when `#base` was taken, as content numbers of the trace. */
  readonly #refs: Int32Array;
  #base: PageSnapshot | null = null;
  /** The checkpoint at which it was taken. */
  #loaded = -1;

  #left = false;
  readonly #branch: Branch | null;

  /** Begins at the last checkpoint at or before a position. */
  constructor(trace: TraceReader, position = 0, branch: Branch | null = null) {
    this.trace = trace;
    this.#branch = branch;
    this.end = trace.replayableTo;
    if (trace.checkpoints.length === 0)
      throw new UserError(`${trace.name}: no checkpoint in it; nothing can be replayed`);
    const source: InputSource = {
      entropy: (device, length) => {
        if (this.#left) return branch!.source.entropy(device, length);
        const input = this.#pull('entropy');
        assert(input.kind === 'entropy', 'kinds agree');
        if (input.device !== device || input.data.length !== length)
          this.#inputDiffers(`${length} bytes for ${device}`);
        return input.data;
      },
      block: (disk, block) => {
        if (this.#left) return branch!.source.block(disk, block);
        const input = this.#pull('block');
        assert(input.kind === 'block', 'kinds agree');
        if (input.disk !== disk || input.block !== block) this.#inputDiffers(`block ${block} of disk ${disk}`);
        return input.data;
      },
      turn: (runnable) => {
        if (this.#left) return branch!.source.turn!(runnable);
        const input = this.#pull('turn');
        assert(input.kind === 'turn', 'kinds agree');
        if (!(runnable & (1 << input.hart)))
          this.#inputDiffers(`a turn for another hart than ${input.hart}, which waits`);
        return input;
      },
    };
    this.machine = buildMachine({ ...trace.header.machine, rtcOffsetNs: trace.header.machine.rtcOffsetNs }, source);
    this.machine.pages.outside = (content) => this.trace.page(content);
    this.#refs = new Int32Array(this.machine.pages.count).fill(ABSENT);
    this.machine.reset = resetStateOf(trace);
    this.check(position);
    this.load(this.checkpointBefore(position));
  }

  get position(): number {
    return this.machine.position;
  }

  /** The last checkpoint at or before a position. */
  checkpointBefore(position: number): CheckpointInfo {
    const { checkpoints } = this.trace;
    let low = 0;
    let high = checkpoints.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (checkpoints[middle].position <= position) low = middle;
      else high = middle - 1;
    }
    return checkpoints[low];
  }

  /** A position of the recording, or an error that says which there are. */
  check(position: number): void {
    if (position < 0 || position > this.end || !Number.isSafeInteger(position)) {
      throw new UserError(`${this.trace.name}: position ${position} is outside the recording (0 to ${this.end})`);
    }
  }

  /** Puts the machine into the state of a checkpoint, from the trace. */
  load(checkpoint: CheckpointInfo): void {
    const pages = this.#pagesAt(checkpoint);
    if (this.#base) this.machine.pages.release(this.#base);
    this.#base = pages;
    this.machine.restore({ pages, state: this.trace.state(checkpoint) });
    this.#inputsFrom(checkpoint.inputsBefore);
  }

  /** Lets go of the checkpoint's memory, with which the next `load` would begin: a machine that only runs on need not copy what it writes to. */
  forgetLoaded(): void {
    if (this.#base) this.machine.pages.release(this.#base);
    this.#base = null;
    this.#refs.fill(ABSENT);
    this.#loaded = -1;
  }

  /** The state as it is now, to come back to. */
  save(): SavedState {
    return { snapshot: this.machine.snapshot().snapshot, inputsBefore: this.#inputsTaken };
  }

  restore(saved: SavedState): void {
    // Asked where the machine still is: only there do both halves of the door agree on what has been taken.
    const taken = this.#inputsTaken;
    this.machine.restore(saved.snapshot);
    if (saved.inputsBefore !== taken) this.#inputsFrom(saved.inputsBefore);
  }

  /** Goes on with the same trace, which has grown. */
  extend(trace: TraceReader): void {
    const taken = this.#inputsTaken;
    this.trace = trace;
    this.end = trace.replayableTo;
    this.machine.reset = resetStateOf(trace);
    this.#inputsFrom(taken);
  }

  /** From here on the machine is a living one: it is not to be run by this replayer any more. */
  leave(): void {
    assert(this.#branch, 'somebody answers the machine from here on');
    this.machine.pages.fetchAll();
    this.forgetLoaded();
    this.#left = true;
  }

  /**
   * Runs forward to a position, entering the inputs on the way. False if it has not come there, because somebody made the machine stop;
   * the machine's own stop ends a recording, and so counts as its end.
   */
  runTo(position: number): boolean {
    while (this.position < position || this.#pushed.at(this.position)) {
      for (;;) {
        // What was entered at the very position asked for belongs to the step after it.
        if (!this.#pushed.at(this.position) || this.position === position) break;
        this.#enterNext();
      }
      if (this.position === position) return true;
      const next = this.#pushed.positionUpTo(position);
      assert(next > this.position, 'no input is left behind');
      const result = this.machine.run(Math.min(position, next));
      if (result.kind === 'stopped') {
        if (this.position < position) this.#stoppedEarly(position);
        return true;
      }
      if (result.kind !== 'idle' && result.kind !== 'position') return false;
      if (result.kind === 'idle' && !this.#pushed.at(this.position)) {
        if (result.untilNs === Number.POSITIVE_INFINITY) this.#waitsForever();
        this.machine.skipIdle(result.untilNs);
      }
    }
    return true;
  }

  /** What an operator has changed at the present position belongs to its state, and so does what was entered before that. After `settleAt`. */
  settleChanges(): void {
    for (let left = this.#pushed.upTo(this.position, isChange); left > 0; left--) this.#enterNext();
  }

  #enterNext(): void {
    const input = this.#pushed.at(this.position)!;
    this.#pushed.next();
    this.#branch?.heard(input);
    const refusal = isChange(input) ? this.machine.refusal(input) : null;
    if (refusal) throw new UserError(`${this.trace.name}: position ${this.position}: ${refusal}`);
    this.machine.input(input);
  }

  /** At a checkpoint's position: brings the machine to the very state that the checkpoint holds. */
  settleAt(checkpoint: CheckpointInfo): void {
    assert(this.position === checkpoint.position, 'the machine is at the checkpoint');
    for (;;) {
      if (!this.#pushed.at(this.position) || this.#pushed.number >= checkpoint.inputsBefore) break;
      this.#enterNext();
    }
    if (this.machine.clock.now() < checkpoint.timeNs) this.machine.skipIdle(checkpoint.timeNs);
    if (checkpoint.position === this.end && this.trace.end) this.machine.settle();
  }

  /** The pages at a checkpoint: those of the last one that was loaded, and what differs. */
  #pagesAt(checkpoint: CheckpointInfo): PageSnapshot {
    const { trace, machine } = this;
    const changed: OutsideChange[] = [];
    const change = (page: number, content: number, hashes: Int32Array, at: number) => {
      if (this.#refs[page] !== content) changed.push({ page, content, hashes, at });
    };
    const full = trace.fullBefore(checkpoint);
    const near = this.#loaded >= full && this.#loaded <= checkpoint.index;
    // The latest list that names a page tells what it holds.
    const seen = new Uint8Array(this.#refs.length);
    for (let index = checkpoint.index; index >= (near ? this.#loaded + 1 : full); index--) {
      const { pages, refs, hashes } = trace.changes(trace.checkpoints[index]);
      const words = new Int32Array(hashes.buffer, hashes.byteOffset, hashes.length / 4);
      for (let i = 0; i < pages.length; i++) {
        const page = pages[i];
        if (page >= seen.length) {
          const { position } = trace.checkpoints[index];
          throw new UserError(`${trace.name}: checkpoint at ${position} names page ${page} of ${seen.length}`);
        }
        if (seen[page] === 0) change(page, refs[i], words, 4 * i);
        seen[page] = 1;
      }
    }
    if (!near) for (let page = 0; page < seen.length; page++) if (seen[page] === 0) change(page, ABSENT, NO_HASH, 0);
    for (const { page, content } of changed) this.#refs[page] = content;
    this.#loaded = checkpoint.index;
    return machine.pages.derive(this.#base, changed);
  }

  /** Every input before this number has been entered, and none of the others: those of one half of the door lie between. */
  get #inputsTaken(): number {
    // What the other half has taken in the meantime lies behind both now.
    this.#pushed.at(this.position);
    this.#pulled.at(this.position);
    return Math.min(this.#pushed.number, this.#pulled.number);
  }

  #inputsFrom(number: number): void {
    this.#pushed = new Lookahead(this.trace.inputsFrom(number), number, isPushed);
    this.#pulled = new Lookahead(this.trace.inputsFrom(number), number, isPulled);
  }

  #pull(kind: PulledInput['kind']): PulledInput {
    const input = this.#pulled.at(this.position);
    if (input?.kind !== kind) this.#inputDiffers(`an input of kind '${kind}'`);
    this.#pulled.next();
    this.#branch?.heard(input!);
    return input!;
  }

  #inputDiffers(wanted: string): never {
    const there = this.#pulled.at(this.position);
    const next = there
      ? `the trace has '${there.kind}'`
      : `the trace has none before position ${this.#pulled.positionUpTo(Number.POSITIVE_INFINITY)}`;
    throw new Divergence(this.position, `position ${this.position}: replay asks for ${wanted}, ${next}`);
  }

  #stoppedEarly(wanted: number): never {
    throw new Divergence(this.position, `the replayed machine stopped at position ${this.position}, before ${wanted}`);
  }

  #waitsForever(): never {
    throw new Divergence(this.position, `the replayed machine waits forever at position ${this.position}`);
  }
}

/** What a guest that reboots finds: the first checkpoint, read when it is asked for. */
function resetStateOf(trace: TraceReader): ResetState {
  const first = trace.checkpoints[0];
  let refs: Map<number, number> | null = null;
  return {
    state: () => trace.state(first),
    page: (page) => {
      if (!refs) {
        const changes = trace.changes(first);
        refs = new Map(Array.from(changes.pages, (number, i) => [number, changes.refs[i]]));
      }
      const ref = refs.get(page) ?? ABSENT;
      return ref === ABSENT ? null : trace.page(ref);
    },
  };
}

const PULLED = new Set(['entropy', 'block', 'turn']);
const isPulled = (input: TimedInput['input']): input is PulledInput => PULLED.has(input.kind);
const isPushed = (input: TimedInput['input']): input is PushedInput => !PULLED.has(input.kind);

/**
 * The inputs of one half of the door, in order, with the next one in sight. No farther than asked for, because the other half may have
 * millions in between.
 */
class Lookahead<T extends TimedInput['input']> {
  readonly #inputs: Iterator<TimedInput>;
  readonly #accepts: (input: TimedInput['input']) => input is T;
  /** What has been read and not been passed: the next input, and what somebody wanted to see beyond it. */
  readonly #queue: TimedInput[] = [];
  #read: number;

  /** `first` is the number of the first input that the iterator gives. */
  constructor(inputs: Iterator<TimedInput>, first: number, accepts: (input: TimedInput['input']) => input is T) {
    this.#inputs = inputs;
    this.#accepts = accepts;
    this.#read = first;
    this.next();
  }

  /** Number of the next input among all inputs of the trace, after a look at it; after the last, how many there are. */
  get number(): number {
    return this.#read - this.#queue.length;
  }

  /** Position of the next input, if it lies at or before a limit; Infinity otherwise. */
  positionUpTo(limit: number): number {
    return this.#find(limit)?.position ?? Number.POSITIVE_INFINITY;
  }

  /** The next input if it belongs to this position. */
  at(position: number): T | null {
    const found = this.#find(position);
    return found?.position === position ? found.input : null;
  }

  next(): void {
    this.#queue.shift();
    if (this.#queue.length === 0) this.#readOn();
  }

  /** How many inputs of this position are to be taken for the last of a kind to be among them. */
  upTo(position: number, wanted: (input: TimedInput['input']) => boolean): number {
    if (!this.at(position)) return 0;
    let accepted = 0;
    let last = 0;
    for (let i = 0; i < this.#queue.length || this.#readOn(); i++) {
      const { position: at, input } = this.#queue[i];
      if (at !== position) break;
      if (this.#accepts(input)) accepted++;
      if (wanted(input)) last = accepted;
    }
    return last;
  }

  #readOn(): boolean {
    const { value, done } = this.#inputs.next();
    if (done) return false;
    this.#queue.push(value);
    this.#read++;
    return true;
  }

  #find(limit: number): Timed<T> | null {
    for (let head = this.#queue[0]; head && head.position <= limit; head = this.#queue[0]) {
      const { position, input } = head;
      if (this.#accepts(input)) return { position, input };
      this.next();
    }
    return null;
  }
}
