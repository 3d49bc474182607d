/** The board of QEMU's `virt` machine: the same memory map, interrupts and device tree. */
import { assert } from '../../base/assert.ts';
import { Bus } from '../bus.ts';
import { Clock } from '../clock.ts';
import type { Device, DeviceHost, InterruptLine } from '../device.ts';
import { Clint } from '../devices/clint.ts';
import { GoldfishRtc } from '../devices/goldfish-rtc.ts';
import { Plic } from '../devices/plic.ts';
import { Syscon } from '../devices/syscon.ts';
import { Uart } from '../devices/uart.ts';
import { VirtioBlock } from '../devices/virtio/block.ts';
import { VirtioConsole } from '../devices/virtio/console.ts';
import { EmptyVirtioSlot } from '../devices/virtio/mmio.ts';
import { VirtioRng } from '../devices/virtio/rng.ts';
import { Digester } from '../digest.ts';
import type { InputSource } from '../inputs.ts';
import { MEMORY_BYTES, PAGE_BYTES, RAM_BASE } from '../layout.ts';
import { Machine } from '../machine.ts';
import { PagedDisk, Ram } from '../memory.ts';
import { Pages } from '../pages.ts';
import { Probes } from '../probes.ts';
import { MACHINE_REVISION } from '../revision.ts';
import { type BootFiles, BootImage, dynamicInfo, planBoot } from './boot.ts';
import { RiscvCpu } from './cpu.ts';
import { IRQ } from './hart.ts';
import { Sbi, startSupervisor } from './sbi.ts';
import { VIRT, virtTree } from './virt-tree.ts';

/** What a machine is made of; a trace carries it. */
export interface BoardDescription {
  readonly harts: number;
  readonly memoryBytes: number;
  /** Picoseconds of virtual time a step. */
  readonly psPerStep: number;
  /** Steps of a hart's turn. */
  readonly quantum: number;
  /** `drawn`: whose turn it is, and for how long, is an input. Otherwise harts take turns of `quantum` steps. */
  readonly schedule?: 'fixed' | 'drawn';
  /** Of the emulated hardware (see ../revision.ts): the newest unless said otherwise. */
  readonly revision?: number;
  /** Wall clock at position 0, ns since 1970. */
  readonly rtcOffsetNs: bigint;
  readonly disks: readonly { readonly sizeBytes: number; readonly readOnly: boolean }[];
}

const EXTENSIONS = 'i m a f d c zicntr zicsr zifencei zihintpause zba zbb zbs sstc svadu'.split(' ');
const ISA = `rv64imafdc_${EXTENSIONS.slice(6).join('_')}`;
const RNG_SEED_BYTES = 32;

/** A machine with this board. */
export type VirtMachine = Machine<RiscvCpu>;

