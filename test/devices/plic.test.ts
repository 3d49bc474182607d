import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Plic } from '../../src/vmm/devices/plic.ts';
import { MACHINE_REVISION } from '../../src/vmm/revision.ts';
import { FakeHost, twin } from '../support/fake-host.ts';

const priority = (source: number) => 4 * source;
const enable = (context: number, word = 0) => 0x2000 + 0x80 * context + 4 * word;
const threshold = (context: number) => 0x200000 + 0x1000 * context;
const claim = (context: number) => threshold(context) + 4;
/** Contexts of two harts: M and S of hart 0, then of hart 1. */
const S0 = 1;
const M1 = 2;

function setUp(revision = MACHINE_REVISION) {
  const outputs = new Map<string, boolean>();
  const make = () =>
    new Plic('plic', { harts: 2, revision, output: (hart, mode, level) => outputs.set(`${mode}${hart}`, level) });
  const plic = make();
  const read = (offset: number) => plic.read(offset, 4);
  const write = (offset: number, value: number) => plic.write(offset, 4, value);
  return { plic, outputs, make, read, write };
}

describe('PLIC', () => {
  test('a line reaches the contexts that enable it, and claim and complete run its course', () => {
    const { plic, outputs, read, write } = setUp();
    const line = plic.line(10);
    write(priority(10), 1);
    write(enable(S0), 1 << 10);
    line.set(true);
    assert.deepEqual([...outputs], [['S0', true]]);
    assert.equal(read(0x1000), 1 << 10);
    assert.equal(read(claim(M1)), 0);
    assert.equal(read(claim(S0)), 10);
    assert.equal(outputs.get('S0'), false);
    assert.equal(read(claim(S0)), 0);
    line.set(false);
    write(claim(S0), 10);
    assert.equal(outputs.get('S0'), false);
  });

  test('a line that is still high at completion interrupts again', () => {
    const { plic, outputs, read, write } = setUp();
    write(priority(3), 1);
    write(enable(S0), 1 << 3);
    plic.line(3).set(true);
    read(claim(S0));
    write(claim(S0), 3);
    assert.equal(outputs.get('S0'), true);
    assert.equal(read(claim(S0)), 3);
  });

  test('a request stays until it is claimed, and there is no other until it is completed', () => {
    const { plic, outputs, write, read } = setUp();
    const line = plic.line(3);
    write(priority(3), 1);
    write(enable(S0), 1 << 3);
    line.set(true);
    line.set(false);
    assert.equal(outputs.get('S0'), true);
    assert.equal(read(claim(S0)), 3);
    for (const level of [true, false]) {
      line.set(level);
      assert.equal(read(0x1000), 0);
    }
    write(claim(S0), 3);
    assert.equal(outputs.get('S0'), false);
    assert.equal(read(claim(S0)), 0);
  });

  test('the first revision withdrew a request with its line', () => {
    const { plic, outputs, write, read } = setUp(0);
    write(priority(3), 1);
    write(enable(S0), 1 << 3);
    plic.line(3).set(true);
    plic.line(3).set(false);
    assert.equal(outputs.get('S0'), false);
    assert.equal(read(claim(S0)), 0);
  });

  test('priority, then the lowest number; the threshold masks', () => {
    const { plic, outputs, read, write } = setUp();
    for (const [source, level] of [
      [40, 2],
      [41, 5],
      [95, 5],
      [7, 0],
    ]) {
      write(priority(source), level);
      plic.line(source).set(true);
    }
    for (let word = 0; word < 3; word++) write(enable(M1, word), 0xffffffff);
    assert.equal(read(enable(M1)), 0xfffffffe, 'source 0 cannot be enabled');
    assert.equal(read(enable(M1, 3)), 0);
    write(threshold(M1), 2);
    assert.deepEqual(
      [0, 0, 0].map(() => read(claim(M1))),
      [41, 95, 0],
    );
    assert.equal(outputs.get('M1'), false);
    write(threshold(M1), 1);
    assert.equal(outputs.get('M1'), true);
    assert.equal(read(claim(M1)), 40);
  });

  test('registers keep three bits of priority; the rest reads zero', () => {
    const { plic, read, write } = setUp();
    write(priority(5), 0xff);
    assert.equal(read(priority(5)), 7);
    write(priority(0), 7);
    assert.equal(read(priority(0)), 0);
    write(priority(96), 7);
    assert.equal(read(priority(96)), 0);
    write(0x1000, 0xffffffff);
    assert.equal(read(0x1000), 0);
    assert.equal(read(threshold(4)), 0);
    assert.equal(read(0x5ffffc), 0);
    assert.equal(plic.read(priority(5), 1), 0);
  });

  test('state: anywhere in a random run', () => {
    const { plic, make, write, read } = setUp();
    const random = new Random(7);
    for (let i = 0; i < 2000; i++) {
      const source = 1 + random.below(95);
      switch (random.below(5)) {
        case 0:
          plic.line(source).set(random.below(2) === 1);
          break;
        case 1:
          write(priority(source), random.below(8));
          break;
        case 2:
          write(enable(random.below(4), random.below(3)), random.u32());
          break;
        case 3:
          write(claim(random.below(4)), read(claim(random.below(4))));
          break;
        case 4:
          write(threshold(random.below(4)), random.below(8));
          break;
      }
      if (i % 100 === 0) twin(plic, new FakeHost(), make);
    }
  });
});
