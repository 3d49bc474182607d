/** Conditions of breakpoints where they cost least: in the engine, which looks at them as the machine runs. */
import type { BreakpointSpec, StopSpec } from '../debugger/session.ts';
import { satpOfSpace } from '../linux/index.ts';
import { type CodePlace, type Symbols, translateCondition } from '../symbols/index.ts';

export interface Condition {
  /** The stop, with as much of the condition as the engine can look at. */
  readonly stop: StopSpec;
  /** Whether the engine looks at all of it. */
  readonly exact: boolean;
}

/** Gives a stop a condition of C. At an instruction it is meant in the function there; anywhere else its names are those of all functions. */
export function engineCondition(stop: StopSpec, condition: string | undefined, symbols: Symbols): Condition {
  // Whether it is still the process that was meant, only a look at the guest tells.
  const exact = !isInProcess(stop);
  if (condition === undefined) return { stop, exact };
  if (stop.kind === 'console' || stop.kind === 'panic') return { stop, exact: false };
  const translated = translateCondition(condition, symbols, codePlace(stop, symbols));
  // Half a condition helps only if somebody looks at the rest in the same state.
  if (!translated || (!translated.exact && stop.kind !== 'breakpoint')) return { stop, exact: false };
  return { stop: { ...stop, condition: translated.condition }, exact: exact && translated.exact };
}

/** A stop in a program, which is meant in one process. */
export const isInProcess = (stop: StopSpec): stop is BreakpointSpec & { readonly space: bigint } =>
  stop.kind === 'breakpoint' && stop.space !== undefined;

/** The code that a stop is at; null for one that is not at an instruction. */
export function codePlace(stop: StopSpec, { modules }: Symbols): CodePlace | null {
  if (stop.kind !== 'breakpoint') return null;
  if (!isInProcess(stop)) return { pc: stop.address };
  const module = modules.find(({ space }) => satpOfSpace(space) === stop.space);
  return { pc: stop.address, space: module?.space ?? 'gone' };
}
