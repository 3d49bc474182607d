/** Moments of recorded guests, to look at with symbols and with gdb. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Random } from '../../../src/base/random.ts';
import { Timeline } from '../../../src/replay/timeline.ts';
import { TraceReader } from '../../../src/trace/index.ts';
import { scratch } from '../../support/guests.ts';
import { embeddedGuest, type Guest, record } from '../../support/recording.ts';
import { writeCore } from './core.ts';

export interface Moment {
  readonly position: number;
  readonly hart: number;
  /** The state as a core file. */
  readonly core: string;
}

/** The embedded guest with another kernel of the same sources. */
export function embeddedWith(kernel: string, seed: number): Guest {
  const guest = embeddedGuest(seed);
  return { ...guest, files: { ...guest.files, kernel: { name: kernel, bytes: readFileSync(kernel) } } };
}

/** Records a guest and calls `look` at positions drawn from the seed, for each hart; what it returns is kept with the moment's core file. */
export async function moments<T>(
  t: TestContext,
  guest: Guest,
  count: number,
  look: (timeline: Timeline, hart: number) => T,
): Promise<{ moment: Moment; seen: T }[]> {
  const folder = scratch(t);
  const trace = join(folder, 'guest.trace');
  const { position: end } = await record(guest, trace);
  const random = new Random(guest.seed);
  t.diagnostic(`seed ${guest.seed}`);
  const timeline = new Timeline(TraceReader.open(trace));
  const positions = Array.from({ length: count }, () => random.below(end)).sort((a, b) => a - b);
  return positions.flatMap((position) => {
    timeline.seek(position);
    return Array.from({ length: guest.description.harts }, (_, hart) => {
      const core = join(folder, `core-${position}-${hart}`);
      writeCore(core, timeline.machine, [hart]);
      return { moment: { position, hart, core }, seen: look(timeline, hart) };
    });
  });
}
