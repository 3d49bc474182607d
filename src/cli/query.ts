/** `chronovisor query`: questions over a whole trace or a part of it, answered by replay. */
import { UserError } from '../base/assert.ts';
import { openSession } from '../debugger/open.ts';
import type { DebugSession, QueryRow, QuerySpec, StopSpec } from '../debugger/session.ts';
import type { Symbols } from '../symbols/index.ts';
import { exceptionName, interruptName, sbiName } from '../vmm/riscv/names.ts';
import { parseWhole } from './arguments.ts';
import { command } from './command-line.ts';
import { count, hex, jsonValue, seconds, table } from './format.ts';
import { addressOf, conditionExpression, type Printed, printedExpression } from './query-expressions.ts';
import { openSymbols, symbolsOption } from './symbol-options.ts';
import { openTrace, parsePosition } from './trace-argument.ts';

const KINDS = {
  hits: 'executions of the instruction at ADDRESS',
  calls: 'calls of the function at ADDRESS: arguments, and what it returned',
  writers: 'writes to ADDRESS[,BYTES]',
  'last-write': 'the last write to ADDRESS[,BYTES]',
  'first-write': 'the first write to ADDRESS[,BYTES]',
  readers: 'reads of ADDRESS[,BYTES]',
  values: 'changes of the value at ADDRESS[,BYTES], or of a register by its name',
  traps: 'exceptions, or only those with the causes LIST',
  interrupts: 'interrupts, or only those with the causes LIST',
  syscalls: 'system calls, or only those with the numbers LIST',
  sbi: 'calls of the firmware, or only those of the extensions LIST',
  console: 'where the console shows TEXT',
  panic: 'where the guest says that it has failed',
} as const;
type Kind = keyof typeof KINDS;

const BYTES_DEFAULT = 8;
/** Rows of a table that are laid out together. */
const PAGE_ROWS = 50;

export const queryCommand = command(
  '<trace> <kind> [what]',
  {
    from: { type: 'text', value: 'POSITION', default: '0', describe: 'first position', group: 'Where' },
    to: { type: 'text', value: 'POSITION', default: 'end', describe: 'position to end before', group: 'Where' },
    hart: { type: 'text', value: 'N', describe: 'only this hart', group: 'Where' },
    space: {
      type: 'text',
      value: 'SATP',
      describe: 'only where this page table root is in use',
      group: 'Where',
    },
    at: {
      type: 'text',
      value: 'POSITION',
      default: 'end',
      describe: 'memory is what ADDRESS is mapped to at this position, whoever writes it and by whichever address',
      group: 'Where',
    },
    physical: { type: 'flag', describe: 'ADDRESS is physical', group: 'Where' },
    if: {
      type: 'text',
      value: 'EXPRESSION',
      describe: 'only where it is not 0, such as "a0 > 3", or with symbols "task->pid == 3"',
      group: 'What',
    },
    print: {
      type: 'list',
      value: 'EXPRESSION',
      describe: 'a value to show in each row, such as s64(sp), or with symbols task->pid',
      group: 'What',
    },
    'newest-first': { type: 'flag', describe: 'begin at the end', group: 'What' },
    limit: { type: 'text', value: 'N', describe: 'at most so many rows', group: 'What' },
    symbols: { ...symbolsOption, group: 'What' },
    format: { type: 'choice', choices: ['table', 'json', 'csv'], default: 'table', describe: 'how rows are printed' },
    workers: { type: 'text', value: 'N', describe: 'threads that replay side by side; as many as there are cores' },
    'memory-budget': {
      type: 'text',
      value: 'MIB',
      default: '2048',
      describe: 'memory to use, in MiB; on many cores, more of it lets more threads search',
    },
  },
  async (args) => {
    const kind = args.kind as Kind;
    if (!Object.hasOwn(KINDS, kind))
      throw new UserError(`query ${args.kind}: there is no such question; ${kindsText()}`);
    const trace = openTrace(args.trace);
    const [from, to] = [parsePosition('--from', args.from, trace), parsePosition('--to', args.to, trace)];
    if (from > to) throw new UserError(`--from ${args.from} --to ${args.to}: the first position lies behind the last`);
    const at = parsePosition('--at', args.at, trace);
    const symbols = openSymbols(args.symbols);
    const { harts } = trace.header.machine;
    trace.close();
    const code = (kind === 'hits' || kind === 'calls') && !args.physical && args.what !== undefined;
    const pc = code ? parseAddress(kind, args.what!, symbols) : null;
    const printed = args.print.map((text) => printedExpression(text, symbols, pc));
    const common = {
      ...(args.hart === undefined ? {} : { hart: parseWhole('--hart', args.hart, 0, harts - 1) }),
      ...(args.if === undefined ? {} : { condition: conditionExpression(args.if, symbols, pc) }),
      ...(args.space === undefined ? {} : { space: parseAddress('--space', args.space, symbols) }),
    };
    const limit = kind === 'last-write' || kind === 'first-write' ? '1' : args.limit;
    const range = {
      ...{ from, to, newestFirst: args['newest-first'] || kind === 'last-write' },
      ...(limit === undefined ? {} : { limit: parseWhole('--limit', limit, 1, Number.MAX_SAFE_INTEGER) }),
      print: printed.map(({ expression }) => expression),
    };
    const session = await openSession(args.trace, {
      memoryBudget: parseWhole('--memory-budget', args['memory-budget'], 64, 2 ** 20) * 2 ** 20,
      ...(args.workers === undefined ? {} : { workers: parseWhole('--workers', args.workers, 1, 256) }),
    });
    try {
      const spec = await questionOf(session, { kind, what: args.what, physical: args.physical, at, symbols, common });
      await print(session, { ...spec, ...range } as QuerySpec, printed, args.format, symbols);
    } finally {
      await session.close();
    }
  },
);

