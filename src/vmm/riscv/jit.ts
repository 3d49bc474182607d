/** The compiler's keeper: compiles regions that have become hot, puts them into the table, and throws them away. */
import { assert } from '../../base/assert.ts';
import {
  COUNTED_EXITS,
  COUNTED_STEPS,
  COUNTERS_BASE,
  DECODED_TABLE_BASE,
  ENTRY_OFFSET,
  EXIT_BYTES,
  EXITS_BASE,
  EXITS_KEPT,
  G,
  HAS_REGIONS_OFFSET,
  INVALIDATIONS_OFFSET,
  PAGE_BYTES,
  PAGE_TABLE_BASE,
  RECORD_BYTES,
  RECORDS_PER_PAGE,
} from '../layout.ts';
import { type Block, type CodePage, type CodeSource, findBlocks, pageOf } from './blocks.ts';
import { type CompiledRegions, ImmediateCompiler, type RegionCompiler } from './compiler.ts';
import { HANDLER, writeRecord } from './decoder.ts';
import { EXIT_REASONS, type ExitReason } from './region.ts';
import { unroll } from './unroll.ts';
import type { WatchedRegisters } from './watchable.ts';

/** Jumps to a place before it is compiled: compiling, with V8's part in other threads, takes about as long as interpreting a million instructions. */
const HOT_AFTER = 15_000;
/**
 * Regions held at a time, and memory that they take; no guest seen so far has had three thousand. When it is used up, all are thrown away, and V8 may
 * take until the next time to give their memory back.
 */
const REGIONS_MAX = 10_000;
const CODE_BYTES_MAX = 150e6;
/**
 * Looks that must find a block running before it is hot. When so many have found a page's code running, its regions are made anew, with its hot loops
 * laid out several times; then after twice as many, and so on.
 */
const HOT_AFTER_LOOKS = 32;
/** And one in so many of those that have found the page's code running: a loop that takes less is not worth making several regions anew. */
const HOT_SHARE = 32;
/** Pages whose looks are remembered. */
const SAMPLED_PAGES_MAX = 1000;
/** Regions that are being compiled at a time: whatever else is asked for meanwhile must become hot again. */
const BEGUN_MAX = 1000;
/** What V8 takes for one, about, and for each of its instructions. */
const REGION_BYTES = 1000;
const INSTRUCTION_BYTES = 200;
/** Jumps to a place are counted in 16 bits, which have room for the places of regions as well; the last count means that it was asked for. */
const COUNT_MAX = 2 ** 15 - 1;

/** Watches come and go while a search moves about: compiling everything anew would cost more than what they slow down meanwhile. */
const UNWATCHED_STEPS = 2 ** 26;

/** A function that is called this many times less often than what is compiled for is still worth including in its callers. */
const FREQUENT_PART = 4;

/** Where jumps have come to often: an offset of the page that a hart executes from. */
export interface Request {
  readonly offset: number;
  /** The page, and those around it that the hart has executed from lately, by their distance from it in pages. */
  readonly pages: ReadonlyMap<number, DecodedPage>;
}

export interface DecodedPage {
  readonly records: number;
  /** Number of the RAM page. */
  readonly page: number;
}

/** What was asked of the compiler, and what became of it. */
export interface JitStatistics {
  requests: number;
  /** Requests that compiled nothing: for a page whose code is rewritten too often, */
  rewritten: number;
  /** at an instruction that regions do not hold, */
  empty: number;
  /** while the compiler had too much to do already, */
  postponed: number;
  /** for code that was no longer there when it was ready. */
  outdated: number;
  modules: number;
  blocks: number;
  instructions: number;
  /** Regions thrown away because their code was written, and how often all were: for want of room, or to be made otherwise. */
  forgotten: number;
  cleared: number;
}

/** A place where compiled code handed over. */
export interface Exit {
  readonly reason: ExitReason;
  readonly pc: bigint;
}

/** A region that is being compiled. */
interface Planned {
  readonly offset: number;
  /** Address of the number by which the interpreter finds it. */
  readonly entry: number;
  readonly blocks: readonly Block[];
  /** Those of the pages that the blocks lie on. */
  readonly pages: ReadonlyMap<number, DecodedPage>;
  readonly besideCode: boolean;
  /** Starts of blocks that were hot. */
  readonly hot: ReadonlySet<number>;
  /** How many loops are laid out several times. */
  readonly loops: number;
}

