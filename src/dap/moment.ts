/**
 * The machine as it stands, for symbols to look at. Symbols read memory at once, the engine answers later: what is not here yet is noted, brought, and
 * the work done again.
 */
import { UserError } from '../base/assert.ts';
import type { DebugSession, HartRegisters, HartState, StopEvent } from '../debugger/session.ts';
import {
  type Frame,
  frames,
  type MemoryReader,
  type Registers,
  registerName,
  type Symbols,
  type UnwindContext,
} from '../symbols/index.ts';

const PAGE_BYTES = 4096;
/** Bytes that are brought at a time: whoever reads a page mostly goes on to the next ones. */
const AHEAD_BYTES = 16 * PAGE_BYTES;
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
  readonly hart: number;
  readonly index: number;
}

export class Moment {
  readonly event: StopEvent;
  readonly harts: readonly HartState[];
  readonly symbols: Symbols;
  readonly #session: DebugSession;
  readonly #registers = new Map<number, HartRegisters>();
  readonly #pages: Map<bigint, Uint8Array | null>[];
  readonly #missing = new Map<number, Set<bigint>>();
  readonly #stacks = new Map<number, Stack>();
  #over = false;

  constructor(session: DebugSession, symbols: Symbols, event: StopEvent, harts: readonly HartState[]) {
    this.#session = session;
    this.symbols = symbols;
    this.event = event;
    this.harts = harts;
    this.#pages = harts.map(() => new Map());
  }

  static async of(session: DebugSession, symbols: Symbols): Promise<Moment> {
    const [event, harts] = await Promise.all([session.where(), session.harts()]);
    return new Moment(session, symbols, event, harts);
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

  /** Memory as a hart sees it; only for work within `settle`. */
  memory(hart: number): MemoryReader {
    return { read: (address, length) => this.#read(hart, address, length) };
  }

  #read(hart: number, address: bigint, length: number): Uint8Array | null {
    const pages = this.#pages[hart];
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
        this.#missing.set(hart, (this.#missing.get(hart) ?? new Set()).add(number));
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
      for (const [hart, wanted] of this.#missing) brought += await this.#bring(hart, wanted);
    }
    throw new UserError(`more than ${WORK_BYTES_MAX} bytes of memory would have to be read`);
  }

  async #bring(hart: number, wanted: ReadonlySet<bigint>): Promise<number> {
    const pages = this.#pages[hart];
    let brought = 0;
    for (const first of wanted) {
      if (pages.has(first)) continue;
      const { bytes, readable } = await this.#session.memory({
        hart,
        address: first * BigInt(PAGE_BYTES),
        length: AHEAD_BYTES,
      });
      this.#check();
      for (let at = 0; at < AHEAD_BYTES; at += PAGE_BYTES) {
        const number = BigInt.asUintN(52, first + BigInt(at / PAGE_BYTES));
        const there = readable.some(({ from, to }) => at >= from && at + PAGE_BYTES <= to);
        pages.set(number, there ? bytes.subarray(at, at + PAGE_BYTES) : null);
      }
      brought += AHEAD_BYTES;
    }
    return brought;
  }

  /** The innermost frames of a hart, at least so many if there are. */
  async stack(hart: number, count: number): Promise<Stack> {
    const known = this.#stacks.get(hart);
    if (known && (known.whole || known.frames.length >= count)) return known;
    const registers = namedByNumber(await this.registers(hart));
    const limit = Math.min(count, FRAMES_MAX);
    const stack = await this.settle(() => {
      const context: UnwindContext = { symbols: this.symbols, memory: this.memory(hart) };
      const found: Frame[] = [];
      for (const frame of frames(context, registers)) {
        if (found.length === limit) return { frames: found, whole: false };
        found.push(frame);
      }
      return { frames: found, whole: true };
    });
    this.#stacks.set(hart, stack);
    return stack;
  }

  async frame({ hart, index }: FrameReference): Promise<Frame> {
    const { frames } = await this.stack(hart, index + 1);
    const frame = frames[index];
    if (!frame) throw new UserError(`hart ${hart} has no frame ${index}`);
    return frame;
  }
}

/** Registers by their DWARF numbers. */
function namedByNumber({ pc, x, f, csrs }: HartRegisters): Registers {
  return {
    pc,
    get: (register) => {
      if (register < 32) return x[register];
      return register < 64 ? f[register - 32] : csrs[registerName(register)];
    },
  };
}
