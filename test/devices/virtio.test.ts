import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import type { DiskStorage } from '../../src/vmm/device.ts';
import { VirtioBlock } from '../../src/vmm/devices/virtio/block.ts';
import { VirtioConsole } from '../../src/vmm/devices/virtio/console.ts';
import { EmptyVirtioSlot } from '../../src/vmm/devices/virtio/mmio.ts';
import { VirtioRng } from '../../src/vmm/devices/virtio/rng.ts';
import { FakeHost, RAM, restore, save, twin } from '../support/fake-host.ts';
import {
  DriverQueue,
  EVENT_IDX,
  INDIRECT,
  NEEDS_RESET,
  type Buffer as Piece,
  VERSION_1,
  VirtioDriver,
} from '../support/virtio-driver.ts';

/** Where the driver keeps its data. */
const DATA = RAM + 0x80000;
const TABLE = RAM + 0x70000;
const ascii = (text: string) => Buffer.from(text, 'latin1');

describe('virtio MMIO transport', () => {
  const make = (host: FakeHost) => new VirtioRng('rng', host);
  function setUp() {
    const host = new FakeHost();
    const device = make(host);
    return { host, device, driver: new VirtioDriver(device, host.memory) };
  }

  test('identifies itself, and an empty slot has device id 0', () => {
    const { driver } = setUp();
    assert.deepEqual(
      [0, 4, 8, 0xc].map((r) => driver.reg(r)),
      [0x74726976, 2, 4, 0x554d4551],
    );
    const slot = new VirtioDriver(new EmptyVirtioSlot('slot'), new FakeHost().memory);
    slot.setReg(0x70, 1);
    assert.deepEqual(
      [0, 4, 8, 0xc, 0x70].map((r) => slot.reg(r)),
      [0x74726976, 2, 0, 0x554d4551, 0],
    );
  });

  test('accepts what it offers, and neither more nor the legacy interface', () => {
    const { driver } = setUp();
    assert.equal(driver.offered(), VERSION_1 | EVENT_IDX | INDIRECT);
    assert.ok(driver.negotiate(VERSION_1 | EVENT_IDX));
    assert.ok(!driver.negotiate(VERSION_1 | 1n));
    assert.ok(!driver.negotiate(EVENT_IDX));
  });

  test('registers that do not exist read 0, narrow accesses too', () => {
    const { device, driver } = setUp();
    assert.equal(driver.reg(0x18), 0);
    assert.equal(device.read(0, 1), 0);
    assert.equal(driver.reg(0xb0), 0xffffffff, 'no shared memory');
    driver.setReg(0x30, 5);
    assert.equal(driver.reg(0x34), 0, 'no such queue');
    driver.setReg(0x38, 4);
    driver.setReg(0x44, 1);
    assert.equal(driver.status, 0);
  });

  test('a reset takes everything back', () => {
    const { host, device, driver } = setUp();
    const fresh = save(device);
    const [queue] = driver.start(VERSION_1, 1);
    queue.add([{ address: DATA, length: 8, write: true }]);
    driver.notify(queue);
    assert.equal(host.level, true);
    driver.setReg(0x70, 0);
    assert.equal(host.level, false);
    assert.deepEqual(save(device), fresh);
  });

  test('nothing happens before DRIVER_OK', () => {
    const { driver } = setUp();
    driver.negotiate(VERSION_1);
    const queue = driver.setUpQueue(0, 8);
    queue.add([{ address: DATA, length: 8, write: true }]);
    driver.notify(queue);
    assert.deepEqual(queue.collect(), []);
    driver.setReg(0x70, 15);
    assert.equal(queue.collect().length, 1);
  });

  test('a queue is not changed while it is ready', () => {
    const { driver } = setUp();
    const [queue] = driver.start(VERSION_1, 1);
    driver.setReg(0x38, 2);
    driver.setReg(0x80, 0);
    queue.add([{ address: DATA, length: 8, write: true }]);
    driver.notify(queue);
    assert.equal(queue.collect().length, 1);
  });
});

