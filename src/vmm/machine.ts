/**
 * The machine: harts, memory, devices and virtual time, and the loop that gives harts their turns. It is a pure function of its
 * starting state and of the inputs; whoever runs it enters inputs at positions and reads what it emits.
 *
 * Harts take turns on one total order: one after the other, each for the same number of steps, or as an outside schedule says. A turn ends
 * early where a hart waits or yields; it goes on past its end while no other hart is runnable.
 */
import { assert } from '../base/assert.ts';
import { type StateIO, StateReader, StateWriter } from '../base/state.ts';
import type { Bus } from './bus.ts';
import type { Clock } from './clock.ts';
import type { Device, StopRequest } from './device.ts';
import type { Digester } from './digest.ts';
import { CHANGE_BYTES_MAX, type Change, type PushedInput, TURN_STEPS_MAX, type Turn } from './inputs.ts';
import { G, JOURNAL_BASE, JOURNAL_ENTRY_BYTES } from './layout.ts';
import { Ram } from './memory.ts';
import type { PageSnapshot, Pages } from './pages.ts';
import type { Probes } from './probes.ts';
import type { Processor } from './processor.ts';

/** Why `run` returned. */
export type RunResult =
  | { kind: 'position' }
  | { kind: 'stopped'; request: StopRequest }
  /** Somebody asked for it with `pause`. */
  | { kind: 'paused' }
  /** `turn` wanted it, before the hart's step. */
  | { kind: 'turn' }
  /** The listener of a probe asked for it (see probes.ts). */
  | { kind: 'probe' }
  /** No hart is runnable until virtual time `untilNs` (Infinity: until an input comes). */
  | { kind: 'idle'; untilNs: number };

export type JournalKind = 'interrupt' | 'trap' | 'timer' | 'sbi';
const JOURNAL_KINDS: readonly JournalKind[] = ['interrupt', 'trap', 'timer', 'sbi'];

/** Something that happened inside, which a replay must reproduce. */
export interface JournalEvent {
  readonly position: number;
  readonly hart: number;
  readonly kind: JournalKind;
  /** Interrupt or exception code, or SBI extension. */
  readonly code: number;
  /** The pc, the time read, or the SBI function. */
  readonly value: bigint;
}

export interface MachineEvents {
  /** Console output of a device. */
  output?(device: string, data: Uint8Array): void;
  journal?(event: JournalEvent): void;
  /** Asked before an event is put together: they come by the hundred thousand, and few are wanted. */
  wants?(kind: JournalKind, position: number): boolean;
}

/** A machine's state at a position: its pages, and the rest as bytes. */
export interface MachineSnapshot {
  readonly position: number;
  readonly timeNs: number;
  readonly pages: PageSnapshot;
  readonly state: Uint8Array;
}

/** What a checkpoint is made of: the state without memory, and what the memory has that the checkpoint before did not. */
export interface MachineChanges {
  readonly position: number;
  readonly timeNs: number;
  readonly state: Uint8Array;
  /** Pages written since the changes, a snapshot or a digest was last taken, ascending. They are read before the machine runs on. */
  readonly pages: Uint32Array;
}

/** The state at position 0, of which memory is asked for page by page: null for one that was not there. */
export interface ResetState {
  readonly state: () => Uint8Array;
  readonly page: (page: number) => Uint8Array | null;
}

export interface MachineParts<P extends Processor> {
  readonly memory: WebAssembly.Memory;
  readonly pages: Pages;
  readonly digester: Digester;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly cpu: P;
  readonly devices: readonly Device[];
  readonly probes: Probes;
  /** Steps of a turn, where the schedule is the fixed one. */
  readonly quantum: number;
  /** Asks for the next turn, for one of the harts whose bits are set; null where the schedule is the fixed one. */
  readonly drawTurn: ((runnable: number) => Turn) | null;
}

/** Slices are cut so that the loop comes by often enough to be told to stop. */
const SLICE_STEPS_MAX = 2 ** 21;

