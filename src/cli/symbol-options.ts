/** `--symbols`: symbol files as the command line names them, and what is told with their help. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../base/assert.ts';
import { type Mapping, programAt } from '../linux/index.ts';
import {
  debugFilePaths,
  type Frame,
  folderCache,
  frames,
  type IndexCache,
  isDebugFileOf,
  SymbolFile,
  Symbols,
} from '../symbols/index.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { hex } from './format.ts';
import { hartMemory, hartRegisters } from './hart-view.ts';
import { openUserFile } from './user-file.ts';

export const symbolsOption = {
  type: 'list',
  value: 'FILE[@ADDRESS]',
  describe: 'ELF file with symbols, moved so that it begins at the address; may be given more than once',
} as const;

/** Where distributions put debug information in files of its own. */
const DEBUG_ROOTS = ['/usr/lib/debug'];

/** Opens symbol files. `option` is what named them: `--symbols` on the command line. */
export function openSymbols(words: readonly string[], option = '--symbols', cache?: IndexCache): Symbols {
  const open = (path: string) => openSymbolFile(path, option, cache);
  const symbols = new Symbols();
  for (const word of words) {
    const [, path, address] = /^(.*?)(?:@(0x[0-9a-f]+|\d+))?$/is.exec(word)!;
    const stripped = open(path);
    const file = stripped.info.units.length > 0 ? stripped : (separate(stripped, path, open) ?? stripped);
    if (file.info.units.length === 0 && !file.symbols) {
      throw new UserError(
        `${option} ${path}: has neither debug information nor a symbol table; give an unstripped file`,
      );
    }
    const bias = address === undefined ? 0n : BigInt(address) - stripped.elf.lowest;
    symbols.add(file, { bias: BigInt.asUintN(64, bias) });
  }
  return symbols;
}

function openSymbolFile(path: string, option: string, cache: IndexCache | undefined): SymbolFile {
  const { bytes, read } = openUserFile(option, path);
  return new SymbolFile({ name: path, bytes, read }, cache ? { cache } : {});
}

/** The file with the debug information of a stripped one, if it is installed. */
function separate({ elf, info }: SymbolFile, path: string, open: (path: string) => SymbolFile): SymbolFile | null {
  const paths = info.guard(() => debugFilePaths(elf, path, DEBUG_ROOTS), []);
  for (const candidate of paths.filter((p) => existsSync(p))) {
    const file = open(candidate);
    if (isDebugFileOf(elf, file.elf.source)) return file;
    console.error(`chronovisor: ${candidate}: is not the debug information of ${path}; it is left out`);
  }
  return null;
}

/** Indices of symbol files are kept where the system keeps what can be made again. */
export function symbolCache(): IndexCache {
  return folderCache(join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'chronovisor'));
}

/** Frames shown of each stack. */
export const FRAMES_MAX = 100;

/** The stack of a hart as it is, from the innermost frame out. */
export function backtrace(symbols: Symbols, machine: VirtMachine, hart: number): Frame[] {
  const context = { symbols, memory: hartMemory(machine, hart) };
  const stack: Frame[] = [];
  for (const frame of frames(context, hartRegisters(machine, hart))) {
    stack.push(frame);
    if (stack.length === FRAMES_MAX) break;
  }
  return stack;
}

/** A frame as JSON tells it; with the program that it belongs to, where a process's memory is known. */
export function frameValue(frame: Frame, mappings: readonly Mapping[] = []) {
  const { machine, name, location, inlined } = frame;
  const program = programAt(mappings, machine.pc);
  const where = { pc: machine.pc, function: name, offset: offsetOf(frame), inlined, location };
  return program === null ? where : { ...where, program };
}

/** How far into its function, as the symbol table has it, the frame's pc is. */
function offsetOf({ machine, symbolised }: Frame): bigint | null {
  return symbolised?.symbol ? symbolised.symbol.offset + (machine.pc - machine.address) : null;
}

export function backtraceText(stack: readonly Frame[], mappings: readonly Mapping[] = []): string {
  return stack
    .map((frame, i) => {
      const { location, machine, inlined, name } = frame;
      const into = offsetOf(frame);
      const offset = into !== null && !inlined ? `+${hex(into, 1)}` : '';
      const program = programAt(mappings, machine.pc);
      const owner = program === null ? '' : `${program}!`;
      const place = location ? `  ${location.path}:${location.line}` : '';
      const how = inlined ? '  (inlined)' : machine.method === 'trap frame' && leads(stack, i) ? '  (interrupted)' : '';
      return `  #${String(i).padEnd(3)}${hex(machine.pc)}  ${owner}${name}${offset}${place}${how}`;
    })
    .join('\n');
}

/** Whether a frame is the first of those that share the machine's one. */
function leads(stack: readonly Frame[], i: number): boolean {
  return i === 0 || stack[i - 1].machine !== stack[i].machine;
}
