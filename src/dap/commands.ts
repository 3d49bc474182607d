/** Commands of the debug console, beside expressions. */

import { UserError } from '../base/assert.ts';
import { parsePlace } from '../debugger/place.ts';
import type { Control, DebugSession, Hit, QueryRow, QuerySpec, StopSpec } from '../debugger/session.ts';
import { functionLocations, inMemory, type Symbols } from '../symbols/index.ts';
import { hex, parseAddress } from './arguments.ts';
import { placeText, symbolText } from './code.ts';
import type { LinuxMoment } from './linux.ts';
import { LINUX_COMMANDS } from './linux-commands.ts';
import type { Tell } from './protocol.ts';
import type { Watched } from './variables.ts';
import { tellBookmarks } from './views.ts';

/** What commands need of the adapter. */
export interface Console {
  readonly session: DebugSession;
  readonly symbols: Symbols;
  readonly control: Control;
  readonly tell: Tell;
  /** Null where no symbol file is of a Linux kernel. */
  readonly linux: LinuxMoment | null;
  /** Goes to a position and tells the client so. */
  seek(position: number): Promise<void>;
  /** The memory or register that an expression names. */
  watched(expression: string): Promise<Watched>;
  /** A hart that has these page tables in use; undefined if none does. */
  hartIn(space: bigint | undefined): number | undefined;
}

export interface Command {
  readonly usage: string;
  readonly help: string;
  readonly run: (console: Console, rest: string) => Promise<string>;
}

const ROWS_MAX = 100;
const CONSOLE_LINES = 20;
const CONSOLE_BYTES_MAX = 2 ** 18;

export const COMMANDS: Readonly<Record<string, Command>> = {
  help: { usage: '', help: 'this list', run: async () => helpText() },
  when: { usage: '', help: 'position and guest time now', run: (console) => standing(console.session) },
  seek: {
    usage: 'start | end | POSITION | PERCENT% | BOOKMARK',
    help: 'go there',
    run: async (console, rest) => {
      await console.seek(await parsePlace(console.session, rest));
      return standing(console.session);
    },
  },
  'last-write': {
    usage: 'EXPRESSION',
    help: 'go to the last write of it before now',
    run: (console, rest) => goToWrite(console, rest, true),
  },
  'first-write': {
    usage: 'EXPRESSION',
    help: 'go to the first write of it in the trace',
    run: (console, rest) => goToWrite(console, rest, false),
  },
  history: { usage: 'EXPRESSION', help: `the values it had, the newest before now first (${ROWS_MAX})`, run: history },
  calls: { usage: 'FUNCTION', help: `calls of a function, the newest before now first (${ROWS_MAX})`, run: calls },
  console: {
    usage: '[LINES]',
    help: `the last lines of the guest's console up to here (${CONSOLE_LINES})`,
    run: lines,
  },
  bookmark: {
    usage: '[NAME [NOTE] | delete NAME]',
    help: 'name this position, or list the names there are',
    run: bookmark,
  },
  ...LINUX_COMMANDS,
};

