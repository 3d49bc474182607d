/**
 * The machine as it stands, for symbols to look at. Symbols read memory at once, the engine answers later: what is not here yet is noted, brought, and
 * the work done again.
 */
import { UserError } from '../base/assert.ts';
import type { DebugSession, HartRegisters, HartState, StopEvent } from '../debugger/session.ts';
import type { StackStart } from '../linux/index.ts';
import { type Frame, frames, type MemoryReader, type Symbols } from '../symbols/index.ts';
import { LinuxMoment, type LinuxView } from './linux.ts';
import { registersByNumber } from './registers.ts';

const PAGE_BYTES = 4096;
/** Bytes that are brought at a time: whoever reads a page mostly goes on to the next ones, but for what lies about in a kernel. */
const AHEAD_BYTES = 16 * PAGE_BYTES;
const KERNEL_AHEAD_BYTES = 4 * PAGE_BYTES;
/** Bytes that one piece of work may need. */
const WORK_BYTES_MAX = 2 ** 28;
/** Frames of a stack that are ever shown. */
const FRAMES_MAX = 20_000;

/** Thrown through work that needs memory which is not here yet. */
class Missing extends Error {}

interface Stack {
  readonly frames: readonly Frame[];
  /** Whether there are no more. */
  readonly whole: boolean;
}

/** A frame that a client was told of. */
export interface FrameReference {
  /** The thread: a hart by its number, or a task of Linux (`taskThread`). */
  readonly hart: number;
  readonly index: number;
}

/** A value of satp without the ASID (privileged specification, 10.1.11). */
const tablesOf = (satp: bigint) => satp & ~(0xffffn << 44n);

/** Page tables that memory is looked at by: those of a hart, by its number, or what a value of `satp` names. */
type Space = number | bigint;

export class Moment {
  readonly event: StopEvent;
  readonly harts: readonly HartState[];
  readonly symbols: Symbols;
  /** What Linux does; null where there is none to be seen. */
  readonly linux: LinuxMoment | null;
  readonly #session: DebugSession;
  readonly #registers = new Map<number, HartRegisters>();
  readonly #pages = new Map<Space, Map<bigint, Uint8Array | null>>();
  readonly #missing = new Map<Space, Set<bigint>>();
  readonly #stacks = new Map<number, Stack>();
  #kernelSpace: bigint | null = null;
  #over = false;

  constructor(
    session: DebugSession,
    symbols: Symbols,
    event: StopEvent,
    harts: readonly HartState[],
    linux: LinuxView | null,
  ) {
    this.#session = session;
    this.symbols = symbols;
    this.event = event;
    this.harts = harts;
    this.linux = linux && new LinuxMoment(linux, this);
  }

  /** Without a view of Linux, stacks end where user programs begin. */
  static async of(session: DebugSession, symbols: Symbols, linux: LinuxView | null = null): Promise<Moment> {
    const [event, harts] = await Promise.all([session.where(), session.harts()]);
    return new Moment(session, symbols, event, harts, linux);
  }

  /** The machine goes on: what is not here yet will not come any more. */
  leave(): void {
    this.#over = true;
  }

  #check(): void {
    if (this.#over) throw new UserError('the machine has moved on since');
  }

  async registers(hart: number): Promise<HartRegisters> {
    const known = this.#registers.get(hart) ?? (await this.#session.registers(hart));
    this.#check();
    this.#registers.set(hart, known);
    return known;
  }

  /** Memory as a thread sees it, or by a value of `satp`; only for work within `settle`. */
  memory(thread: Space): MemoryReader {
    const space = typeof thread === 'number' ? (this.linux?.spaceOf(thread) ?? thread) : thread;
    return { read: (address, length) => this.#read(this.#spaceOf(space, address), address, length) };
  }

  /** The kernel's part is the same in all page tables of Linux. */
  #spaceOf(space: Space, address: bigint): Space {
    if (typeof space === 'number' || address >> 63n === 0n) return space;
    this.#kernelSpace ??= space;
    return this.#kernelSpace;
  }

  /** Page tables by which a thread's address is to be read, where those of the hart that the stop is about have something else there. */
  spaceOf(thread: number, address: bigint): bigint | undefined {
    const here = this.harts[this.event.hart].satp;
    const own = this.linux?.spaceOf(thread) ?? this.harts[thread]?.satp;
    if (own === undefined || tablesOf(own) === tablesOf(here)) return undefined;
    // The kernel's part is the same for all who have any.
    return address >> 63n === 1n && own !== 0n && here !== 0n ? undefined : own;
  }

