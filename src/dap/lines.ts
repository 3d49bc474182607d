/** The stretch of code that stepping takes for one line, or one statement. */
import { type LineSequence, ROW_STATEMENT, statementRowAt } from '../symbols/dwarf/line.ts';
import { inFile, inMemory, type Symbols } from '../symbols/index.ts';

export type Granularity = 'line' | 'statement';

export interface Stretch {
  readonly path: string;
  readonly line: number;
  /** Addresses in memory: `start <= pc < end`. */
  readonly start: bigint;
  readonly end: bigint;
  /** Whether a statement begins at `start`. */
  readonly statement: boolean;
}

/** The stretch around an address; null where there is no line. A line goes on over all its statements that stand together. */
export function stretchAt(symbols: Symbols, address: bigint, granularity: Granularity): Stretch | null {
  const module = symbols.moduleAt(address);
  const unit = module?.file.unitAt(inFile(module, address));
  if (!module || !unit) return null;
  const { files, sequences } = module.file.lines(unit);
  for (const sequence of sequences) {
    const row = statementRowAt(sequence, inFile(module, address));
    const path = row < 0 ? undefined : files[sequence.files[row]];
    if (path === undefined || sequence.lines[row] === 0) continue;
    const { first, last } = extent(sequence, row, granularity);
    const { deltas, flags, low, high } = sequence;
    return {
      path,
      line: sequence.lines[row],
      start: inMemory(module, low + BigInt(deltas[first])),
      end: inMemory(module, last < deltas.length ? low + BigInt(deltas[last]) : high),
      statement: anyStatement(deltas, flags, first),
    };
  }
  return null;
}

/** The first row of a stretch, and the one behind its last. */
function extent(sequence: LineSequence, row: number, granularity: Granularity): { first: number; last: number } {
  const { deltas, lines, files, flags } = sequence;
  // Rows of line 0 belong to what is before them.
  const same = (i: number) => lines[i] === 0 || (lines[i] === lines[row] && files[i] === files[row]);
  const begins = (i: number) => granularity === 'statement' && (flags[i] & ROW_STATEMENT) !== 0 && lines[i] !== 0;
  let last = row + 1;
  while (last < deltas.length && (deltas[last] === deltas[row] || (same(last) && !begins(last)))) last++;
  let first = row;
  while (first > 0 && !begins(first) && same(first - 1)) first--;
  // Of several rows at one address, all begin there.
  while (first > 0 && deltas[first - 1] === deltas[first]) first--;
  return { first, last };
}

function anyStatement(deltas: Float64Array, flags: Uint8Array, first: number): boolean {
  for (let i = first; i < deltas.length && deltas[i] === deltas[first]; i++) if (flags[i] & ROW_STATEMENT) return true;
  return false;
}
