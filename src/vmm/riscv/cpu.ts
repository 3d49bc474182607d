/** The harts: generated code, their state in linear memory, and the host functions that the code calls. */
import { assert } from '../../base/assert.ts';
import type { NumbersInMemory, StateIO } from '../../base/state.ts';
import type { Bus } from '../bus.ts';
import type { Clock } from '../clock.ts';
import {
  CSR_INDEX_BASE,
  DECODED_BASE,
  DECODED_PAGE_BYTES,
  DECODED_PAGES,
  DECODED_TABLE_BASE,
  G,
  HART_STRIDE,
  HARTS_BASE,
  PAGE_BYTES,
  PAGE_FLAG,
  PAGE_FLAGS_BASE,
  PAGE_TABLE_BASE,
  PATIENCE_OFFSET,
  RAM_BASE,
  RECORD_BYTES,
  RECORDS_PER_PAGE,
  SCRATCH_RECORD,
} from '../layout.ts';
import type { Pages } from '../pages.ts';
import type { ProbeSet, Probes } from '../probes.ts';
import type { Processor } from '../processor.ts';
import { csrIndexTable } from './csr.ts';
import { clearPage, freshPage, HANDLER, instructionLength, writeRecord } from './decoder.ts';
import {
  DTLB_ENTRIES,
  FAST_ENTRY_BYTES,
  FAST_FETCH_BYTES,
  H,
  IRQ,
  ITLB_ENTRIES,
  MSTATUS,
  PRIV,
  SUPERPAGES_BYTES,
  TLB_ENTRY_BYTES,
} from './hart.ts';
import { buildInterpreter } from './interpreter.ts';
import { type DecodedPage, Jit } from './jit.ts';
import { HartProbes } from './probes.ts';
import { registerWriter } from './registers.ts';

/** 64-bit fields of a hart that are state, beside its registers, in the order in which they are saved. */
const STATE_64 = [
  ...['pc', 'mstatus', 'mip', 'mie', 'mideleg', 'medeleg', 'mtvec', 'mepc', 'mcause', 'mtval', 'mscratch'],
  ...['mcounteren', 'menvcfg', 'stvec', 'sepc', 'scause', 'stval', 'sscratch', 'scounteren', 'senvcfg', 'satp'],
  ...['stimecmp', 'cycleOffset', 'instretOffset', 'fetchPage', 'fetchPhysical', 'reservation', 'lines', 'steps'],
  'traps',
] as const;
const STATE_32 = ['privilege', 'fflags', 'frm', 'waiting', 'stopped'] as const;
type Field = keyof typeof H;
/** All that comes in 64 bits; x0 is no state. */
const WORDS: NumbersInMemory = {
  type: 'u64',
  names: [
    ...Array.from({ length: 31 }, (_, n) => `x${n + 1}`),
    ...Array.from({ length: 32 }, (_, n) => `f${n}`),
    ...STATE_64,
  ],
  offsets: [
    ...Array.from({ length: 31 }, (_, n) => H.x + 8 * (n + 1)),
    ...Array.from({ length: 32 }, (_, n) => H.f + 8 * n),
    ...STATE_64.map((field) => H[field]),
  ],
};
const HALF_WORDS: NumbersInMemory = { type: 'u32', names: STATE_32, offsets: STATE_32.map((field) => H[field]) };

const NANOSECONDS_PER_TICK = 100;

/** Steps from one look at where a hart is to the next. */
const SAMPLE_STEPS = 2 ** 20;

/** Contents of a page of which what was decoded is kept. */
const EARLIER_MAX = 4;

/** Stores beside its code after which a page is first taken for data. */
const PATIENCE_FIRST = 128;
/** A page that has this much is code and data. */
const PATIENCE_WITH_BOTH = PATIENCE_FIRST * 8 ** 4;

