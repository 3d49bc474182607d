/** Requests of views that show a whole recording: its overview, the console, bookmarks. They move nothing. */
import { parsePlace } from '../debugger/place.ts';
import type { DebugSession, OverviewLane } from '../debugger/session.ts';
import type { Symbols } from '../symbols/index.ts';
import type { Arguments } from './arguments.ts';
import { symbolText } from './code.ts';
import type { Debuggee } from './debuggee.ts';
import type { Tell } from './protocol.ts';

type Request = (args: Arguments) => Promise<object>;

const BUCKETS_DEFAULT = 500;
const ITEMS_DEFAULT = 200;
const CONSOLE_BYTES_DEFAULT = 2 ** 20;

export function viewRequests(open: () => Debuggee, tell: Tell): Readonly<Record<string, Request>> {
  return {
    'chronovisor/timeline': async (args) => {
      const { session, symbols } = open();
      const axis = args.choice('axis', ['position', 'time'], 'position');
      const last = axis === 'time' ? await lastTime(session) : (await session.info()).end;
      const { lanes, ...rest } = await session.overview({
        axis,
        from: args.whole('from', 0),
        to: args.whole('to', last + 1),
        buckets: args.whole('buckets', BUCKETS_DEFAULT),
        itemsMax: args.whole('itemsMax', ITEMS_DEFAULT),
      });
      return { ...rest, lanes: lanes.map((lane) => plainLane(lane, symbols)) };
    },
    'chronovisor/consoleText': (args) => open().session.consoleText(args.whole('bytesMax', CONSOLE_BYTES_DEFAULT)),
    'chronovisor/bookmarks': async () => ({ bookmarks: await open().session.bookmarks() }),
    'chronovisor/setBookmark': async (args) => {
      const { session } = open();
      const { position: now } = await session.where();
      const position = args.has('position') ? await parsePlace(session, args.textOrWhole('position', '')) : now;
      await session.setBookmark({ name: args.text('name'), position, note: args.text('note', '') });
      return tellBookmarks(session, tell);
    },
    'chronovisor/removeBookmark': async (args) => {
      const { session } = open();
      await session.removeBookmark(args.text('name'));
      return tellBookmarks(session, tell);
    },
  };
}

/** Guest time of the trace's end, in ns. */
async function lastTime(session: DebugSession): Promise<number> {
  const { endNs } = await session.overview({ axis: 'position', from: 0, to: 1, buckets: 1, itemsMax: 0 });
  return endNs;
}

/** With places in the code by name, as far as symbols have them; a lane that has items needs no buckets. */
function plainLane({ kind, hart, count, items, buckets }: OverviewLane, symbols: Symbols): object {
  if (!items) return { kind, hart, count, buckets };
  return {
    ...{ kind, hart, count },
    items: items.map(({ position, timeNs, text, pc }) => {
      const where = pc === undefined ? null : symbolText(symbols, pc);
      return { position, timeNs, text: where === null ? text : `${text} in ${where}` };
    }),
  };
}

/** All bookmarks, also for whoever did not ask. */
export async function tellBookmarks(session: DebugSession, tell: Tell): Promise<object> {
  const body = { bookmarks: await session.bookmarks() };
  tell('chronovisor/bookmarks', body);
  return body;
}
