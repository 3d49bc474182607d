/** The machine that options describe, with its guest in its memory. */
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { UserError } from '../base/assert.ts';
import { Random } from '../base/random.ts';
import { CompilerThread } from '../compiler/thread.ts';
import { Chaos } from '../recorder/chaos.ts';
import type { MachineDescription, TraceHeader } from '../trace/index.ts';
import { type InputSource, TURN_STEPS_MAX } from '../vmm/inputs.ts';
import { DISKS_MAX, HARTS_MAX, PAGE_BYTES, RAM_BYTES_MAX } from '../vmm/layout.ts';
import { MACHINE_REVISION } from '../vmm/revision.ts';
import type { NamedFile } from '../vmm/riscv/boot.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { parseMemory, parseNumber, parseTime, parseWhole } from './arguments.ts';
import { bytes, count } from './format.ts';
import { linuxRelease } from './guest-notes.ts';
import { type MachineArguments, SEED_MAX } from './machine-options.ts';
import { openUserFile, readUserFile } from './user-file.ts';

const QUANTUM_MAX = TURN_STEPS_MAX / 2;
const SECTOR_BYTES = 512;
/** A machine keeps 9 bytes for each 4 KiB of a disk, touched or not. */
const DISK_BYTES_MAX = 64 * 2 ** 30;
const MEMORY_BYTES_MIN = 16 * 2 ** 20;

export interface AssembledMachine {
  readonly machine: VirtMachine;
  /** To be closed when the machine has run for the last time. */
  readonly compiler: CompilerThread;
  readonly description: MachineDescription;
  /** What its trace says of the guest, beside the machine; a large kernel is searched for it. */
  readonly notes: () => TraceHeader['notes'];
  /** Memory that the kernel's file was read into, if it is shared; nobody writes it any more. */
  readonly kernelMemory: SharedArrayBuffer | null;
}

/**
 * Reads the other files, builds the machine and puts the guest into its memory; the kernel, which may be large, is being read already. `wrapSource` may stand between the
 * machine and the outside; the position of an answer is the machine's.
 */
export async function assembleMachine(
  args: MachineArguments,
  kernelRead: Promise<Uint8Array> | null,
  wrapSource: (source: InputSource, machine: () => VirtMachine) => InputSource,
): Promise<AssembledMachine> {
  // Options first: they cost nothing, and files may be large.
  const plain = {
    harts: parseWhole('--harts', args.harts, 1, HARTS_MAX),
    memoryBytes: parseMemory('--memory', args.memory, MEMORY_BYTES_MIN, RAM_BYTES_MAX),
    psPerStep: Math.round(parseNumber('--ns-per-step', args['ns-per-step'], 0.001, 1000) * 1000),
    quantum: parseWhole('--quantum', args.quantum, 1, QUANTUM_MAX),
    rtcOffsetNs: parseTime('--rtc', args.rtc),
  };
  const chaosSeed = args.chaos === undefined ? null : parseWhole('--chaos', args.chaos, 0, SEED_MAX);
  const chaos = chaosSeed === null ? null : new Chaos(chaosSeed, plain.harts, plain.quantum);
  const entropy = entropySource(args.seed);
  if (args.disk.length > DISKS_MAX) {
    throw new UserError(`--disk: the machine has room for ${DISKS_MAX} disks, ${args.disk.length} were given`);
  }
  const bios = args.bios === 'builtin' || args.bios === 'none' ? args.bios : readNamed('--bios', args.bios);
  const initrd = args.initrd === undefined ? null : readNamed('--initrd', args.initrd);
  const disks = args.disk.map(openDisk);
  const description: MachineDescription = {
    isa: 'riscv64',
    revision: MACHINE_REVISION,
    ...plain,
    schedule: chaos ? 'drawn' : 'fixed',
    clockMode: args.clock,
    console: 'uart0',
    boot: {
      kind: bios === 'builtin' || bios === 'none' ? bios : 'firmware',
      kernel: args.kernel === undefined ? '' : basename(args.kernel),
      append: args.append,
      bios: basename(args.bios),
    },
    disks: disks.map(({ name, sizeBytes, readOnly }) => ({ name, sizeBytes, readOnly })),
    pageBytes: 4096,
  };
  const source: InputSource = {
    entropy,
    block: (disk, block) => disks[disk].read(block),
    ...(chaos ? { turn: (runnable) => chaos.turn(machine.position, runnable) } : {}),
  };
  const compiler = new CompilerThread();
  const [kernelBytes, machine, { bootVirt }] = await Promise.all([
    kernelRead,
    import('../compiler/machine.ts').then(({ buildMachine }) => {
      const machine: VirtMachine = buildMachine(
        description,
        wrapSource(source, () => machine),
      );
      machine.cpu.jit.compiler = compiler;
      return machine;
    }),
    import('../vmm/riscv/virt.ts'),
  ]);
  const kernel = kernelBytes && (await decompressed({ name: `--kernel ${args.kernel}`, bytes: kernelBytes }));
  bootVirt(machine, description, { bios, kernel, initrd }, source);
  const notes = () => {
    const release = kernel && linuxRelease(kernel);
    const found: TraceHeader['notes'] = [];
    if (release) found.push(['kernel', `Linux ${release}`]);
    if (args.seed !== undefined) found.push(['seed', args.seed]);
    if (chaosSeed !== null) found.push(['chaos seed', String(chaosSeed)]);
    return found;
  };
  const buffer = kernelBytes?.buffer;
  const kernelMemory = buffer instanceof SharedArrayBuffer ? buffer : null;
  return { machine, compiler, description, notes, kernelMemory };
}

