/** All symbol files of a machine: firmware, kernel, modules and user programs, each where it is in memory. */
import type { ElfSymbol } from './elf-symbols.ts';
import type { CodeFrame, SourceLocation, SymbolFile } from './symbol-file.ts';

export interface Placement {
  /** What must be added to an address of the file to get that in memory; 0 by default. */
  readonly bias?: bigint;
  /**
   * The address space in which the file is found, by a name of the caller's (`kernel`, `user:42`). A file without one is found in
   * all, after those of the space asked for.
   */
  readonly space?: string;
}

/** A symbol file at its place. The same file may be at several. */
export interface SymbolModule {
  /** From 1 on; no other module of these symbols ever has the same. */
  readonly number: number;
  readonly file: SymbolFile;
  readonly bias: bigint;
  readonly space: string | null;
}

export interface Symbolised {
  readonly module: SymbolModule;
  /** The function's name, and how far into it the address is, by the symbol table or else the debug information. */
  readonly symbol: { readonly name: string; readonly offset: bigint } | null;
  /** The functions at work there, the innermost inlined copy first. Empty without debug information. */
  readonly frames: readonly CodeFrame[];
  readonly location: SourceLocation | null;
}

export class Symbols {
  readonly #modules: SymbolModule[] = [];
  #added = 0;
  /** The address space that is meant where none is named: of what runs where the machine is looked at. */
  here: string | undefined = undefined;

  get modules(): readonly SymbolModule[] {
    return this.#modules;
  }

  add(file: SymbolFile, { bias = 0n, space }: Placement = {}): SymbolModule {
    const module = { number: ++this.#added, file, bias, space: space ?? null };
    this.#modules.push(module);
    return module;
  }

  remove(module: SymbolModule): void {
    const index = this.#modules.indexOf(module);
    if (index >= 0) this.#modules.splice(index, 1);
  }

  /** The module that has something at an address of a space. */
  moduleAt(address: bigint, space: string | undefined = this.here): SymbolModule | null {
    const here = this.#modules.filter((m) => m.file.elf.covers(inFile(m, address)));
    return here.find((m) => m.space !== null && m.space === space) ?? here.find((m) => m.space === null) ?? null;
  }

  /** What an address of code is. */
  symbolise(address: bigint, space?: string): Symbolised | null {
    const module = this.moduleAt(address, space);
    if (!module) return null;
    const { file } = module;
    const own = inFile(module, address);
    const frames = file.framesAt(own);
    const location = frames.length > 0 ? frames[0].location : file.lineAt(own);
    return { module, symbol: symbolOf(file, own, frames), frames, location };
  }

  /** The symbol that an address of code or data belongs to. */
  symbolAt(address: bigint, space?: string): { module: SymbolModule; symbol: ElfSymbol } | null {
    const module = this.moduleAt(address, space);
    const symbol = module?.file.symbolAt(inFile(module, address));
    return module && symbol ? { module, symbol } : null;
  }
}

/** An address of memory as the module's file has it. */
export function inFile(module: SymbolModule, address: bigint): bigint {
  return BigInt.asUintN(64, address - module.bias);
}

/** An address of the module's file as it is in memory. */
export function inMemory(module: SymbolModule, address: bigint): bigint {
  return BigInt.asUintN(64, address + module.bias);
}

function symbolOf(file: SymbolFile, address: bigint, frames: readonly CodeFrame[]): Symbolised['symbol'] {
  const symbol = file.symbolAt(address);
  if (symbol) return { name: symbol.name, offset: address - symbol.address };
  const fn = frames.at(-1);
  if (!fn) return null;
  const range = file.info.guard(() => fn.die.ranges(), []).find((r) => address >= r.low && address < r.high);
  return { name: fn.name, offset: address - (range?.low ?? address) };
}