/** Indexes of fields in a hart's words. Bit 63 of menvcfg, STCE, is the sign of its high word. */
const LOW = {
  mip: H.mip / 4,
  mie: H.mie / 4,
  lines: H.lines / 4,
  stimecmp: H.stimecmp / 4,
  waiting: H.waiting / 4,
  stopped: H.stopped / 4,
  yields: H.yields / 4,
  budget: H.budget / 4,
} as const;
const HIGH = { menvcfg: H.menvcfg / 4 + 1, stimecmp: H.stimecmp / 4 + 1 } as const;

export interface CpuHost {
  /** An environment call of the supervisor, where the built-in firmware is in use. */
  sbi(hart: number): void;
  /** The HTIF word was written. */
  tohost(): void;
}

export class RiscvCpu implements Processor {
  readonly harts: number;
  readonly jit: Jit;
  readonly #memory: WebAssembly.Memory;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #allWords: Int32Array;
  readonly #table: Int32Array;
  readonly #flags: Uint8Array;
  readonly #decoded: Int32Array;
  readonly #clock: Clock;
  /** RAM page of each decoded page's slot. */
  readonly #slotPages = new Int32Array(DECODED_PAGES).fill(-1);
  #slots = 0;
  /** Slots that were never used hold nothing but zeros. */
  #usedSlots = 0;
  /** Slots that pages have had, by page, the latest first. */
  readonly #slotsOf = new Map<number, number[]>();
  /** By page, for those that were once taken for data. */
  readonly #patience = new Map<number, number>();
  readonly #shared: Int32Array;
  /** Each hart's state up to its TLBs, as words. */
  readonly #words: Int32Array[];
  /** Ticks that the guest's writes of mtime have put between it and virtual time. */
  #timeOffset = 0;
  #running = -1;
  /** The span of steps in which the last look was. */
  #sampled = 0;
  readonly #probes: HartProbes;
  readonly #exec: Exec;
  /** Imports of the interpreter, kept for its variant. */
  readonly #imports: Record<string, unknown>;
  /** The variant that watches registers, once it was needed. */
  #watchingExec: Exec | null = null;
  readonly #flushTlb: (hart: number) => void;
  readonly #flushTlbPage: (hart: number, address: bigint) => void;
  readonly #flushFast: (hart: number) => void;
  readonly #modeChanged: (hart: number) => void;
  constructor(
    memory: WebAssembly.Memory,
    harts: number,
    revision: number,
    pages: Pages,
    bus: Bus,
    clock: Clock,
    probes: Probes,
    host: CpuHost,
  ) {
    this.harts = harts;
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#allWords = new Int32Array(memory.buffer);
    this.#table = new Int32Array(memory.buffer, PAGE_TABLE_BASE, pages.ramPages);
    this.#flags = new Uint8Array(memory.buffer, PAGE_FLAGS_BASE, pages.ramPages);
    this.#decoded = new Int32Array(memory.buffer, DECODED_TABLE_BASE, pages.ramPages);
    this.#clock = clock;
    this.#bytes.set(csrIndexTable(), CSR_INDEX_BASE);
    this.#view.setInt32(G.revision, revision, true);
    this.#view.setBigInt64(G.ramBytes, BigInt(pages.ramPages) * 4096n, true);
    this.#shared = new Int32Array(memory.buffer, 0, 0x1000 / 4);
    this.#words = Array.from({ length: harts }, (_, n) => new Int32Array(memory.buffer, this.base(n), H.dtlb / 4));
    // A device asks for the time of the very step that accesses it.
    const publish = () => {
      clock.position = this.#sliceEnd() - this.#words[this.#running][LOW.budget] - 1;
    };
    this.#probes = new HartProbes(memory, probes, clock, this, {
      running: () => this.#running,
      records: (page) => this.#decoded[page],
      decode: (record, page, half) => this.#decodeInto(record, page, half),
      forgetRegions: (page) => this.jit.drop(this.#decoded[page]),
      watchRegisters: (registers) => this.jit.watch(registers),
      dropFast: () => this.dropHostAddresses(),
      ramPages: pages.ramPages,
    });
    this.jit = new Jit(memory, (page, offset) => this.#probes.plants.has(page, offset));
    this.#imports = {
      memory: this.#memory,
      touch: (page: number) => pages.touch(page),
      unprotect: (page: number) => pages.unprotect(page),
      mmioRead: (address: number, size: number) => {
        publish();
        return bus.read(address >>> 0, size, this.#view, G.mmioValue) ? 1 : 0;
      },
      mmioWrite: (address: number, size: number) => {
        publish();
        return bus.write(address >>> 0, size, this.#view, G.mmioValue) ? 1 : 0;
      },
      watched: () => host.tohost(),
      decodePage: (page: number) => {
        // A hart that was restored goes on in its page without looking it up.
        pages.touch(page);
        return this.#decodePage(page);
      },
      decode: (record: number) => this.#decode(record >>> 0),
      decodeBits: (record: number, bits: number) => writeRecord(this.#allWords, record, bits),
      table: this.jit.table,
      hot: (records: number, offset: number) => this.#hot(records >>> 0, offset),
      codeChanged: (records: number) => this.jit.forget(records >>> 0),
      looksLikeData: (page: number) => this.#looksLikeData(page),
      sbi: (number: number) => {
        publish();
        this.#probes.called();
        host.sbi(number);
      },
      ...this.#probes.imports,
    };
    const instance = new WebAssembly.Instance(interpreterModule(false), { host: this.#imports });
    this.jit.link(instance.exports);
    const exported = <T>(name: string) => instance.exports[name] as T;
    this.#exec = exported('exec');
    this.#flushTlb = exported('flushTlb');
    this.#flushTlbPage = exported('flushTlbPage');
    this.#flushFast = exported('flushFast');
    this.#modeChanged = exported('modeChanged');
    for (let n = 0; n < harts; n++) this.reset(n);
  }

  /** State after reset (privileged specification, 3.4). The lines that others drive stay as they are, and so do the counts of steps. */
  reset(hart: number): void {
    const base = this.base(hart);
    const kept = (['lines', 'steps', 'traps'] as const).map((field) => [field, this.get(hart, field)] as const);
    this.#bytes.fill(0, base, base + H.size);
    for (const [field, value] of kept) this.set(hart, field, value);
    this.#view.setInt32(base + H.number, hart, true);
    this.#view.setInt32(base + H.privilege, PRIV.M, true);
    this.set(hart, 'mstatus', MSTATUS.UXL | MSTATUS.SXL);
    this.set(hart, 'stimecmp', (1n << 64n) - 1n);
    this.set(hart, 'fetchPage', -1n);
    this.set(hart, 'reservation', -1n);
    this.#flushFast(base);
    this.#modeChanged(base);
  }

  base(hart: number): number {
    return HARTS_BASE + hart * HART_STRIDE;
  }
  get(hart: number, field: Field): bigint {
    return this.#view.getBigUint64(this.base(hart) + H[field], true);
  }
  set(hart: number, field: Field, value: bigint): void {
    this.#view.setBigUint64(this.base(hart) + H[field], BigInt.asUintN(64, value), true);
  }
  get32(hart: number, field: Field): number {
    return this.#view.getInt32(this.base(hart) + H[field], true);
  }
  /** The upper half of a 64-bit field. */
  high32(hart: number, field: Field): number {
    return this.#view.getInt32(this.base(hart) + H[field] + 4, true);
  }
  set32(hart: number, field: Field, value: number): void {
    this.#view.setInt32(this.base(hart) + H[field], value, true);
  }
  x(hart: number, n: number): bigint {
    return this.#view.getBigUint64(this.base(hart) + H.x + 8 * n, true);
  }
  setX(hart: number, n: number, value: bigint): void {
    if (n !== 0) this.#view.setBigUint64(this.base(hart) + H.x + 8 * n, BigInt.asUintN(64, value), true);
  }
  f(hart: number, n: number): bigint {
    return this.#view.getBigUint64(this.base(hart) + H.f + 8 * n, true);
  }
  setF(hart: number, n: number, value: bigint): void {
    this.#view.setBigUint64(this.base(hart) + H.f + 8 * n, BigInt.asUintN(64, value), true);
  }
  pmpAddress(hart: number, n: number): bigint {
    return this.#view.getBigUint64(this.base(hart) + H.pmpaddr + 8 * n, true);
  }
  setPmp(hart: number, n: number, config: number, address: bigint): void {
    this.#bytes[this.base(hart) + H.pmpcfg + n] = config;
    this.#view.setBigUint64(this.base(hart) + H.pmpaddr + 8 * n, address, true);
    this.#flushFast(this.base(hart));
  }
  setPrivilege(hart: number, privilege: number): void {
    this.set32(hart, 'privilege', privilege);
    this.#modeChanged(this.base(hart));
  }

  /** Drives an interrupt line of a hart: a bit of mip. */
  setLine(hart: number, irq: number, level: boolean): void {
    const words = this.#words[hart];
    const old = words[LOW.lines];
    const lines = level ? old | (1 << irq) : old & ~(1 << irq);
    if (lines === old) return;
    words[LOW.lines] = lines;
    this.leaveSlice();
  }

  /** Ends the running slice after its present step. */
  leaveSlice(): void {
    if (this.#running >= 0) this.set32(this.#running, 'leave', 1);
  }

  /** True if the hart has something to execute: it does not wait, or an interrupt that it waits for is pending. */
  runnable(hart: number): boolean {
    const words = this.#words[hart];
    if (words[LOW.stopped] !== 0) return false;
    if (words[LOW.waiting] === 0) return true;
    // The bits in use are below 12: the low words are enough.
    if (((words[LOW.mip] | words[LOW.lines]) & words[LOW.mie]) === 0) return false;
    words[LOW.waiting] = 0;
    return true;
  }

  /** Runs a hart for at most `budget` steps from the clock's position, which moves on. True if the hart gave up its turn. */
  run(hart: number, budget: number, othersRunnable: boolean): boolean {
    const words = this.#words[hart];
    const end = this.#clock.position + budget;
    // Halves instead of BigInts: this runs for every slice.
    this.#shared[G.sliceEnd / 4] = end | 0;
    this.#shared[G.sliceEnd / 4 + 1] = Math.floor(end / 2 ** 32);
    this.#shared[G.othersRunnable / 4] = othersRunnable ? 1 : 0;
    words[LOW.yields] = 0;
    this.#running = hart;
    try {
      if (this.#probes.watching) {
        this.#probes.beforeWatching();
        this.#watching()(this.base(hart), budget);
      } else {
        this.#exec(this.base(hart), budget);
        this.jit.unwatched(budget);
      }
    } finally {
      // What the step needed from outside may have failed to come; another state can be restored.
      this.#running = -1;
    }
    this.jit.betweenSlices();
    const position = this.#sliceEnd() - words[LOW.budget];
    if (this.#probes.watching && position > this.#clock.position) this.#probes.afterWatching();
    this.#sample(hart, Math.floor(position / SAMPLE_STEPS));
    this.#clock.position = position;
    return words[LOW.yields] !== 0;
  }

  /** Notes where a hart is, once in each span of steps: much is done there, as like as not. */
  #sample(hart: number, span: number): void {
    if (span === this.#sampled) return;
    this.#sampled = span;
    const page = (Number(this.get(hart, 'fetchPhysical')) - RAM_BASE) / PAGE_BYTES;
    const records = this.#decoded[page];
    if (records) this.jit.sampled({ records, page }, Number(this.get(hart, 'pc') & BigInt(PAGE_BYTES - 1)));
  }

  #sliceEnd(): number {
    return this.#shared[G.sliceEnd / 4 + 1] * 2 ** 32 + (this.#shared[G.sliceEnd / 4] >>> 0);
  }

  /** The hart's turn is over: another one may come between LR and SC now. */
  endTurn(hart: number): void {
    this.set(hart, 'reservation', -1n);
  }

  /** Virtual time in ns at which the hart's supervisor timer (Sstc) fires; Infinity if it is off or has fired. */
  timerDeadline(hart: number): number {
    const words = this.#words[hart];
    if (words[HIGH.menvcfg] >= 0 || (words[LOW.lines] & (1 << IRQ.STI)) !== 0) return Number.POSITIVE_INFINITY;
    const compare = this.#timerCompare(words);
    // Beyond 2^53 ns lie more than a hundred days: never.
    return compare >= 2 ** 46 ? Number.POSITIVE_INFINITY : (compare - this.#timeOffset) * NANOSECONDS_PER_TICK;
  }

  /** Brings the timer lines up to date with virtual time. */
  updateTimers(): void {
    const ticks = Math.floor(this.#clock.now() / NANOSECONDS_PER_TICK) + this.#timeOffset;
    for (let hart = 0; hart < this.harts; hart++) {
      const words = this.#words[hart];
      this.setLine(hart, IRQ.STI, words[HIGH.menvcfg] < 0 && ticks >= this.#timerCompare(words));
    }
  }

  /** stimecmp as a number; where it loses low bits it lies beyond any time that is ever reached. */
  #timerCompare(words: Int32Array): number {
    return (words[HIGH.stimecmp] >>> 0) * 2 ** 32 + (words[LOW.stimecmp] >>> 0);
  }

  /** The timer runs ahead of virtual time by so many ticks: the guest has written mtime. */
  setTimeOffset(ticks: bigint): void {
    this.#view.setBigInt64(G.timeOffset, ticks, true);
    this.#timeOffset = Number(ticks);
    this.leaveSlice();
  }

  /** Address of the HTIF word, 0 for none. */
  get tohost(): number {
    return this.#view.getUint32(G.tohost, true);
  }
  set tohost(address: number) {
    this.#view.setUint32(G.tohost, address, true);
  }
  flushTlb(hart: number): void {
    this.#flushTlb(this.base(hart));
  }
  flushTlbPage(hart: number, address: bigint): void {
    this.#flushTlbPage(this.base(hart), BigInt.asIntN(64, address));
  }

  dropHostAddresses(): void {
    for (let hart = 0; hart < this.harts; hart++) this.#flushFast(this.base(hart));
    this.#probes.plants.plantPresent();
  }

  setProbes(probes: ProbeSet): void {
    assert(this.#running < 0, 'probes are set between slices');
    this.#probes.set(probes);
  }

  restartProbes(): void {
    this.#probes.stateChanged();
  }

  settable(register: string): boolean {
    return registerWriter(register) !== undefined;
  }
  setRegister(hart: number, register: string, value: bigint): void {
    registerWriter(register)!(this, hart, BigInt.asUintN(64, value));
  }

  #watching(): Exec {
    if (!this.#watchingExec) {
      const instance = new WebAssembly.Instance(interpreterModule(true), { host: this.#imports });
      this.#watchingExec = instance.exports.exec as Exec;
    }
    return this.#watchingExec;
  }

  /** Memory of a page was written by someone else than a hart. */
  pageWritten(page: number): void {
    const records = this.#decoded[page];
    if (records === 0) return;
    if (this.#executesFrom(page)) {
      this.jit.forget(records);
      clearPage(this.#bytes, this.#view, records);
    } else this.#forgetCode(page);
  }

  /**
   * A page that once held code and takes store after store beside it has become data: its stores need not come the slow way any more.
   * Should it be code all the same, it is decoded again, with more patience.
   */
  #looksLikeData(page: number): void {
    const patience = (this.#patience.get(page) ?? PATIENCE_FIRST) * 8;
    this.#patience.set(page, Math.min(patience, 2 ** 30));
    const isRunning = this.#executesFrom(page);
    if (isRunning) this.#view.setInt32(this.#decoded[page] + PATIENCE_OFFSET, patience, true);
    else this.#forgetCode(page);
    if (patience >= PATIENCE_WITH_BOTH) this.jit.writesBesideCode();
  }

  /** The running hart has the page's records in hand. */
  #executesFrom(page: number): boolean {
    if (this.#running < 0) return false;
    return this.get(this.#running, 'fetchPhysical') === BigInt(RAM_BASE + page * PAGE_BYTES);
  }

  /** The records stay where they are, unused, until the area is full. */
  #forgetCode(page: number): void {
    this.#decoded[page] = 0;
    this.#flags[page] &= ~PAGE_FLAG.decoded;
    this.dropHostAddresses();
  }

  /** Host addresses are those of another state afterwards, if it is read: drop them. */
  sync(s: StateIO): void {
    for (let hart = 0; hart < this.harts; hart++) s.part(`hart${hart}`, (part) => this.#syncHart(part, hart));
    this.#view.setBigUint64(G.timeOffset, s.u64('time-offset', this.#view.getBigUint64(G.timeOffset, true)), true);
    this.#timeOffset = Number(this.#view.getBigInt64(G.timeOffset, true));
    const word = (name: string, at: number) =>
      this.#view.setInt32(at, s.u32(name, this.#view.getUint32(at, true)), true);
    word('firmware', G.firmware);
    word('tohost', G.tohost);
    if (s.loads) this.#probes.stateChanged();
  }

  get codeBytes(): number {
    return this.#usedSlots * DECODED_PAGE_BYTES + this.jit.codeBytes;
  }

  /** Says that the built-in firmware takes the supervisor's environment calls. */
  useFirmware(): void {
    this.#view.setInt32(G.firmware, 1, true);
  }

  #syncHart(s: StateIO, hart: number): void {
    const base = this.base(hart);
    s.numbersAt(WORDS, this.#view, base);
    s.numbersAt(HALF_WORDS, this.#view, base);
    s.bytesAt('pmpcfg', this.#bytes, base + H.pmpcfg, 16);
    s.bytesAt('pmpaddr', this.#bytes, base + H.pmpaddr, 16 * 8);
    s.bytesAt('dtlb', this.#bytes, base + H.dtlb, DTLB_ENTRIES * TLB_ENTRY_BYTES);
    s.bytesAt('itlb', this.#bytes, base + H.itlb, ITLB_ENTRIES * TLB_ENTRY_BYTES);
    if (!s.loads) return;
    this.#bytes.fill(0xff, base + H.superpages, base + H.superpages + SUPERPAGES_BYTES);
    this.#modeChanged(base);
  }

  #decodePage(page: number): number {
    if (this.#slots === DECODED_PAGES) {
      // Full: start over. Decoding again what is in use costs less than keeping count of what is not.
      for (const old of this.#slotPages) {
        this.#decoded[old] = 0;
        this.#flags[old] &= ~PAGE_FLAG.decoded;
      }
      this.#slots = 0;
      this.#slotsOf.clear();
      this.jit.clear();
    }
    const slots = this.#slotsOf.get(page) ?? [];
    this.#slotsOf.set(page, slots);
    let slot = slots.find((earlier) => this.#stillHolds(earlier, page));
    if (slot === undefined) {
      slot = this.#slots++;
      slots.unshift(slot);
      if (slots.length > EARLIER_MAX) slots.pop();
      this.#slotPages[slot] = page;
      const fresh = DECODED_BASE + slot * DECODED_PAGE_BYTES;
      if (slot < this.#usedSlots) clearPage(this.#bytes, this.#view, fresh);
      else freshPage(this.#view, fresh);
      this.#usedSlots = Math.max(this.#usedSlots, this.#slots);
    }
    const address = DECODED_BASE + slot * DECODED_PAGE_BYTES;
    this.#decoded[page] = address;
    this.#view.setInt32(address + PATIENCE_OFFSET, this.#patience.get(page) ?? PATIENCE_FIRST, true);
    this.#flags[page] |= PAGE_FLAG.decoded;
    // Stores to the page must come to the slow path from now on.
    this.dropHostAddresses();
    return address;
  }

  /**
   * Whether what was decoded of a page before its content was replaced is right for its present content: then it comes back with the code that
   * was compiled from it. So moving through time does not throw that away.
   */
  #stillHolds(slot: number, page: number): boolean {
    if (this.#probes.plants.anyIn(page)) return false;
    const records = DECODED_BASE + slot * DECODED_PAGE_BYTES;
    const words = this.#allWords;
    for (let half = 0; half < RECORDS_PER_PAGE; half++) {
      const word = (records + half * RECORD_BYTES) / 4;
      if ((words[word] & 0xff) === HANDLER.undecoded) continue;
      words.fill(0, SCRATCH_RECORD / 4, (SCRATCH_RECORD + RECORD_BYTES) / 4);
      this.#decodeInto(SCRATCH_RECORD, page, half);
      if ((words[word] & 0xffff) !== words[SCRATCH_RECORD / 4]) return false;
      for (let i = 1; i < RECORD_BYTES / 4; i++) if (words[word + i] !== words[SCRATCH_RECORD / 4 + i]) return false;
    }
    return true;
  }

  #hot(records: number, offset: number): void {
    const here = this.get(this.#running, 'fetchPage');
    const privilege = BigInt(this.get32(this.#running, 'privilege'));
    const pages = new Map<number, DecodedPage>();
    const physicalPage = (address: bigint) => (Number(address) - RAM_BASE) / PAGE_BYTES;
    const fastFetch = this.base(this.#running) + H.fastFetch;
    for (let entry = fastFetch; entry < fastFetch + FAST_FETCH_BYTES; entry += FAST_ENTRY_BYTES) {
      const distance = BigInt.asIntN(64, this.#view.getBigUint64(entry, true) - privilege - here);
      const number = Number(distance) / PAGE_BYTES;
      // What lies farther away is not reached by a jump with a known target.
      if (!Number.isInteger(number) || Math.abs(number) >= 2 ** 19) continue;
      const page = physicalPage(this.#view.getBigUint64(entry + 8, true));
      pages.set(number, { records: this.#view.getUint32(entry + 16, true), page });
    }
    pages.set(0, { records, page: physicalPage(this.get(this.#running, 'fetchPhysical')) });
    this.jit.request({ offset, pages });
  }

  /** Decodes the instruction of a record, and those that come next with it: a call for each would take longer than the decoding. */
  #decode(first: number): void {
    const slot = Math.floor((first - DECODED_BASE) / DECODED_PAGE_BYTES);
    const page = this.#slotPages[slot];
    let record = first;
    let half = (first - DECODED_BASE - slot * DECODED_PAGE_BYTES) / RECORD_BYTES;
    for (;;) {
      const goesOn = this.#decodeInto(record, page, half);
      const halves = instructionLength(this.#halfword(page, half)) / 2;
      this.#probes.plants.decoded(record, page, half);
      record += halves * RECORD_BYTES;
      half += halves;
      if (!goesOn || half >= RECORDS_PER_PAGE || (this.#allWords[record / 4] & 0xff) !== HANDLER.undecoded) return;
    }
  }

  /** Writes the record of the instruction at a halfword of a page; true if the one behind it, on this page, comes next. */
  #decodeInto(record: number, page: number, half: number): boolean {
    const low = this.#halfword(page, half);
    if (instructionLength(low) === 2) return writeRecord(this.#allWords, record, low);
    if (half < RECORDS_PER_PAGE - 1) {
      return writeRecord(this.#allWords, record, low | (this.#halfword(page, half + 1) << 16));
    }
    this.#view.setInt32(record + 8, low, true);
    this.#view.setUint8(record + 1, RECORD_BYTES * 2);
    this.#view.setUint8(record, HANDLER.straddle);
    return false;
  }

  #halfword(page: number, half: number): number {
    return this.#view.getUint16((this.#table[page] >>> 0) + half * 2, true);
  }
}

type Exec = (hart: number, budget: number) => void;

const modules = new Map<boolean, WebAssembly.Module>();
/** The interpreter, or its variant that watches registers: the same for every machine of a process, generated and compiled once. */
function interpreterModule(watching: boolean): WebAssembly.Module {
  const found = modules.get(watching) ?? new WebAssembly.Module(buildInterpreter(watching) as Uint8Array<ArrayBuffer>);
  modules.set(watching, found);
  return found;
}

/** Takes the module that `buildInterpreter(false)` makes on this host, generated ahead: that takes as long as Node's own start. */
export function useInterpreter(bytes: Uint8Array<ArrayBuffer>): void {
  if (!modules.has(false)) modules.set(false, new WebAssembly.Module(bytes));
}
