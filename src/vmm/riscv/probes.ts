/** The harts' part of probes (see ../probes.ts): the tables that generated code looks at, and the host functions that it calls. */
import { UserError } from '../../base/assert.ts';
import type { Clock } from '../clock.ts';
import { G, PAGE_BYTES, PROBE_ENTRY_BYTES, PROBE_RANGES_BASE, RAM_BASE } from '../layout.ts';
import { PRESENT_STEP, type ProbeSet, type Probes } from '../probes.ts';
import type { RiscvCpu } from './cpu.ts';
import { H } from './hart.ts';
import { Plants, type PlantsHost } from './plants.ts';
import { WATCH } from './watch.ts';
import { WATCHABLE_REGISTERS, WatchedRegisters } from './watchable.ts';

interface HartProbesHost extends Pick<PlantsHost, 'records' | 'decode' | 'forgetRegions'> {
  /** The hart whose slice is being run, -1 for none. */
  running(): number;
  /** Compiled code must not change these. */
  watchRegisters(registers: WatchedRegisters): void;
  /** Forgets the host addresses of all harts. */
  dropFast(): void;
  readonly ramPages: number;
}

const ALL_CAUSES = 2n ** 64n - 1n;
const INTERRUPT = 1n << 63n;
const FETCH_NONE = 2n ** 64n - 1n;

export class HartProbes {
  readonly plants: Plants;
  /** What the interpreter imports. */
  readonly imports: Record<string, (...args: never[]) => unknown>;
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #cpu: RiscvCpu;
  readonly #probes: Probes;
  readonly #host: HartProbesHost;
  #calls: boolean | ReadonlySet<number> = false;
  #registers: WatchedRegisters;

  constructor(memory: WebAssembly.Memory, probes: Probes, clock: Clock, cpu: RiscvCpu, host: HartProbesHost) {
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    this.#cpu = cpu;
    this.#probes = probes;
    this.#host = host;
    this.#registers = new WatchedRegisters(memory, []);
    this.plants = new Plants(memory, {
      records: (page) => host.records(page),
      decode: (record, page, half) => host.decode(record, page, half),
      forgetRegions: (page) => host.forgetRegions(page),
      presentPages: () => this.#presentPages(),
      dropFetchEntries: () => host.dropFast(),
    });
    this.imports = {
      accessed: (virtual: bigint, physical: bigint, length: number, kind: number) => {
        this.#accessed(virtual, physical, length, kind);
      },
      trapTaken: (epc: bigint) => this.#trapTaken(epc),
      pageEntered: (virtual: bigint, page: number) => this.plants.pageEntered(virtual, page),
      probed: (place: number) => {
        const hart = host.running();
        const base = cpu.base(hart);
        const pc = this.#view.getBigInt64(base + H.pc, true);
        if (!this.plants.isMeant(place, pc)) return 0;
        const end = this.#words[G.sliceEnd / 4 + 1] * 2 ** 32 + (this.#words[G.sliceEnd / 4] >>> 0);
        clock.position = end - this.#words[(base + H.budget) / 4];
        return probes.execute(clock.position, hart, BigInt.asUintN(64, pc)) ? 1 : 0;
      },
    };
    probes.attach(cpu);
  }

