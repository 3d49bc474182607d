/**
 * Runs a guest on our machine and on QEMU's in lockstep and reports the first instruction after which they differ: for finding
 * our own mistakes.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { UserError } from '../src/base/assert.ts';
import { RAM_BASE } from '../src/vmm/layout.ts';
import { Ram } from '../src/vmm/memory.ts';
import { F_NAMES, X_NAMES } from '../src/vmm/riscv/disassembler.ts';
import { MSTATUS } from '../src/vmm/riscv/hart.ts';
import { type CodeLine, instructionAt } from '../src/vmm/riscv/inspect.ts';
import { bootVirt, buildVirt, type VirtMachine } from '../src/vmm/riscv/virt.ts';
import { type GuestOptions, QemuOracle } from './qemu.ts';
import { type TracedState, traceQemu } from './qemu-trace.ts';

const HELP = `npm run compare -- --kernel FILE [options]

Runs a guest on this machine and on QEMU, one instruction at a time, and reports the
first instruction after which they differ, with the registers of both.

  --kernel FILE      bare-metal program, or the kernel for a firmware
  --bios none|FILE   firmware (default: none)
  --initrd FILE      initial RAM disk
  --append TEXT      kernel command line
  --steps N          instructions to compare (default: 1000000)
  --start ADDRESS    begin where the program counter first is at this address
                     (default: the entry of the firmware or program)
  --float            compare floating-point registers too

What is compared: pc, privilege, integer registers, and the registers of traps and
translation. Where the comparison begins, the integer registers are set to QEMU's, and
both have the same device tree.

What cannot be compared: guests that take interrupts (the two would take them at
different instructions), several harts, and what the guest reads from devices that keep
time. The virtio slots are empty in QEMU. The values of counters and of the time are
taken from QEMU. A firmware that reads its arguments through a2 (fw_dynamic) goes its own
way at once: use fw_jump.
`;

const MEMORY_MIB = 128;
const HART = 0;
const NO_INPUT = { entropy: (_: string, n: number) => new Uint8Array(n), block: () => new Uint8Array(4096) };

interface Options {
  readonly kernel: string;
  readonly bios: string;
  readonly initrd: string | undefined;
  readonly append: string;
  readonly steps: number;
  readonly start: bigint | undefined;
  readonly float: boolean;
}

/** Bits that are compared. mtval and stval may be zero after a breakpoint; mip follows the time. */
const COMPARED_CSRS: readonly (readonly [name: 'mstatus' | 'mtvec', mask: bigint])[] = [
  // MPRV: QEMU 7.2 forgets to clear it on a return to a lower mode.
  ['mstatus', 0x7e79aan & ~MSTATUS.MPRV],
  ...['mtvec', 'mepc', 'mcause', 'mscratch', 'stvec', 'sepc', 'scause', 'sscratch', 'satp'].map((name) => [name, -1n]),
  // Without what belongs to the hypervisor.
  ['medeleg', 0xb3ffn],
  ['mideleg', 0x222n],
  ['mie', 0xaaan],
] as [name: 'mstatus' | 'mtvec', mask: bigint][];
/** A read of a counter or of the time, by its name in the disassembly. */
const COUNTER = /^csr\S+\t(\w+),(m?(cycle|instret)|time|m?hpmcounter\d+),/;

function options(): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      ...{ kernel: text, bios: text, initrd: text, append: text, steps: text, start: text },
      float: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  if (!values.kernel) throw new UserError('--kernel is missing: name a program to run (--help says more)');
  const steps = Number(values.steps ?? 1_000_000);
  if (!Number.isSafeInteger(steps) || steps <= 0) throw new UserError(`--steps ${values.steps}: not a count`);
  if (values.start !== undefined && !/^(0x[0-9a-f]+|\d+)$/i.test(values.start)) {
    throw new UserError(`--start ${values.start}: not an address`);
  }
  return {
    kernel: values.kernel,
    bios: values.bios ?? 'none',
    initrd: values.initrd,
    append: values.append ?? '',
    steps,
    start: values.start === undefined ? undefined : BigInt(values.start),
    float: values.float ?? false,
  };
}

function named(path: string): { name: string; bytes: Uint8Array } {
  try {
    return { name: basename(path), bytes: readFileSync(path) };
  } catch (error) {
    throw new UserError(`${path}: ${(error as Error).message}`);
  }
}

