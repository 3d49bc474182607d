/**
 * The virtio MMIO transport (virtio 1.2, section 4.2), version 2: registers, feature negotiation, the status machine and
 * interrupts. A device is a subclass that says what it is and what its queues mean.
 */
import type { StateIO } from '../../../base/state.ts';
import type { AccessSize, Device, DeviceHost } from '../../device.ts';
import { Virtqueue } from './queue.ts';

/** Register offsets (4.2.2, table 4.1). */
const REG = {
  MagicValue: 0x000,
  Version: 0x004,
  DeviceID: 0x008,
  VendorID: 0x00c,
  DeviceFeatures: 0x010,
  DeviceFeaturesSel: 0x014,
  DriverFeatures: 0x020,
  DriverFeaturesSel: 0x024,
  QueueSel: 0x030,
  QueueNumMax: 0x034,
  QueueNum: 0x038,
  QueueReady: 0x044,
  QueueNotify: 0x050,
  InterruptStatus: 0x060,
  InterruptACK: 0x064,
  Status: 0x070,
  QueueDescLow: 0x080,
  QueueDescHigh: 0x084,
  QueueDriverLow: 0x090,
  QueueDriverHigh: 0x094,
  QueueDeviceLow: 0x0a0,
  QueueDeviceHigh: 0x0a4,
  SHMLenLow: 0x0b0,
  SHMLenHigh: 0x0b4,
  SHMBaseLow: 0x0b8,
  SHMBaseHigh: 0x0bc,
  ConfigGeneration: 0x0fc,
  Config: 0x100,
} as const;

/** "virt", and QEMU's vendor id "QEMU", both little-endian. */
const MAGIC = 0x74726976;
const VERSION = 2;
const VENDOR = 0x554d4551;

/** Device status (2.1). */
export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  DEVICE_NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** Feature bits of any device (6). */
export const FEATURE = {
  INDIRECT_DESC: 1n << 28n,
  EVENT_IDX: 1n << 29n,
  VERSION_1: 1n << 32n,
} as const;
const FEATURES_OF_ALL = FEATURE.INDIRECT_DESC | FEATURE.EVENT_IDX | FEATURE.VERSION_1;

/** Interrupt status bits (4.2.2). */
const INTERRUPT = { USED_BUFFER: 1, CONFIG_CHANGE: 2 } as const;

const LOW = 0xffff_ffffn;

export interface VirtioIdentity {
  /** Device type (5). */
  readonly deviceId: number;
  /** Feature bits of the type. */
  readonly features: bigint;
  /** Largest size of each queue. */
  readonly queueSizes: readonly number[];
}

export abstract class VirtioMmio implements Device {
  readonly name: string;
  protected readonly host: DeviceHost;
  protected readonly queues: readonly Virtqueue[];
  readonly #deviceId: number;
  readonly #offered: bigint;
  #driverFeatures = 0n;
  #deviceFeaturesSelect = 0;
  #driverFeaturesSelect = 0;
  #queueSelect = 0;
  #status = 0;
  #interrupts = 0;

