/** The trace file: what records it and what reads it. */
export type { Damage } from './catalog.ts';
export { ABSENT, type PageChanges, ZERO } from './changes.ts';
export type { ConsoleRun } from './console.ts';
export { FORMAT_VERSION } from './container.ts';
export type { PlacedChunk } from './encoder.ts';
export { TraceWriteError } from './file.ts';
export type { TimedInput } from './inputs.ts';
export { JOURNAL_KINDS, type JournalEntry, type JournalKind } from './journal.ts';
export { copyPast } from './past.ts';
export { type CheckpointInfo, type ReaderOptions, TraceReader, type TraceStatistics } from './reader.ts';
export { type Repair, repair } from './repair.ts';
export type { EndReason, MachineDescription, Mark, TraceEnd, TraceHeader } from './schema.ts';
export { type Thinned, thin, thinRecording } from './thin.ts';
export { gapOfEighth } from './thinning.ts';
export { type ClosedTrace, TraceWriter, type WriterOptions } from './writer.ts';
