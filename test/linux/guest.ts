/** The crashed Debian guest for tests: what it said of itself, when, and its kernel at any position. */
import type { TestContext } from 'node:test';
import { linuxMachine } from '../../src/cli/hart-view.ts';
import { openSymbols } from '../../src/cli/symbol-options.ts';
import { Kernel, KernelImage } from '../../src/linux/index.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { crashTrace } from '../support/debian-trace.ts';
import { needGuest } from '../support/guests.ts';
import { needTool } from '../support/tools.ts';
import { needVmlinux } from '../symbols/support/files.ts';

export interface CrashedGuest {
  readonly cache: string;
  readonly vmlinux: string;
  readonly trace: string;
  readonly programs: readonly string[];
}

export async function needCrashedGuest(t: TestContext): Promise<CrashedGuest | null> {
  const cache = needGuest(t);
  const vmlinux = needVmlinux(t);
  if (!cache || !vmlinux || !needTool(t, 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu')) return null;
  return { cache, vmlinux, ...(await crashTrace(cache)) };
}

/** A part of the console between two of its marks. */
export interface Part {
  readonly lines: readonly string[];
  /** Where the mark that ends it has been shown. */
  readonly end: number;
}

/** What the console shows, by the marks before it. */
export function partsOf(trace: string): Map<string, Part> {
  const reader = TraceReader.open(trace);
  const parts = new Map<string, Part>();
  let [mark, lines, line] = ['', [] as string[], ''];
  for (const { position, bytes } of reader.consoleOutput(0, Number.MAX_SAFE_INTEGER)) {
    for (const character of Buffer.from(bytes).toString('latin1').replaceAll('\r', '')) {
      if (character !== '\n') {
        line += character;
        continue;
      }
      const found = /^mark: (\w+)$/.exec(line);
      if (found) {
        parts.set(mark, { lines, end: position });
        [mark, lines] = [found[1], []];
      } else lines.push(line);
      line = '';
    }
  }
  parts.set(mark, { lines, end: reader.replayableTo });
  reader.close();
  return parts;
}

/** The kernel as it is at positions. */
export class Watched {
  readonly image: KernelImage;
  readonly timeline: Timeline;

  constructor({ vmlinux, trace }: CrashedGuest) {
    const symbols = openSymbols([vmlinux]);
    this.image = KernelImage.of(symbols)!;
    this.timeline = new Timeline(TraceReader.open(trace), { at: 0 });
  }

  at(position: number): Kernel {
    this.timeline.seek(position);
    return new Kernel(this.image, linuxMachine(this.timeline.machine));
  }
}
