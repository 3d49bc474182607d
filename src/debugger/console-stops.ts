/** Stops of the console: found in what the trace has of it, without replaying anything. */
import type { ConsoleLog } from '../replay/console-log.ts';
import type { Hit } from '../replay/stop-spec.ts';
import type { NumberedStop } from '../replay/watcher.ts';

/** Hits in `from <= position < to`, ascending. The log does not know whose step it was: hart 0 and pc 0 stand for that. */
export function consoleHits(log: ConsoleLog, stops: readonly NumberedStop[], from: number, to: number): Hit[] {
  const hits: Hit[] = [];
  for (const { id, spec } of stops) {
    if (spec.kind !== 'console' && spec.kind !== 'panic') continue;
    const found = spec.kind === 'console' ? log.find(spec.text, from, to) : log.findPanics(from, to);
    for (const { position, text } of found) hits.push({ stop: id, position, hart: 0, pc: 0n, detail: { text } });
  }
  return hits.sort((a, b) => a.position - b.position);
}

export function withoutConsole(stops: readonly NumberedStop[]): NumberedStop[] {
  return stops.filter(({ spec }) => spec.kind !== 'console' && spec.kind !== 'panic');
}
