/** Which checkpoints a trace keeps when it is thinned, and whether that is worth while: what a recording asks before it loads what thins (see thin.ts). */

/** How many steps apart two checkpoints may lie, if so many steps come after them. */
export type GapAt = (age: number) => number;

/** `spacing`, and an eighth of the age where that is more: the number of checkpoints grows with the logarithm of the recording's length. */
export const gapOfEighth =
  (spacing: number): GapAt =>
  (age) =>
    Math.max(spacing, age / 8);

/** The last steps of a recording, in which all of its checkpoints stay: a seek there takes a fraction of a second. */
const RECENT_STEPS = 64e9;

/** What a recording has when it has ended: in what is older than that, gaps that take some seconds to replay after an hour's work. */
export const gapOfRecording: GapAt = (age) => Math.max(0, age - RECENT_STEPS) / 256;

/** Whether a recording of so many steps may have enough to thin: in less, what is recent is too much of it. */
export function mayThin(steps: number): boolean {
  return steps > 4 * RECENT_STEPS;
}

/**
 * Which of the positions (ascending) stay: the first, the last, and those without which a gap would become wider than it may. Indexes, ascending.
 */
export function checkpointsToKeep(positions: readonly number[], gapAt: GapAt): number[] {
  const last = positions.length - 1;
  const kept = [last];
  for (let index = last - 1; index > 0; index--) {
    const after = positions[kept[kept.length - 1]];
    if (after - positions[index - 1] > gapAt(positions[last] - after)) kept.push(index);
  }
  if (last > 0) kept.push(0);
  return kept.reverse();
}
