/** `chronovisor dump`: everything in a trace, as text or JSON lines, filtered. */
import type { CommandModule } from 'yargs';
import { UserError } from '../base/assert.ts';
import { TraceReader } from '../trace/index.ts';
import { count, digestText, jsonValue, seconds } from './format.ts';
import { warnOfDamage } from './trace-argument.ts';

const SECTIONS = ['inputs', 'journal', 'console', 'checkpoints', 'chunks'] as const;
type Section = (typeof SECTIONS)[number];

interface Arguments {
  trace: string;
  section: readonly Section[];
  from: number;
  to: number;
  kind: string | undefined;
  json: boolean;
}

export const dumpCommand: CommandModule<object, Arguments> = {
  command: 'dump <trace>',
  describe: 'print inputs, journal, console, checkpoints and chunks of a trace',
  builder: (y) =>
    y
      .positional('trace', { type: 'string', demandOption: true, describe: 'trace file' })
      .option('section', { choices: SECTIONS, array: true, default: SECTIONS.slice(), describe: 'what to print' })
      .option('from', { type: 'number', default: 0, describe: 'first position' })
      .option('to', { type: 'number', default: Number.MAX_SAFE_INTEGER, describe: 'last position' })
      .option('kind', { type: 'string', describe: 'only inputs or journal entries of this kind' })
      .option('json', { type: 'boolean', default: false, describe: 'a JSON object a line' }),
  handler: (args) => {
    if (!(args.from <= args.to)) throw new UserError(`--from ${args.from} lies behind --to ${args.to}`);
    const trace = TraceReader.open(args.trace);
    warnOfDamage(trace);
    for (const section of args.section) for (const line of lines(trace, section, args)) console.log(line);
  },
};

function* lines(trace: TraceReader, section: Section, args: Arguments): Generator<string> {
  const { from, to, kind, json } = args;
  const line = (record: object, text: () => string) =>
    json ? JSON.stringify({ section, ...record }, jsonValue) : text();
  const wanted = (k: string) => kind === undefined || kind === k;
  switch (section) {
    case 'inputs':
      for (const { position, input } of trace.inputs(from, to)) {
        if (wanted(input.kind)) yield line({ position, ...input }, () => `${at(position)} input ${inputText(input)}`);
      }
      break;
    case 'journal':
      for (const entry of trace.journal(from, to)) {
        const { position, hart, kind: k, code, value } = entry;
        const text = () => `${at(position)} ${k} ${code}, hart ${hart}, 0x${value.toString(16)}`;
        if (wanted(k)) yield line(entry, text);
      }
      break;
    case 'console':
      if (kind !== undefined) break;
      for (const { position, device, bytes } of trace.consoleOutput(from, to)) {
        const text = new TextDecoder().decode(bytes);
        yield line({ position, device, text }, () => `${at(position)} ${device} ${JSON.stringify(text)}`);
      }
      break;
    case 'checkpoints':
      if (kind !== undefined) break;
      for (const c of trace.checkpoints) {
        if (c.position < from || c.position > to) continue;
        const record = { ...c, digest: digestText(c.digest) };
        const size = `${count(c.changedPages)} pages, ${count(c.storedBytes)} bytes`;
        yield line(record, () => `${at(c.position)} checkpoint ${seconds(c.timeNs)} ${record.digest} ${size}`);
      }
      break;
    case 'chunks':
      if (kind !== undefined) break;
      for (const c of trace.chunks()) {
        if (c.last < from || c.first > to) continue;
        const size = `${count(c.count)} records, ${count(c.rawBytes)} -> ${count(c.storedBytes)} bytes (${c.codec})`;
        yield line(c, () => `offset ${String(c.offset).padStart(12)} ${c.type} ${c.first}..${c.last} ${size}`);
      }
      break;
  }
}

const at = (position: number) => String(position).padStart(14);

function inputText(input: { kind: string }): string {
  const fields = Object.entries(input).map(([name, value]: [string, unknown]) => {
    if (name === 'kind') return String(value);
    if (!(value instanceof Uint8Array)) return `${name} ${String(value)}`;
    const short = value.length <= 64 ? JSON.stringify(new TextDecoder('latin1').decode(value)) : '...';
    return `${count(value.length)} bytes ${short}`;
  });
  return fields.join(', ');
}
