/** Batches of single-instruction cases on our machine and on QEMU, and what differs between the two. */
import {
  type BatchOptions,
  buildBatch,
  CASES_MAX,
  type Case,
  MEMORY_ADDRESS,
  parseResults,
  type Result,
  runOnQemu,
  SLOT_ADDRESS,
} from '../../../scripts/insn-batch.ts';
import { Ram } from '../../../src/vmm/memory.ts';
import { MACHINE_REVISION } from '../../../src/vmm/revision.ts';
import { CSRS } from '../../../src/vmm/riscv/csr.ts';
import { disassemble } from '../../../src/vmm/riscv/disassembler.ts';
import { bootVirt, buildVirt, type VirtMachine } from '../../../src/vmm/riscv/virt.ts';

export const MEMORY_MIB = 128;
/** No case takes more steps than this with all that the harness does around it. */
const STEPS_PER_CASE = 2000;

export interface MachineOptions {
  harts?: number;
  quantum?: number;
  /** Of the hardware; the newest unless said otherwise. */
  revision?: number;
  /** `builtin`: the program is the supervisor, and the machine's own firmware takes its calls. */
  bios?: 'none' | 'builtin';
}

const NO_INPUT = {
  entropy: (_: string, length: number) => new Uint8Array(length),
  block: () => new Uint8Array(4096),
};

/** A machine at reset with a flat program: at the start of its memory for M-mode, where kernels lie for a supervisor. */
export function bareMachine(
  image: Uint8Array,
  { harts = 1, quantum = 1000, revision = MACHINE_REVISION, bios = 'none' }: MachineOptions = {},
): VirtMachine {
  const board = {
    harts,
    memoryBytes: MEMORY_MIB * 2 ** 20,
    psPerStep: 1000,
    quantum,
    revision,
    rtcOffsetNs: 0n,
    disks: [],
    boot: { append: '' },
  };
  const machine = buildVirt(board, NO_INPUT);
  const kernel = { name: 'a test program', bytes: image };
  bootVirt(machine, board, { bios, kernel, initrd: null }, NO_INPUT);
  return machine;
}

export function ramOf(machine: VirtMachine): Ram {
  return new Ram(machine.pages, (page) => machine.cpu.pageWritten(page));
}

/** Runs a batch image to its power-off and returns its table; interpreted, or all of it compiled. */
export function runOnVmm(
  image: Uint8Array,
  results: { address: number; bytes: number },
  cases: number,
  tier: 'interpreter' | 'compiler' = 'interpreter',
): Uint8Array {
  const machine = bareMachine(image);
  machine.cpu.jit.hotAfter = tier === 'compiler' ? 0 : Number.POSITIVE_INFINITY;
  // Each case brings new code to the same page.
  machine.cpu.jit.invalidationsMax = Number.POSITIVE_INFINITY;
  const outcome = machine.run((cases + 1) * STEPS_PER_CASE);
  if (outcome.kind !== 'stopped') {
    const pc = machine.cpu.get(0, 'pc').toString(16);
    throw new Error(`our machine does not finish (${outcome.kind}): pc 0x${pc}`);
  }
  const { compiled } = machine.cpu.jit;
  if (tier === 'compiler' && compiled < cases) throw new Error(`${compiled} regions were compiled for ${cases} cases`);
  return ramOf(machine).read(results.address, results.bytes);
}

/** A case, and what of its outcome is the implementation's own choice. */
export interface Comparison extends Case {
  /** What the case is about. */
  name: string;
  /** Integer registers, and places in `read`, that need not be equal. */
  anyX?: readonly number[];
  anyRead?: readonly number[];
  /** Whether tval may differ where both raise the same exception. */
  anyTval?: boolean;
  /** Bits of mstatus that may differ; of both sides' `fcsr` and flags nothing may. */
  anyStatus?: bigint;
  /** Changes the results, ours and QEMU's, before they are compared: for what one of them does by choice. */
  settle?: (ours: Result, theirs: Result) => void;
}

/** Runs cases on both and describes those that differ; each image is run on its own. */
export async function compareBatches(cases: readonly Comparison[], options: BatchOptions = {}): Promise<string[]> {
  const differences: string[] = [];
  for (let start = 0; start < cases.length; start += CASES_MAX) {
    const part = cases.slice(start, start + CASES_MAX);
    const { image, results } = buildBatch(part, options);
    // QEMU is a process of its own: both run at the same time.
    const theirs = runOnQemu(image, results);
    theirs.catch(() => {});
    const ours = parseResults(runOnVmm(image, results, part.length), part);
    const qemu = parseResults(await theirs, part);
    part.forEach((item, index) => {
      const found = difference(item, ours[index], qemu[index]);
      if (found.length > 0) differences.push(describe(item, found));
    });
  }
  return differences;
}

/** Runs cases by both tiers of our machine and describes those that differ. */
export function compareTiers(cases: readonly Comparison[]): string[] {
  const { image, results } = buildBatch(cases);
  const [first, second] = (['interpreter', 'compiler'] as const).map((tier) =>
    parseResults(runOnVmm(image, results, cases.length, tier), cases),
  );
  return cases.flatMap((item, n) => {
    const found = difference({ ...item, settle: () => {} }, first[n], second[n]);
    return found.length > 0 ? [describe(item, found, 'interpreted', 'compiled')] : [];
  });
}

