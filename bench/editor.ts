/** How long an editor waits: from F5 to the first stop that shows something, and for steps, through the debug adapter. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { AdapterProcess } from './adapter.ts';
import { quantile } from './report.ts';

const STEPS = 200;
const ELEMENTS = 10_000;

export interface EditorGuest {
  readonly trace: string;
  readonly symbolFile: string;
  /** A variable that is an array of many elements; null where the guest has none. */
  readonly array: string | null;
}

interface Waits {
  readonly p50: number;
  readonly p99: number;
}

export interface EditorResult {
  readonly trace: string;
  readonly symbolFile: string;
  /** From the start of the adapter until stack and variables are there, without and with an index of the symbols, in ms. */
  readonly firstStopMs: { readonly cold: number; readonly warm: number };
  /** From the request until the stack of the next stop is there, in ms. */
  readonly steps: Readonly<Record<string, Waits>>;
  /** Ten thousand elements of an array, in ms. */
  readonly arrayMs: number | null;
}

export async function benchEditor(guest: EditorGuest): Promise<EditorResult> {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-bench-'));
  try {
    const cold = await open(guest, folder);
    await cold.adapter.end();
    const { adapter, threadId, ms } = await open(guest, folder);
    const steps: Record<string, Waits> = {};
    for (const [what, command, granularity] of [
      ['step back by line', 'stepBack', 'statement'],
      ['step over by line', 'next', 'statement'],
      ['step back by instruction', 'stepBack', 'instruction'],
      ['step by instruction', 'stepIn', 'instruction'],
    ]) {
      const waits: number[] = [];
      for (let i = 0; i < STEPS; i++) {
        waits.push(
          await timed(async () => {
            const stopped = adapter.next('stopped');
            await adapter.ask(command, { threadId, granularity });
            await stopped;
            await adapter.ask('stackTrace', { threadId, startFrame: 0, levels: 20 });
          }),
        );
      }
      steps[what] = { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) };
    }
    const arrayMs = guest.array === null ? null : await elements(adapter, threadId, guest.array);
    await adapter.end();
    const { trace, symbolFile } = guest;
    return { trace, symbolFile, firstStopMs: { cold: cold.ms, warm: ms }, steps, arrayMs };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What VS Code asks for between F5 and a stop that a person can look at. */
async function open({ trace, symbolFile }: EditorGuest, folder: string) {
  const began = performance.now();
  const adapter = new AdapterProcess(folder);
  await adapter.ask('initialize', { adapterID: 'chronovisor' });
  const initialized = adapter.next('initialized');
  const attached = adapter.ask('attach', { trace, symbolFiles: [symbolFile], stopAt: 'end' });
  await initialized;
  const stopped = adapter.next('stopped');
  await adapter.ask('configurationDone');
  await attached;
  const { threadId } = await stopped;
  await adapter.ask('threads');
  const { stackFrames } = await adapter.ask('stackTrace', { threadId, startFrame: 0, levels: 20 });
  const { scopes } = await adapter.ask('scopes', { frameId: stackFrames[0].id });
  await adapter.ask('variables', { variablesReference: scopes[0].variablesReference });
  return { adapter, threadId: threadId as number, ms: performance.now() - began };
}

async function elements(adapter: AdapterProcess, threadId: number, expression: string): Promise<number> {
  const { stackFrames } = await adapter.ask('stackTrace', { threadId, startFrame: 0, levels: 1 });
  const { variablesReference } = await adapter.ask('evaluate', { expression, frameId: stackFrames[0].id });
  const range = { filter: 'indexed', start: 0, count: ELEMENTS };
  return timed(async () => {
    const { variables } = await adapter.ask('variables', { variablesReference, ...range });
    if (variables.length !== ELEMENTS) throw new Error(`${variables.length} of ${ELEMENTS} elements of ${expression}`);
  });
}

async function timed(action: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await action();
  return performance.now() - began;
}

export function editorText({ trace, symbolFile, firstStopMs, steps, arrayMs }: EditorResult): string {
  const ms = (value: number) => value.toFixed(value < 10 ? 1 : 0).padStart(6);
  return [
    `${basename(trace)} with ${basename(symbolFile)}, ms`,
    `  from F5 to stack and variables    ${ms(firstStopMs.cold)} the first time, ${ms(firstStopMs.warm)} with symbols indexed`,
    ...Object.entries(steps).map(([what, { p50, p99 }]) => `  ${what.padEnd(32)}  ${ms(p50)} p50, ${ms(p99)} p99`),
    ...(arrayMs === null ? [] : [`  ${ELEMENTS} elements of an array      ${ms(arrayMs)}`]),
  ].join('\n');
}