export class Jit {
  readonly table: WebAssembly.Table;
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #words: Int32Array;
  #exports: Record<string, unknown> = {};
  /** Entry 0 of the table stays empty: 0 stands for "no region". */
  #used = 1;
  #codeBytes = 0;
  #requests: Request[] = [];
  #slicesWaited = 0;
  /** Makes modules of regions; another one may take its place before the machine runs. */
  compiler: RegionCompiler;
  /** Batches of regions that the compiler has, in order. */
  #begun: (readonly Planned[])[] = [];
  #regionsBegun = 0;
  /** Batches of which the results are not wanted any more. */
  #outdated = 0;
  /** Regions compiled at a time. */
  batch = 8;
  /** Where each region is entered, by its place in the table. */
  readonly #entries: number[] = [0];
  /** The regions that a decoded page has a part in. */
  readonly #regions = new Map<number, number[]>();
  /** What regions leave to the interpreter; null for nothing. */
  #watched: WatchedRegisters | null = null;
  #unwatchedSteps = 0;
  #besideCode = false;
  /** How often a look has found a hart at each halfword of a page, by RAM page; and behind those, anywhere on it. */
  readonly #samples = new Map<number, Uint32Array>();
  /** Where regions are entered that are being made anew. */
  readonly #anew = new Set<number>();
  /** What each region was planned as, by its place in the table. */
  readonly #plans: (Planned | null)[] = [null];
  #frequentAfter = 0;
  compiled = 0;
  readonly statistics: JitStatistics = {
    ...{ requests: 0, rewritten: 0, empty: 0, postponed: 0, outdated: 0, modules: 0, blocks: 0, instructions: 0 },
    ...{ forgotten: 0, cleared: 0 },
  };
  /** Makes regions compiled from now on count their exits. */
  counting = false;
  /** Looks that must find a block running before loops with it are laid out several times. */
  blockHotAfter = HOT_AFTER_LOOKS;
  /** A page whose code is rewritten more often stays in the interpreter. */
  invalidationsMax = 8;

  /** Whether the interpreter must come by an offset of a RAM page, because a probe is planted there. */
  readonly #stops: (page: number, offset: number) => boolean;

  constructor(memory: WebAssembly.Memory, stops: (page: number, offset: number) => boolean) {
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    this.compiler = new ImmediateCompiler();
    this.#stops = stops;
    this.table = new WebAssembly.Table({ element: 'anyfunc', initial: REGIONS_MAX + 1 });
    this.hotAfter = HOT_AFTER;
  }

  /** Jumps to a place before it is compiled; Infinity compiles nothing. The results of a run do not depend on it. */
  set hotAfter(jumps: number) {
    assert(jumps <= COUNT_MAX || jumps === Number.POSITIVE_INFINITY, `jumps are counted up to ${COUNT_MAX}`);
    this.#view.setInt32(G.hotAfter, Number.isFinite(jumps) ? -jumps : 1, true);
    this.#frequentAfter = Math.floor(jumps / FREQUENT_PART);
    // Who wants all code compiled wants it before it runs.
    if (jumps === 0) this.batch = 1;
  }

  /** Memory that regions take, about. */
  get codeBytes(): number {
    return this.#codeBytes;
  }

  /** How often compiled code handed over, by reason, while `counting` was on. */
  exits(): Record<ExitReason, number> {
    const count = (i: number) => this.#view.getUint32(COUNTERS_BASE + 4 * i, true);
    return Object.fromEntries(EXIT_REASONS.map((reason, i) => [reason, count(i)])) as Record<ExitReason, number>;
  }

  /** Steps that compiled code took while `counting` was on. */
  countedSteps(): bigint {
    return this.#view.getBigUint64(COUNTED_STEPS, true);
  }