describe('virtio rings', () => {
  const make = (host: FakeHost) => new VirtioRng('rng', host);
  function setUp(features = VERSION_1) {
    const host = new FakeHost();
    const driver = new VirtioDriver(make(host), host.memory);
    const [queue] = driver.start(features, 1);
    return { host, driver, queue };
  }
  const piece = (address: number, length: number): Piece => ({ address, length, write: true });

  test('chains, and indexes that wrap around 16 bits', () => {
    const { host, driver, queue } = setUp();
    for (let i = 0; i < 70_000; i++) {
      const head = queue.add([piece(DATA, 1), piece(DATA + 4, 2)]);
      driver.notify(queue);
      const used = queue.collect();
      if (used.length !== 1 || used[0].head !== head || used[0].length !== 3) assert.fail(`entry ${i}`);
    }
    assert.equal(host.memory.u8(DATA), (70_000 * 3 - 2) & 0xff);
  });

  test('interrupts can be turned off by the flag', () => {
    const { host, driver, queue } = setUp();
    host.memory.setU16(queue.available, 1);
    queue.add([piece(DATA, 1)]);
    driver.notify(queue);
    assert.equal(host.level, false);
    host.memory.setU16(queue.available, 0);
    queue.add([piece(DATA, 1)]);
    driver.notify(queue);
    assert.equal(driver.interrupts, 1);
    assert.equal(host.level, true);
    driver.acknowledge();
    assert.equal(host.level, false);
  });

  test('event indexes: an interrupt comes when the named entry is used, and the device asks to be notified', () => {
    const { host, driver, queue } = setUp(VERSION_1 | EVENT_IDX);
    const usedEvent = queue.available + 4 + 2 * queue.size;
    host.memory.setU16(usedEvent, 2);
    for (const expected of [false, false, true, false]) {
      queue.add([piece(DATA, 1)]);
      driver.notify(queue);
      assert.equal(host.level, expected);
      driver.acknowledge();
      assert.equal(host.memory.u16(queue.used + 4 + 8 * queue.size), queue.availableIndex);
    }
  });

  test('indirect tables, alone and after other descriptors', () => {
    const { host, driver, queue } = setUp(VERSION_1 | INDIRECT);
    queue.addIndirect(
      TABLE,
      Array.from({ length: 20 }, (_, i) => piece(DATA + 2 * i, 1)),
    );
    driver.notify(queue);
    assert.equal(queue.collect()[0].length, 20);
    queue.writeDescriptor(queue.descriptors, 4, DATA, 5, 3, 5);
    queue.writeDescriptor(queue.descriptors, 5, TABLE, 320, 4);
    queue.offer(4);
    driver.notify(queue);
    assert.equal(queue.collect()[0].length, 25);
    assert.equal(host.memory.u8(DATA + 38), 45);
  });

  const bad: Record<string, (queue: DriverQueue, host: FakeHost) => void> = {
    'head beyond the table': (q) => q.offer(8),
    'next beyond the table': (q) => {
      q.writeDescriptor(q.descriptors, 0, DATA, 1, 3, 8);
      q.offer(0);
    },
    'a loop': (q) => {
      q.writeDescriptor(q.descriptors, 0, DATA, 1, 3, 1);
      q.writeDescriptor(q.descriptors, 1, DATA, 1, 3, 0);
      q.offer(0);
    },
    'an available index too far ahead': (q, host) => host.memory.setU16(q.available + 2, 9),
    'a buffer outside of RAM': (q) => {
      q.writeDescriptor(q.descriptors, 0, 0x1000, 1, 2);
      q.offer(0);
    },
    'a buffer that ends outside of RAM': (q) => {
      q.writeDescriptor(q.descriptors, 0, DATA, 0xffffffff, 2);
      q.offer(0);
    },
    'an address of 64 bits': (q) => {
      q.writeDescriptor(q.descriptors, 0, 2n ** 64n - 1n, 16, 2);
      q.offer(0);
    },
    'an empty buffer': (q) => {
      q.writeDescriptor(q.descriptors, 0, DATA, 0, 2);
      q.offer(0);
    },
    'readable after writable': (q) => q.add([piece(DATA, 1), { address: DATA, length: 1 }]),
    'only readable buffers for a device that writes': (q) => q.add([{ address: DATA, length: 1 }]),
    'an indirect table of no whole descriptors': (q) => {
      q.writeDescriptor(q.descriptors, 0, TABLE, 24, 4);
      q.offer(0);
    },
    'an indirect table without end': (q) => {
      q.writeDescriptor(q.descriptors, 0, TABLE, 0x20000, 4);
      q.offer(0);
    },
    'an indirect table outside of RAM': (q) => {
      q.writeDescriptor(q.descriptors, 0, 0x1000, 16, 4);
      q.offer(0);
    },
    'an indirect table with a next descriptor': (q) => {
      q.writeDescriptor(TABLE, 0, DATA, 1, 2);
      q.writeDescriptor(q.descriptors, 0, TABLE, 16, 5, 1);
      q.offer(0);
    },
    'a table in a table': (q) => {
      q.writeDescriptor(TABLE, 0, TABLE, 16, 4);
      q.writeDescriptor(q.descriptors, 0, TABLE, 16, 4);
      q.offer(0);
    },
    'a loop in a table': (q) => {
      q.writeDescriptor(TABLE, 0, DATA, 1, 3, 0);
      q.writeDescriptor(q.descriptors, 0, TABLE, 16, 4);
      q.offer(0);
    },
  };
  for (const [name, breakRing] of Object.entries(bad)) {
    test(`bad ring: ${name}`, () => {
      const { host, driver, queue } = setUp(VERSION_1 | INDIRECT);
      breakRing(queue, host);
      driver.notify(queue);
      assert.equal(driver.status, 15 | NEEDS_RESET);
      assert.equal(driver.interrupts, 2, 'a configuration change interrupt tells the driver');
      assert.deepEqual(queue.collect(), []);
      driver.notify(queue);
      const [again] = driver.start(VERSION_1, 1);
      again.add([piece(DATA, 1)]);
      driver.notify(again);
      assert.equal(again.collect().length, 1, 'it works again after a reset');
    });
  }

  test('an indirect table without the feature is refused', () => {
    const { driver, queue } = setUp(VERSION_1);
    queue.addIndirect(TABLE, [piece(DATA, 1)]);
    driver.notify(queue);
    assert.ok(driver.status & NEEDS_RESET);
  });

  test('rings at impossible places or of impossible sizes are refused', () => {
    const host = new FakeHost();
    const driver = new VirtioDriver(make(host), host.memory);
    const start = (registers: Record<number, number>) => {
      driver.negotiate(VERSION_1);
      const queue = new DriverQueue(0, 8, host.memory);
      const all = { 56: 8, 128: queue.descriptors, 144: queue.available, 160: queue.used, ...registers };
      for (const [offset, value] of Object.entries(all)) driver.setReg(Number(offset), value);
      driver.setReg(0x44, 1);
      return (driver.status & NEEDS_RESET) === 0;
    };
    assert.equal(start({}), true);
    assert.equal(start({ 56: 0 }), false);
    assert.equal(start({ 56: 3 }), false);
    assert.equal(start({ 56: 16 }), false, 'larger than QueueNumMax');
    assert.equal(start({ 128: 0x1000 }), false, 'not RAM');
    assert.equal(start({ 132: 1 }), false, 'not RAM: high half');
    assert.equal(start({ 144: RAM + 0xffffe }), false, 'ends outside of RAM');
    assert.equal(start({ 160: RAM + 2 }), false, 'not aligned');
  });

  test('random rings never throw, loop or grow', () => {
    const random = new Random(1);
    for (let round = 0; round < 300; round++) {
      const host = new FakeHost();
      const storage = new MemoryDisk(1 << 16);
      const device = new VirtioBlock('disk', host, { storage, latencyNs: 10 });
      const driver = new VirtioDriver(device, host.memory);
      const [queue] = driver.start(VERSION_1 | INDIRECT | EVENT_IDX, 1);
      for (let i = 0; i < 40; i++) {
        const table = random.below(2) ? queue.descriptors : TABLE;
        const address = random.pick([DATA, DATA + 512, TABLE, queue.used, RAM + 0xffff0, 0]);
        const length = random.pick([1, 16, 64, 512, 4096, random.u32()]);
        queue.writeDescriptor(table, random.below(8), address, length, random.below(8), random.below(9));
        if (random.below(3) === 0) queue.offer(random.below(9));
        driver.notify(queue);
        host.advance(random.below(30));
        if (random.below(4) === 0) restore(new VirtioBlock('disk', new FakeHost(), { storage }), save(device));
        if (driver.status & NEEDS_RESET) driver.start(VERSION_1 | INDIRECT | EVENT_IDX, 1);
      }
    }
  });
});

