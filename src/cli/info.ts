/** `chronovisor info`: what a trace holds, at a glance. */
import type { TraceReader } from '../trace/index.ts';
import { command } from './command-line.ts';
import { bytes, count, digestText, jsonValue, plural, seconds, table } from './format.ts';
import { openTrace } from './trace-argument.ts';

export const infoCommand = command(
  '<trace>',
  { json: { type: 'flag', describe: 'print as JSON' } },
  ({ trace: path, json }) => {
    const trace = openTrace(path);
    const facts = gather(trace);
    console.log(json ? JSON.stringify(facts, jsonValue, 2) : describe(trace, facts));
  },
);

/** Steps from which on sizes per step mean something. */
const RATES_FROM = 1e6;

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
    header: { ...header, machine: { ...header.machine, rtcOffsetNs: String(header.machine.rtcOffsetNs) } },
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
    // Of a shorter recording these would tell nothing but the size of its first checkpoint.
    bytesPerBillionSteps:
      trace.replayableTo >= RATES_FROM ? Math.round((statistics.fileBytes / trace.replayableTo) * 1e9) : null,
    logBytesPerThousandSteps: trace.replayableTo >= RATES_FROM ? (logBytes / trace.replayableTo) * 1000 : null,
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
    ['machine', machineText(machine)],
    ['guest', [boot.kernel, boot.append && `"${boot.append}"`, firmwareText(boot)].filter(Boolean).join(', ')],
    ...disks.map((disk) => ['disk', `${disk.name}, ${bytes(disk.sizeBytes)}${disk.readOnly ? ', read-only' : ''}`]),
    ...notes.map(([key, value]) => [key, value]),
    ['duration', `${plural(facts.replayableTo, 'step')}, ${seconds(facts.guestTimeNs)} of guest time`],
    [
      'ended',
      facts.end
        ? `${facts.end.reason}${facts.end.exitCode === undefined ? '' : `, exit code ${facts.end.exitCode}`}`
        : 'not closed',
    ],
    ['inputs', kinds(facts.inputs)],
    ['journal', kinds(facts.journal)],
    ['checkpoints', checkpointsText(facts.checkpoints)],
    ['last digest', facts.checkpoints.lastDigest],
    ...(facts.bytesPerBillionSteps === null || facts.logBytesPerThousandSteps === null
      ? []
      : [
          [
            'size',
            `${bytes(facts.bytesPerBillionSteps)} per billion steps; ` +
              `without checkpoints ${facts.logBytesPerThousandSteps.toFixed(4)} bytes per thousand steps`,
          ],
        ]),
  ];
  const chunkRows = Object.entries(facts.chunks).map(([type, c]) => [
    `  ${type}`,
    plural(c.chunks, 'chunk'),
    plural(c.records, 'record'),
    `${bytes(c.rawBytes)} raw`,
    `${bytes(c.storedBytes)} stored`,
  ]);
  return `${table(rows)}\n\n${table(chunkRows)}`;
}

function machineText({
  isa,
  revision,
  harts,
  memoryBytes,
  clockMode,
  rtcOffsetNs,
}: TraceReader['header']['machine']): string {
  const start = new Date(Number(rtcOffsetNs / 1_000_000n)).toISOString();
  return `${isa} of revision ${revision}, ${plural(harts, 'hart')}, ${bytes(memoryBytes)} of memory, ${clockMode} clock from ${start}`;
}

function firmwareText({ kind, bios }: TraceReader['header']['machine']['boot']): string {
  if (kind === 'none') return 'no firmware';
  return kind === 'builtin' ? 'built-in SBI firmware' : `firmware ${bios}`;
}

function checkpointsText(facts: ReturnType<typeof gather>['checkpoints']): string {
  const { spacingMin, spacingMax, firstBytes, otherBytes } = facts;
  const first = `the first ${bytes(firstBytes)}`;
  if (facts.count < 2) return `${facts.count}; ${first}`;
  const apart = spacingMin === spacingMax ? count(spacingMin) : `${count(spacingMin)} to ${count(spacingMax)}`;
  return `${count(facts.count)}, ${apart} steps apart; ${first}, the others ${bytes(otherBytes)}`;
}
