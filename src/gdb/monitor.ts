/** What a person at gdb can ask the timeline: `monitor COMMAND`. */
import { parsePlace } from '../debugger/place.ts';
import type { DebugSession, QuerySpec, StopEvent } from '../debugger/session.ts';
import { memoryOf, parseQuery, QUERY_HELP, QUERY_USAGE, rowText } from './monitor-query.ts';
import { progressPrinter } from './progress.ts';
import { type Print, TargetError } from './target.ts';
import { splitWords } from './words.ts';

interface Context {
  readonly session: DebugSession;
  readonly print: Print;
  readonly signal: AbortSignal;
}

interface Command {
  readonly usage: string;
  readonly help: string;
  readonly run: (context: Context, words: readonly string[]) => Promise<void>;
}

const CONSOLE_LINES = 20;
const CONSOLE_BYTES_MAX = 2 ** 18;

const COMMANDS: Readonly<Record<string, Command>> = {
  help: { usage: '', help: 'this list', run: async ({ print }) => print(helpText()) },
  when: {
    usage: '',
    help: 'position and guest time now',
    run: async ({ session, print }) => print(await standing(session, await session.where())),
  },
  seek: {
    usage: 'start | end | POSITION | PERCENT% | BOOKMARK',
    help: 'go there; gdb notices by: maintenance flush register-cache',
    run: async ({ session, print, signal }, words) => {
      const event = await session.seek(await parsePlace(session, words.join(' ')), {
        signal,
        progress: progressPrinter(print),
      });
      print(await standing(session, event));
    },
  },
  bookmark: {
    usage: '[NAME [NOTE] | delete NAME]',
    help: 'name this position, or list the names there are',
    run: bookmark,
  },
  console: {
    usage: '[LINES]',
    help: `the last lines of the console up to here (${CONSOLE_LINES})`,
    run: showConsole,
  },
  'last-write': {
    usage: 'ADDRESS[,BYTES]',
    help: 'who last wrote there before now; of a variable: eval "monitor last-write %p", &variable',
    run: lastWrite,
  },
  query: { usage: QUERY_USAGE, help: QUERY_HELP, run: query },
};

/** Runs a command. What is wrong with it is a TargetError or UserError. */
export async function runMonitorCommand(
  session: DebugSession,
  line: string,
  print: Print,
  signal: AbortSignal,
): Promise<void> {
  const [name = 'help', ...words] = splitWords(line);
  if (!Object.hasOwn(COMMANDS, name)) {
    throw new TargetError(`there is no monitor command '${name}'; there are ${Object.keys(COMMANDS).join(', ')}`);
  }
  await COMMANDS[name].run({ session, print, signal }, words);
}

function helpText(): string {
  const rows = Object.entries(COMMANDS).map(([name, { usage, help }]) => [`${name} ${usage}`.trim(), help]);
  return rows.map(([left, right]) => `${left}\n    ${right}\n`).join('');
}

const count = (n: number) => n.toLocaleString('en-US');

async function standing(session: DebugSession, { position, timeNs, hart }: StopEvent): Promise<string> {
  const { end } = await session.info();
  return `position ${count(position)} of ${count(end)}, ${(timeNs / 1e9).toFixed(6)} s of guest time, hart ${hart}\n`;
}

async function bookmark({ session, print }: Context, [name = '', ...rest]: readonly string[]): Promise<void> {
  if (name === '') {
    for (const { name, position, note } of await session.bookmarks())
      print(`${name}  ${count(position)}  ${note}`.trimEnd() + '\n');
  } else if (name === 'delete') {
    await session.removeBookmark(rest.join(' '));
  } else {
    const { position } = await session.where();
    await session.setBookmark({ name, position, note: rest.join(' ') });
    print(`${name} is position ${count(position)}\n`);
  }
}

async function showConsole(
  { session, print }: Context,
  [lines = String(CONSOLE_LINES)]: readonly string[],
): Promise<void> {
  if (!/^\d{1,6}$/.test(lines)) throw new TargetError(`'${lines}': a number of lines is needed`);
  const text = Buffer.from(await session.console(CONSOLE_BYTES_MAX)).toString('utf8');
  const all = text.replaceAll('\r', '').replace(/\n$/, '').split('\n');
  const last = Number(lines) === 0 ? [] : all.slice(-Number(lines));
  print(last.map((line) => `${line}\n`).join(''));
}

async function lastWrite({ session, print, signal }: Context, words: readonly string[]): Promise<void> {
  const { position } = await session.where();
  const stop = { kind: 'watch', access: 'write', ...(await memoryOf(session, words.join(''))) } as const;
  const spec: QuerySpec = { kind: 'events', stop, to: position, newestFirst: true, limit: 1 };
  for await (const row of session.query(spec, { signal, progress: progressPrinter(print) })) {
    print(`${rowText(row, []).trimStart()}\nmonitor seek ${row.hit.position} goes there\n`);
    return;
  }
  print(signal.aborted ? 'interrupted\n' : `nothing wrote there before position ${count(position)}\n`);
}

async function query({ session, print, signal }: Context, words: readonly string[]): Promise<void> {
  const spec = await parseQuery(session, words);
  let rows = 0;
  for await (const row of session.query(spec, { signal, progress: progressPrinter(print) })) {
    print(`${rowText(row, spec.print ?? [])}\n`);
    rows++;
  }
  if (signal.aborted) print('interrupted\n');
  else if (rows === spec.limit) print(`${rows} rows, and maybe more: --limit N\n`);
  else print(`${rows} row${rows === 1 ? '' : 's'}\n`);
}
