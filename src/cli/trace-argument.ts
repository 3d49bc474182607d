import type { TraceReader } from '../trace/index.ts';
import { count } from './format.ts';

/** Tells on standard error where a trace stops early. */
export function warnOfDamage(trace: TraceReader): void {
  if (trace.damage) {
    const { offset, message } = trace.damage;
    const where = `it replays to position ${count(trace.replayableTo)}`;
    console.error(`chronovisor: ${trace.name}: damaged at offset ${count(offset)}: ${message}; ${where}`);
    console.error(`chronovisor: run "chronovisor repair ${trace.name}" to make it whole`);
  } else if (!trace.end) {
    const where = `it replays to position ${count(trace.replayableTo)}`;
    console.error(`chronovisor: ${trace.name}: the recording was not closed; ${where}`);
  }
}
