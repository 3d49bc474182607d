/**
 * Symbols: ELF and DWARF, unwinding, variables and expressions. Nothing here knows a protocol or an engine; memory and registers come in through
 * `MemoryReader` and `Registers`, files through `SymbolSource`.
 */
export {
  type BreakLocation,
  breakableLines,
  functionLocations,
  lineLocations,
  sourcePaths,
} from './breakpoints.ts';
export { castTo, isTrue } from './c/arithmetic.ts';
export { type Evaluated, evaluate } from './c/evaluate.ts';
export { ExpressionError } from './c/lexer.ts';
export {
  type CodePlace,
  type Translated,
  type TranslatedValue,
  translateCondition,
  translateValue,
} from './c/translate.ts';
export { Unavailable } from './dwarf/expression.ts';
export { ElfFile, type ElfOptions, type SymbolSource, sourceOf } from './elf.ts';
export type { ElfSymbol } from './elf-symbols.ts';
export { SymbolError } from './error.ts';
export { enumText, type Format, type FormatOptions, formatValue, numberOf, structMembers } from './format.ts';
export { type Frame, frames, framesOf } from './frames.ts';
export { folderCache, type IndexCache } from './index-cache.ts';
export type { MemoryReader, Registers } from './machine.ts';
export type { NamedEntry, NameIndex, NameKind } from './name-index.ts';
export { registerName, registerNumber } from './riscv.ts';
export { debugFilePaths, isDebugFileOf } from './separate.ts';
export { type CodeFrame, type SourceLocation, SymbolFile, type SymbolFileOptions } from './symbol-file.ts';
export { inFile, inMemory, type Placement, type Symbolised, type SymbolModule, Symbols } from './symbols.ts';
export * from './types.ts';
export { innermost, MachineFrame, type UnwindContext, type UnwindMethod } from './unwind.ts';
export { type Target, Value } from './value.ts';
export { fileScope, type Scope, scopesOf, type Variable } from './variables.ts';