export class Machine<P extends Processor = Processor> {
  readonly clock: Clock;
  readonly cpu: P;
  readonly pages: Pages;
  readonly devices: readonly Device[];
  /** What runs look out for; no part of the state. */
  readonly probes: Probes;
  events: MachineEvents = {};
  /** Longest slice, in steps; tests shuffle it, results must not depend on it. */
  sliceSteps = SLICE_STEPS_MAX;
  /** Hears which hart steps next, at least whenever it is another one; true makes `run` return first. */
  turn: ((hart: number) => boolean) | null = null;
  readonly #digester: Digester;
  readonly #view: DataView;
  readonly #state = new StateWriter();
  readonly #deviceState = new StateWriter();
  /** What the devices have saved; null once something may have changed one of them. */
  #savedDevices: Uint8Array | null = null;
  /** RAM for changes from outside, of which nobody is told as of an access. */
  readonly #ram: Ram;
  readonly #quantum: number;
  readonly #drawTurn: MachineParts<P>['drawTurn'];
  #hart = 0;
  /** Position at which the present turn began. */
  #turnStart = 0;
  /** Steps of the present turn, where turns are drawn; 0 when it has ended. */
  #turnSteps = 0;
  #stop: StopRequest | null = null;
  #paused = false;
  /** What a reboot goes back to. */
  reset: ResetState | null = null;

  constructor(parts: MachineParts<P>) {
    this.clock = parts.clock;
    this.cpu = parts.cpu;
    this.pages = parts.pages;
    this.devices = parts.devices;
    this.probes = parts.probes;
    this.#digester = parts.digester;
    this.#quantum = parts.quantum;
    this.#drawTurn = parts.drawTurn;
    this.#view = new DataView(parts.memory.buffer);
    this.#ram = new Ram(parts.pages, (page) => this.cpu.pageWritten(page));
    parts.bus.accessed = () => this.deviceChanges();
    parts.clock.alarmFires = () => this.deviceChanges();
  }

  get position(): number {
    return this.clock.position;
  }
  /** The hart whose turn it is. */
  get currentHart(): number {
    return this.#hart;
  }

  requestStop(request: StopRequest): void {
    this.#stop ??= request;
    this.cpu.leaveSlice();
  }

  /** Makes `run` return after the step that is being executed. */
  pause(): void {
    this.#paused = true;
    this.cpu.leaveSlice();
  }

  /** Says that a device may not be as it was saved. The machine knows of accesses on the bus, alarms and inputs by itself. */
  deviceChanges(): void {
    this.#savedDevices = null;
  }

  /** Notes something in the journal, at the step that is being executed. */
  note(hart: number, kind: JournalKind, code: number, value: bigint): void {
    this.drainJournal();
    const { events, position } = this;
    if (events.wants?.(kind, position) ?? true) events.journal?.({ position, hart, kind, code, value });
  }

  /** Passes on what a device sends to the outside. */
  emit(device: string, data: Uint8Array): void {
    this.drainJournal();
    this.events.output?.(device, data);
  }

