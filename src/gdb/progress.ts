/** How far long work has come, for the person at gdb. */
import type { Progress } from '../debugger/session.ts';
import type { Print } from './target.ts';

/** Work that takes longer than this tells how far it is, again and again. */
const INTERVAL_MS = 2000;

/** Tells of progress in lines, the first after a while. */
export function progressPrinter(print: Print): (progress: Progress) => void {
  let next = performance.now() + INTERVAL_MS;
  return ({ position, done }) => {
    const now = performance.now();
    if (now < next) return;
    next = now + INTERVAL_MS;
    print(`at position ${position.toLocaleString('en-US')}, ${Math.floor(100 * done)} % (Ctrl-C ends it)\n`);
  };
}
