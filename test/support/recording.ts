/** Guests run in the test's own process: recorded, or plainly, with all that comes from outside made from a seed. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Random } from '../../src/base/random.ts';
import { HeldMachine } from '../../src/cli/held-machine.ts';
import type { LiveMachine } from '../../src/debugger/live.ts';
import { Chaos } from '../../src/recorder/chaos.ts';
import { Recorder, recordedSource } from '../../src/recorder/recorder.ts';
import { type ScriptLine, Session, type SessionEnd, type SessionOptions } from '../../src/recorder/session.ts';
import { type MachineDescription, TraceWriter } from '../../src/trace/index.ts';
import type { InputSource } from '../../src/vmm/inputs.ts';
import type { Machine } from '../../src/vmm/machine.ts';
import { MACHINE_REVISION } from '../../src/vmm/revision.ts';
import type { BootFiles } from '../../src/vmm/riscv/boot.ts';
import { bootVirt, buildVirt, type VirtMachine } from '../../src/vmm/riscv/virt.ts';
import { EMBEDDED_KERNEL } from './guests.ts';

/** A guest, ready to boot. */
export interface Guest {
  readonly description: MachineDescription;
  readonly files: BootFiles;
  /** Entropy, and what the disks hold, follow from it. */
  readonly seed: number;
  readonly script: readonly ScriptLine[];
  /** The schedule is drawn from this. */
  readonly chaosSeed?: number;
}

/** The same guest with another schedule. */
export function chaotic(guest: Guest, chaosSeed: number): Guest {
  return { ...guest, description: { ...guest.description, schedule: 'drawn' }, chaosSeed };
}

const NAME = 'uart0';

function describe(files: BootFiles, harts: number, memoryMiB: number): MachineDescription {
  return {
    isa: 'riscv64',
    revision: MACHINE_REVISION,
    harts,
    memoryBytes: memoryMiB * 2 ** 20,
    psPerStep: 1000,
    quantum: 4096,
    schedule: 'fixed',
    clockMode: 'virtual',
    console: NAME,
    boot: { kind: 'test', kernel: basename(files.kernel?.name ?? ''), append: 'console=ttyS0 quiet', bios: '' },
    disks: [],
    rtcOffsetNs: 1_700_000_000_000_000_000n,
    pageBytes: 4096,
  };
}

const named = (path: string) => ({ name: path, bytes: readFileSync(path) });
const DISK_BYTES = 256 * 1024;

/** The embedded guest on four harts: user programs, faults, floating point, its disk, and letters between tasks. */
export function embeddedGuest(seed: number): Guest {
  const files: BootFiles = { bios: 'none', kernel: named(EMBEDDED_KERNEL), initrd: null };
  const commands = [
    'harts',
    'spawn primes 20000',
    'run fp 20000',
    'disk read 3',
    'disk write 3 written',
    'disk read 3',
    'sleep 20',
    `work 60 ${seed}`,
    'spawn fault',
    'sum 100000',
    'run recurse 200',
    'ps',
    'poweroff',
  ];
  return {
    description: { ...describe(files, 4, 64), disks: [{ name: 'disk', sizeBytes: DISK_BYTES, readOnly: false }] },
    files,
    seed,
    script: commands.map((command) => ({ expect: '> ', send: `${command}\n` })),
  };
}

/** Debian's kernel to a shell, a few commands, and off. */
export function debianShell(cache: string, harts: number, seed: number): Guest {
  const files: BootFiles = {
    bios: 'builtin',
    kernel: named(join(cache, 'kernel')),
    initrd: named(join(cache, 'initrd-shell.gz')),
  };
  return {
    description: describe(files, harts, 256),
    files,
    seed,
    script: [
      { expect: 'built-in commands.', send: 'head -c 32 /dev/urandom | sha256sum; sleep 1; echo slept-$((6*7))\n' },
      { expect: 'slept-42', send: 'poweroff -f\n' },
    ],
  };
}

/** Bytes that follow from the seed alone, whatever the order in which devices ask. */
function seededSource(seed: number): InputSource {
  const random = new Random(seed);
  return {
    entropy: (_device, length) => Uint8Array.from({ length }, () => random.below(256)),
    block: (disk, block) => {
      const content = new Random(seed + 1000 * disk + block);
      return Uint8Array.from({ length: 4096 }, () => content.below(256));
    },
  };
}