  /** A hart that uses these page tables; undefined if none does. */
  hartIn(space: bigint): number | undefined {
    return this.harts.find(({ satp }) => tablesOf(satp) === tablesOf(space))?.hart;
  }

  #pagesOf(space: Space): Map<bigint, Uint8Array | null> {
    let pages = this.#pages.get(space);
    if (!pages) {
      pages = new Map();
      this.#pages.set(space, pages);
    }
    return pages;
  }

  #read(space: Space, address: bigint, length: number): Uint8Array | null {
    const pages = this.#pagesOf(space);
    const bytes = new Uint8Array(length);
    let missing = false;
    let nothing = false;
    for (let at = 0; at < length; ) {
      const here = BigInt.asUintN(64, address + BigInt(at));
      const within = Number(here % BigInt(PAGE_BYTES));
      const number = here / BigInt(PAGE_BYTES);
      const count = Math.min(length - at, PAGE_BYTES - within);
      const page = pages.get(number);
      if (page === undefined) {
        missing = true;
        this.#missing.set(space, (this.#missing.get(space) ?? new Set()).add(number));
      } else if (page === null) nothing = true;
      else bytes.set(page.subarray(within, within + count), at);
      at += count;
    }
    if (nothing) return null;
    if (missing) throw new Missing();
    return bytes;
  }

  /**
   * Does a piece of work, again and again until all the memory that it wants is here. It must keep nothing from one time to the next that depends on
   * memory.
   */
  async settle<T>(work: () => T): Promise<T> {
    for (let brought = 0; brought < WORK_BYTES_MAX; ) {
      this.#missing.clear();
      try {
        const result = work();
        // Where a frame has no symbols, unwinding takes any failure for the end of the stack.
        if (this.#missing.size === 0) return result;
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
      }
      for (const [space, wanted] of this.#missing) brought += await this.#bring(space, wanted);
    }
    throw new UserError(`more than ${WORK_BYTES_MAX} bytes of memory would have to be read`);
  }

  async #bring(space: Space, wanted: ReadonlySet<bigint>): Promise<number> {
    const pages = this.#pagesOf(space);
    const ahead = typeof space === 'number' ? AHEAD_BYTES : KERNEL_AHEAD_BYTES;
    let brought = 0;
    for (const first of wanted) {
      if (pages.has(first)) continue;
      const { bytes, readable } = await this.#session.memory({
        ...(typeof space === 'number' ? { hart: space } : { space }),
        address: first * BigInt(PAGE_BYTES),
        length: ahead,
      });
      this.#check();
      for (let at = 0; at < ahead; at += PAGE_BYTES) {
        const number = BigInt.asUintN(52, first + BigInt(at / PAGE_BYTES));
        const there = readable.some(({ from, to }) => at >= from && at + PAGE_BYTES <= to);
        pages.set(number, there ? bytes.subarray(at, at + PAGE_BYTES) : null);
      }
      brought += ahead;
    }
    return brought;
  }

  /** The innermost frames of a thread, at least so many if there are. */
  async stack(thread: number, count: number): Promise<Stack> {
    const known = this.#stacks.get(thread);
    if (known && (known.whole || known.frames.length >= count)) return known;
    const inLinux = await this.linux?.stackStart(thread);
    const start = inLinux?.start ?? (await this.#hartStart(thread));
    let stack = await this.#unwind(start, count);
    // The program's own symbols, where the way leads into a program.
    const user = start.context.userSpace;
    const inProgram = user !== undefined && stack.frames.some(({ machine }) => machine.space === user);
    if (inLinux && inProgram && (await this.linux?.placePrograms(thread, inLinux.task))) {
      stack = await this.#unwind(start, count);
    }
    this.#stacks.set(thread, stack);
    return stack;
  }

  async #hartStart(hart: number): Promise<StackStart> {
    const registers = registersByNumber(await this.registers(hart));
    return { context: { symbols: this.symbols, memory: this.memory(hart) }, registers };
  }

  #unwind({ context, registers }: StackStart, count: number): Promise<Stack> {
    const limit = Math.min(count, FRAMES_MAX);
    return this.settle(() => {
      const found: Frame[] = [];
      for (const frame of frames(context, registers)) {
        if (found.length === limit) return { frames: found, whole: false };
        found.push(frame);
      }
      return { frames: found, whole: true };
    });
  }

  async frame({ hart, index }: FrameReference): Promise<Frame> {
    const { frames } = await this.stack(hart, index + 1);
    const frame = frames[index];
    if (!frame) throw new UserError(`thread ${hart + 1} has no frame ${index}`);
    return frame;
  }
}
