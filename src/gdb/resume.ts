/** What `vCont` asks for, and names of threads (gdb manual, "Packets"). */
import { parseHex } from './hex.ts';

export type Resume =
  | { readonly kind: 'continue' }
  /** `thread` as the packet names it; absent where the action is for all. */
  | {
      readonly kind: 'step';
      readonly thread?: string;
      readonly range?: { readonly start: bigint; readonly end: bigint };
    };

const ACTION = /^(?:([cs])|([CS])[0-9a-fA-F]{2}|r([0-9a-fA-F]+),([0-9a-fA-F]+))(?::(.+))?$/;

/**
 * `ACTION[:THREAD];...`: the first action that fits a thread is its own. All harts move on one line of time: if one is to step, the others do
 * what they do in the meantime, whatever is said about them. Null if it makes no sense.
 */
export function parseResume(text: string): Resume | null {
  let step: Resume | null = null;
  for (const part of text.split(';')) {
    const match = ACTION.exec(part);
    if (!match || (match[5] !== undefined && parseThread(match[5]) === null)) return null;
    const verb = (match[1] ?? match[2] ?? 'r').toLowerCase();
    const thread = match[5] === undefined ? {} : { thread: match[5] };
    if (step || verb === 'c') continue;
    if (verb === 's') {
      step = { kind: 'step', ...thread };
    } else {
      const start = parseHex(match[3]);
      const end = parseHex(match[4]);
      if (start === null || end === null) return null;
      // An empty range is a single step.
      step = { kind: 'step', ...thread, ...(start < end ? { range: { start, end } } : {}) };
    }
  }
  return step ?? { kind: 'continue' };
}

/** `N`, `-1` for all, `0` for any, or `pPROCESS.N`, where the process is whatever it is. Null if it is no such name. */
export function parseThread(text: string): number | null {
  const match = /^(?:p(?:-1|[0-9a-fA-F]{1,8})(?:\.|$))?(-1|[0-9a-fA-F]{1,8})?$/.exec(text);
  if (!match || text === '') return null;
  if (match[1] === undefined || match[1] === '-1') return -1;
  return Number.parseInt(match[1], 16);
}