  /** Runs to a position, or until something needs the caller. Idle time is not skipped here: see `skipIdle`. */
  run(until: number): RunResult {
    while (this.position < until) {
      this.#rebootIfAsked();
      if (this.#stop) return { kind: 'stopped', request: this.#stop };
      if (this.#paused) {
        this.#paused = false;
        return { kind: 'paused' };
      }
      const deadline = this.#settleEvents();
      this.#rebootIfAsked();
      if (this.#stop) return { kind: 'stopped', request: this.#stop };
      const othersRunnable = this.#chooseHart();
      if (othersRunnable === null) return { kind: 'idle', untilNs: this.#nextDeadline() };
      if (this.turn?.(this.#hart)) return { kind: 'turn' };
      const next = this.clock.positionAt(deadline);
      const turnLeft = othersRunnable ? this.#turnLeft() : Infinity;
      // What alarms and inputs have done is reported with the step that they precede.
      const longest = this.probes.pending ? 1 : this.sliceSteps;
      const budget = Math.min(until - this.position, next - this.position, turnLeft, longest);
      assert(budget > 0, `a slice has steps (${budget})`);
      const from = this.position;
      const yielded = this.cpu.run(this.#hart, budget, othersRunnable);
      this.drainJournal();
      if (yielded || (othersRunnable && budget === turnLeft && this.#turnIsOver())) this.#endTurn();
      if (this.probes.afterSlice(this.position > from ? this.position - 1 : null)) return { kind: 'probe' };
    }
    this.#rebootIfAsked();
    return this.#stop ? { kind: 'stopped', request: this.#stop } : { kind: 'position' };
  }

  /** Fires what is due at the present position, as `run` does before it goes on. */
  settle(): void {
    this.#settleEvents();
  }

  /** Lets virtual time pass without steps while no hart is runnable; what falls due on the way happens at its time. */
  skipIdle(untilNs: number): void {
    this.#advance(untilNs, this.clock.psPerStep);
  }

  /** Enters an input at the present position. */
  input(input: PushedInput): void {
    switch (input.kind) {
      case 'console': {
        const device = this.devices.find((d) => d.name === input.device);
        assert(device?.receive, `input goes to a device that takes it, not '${input.device}'`);
        this.deviceChanges();
        device.receive(input.data);
        break;
      }
      case 'clock':
        this.#advance(input.timeNs, input.psPerStep);
        break;
      case 'command':
        this.#stop = input.command === 'reset' ? { kind: 'reboot' } : { kind: 'power-off', exitCode: 0 };
        this.#rebootIfAsked();
        break;
      case 'memory':
        this.#ram.write(input.address, input.data);
        this.probes.restart();
        break;
      case 'register':
        this.cpu.setRegister(input.hart, input.register, input.value);
        this.probes.restart();
        break;
    }
  }

  /** Why a change cannot be made; null if it can. */
  refusal(change: Change): string | null {
    if (change.kind === 'register') {
      const { hart, register } = change;
      if (hart >= this.cpu.harts) return `there is no hart ${hart}`;
      return this.cpu.settable(register) ? null : `register '${register}' cannot be set`;
    }
    const { address, data } = change;
    if (data.length === 0 || data.length > CHANGE_BYTES_MAX) {
      return `${data.length} bytes: 1 to ${CHANGE_BYTES_MAX} can be changed at a time`;
    }
    if (this.#ram.contains(address, data.length)) return null;
    return `${data.length} bytes at physical address 0x${address.toString(16)} are not all RAM`;
  }

  /** The state without memory. */
  sync(s: StateIO): void {
    this.#syncHarts(s);
    this.#syncDevices(s);
  }

  #syncHarts(s: StateIO): void {
    s.part('clock', (part) => this.clock.sync(part));
    s.part('schedule', (part) => {
      this.#hart = part.u8('hart', this.#hart);
      this.#turnStart = part.num('turn-start', this.#turnStart);
      if (this.#drawTurn) this.#turnSteps = part.num('turn-steps', this.#turnSteps);
    });
    s.part('cpu', (part) => this.cpu.sync(part));
  }

  #syncDevices(s: StateIO): void {
    for (const device of this.devices) s.part(device.name, (part) => device.sync(part));
  }

  /** Takes the state as it is now; `changed` lists the pages written since the last one. */
  snapshot(): { snapshot: MachineSnapshot; changed: Uint32Array } {
    const state = this.#saveState();
    const { snapshot: pages, changed } = this.pages.snapshot();
    this.cpu.dropHostAddresses();
    return { snapshot: { position: this.position, timeNs: this.clock.now(), pages, state }, changed };
  }

  /** For who writes all changes down, one after the other, and will not come back: costs less than a snapshot. */
  changes(): MachineChanges {
    const state = this.#saveState();
    const pages = this.pages.changes();
    this.cpu.dropHostAddresses();
    return { position: this.position, timeNs: this.clock.now(), state, pages };
  }

  digest(): Uint8Array {
    const state = this.#saveState();
    const memory = this.pages.digest();
    this.cpu.dropHostAddresses();
    return this.#digester.finish(memory, state);
  }

  /** Says that a reboot goes back to the state as it is now, with this in memory. */
  rememberReset(page: ResetState['page']): void {
    const state = this.#saveState();
    this.reset = { state: () => state, page };
  }

  /** Most of the fields are those of devices, and where a guest computes, none of them has changed since the last time. */
  #saveState(): Uint8Array {
    this.#syncHarts(this.#state);
    if (!this.#savedDevices) {
      this.#syncDevices(this.#deviceState);
      this.#savedDevices = this.#deviceState.finish();
    }
    this.#state.append(this.#savedDevices);
    return this.#state.finish();
  }

  restore({ pages, state }: Pick<MachineSnapshot, 'pages' | 'state'>): void {
    this.pages.restore(pages);
    this.probes.forget();
    this.#takeState(state);
  }

  #takeState(state: Uint8Array): void {
    const reader = new StateReader(state);
    this.deviceChanges();
    this.sync(reader);
    assert(reader.done, 'the whole state has been read');
    this.cpu.dropHostAddresses();
    this.#stop = null;
  }

  /**
   * A guest that asked for a reboot finds memory and devices as they were at position 0; disks keep what was written, position and
   * time go on. Where that state is not known the request stands, and `run` returns it.
   */
  #rebootIfAsked(): void {
    if (this.#stop?.kind !== 'reboot' || !this.reset) return;
    const { position } = this;
    const now = this.clock.now();
    const { state, page: content } = this.reset;
    this.pages.resetRam(content, (page) => this.cpu.pageWritten(page));
    this.#takeState(state());
    this.clock.position = position;
    this.clock.set(now);
    this.#turnStart = position;
  }

  /** Fires alarms and timers that are due; returns the next deadline, in ns of virtual time. */
  #settleEvents(): number {
    this.clock.fireDue();
    this.cpu.updateTimers();
    return this.#nextDeadline();
  }

  #nextDeadline(): number {
    let next = this.clock.nextDeadline();
    for (let hart = 0; hart < this.cpu.harts; hart++) next = Math.min(next, this.cpu.timerDeadline(hart));
    return next;
  }

  #advance(toNs: number, psPerStep: number): void {
    for (;;) {
      const deadline = this.#settleEvents();
      if (deadline > toNs) break;
      this.clock.set(deadline);
    }
    this.clock.set(toNs, psPerStep);
    this.#settleEvents();
  }

  /** Settles whose turn it is. True if another hart is runnable too; null if none is. */
  #chooseHart(): boolean | null {
    const { harts } = this.cpu;
    let runnable = 0;
    for (let hart = 0; hart < harts; hart++) if (this.cpu.runnable(hart)) runnable |= 1 << hart;
    if (runnable === 0) return null;
    const others = () => runnable & ~(1 << this.#hart);
    const waits = () => !(runnable & (1 << this.#hart));
    if (this.#drawTurn) {
      if (waits() || (others() && this.#turnIsOver())) this.#beginTurn(this.#drawTurn(runnable), runnable);
    } else {
      while (waits()) this.#endTurn();
    }
    return others() !== 0;
  }

  #turnLeft(): number {
    const taken = this.position - this.#turnStart;
    return this.#drawTurn ? this.#turnSteps - taken : this.#quantum - (taken % this.#quantum);
  }

  #turnIsOver(): boolean {
    const taken = this.position - this.#turnStart;
    return this.#drawTurn ? taken >= this.#turnSteps : taken > 0 && taken % this.#quantum === 0;
  }

  #endTurn(): void {
    this.cpu.endTurn(this.#hart);
    this.#turnStart = this.position;
    if (this.#drawTurn) this.#turnSteps = 0;
    else this.#hart = (this.#hart + 1) % this.cpu.harts;
  }

  #beginTurn({ hart, steps }: Turn, runnable: number): void {
    // A turn that had nobody to make way for has gone on until now.
    if (this.#turnSteps > 0) this.#endTurn();
    assert(runnable & (1 << hart), `a turn for hart ${hart}, which cannot run`);
    assert(Number.isInteger(steps) && steps > 0 && steps <= TURN_STEPS_MAX, `a turn of ${steps} steps`);
    this.#hart = hart;
    this.#turnStart = this.position;
    this.#turnSteps = steps;
  }

  /** Hands out what generated code has noted; before anything with a later position goes out. */
  drainJournal(): void {
    const view = this.#view;
    const count = view.getInt32(G.journalCount, true);
    if (count === 0) return;
    view.setInt32(G.journalCount, 0, true);
    if (!this.events.journal) return;
    for (let i = 0; i < count; i++) {
      const at = JOURNAL_BASE + i * JOURNAL_ENTRY_BYTES;
      const position = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
      const kind = JOURNAL_KINDS[view.getUint8(at + 8)];
      if (this.events.wants && !this.events.wants(kind, position)) continue;
      this.events.journal({
        position,
        kind,
        hart: view.getUint8(at + 9),
        code: Number(view.getBigInt64(at + 16, true)),
        value: view.getBigUint64(at + 24, true),
      });
    }
  }
}
