/** `chronovisor info`: what a trace holds, at a glance. */
import type { CommandModule } from 'yargs';
import { TraceReader } from '../trace/index.ts';
import { bytes, count, digestText, jsonValue, seconds, table } from './format.ts';
import { warnOfDamage } from './trace-argument.ts';

interface Arguments {
  trace: string;
  json: boolean;
}

export const infoCommand: CommandModule<object, Arguments> = {
  command: 'info <trace>',
  describe: 'show machine, guest, duration, inputs, checkpoints and sizes of a trace',
  builder: (y) =>
    y
      .positional('trace', { type: 'string', demandOption: true, describe: 'trace file' })
      .option('json', { type: 'boolean', default: false, describe: 'print as JSON' }),
  handler: ({ trace: path, json }) => {
    const trace = TraceReader.open(path);
    warnOfDamage(trace);
    const facts = gather(trace);
    console.log(json ? JSON.stringify(facts, jsonValue, 2) : describe(trace, facts));
  },
};

function gather(trace: TraceReader) {
  const { checkpoints, header } = trace;
  const statistics = trace.statistics();
  const spacings = checkpoints.slice(1).map((c, i) => c.position - checkpoints[i].position);
  const pages = checkpoints.map((c) => c.storedBytes);
  const last = checkpoints.at(-1);
  const logBytes = (['inputs', 'journal', 'console'] as const).reduce(
    (sum, type) => sum + (statistics.chunks[type]?.storedBytes ?? 0),
    0,
  );
  return {
    file: trace.name,
    header,
    end: trace.end ?? null,
    replayableTo: trace.replayableTo,
    guestTimeNs: trace.replayableToNs,
    inputs: statistics.inputs,
    journal: statistics.journal,
    checkpoints: {
      count: checkpoints.length,
      spacingMin: spacings.length ? Math.min(...spacings) : 0,
      spacingMax: spacings.length ? Math.max(...spacings) : 0,
      firstBytes: pages[0] ?? 0,
      otherBytes: pages.slice(1).reduce((sum, n) => sum + n, 0),
      lastDigest: last ? digestText(last.digest) : '',
    },
    chunks: statistics.chunks,
    pageContents: statistics.contents,
    fileBytes: statistics.fileBytes,
    logBytes,
    bytesPerBillionSteps: trace.replayableTo ? Math.round((statistics.fileBytes / trace.replayableTo) * 1e9) : 0,
    logBytesPerThousandSteps: trace.replayableTo ? (logBytes / trace.replayableTo) * 1000 : 0,
  };
}

function describe(trace: TraceReader, facts: ReturnType<typeof gather>): string {
  const { machine, productVersion, createdMs, notes } = trace.header;
  const { boot, disks } = machine;
  const kinds = (kindCounts: object) => {
    const parts = Object.entries(kindCounts).map(([kind, n]) => `${count(Number(n))} ${kind}`);
    return parts.length ? parts.join(', ') : 'none';
  };
  const rows: string[][] = [
    ['trace', `${trace.name}, ${bytes(facts.fileBytes)}, by Chronovisor ${productVersion}`],
    ['recorded', new Date(createdMs).toISOString()],
    [
      'machine',
      `${machine.isa}, ${machine.harts} harts, ${bytes(machine.memoryBytes)} of memory, ${machine.clockMode} clock`,
    ],
    ['guest', [boot.kernel, boot.append && `"${boot.append}"`, `firmware ${boot.bios}`].filter(Boolean).join(', ')],
    ...disks.map((disk) => ['disk', `${disk.name}, ${bytes(disk.sizeBytes)}${disk.readOnly ? ', read-only' : ''}`]),
    ...notes.map(([key, value]) => [key, value]),
    ['duration', `${count(facts.replayableTo)} steps, ${seconds(facts.guestTimeNs)} of guest time`],
    [
      'ended',
      facts.end
        ? `${facts.end.reason}${facts.end.exitCode === undefined ? '' : `, exit code ${facts.end.exitCode}`}`
        : 'not closed',
    ],
    ['inputs', kinds(facts.inputs)],
    ['journal', kinds(facts.journal)],
    [
      'checkpoints',
      `${facts.checkpoints.count}, ${count(facts.checkpoints.spacingMin)} to ${count(facts.checkpoints.spacingMax)} steps apart; ` +
        `the first ${bytes(facts.checkpoints.firstBytes)}, the others ${bytes(facts.checkpoints.otherBytes)}`,
    ],
    ['last digest', facts.checkpoints.lastDigest],
    [
      'size',
      `${bytes(facts.bytesPerBillionSteps)} per billion steps; without checkpoints ${facts.logBytesPerThousandSteps.toFixed(4)} bytes per thousand steps`,
    ],
  ];
  const chunkRows = Object.entries(facts.chunks).map(([type, c]) => [
    `  ${type}`,
    `${count(c.chunks)} chunks`,
    `${count(c.records)} records`,
    `${bytes(c.rawBytes)} raw`,
    `${bytes(c.storedBytes)} stored`,
  ]);
  return `${table(rows)}\n\n${table(chunkRows)}`;
}
