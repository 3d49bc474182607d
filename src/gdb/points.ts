/** What `Z` and `z` packets say (gdb manual, "Packets"). */
import { parseBytes, parseCount, parseHex } from './hex.ts';
import type { Point } from './target.ts';

/** Longest piece of memory that can be watched. */
const WATCH_BYTES_MAX = 2 ** 30;
const CONDITIONS_MAX = 64;

/** `TYPE,ADDRESS,KIND[;X LENGTH,CODE]...[;cmds:...]`; null if it makes no sense, `unknown` for a type that nobody knows. */
export function parsePoint(text: string): Point | 'unknown' | null {
  const match = /^([^,]*),([^,;]*),([^,;]*)(?:;(.*))?$/.exec(text);
  if (!match) return null;
  const address = parseHex(match[2]);
  const conditions = parseConditions(match[4] ?? '');
  if (address === null || conditions === null) return null;
  switch (match[1]) {
    case '0':
      return { kind: 'breakpoint', how: 'software', address, conditions };
    case '1':
      return { kind: 'breakpoint', how: 'hardware', address, conditions };
    case '2':
    case '3':
    case '4': {
      const length = parseCount(match[3], WATCH_BYTES_MAX);
      const access = ({ 2: 'write', 3: 'read', 4: 'access' } as const)[match[1]];
      return length ? { kind: 'watchpoint', access, address, length, conditions } : null;
    }
    default:
      return 'unknown';
  }
}

/** `X LENGTH,CODE` one after the other; the code in hexadecimal, its length in bytes. */
function parseConditions(text: string): Uint8Array[] | null {
  const conditions: Uint8Array[] = [];
  let rest = text;
  while (rest !== '' && !rest.startsWith('cmds:')) {
    const match = /^;?X([0-9a-fA-F]{1,4}),/.exec(rest);
    if (!match || conditions.length === CONDITIONS_MAX) return null;
    const digits = 2 * Number.parseInt(match[1], 16);
    const code = parseBytes(rest.slice(match[0].length, match[0].length + digits));
    if (code?.length !== digits / 2) return null;
    conditions.push(code);
    rest = rest.slice(match[0].length + digits).replace(/^;/, '');
  }
  return conditions;
}

/** Whether two packets are about the same point: conditions aside. */
export function samePoint(a: Point, b: Point): boolean {
  if (a.kind === 'breakpoint') return b.kind === 'breakpoint' && a.how === b.how && a.address === b.address;
  return b.kind === 'watchpoint' && a.access === b.access && a.address === b.address && a.length === b.length;
}