  /** Looks out for these, and for nothing else. */
  set(probes: ProbeSet): void {
    const { execute = [], executePhysical = [], accesses = [], registers = [] } = probes;
    for (const { hart, name } of registers) {
      if (!WATCHABLE_REGISTERS.includes(name)) {
        throw new UserError(`register '${name}' cannot be watched; those that can: ${WATCHABLE_REGISTERS.join(' ')}`);
      }
      if (!Number.isInteger(hart) || hart < 0 || hart >= this.#cpu.harts) {
        throw new UserError(`there is no hart ${hart}; the machine has harts 0 to ${this.#cpu.harts - 1}`);
      }
    }
    this.#setRanges(accesses);
    this.#view.setBigUint64(G.probeTraps, causes(probes.traps), true);
    this.#view.setBigUint64(G.probeInterrupts, causes(probes.interrupts), true);
    this.#calls = probes.calls ?? false;
    const watched = registers.map(({ hart, name }) => ({ hart, name, base: this.#cpu.base(hart) }));
    this.#registers = new WatchedRegisters(this.#memory, watched);
    if (this.#registers.any) this.#host.watchRegisters(this.#registers);
    this.plants.set(execute, executePhysical, this.#host.ramPages);
  }

  /** Registers are watched: the slice must be run by the interpreter's variant. */
  get watching(): boolean {
    return this.#registers.any;
  }

  beforeWatching(): void {
    this.#view.setInt32(G.probeWords, this.#registers.writeTable(), true);
  }

  /** After a slice of the variant, which ended with the first step that changed a watched word. */
  afterWatching(): void {
    this.#registers.changes((hart, name, before, after) =>
      this.#probes.note({ kind: 'register', position: PRESENT_STEP, hart, name, before, after }),
    );
  }

  /** The harts' state is another one than before, by no step. */
  stateChanged(): void {
    this.#registers.restart();
  }

  /** The running hart calls the built-in firmware. */
  called(): void {
    if (this.#calls === false) return;
    const hart = this.#host.running();
    const extension = Number(BigInt.asUintN(32, this.#cpu.x(hart, 17)));
    if (this.#calls !== true && !this.#calls.has(extension)) return;
    const args = [10, 11, 12, 13, 14, 15].map((n) => this.#cpu.x(hart, n));
    const pc = this.#cpu.get(hart, 'pc');
    this.#probes.note({ kind: 'sbi', position: PRESENT_STEP, hart, pc, extension, fn: this.#cpu.x(hart, 16), args });
  }

  #accessed(virtual: bigint, physical: bigint, length: number, kind: number): void {
    const hart = this.#host.running();
    const isVirtual = (kind & WATCH.virtual) !== 0;
    this.#probes.note({
      kind: 'access',
      position: PRESENT_STEP,
      hart,
      device: null,
      pc: this.#cpu.get(hart, 'pc'),
      write: (kind & WATCH.write) !== 0,
      virtual: isVirtual ? BigInt.asUintN(64, virtual) : null,
      physical: BigInt.asUintN(64, physical),
      length,
    });
  }

  #trapTaken(epc: bigint): void {
    const hart = this.#host.running();
    const cause = this.#cpu.get(hart, 'trapCause');
    this.#probes.note({
      kind: cause & INTERRUPT ? 'interrupt' : 'trap',
      position: PRESENT_STEP,
      hart,
      cause: Number(cause & ~INTERRUPT),
      value: this.#cpu.get(hart, 'trapValue'),
      epc: BigInt.asUintN(64, epc),
      privilege: this.#cpu.get32(hart, 'privilege'),
    });
  }

  #setRanges(accesses: NonNullable<ProbeSet['accesses']>): void {
    accesses.forEach(({ space, address, length, read, write }, i) => {
      const at = PROBE_RANGES_BASE + i * PROBE_ENTRY_BYTES;
      this.#view.setBigUint64(at, address, true);
      this.#view.setBigUint64(at + 8, address + BigInt(length) - 1n, true);
      this.#view.setInt32(at + 16, WATCH[space] | (read ? WATCH.read : 0) | (write ? WATCH.write : 0), true);
    });
    this.#view.setInt32(G.probeRanges, accesses.length, true);
    if (accesses.length > 0) this.#host.dropFast();
  }

  *#presentPages(): Generator<readonly [bigint, number]> {
    for (let hart = 0; hart < this.#cpu.harts; hart++) {
      const virtual = this.#cpu.get(hart, 'fetchPage');
      if (virtual === FETCH_NONE) continue;
      const offset = Number(this.#cpu.get(hart, 'fetchPhysical')) - RAM_BASE;
      yield [BigInt.asIntN(64, virtual), Math.floor(offset / PAGE_BYTES)];
    }
  }
}

function causes(wanted: boolean | ReadonlySet<number> | undefined): bigint {
  if (typeof wanted !== 'object') return wanted ? ALL_CAUSES : 0n;
  let bits = 0n;
  for (const cause of wanted) bits |= 1n << BigInt(cause);
  return bits;
}
