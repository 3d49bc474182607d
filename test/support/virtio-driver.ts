/** A miniature guest driver: works a virtio device through its MMIO registers and rings in guest memory. */
import assert from 'node:assert/strict';
import type { Device } from '../../src/vmm/device.ts';
import { type FakeMemory, RAM } from './fake-host.ts';

export const VERSION_1 = 1n << 32n;
export const EVENT_IDX = 1n << 29n;
export const INDIRECT = 1n << 28n;
export const NEEDS_RESET = 64;
const NEXT = 1;
const WRITE = 2;

/** Each queue has a page for each of its parts. */
const RINGS = RAM + 0x10000;
const QUEUE_BYTES = 0x3000;

export interface Buffer {
  address: number;
  length: number;
  write?: boolean;
}

export class DriverQueue {
  readonly index: number;
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  readonly #memory: FakeMemory;
  #nextDescriptor = 0;
  availableIndex = 0;
  #seen = 0;

  constructor(index: number, size: number, memory: FakeMemory) {
    this.index = index;
    this.size = size;
    this.#memory = memory;
    this.descriptors = RINGS + index * QUEUE_BYTES;
    this.available = this.descriptors + 0x1000;
    this.used = this.descriptors + 0x2000;
  }

  writeDescriptor(
    table: number,
    index: number,
    address: number | bigint,
    length: number,
    flags: number,
    next = 0,
  ): void {
    const at = table + 16 * index;
    this.#memory.setU64(at, address);
    this.#memory.setU32(at + 8, length);
    this.#memory.setU16(at + 12, flags);
    this.#memory.setU16(at + 14, next);
  }

  /** Puts a chain into the table and makes it available; gives back its head. */
  add(buffers: readonly Buffer[]): number {
    const head = this.#nextDescriptor % this.size;
    this.#writeChain(this.descriptors, head, this.size, buffers);
    this.#nextDescriptor += buffers.length;
    this.offer(head);
    return head;
  }

  /** The same as an indirect table at `table`. */
  addIndirect(table: number, buffers: readonly Buffer[]): number {
    this.#writeChain(table, 0, buffers.length, buffers);
    const head = this.#nextDescriptor++ % this.size;
    this.writeDescriptor(this.descriptors, head, table, 16 * buffers.length, 4);
    this.offer(head);
    return head;
  }

  offer(head: number): void {
    this.#memory.setU16(this.available + 4 + 2 * (this.availableIndex % this.size), head);
    this.availableIndex = (this.availableIndex + 1) & 0xffff;
    this.#memory.setU16(this.available + 2, this.availableIndex);
  }

  /** Used entries that came since the last call. */
  collect(): { head: number; length: number }[] {
    const entries = [];
    const end = this.#memory.u16(this.used + 2);
    for (; this.#seen !== end; this.#seen = (this.#seen + 1) & 0xffff) {
      const at = this.used + 4 + 8 * (this.#seen % this.size);
      entries.push({ head: this.#memory.u32(at), length: this.#memory.u32(at + 4) });
    }
    return entries;
  }

  #writeChain(table: number, first: number, size: number, buffers: readonly Buffer[]): void {
    buffers.forEach(({ address, length, write }, i) => {
      const last = i === buffers.length - 1;
      const flags = (write ? WRITE : 0) | (last ? 0 : NEXT);
      this.writeDescriptor(table, (first + i) % size, address, length, flags, (first + i + 1) % size);
    });
  }
}

export class VirtioDriver {
  readonly device: Device;
  readonly #memory: FakeMemory;

  constructor(device: Device, memory: FakeMemory) {
    this.device = device;
    this.#memory = memory;
  }

  reg(offset: number): number {
    return this.device.read(offset, 4);
  }
  setReg(offset: number, value: number): void {
    this.device.write(offset, 4, value >>> 0);
  }
  get status(): number {
    return this.reg(0x70);
  }
  get interrupts(): number {
    return this.reg(0x60);
  }
  acknowledge(): void {
    this.setReg(0x64, this.interrupts);
  }

  offered(): bigint {
    this.setReg(0x14, 0);
    const low = BigInt(this.reg(0x10));
    this.setReg(0x14, 1);
    return low | (BigInt(this.reg(0x10)) << 32n);
  }

  /** The steps of 3.1.1 up to FEATURES_OK; true if the device accepts the features. */
  negotiate(features: bigint): boolean {
    this.setReg(0x70, 0);
    this.setReg(0x70, 1);
    this.setReg(0x70, 3);
    this.setReg(0x24, 0);
    this.setReg(0x20, Number(features & 0xffffffffn));
    this.setReg(0x24, 1);
    this.setReg(0x20, Number(features >> 32n));
    this.setReg(0x70, 11);
    return (this.status & 8) !== 0;
  }

  setUpQueue(index: number, size: number): DriverQueue {
    const queue = new DriverQueue(index, size, this.#memory);
    this.#memory.write(queue.descriptors, new Uint8Array(QUEUE_BYTES));
    this.setReg(0x30, index);
    assert.equal(this.reg(0x44), 0, 'the queue is not in use yet');
    assert.ok(this.reg(0x34) >= size, 'the queue can be this large');
    this.setReg(0x38, size);
    this.setReg(0x80, queue.descriptors);
    this.setReg(0x84, 0);
    this.setReg(0x90, queue.available);
    this.setReg(0x94, 0);
    this.setReg(0xa0, queue.used);
    this.setReg(0xa4, 0);
    this.setReg(0x44, 1);
    return queue;
  }

  /** Brings the device up with `queues` queues. */
  start(features: bigint, queues: number, size = 8): DriverQueue[] {
    assert.ok(this.negotiate(features), 'features are accepted');
    const list = Array.from({ length: queues }, (_, i) => this.setUpQueue(i, size));
    this.setReg(0x70, 15);
    assert.equal(this.status, 15);
    return list;
  }

  notify(queue: DriverQueue): void {
    this.setReg(0x50, queue.index);
  }
}
