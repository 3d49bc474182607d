/** Conditions of breakpoints where they cost least: in the engine, which looks at them as the machine runs. */
import type { StopSpec } from '../debugger/session.ts';
import { type Symbols, translateCondition } from '../symbols/index.ts';

export interface Condition {
  /** The stop, with as much of the condition as the engine can look at. */
  readonly stop: StopSpec;
  /** Whether the engine looks at all of it. */
  readonly exact: boolean;
}

/** Gives a stop a condition of C. At an instruction it is meant in the function there; anywhere else its names are those of all functions. */
export function engineCondition(stop: StopSpec, condition: string | undefined, symbols: Symbols): Condition {
  if (condition === undefined) return { stop, exact: true };
  if (stop.kind === 'console' || stop.kind === 'panic') return { stop, exact: false };
  const isCode = stop.kind === 'breakpoint';
  const translated = translateCondition(condition, symbols, isCode ? stop.address : null);
  // Half a condition helps only if somebody looks at the rest in the same state.
  if (!translated || (!translated.exact && !isCode)) return { stop, exact: false };
  return { stop: { ...stop, condition: translated.condition }, exact: translated.exact };
}
