/** Symbols of what comes and goes: kernel modules, and programs in processes. They are there for as long as the guest has them there. */
import { UserError } from '../base/assert.ts';
import type { SymbolFile, SymbolModule } from '../symbols/index.ts';
import type { Mapping, Program } from './address-space.ts';
import type { KernelImage } from './kernel.ts';
import type { Module } from './modules.ts';

/** The computer's files with symbols. */
export interface GuestFiles {
  /** The file of a kernel module, put where the guest has its sections; null if none is found. */
  module(name: string, sections: ReadonlyMap<string, bigint>): SymbolFile | null;
  /** The files of all programs that were named. */
  readonly programs: readonly SymbolFile[];
  /** The file of the program or library that has this path in the guest; null if none was named. */
  program(path: string): SymbolFile | null;
}

interface Placed {
  readonly key: string;
  readonly module: SymbolModule;
}

const PAGE_MASK = 0xfffn;
/** Address spaces whose programs have symbols at one time: processes end, and nobody tells. */
const SPACES_MAX = 64;

export class GuestSymbols {
  readonly #image: KernelImage;
  readonly #files: GuestFiles;
  /** By name, what is in force. */
  #modules = new Map<string, Placed>();
  /** Files of modules that were met, at their addresses; null where there is none. */
  readonly #known = new Map<string, SymbolFile | null>();
  /** By address space. */
  readonly #programs = new Map<string, Placed[]>();
  /** Programs whose files have been found to be others. */
  readonly #refused = new Set<string>();
  readonly #report: (problem: string) => void;

  /** `report` is told what files are refused, and why. */
  constructor(image: KernelImage, files: GuestFiles, report: (problem: string) => void) {
    this.#image = image;
    this.#files = files;
    this.#report = report;
  }

  /** Takes over the modules that are loaded now; tells whether they are others than before. */
  placeModules(modules: readonly Module[]): boolean {
    const now = new Map<string, Placed>();
    let changed = false;
    for (const module of modules) {
      const key = `${module.name} ${module.sections.map(({ name, address }) => `${name}=${address}`).join()}`;
      const before = this.#modules.get(module.name);
      if (before?.key === key) {
        now.set(module.name, before);
        continue;
      }
      const file = this.#fileOf(module, key);
      if (!file) continue;
      changed = true;
      now.set(module.name, { key, module: this.#image.symbols.add(file) });
    }
    for (const [name, { module, key }] of this.#modules) {
      if (now.get(name)?.key === key) continue;
      changed = true;
      this.#image.symbols.remove(module);
    }
    this.#modules = now;
    return changed;
  }

  /** Whether a module has symbols now. */
  hasModule(name: string): boolean {
    return this.#modules.has(name);
  }

  #fileOf(module: Module, key: string): SymbolFile | null {
    let file = this.#known.get(key);
    if (file === undefined) {
      file = this.#open(module);
      this.#known.set(key, file);
    }
    return file;
  }

  #open({ name, sections, buildId }: Module): SymbolFile | null {
    try {
      const file = this.#files.module(name, new Map(sections.map((section) => [section.name, section.address])));
      if (!file || buildId === null || file.buildId === null || file.buildId === buildId) return file;
      this.#report(
        `${file.name}: is not the module ${name} that is loaded (build id ${file.buildId}, in memory ${buildId})`,
      );
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#report(error.message);
    }
    return null;
  }

  /** The files of all programs that were named. */
  get programs(): readonly SymbolFile[] {
    return this.#files.programs;
  }

  /** Takes over the programs and libraries in an address space, at their places there; tells whether they are others than before. */
  placePrograms(space: string, programs: readonly Program[]): boolean {
    const before = this.#programs.get(space) ?? [];
    const now: Placed[] = [];
    for (const program of programs) {
      const file = this.#fitting(program);
      if (!file) continue;
      const [low] = file.elf.segments.map((segment) => segment.low).sort((a, b) => (a < b ? -1 : 1));
      const bias = BigInt.asUintN(64, program.start - ((low ?? 0n) & ~PAGE_MASK));
      const key = `${file.name} ${bias}`;
      now.push(
        before.find((one) => one.key === key) ?? { key, module: this.#image.symbols.add(file, { bias, space }) },
      );
    }
    for (const one of before) if (!now.includes(one)) this.#image.symbols.remove(one.module);
    // Last are the spaces that were looked at last.
    this.#programs.delete(space);
    if (now.length > 0) this.#programs.set(space, now);
    if (this.#programs.size > SPACES_MAX) this.#forget(this.#programs.keys().next().value!);
    return now.length !== before.length || now.some((one) => !before.includes(one));
  }

  /** The file that was named for a program, if it is the same. */
  #fitting({ path, buildId }: Program): SymbolFile | null {
    const file = this.#files.program(path);
    if (!file || buildId === null || file.buildId === null || file.buildId === buildId) return file;
    if (!this.#refused.has(path)) {
      this.#report(`${file.name}: is not the guest's ${path} (build id ${file.buildId}, in memory ${buildId})`);
    }
    this.#refused.add(path);
    return null;
  }

  /** Whether a file was named for a program. */
  wants(path: string): boolean {
    return this.#files.program(path) !== null;
  }

  #forget(space: string): void {
    for (const { module } of this.#programs.get(space) ?? []) this.#image.symbols.remove(module);
    this.#programs.delete(space);
  }
}

/** What the program or library is called that has an address; null for memory of no file. */
export function programAt(mappings: readonly Mapping[], address: bigint): string | null {
  const path = mappings.find(({ start, end }) => address >= start && address < end)?.path ?? null;
  return path === null ? null : (path.split('/').at(-1) ?? path);
}
