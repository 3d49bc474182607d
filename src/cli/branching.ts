/** A recorded guest that lives on from any position, as a new recording that has all of the old one up to there. */
import { randomInt } from 'node:crypto';
import { UserError } from '../base/assert.ts';
import { CompilerThread } from '../compiler/thread.ts';
import { Chaos } from '../recorder/chaos.ts';
import { canResumeAt } from '../recorder/policy.ts';
import { Recorder, recordedSource } from '../recorder/recorder.ts';
import { Replayer } from '../replay/replayer.ts';
import { type CheckpointInfo, copyPast, type TraceHeader, type TraceReader } from '../trace/index.ts';
import { startWriterThread, TraceWriter } from '../trace/writer.ts';
import type { InputSource } from '../vmm/inputs.ts';
import { parseWhole } from './arguments.ts';
import { entropySource, openDisk } from './assemble.ts';
import type { Options, Values } from './command-line.ts';
import { count } from './format.ts';
import { SEED_MAX } from './machine-options.ts';
import type { AssembledLiving, Output } from './one-run.ts';
import { productVersion } from './version.ts';

/** What becomes of a guest from there on. */
export const BRANCH_OPTIONS = {
  disk: {
    type: 'list',
    value: 'FILE',
    describe: "image of a disk, for blocks that the guest has not read yet; all of its disks', in order",
  },
  seed: { type: 'text', value: 'N', describe: "draw the guest's random numbers from this seed from there on" },
  chaos: {
    type: 'text',
    value: 'SEED',
    describe: 'draw turns from this seed, where the old recording drew its turns',
  },
} as const satisfies Options;

/** Makes the new recording, and brings its machine to the position. The old one is closed when the machine has run for the last time. */
export async function branchOff(
  trace: TraceReader,
  at: number,
  args: Values<typeof BRANCH_OPTIONS>,
  output: Output,
): Promise<AssembledLiving> {
  const { machine: description } = trace.header;
  const chaos = description.schedule === 'drawn' ? drawnFrom(args.chaos, trace) : null;
  if (!chaos && args.chaos !== undefined)
    throw new UserError(`--chaos: ${trace.name} was recorded with the fixed schedule`);
  const source: InputSource = {
    entropy: entropySource(args.seed),
    block: blocksOf(args.disk, trace),
    ...(chaos ? { turn: (runnable: number) => chaos.turn(replayer.position, runnable) } : {}),
  };
  const notes: TraceHeader['notes'] = [...trace.header.notes, ['branch', `of ${trace.name} at position ${at}`]];
  const header = { productVersion: productVersion(), createdMs: Date.now(), machine: description, notes };
  const writer = new TraceWriter(output.path, header, { force: output.force, thread: startWriterThread() });
  const live = recordedSource(
    source,
    () => writer,
    () => replayer.position,
  );
  // What is before the last good place to go on from is copied; the rest is replayed, and recorded as it was.
  const shared = lastShared(trace, at);
  await copyPast(trace, writer, shared);
  const replayer: Replayer = new Replayer(trace, shared.position, {
    heard: (input) => writer.input(replayer.position, input),
    source: live,
  });
  const { machine } = replayer;
  const recorder = new Recorder(machine, writer, shared.index + 1);
  await replayTo(replayer, recorder, at);
  replayer.leave();
  const compiler = new CompilerThread();
  machine.cpu.jit.compiler = compiler;
  const living = { machine, recorder, compiler, console: description.console, clock: description.clockMode };
  const close = async () => {
    await compiler.close();
    // A guest that reboots finds what the old recording began with.
    trace.close();
  };
  return { living, close };
}

/** The last checkpoint before a position from which a recording can go on. The end's own holds what is due there, too: a machine that lives on comes to it. */
function lastShared({ checkpoints, replayableTo }: TraceReader, at: number): CheckpointInfo {
  const fits = ({ position }: CheckpointInfo) => position <= at && position < replayableTo && canResumeAt(position);
  return checkpoints.findLast(fits) ?? checkpoints[0];
}

/** Steps between two turns of the event loop, which the writer's thread needs to say that it has failed, and editors to be answered. */
const SPELL_STEPS = 2 ** 20;

/** Replays up to a position, and records it as it was recorded before. */
async function replayTo(replayer: Replayer, recorder: Recorder, at: number): Promise<void> {
  const { machine } = replayer;
  machine.events = {
    output: (device, data) => recorder.output(device, data),
    journal: (event) => recorder.journal(event),
    wants: (kind, position) => recorder.wants(kind, position),
  };
  while (replayer.position < at) {
    replayer.runTo(Math.min(at, recorder.nextStop, replayer.position + SPELL_STEPS));
    recorder.atStop();
    if (recorder.failed) throw new UserError(recorder.failed);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  replayer.settleChanges();
}

function drawnFrom(seed: string | undefined, trace: TraceReader): Chaos {
  const { harts, quantum } = trace.header.machine;
  const number = seed === undefined ? randomInt(SEED_MAX) : parseWhole('--chaos', seed, 0, SEED_MAX);
  return new Chaos(number, harts, quantum);
}

function blocksOf(images: readonly string[], trace: TraceReader): InputSource['block'] {
  const { disks } = trace.header.machine;
  if (images.length === 0) {
    return (disk, block) => {
      throw new UserError(
        `the guest reads block ${block} of disk ${disks[disk].name} for the first time: give the images of its disks with --disk`,
      );
    };
  }
  const opened = images.map(openDisk);
  if (opened.length !== disks.length) {
    throw new UserError(`--disk: the guest has ${disks.length} disks, ${opened.length} images were given`);
  }
  opened.forEach(({ sizeBytes }, i) => {
    if (sizeBytes === disks[i].sizeBytes) return;
    throw new UserError(
      `--disk ${images[i]}: an image of ${count(disks[i].sizeBytes)} bytes, as ${disks[i].name} was, is needed`,
    );
  });
  return (disk, block) => opened[disk].read(block);
}
