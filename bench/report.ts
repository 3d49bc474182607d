/** Results as numbers to keep and as a table to read. */
import type { BenchGuest } from './guests.ts';
import { MODES, type Mode, type Sample } from './modes.ts';
import type { ProfileResult } from './profile.ts';

/** Grows when a field changes its meaning or goes away; a new field does not make a new version. */
export const SCHEMA_VERSION = 2;

export interface ModeResult {
  readonly mode: Mode;
  readonly samples: readonly Sample[];
  /** Field by field. */
  readonly median: Sample;
}

export interface GuestResult {
  readonly guest: string;
  readonly what: string;
  readonly harts: number;
  readonly memoryMiB: number;
  readonly modes: readonly ModeResult[];
  /** Derived from the medians; null where a part is missing. */
  readonly ratios: {
    /** How many times as fast as QEMU's recording (or its nearest thing) our recording is. */
    readonly recordToQemuRecord: number | null;
    readonly runToQemu: number | null;
    /** What recording costs over running, as a share of the run's time. */
    readonly recordCost: number | null;
    readonly replayToRecord: number | null;
    readonly logBytesPerThousandSteps: number | null;
    readonly qemuLogBytesPerThousandSteps: number | null;
  };
}

export interface BenchResult {
  readonly schema: 'chronovisor-bench';
  readonly version: typeof SCHEMA_VERSION;
  readonly product: string;
  readonly takenAt: string;
  readonly host: { readonly cpu: string; readonly cores: number; readonly node: string; readonly qemu: string | null };
  readonly repeat: number;
  /** From the start of the process to its word that the first step is done. */
  readonly firstStepMs: readonly { readonly guest: string; readonly median: number }[];
  readonly guests: readonly GuestResult[];
  /** With `--profile`; nothing is measured then. */
  readonly profiles?: readonly ProfileResult[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0;
}

function medianSample(samples: readonly Sample[]): Sample {
  const of = (key: keyof Sample) => {
    const values = samples.map((s) => s[key]).filter((v) => v !== null);
    return values.length === 0 ? null : median(values);
  };
  return {
    wallMs: median(samples.map((s) => s.wallMs)),
    peakBytes: of('peakBytes'),
    steps: of('steps'),
    logBytes: of('logBytes'),
    traceBytes: of('traceBytes'),
    checkpoints: of('checkpoints'),
  };
}

export function resultOf(guest: BenchGuest, samples: ReadonlyMap<Mode, readonly Sample[]>): GuestResult {
  const modes = MODES.filter((mode) => samples.has(mode)).map((mode) => {
    const taken = samples.get(mode)!;
    return { mode, samples: taken, median: medianSample(taken) };
  });
  const find = (mode: Mode) => modes.find((m) => m.mode === mode)?.median;
  const [run, record, replay, qemu] = [find('run'), find('record'), find('replay'), find('qemu')];
  const qemuRecord = find('qemu-rr') ?? find('qemu-icount');
  const over = (a: number | null | undefined, b: number | null | undefined) =>
    typeof a === 'number' && typeof b === 'number' && b > 0 ? a / b : null;
  const cost = over(record?.wallMs, run?.wallMs);
  const thousands = record?.steps ? record.steps / 1000 : null;
  return {
    guest: guest.name,
    what: guest.what,
    harts: guest.harts,
    memoryMiB: guest.memoryMiB,
    modes,
    ratios: {
      recordToQemuRecord: over(qemuRecord?.wallMs, record?.wallMs),
      runToQemu: over(qemu?.wallMs, run?.wallMs),
      recordCost: cost === null ? null : cost - 1,
      replayToRecord: over(record?.wallMs, replay?.wallMs),
      logBytesPerThousandSteps: over(record?.logBytes, thousands),
      qemuLogBytesPerThousandSteps: over(find('qemu-rr')?.logBytes, thousands),
    },
  };
}

const NAMES: Record<Mode, string> = {
  run: 'run',
  record: 'record',
  replay: 'replay (verify)',
  qemu: 'QEMU',
  'qemu-rr': 'QEMU, rr=record',
  'qemu-icount': 'QEMU, one thread, icount',
};

/** A row a way of running. QEMU's speed is our steps over its time: the same guest did the same work. */
export function tableOf(result: GuestResult): string {
  const { guest, what, harts, memoryMiB, modes, ratios } = result;
  const steps = modes.find(({ mode }) => mode === 'run')?.median.steps ?? null;
  const base = (modes.find(({ mode }) => mode === 'qemu-rr') ?? modes.find(({ mode }) => mode === 'qemu-icount'))
    ?.median;
  const rows = modes.map(({ mode, median: m }) => [
    NAMES[mode],
    (m.wallMs / 1000).toFixed(2),
    number((m.steps ?? steps) === null ? null : (m.steps ?? steps)! / m.wallMs / 1000, 0),
    base ? `${(base.wallMs / m.wallMs).toFixed(2)}x` : '-',
    number(m.peakBytes === null ? null : m.peakBytes / 2 ** 20, 0),
    number(m.traceBytes === null ? null : m.traceBytes / 2 ** 20, 1),
  ]);
  const head = ['', 'wall s', 'M steps/s', 'to QEMU record', 'peak MiB', 'trace MiB'];
  const percent = ratios.recordCost === null ? '-' : `${(100 * ratios.recordCost).toFixed(1)} %`;
  return [
    `${guest}: ${what}; ${harts} hart${harts > 1 ? 's' : ''}, ${memoryMiB} MiB, ${number(steps === null ? null : steps / 1e6, 0)} million steps`,
    ...aligned([head, ...rows]),
    `  recording costs ${percent} over a run; log ${number(ratios.logBytesPerThousandSteps, 4)} bytes per thousand steps` +
      ` (QEMU's ${number(ratios.qemuLogBytesPerThousandSteps, 4)})`,
  ].join('\n');
}

const number = (value: number | null, digits: number) => (value === null ? '-' : value.toFixed(digits));

function aligned(rows: readonly string[][]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => {
    const cells = row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    return `  ${cells.join('  ')}`;
  });
}