function boot(guest: Guest, wrap: (source: InputSource) => InputSource): VirtMachine {
  const { harts, quantum } = guest.description;
  const chaos = guest.chaosSeed === undefined ? null : new Chaos(guest.chaosSeed, harts, quantum);
  const turns = chaos ? { turn: (runnable: number) => chaos.turn(machine.position, runnable) } : {};
  const source = wrap({ ...seededSource(guest.seed), ...turns });
  const machine: VirtMachine = buildVirt(guest.description, source);
  const append = guest.files.bios === 'none' ? '' : guest.description.boot.append;
  bootVirt(machine, { ...guest.description, boot: { append } }, guest.files, source);
  return machine;
}

/** A machine without a recorder. */
export function plainMachine(guest: Guest): VirtMachine {
  return boot(guest, (source) => source);
}

/** Takes checkpoints at seeded positions instead of where the policy wants them. */
export class StrideRecorder extends Recorder {
  readonly #random: Random;
  readonly #strideMax: number;
  readonly #machine: Machine;
  readonly #unit: number;
  #next = 0;

  constructor(machine: Machine, writer: TraceWriter, random: Random, strideMax: number, unit: number) {
    super(machine, writer);
    this.#machine = machine;
    this.#random = random;
    this.#strideMax = strideMax;
    this.#unit = unit;
    this.#advance();
  }

  #advance(): void {
    this.#next = Math.ceil((this.#next + 1 + this.#random.below(this.#strideMax)) / this.#unit) * this.#unit;
  }

  override get nextStop(): number {
    return this.#next;
  }
  override atStop(): void {
    if (this.#machine.position !== this.#next) return;
    this.#advance();
    this.checkpoint();
  }
}

export interface RecordOptions {
  /** Checkpoints at random distances below this many steps, instead of by policy. */
  readonly strideMax?: number;
  /** And at multiples of this, where it is given. */
  readonly strideUnit?: number;
  readonly clock?: 'virtual' | 'host';
  readonly interactive?: boolean;
  /** Longest slice in steps; asked for as the recording goes on. */
  readonly slices?: () => number;
  /** Typed first. */
  readonly input?: Uint8Array;
  /** Called with the session before it runs. */
  readonly started?: (session: Session) => void;
  /** Has the machine in its hands first; afterwards it lives on by itself. */
  readonly debug?: (live: LiveMachine) => Promise<void>;
}

export interface Recorded {
  readonly end: SessionEnd;
  readonly output: string;
  readonly position: number;
}

/** Records a guest to its end. */
export async function record(guest: Guest, path: string, options: RecordOptions = {}): Promise<Recorded> {
  const { clock = 'virtual' } = options;
  let writer: TraceWriter | null = null;
  const machine: VirtMachine = boot(guest, (source) =>
    recordedSource(
      source,
      () => writer!,
      () => machine.position,
    ),
  );
  const description = { ...guest.description, clockMode: clock };
  writer = new TraceWriter(path, { productVersion: 'test', createdMs: 0, machine: description, notes: [] });
  const recorder = options.strideMax
    ? new StrideRecorder(machine, writer, new Random(guest.seed), options.strideMax, options.strideUnit ?? 1)
    : new Recorder(machine, writer);
  const { debug, ...others } = options;
  const lend = async (session: Session): Promise<SessionEnd | null> => {
    const held = new HeldMachine({ machine, recorder, console: NAME }, session, path);
    await debug?.(held);
    return held.end;
  };
  const { end, output } = await runSession(machine, guest, { ...others, clock, recorder, lend });
  const closed = await recorder.finish(end.reason, end.exitCode);
  if (closed.failed) throw closed.failed;
  return { end, output, position: machine.position };
}

type RunOptions = Omit<RecordOptions, 'strideMax' | 'strideUnit' | 'debug'> &
  Pick<Partial<SessionOptions>, 'recorder' | 'maxSteps'> & {
    readonly lend?: (session: Session) => Promise<SessionEnd | null>;
  };

/** Runs a machine with the guest's script. */
export async function runSession(
  machine: VirtMachine,
  guest: Guest,
  options: RunOptions,
): Promise<{ end: SessionEnd; output: string }> {
  const output: Buffer[] = [];
  const session = new Session({
    machine,
    recorder: options.recorder ?? null,
    console: NAME,
    clock: options.clock ?? 'virtual',
    interactive: options.interactive ?? false,
    output: (data) => {
      output.push(Buffer.from(data));
      if (options.slices) machine.sliceSteps = options.slices();
    },
    script: guest.script,
    timeoutMs: 240_000,
    ...(options.input ? { input: options.input } : {}),
    ...(options.maxSteps === undefined ? {} : { maxSteps: options.maxSteps }),
  });
  if (options.started) options.started(session);
  else session.endInput();
  const end = (await options.lend?.(session)) ?? (await session.run());
  return { end, output: Buffer.concat(output).toString('latin1') };
}