function kindsText(): string {
  return `there are ${Object.entries(KINDS)
    .map(([kind, what]) => `${kind} (${what})`)
    .join(', ')}`;
}

interface Question {
  readonly kind: Kind;
  readonly what: string | undefined;
  readonly physical: boolean;
  readonly at: number;
  readonly symbols: Symbols;
  readonly common: { readonly hart?: number; readonly condition?: string; readonly space?: bigint };
}

type Asked = { kind: 'events'; stop: StopSpec } | { kind: 'calls'; address: bigint; space?: bigint; hart?: number };

async function questionOf(session: DebugSession, question: Question): Promise<Asked> {
  const { kind, what, symbols, common, physical } = question;
  const { space, ...anywhere } = common;
  const needed = () => {
    if (what === undefined) throw new UserError(`query ${kind}: ${KINDS[kind]}; what is meant is missing`);
    return what;
  };
  const numbers = () => (what === undefined ? undefined : what.split(',').map((n) => wholeOf(kind, n)));
  const optional = <K extends string>(key: K) => {
    const list = numbers();
    return list === undefined ? {} : { [key]: list };
  };
  const events = (stop: unknown): Asked => ({ kind: 'events', stop: stop as StopSpec });
  switch (kind) {
    case 'hits':
      return events({ kind: 'breakpoint', address: parseAddress(kind, needed(), symbols), physical, ...common });
    case 'calls':
      if (common.condition !== undefined) throw new UserError('query calls: --if cannot be used with it');
      return { kind: 'calls', address: parseAddress(kind, needed(), symbols), ...common };
    case 'writers':
    case 'last-write':
    case 'first-write':
      return events({ kind: 'watch', access: 'write', ...(await memoryOf(session, question, needed())), ...anywhere });
    case 'readers':
      return events({ kind: 'watch', access: 'read', ...(await memoryOf(session, question, needed())), ...anywhere });
    case 'values':
      if (await isRegister(session, needed())) return events({ kind: 'register', register: needed(), ...anywhere });
      return events({ kind: 'watch', access: 'change', ...(await memoryOf(session, question, needed())), ...anywhere });
    case 'traps':
      return events({ kind: 'trap', ...optional('causes'), ...anywhere });
    case 'interrupts':
      return events({ kind: 'interrupt', ...optional('causes'), ...anywhere });
    case 'syscalls':
      return events({ kind: 'syscall', ...optional('numbers'), ...anywhere });
    case 'sbi':
      return events({ kind: 'sbi', ...optional('extensions'), ...anywhere });
    case 'console':
      return events({ kind: 'console', text: needed(), ...anywhere });
    case 'panic':
      return events({ kind: 'panic', ...anywhere });
  }
}

