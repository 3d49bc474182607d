/** QEMU's RISC-V `virt` board: where its devices are, and the device tree that tells a guest so. */
import { cells64, encodeFdt, FdtNode } from '../devices/fdt.ts';
import { PLIC_SOURCES } from '../devices/plic.ts';
import { RAM_BASE, VIRTIO_SLOTS } from '../layout.ts';

/** Address ranges in bytes, and interrupt sources of the PLIC. */
export const VIRT = {
  test: { base: 0x100000, size: 0x1000 },
  rtc: { base: 0x101000, size: 0x1000, irq: 11 },
  clint: { base: 0x2000000, size: 0x10000 },
  plic: { base: 0xc000000, size: 0x600000 },
  uart: { base: 0x10000000, size: 0x100, irq: 10, clockHz: 3_686_400 },
  /** Slot n is at base + n * size and has interrupt irq + n. */
  virtio: { base: 0x10001000, size: 0x1000, irq: 1, slots: VIRTIO_SLOTS },
} as const;

/** Interrupts of a hart as its interrupt controller numbers them: exception codes (privileged specification, mcause). */
const HART_IRQ = { msip: 3, mtip: 7, seip: 9, meip: 11 } as const;

export interface VirtTreeOptions {
  harts: number;
  memoryBytes: number;
  /** Command line of the kernel. */
  bootargs?: string;
  initrd?: { start: number; end: number };
  /** The ISA as one string (`riscv,isa`), and as base and list of extensions as newer kernels read it. */
  isa: string;
  isaBase: string;
  isaExtensions: readonly string[];
  /** Deepest page tables that the harts can walk. */
  mmuType: 'riscv,sv39' | 'riscv,sv48' | 'riscv,sv57';
  timebaseHz: number;
  rngSeed?: Uint8Array;
}

/** The device tree as a blob. */
export function virtTree(options: VirtTreeOptions): Uint8Array {
  const root = new FdtNode('')
    .prop('#address-cells', [2])
    .prop('#size-cells', [2])
    .prop('compatible', 'riscv-virtio')
    .prop('model', 'riscv-virtio,qemu');
  const phandles = assignPhandles(options.harts);
  addChosen(root, options);
  addSyscon(root, phandles.syscon);
  root
    .child(node('memory', RAM_BASE))
    .prop('device_type', 'memory')
    .prop('reg', [...cells64(RAM_BASE), ...cells64(options.memoryBytes)]);
  addCpus(root, options, phandles);
  addSoc(root, phandles);
  return encodeFdt(root);
}

interface Phandles {
  readonly cpus: readonly number[];
  /** Interrupt controllers of the harts. */
  readonly controllers: readonly number[];
  readonly plic: number;
  readonly syscon: number;
}

function assignPhandles(harts: number): Phandles {
  const each = Array.from({ length: harts }, (_, hart) => 2 * hart + 1);
  return { cpus: each, controllers: each.map((n) => n + 1), plic: 2 * harts + 1, syscon: 2 * harts + 2 };
}

function addChosen(root: FdtNode, options: VirtTreeOptions): void {
  const chosen = root.child('chosen').prop('stdout-path', `/soc/${node('serial', VIRT.uart.base)}`);
  if (options.bootargs !== undefined) chosen.prop('bootargs', options.bootargs);
  if (options.initrd) {
    chosen.prop('linux,initrd-start', cells64(options.initrd.start));
    chosen.prop('linux,initrd-end', cells64(options.initrd.end));
  }
  if (options.rngSeed) chosen.prop('rng-seed', options.rngSeed);
}

function addSyscon(root: FdtNode, syscon: number): void {
  for (const [name, value] of [
    ['poweroff', 0x5555],
    ['reboot', 0x7777],
  ] as const) {
    root
      .child(name)
      .prop('compatible', `syscon-${name}`)
      .prop('regmap', [syscon])
      .prop('offset', [0])
      .prop('value', [value]);
  }
}

function addCpus(root: FdtNode, options: VirtTreeOptions, phandles: Phandles): void {
  const cpus = root
    .child('cpus')
    .prop('#address-cells', [1])
    .prop('#size-cells', [0])
    .prop('timebase-frequency', [options.timebaseHz]);
  const cores: FdtNode = new FdtNode('cluster0');
  for (let hart = 0; hart < options.harts; hart++) {
    const cpu = cpus
      .child(node('cpu', hart))
      .prop('phandle', [phandles.cpus[hart]])
      .prop('device_type', 'cpu')
      .prop('reg', [hart])
      .prop('status', 'okay')
      .prop('compatible', 'riscv')
      .prop('riscv,isa', options.isa)
      .prop('riscv,isa-base', options.isaBase)
      .prop('riscv,isa-extensions', options.isaExtensions)
      .prop('mmu-type', options.mmuType);
    cpu
      .child('interrupt-controller')
      .prop('#interrupt-cells', [1])
      .prop('interrupt-controller', true)
      .prop('compatible', 'riscv,cpu-intc')
      .prop('phandle', [phandles.controllers[hart]]);
    cores.child(`core${hart}`).prop('cpu', [phandles.cpus[hart]]);
  }
  cpus.child('cpu-map').children.push(cores);
}

function addSoc(root: FdtNode, phandles: Phandles): void {
  const soc = root
    .child('soc')
    .prop('#address-cells', [2])
    .prop('#size-cells', [2])
    .prop('compatible', 'simple-bus')
    .prop('ranges', true);
  const wired = (...irqs: number[]) => phandles.controllers.flatMap((phandle) => irqs.flatMap((irq) => [phandle, irq]));
  device(soc, 'rtc', VIRT.rtc).prop('compatible', 'google,goldfish-rtc').prop('interrupt-parent', [phandles.plic]);
  device(soc, 'serial', VIRT.uart)
    .prop('compatible', 'ns16550a')
    .prop('clock-frequency', [VIRT.uart.clockHz])
    .prop('interrupt-parent', [phandles.plic]);
  device(soc, 'test', VIRT.test)
    .prop('compatible', ['sifive,test1', 'sifive,test0', 'syscon'])
    .prop('phandle', [phandles.syscon]);
  for (let slot = 0; slot < VIRT.virtio.slots; slot++) {
    const { base, size, irq } = VIRT.virtio;
    device(soc, 'virtio_mmio', { base: base + slot * size, size, irq: irq + slot })
      .prop('compatible', 'virtio,mmio')
      .prop('interrupt-parent', [phandles.plic]);
  }
  device(soc, 'plic', VIRT.plic)
    .prop('compatible', ['sifive,plic-1.0.0', 'riscv,plic0'])
    .prop('phandle', [phandles.plic])
    // QEMU 7.2 says 96, which counts source 0; later versions say 95.
    .prop('riscv,ndev', [PLIC_SOURCES])
    .prop('interrupts-extended', wired(HART_IRQ.meip, HART_IRQ.seip))
    .prop('interrupt-controller', true)
    .prop('#address-cells', [0])
    .prop('#interrupt-cells', [1]);
  device(soc, 'clint', VIRT.clint)
    .prop('compatible', ['sifive,clint0', 'riscv,clint0'])
    .prop('interrupts-extended', wired(HART_IRQ.msip, HART_IRQ.mtip));
}

function device(soc: FdtNode, name: string, at: { base: number; size: number; irq?: number }): FdtNode {
  const child = soc.child(node(name, at.base)).prop('reg', [...cells64(at.base), ...cells64(at.size)]);
  if (at.irq !== undefined) child.prop('interrupts', [at.irq]);
  return child;
}

function node(name: string, unitAddress: number): string {
  return `${name}@${unitAddress.toString(16)}`;
}
