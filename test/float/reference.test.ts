import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { DZ, MODES, NV, NX, OF, REFERENCE, UF } from './reference.ts';
import { randomBits } from './values.ts';

const { f32, f64 } = REFERENCE;
const view = new DataView(new ArrayBuffer(8));

function toNumber(bits: bigint): number {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

function toBits(value: number): bigint {
  view.setFloat64(0, value);
  return Number.isNaN(value) ? f64.nan : view.getBigUint64(0);
}

describe('the floating-point reference', () => {
  it("agrees with JavaScript's arithmetic, which rounds to nearest", () => {
    const random = new Random(754);
    for (let i = 0; i < 5000; i++) {
      const a = randomBits(random, f64, random.u64());
      const b = randomBits(random, f64, a);
      const [x, y] = [toNumber(a), toNumber(b)];
      const cases = { add: x + y, sub: x - y, mul: x * y, div: x / y };
      for (const op of ['add', 'sub', 'mul', 'div'] as const) {
        assert.equal(f64[op](a, b, MODES.RNE).bits, toBits(cases[op]), `${op} ${x} ${y}`);
      }
      assert.equal(f64.sqrt(a, MODES.RNE).bits, toBits(Math.sqrt(x)), `sqrt ${x}`);
    }
  });

  it('raises what the standard says', () => {
    const one = 0x3f800000n;
    const least = 1n;
    const normal = 0x00800000n;
    const largest = 0x7f7fffffn;
    const justBelowOne = 0x3f7fffffn;
    assert.deepEqual(f32.div(one, 0n, MODES.RNE), { bits: f32.infinity, flags: DZ });
    assert.deepEqual(f32.div(0n, 0n, MODES.RNE), { bits: f32.nan, flags: NV });
    assert.deepEqual(f32.add(largest, largest, MODES.RNE), { bits: f32.infinity, flags: OF | NX });
    assert.deepEqual(f32.add(largest, largest, MODES.RTZ), { bits: largest, flags: OF | NX });
    assert.deepEqual(f32.add(one, least, MODES.RUP), { bits: one + 1n, flags: NX });
    assert.deepEqual(f32.mul(least, 0x3f000000n, MODES.RNE), { bits: 0n, flags: UF | NX });
    // Below the least normal number by 2^-46 of it: not tiny, for rounded to 24 bits it is that number.
    assert.deepEqual(f32.mul(normal + 1n, justBelowOne - 1n, MODES.RNE), { bits: normal, flags: NX });
    // Half of the last place of a subnormal below it: tiny, though the result is the least normal number.
    assert.deepEqual(f32.mul(normal, justBelowOne, MODES.RNE), { bits: normal, flags: UF | NX });
    // A subnormal result that is exact does not raise UF.
    assert.deepEqual(f32.mul(normal, 0x3f000000n, MODES.RNE), { bits: normal >> 1n, flags: 0 });
  });
});