class MemoryDisk implements DiskStorage {
  readonly bytes: Uint8Array;
  readonly readOnly: boolean;
  constructor(size: number, readOnly = false) {
    this.bytes = Uint8Array.from({ length: size }, (_, i) => (i >> 9) + i);
    this.readOnly = readOnly;
  }
  get size(): number {
    return this.bytes.length;
  }
  read(offset: number, length: number): Uint8Array {
    assert.ok(offset >= 0 && offset + length <= this.size);
    return this.bytes.slice(offset, offset + length);
  }
  write(offset: number, bytes: Uint8Array): void {
    assert.ok(offset >= 0 && offset + bytes.length <= this.size && !this.readOnly);
    this.bytes.set(bytes, offset);
  }
}

describe('virtio block', () => {
  const HEADER = DATA - 0x100;
  const STATUS = DATA - 0x80;
  const IN = 0;
  const OUT = 1;
  const FLUSH = 4;
  const GET_ID = 8;

  function setUp(readOnly = false) {
    const host = new FakeHost();
    const storage = new MemoryDisk(64 * 512, readOnly);
    const make = (h: FakeHost) => new VirtioBlock('disk', h, { storage, id: 'serial-number-1' });
    const device = make(host);
    const driver = new VirtioDriver(device, host.memory);
    const [queue] = driver.start(VERSION_1 | INDIRECT, 1);
    let slot = 0;
    /** Sends a request with its own header and status byte; gives back where its status comes. */
    const request = (type: number, sector: number, data: readonly Piece[]) => {
      const header = HEADER - 32 * slot;
      const status = STATUS + slot;
      slot = (slot + 1) % 4;
      host.memory.setU32(header, type);
      host.memory.setU64(header + 8, sector);
      host.memory.setU8(status, 0xff);
      const chain = [{ address: header, length: 16 }, ...data, { address: status, length: 1, write: true }];
      if (chain.length > 4) queue.addIndirect(TABLE + 0x400 * slot, chain);
      else queue.add(chain);
      driver.notify(queue);
      return () => host.memory.u8(status);
    };
    return { host, storage, make, device, driver, queue, request };
  }

  test('configuration', () => {
    const { device, driver } = setUp();
    assert.equal(driver.reg(0x100), 64);
    assert.equal(driver.reg(0x10c), 254);
    assert.equal(driver.reg(0x114), 512);
    assert.equal(device.read(0x115, 1), 2);
    assert.equal(device.read(0x1ff, 4), 0);
    assert.equal(driver.offered() & 0xffffffn, (1n << 2n) | (1n << 6n) | (1n << 9n));
    assert.equal(setUp(true).driver.offered() & 32n, 32n);
  });

  test('reads after its latency, to pieces of any length', () => {
    const { host, storage, queue, request } = setUp();
    const pieces = [1, 510, 1, 512].map((length, i) => ({ address: DATA + 0x1000 * i, length, write: true }));
    const status = request(IN, 3, pieces);
    host.advance(100_000 + 1023);
    assert.equal(status(), 0xff);
    assert.deepEqual(queue.collect(), []);
    host.advance(1);
    assert.equal(status(), 0);
    assert.equal(host.level, true);
    assert.equal(queue.collect()[0].length, 1025);
    const got = pieces.flatMap(({ address, length }) => [...host.memory.read(address, length)]);
    assert.deepEqual(got, [...storage.bytes.slice(3 * 512, 5 * 512)]);
  });

  test('writes at completion, with what is in memory then', () => {
    const { host, storage, request } = setUp();
    const status = request(OUT, 63, [{ address: DATA, length: 512 }]);
    host.memory.bytes.fill(0xaa, DATA - RAM, DATA - RAM + 512);
    host.advance(1e6);
    assert.equal(status(), 0);
    assert.deepEqual([...storage.bytes.slice(63 * 512)], Array(512).fill(0xaa));
  });

  test('requests complete in order, one after the other', () => {
    const { host, queue, request } = setUp();
    request(IN, 0, [{ address: DATA, length: 4096, write: true }]);
    request(FLUSH, 0, []);
    host.advance(104_096);
    assert.equal(queue.collect().length, 1);
    host.advance(99_999);
    assert.equal(queue.collect().length, 0);
    host.advance(1);
    assert.equal(queue.collect().length, 1);
  });

  test('identity, unknown requests, and transfers that do not fit', () => {
    const { host, queue, request } = setUp();
    const id = request(GET_ID, 0, [{ address: DATA, length: 20, write: true }]);
    const unknown = request(77, 0, [{ address: DATA + 512, length: 512, write: true }]);
    const late = request(IN, 64, [{ address: DATA + 512, length: 512, write: true }]);
    const odd = request(IN, 0, [{ address: DATA + 512, length: 100, write: true }]);
    host.advance(1e6);
    assert.deepEqual([id(), unknown(), late(), odd()], [0, 2, 1, 1]);
    assert.equal(ascii('serial-number-1\0\0\0\0\0').compare(host.memory.read(DATA, 20)), 0);
    assert.deepEqual(
      queue.collect().map((u) => u.length),
      [21, 1, 1, 1],
    );
    const far = request(IN, 2 ** 55, [{ address: DATA, length: 512, write: true }]);
    host.advance(1e6);
    assert.equal(far(), 1);
  });

  test('a read-only disk refuses writes', () => {
    const { host, request } = setUp(true);
    const status = request(OUT, 0, [{ address: DATA, length: 512 }]);
    host.advance(1e6);
    assert.equal(status(), 1);
  });

  test('a huge transfer of overlapping pieces is refused, not carried out', () => {
    const { host, request } = setUp();
    const status = request(IN, 0, Array(60).fill({ address: RAM + 0x90000, length: 0x60000, write: true }));
    host.advance(1e9);
    assert.equal(status(), 1);
  });

  test('requests without header or status are an error of the driver', () => {
    for (const chain of [
      [
        { address: DATA, length: 8 },
        { address: DATA, length: 1, write: true },
      ],
      [{ address: DATA, length: 16 }],
      [{ address: DATA, length: 16, write: true }],
    ]) {
      const { driver, queue } = setUp();
      queue.add(chain);
      driver.notify(queue);
      assert.ok(driver.status & NEEDS_RESET);
    }
  });

  test('the same head over and over cannot pile up requests', () => {
    const { driver, queue } = setUp();
    queue.add([
      { address: HEADER, length: 16 },
      { address: STATUS, length: 1, write: true },
    ]);
    driver.notify(queue);
    for (let i = 0; i < 7; i++) queue.offer(0);
    driver.notify(queue);
    assert.equal(driver.status, 15);
    queue.offer(0);
    driver.notify(queue);
    assert.ok(driver.status & NEEDS_RESET);
  });

  test('a reset with requests in flight forgets them', () => {
    const { host, driver, request } = setUp();
    const status = request(IN, 0, [{ address: DATA, length: 512, write: true }]);
    driver.setReg(0x70, 0);
    host.advance(1e9);
    assert.equal(status(), 0xff);
    assert.equal(host.level, false);
  });

  test('state: with requests in flight', () => {
    const { host, storage, make, device, request } = setUp();
    request(IN, 2, [{ address: DATA, length: 1024, write: true }]);
    host.advance(50_000);
    request(GET_ID, 0, [{ address: DATA + 0x1000, length: 20, write: true }]);
    const copy = twin(device, host, make);
    for (const h of [host, copy.host]) h.advance(1e6);
    assert.deepEqual(copy.host.memory.bytes, host.memory.bytes);
    assert.equal(copy.host.level, true);
    assert.deepEqual(copy.host.memory.read(DATA, 1024), storage.bytes.slice(1024, 2048));
    twin(device, host, make);
  });
});