  constructor(name: string, host: DeviceHost, identity: VirtioIdentity) {
    this.name = name;
    this.host = host;
    this.#deviceId = identity.deviceId;
    this.#offered = identity.features | FEATURES_OF_ALL;
    const negotiated = (feature: bigint) => (this.#driverFeatures & feature) !== 0n;
    const queueHost = {
      memory: host.memory,
      get indirect() {
        return negotiated(FEATURE.INDIRECT_DESC);
      },
      get eventIndex() {
        return negotiated(FEATURE.EVENT_IDX);
      },
      interrupt: () => this.#interrupt(INTERRUPT.USED_BUFFER),
      fail: () => this.fail(),
    };
    this.queues = identity.queueSizes.map((size) => new Virtqueue(size, queueHost));
  }

  /** The driver says that there are buffers in a queue, or the device has just started. */
  protected abstract notified(queue: number): void;
  /** Forgets all work that was under way. */
  protected abstract resetDevice(): void;
  /** The driver has taken a queue out of use: what was taken from it is not handed back any more. */
  protected queueStopped(_queue: number): void {}
  protected abstract syncDevice(s: StateIO): void;
  /** The configuration space as it is now. */
  protected abstract config(): Uint8Array;
  protected writeConfig(_offset: number, _size: AccessSize, _value: number): void {}

  /** True while the driver has the device running and has not broken a rule. */
  protected get running(): boolean {
    const wanted = STATUS.DRIVER_OK | STATUS.FEATURES_OK;
    return (this.#status & (wanted | STATUS.DEVICE_NEEDS_RESET)) === wanted;
  }

  /** The driver broke a rule that leaves no way to go on: it must reset the device (2.1.2). */
  protected fail(): void {
    if (this.#status & STATUS.DEVICE_NEEDS_RESET) return;
    this.#status |= STATUS.DEVICE_NEEDS_RESET;
    if (this.#status & STATUS.DRIVER_OK) this.#interrupt(INTERRUPT.CONFIG_CHANGE);
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= REG.Config) return this.#readConfig(offset - REG.Config, size);
    // Registers are 32 bits wide (4.2.2.2).
    if (size !== 4) return 0;
    switch (offset) {
      case REG.MagicValue:
        return MAGIC;
      case REG.Version:
        return VERSION;
      case REG.DeviceID:
        return this.#deviceId;
      case REG.VendorID:
        return VENDOR;
      case REG.DeviceFeatures:
        return half(this.#offered, this.#deviceFeaturesSelect);
      case REG.QueueNumMax:
        return this.#queue?.maxSize ?? 0;
      case REG.QueueReady:
        return this.#queue?.ready ? 1 : 0;
      case REG.InterruptStatus:
        return this.#interrupts;
      case REG.Status:
        return this.#status;
      // No shared memory regions: length and base are all ones (4.2.2.1).
      case REG.SHMLenLow:
      case REG.SHMLenHigh:
      case REG.SHMBaseLow:
      case REG.SHMBaseHigh:
        return 0xffffffff;
      // No device here changes its configuration space on its own.
      case REG.ConfigGeneration:
        return 0;
      default:
        return 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= REG.Config) {
      this.writeConfig(offset - REG.Config, size, value);
      return;
    }
    if (size !== 4) return;
    switch (offset) {
      case REG.DeviceFeaturesSel:
        this.#deviceFeaturesSelect = value;
        break;
      case REG.DriverFeatures:
        this.#setDriverFeatures(value);
        break;
      case REG.DriverFeaturesSel:
        this.#driverFeaturesSelect = value;
        break;
      case REG.QueueSel:
        this.#queueSelect = value;
        break;
      case REG.QueueNotify:
        if (this.running && this.queues[value]) this.notified(value);
        break;
      case REG.InterruptACK:
        this.#interrupts &= ~value;
        this.#drive();
        break;
      case REG.Status:
        this.#setStatus(value & 0xff);
        break;
      default:
        this.#setUpQueue(offset, value);
    }
  }

  sync(s: StateIO): void {
    this.#driverFeatures = s.u64('driver-features', this.#driverFeatures);
    this.#deviceFeaturesSelect = s.u32('device-features-select', this.#deviceFeaturesSelect);
    this.#driverFeaturesSelect = s.u32('driver-features-select', this.#driverFeaturesSelect);
    this.#queueSelect = s.u32('queue-select', this.#queueSelect);
    this.#status = s.u8('status', this.#status);
    this.#interrupts = s.u8('interrupts', this.#interrupts);
    this.queues.forEach((queue, i) => {
      s.part(`queue${i}`, (part) => queue.sync(part));
    });
    this.syncDevice(s);
  }

  get #queue(): Virtqueue | undefined {
    return this.queues[this.#queueSelect];
  }

  /** Features are fixed once FEATURES_OK is set (3.1.1). */
  #setDriverFeatures(value: number): void {
    if (this.#status & STATUS.FEATURES_OK) return;
    const word = BigInt(value);
    if (this.#driverFeaturesSelect === 0) this.#driverFeatures = (this.#driverFeatures & ~LOW) | word;
    if (this.#driverFeaturesSelect === 1) this.#driverFeatures = (this.#driverFeatures & LOW) | (word << 32n);
  }

  /** Queue registers of the selected queue. A queue that is ready is not changed (4.2.2.2). */
  #setUpQueue(offset: number, value: number): void {
    const queue = this.#queue;
    if (!queue) return;
    if (offset === REG.QueueReady) {
      if (value & 1 && !queue.ready) queue.start();
      if (!(value & 1) && queue.ready) {
        queue.ready = false;
        this.queueStopped(this.#queueSelect);
      }
      return;
    }
    if (queue.ready) return;
    switch (offset) {
      case REG.QueueNum:
        // A size that cannot be is kept as 0 and refused with QueueReady.
        queue.size = value <= queue.maxSize ? value : 0;
        break;
      case REG.QueueDescLow:
      case REG.QueueDescHigh:
        queue.descriptors = withHalf(queue.descriptors, offset, value);
        break;
      case REG.QueueDriverLow:
      case REG.QueueDriverHigh:
        queue.available = withHalf(queue.available, offset, value);
        break;
      case REG.QueueDeviceLow:
      case REG.QueueDeviceHigh:
        queue.used = withHalf(queue.used, offset, value);
        break;
    }
  }

  /** Device status (2.1): 0 resets; FEATURES_OK sticks only if the features do; the driver cannot clear NEEDS_RESET. */
  #setStatus(value: number): void {
    if (value === 0) {
      this.#reset();
      return;
    }
    const before = this.#status;
    let status = (value & ~STATUS.DEVICE_NEEDS_RESET) | (before & STATUS.DEVICE_NEEDS_RESET);
    if (status & STATUS.FEATURES_OK && !(before & STATUS.FEATURES_OK) && !this.#featuresAcceptable()) {
      status &= ~STATUS.FEATURES_OK;
    }
    this.#status = status;
    if (status & STATUS.DRIVER_OK && !(before & STATUS.DRIVER_OK)) {
      this.queues.forEach((queue, i) => {
        if (this.running && queue.ready) this.notified(i);
      });
    }
  }

  /** Nothing that was not offered, and no legacy interface (6.1). */
  #featuresAcceptable(): boolean {
    return (this.#driverFeatures & ~this.#offered) === 0n && (this.#driverFeatures & FEATURE.VERSION_1) !== 0n;
  }

  #reset(): void {
    this.#driverFeatures = 0n;
    this.#deviceFeaturesSelect = this.#driverFeaturesSelect = this.#queueSelect = 0;
    this.#status = this.#interrupts = 0;
    for (const queue of this.queues) queue.reset();
    this.resetDevice();
    this.#drive();
  }

  #readConfig(offset: number, size: AccessSize): number {
    const config = this.config();
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (config[offset + i] ?? 0);
    return value;
  }

  #interrupt(bit: number): void {
    this.#interrupts |= bit;
    this.#drive();
  }

  #drive(): void {
    this.host.irq.set(this.#interrupts !== 0);
  }
}

/** A slot without a device: device id 0, which drivers pass over (4.2.2, DeviceID). */
export class EmptyVirtioSlot implements Device {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  read(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    if (offset === REG.MagicValue) return MAGIC;
    if (offset === REG.Version) return VERSION;
    if (offset === REG.VendorID) return VENDOR;
    return 0;
  }
  write(_offset: number, _size: AccessSize, _value: number): void {}
  sync(_s: StateIO): void {}
}

function half(value: bigint, select: number): number {
  if (select > 1) return 0;
  return Number(select === 1 ? value >> 32n : value & LOW);
}

function withHalf(value: bigint, offset: number, part: number): bigint {
  return offset & 4 ? (value & LOW) | (BigInt(part) << 32n) : (value & ~LOW) | BigInt(part);
}
