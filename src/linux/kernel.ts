/** A Linux kernel in a machine: its variables and types by the debug information of its `vmlinux`, and the memory to look at them. */
import {
  ExpressionError,
  evaluate,
  type Frame,
  framesOf,
  inFile,
  inMemory,
  MachineFrame,
  type MemoryReader,
  type Registers,
  registerNumber,
  type SymbolModule,
  type Symbols,
  type Type,
  Unavailable,
  Value,
} from '../symbols/index.ts';
import { hex } from './list.ts';
import { KernelObject } from './object.ts';

/** What Linux awareness needs of the machine. */
export interface LinuxMachine {
  readonly harts: readonly LinuxHart[];
  /** Memory by the page tables that a value of `satp` names. */
  memory(satp: bigint): MemoryReader;
}

export interface LinuxHart {
  readonly privilege: 'U' | 'S' | 'M';
  /** Control registers, too. */
  readonly registers: Registers;
}

const NOTHING: MemoryReader = { read: () => null };
const BANNER = 'Linux version ';
const BANNER_BYTES_MAX = 512;

/** What a `vmlinux` says, whatever the machine does: made once for a symbol file. */
export class KernelImage {
  readonly symbols: Symbols;
  readonly module: SymbolModule;
  readonly #entry: bigint;
  readonly #variables = new Map<string, { readonly type: Type; readonly address: bigint } | null>();
  readonly #types = new Map<string, Type | null>();

  private constructor(symbols: Symbols, module: SymbolModule, entry: bigint) {
    this.symbols = symbols;
    this.module = module;
    this.#entry = entry;
  }

  /** The kernel among the symbol files; null if none is one of Linux, with debug information. */
  static of(symbols: Symbols): KernelImage | null {
    for (const module of symbols.modules) {
      const { file } = module;
      if (file.info.units.length === 0) continue;
      const [entry] = file.symbols?.named('start_kernel') ?? [];
      const [task] = file.symbols?.named('init_task') ?? [];
      if (entry && task) return new KernelImage(symbols, module, inMemory(module, entry.address));
    }
    return null;
  }

  /** A frame in which names are those of the kernel. */
  frame(memory: MemoryReader): Frame {
    const registers: Registers = { pc: this.#entry, get: () => undefined };
    const context = { symbols: this.symbols, memory };
    return framesOf(new MachineFrame(context, registers, { method: 'registers', exact: true, space: undefined }))[0];
  }

  /** Type and address of a variable; null if this kernel has none of the name. */
  variable(name: string) {
    let found = this.#variables.get(name);
    if (found === undefined) {
      const value = this.#evaluate(name);
      const address = value?.address ?? null;
      found = value && address !== null ? { type: value.type, address } : null;
      this.#variables.set(name, found);
    }
    return found;
  }

  /** A type as C names it, such as `struct task_struct`; null if this kernel has none. */
  type(name: string): Type | null {
    let found = this.#types.get(name);
    if (found === undefined) {
      const plain = this.#evaluate(`(${name} *)0`)?.plain;
      found = plain?.kind === 'pointer' && plain.target.size !== null ? plain.target : null;
      this.#types.set(name, found);
    }
    return found;
  }

  #evaluate(expression: string): Value | null {
    try {
      return evaluate(expression, this.frame(NOTHING)).value;
    } catch (error) {
      if (error instanceof ExpressionError) return null;
      throw error;
    }
  }

  /** What the kernel of this file says of itself, `Linux version 6.12...`; null where the file does not have it. */
  get banner(): string | null {
    const variable = this.variable('linux_banner');
    if (!variable) return null;
    const at = inFile(this.module, variable.address);
    const section = this.module.file.elf.sectionAt(at);
    if (!section) return null;
    const from = Number(at - section.address);
    const bytes = section.slice(from, Math.min(BANNER_BYTES_MAX, section.bytes - from));
    return new TextDecoder().decode(bytes.subarray(0, Math.max(0, bytes.indexOf(0)))).trim();
  }
}

/** Memory has another kernel than the symbol file, or none where that has one: the wrong file was given. */
export class WrongKernel extends Unavailable {}

const SATP = registerNumber('satp')!;

export class Kernel {
  readonly image: KernelImage;
  readonly machine: LinuxMachine;
  /** Page tables with the kernel in them: all have it, so those of whichever hart translates. */
  readonly satp: bigint;
  readonly #frame: MachineFrame;

  /** `Unavailable` says why there is nothing to be seen of Linux now: its MMU is not on yet, or memory has another kernel, or none. */
  constructor(image: KernelImage, machine: LinuxMachine) {
    this.image = image;
    this.machine = machine;
    const all = machine.harts.map(({ registers }) => registers.get(SATP) ?? 0n);
    this.satp = all.find((satp) => satp !== 0n) ?? 0n;
    if (this.satp === 0n) {
      throw new Unavailable('Linux cannot be seen here: no hart has turned on its MMU yet');
    }
    this.#frame = image.frame(machine.memory(this.satp)).machine;
    const { banner } = this;
    if (image.banner !== null && banner !== image.banner) {
      throw new WrongKernel(`the symbol file is of another kernel: it says '${image.banner}', memory has '${banner}'`);
    }
  }

  /** What the kernel in memory says of itself. */
  get banner(): string {
    const variable = this.image.variable('linux_banner');
    if (!variable) throw new Unavailable('the symbol file has no linux_banner');
    const { address } = variable;
    const bytes = this.#frame.context.memory.read(address, BANNER.length);
    if (!bytes) {
      throw new Unavailable(`Linux cannot be seen here: its memory at ${hex(address)} is not mapped yet`);
    }
    if (new TextDecoder('latin1').decode(bytes) !== BANNER) {
      throw new WrongKernel(`there is no Linux at ${hex(address)}, where the symbol file has its name`);
    }
    return this.need('linux_banner').text.trim();
  }

  /** A variable of the kernel; null if this kernel has none of the name. */
  find(name: string): KernelObject | null {
    const found = this.image.variable(name);
    return found && this.#object(found.type, found.address);
  }

  need(name: string): KernelObject {
    const found = this.find(name);
    if (!found) throw new Unavailable(`the symbol file has no variable ${name}`);
    return found;
  }

  /** What is at an address, which is of a type that C names so. */
  object(type: string, address: bigint): KernelObject {
    return this.#object(this.type(type), address);
  }

  type(name: string): Type {
    const type = this.image.type(name);
    if (!type) throw new Unavailable(`the symbol file has no ${name}`);
    return type;
  }

  /** The object of a type whose member is at an address. */
  container(address: bigint, type: string, member: string): KernelObject {
    const offset = this.object(type, 0n).at(member).address;
    return this.object(type, address - offset);
  }

  #object(type: Type, address: bigint): KernelObject {
    return new KernelObject(Value.inMemory(this.#frame, type, address));
  }
}