/** Says what differs: the first few cases in full, and how many more there are. */
export function report(differences: readonly string[], seed: number, shown = 5): string {
  const rest = differences.length - shown;
  const more = rest > 0 ? [`... and ${rest} cases more`] : [];
  return [`seed ${seed}: ${differences.length} cases differ`, ...differences.slice(0, shown), ...more].join('\n\n');
}

const BREAKPOINT = 3n;

type Line = readonly [what: string, ours: string, theirs: string];
const hex = (value: bigint) => `0x${value.toString(16)}`;
const bytes = (data: Uint8Array) => Buffer.from(data).toString('hex');

function difference(item: Comparison, ours: Result, theirs: Result): Line[] {
  item.settle?.(ours, theirs);
  const lines: Line[] = [];
  const compare = (what: string, a: bigint, b: bigint) => {
    if (a !== b) lines.push([what, hex(a), hex(b)]);
  };
  const { anyX = [], anyRead = [], anyStatus = 0n } = item;
  for (let n = 1; n < 32; n++) if (!anyX.includes(n)) compare(`x${n}`, ours.x[n], theirs.x[n]);
  for (let n = 0; n < 32; n++) compare(`f${n}`, ours.f[n], theirs.f[n]);
  compare('fcsr', BigInt(ours.fcsr), BigInt(theirs.fcsr));
  compare('cause', ours.cause, theirs.cause);
  compare('epc', ours.epc, theirs.epc);
  // A breakpoint's tval is zero or its address (privileged specification, 3.1.16): QEMU has zero.
  const anyTval = item.anyTval || ours.cause === BREAKPOINT;
  if (!anyTval || ours.cause !== theirs.cause) compare('tval', ours.tval, theirs.tval);
  compare('mstatus', ours.mstatus & ~anyStatus, theirs.mstatus & ~anyStatus);
  (item.read ?? []).forEach((csr, n) => {
    if (!anyRead.includes(n)) compare(csrName(csr), ours.read[n], theirs.read[n]);
  });
  if (bytes(ours.memory) !== bytes(theirs.memory)) lines.push(['memory', bytes(ours.memory), bytes(theirs.memory)]);
  return lines;
}

export function csrName(number: number): string {
  return CSRS.find((csr) => csr.number === number)?.name ?? `csr 0x${number.toString(16)}`;
}

function describe(item: Comparison, found: readonly Line[], first = 'ours', second = 'QEMU'): string {
  const code = Uint8Array.from(item.code);
  const text: string[] = [];
  for (let at = 0; at < code.length; ) {
    const word = code[at] | (code[at + 1] << 8) | ((code[at + 2] ?? 0) << 16) | ((code[at + 3] ?? 0) << 24);
    const { text: line, length, bits } = disassemble(word, BigInt(SLOT_ADDRESS + at));
    text.push(`${bits.toString(16).padStart(2 * length, '0')} ${line.replace('\t', ' ')}`);
    at += length;
  }
  const setting = [
    item.mstatus === undefined ? (item.mode ?? 'M') : `mstatus ${hex(item.mstatus)}`,
    `fcsr ${item.fcsr}`,
    ...(item.crossing ? ['page-crossing'] : []),
    ...(item.set ?? []).map(([csr, value]) => `${csrName(csr)} ${hex(BigInt.asUintN(64, value))}`),
  ];
  const inputs = [
    ...item.x.map((value, n) => `x${n} ${hex(value)}`).slice(1),
    ...item.f.map((value, n) => `f${n} ${hex(value)}`),
  ];
  return [
    `${item.name}: ${text.join('; ')}`,
    `  with ${setting.join(', ')}`,
    ...found.map(([what, ours, theirs]) => `  ${what}: ${first} ${ours}, ${second} ${theirs}`),
    `  registers ${inputs.filter((line) => new RegExp(`\\b${registersOf(code).join('\\b|\\b')}\\b`).test(line)).join(', ')}`,
    `  memory at ${hex(BigInt(MEMORY_ADDRESS))}: ${bytes(item.memory)}`,
  ].join('\n');
}

/** Names of the registers that any field of the code may mean. */
function registersOf(code: Uint8Array): string[] {
  const names = new Set<string>();
  for (let at = 0; at + 1 < code.length; at += 2) {
    const half = code[at] | (code[at + 1] << 8);
    const word = half | ((code[at + 2] ?? 0) << 16) | ((code[at + 3] ?? 0) << 24);
    const wide = (half & 3) === 3;
    const fields = wide
      ? [7, 15, 20, 27].map((low) => (word >>> low) & 31)
      : [(half >> 7) & 31, (half >> 2) & 31, 8 + ((half >> 7) & 7), 8 + ((half >> 2) & 7), 2];
    for (const n of fields) for (const kind of 'xf') names.add(`${kind}${n}`);
    if (wide) at += 2;
  }
  return [...names];
}

/** Code from instructions, by their bits. */
export function codeOf(...instructions: readonly number[]): Uint8Array {
  const out: number[] = [];
  for (const bits of instructions) {
    out.push(bits & 255, (bits >>> 8) & 255);
    if ((bits & 3) === 3) out.push((bits >>> 16) & 255, bits >>> 24);
  }
  return Uint8Array.from(out);
}
