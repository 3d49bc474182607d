/** The options that describe a machine, shared by `record` and `run`, and the machine that they make. */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Argv, InferredOptionTypes, Options } from 'yargs';
import { UserError } from '../base/assert.ts';
import type { MachineDescription } from '../trace/index.ts';
import type { InputSource } from '../vmm/inputs.ts';
import { HARTS_MAX, PAGE_BYTES, RAM_BYTES_MAX } from '../vmm/layout.ts';
import type { NamedFile } from '../vmm/riscv/boot.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { bootVirt, buildVirt, DISKS_MAX } from '../vmm/riscv/virt.ts';

const GROUP = 'Machine:';

export const MACHINE_OPTIONS = {
  kernel: { type: 'string', describe: 'Linux Image, ELF kernel, or bare-metal program', group: GROUP },
  initrd: { type: 'string', describe: 'initial RAM disk', group: GROUP },
  append: { type: 'string', default: '', describe: 'kernel command line', group: GROUP },
  bios: {
    type: 'string',
    default: 'builtin',
    describe: "'builtin' SBI firmware, a firmware file such as OpenSBI's fw_jump, or 'none'",
    group: GROUP,
  },
  memory: { type: 'string', default: '512M', describe: 'guest memory, 16M to 2G', group: GROUP },
  harts: { type: 'number', default: 1, describe: `harts, 1 to ${HARTS_MAX}`, group: GROUP },
  disk: {
    type: 'string',
    array: true,
    default: [] as string[],
    describe: 'raw disk image, never written: changes stay in the machine; append ,ro for read-only',
    group: GROUP,
  },
  quantum: { type: 'number', default: 4096, describe: "steps of a hart's turn", group: GROUP },
  'ns-per-step': { type: 'number', default: 1, describe: 'virtual time of a step in nanoseconds', group: GROUP },
  clock: {
    choices: ['virtual', 'host'] as const,
    default: 'virtual' as const,
    describe: "guest time: a function of position, or the host's clock",
    group: GROUP,
  },
  rtc: { type: 'string', describe: "the guest's wall clock at the start, such as 2026-01-01T00:00:00Z", group: GROUP },
} as const satisfies Record<string, Options>;

export type MachineArguments = InferredOptionTypes<typeof MACHINE_OPTIONS>;
export const machineOptions = <T>(y: Argv<T>) => y.options(MACHINE_OPTIONS);

/** Wall clock of a guest that was told nothing: fixed, so that equal runs are equal. */
const RTC_DEFAULT = '2026-01-01T00:00:00Z';

export interface AssembledMachine {
  readonly machine: VirtMachine;
  readonly description: MachineDescription;
}

/**
 * Reads the files, builds the machine and puts the guest into its memory. `wrapSource` may stand between the machine and the outside;
 * the position of an answer is the machine's.
 */
export function assembleMachine(
  args: MachineArguments,
  wrapSource: (source: InputSource, machine: () => VirtMachine) => InputSource,
): AssembledMachine {
  const disks = args.disk.map(openDisk);
  if (disks.length > DISKS_MAX) throw new UserError(`--disk: at most ${DISKS_MAX} disks, ${disks.length} given`);
  const bios = args.bios === 'builtin' || args.bios === 'none' ? args.bios : readNamed(args.bios, '--bios');
  const kernel = args.kernel === undefined ? null : readNamed(args.kernel, '--kernel');
  const initrd = args.initrd === undefined ? null : readNamed(args.initrd, '--initrd');
  const description: MachineDescription = {
    isa: 'riscv64',
    harts: whole('--harts', args.harts, 1, HARTS_MAX),
    memoryBytes: parseMemory(args.memory),
    psPerStep: Math.round(range('--ns-per-step', args['ns-per-step'], 0.001, 1000) * 1000),
    quantum: whole('--quantum', args.quantum, 1, 2 ** 30),
    clockMode: args.clock,
    console: 'uart0',
    boot: {
      kind: bios === 'builtin' || bios === 'none' ? bios : 'firmware',
      kernel: args.kernel === undefined ? '' : basename(args.kernel),
      append: args.append,
      bios: basename(args.bios),
    },
    disks: disks.map(({ name, bytes, readOnly }) => ({ name, sizeBytes: bytes, readOnly })),
    rtcOffsetNs: parseTime(args.rtc ?? RTC_DEFAULT),
    pageBytes: 4096,
  };
  const source: InputSource = {
    entropy: (_device, length) => new Uint8Array(randomBytes(length)),
    block: (disk, block) => disks[disk].read(block),
  };
  const wrapped = wrapSource(source, () => machine);
  const machine: VirtMachine = buildVirt(description, wrapped);
  bootVirt(machine, description, { bios, kernel, initrd }, source);
  return { machine, description };
}

function readNamed(path: string, option: string): NamedFile {
  try {
    return { name: path, bytes: readFileSync(path) };
  } catch (error) {
    throw new UserError(`${option} ${path}: ${reasonOf(error)}`);
  }
}

/** Why a file could not be used, in words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const known: Record<string, string> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EISDIR: 'is a folder, a file is needed',
    ENOSPC: 'no space left on the disk',
  };
  return known[code ?? ''] ?? message;
}

function openDisk(argument: string) {
  const readOnly = argument.endsWith(',ro');
  const name = readOnly ? argument.slice(0, -3) : argument;
  let file: number;
  let bytes: number;
  try {
    file = openSync(name, 'r');
    bytes = statSync(name).size;
  } catch (error) {
    throw new UserError(`--disk ${name}: ${reasonOf(error)}`);
  }
  if (bytes === 0 || bytes % 512 !== 0) {
    closeSync(file);
    throw new UserError(`--disk ${name}: a raw image of whole 512-byte sectors is needed, the file has ${bytes} bytes`);
  }
  const read = (block: number) => {
    const data = new Uint8Array(PAGE_BYTES);
    readSync(file, data, 0, PAGE_BYTES, block * PAGE_BYTES);
    return data;
  };
  return { name: basename(name), bytes, readOnly, read };
}

function parseMemory(text: string): number {
  const match = /^(\d+)([KMG]?)i?B?$/i.exec(text.trim());
  const unit = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[match?.[2].toUpperCase() ?? ''] ?? 1;
  const bytes = match ? Number(match[1]) * unit : Number.NaN;
  if (!(bytes >= 16 * 2 ** 20 && bytes <= RAM_BYTES_MAX) || bytes % 2 ** 20 !== 0) {
    throw new UserError(`--memory ${text}: whole mebibytes from 16M to 2G are needed, such as 512M`);
  }
  return bytes;
}

function parseTime(text: string): bigint {
  const ms = Date.parse(text);
  if (Number.isNaN(ms) || ms < 0) throw new UserError(`--rtc ${text}: a date such as ${RTC_DEFAULT} is needed`);
  return BigInt(ms) * 1_000_000n;
}

export function whole(option: string, value: number, low: number, high: number): number {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw new UserError(`${option} ${value}: a whole number from ${low} to ${high} is needed`);
  }
  return value;
}

function range(option: string, value: number, low: number, high: number): number {
  if (!(value >= low && value <= high))
    throw new UserError(`${option} ${value}: a number from ${low} to ${high} is needed`);
  return value;
}