  /** The last exits while `counting` was on, latest last, but for the first `before`; and how many there were in all. */
  lastExits(before: number): { exits: Exit[]; count: number } {
    const count = this.#view.getUint32(COUNTED_EXITS, true);
    const exits: Exit[] = [];
    for (let n = Math.max(before, count - EXITS_KEPT); n < count; n++) {
      const place = EXITS_BASE + (n % EXITS_KEPT) * EXIT_BYTES;
      exits.push({
        reason: EXIT_REASONS[this.#view.getUint8(place)],
        pc: this.#view.getBigUint64(place + 8, true),
      });
    }
    return { exits, count };
  }

  /** Takes the interpreter's functions, which regions call. */
  link(exports: Record<string, unknown>): void {
    this.#exports = exports;
  }

  /** Asks for the region that begins at an offset of a page; it is compiled with the next few. */
  request(request: Request): void {
    const { records } = request.pages.get(0)!;
    this.statistics.requests++;
    if (this.#view.getInt32(records + INVALIDATIONS_OFFSET, true) > this.invalidationsMax) {
      this.statistics.rewritten++;
      return;
    }
    if (this.#regionsBegun >= BEGUN_MAX) {
      this.#askAgain(entryOf(request));
      this.statistics.postponed++;
      return;
    }
    this.#requests.push(request);
    this.compiler.start();
    if (this.#requests.length >= this.batch) this.compile();
  }

  /** Lets a place be asked for again. */
  #askAgain(entry: number): void {
    this.#view.setInt16(entry, 0, true);
  }

  /** Between two slices: what was asked for waits no longer than this. */
  betweenSlices(): void {
    if (this.#requests.length > 0 && ++this.#slicesWaited >= this.compiler.slicesToWait) this.compile();
    else if (this.#begun.length > 0) this.#installReady();
  }

  /** Begins to compile what was asked for, and installs what is compiled by now. */
  compile(): void {
    const requests = this.#requests;
    this.#requests = [];
    this.#slicesWaited = 0;
    const all = requests.map((request) => this.#plan(request));
    const planned = all.filter(({ blocks }) => blocks.length > 0);
    this.statistics.empty += all.length - planned.length;
    for (const { entry, blocks } of all) if (blocks.length === 0) this.#anew.delete(entry);
    for (let at = 0; at < planned.length; at += this.batch) this.#begin(planned.slice(at, at + this.batch));
    this.#installReady();
  }

  #begin(planned: readonly Planned[]): void {
    const plans = planned.map(({ blocks, pages, besideCode, hot }) => {
      const records = new Map([...pages].map(([number, page]) => [number, page.records]));
      return { blocks, records, besideCode, hot: [...hot] };
    });
    this.compiler.begin(plans, this.counting);
    this.#begun.push(planned);
    this.#regionsBegun += planned.length;
  }

  #plan({ offset, pages }: Request): Planned {
    const blocks = findBlocks(this.#source({ offset, pages }));
    const numbers = new Set(blocks.map(({ start }) => pageOf(start)));
    const parts = new Map([...numbers].map((number) => [number, pages.get(number)!]));
    const hot = this.#hotBlocks(blocks, parts);
    const entry = entryOf({ offset, pages });
    return {
      offset,
      entry,
      blocks,
      pages: parts,
      besideCode: this.#besideCode,
      hot,
      loops: unrolledLoops(blocks, hot),
    };
  }

  #installReady(): void {
    while (this.#begun.length > 0) {
      const compiled = this.compiler.take();
      if (!compiled) return;
      const planned = this.#begun.shift()!;
      this.#regionsBegun -= planned.length;
      for (const { entry } of planned) this.#anew.delete(entry);
      if (this.#outdated === 0) {
        this.#install(planned, compiled);
        continue;
      }
      this.#outdated--;
      for (const { entry } of planned) this.#askAgain(entry);
    }
  }

  #install(planned: readonly Planned[], { module, imports }: CompiledRegions): void {
    if (this.#used + planned.length > REGIONS_MAX || this.#codeBytes > CODE_BYTES_MAX) this.clear();
    const host: Record<string, unknown> = { memory: this.#memory };
    for (const name of imports) host[name] = this.#exports[name];
    this.statistics.modules++;
    const instance = new WebAssembly.Instance(module, { host });
    planned.forEach((plan, i) => {
      const { entry, blocks, pages } = plan;
      if (!blocks.every((block) => this.#holds(block, pages.get(pageOf(block.start))!))) {
        this.#askAgain(entry);
        this.statistics.outdated++;
        return;
      }
      const place = this.#used++;
      for (const { start, instructions } of blocks) {
        const { records } = pages.get(pageOf(start))!;
        for (const { offset: at, decoded } of instructions) {
          // What the region was made of has records from now on: a store there throws it away.
          const record = recordOf(records, at & (PAGE_BYTES - 1));
          if (this.#view.getUint8(record) === HANDLER.undecoded) writeRecord(this.#words, record, decoded.bits);
        }
      }
      for (const { records } of pages.values()) this.#belongsTo(records, place);
      this.table.set(place, instance.exports[`r${i}`]);
      this.#entries[place] = entry;
      this.#plans[place] = plan;
      this.#view.setInt16(entry, place, true);
      this.compiled++;
      this.statistics.blocks += blocks.length;
      const instructions = blocks.reduce((sum, block) => sum + block.instructions.length, 0);
      this.statistics.instructions += instructions;
      this.#codeBytes += REGION_BYTES + instructions * INSTRUCTION_BYTES;
      if (plan.besideCode !== this.#besideCode) this.#makeAnew(place);
    });
  }

  /** Whether a page still has the code of a block, and no probe in it. */
  #holds({ instructions }: Block, { records, page }: DecodedPage): boolean {
    const view = this.#view;
    if (view.getUint32(DECODED_TABLE_BASE + page * 4, true) !== records) return false;
    const host = view.getUint32(PAGE_TABLE_BASE + page * 4, true);
    return instructions.every(({ offset, decoded: { bits, length } }) => {
      const at = offset & (PAGE_BYTES - 1);
      const now = length === 2 ? view.getUint16(host + at, true) : view.getUint32(host + at, true);
      return now === bits >>> 0 && !this.#stops(page, at);
    });
  }

  /** Code of a decoded page has changed: no region that has a part of it holds any more. */
  forget(records: number): void {
    this.statistics.forgotten += this.#regions.get(records)?.length ?? 0;
    this.drop(records);
    const count = this.#view.getInt32(records + INVALIDATIONS_OFFSET, true);
    this.#view.setInt32(records + INVALIDATIONS_OFFSET, count + 1, true);
  }

  /** Throws away the regions that a decoded page has a part in. */
  drop(records: number): void {
    for (const place of this.#regions.get(records) ?? []) {
      if (this.#view.getInt16(this.#entries[place], true) === place) this.#view.setInt16(this.#entries[place], 0, true);
    }
    this.#regions.delete(records);
    this.#view.setInt32(records + HAS_REGIONS_OFFSET, 0, true);
  }

  /**
   * Leaves instructions that change some registers to the interpreter from now on, which watches them. Regions that were compiled for other ones are
   * thrown away.
   */
  watch(registers: WatchedRegisters): void {
    this.#unwatchedSteps = 0;
    if (registers.key === (this.#watched?.key ?? '')) return;
    this.#watched = registers;
    this.clear();
  }

  /** So many steps were run with no registers watched. After a while of that, regions need not leave anything out any more. */
  unwatched(steps: number): void {
    if (!this.#watched) return;
    this.#unwatchedSteps += steps;
    if (this.#unwatchedSteps < UNWATCHED_STEPS) return;
    this.#watched = null;
    this.clear();
  }

  /** A look has found a hart at an offset of a page. */
  sampled({ records, page }: DecodedPage, offset: number): void {
    let looks = this.#samples.get(page);
    if (!looks) {
      if (this.#samples.size === SAMPLED_PAGES_MAX) this.#samples.clear();
      looks = new Uint32Array(RECORDS_PER_PAGE + 1);
      this.#samples.set(page, looks);
    }
    looks[offset / 2]++;
    const turns = ++looks[RECORDS_PER_PAGE] / HOT_AFTER_LOOKS;
    if (turns >= 1 && Number.isInteger(Math.log2(turns))) this.#unrollMore(records);
  }

  /** Makes regions on a page anew that have loops which are hot by now. */
  #unrollMore(records: number): void {
    for (const place of this.#regions.get(records) ?? []) {
      if (!this.#isLatest(place)) continue;
      const { blocks, pages, hot, loops } = this.#plans[place]!;
      const hotNow = this.#hotBlocks(blocks, pages);
      if (hotNow.size > hot.size && unrolledLoops(blocks, hotNow) > loops) this.#makeAnew(place);
    }
  }

  /** Compiles a region once more, if it is still in use; it runs on until the new one is there. */
  #makeAnew(place: number): void {
    if (!this.#isLatest(place) || this.#requests.length >= BEGUN_MAX) return;
    const { entry, offset, pages } = this.#plans[place]!;
    this.#anew.add(entry);
    this.#requests.push({ offset, pages });
  }

  /** Whether a region is in use, and none is made that will take its place. */
  #isLatest(place: number): boolean {
    const entry = this.#entries[place];
    return this.#view.getInt16(entry, true) === place && !this.#anew.has(entry);
  }

  /** Starts of the blocks in which much time is spent. */
  #hotBlocks(blocks: readonly Block[], pages: ReadonlyMap<number, DecodedPage>): Set<number> {
    return new Set(blocks.filter((block) => this.#isHot(block, pages)).map(({ start }) => start));
  }

  #isHot({ start, instructions }: Block, pages: ReadonlyMap<number, DecodedPage>): boolean {
    if (this.blockHotAfter === 0) return true;
    const looks = this.#samples.get(pages.get(pageOf(start))!.page);
    if (!looks) return false;
    let count = 0;
    for (const { offset } of instructions) count += looks[(offset & (PAGE_BYTES - 1)) / 2];
    return count >= this.blockHotAfter && count * HOT_SHARE >= looks[RECORDS_PER_PAGE];
  }

  /** Stores have come beside code for so long that they will go on: regions can do them from now on. Those that cannot run on until others take their places. */
  writesBesideCode(): void {
    if (this.#besideCode) return;
    this.#besideCode = true;
    if (this.#used > BEGUN_MAX) this.clear();
    else for (let place = 1; place < this.#used; place++) this.#makeAnew(place);
  }

  /** Throws all regions away, and what was asked for. */
  clear(): void {
    this.statistics.cleared++;
    for (const request of this.#requests) this.#askAgain(entryOf(request));
    this.#requests = [];
    this.#anew.clear();
    this.#outdated = this.#begun.length;
    for (const records of [...this.#regions.keys()]) this.drop(records);
    for (let place = 1; place < this.#used; place++) this.table.set(place, null);
    this.#used = 1;
    this.#codeBytes = 0;
    this.#plans.length = 1;
  }

  #belongsTo(records: number, place: number): void {
    const places = this.#regions.get(records) ?? [];
    this.#regions.set(records, places);
    places.push(place);
    this.#view.setInt32(records + HAS_REGIONS_OFFSET, 1, true);
  }

  #source({ offset, pages }: Request): CodeSource {
    const known = new Map<number, CodePage>();
    return {
      entry: offset,
      leaves: (decoded) => this.#watched?.changedBy(decoded) ?? false,
      page: (number) => {
        const decoded = pages.get(number);
        if (!decoded) return null;
        const found = known.get(number) ?? this.#codePage(decoded);
        known.set(number, found);
        return found;
      },
    };
  }

  #codePage({ records, page }: DecodedPage): CodePage {
    const view = this.#view;
    const host = view.getUint32(PAGE_TABLE_BASE + page * 4, true);
    return {
      read: (offset) => view.getUint16(host + offset, true),
      executed: (offset) => view.getUint8(recordOf(records, offset)) !== HANDLER.undecoded,
      stops: (offset) => this.#stops(page, offset),
      frequent: (offset) => {
        const entered = view.getInt16(recordOf(records, offset) + ENTRY_OFFSET, true);
        return entered > 0 || -entered >= this.#frequentAfter;
      },
    };
  }
}

/** How many loops are laid out several times where some blocks are hot. */
function unrolledLoops(blocks: readonly Block[], hot: ReadonlySet<number>): number {
  return hot.size === 0 ? 0 : unroll(blocks, hot).choices.size;
}

/** Address of the number by which the interpreter finds the region that is asked for, or counts the jumps to its place. */
function entryOf({ offset, pages }: Request): number {
  return recordOf(pages.get(0)!.records, offset) + ENTRY_OFFSET;
}

/** Address of the record for an offset of a page. */
function recordOf(records: number, offset: number): number {
  return records + offset * (RECORD_BYTES / 2);
}