function ourMachine({ kernel, bios, initrd, append }: Options): VirtMachine {
  const board = {
    harts: 1,
    memoryBytes: MEMORY_MIB * 2 ** 20,
    psPerStep: 1000,
    quantum: 4096,
    rtcOffsetNs: 0n,
    disks: [],
    boot: { append },
  };
  const machine = buildVirt(board, NO_INPUT);
  const files = {
    bios: bios === 'none' ? ('none' as const) : named(bios),
    kernel: named(kernel),
    initrd: initrd === undefined ? null : named(initrd),
  };
  bootVirt(machine, board, files, NO_INPUT);
  return machine;
}

const ramOf = (machine: VirtMachine) => new Ram(machine.pages, (page) => machine.cpu.pageWritten(page));
const A1 = 11;

/** The device tree that a1 points to at reset. */
function deviceTree(machine: VirtMachine): Uint8Array {
  const address = Number(machine.cpu.x(HART, A1));
  const header = ramOf(machine).read(address, TREE_HEADER_BYTES);
  return ramOf(machine).read(address, treeBytes(header));
}

const TREE_HEADER_BYTES = 8;
const treeBytes = (header: Uint8Array) => new DataView(header.buffer, header.byteOffset).getUint32(4);
/** QEMU's boot ROM loads a1 and goes to RAM within so many instructions. */
const ROM_STEPS = 10;

/** What QEMU makes of the device tree that it is given: it adds its command line and a seed of its own. */
async function treeInQemu(guest: GuestOptions): Promise<Uint8Array> {
  const qemu = await QemuOracle.start(guest);
  try {
    let { pc, x } = await qemu.registers([], false);
    for (let n = 0; n < ROM_STEPS && pc < RAM_BASE; n++) {
      await qemu.step();
      ({ pc, x } = await qemu.registers([], false));
    }
    return await qemu.readMemory(x[A1], treeBytes(await qemu.readMemory(x[A1], TREE_HEADER_BYTES)));
  } finally {
    await qemu.close();
  }
}

const hex = (value: bigint) => `0x${value.toString(16)}`;
interface Difference {
  readonly what: string;
  readonly ours: bigint;
  readonly theirs: bigint;
}

class Lockstep {
  readonly #machine: VirtMachine;
  readonly #float: boolean;
  /** The instruction that both have just executed. */
  #last: CodeLine | null = null;
  steps = 0;

  constructor(machine: VirtMachine, float: boolean) {
    this.#machine = machine;
    this.#float = float;
  }

  get pc(): bigint {
    return this.#machine.cpu.get(HART, 'pc');
  }