async function isRegister(session: DebugSession, name: string): Promise<boolean> {
  if (!/^[a-z]\w*$/.test(name)) return false;
  const { csrs } = await session.registers(0);
  return name in csrs || /^(ra|sp|gp|tp|fp|[stafx]\d{1,2}|f[tsa]\d{1,2})$/.test(name);
}

/** The physical place of ADDRESS[,BYTES]. */
async function memoryOf(session: DebugSession, { kind, physical, at, symbols, common }: Question, text: string) {
  const [place, bytes = String(BYTES_DEFAULT)] = text.split(',');
  const address = parseAddress(kind, place, symbols);
  const length = parseWhole(`query ${kind}: bytes of`, bytes, 1, 2 ** 20);
  if (physical) return { address, length, physical: true };
  const { hart } = await session.seek(at);
  const found = await session.translate(common.hart ?? hart, address);
  if (found === null) {
    throw new UserError(`${place}: nothing is mapped there at position ${count(at)}; --at names another position`);
  }
  return { address: found, length, physical: true };
}

function wholeOf(kind: string, text: string): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text.trim()) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw new UserError(`query ${kind} ${text}: whole numbers with commas between are needed`);
  return value;
}

/** A number, or a symbol with or without an offset: 0x80200000, do_exit, do_exit+0x10. */
function parseAddress(option: string, text: string, symbols: Symbols): bigint {
  const match = /^(.+?)(?:\+(0x[0-9a-f]+|\d+))?$/is.exec(text.trim());
  const base = match && (/^(0x[0-9a-f]+|\d+)$/i.test(match[1]) ? BigInt(match[1]) : addressOf(match[1], symbols));
  if (base === null || base === undefined) {
    throw new UserError(`${option} ${text}: an address such as 0x80200000 is needed, or a symbol that --symbols knows`);
  }
  return BigInt.asUintN(64, base + BigInt(match?.[2] ?? 0));
}

async function print(
  session: DebugSession,
  spec: QuerySpec,
  printed: readonly Printed[],
  format: 'table' | 'json' | 'csv',
  symbols: Symbols,
): Promise<void> {
  const head = ['position', 'time', 'hart', 'pc', 'what', ...printed.map(({ text }) => text)];
  const interrupts = spec.kind === 'events' && [spec.stop].flat().every(({ kind }) => kind === 'interrupt');
  const causeName = interrupts ? interruptName : exceptionName;
  const progress = progressLine();
  let rows: string[][] = [];
  let found = 0;
  const flush = () => {
    if (rows.length > 0) console.log(table(found <= PAGE_ROWS ? [head, ...rows] : rows));
    rows = [];
  };
  if (format === 'csv') console.log(head.map(csvCell).join(','));
  const abort = new AbortController();
  const interrupted = () => abort.abort();
  process.once('SIGINT', interrupted);
  try {
    for await (const row of session.query(spec, { signal: abort.signal, progress: progress.show })) {
      progress.clear();
      found++;
      if (format === 'json') console.log(JSON.stringify(recordOf(row, printed, symbols), jsonValue));
      else if (format === 'csv') console.log(cellsOf(row, symbols, causeName, printed).map(csvCell).join(','));
      else if (rows.push(cellsOf(row, symbols, causeName, printed)) === PAGE_ROWS) flush();
    }
  } finally {
    process.off('SIGINT', interrupted);
    progress.clear();
  }
  flush();
  if (format === 'table' && found === 0) console.log('nothing');
  if (abort.signal.aborted) {
    console.error('chronovisor: interrupted; there may be more');
    process.exitCode = 130;
  }
}