/** Runs a line if it is a command; null if it is not. A name alone that is a variable's is for C to judge, unless no command has it. */
export async function runCommand(console: Console, line: string): Promise<string | null> {
  const match = /^\s*([a-z-]+)(?:\s+(.*))?$/s.exec(line);
  if (!match || !Object.hasOwn(COMMANDS, match[1])) return null;
  const rest = (match[2] ?? '').trim();
  // `history = 3`, `history * 3` and `calls[1]` are expressions; `history *p` and `history &x` are not.
  if (/^([=<>!|^/%?.[+]|\*(?![\w(*$])|&(?![\w(])|-[^-]|->)/.test(rest)) return null;
  return COMMANDS[match[1]].run(console, rest);
}

function helpText(): string {
  const rows = Object.entries(COMMANDS).map(([name, { usage, help }]) => `${`${name} ${usage}`.padEnd(50)} ${help}`);
  return [...rows, 'Everything else is a C expression: names, $registers, /x for hexadecimal, array@count.'].join('\n');
}

const count = (n: number) => n.toLocaleString('en-US');

async function standing(session: DebugSession): Promise<string> {
  const [{ position, timeNs, hart }, { end }] = await Promise.all([session.where(), session.info()]);
  return `position ${count(position)} of ${count(end)}, ${(timeNs / 1e9).toFixed(6)} s of guest time, hart ${hart}`;
}

/** The stop for writes or changes of what an expression names. Memory is meant by its physical address: it does not matter who writes it, and how. */
async function stopOn(console: Console, expression: string, access: 'write' | 'change'): Promise<StopSpec> {
  if (expression === '') throw new UserError('an expression is needed, such as the name of a variable');
  const what = await console.watched(expression);
  if ('register' in what) return { kind: 'register', register: what.register };
  const hart = console.hartIn(what.space);
  if (hart === undefined) throw new UserError('the task that this belongs to waits: ask at a moment when it runs');
  const address = await console.session.translate(hart, what.address);
  if (address === null) throw new UserError(`${hex(what.address)}: nothing is mapped there now`);
  return { kind: 'watch', access, address, length: what.bytes, physical: true };
}

async function goToWrite(console: Console, expression: string, last: boolean): Promise<string> {
  const { session, control } = console;
  const { position } = await session.where();
  const stop = await stopOn(console, expression, 'write');
  const spec: QuerySpec = { kind: 'events', stop, newestFirst: last, limit: 1, ...(last ? { to: position } : {}) };
  let found: QueryRow | null = null;
  // The engine goes nowhere before the query is over.
  for await (const row of session.query(spec, control)) found = row;
  if (control.signal?.aborted) return 'cancelled';
  if (found) {
    const { hit, timeNs } = found;
    const text = hitText(console, hit);
    const moment = { position: hit.position, timeNs, hart: hit.hart, text: whereText(console, hit) };
    tellMoments(console, `${last ? 'last' : 'first'} write of ${expression}`, [moment]);
    await console.seek(hit.position);
    return hit.detail?.byHand ? text : `${text}; the machine is about to write it`;
  }
  return last ? `nothing wrote it before position ${count(position)}` : 'nothing ever writes it';
}

async function history(console: Console, expression: string): Promise<string> {
  const { session, control } = console;
  const { position } = await session.where();
  const stop = await stopOn(console, expression, 'change');
  const spec: QuerySpec = { kind: 'events', stop, to: position, newestFirst: true, limit: ROWS_MAX };
  const rows: string[] = [];
  const moments: Moment[] = [];
  for await (const { hit, timeNs } of session.query(spec, control)) {
    const { before, after } = hit.detail ?? {};
    const change = before === undefined || after === undefined ? '' : `  ${hex(before)} -> ${hex(after)}`;
    rows.push(`${hitText(console, hit)}${change}`);
    moments.push({
      position: hit.position,
      timeNs,
      hart: hit.hart,
      text: `${change.trim()}  ${whereText(console, hit)}`.trim(),
    });
  }
  tellMoments(console, `values of ${expression}`, moments);
  return listed(rows, control, `it did not change before position ${count(position)}`);
}

async function calls(console: Console, name: string): Promise<string> {
  const { session, symbols, control } = console;
  if (name === '') throw new UserError('the name of a function is needed');
  const address = parseAddress(name) ?? entryOf(symbols, name);
  const { position } = await session.where();
  const spec: QuerySpec = { kind: 'calls', address, to: position, newestFirst: true, limit: ROWS_MAX };
  const rows: string[] = [];
  const moments: Moment[] = [];
  for await (const { hit, timeNs, call } of session.query(spec, control)) {
    const given = call?.arguments.slice(0, 4).map(hex).join(', ') ?? '';
    const from = call ? ` from ${symbolText(symbols, call.returnAddress - 1n) ?? hex(call.returnAddress)}` : '';
    const returned = call?.returned ? `, returned ${hex(call.returned.a0)} at ${count(call.returned.position)}` : '';
    const text = `${name}(${given})${from}${returned}`;
    rows.push(`${count(hit.position)}  hart ${hit.hart}  ${text}`);
    moments.push({ position: hit.position, timeNs, hart: hit.hart, text });
  }
  tellMoments(console, `calls of ${name}`, moments);
  return listed(rows, control, `nothing called it before position ${count(position)}`);
}

/** Where a function is entered: arguments are still in their registers there. */
function entryOf(symbols: Symbols, name: string): bigint {
  for (const module of symbols.modules) {
    for (const symbol of module.file.symbols?.named(name) ?? []) {
      if (symbol.isFunction) return inMemory(module, symbol.address);
    }
  }
  const location = functionLocations(symbols, name)[0];
  if (!location) throw new UserError(`no symbol file has a function '${name}'`);
  return location.address;
}

function listed(rows: readonly string[], { signal }: Control, nothing: string): string {
  if (signal?.aborted) return [...rows, 'cancelled'].join('\n');
  if (rows.length === 0) return nothing;
  return rows.length < ROWS_MAX ? rows.join('\n') : [...rows, `only the newest ${ROWS_MAX} are shown`].join('\n');
}

/** One line about an event: when, who, where. */
function hitText(console: Console, hit: Hit): string {
  const { position, hart, detail } = hit;
  if (detail?.byHand) return `${count(position)}  ${whereText(console, hit)}`;
  const by = detail?.device === undefined ? `hart ${hart}` : detail.device;
  return `${count(position)}  ${by}  ${whereText(console, hit)}`;
}

function whereText({ symbols }: Console, { pc, detail }: Hit): string {
  if (detail?.byHand) return `changed by hand${detail.after === undefined ? '' : ` to ${hex(detail.after)}`}`;
  const where = placeText(symbols.symbolise(pc)?.location ?? null);
  return [symbolText(symbols, pc) ?? hex(pc), where].filter((part) => part !== '').join('  ');
}

/** What a client may list, and go to. */
interface Moment {
  readonly position: number;
  readonly timeNs?: number;
  readonly hart: number;
  readonly text: string;
}

function tellMoments({ tell }: Console, title: string, moments: readonly Moment[]): void {
  if (moments.length > 0) tell('chronovisor/moments', { title, moments });
}

async function lines({ session }: Console, rest: string): Promise<string> {
  const wanted = rest === '' ? String(CONSOLE_LINES) : rest;
  if (!/^\d{1,6}$/.test(wanted)) throw new UserError(`'${rest}': a number of lines is needed`);
  const text = Buffer.from(await session.console(CONSOLE_BYTES_MAX)).toString('utf8');
  const all = text.replaceAll('\r', '').replace(/\n$/, '').split('\n');
  return Number(wanted) === 0 ? '' : all.slice(-Number(wanted)).join('\n');
}

async function bookmark({ session, tell }: Console, rest: string): Promise<string> {
  const [, name = '', note = ''] = /^(\S*)\s*(.*)$/s.exec(rest) ?? [];
  if (name === '') {
    const all = await session.bookmarks();
    if (all.length === 0) return 'there are no bookmarks';
    return all.map((one) => `${one.name}  ${count(one.position)}  ${one.note}`.trimEnd()).join('\n');
  }
  if (name === 'delete') {
    await session.removeBookmark(note);
    await tellBookmarks(session, tell);
    return `${note} is gone`;
  }
  const { position } = await session.where();
  await session.setBookmark({ name, position, note });
  await tellBookmarks(session, tell);
  return `${name} is position ${count(position)}`;
}