  /** Begins here: what both do from now on is compared. */
  adopt(theirs: TracedState, tree: Uint8Array): void {
    const { cpu } = this.#machine;
    theirs.x.forEach((value, n) => {
      cpu.setX(HART, n, value);
    });
    const address = Number(theirs.x[A1]);
    if (ramOf(this.#machine).contains(address, tree.length)) ramOf(this.#machine).write(address, tree);
  }

  /** Steps our machine once; false if it has ended. */
  step(): boolean {
    this.#last = instructionAt(this.#machine, HART, this.pc);
    this.steps++;
    return this.#stepOnce();
  }
  #stepOnce(): boolean {
    for (;;) {
      const { kind } = this.#machine.run(this.#machine.position + 1);
      if (kind === 'idle') throw new UserError(`the guest waits for an interrupt at ${hex(this.pc)}`);
      if (kind !== 'paused') return kind === 'position';
    }
  }

  /** Ours against the state before QEMU's next instruction. */
  differences(theirs: TracedState): Difference[] {
    const { cpu } = this.#machine;
    // Where a fetch fails, QEMU logs nothing: our step that takes the trap is the one to skip.
    for (let traps = cpu.get(HART, 'traps'); this.pc !== theirs.pc; traps = cpu.get(HART, 'traps')) {
      const before = this.#compare(theirs);
      if (instructionAt(this.#machine, HART, this.pc) !== null || !this.#stepOnce()) return before;
      if (cpu.get(HART, 'traps') === traps) return before;
    }
    const counter = COUNTER.exec(this.#last?.text ?? '');
    if (counter) cpu.setX(HART, X_NAMES.indexOf(counter[1]), theirs.x[X_NAMES.indexOf(counter[1])]);
    return this.#compare(theirs);
  }

  #compare(theirs: TracedState): Difference[] {
    const { cpu } = this.#machine;
    const found: Difference[] = [];
    const compare = (what: string, ours: bigint, other: bigint) => {
      if (ours !== other) found.push({ what, ours, theirs: other });
    };
    compare('pc', this.pc, theirs.pc);
    compare('privilege', BigInt(cpu.get32(HART, 'privilege')), BigInt(theirs.priv));
    theirs.x.forEach((value, n) => {
      compare(X_NAMES[n], cpu.x(HART, n), value);
    });
    if (this.#float) {
      theirs.f.forEach((value, n) => {
        compare(F_NAMES[n], cpu.f(HART, n), value);
      });
    }
    const { csr } = theirs;
    for (const [name, mask] of COMPARED_CSRS) {
      const value = csr.get(name);
      if (value !== undefined) compare(name, cpu.get(HART, name) & mask, value & mask);
    }
    return found;
  }

  report(found: readonly Difference[], theirs: TracedState): string {
    const { cpu } = this.#machine;
    const line = this.#last;
    const executed = line ? `${hex(line.address)}  ${line.text.replace('\t', ' ')}` : 'nothing yet';
    const columns = (read: (n: number) => bigint) =>
      X_NAMES.map((name, n) => `${name.padStart(4)} ${read(n).toString(16).padStart(16, '0')}`)
        .reduce((text, cell, n) => text + (n % 4 === 0 ? '\n  ' : '  ') + cell, '')
        .slice(1);
    const { x } = theirs;
    return [
      `They differ after instruction ${this.steps}:  ${executed}`,
      '',
      ...found.map(({ what, ours, theirs: other }) => `  ${what}: ours ${hex(ours)}, QEMU ${hex(other)}`),
      '',
      `Our registers (pc ${hex(this.pc)}):`,
      columns((n) => cpu.x(HART, n)),
      `QEMU's registers (pc ${hex(theirs.pc)}):`,
      columns((n) => x[n]),
      '',
    ].join('\n');
  }
}

async function compare(wanted: Options): Promise<string | null> {
  const machine = ourMachine(wanted);
  const lockstep = new Lockstep(machine, wanted.float);
  const start = wanted.start ?? lockstep.pc;
  const ownTree = deviceTree(machine);
  while (lockstep.pc !== start) {
    if (!lockstep.step()) throw new UserError(`our machine ended before it came to ${hex(start)}`);
    if (lockstep.steps > 100_000_000) throw new UserError(`our machine does not come to ${hex(start)}`);
  }
  lockstep.steps = 0;
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-compare-'));
  const treePath = join(folder, 'tree.dtb');
  writeFileSync(treePath, ownTree);
  const guest = {
    kernel: wanted.kernel,
    bios: wanted.bios,
    memoryMiB: MEMORY_MIB,
    ...(wanted.initrd === undefined ? {} : { initrd: wanted.initrd }),
    ...(wanted.append === '' ? {} : { append: wanted.append }),
    // The same random numbers in each run of QEMU.
    extra: ['-serial', 'null', '-seed', '1', '-dtb', treePath, '-global', 'virtio-mmio.force-legacy=false'],
  };
  try {
    const tree = await treeInQemu(guest);
    let begun = false;
    let previous: TracedState | null = null;
    for await (const theirs of traceQemu(guest, { float: wanted.float })) {
      if (!begun) {
        if (theirs.pc !== start) continue;
        lockstep.adopt(theirs, tree);
        begun = true;
      }
      const found = lockstep.differences(theirs);
      // An access to a device may begin again, and is then logged twice.
      const again = previous !== null && previous.pc === theirs.pc && `${previous.x}` === `${theirs.x}`;
      previous = theirs;
      if (found.length > 0 && again) continue;
      if (found.length > 0) return lockstep.report(found, theirs);
      if (lockstep.steps >= wanted.steps || !lockstep.step()) break;
    }
    if (!begun) throw new UserError(`QEMU ended before it came to ${hex(start)}`);
    process.stdout.write(`They agree on ${lockstep.steps} instructions.\n`);
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

try {
  const difference = await compare(options());
  if (difference !== null) process.stdout.write(difference);
  process.exitCode = difference === null ? 0 : 2;
} catch (error) {
  if (!(error instanceof UserError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS'))) throw error;
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