function progressLine() {
  let shown = false;
  return {
    show: ({ done, position }: { readonly done: number; readonly position: number }) => {
      if (!process.stderr.isTTY) return;
      shown = true;
      process.stderr.write(`\r\x1b[K${Math.floor(done * 100)} %, position ${count(position)}`);
    },
    clear: () => {
      if (shown) process.stderr.write('\r\x1b[K');
      shown = false;
    },
  };
}

function recordOf({ hit, timeNs, values, call }: QueryRow, printed: readonly Printed[], symbols: Symbols) {
  const { stop: _, detail, ...where } = hit;
  if (detail?.text !== undefined) return { position: hit.position, text: detail.text };
  return {
    ...where,
    timeNs,
    ...(placeOf(hit.pc, symbols) ? { symbol: placeOf(hit.pc, symbols) } : {}),
    ...detail,
    ...(call ? { call } : {}),
    ...(printed.length > 0 ? { values: Object.fromEntries(printed.map(({ text }, i) => [text, values[i]])) } : {}),
  };
}

function cellsOf(
  row: QueryRow,
  symbols: Symbols,
  causeName: (cause: number) => string,
  printed: readonly Printed[],
): string[] {
  const { hit, timeNs, values } = row;
  const place = placeOf(hit.pc, symbols);
  const pc = place ? `${hex(hit.pc)} <${place}>` : hex(hit.pc);
  // Where the console's log was asked, only the position is known.
  if (hit.detail?.text !== undefined) return [String(hit.position), '-', '-', '-', whatOf(row, causeName)];
  const [hart, at] = hit.detail?.byHand ? ['-', '-'] : [String(hit.hart), pc];
  const shown = values.map((value, i) => (value === null ? '-' : printed[i].show(value)));
  return [String(hit.position), seconds(timeNs), hart, at, whatOf(row, causeName), ...shown];
}

function placeOf(pc: bigint, symbols: Symbols): string | null {
  const found = symbols.symbolAt(pc);
  if (!found) return null;
  const offset = pc - found.symbol.address - found.module.bias;
  return offset === 0n ? found.symbol.name : `${found.symbol.name}+${hex(offset, 1)}`;
}

function whatOf({ hit: { detail = {} }, call }: QueryRow, causeName: (cause: number) => string): string {
  const { access, address, length, before, after, cause, value, number, function: fn, device, byHand, text } = detail;
  if (call) {
    const { arguments: passed, returned } = call;
    const result = returned ? `${hex(returned.a0, 1)} at ${returned.position}` : 'has not returned';
    return `(${passed.map((a) => hex(a, 1)).join(', ')}) = ${result}`;
  }
  const by = byHand ? ' by hand' : device === undefined ? '' : ` by ${device}`;
  if (byHand && access === undefined) return `set to ${hex(after ?? 0n, 1)}${by}`;
  if (before !== undefined && after !== undefined) return `${hex(before, 1)} -> ${hex(after, 1)}${by}`;
  if (access !== undefined) return `${access} of ${length} at ${hex(address!, 1)}${by}`;
  if (cause !== undefined) return value === 0n ? causeName(cause) : `${causeName(cause)}, value ${hex(value ?? 0n, 1)}`;
  if (fn !== undefined) return `${sbiName(number!)} ${fn}`;
  if (number !== undefined) return `system call ${number}`;
  if (text !== undefined) return JSON.stringify(text);
  return length === undefined ? '' : `${length} bytes at ${hex(address!, 1)} change${by}`;
}

const csvCell = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
