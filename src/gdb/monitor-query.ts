/** `monitor query ...`: events of the whole trace, or of a part of it, one a line. The words are those of `chronovisor query`. */
import { parsePlace } from '../debugger/place.ts';
import type { DebugSession, HitDetail, QueryRow, QuerySpec, StopSpec } from '../debugger/session.ts';
import { TargetError } from './target.ts';

/** Rows without a limit of one's own: as many as one cares to read. */
const ROWS = 100;
const WATCH_BYTES = 8;

export const QUERY_USAGE = 'KIND [WHAT] [OPTIONS]';
export const QUERY_HELP = `list events of the whole trace; KIND and WHAT are one of
      hits ADDRESS, calls ADDRESS                an instruction executed, a function called
      writers, readers, values ADDRESS[,BYTES]   who wrote, who read, and what it was in turn
      values REGISTER                            of all harts, or with --hart
      traps, interrupts, syscalls, sbi [LIST]    all, or those with these numbers
      console TEXT, panic
    options: --from PLACE --to PLACE --hart N --if EXPRESSION --print EXPRESSION --newest-first --limit N (${ROWS})
    expressions are such as "a0 == 3 && u32(a1 + 8) > 4"; words with spaces stand in quotes, as at a command line`;

const OPTIONS = ['from', 'to', 'hart', 'if', 'print', 'limit'] as const;
type Options = { readonly [K in (typeof OPTIONS)[number]]: string[] };

/** What a query's words ask for. A TargetError says what is wrong with them. */
export async function parseQuery(session: DebugSession, words: readonly string[]): Promise<QuerySpec> {
  const options: Options = { from: [], to: [], hart: [], if: [], print: [], limit: [] };
  const plain: string[] = [];
  let newestFirst = false;
  const left = [...words];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const [, long, value] = /^--([^=]*)(?:=([\s\S]*))?$/.exec(word) ?? [];
    const name = OPTIONS.find((option) => option === long);
    if (word === '--newest-first') newestFirst = true;
    else if (name) options[name].push(value ?? left.shift() ?? fail(`--${name} needs a value`));
    else if (long !== undefined) fail(`there is no option ${word}; monitor help tells which there are`);
    else plain.push(word);
  }
  const [kind = '', ...rest] = plain;
  const what = rest.join(' ');
  const common = {
    ...given(options.hart, (text) => ({ hart: whole(text) })),
    ...given(options.if, (condition) => ({ condition })),
  };
  const range = {
    ...(await placeOf(session, 'from', options.from)),
    ...(await placeOf(session, 'to', options.to)),
    newestFirst,
    limit: options.limit.length === 0 ? ROWS : whole(options.limit[0]),
    print: options.print,
  };
  if (kind !== 'calls')
    return { ...range, kind: 'events', stop: { ...(await stopOf(session, kind, what)), ...common } };
  if (options.if.length > 0) fail("'calls' takes no --if; ask for 'hits' of its first instruction");
  return { ...range, kind: 'calls', address: parseAddress(what), ...common };
}

function given<T>(values: readonly string[], make: (text: string) => T): T | Record<string, never> {
  return values.length === 0 ? {} : make(values[0]);
}

async function placeOf(session: DebugSession, name: 'from' | 'to', values: readonly string[]) {
  return values.length === 0 ? {} : { [name]: await parsePlace(session, values[0]) };
}

async function stopOf(session: DebugSession, kind: string, what: string): Promise<StopSpec> {
  const list = <K extends string>(key: K) => (what === '' ? {} : { [key]: what.split(',').map(whole) });
  switch (kind) {
    case 'hits':
      return { kind: 'breakpoint', address: parseAddress(what) };
    case 'writers':
      return { kind: 'watch', access: 'write', ...(await memoryOf(session, what)) };
    case 'readers':
      return { kind: 'watch', access: 'read', ...(await memoryOf(session, what)) };
    case 'values':
      if (/^[a-z]/.test(what)) return { kind: 'register', register: what };
      return { kind: 'watch', access: 'change', ...(await memoryOf(session, what)) };
    case 'traps':
      return { kind: 'trap', ...list('causes') };
    case 'interrupts':
      return { kind: 'interrupt', ...list('causes') };
    case 'syscalls':
      return { kind: 'syscall', ...list('numbers') };
    case 'sbi':
      return { kind: 'sbi', ...list('extensions') };
    case 'console':
      return { kind: 'console', text: what };
    case 'panic':
      return { kind: 'panic' };
    default:
      return fail(`'${kind}' cannot be asked for; monitor help tells what can`);
  }
}

/** The memory that ADDRESS[,BYTES] is mapped to here and now, so that it does not matter who accesses it, by which address. */
export async function memoryOf(session: DebugSession, text: string) {
  const [place, bytes = String(WATCH_BYTES)] = text.split(',');
  const virtual = parseAddress(place);
  const length = whole(bytes);
  const address = await session.translate((await session.where()).hart, virtual);
  if (address === null) return fail(`${place}: nothing is mapped there now`);
  return { address, length, physical: true };
}

function fail(message: string): never {
  throw new TargetError(message);
}

function parseAddress(text: string): bigint {
  if (!/^(0x[0-9a-fA-F]{1,16}|\d{1,19})$/.test(text)) {
    fail(`'${text}': an address such as 0x80008000 is needed; of a variable: eval "monitor ... %p", &variable`);
  }
  return BigInt(text);
}

function whole(text: string): number {
  if (!/^(0x[0-9a-fA-F]{1,8}|\d{1,9})$/.test(text)) fail(`'${text}': a whole number is needed`);
  return Number(text);
}

/** One line about an event. */
export function rowText({ hit, timeNs, values, call }: QueryRow, print: readonly string[]): string {
  const parts = [
    hit.position.toLocaleString('en-US').padStart(15),
    `${(timeNs / 1e9).toFixed(6)} s`.padStart(14),
    ...(hit.detail?.byHand ? ['by hand'] : [`hart ${hit.hart}`, `pc ${hex(hit.pc)}`]),
    ...detailText(hit.detail),
    ...print.map((expression, i) => `${expression}=${values[i] === null ? 'nothing' : hex(values[i])}`),
  ];
  if (call) {
    parts.push(`(${call.arguments.slice(0, 4).map(hex).join(', ')}) from ${hex(call.returnAddress)}`);
    parts.push(call.returned ? `returned ${hex(call.returned.a0)}` : 'did not return');
  }
  return parts.join('  ');
}

function detailText(detail: HitDetail = {}): string[] {
  const { access, address: where, length, before, after, cause, value, number, function: fn, text, device } = detail;
  return [
    ...(access === undefined ? [] : [`${access}${where === undefined ? '' : ` ${hex(where)}`}+${length}`]),
    ...(device === undefined ? [] : [`by ${device}`]),
    ...(before === undefined || after === undefined ? [] : [`${hex(before)} -> ${hex(after)}`]),
    ...(cause === undefined ? [] : [`cause ${cause}`]),
    ...(value === undefined ? [] : [`value ${hex(value)}`]),
    ...(number === undefined ? [] : [`number ${hex(number)}`]),
    ...(fn === undefined ? [] : [`function ${fn}`]),
    ...(text === undefined ? [] : [JSON.stringify(text)]),
  ];
}

const hex = (value: bigint | number) => (value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`);
