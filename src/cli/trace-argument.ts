/** Traces and positions as a person names them on the command line. */
import { UserError } from '../base/assert.ts';
import { TraceReader } from '../trace/index.ts';
import { count } from './format.ts';

/** Opens a trace, and tells on standard error if it stops early. With `check` every byte of it is read and checked. */
export function openTrace(path: string, options: { check?: boolean } = {}): TraceReader {
  const trace = TraceReader.open(path, options);
  const where = `it replays to position ${count(trace.replayableTo)}`;
  if (trace.damage) {
    const { offset, message } = trace.damage;
    console.error(`chronovisor: ${path}: damaged at offset ${offset}: ${message}; ${where}`);
    console.error(`chronovisor: 'chronovisor repair ${path}' makes it whole up to there`);
  } else if (!trace.end) {
    console.error(`chronovisor: ${path}: the recording was not closed; ${where}`);
  }
  return trace;
}

/** A position: a number such as 812345678 or 812,345,678, `end`, or a percentage of the recording. */
export function parsePosition(option: string, text: string, trace: TraceReader): number {
  const end = trace.replayableTo;
  if (text === 'end') return end;
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text);
  const plain = text.replaceAll(/(?<=\d)[,_](?=\d)/g, '');
  const position = percent ? Math.floor((end * Number(percent[1])) / 100) : /^\d+$/.test(plain) ? Number(plain) : -1;
  if (!Number.isSafeInteger(position) || position < 0 || position > end) {
    throw new UserError(
      `${option} ${text}: a position in ${trace.name}, from 0 to ${end}, 'end' or a percentage such as 50% is needed`,
    );
  }
  return position;
}
