/**
 * Expressions in questions: those of the engine (see replay/expression.ts), in which the names of symbols are their addresses; or of C, where
 * the debug information tells what they mean at the place that the question is about.
 */
import { UserError } from '../base/assert.ts';
import { compileExpression } from '../replay/expression.ts';
import { type Symbols, translateCondition, translateValue } from '../symbols/index.ts';
import { hex } from './format.ts';

export interface Printed {
  /** As it was asked for. */
  readonly text: string;
  readonly expression: string;
  show(value: bigint): string;
}

export function addressOf(name: string, symbols: Symbols): bigint | undefined {
  for (const { file, bias } of symbols.modules) {
    for (const { address } of file.symbols?.named(name) ?? []) return BigInt.asUintN(64, address + bias);
  }
  return undefined;
}

/** Bytes that a kernel may have before a function's first line of code, for tracing to be patched in: they do nothing yet (gcc's -fpatchable-function-entry). */
const PATCHABLE_BYTES = 16n;

/** Where names mean what they do at an address: at the entry of a function that begins with room for patches, behind it. */
function placeOf(pc: bigint | null, symbols: Symbols): { readonly pc: bigint } | null {
  if (pc === null) return null;
  const entered = symbols.symbolise(pc);
  if (entered?.symbol?.offset !== 0n || entered.frames.length > 0) return { pc };
  for (let at = pc; at <= pc + PATCHABLE_BYTES; at += 2n) {
    const there = symbols.symbolise(at);
    if (there?.symbol?.offset === at - pc && there.frames.length > 0) return { pc: at };
  }
  return { pc };
}

/** `pc` is the address of the code that the question is about; null if it is about no instruction. */
export function printedExpression(text: string, symbols: Symbols, pc: bigint | null): Printed {
  const own = ofEngine(text, symbols);
  if (typeof own === 'string') {
    return { text, expression: own, show: (value) => (value < 0n ? value.toString() : hex(value, 1)) };
  }
  const value = translateValue(text, symbols, placeOf(pc, symbols));
  return value ? { text, ...value } : refuse(own, symbols);
}

export function conditionExpression(text: string, symbols: Symbols, pc: bigint | null): string {
  const own = ofEngine(text, symbols);
  if (typeof own === 'string') return own;
  const translated = translateCondition(text, symbols, placeOf(pc, symbols));
  return translated?.exact ? translated.condition : refuse(own, symbols);
}

/** With addresses for symbols; what is wrong with it, if it is no expression of the engine's. */
function ofEngine(text: string, symbols: Symbols): string | UserError {
  const expression = text.replace(
    /(?<![\w.$])[A-Za-z_][\w.]*(?!\s*\()/g,
    (name) => addressOf(name, symbols)?.toString() ?? name,
  );
  try {
    compileExpression(expression);
    return expression;
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}

function refuse(error: UserError, { modules }: Symbols): never {
  if (modules.length === 0) throw error;
  throw new UserError(`${error.message}; nor is it a whole number of C that can be told there without a look at more`);
}