/** Random numbers from a seed as the command line gives it, or the host's. */
export function entropySource(seed: string | undefined): InputSource['entropy'] {
  if (seed === undefined) return (_device, length) => new Uint8Array(randomBytes(length));
  const random = new Random(parseWhole('--seed', seed, 0, SEED_MAX));
  return (_device, length) => Uint8Array.from({ length }, () => random.below(256));
}

function readNamed(option: string, path: string): NamedFile {
  return { name: `${option} ${path}`, bytes: readUserFile(option, path, RAM_BYTES_MAX) };
}

/** Kernels often come compressed (`Image.gz`). */
async function decompressed(file: NamedFile): Promise<NamedFile> {
  const { name, bytes: packed } = file;
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) return file;
  // The last four bytes tell the length; whoever lies there does not make us allocate it.
  const length =
    packed.length < 18 ? 0 : new DataView(packed.buffer, packed.byteOffset + packed.length - 4).getUint32(0, true);
  if (length > RAM_BYTES_MAX)
    throw new UserError(
      `${name}: ${bytes(length)} when decompressed: more than any guest's memory, or the file is cut short`,
    );
  // Loaded by those that need it: a start is short.
  const { gunzipSync } = await import('node:zlib');
  let unpacked: Uint8Array;
  try {
    unpacked = gunzipSync(packed.slice(), { maxOutputLength: Math.max(1, length) });
  } catch (error) {
    throw new UserError(`${name}: damaged gzip data (${(error as Error).message}); get the file anew`);
  }
  if (unpacked.length !== length) {
    throw new UserError(
      `${name}: damaged gzip data (${count(length)} bytes expected, ${count(unpacked.length)} there); get the file anew`,
    );
  }
  return { name, bytes: unpacked };
}

/** Opens a disk image as the command line names it. */
export function openDisk(argument: string) {
  const readOnly = argument.endsWith(',ro');
  const path = readOnly ? argument.slice(0, -3) : argument;
  const file = openUserFile('--disk', path);
  const sizeBytes = file.bytes;
  if (sizeBytes === 0 || sizeBytes % SECTOR_BYTES !== 0 || sizeBytes > DISK_BYTES_MAX) {
    file.close();
    const needed = `a raw image of whole ${SECTOR_BYTES}-byte sectors, at most ${bytes(DISK_BYTES_MAX)}, is needed`;
    throw new UserError(`--disk ${path}: ${needed}; the file has ${count(sizeBytes)} bytes`);
  }
  const read = (block: number) => {
    const data = new Uint8Array(PAGE_BYTES);
    file.read(data, block * PAGE_BYTES);
    return data;
  };
  return { name: basename(path), sizeBytes, readOnly, read };
}
