/** `chronovisor dump`: everything in a trace, as text or JSON lines, filtered. */
import { UserError } from '../base/assert.ts';
import { type ConsoleRun, JOURNAL_KINDS, type JournalEntry, type TraceReader } from '../trace/index.ts';
import { exceptionName, interruptName, sbiName } from '../vmm/riscv/names.ts';
import { parseChoices } from './arguments.ts';
import { command } from './command-line.ts';
import { count, digestText, hex, jsonValue, plural, seconds } from './format.ts';
import { openTrace, parsePosition } from './trace-argument.ts';

const SECTIONS = ['inputs', 'journal', 'console', 'checkpoints', 'chunks'] as const;
type Section = (typeof SECTIONS)[number];

const INPUT_KINDS = ['console', 'clock', 'command', 'entropy', 'block', 'turn', 'memory', 'register'] as const;
const KINDS = [...INPUT_KINDS, ...JOURNAL_KINDS] as const;

/** What is wanted. */
interface Filter {
  readonly from: number;
  /** The last position, itself included. */
  readonly to: number;
  readonly kinds: readonly string[];
  readonly json: boolean;
}

export const dumpCommand = command(
  '<trace>',
  {
    section: {
      type: 'text',
      value: 'LIST',
      describe: `what to print, with commas between: ${SECTIONS.join(', ')}`,
    },
    from: { type: 'text', value: 'POSITION', default: '0', describe: 'first position' },
    to: { type: 'text', value: 'POSITION', default: 'end', describe: 'last position' },
    kind: {
      type: 'text',
      value: 'LIST',
      describe: `only inputs and journal entries of these kinds: ${KINDS.join(', ')}`,
    },
    json: { type: 'flag', describe: 'a JSON object a line' },
  },
  (args) => {
    const kinds = args.kind === undefined ? KINDS : parseChoices('--kind', args.kind, KINDS);
    // Who asks for kinds wants what has kinds.
    const usual = args.kind === undefined ? SECTIONS : (['inputs', 'journal'] as const);
    const sections = args.section === undefined ? usual : parseChoices('--section', args.section, SECTIONS);
    const trace = openTrace(args.trace);
    const from = parsePosition('--from', args.from, trace);
    const to = parsePosition('--to', args.to, trace);
    if (from > to) throw new UserError(`--from ${args.from} --to ${args.to}: the first position lies behind the last`);
    for (const section of sections) {
      for (const { record, text } of entries(trace, section, { from, to, kinds, json: args.json })) {
        console.log(args.json ? JSON.stringify({ section, ...record }, jsonValue) : text());
      }
    }
  },
);

interface Entry {
  readonly record: object;
  readonly text: () => string;
}

function* entries(trace: TraceReader, section: Section, { from, to, kinds, json }: Filter): Generator<Entry> {
  switch (section) {
    case 'inputs':
      for (const { position, input } of trace.inputs(from, to + 1)) {
        if (!kinds.includes(input.kind)) continue;
        yield { record: { position, ...input }, text: () => `${at(position)} input       ${inputText(input)}` };
      }
      break;
    case 'journal':
      for (const entry of trace.journal(from, to + 1)) {
        if (!kinds.includes(entry.kind)) continue;
        yield { record: entry, text: () => `${at(entry.position)} hart ${entry.hart}      ${journalText(entry)}` };
      }
      break;
    case 'console':
      for (const { position, device, bytes } of json
        ? trace.consoleOutput(from, to + 1)
        : consoleLines(trace, from, to)) {
        const text = new TextDecoder().decode(bytes);
        const record = { position, device, text };
        yield { record, text: () => `${at(position)} ${device.padEnd(11)} ${JSON.stringify(text)}` };
      }
      break;
    case 'checkpoints':
      for (const c of trace.checkpoints) {
        if (c.position < from || c.position > to) continue;
        const record = { ...c, digest: digestText(c.digest) };
        const size = `${plural(c.changedPages, 'page')}, ${plural(c.storedBytes, 'byte')}`;
        yield { record, text: () => `${at(c.position)} checkpoint  ${seconds(c.timeNs)}, ${size}, ${record.digest}` };
      }
      break;
    case 'chunks':
      for (const c of trace.chunks()) {
        if (c.last < from || c.first > to) continue;
        const size = `${plural(c.count, 'record')}, ${count(c.rawBytes)} -> ${plural(c.storedBytes, 'byte')} (${c.codec})`;
        const text = () => `${at(c.first)} ${c.type.padEnd(11)} to ${c.last}, file offset ${c.offset}, ${size}`;
        yield { record: c, text };
      }
      break;
  }
}

/** Bytes that one line of the dump takes at most. */
const LINE_BYTES_MAX = 4096;
const NEWLINE = 10;

/** Guests send byte by byte; a person reads lines. Each has the position of its first byte. */
function* consoleLines(trace: TraceReader, from: number, to: number): Generator<ConsoleRun> {
  const lines = new Map<string, ConsoleRun>();
  for (const { position, device, bytes } of trace.consoleOutput(from, to + 1)) {
    const begun = lines.get(device);
    const line = begun
      ? { ...begun, bytes: Buffer.concat([begun.bytes, bytes]) }
      : { position, device, bytes: Buffer.from(bytes) };
    lines.set(device, line);
    if (!line.bytes.includes(NEWLINE) && line.bytes.length < LINE_BYTES_MAX) continue;
    lines.delete(device);
    yield line;
  }
  yield* lines.values();
}

const at = (position: number) => String(position).padStart(14);

function journalText({ kind, code, value }: JournalEntry): string {
  switch (kind) {
    case 'interrupt':
      return `interrupt   ${interruptName(code)}, at pc ${hex(value)}`;
    case 'trap':
      return `trap        ${exceptionName(code)}, at pc ${hex(value)}`;
    case 'timer':
      return `timer       time ${value} read`;
    case 'sbi':
      return `sbi         ${sbiName(code)}, function ${value}`;
    case 'note':
      return `note        ${code}, ${hex(value)}`;
  }
}

/** Bytes of an input that a line shows. */
const SHOWN_BYTES = 64;

function inputText(input: { kind: string }): string {
  const fields = Object.entries(input).map(([name, value]: [string, unknown]) => {
    if (name === 'kind') return String(value);
    if (!(value instanceof Uint8Array)) return `${name} ${String(value)}`;
    const shown = new TextDecoder('latin1').decode(value.subarray(0, SHOWN_BYTES));
    return `${plural(value.length, 'byte')} ${JSON.stringify(shown)}${value.length > SHOWN_BYTES ? '...' : ''}`;
  });
  return fields.join(', ');
}