describe('virtio console', () => {
  const make = (host: FakeHost) => new VirtioConsole('console', host);
  function setUp() {
    const host = new FakeHost();
    const device = make(host);
    return { host, device, driver: new VirtioDriver(device, host.memory) };
  }

  test('sends', () => {
    const { host, driver } = setUp();
    const [, transmit] = driver.start(VERSION_1, 2);
    host.memory.write(DATA, ascii('hello, world'));
    transmit.add([
      { address: DATA, length: 7 },
      { address: DATA + 7, length: 5 },
    ]);
    driver.notify(transmit);
    assert.equal(host.text, 'hello, world');
    assert.equal(transmit.collect()[0].length, 0);
  });

  test('an emergency character needs no queue', () => {
    const { host, driver } = setUp();
    driver.setReg(0x108, 0x21);
    assert.equal(host.text, '!');
  });

  test('input waits for buffers, even from before the driver came up', () => {
    const { host, device, driver } = setUp();
    device.receive(ascii('early '));
    const [receive] = driver.start(VERSION_1, 2);
    receive.add([{ address: DATA, length: 4, write: true }]);
    driver.notify(receive);
    receive.add([{ address: DATA + 4, length: 4, write: true }]);
    driver.notify(receive);
    assert.deepEqual(
      receive.collect().map((u) => u.length),
      [4, 2],
    );
    receive.add([{ address: DATA + 6, length: 100, write: true }]);
    driver.notify(receive);
    driver.acknowledge();
    assert.deepEqual(receive.collect(), []);
    device.receive(ascii('bird'));
    assert.equal(host.level, true);
    assert.deepEqual(
      receive.collect().map((u) => u.length),
      [4],
    );
    assert.equal(Buffer.from(host.memory.read(DATA, 10)).toString(), 'early bird');
  });

  test('output of overlapping pieces without end is an error of the driver', () => {
    const { host, driver } = setUp();
    const [, transmit] = driver.start(VERSION_1 | INDIRECT, 2);
    transmit.addIndirect(TABLE, Array(60).fill({ address: RAM + 0x90000, length: 0x60000 }));
    driver.notify(transmit);
    assert.ok(driver.status & NEEDS_RESET);
    assert.equal(host.text, '');
  });

  test('state: with input waiting and a buffer out', () => {
    const { host, device, driver } = setUp();
    const [receive] = driver.start(VERSION_1 | EVENT_IDX, 2);
    receive.add([{ address: DATA, length: 2, write: true }]);
    device.receive(ascii('xyz'));
    const copy = twin(device, host, make);
    const other = new VirtioDriver(copy.device, copy.host.memory);
    copy.host.memory.setU16(receive.available + 6, 0);
    copy.host.memory.setU16(receive.available + 2, 2);
    other.setReg(0x50, 0);
    assert.equal(copy.host.memory.u8(DATA), 'z'.charCodeAt(0));
  });
});

describe('virtio entropy', () => {
  test('fills a buffer with bytes from outside, at most 4096 at once', () => {
    const host = new FakeHost();
    const make = (h: FakeHost) => new VirtioRng('rng', h);
    const device = make(host);
    const driver = new VirtioDriver(device, host.memory);
    const [queue] = driver.start(VERSION_1, 1);
    queue.add([{ address: DATA, length: 3, write: true }]);
    queue.add([{ address: DATA + 16, length: 10_000, write: true }]);
    driver.notify(queue);
    assert.deepEqual(
      queue.collect().map((u) => u.length),
      [3, 4096],
    );
    assert.deepEqual([...host.memory.read(DATA, 3)], [1, 2, 3]);
    twin(device, host, make);
  });
});
