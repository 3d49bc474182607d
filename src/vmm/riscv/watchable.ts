/** Registers whose changes a probe can report: those that are kept as words of a hart's state, under their usual names. */
import { PROBE_ENTRY_BYTES, PROBE_WORDS_BASE } from '../layout.ts';
import type { Decoded } from './decoder.ts';
import { F_NAMES, X_NAMES } from './disassembler.ts';
import { H, MSTATUS } from './hart.ts';
import { SSTATUS_MASK } from './runtime.ts';

/** A register as a function of words of the hart's state. */
interface Watchable {
  readonly words: readonly { readonly offset: number; readonly mask: bigint }[];
  readonly value: (...words: bigint[]) => bigint;
}

const ALL = 2n ** 64n - 1n;
const LOW = 2n ** 32n - 1n;
const plain = (offset: number, mask = ALL): Watchable => ({ words: [{ offset, mask }], value: (word) => word });
const words = (offsets: readonly number[], value: Watchable['value']): Watchable => ({
  words: offsets.map((offset) => ({ offset, mask: ALL })),
  value,
});
const withDirty = (status: bigint) => ((status & MSTATUS.FS) === MSTATUS.FS ? status | MSTATUS.SD : status);

const PLAIN_CSRS = [
  ...['mie', 'mideleg', 'medeleg', 'mtvec', 'mepc', 'mcause', 'mtval', 'mscratch', 'mcounteren', 'menvcfg'],
  ...['stvec', 'sepc', 'scause', 'stval', 'sscratch', 'scounteren', 'senvcfg', 'satp', 'stimecmp'],
] as const;

/** x0 never changes and is not among them. */
const WATCHABLE: ReadonlyMap<string, Watchable> = new Map([
  ...X_NAMES.flatMap((name, n) => [name, `x${n}`].map((key) => [key, plain(H.x + 8 * n)] as const)).slice(2),
  ...F_NAMES.flatMap((name, n) => [name, `f${n}`].map((key) => [key, plain(H.f + 8 * n)] as const)),
  ...PLAIN_CSRS.map((name) => [name, plain(H[name])] as const),
  ['privilege', plain(H.privilege, LOW)],
  ['fflags', plain(H.fflags, LOW)],
  ['frm', plain(H.frm, LOW)],
  ['fcsr', words([H.frm, H.fflags], (mode, flags) => ((mode & 7n) << 5n) | (flags & 31n))],
  ['mstatus', { words: [{ offset: H.mstatus, mask: ALL }], value: withDirty }],
  ['sstatus', { words: [{ offset: H.mstatus, mask: SSTATUS_MASK }], value: (word) => withDirty(word) & SSTATUS_MASK }],
  ['mip', words([H.mip, H.lines], (written, lines) => written | lines)],
  ['sip', words([H.mip, H.lines, H.mideleg], (written, lines, delegated) => (written | lines) & delegated)],
  ['sie', words([H.mie, H.mideleg], (enabled, delegated) => enabled & delegated)],
]);

/** Words that instructions change which calculate with fractions: the flags, and in the status that they have been used. */
const CHANGED_BY_FLOATS: ReadonlySet<number> = new Set([H.fflags, H.frm, H.mstatus]);

/** Names of all registers that can be watched. */
export const WATCHABLE_REGISTERS: readonly string[] = [...WATCHABLE.keys()];

/** Registers that are looked at now, and what they last were. */
export class WatchedRegisters {
  readonly #view: DataView;
  /** Of all their words in a hart's state. */
  readonly #offsets: readonly number[];
  readonly #registers: { readonly hart: number; readonly name: string; readonly base: number; last: bigint }[] = [];

  /** `names` are of WATCHABLE_REGISTERS; `base` is the address of a hart's state. */
  constructor(memory: WebAssembly.Memory, registers: readonly { hart: number; name: string; base: number }[]) {
    this.#view = new DataView(memory.buffer);
    this.#registers = registers.map((register) => ({ ...register, last: 0n }));
    const offsets = registers.flatMap(({ name }) => WATCHABLE.get(name)!.words.map(({ offset }) => offset));
    this.#offsets = [...new Set(offsets)].sort((a, b) => a - b);
    this.restart();
  }

  get any(): boolean {
    return this.#registers.length > 0;
  }

  /** Whether an instruction that compiled code may hold can change one of them. What regions do not hold, such as CSR instructions, is not asked about. */
  changedBy({ instruction: { uses }, rd }: Decoded): boolean {
    const isFloat = uses.fd || uses.fs1 || uses.fs2 || uses.fs3;
    const written = uses.fd ? H.f + 8 * rd : uses.rd ? H.x + 8 * rd : -1;
    return this.#offsets.some((offset) => offset === written || (isFloat && CHANGED_BY_FLOATS.has(offset)));
  }

  /** Tells sets of registers apart by what `changedBy` says for them. */
  get key(): string {
    return this.#offsets.join(' ');
  }

  /** What the registers hold now is what they were. */
  restart(): void {
    for (const register of this.#registers) register.last = this.#read(register);
  }

  /** Writes the table of words that generated code looks at (see watch.ts), as they are now; returns their number. */
  writeTable(): number {
    let at = PROBE_WORDS_BASE;
    for (const { base, name } of this.#registers) {
      for (const { offset, mask } of WATCHABLE.get(name)!.words) {
        this.#view.setBigUint64(at, mask, true);
        this.#view.setBigUint64(at + 8, this.#view.getBigUint64(base + offset, true) & mask, true);
        this.#view.setInt32(at + 16, base + offset, true);
        at += PROBE_ENTRY_BYTES;
      }
    }
    return (at - PROBE_WORDS_BASE) / PROBE_ENTRY_BYTES;
  }

  /** Tells of the registers that have changed since they were last looked at. */
  changes(tell: (hart: number, name: string, before: bigint, after: bigint) => void): void {
    for (const register of this.#registers) {
      const now = this.#read(register);
      if (now === register.last) continue;
      const before = register.last;
      register.last = now;
      tell(register.hart, register.name, before, now);
    }
  }

  #read({ name, base }: { readonly name: string; readonly base: number }): bigint {
    const { words: parts, value } = WATCHABLE.get(name)!;
    return value(...parts.map(({ offset, mask }) => this.#view.getBigUint64(base + offset, true) & mask));
  }
}
