/**
 * What generated code does for probes (see ../probes.ts): comparing accesses with the ranges that are watched, and words of registers with
 * what they were. Both stand in tables of linear memory, of 32-byte entries.
 *
 * A range: first address (i64), last address (i64), WATCH bits (i32). A word: mask (i64), value under the mask (i64), address (i32).
 */
import { type Expr, i32, load, type Value } from '../codegen/expr.ts';
import type { Fn } from '../codegen/fn.ts';
import type { Func, ModuleBuilder } from '../codegen/module.ts';
import { G, PROBE_ENTRY_BYTES, PROBE_RANGES_BASE, PROBE_WORDS_BASE } from '../layout.ts';
import type { HostFns } from './runtime.ts';

/** Kinds of access that a range watches, or that one is, and by which of its addresses it is known. */
export const WATCH = { read: 1, write: 2, virtual: 4, physical: 8 } as const;
const EITHER_KIND = WATCH.read | WATCH.write;
const EITHER_SPACE = WATCH.virtual | WATCH.physical;

export interface WatchFns {
  /** After an access that has not failed, within one page: tells of it if it is watched. `kind` is of WATCH. */
  accessed(f: Fn, virtual: Expr, physical: Expr, size: Value, kind: Value): void;
  /** A page table entry was written. */
  entryWritten(f: Fn, physical: Expr): void;
  /** (virtual, physical) -> which accesses to the page must come the slow way, as bits of WATCH. */
  readonly watchedPage: Func;
  /** () -> 1 if a watched word is not what it was. */
  readonly wordsChanged: Func;
}

export function defineWatch(m: ModuleBuilder, host: HostFns): WatchFns {
  const count = () => load('i32', i32(0), G.probeRanges);

  const eachEntry = (f: Fn, base: number, entries: Expr, body: (entry: Expr) => void) => {
    const entry = f.let(i32(base));
    const end = f.let(entries.mul(PROBE_ENTRY_BYTES).add(base));
    f.loop((again) => {
      f.if(entry.ltU(end), () => {
        body(entry);
        f.set(entry, entry.add(PROBE_ENTRY_BYTES));
        f.br(again);
      });
    });
  };
  const touches = (entry: Expr, address: Expr, last: Expr) =>
    address.leU(load('i64', entry, 8)).and(last.geU(load('i64', entry)));

  const watched = m.define('watched', ['i64', 'i64', 'i32', 'i32'], null, (f, virtual, physical, size, kind) => {
    eachEntry(f, PROBE_RANGES_BASE, count(), (entry) => {
      const bits = f.let(load('i32', entry, 16).and(kind));
      f.if(bits.and(EITHER_KIND).ne(0).and(bits.and(EITHER_SPACE).ne(0)), () => {
        const address = f.let(bits.and(WATCH.virtual).select(virtual, physical));
        f.if(touches(entry, address, address.add(size.extU()).sub(1n)), () => {
          f.do(host.accessed, virtual, physical, size, kind);
          f.return();
        });
      });
    });
  });

  const watchedPage = m.define('watchedPage', ['i64', 'i64'], 'i32', (f, virtual, physical) => {
    const kinds = f.local('i32');
    f.set(kinds, 0);
    eachEntry(f, PROBE_RANGES_BASE, count(), (entry) => {
      const bits = f.let(load('i32', entry, 16));
      const page = f.let(bits.and(WATCH.virtual).select(virtual, physical).and(-4096n));
      f.if(touches(entry, page, page.or(4095n)), () => f.set(kinds, kinds.or(bits)));
    });
    f.return(kinds.and(EITHER_KIND));
  });

  const wordsChanged = m.define('wordsChanged', [], 'i32', (f) => {
    eachEntry(f, PROBE_WORDS_BASE, load('i32', i32(0), G.probeWords), (entry) => {
      const word = load('i64', load('i32', entry, 16)).and(load('i64', entry));
      f.if(word.ne(load('i64', entry, 8)), () => f.return(1));
    });
    f.return(0);
  });

  return {
    accessed: (f, virtual, physical, size, kind) => {
      const bits = typeof kind === 'object' ? kind : i32(Number(kind));
      f.if(count(), () => f.do(watched, virtual, physical, size, bits.or(EITHER_SPACE)));
    },
    entryWritten: (f, physical) => {
      f.if(count(), () => f.do(watched, 0n, physical, 8, WATCH.write | WATCH.physical));
    },
    watchedPage,
    wordsChanged,
  };
}

/** Says that an exception or interrupt is taken, if that is looked out for; nothing of the hart has changed yet. */
export function trapTaken(f: Fn, host: HostFns, isInterrupt: Expr, code: Expr, epc: Expr): void {
  const causes = isInterrupt.select(load('i64', i32(0), G.probeInterrupts), load('i64', i32(0), G.probeTraps));
  f.if(causes.shrU(code).and(1n).wrap(), () => f.do(host.trapTaken, epc));
}
