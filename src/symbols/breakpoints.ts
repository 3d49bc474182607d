/** Where in the machine's memory breakpoints on lines and functions belong: every copy that compilers made. */
import { matchesPath } from './c/names.ts';
import { DW_AT, DW_TAG } from './dwarf/constants.ts';
import type { Die } from './dwarf/die.ts';
import { type LineSequence, ROW_STATEMENT } from './dwarf/line.ts';
import type { Unit } from './dwarf/unit.ts';
import { blocksAt, entryAddress, functionName } from './functions.ts';
import type { SourceLocation, SymbolFile } from './symbol-file.ts';
import { inMemory, type SymbolModule, type Symbols } from './symbols.ts';

export interface BreakLocation {
  readonly module: SymbolModule;
  readonly address: bigint;
  readonly location: SourceLocation | null;
  /** The function, or the one that is inlined there. */
  readonly name: string;
  readonly inlined: boolean;
}

/** Paths of source files, as debug information has them, that are or end with a path. */
export function sourcePaths(symbols: Symbols, wanted: string): string[] {
  const paths = new Set<string>();
  for (const { file } of symbols.modules) {
    for (const path of file.names.paths) if (matchesPath(path, wanted)) paths.add(path);
  }
  return [...paths];
}

interface Row {
  readonly unit: Unit;
  readonly sequence: LineSequence;
  readonly index: number;
}

/** Rows at which a statement of a source file begins, of lines that `wanted` accepts. */
function* statementRows(file: SymbolFile, path: string, wanted: (line: number) => boolean): Generator<Row> {
  for (const number of file.names.unitsOf(path)) {
    const unit = file.info.units[number];
    const table = file.lines(unit);
    const files = new Set(table.files.flatMap((name, i) => (name === path ? [i] : [])));
    for (const sequence of table.sequences) {
      // What the linker threw away is left where nothing is.
      if (!file.elf.covers(sequence.low)) continue;
      const { flags, lines } = sequence;
      for (let index = 0; index < lines.length; index++) {
        if (!(flags[index] & ROW_STATEMENT) || !files.has(sequence.files[index]) || !wanted(lines[index])) continue;
        yield { unit, sequence, index };
      }
    }
  }
}

/** Lines of a source file, from one to another, at which a breakpoint can be. */
export function breakableLines(symbols: Symbols, path: string, from: number, to: number): number[] {
  const found = new Set<number>();
  for (const { file } of symbols.modules) {
    for (const { sequence, index } of statementRows(file, path, (line) => line >= from && line <= to)) {
      found.add(sequence.lines[index]);
    }
  }
  return [...found].sort((a, b) => a - b);
}

/**
 * Where a breakpoint on a line belongs: in each function or inlined copy that has the line, at the first of its addresses there. Without code on the line
 * it is the next one with code.
 */
export function lineLocations(symbols: Symbols, path: string, line: number): BreakLocation[] {
  const locations: BreakLocation[] = [];
  let best = Number.POSITIVE_INFINITY;
  for (const { file } of symbols.modules) {
    for (const row of statementRows(file, path, (l) => l >= line && l < best)) best = row.sequence.lines[row.index];
  }
  if (best === Number.POSITIVE_INFINITY) return [];
  for (const module of symbols.modules) {
    const firsts = new Map<string, { address: bigint; block: Die | null }>();
    for (const { sequence, index } of statementRows(module.file, path, (l) => l === best)) {
      const address = sequence.low + BigInt(sequence.deltas[index]);
      const fn = module.file.functionAt(address);
      const block = fn && module.file.info.guard(() => blocksAt(fn, address).at(-1)!, fn);
      const key = block ? `${block.unit.index} ${block.index}` : `at ${address}`;
      const known = firsts.get(key);
      if (!known || address < known.address) firsts.set(key, { address, block });
    }
    for (const { address, block } of firsts.values()) {
      const fn = block && enclosing(block, DW_TAG.subprogram);
      const start = fn && entryAddress(fn) === address ? module.file.afterPrologue(fn, address) : address;
      locations.push(locationOf(module, start, block, { path, line: best, column: 0 }));
    }
  }
  return unique(locations);
}

/** Where a breakpoint on a function belongs: behind the prologue of each copy of it, and at each place where it is inlined. */
export function functionLocations(symbols: Symbols, name: string): BreakLocation[] {
  const locations: BreakLocation[] = [];
  for (const module of symbols.modules) {
    const { file } = module;
    const units = new Map<Unit, Die[]>();
    for (const { offset } of file.names.find(name, ['function'])) {
      const die = file.info.guard(() => file.info.die(offset), null);
      if (die) units.set(die.unit, [...(units.get(die.unit) ?? []), die]);
    }
    let found = false;
    for (const [unit, dies] of units) {
      file.info.guard(() => {
        for (const copy of copiesOf(unit, dies)) {
          const entry = entryAddress(copy);
          if (entry === undefined || !file.elf.covers(entry)) continue;
          found = true;
          const start = copy.tag === DW_TAG.subprogram ? file.afterPrologue(copy, entry) : entry;
          locations.push(locationOf(module, start, copy, file.lineAt(start)));
        }
      }, undefined);
    }
    if (found) continue;
    for (const symbol of file.symbols?.named(name) ?? []) {
      if (!file.elf.sectionAt(symbol.address)?.executable) continue;
      const location = file.lineAt(symbol.address);
      locations.push({ module, address: inMemory(module, symbol.address), location, name, inlined: false });
    }
  }
  return unique(locations);
}

/** Entries with code of functions, given by entries that declare or describe them: themselves, out of line, and inlined. */
function* copiesOf(unit: Unit, dies: readonly Die[]): Generator<Die> {
  const wanted = new Set(dies.map((die) => die.offset));
  const { tree, abbrevs } = unit;
  for (let i = 0; i < tree.count; i++) {
    const tag = abbrevs.tags[tree.abbrevs[i]];
    if (tag !== DW_TAG.subprogram && tag !== DW_TAG.inlined_subroutine) continue;
    const die = unit.dieAtIndex(i);
    if (wanted.has(die.offset)) yield die;
    else if (die.has(DW_AT.abstract_origin) || die.has(DW_AT.specification)) {
      for (const link of die.chain()) {
        if (!wanted.has(link.offset)) continue;
        yield die;
        break;
      }
    }
  }
}

function enclosing(die: Die, tag: number): Die | null {
  for (let here: Die | null = die; here; here = here.parent) if (here.tag === tag) return here;
  return null;
}

function locationOf(
  module: SymbolModule,
  address: bigint,
  block: Die | null,
  location: SourceLocation | null,
): BreakLocation {
  const { file } = module;
  return file.info.guard(
    () => {
      let fn = block;
      while (fn && fn.tag === DW_TAG.lexical_block) fn = fn.parent;
      const name = fn ? functionName(fn) : (file.symbolAt(address)?.name ?? '');
      const inlined = fn?.tag === DW_TAG.inlined_subroutine;
      return { module, address: inMemory(module, address), location, name, inlined };
    },
    { module, address: inMemory(module, address), location, name: '', inlined: false },
  );
}

function unique(locations: readonly BreakLocation[]): BreakLocation[] {
  // At one address in several address spaces there are several places.
  const byPlace = new Map<string, BreakLocation>();
  for (const location of locations) {
    const key = `${location.address} ${location.module.space}`;
    if (!byPlace.has(key)) byPlace.set(key, location);
  }
  return [...byPlace.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}
