/**
 * Platform-level interrupt controller, after the RISC-V PLIC specification 1.0.0 with the register layout and size of
 * QEMU's virt board. Sources are level-triggered; each hart has two contexts, M first, then S.
 *
 * A request stays until it is claimed, though its line falls (specification, section "Interrupt Gateways"). From then to its completion
 * the gateway makes no other; where the line is high then, it does (section "Interrupt Completion").
 */
import { assert } from '../../base/assert.ts';
import type { StateIO } from '../../base/state.ts';
import type { AccessSize, Device, InterruptLine } from '../device.ts';

/** Sources 1 to 95; source 0 means "no interrupt". */
export const PLIC_SOURCES = 95;
const WORDS = 3;
/** Three bits of priority. */
const PRIORITY_MASK = 7;

/** Memory map (specification, section "Memory Map"). */
const PRIORITY_BASE = 0;
const PENDING_BASE = 0x1000;
const ENABLE_BASE = 0x2000;
const ENABLE_STRIDE = 0x80;
const CONTEXT_BASE = 0x200000;
const CONTEXT_STRIDE = 0x1000;
const CONTEXT_THRESHOLD = 0;
const CONTEXT_CLAIM = 4;

export type PlicMode = 'M' | 'S';

export interface PlicOptions {
  harts: number;
  /** Of the hardware (see ../revision.ts). */
  revision: number;
  /** Drives the external interrupt of a hart's mode; called when the level changes. */
  output: (hart: number, mode: PlicMode, level: boolean) => void;
}

interface Context {
  readonly hart: number;
  readonly mode: PlicMode;
  readonly enabled: Uint32Array;
  threshold: number;
  output: boolean;
}

export class Plic implements Device {
  readonly name: string;
  readonly #output: PlicOptions['output'];
  readonly #withdraws: boolean;
  readonly #contexts: Context[] = [];
  readonly #priority = new Uint8Array(PLIC_SOURCES + 1);
  readonly #level = new Uint32Array(WORDS);
  readonly #pending = new Uint32Array(WORDS);
  readonly #claimed = new Uint32Array(WORDS);

  constructor(name: string, options: PlicOptions) {
    this.name = name;
    this.#output = options.output;
    this.#withdraws = options.revision === 0;
    for (let hart = 0; hart < options.harts; hart++) {
      for (const mode of ['M', 'S'] as const) {
        this.#contexts.push({ hart, mode, enabled: new Uint32Array(WORDS), threshold: 0, output: false });
      }
    }
  }

  /** The line of an interrupt source. */
  line(source: number): InterruptLine {
    assert(source >= 1 && source <= PLIC_SOURCES, `interrupt source ${source} exists`);
    return { set: (level) => this.#setLevel(source, level) };
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4 || offset & 3) return 0;
    if (offset < PENDING_BASE) return this.#priority[(offset - PRIORITY_BASE) >> 2] ?? 0;
    if (offset < ENABLE_BASE) return this.#pending[(offset - PENDING_BASE) >> 2] ?? 0;
    if (offset < CONTEXT_BASE) {
      const { context, at } = this.#locate(offset, ENABLE_BASE, ENABLE_STRIDE);
      return context?.enabled[at >> 2] ?? 0;
    }
    const { context, at } = this.#locate(offset, CONTEXT_BASE, CONTEXT_STRIDE);
    if (context && at === CONTEXT_THRESHOLD) return context.threshold;
    if (context && at === CONTEXT_CLAIM) return this.#claim(context);
    return 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    if (offset < PENDING_BASE) {
      const source = (offset - PRIORITY_BASE) >> 2;
      if (source >= 1 && source <= PLIC_SOURCES) this.#priority[source] = value & PRIORITY_MASK;
    } else if (offset < ENABLE_BASE) {
      // Pending bits are read-only.
    } else if (offset < CONTEXT_BASE) {
      const { context, at } = this.#locate(offset, ENABLE_BASE, ENABLE_STRIDE);
      const word = at >> 2;
      // Source 0 does not exist: its enable bit is zero.
      if (context && word < WORDS) context.enabled[word] = word === 0 ? value & ~1 : value;
    } else {
      const { context, at } = this.#locate(offset, CONTEXT_BASE, CONTEXT_STRIDE);
      if (context && at === CONTEXT_THRESHOLD) context.threshold = value & PRIORITY_MASK;
      if (context && at === CONTEXT_CLAIM && value <= PLIC_SOURCES) this.#complete(value);
    }
    this.#update();
  }

  /** The harts keep the levels of their lines: restoring drives nothing. */
  sync(s: StateIO): void {
    const words = (name: string, into: Uint8Array | Uint32Array) => {
      const saved = s.nums(name, into);
      assert(saved.length === into.length, `${name} has ${into.length} entries, not ${saved.length}`);
      into.set(saved);
    };
    words('priority', this.#priority);
    words('level', this.#level);
    words('pending', this.#pending);
    words('claimed', this.#claimed);
    for (const context of this.#contexts) {
      s.part(`hart${context.hart}${context.mode}`, (part) => {
        const saved = part.nums('enabled', context.enabled);
        assert(saved.length === WORDS, `enabled has ${WORDS} entries, not ${saved.length}`);
        context.enabled.set(saved);
        context.threshold = part.u8('threshold', context.threshold);
        context.output = part.bool('output', context.output);
      });
    }
  }

  #locate(offset: number, base: number, stride: number): { context: Context | undefined; at: number } {
    return { context: this.#contexts[Math.floor((offset - base) / stride)], at: (offset - base) % stride };
  }

  #setLevel(source: number, level: boolean): void {
    if (isSet(this.#level, source) === level) return;
    put(this.#level, source, level);
    if (this.#withdraws) put(this.#pending, source, level);
    else if (level && !isSet(this.#claimed, source)) put(this.#pending, source, true);
    this.#update();
  }

  /** Claiming takes the request of the highest priority, the lowest number among equals; 0 if there is none. */
  #claim(context: Context): number {
    const source = this.#best(context);
    if (source !== 0) {
      put(this.#pending, source, false);
      put(this.#claimed, source, true);
      this.#update();
    }
    return source;
  }

  #complete(source: number): void {
    if (!isSet(this.#claimed, source)) return;
    put(this.#claimed, source, false);
    if (isSet(this.#level, source)) put(this.#pending, source, true);
  }

  /** The source that a context would claim: pending, enabled, and of a priority above the threshold. */
  #best(context: Context): number {
    let best = 0;
    let bestPriority = context.threshold;
    for (let word = 0; word < WORDS; word++) {
      let candidates = this.#pending[word] & ~this.#claimed[word] & context.enabled[word];
      while (candidates !== 0) {
        const bit = 31 - Math.clz32(candidates & -candidates);
        candidates &= candidates - 1;
        const source = word * 32 + bit;
        if (this.#priority[source] > bestPriority) {
          best = source;
          bestPriority = this.#priority[source];
        }
      }
    }
    return best;
  }

  #update(): void {
    for (const context of this.#contexts) {
      const level = this.#best(context) !== 0;
      if (level === context.output) continue;
      context.output = level;
      this.#output(context.hart, context.mode, level);
    }
  }
}

function isSet(words: Uint32Array, source: number): boolean {
  return ((words[source >> 5] >>> (source & 31)) & 1) !== 0;
}

function put(words: Uint32Array, source: number, level: boolean): void {
  const bit = 1 << (source & 31);
  words[source >> 5] = level ? words[source >> 5] | bit : words[source >> 5] & ~bit;
}
