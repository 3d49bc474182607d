/** Positions as a person names them. */
import { UserError } from '../base/assert.ts';
import type { DebugSession } from './session.ts';

/** `start`, `end`, a number such as 812345678 or 812,345,678, a percentage of the trace, or the name of a bookmark. */
export async function parsePlace(session: DebugSession, text: string): Promise<number> {
  const { end } = await session.info();
  if (text === 'start') return 0;
  if (text === 'end') return end;
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text);
  const plain = text.replaceAll(/(?<=\d)[,_](?=\d)/g, '');
  const position = percent
    ? Math.floor((end * Number(percent[1])) / 100)
    : /^\d+$/.test(plain)
      ? Number(plain)
      : Number.NaN;
  if (position >= 0 && position <= end) return position;
  const bookmark = (await session.bookmarks()).find(({ name }) => name === text);
  if (bookmark) return bookmark.position;
  throw new UserError(
    `'${text}' is no position: start, end, a number from 0 to ${end}, a percentage such as 50%, or the name of a bookmark is needed`,
  );
}