/** A machine at reset, with nothing in its memory. What it asks of the outside goes to `source`. */
export function buildVirt(board: BoardDescription, source: InputSource): VirtMachine {
  const memory = new WebAssembly.Memory({ initial: MEMORY_BYTES / 65536, maximum: MEMORY_BYTES / 65536 });
  const diskPages = board.disks.map((disk) => Math.ceil(disk.sizeBytes / PAGE_BYTES));
  const digester = new Digester(memory);
  const ramPages = board.memoryBytes / PAGE_BYTES;
  const pages = new Pages(
    memory,
    ramPages,
    diskPages.reduce((a, b) => a + b, 0),
    digester,
  );
  const { harts, revision = MACHINE_REVISION } = board;
  const clock = new Clock(memory, board.psPerStep);
  const bus = new Bus();
  const probes = new Probes();
  const cpu = new RiscvCpu(memory, harts, revision, pages, bus, clock, probes, {
    sbi: (hart) => sbi.call(hart),
    tohost: () => htif(),
  });
  clock.alarmSet = () => cpu.leaveSlice();
  const ramFor = (user: string) =>
    new Ram(
      pages,
      (page) => cpu.pageWritten(page),
      (write, address, length) => probes.deviceAccess(user, write, address, length),
    );
  const devices: Device[] = [];
  const noLine: InterruptLine = { set: () => assert(false, 'the device has no interrupt line') };
  const hostFor = (name: string, irq: InterruptLine): DeviceHost => ({
    now: () => clock.now(),
    alarm: (fire) => clock.alarm(fire),
    irq,
    memory: ramFor(name),
    emit: (data) => machine.emit(name, data),
    entropy: (length) => {
      machine.drainJournal();
      return source.entropy(name, length);
    },
    stop: (request) => machine.requestStop(request),
  });
  const attach = <T extends Device>(device: T, { base, size }: { base: number; size: number }): T => {
    devices.push(device);
    bus.attach(base, size, device);
    return device;
  };

  const plic = attach(
    new Plic('plic', {
      harts,
      revision,
      output: (hart, mode, level) => cpu.setLine(hart, mode === 'M' ? IRQ.MEI : IRQ.SEI, level),
    }),
    VIRT.plic,
  );
  attach(
    new Clint('clint', hostFor('clint', noLine), {
      harts,
      msip: (hart, level) => cpu.setLine(hart, IRQ.MSI, level),
      mtip: (hart, level) => cpu.setLine(hart, IRQ.MTI, level),
      timeOffset: (ticks) => cpu.setTimeOffset(ticks),
    }),
    VIRT.clint,
  );
  attach(new Syscon('syscon', hostFor('syscon', noLine)), VIRT.test);
  const rtcHost = hostFor('rtc', plic.line(VIRT.rtc.irq));
  attach(new GoldfishRtc('rtc', rtcHost, { wallClockNs: board.rtcOffsetNs }), VIRT.rtc);
  const uart = attach(new Uart('uart0', hostFor('uart0', plic.line(VIRT.uart.irq))), VIRT.uart);

  let firstPage = ramPages;
  for (let slot = 0; slot < VIRT.virtio.slots; slot++) {
    const irq = plic.line(VIRT.virtio.irq + slot);
    const { base, size } = VIRT.virtio;
    const device = slotDevice(slot, (name) => hostFor(name, irq));
    attach(device, { base: base + slot * size, size });
  }

  function slotDevice(slot: number, host: (name: string) => DeviceHost): Device {
    if (slot === VIRT.virtio.slots - 2) return new VirtioConsole('console1', host('console1'));
    if (slot === VIRT.virtio.slots - 1) return new VirtioRng('rng0', host('rng0'));
    const disk = board.disks[slot];
    if (!disk) return new EmptyVirtioSlot(`slot${slot}`);
    const storage = new PagedDisk(pages, firstPage, disk.sizeBytes, disk.readOnly, (block) => {
      machine.drainJournal();
      return source.block(slot, block);
    });
    firstPage += diskPages[slot];
    return new VirtioBlock(`disk${slot}`, host(`disk${slot}`), { storage });
  }

  const drawTurn = (runnable: number) => {
    assert(source.turn, 'a source of turns where the schedule is drawn');
    machine.drainJournal();
    return source.turn(runnable);
  };
  const machine: VirtMachine = new Machine({
    memory,
    pages,
    digester,
    clock,
    bus,
    cpu,
    devices,
    probes,
    quantum: board.quantum,
    drawTurn: board.schedule === 'drawn' ? drawTurn : null,
  });
  const sbi = new Sbi({
    cpu,
    memory: ramFor('firmware'),
    output: (data) => machine.emit('uart0', data),
    input: () => {
      machine.deviceChanges();
      return uart.poll();
    },
    stop: (request) => machine.requestStop(request),
    note: (hart, extension, fn) => machine.note(hart, 'sbi', extension, fn),
  });
  // The host-target interface of the RISC-V test programs: an odd word at `tohost` ends the program, its other bits are the exit code.
  const ram = new Ram(pages, (page) => cpu.pageWritten(page));
  const htif = () => {
    const word = ram.u64(cpu.tohost);
    if (word % 2 === 1) machine.requestStop({ kind: 'power-off', exitCode: Math.floor(word / 2) & 0xff });
  };
  return machine;
}

/** Puts the guest into memory and its harts where they begin. */
export function bootVirt(
  machine: VirtMachine,
  board: BoardDescription & { readonly boot: { readonly append: string } },
  files: BootFiles,
  source: InputSource,
): void {
  const { cpu, pages } = machine;
  const plan = planBoot(files, board.memoryBytes);
  const tree = virtTree({
    harts: board.harts,
    memoryBytes: board.memoryBytes,
    bootargs: board.boot.append,
    isa: ISA,
    isaBase: 'rv64i',
    isaExtensions: EXTENSIONS,
    mmuType: 'riscv,sv57',
    timebaseHz: 10_000_000,
    rngSeed: source.entropy('rng-seed', RNG_SEED_BYTES),
    ...(plan.initrd ? { initrd: plan.initrd } : {}),
  });
  const image = new BootImage([
    ...plan.pieces,
    { address: plan.treeAddress, bytes: tree },
    { address: plan.dynamicAddress, bytes: dynamicInfo(plan.kernelEntry) },
  ]);
  pages.outside = (page) => image.from(page)!;
  for (const { first, end } of image.spans) pages.place(first, end);
  if (plan.mode === 'supervisor') cpu.useFirmware();
  if (plan.tohost !== 0) {
    cpu.tohost = plan.tohost;
    pages.watch(Math.floor((plan.tohost - RAM_BASE) / PAGE_BYTES));
  }
  for (let hart = 0; hart < board.harts; hart++) {
    if (plan.mode === 'supervisor') {
      startSupervisor(cpu, hart, BigInt(plan.entry), BigInt(plan.treeAddress));
      if (hart > 0) cpu.set32(hart, 'stopped', 1);
      continue;
    }
    cpu.set(hart, 'pc', BigInt(plan.entry));
    cpu.setX(hart, 10, BigInt(hart));
    cpu.setX(hart, 11, BigInt(plan.treeAddress));
    cpu.setX(hart, 12, BigInt(plan.dynamicAddress));
  }
  machine.rememberReset((page) => image.from(page)?.subarray(0, PAGE_BYTES) ?? null);
}
