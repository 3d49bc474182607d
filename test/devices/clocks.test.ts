import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Clint } from '../../src/vmm/devices/clint.ts';
import { GoldfishRtc } from '../../src/vmm/devices/goldfish-rtc.ts';
import { Syscon } from '../../src/vmm/devices/syscon.ts';
import { FakeHost, twin } from '../support/fake-host.ts';

describe('real-time clock', () => {
  const BOOT = 1_700_000_000_123_456_789n;
  const make = (host: FakeHost) => new GoldfishRtc('rtc', host, { wallClockNs: BOOT });
  const time = (rtc: GoldfishRtc) => BigInt(rtc.read(0, 4)) | (BigInt(rtc.read(4, 4)) << 32n);
  const setAlarm = (rtc: GoldfishRtc, at: bigint) => {
    rtc.write(0xc, 4, Number(at >> 32n));
    rtc.write(8, 4, Number(at & 0xffffffffn));
  };

  test('time is the start plus virtual time; the high half is latched with the low', () => {
    const host = new FakeHost();
    const rtc = make(host);
    host.time = 5_000_000_000;
    const low = rtc.read(0, 4);
    host.time += 2 ** 33;
    assert.equal(BigInt(low) | (BigInt(rtc.read(4, 4)) << 32n), BOOT + 5_000_000_000n);
    assert.equal(time(rtc), BOOT + 5_000_000_000n + 2n ** 33n);
  });

  test('time can be set', () => {
    const host = new FakeHost();
    const rtc = make(host);
    rtc.write(4, 4, 1);
    rtc.write(0, 4, 2);
    host.time = 10;
    assert.equal(time(rtc), 2n ** 32n + 12n);
  });

  test('the alarm rings at its time, if interrupts are on', () => {
    const host = new FakeHost();
    const rtc = make(host);
    rtc.write(0x10, 4, 1);
    setAlarm(rtc, BOOT + 1000n);
    assert.equal(rtc.read(0x18, 4), 1);
    host.advance(999);
    assert.equal(host.level, false);
    host.advance(1);
    assert.equal(host.level, true);
    assert.equal(rtc.read(0x18, 4), 0);
    rtc.write(0x1c, 4, 1);
    assert.equal(host.level, false);
    setAlarm(rtc, BOOT);
    assert.equal(host.level, true, 'one in the past rings at once');
    rtc.write(0x10, 4, 0);
    assert.equal(host.level, false);
    setAlarm(rtc, 2n ** 64n - 1n);
    rtc.write(0x14, 4, 1);
    assert.equal(rtc.read(0x18, 4), 0);
  });

  test('state: with an alarm set', () => {
    const host = new FakeHost();
    const rtc = make(host);
    host.time = 77;
    rtc.write(0x10, 4, 1);
    rtc.read(0, 4);
    setAlarm(rtc, BOOT + 5000n);
    const copy = twin(rtc, host, make);
    copy.host.advance(5000);
    assert.equal(copy.host.level, true);
  });
});

describe('syscon', () => {
  const finish = (value: number, offset = 0) => {
    const host = new FakeHost();
    new Syscon('test', host).write(offset, 4, value);
    return host.stops;
  };
  test('power-off, failure with a code, reboot', () => {
    assert.deepEqual(finish(0x5555), [{ kind: 'power-off', exitCode: 0 }]);
    assert.deepEqual(finish(0x73333), [{ kind: 'power-off', exitCode: 7 }]);
    assert.deepEqual(finish(0x3333), [{ kind: 'power-off', exitCode: 1 }]);
    assert.deepEqual(finish(0x7777), [{ kind: 'reboot' }]);
  });
  test('anything else does nothing', () => {
    assert.deepEqual([...finish(0x1234), ...finish(0x5555, 4)], []);
    const host = new FakeHost();
    assert.equal(twin(new Syscon('test', host), host, (h) => new Syscon('test', h)).device.read(0, 4), 0);
  });
});

describe('CLINT', () => {
  const MTIME = 0xbff8;
  const compare = (hart: number) => 0x4000 + 8 * hart;

  function setUp(harts = 2) {
    const lines = new Map<string, boolean>();
    const offsets: bigint[] = [];
    const make = (host: FakeHost) =>
      new Clint('clint', host, {
        harts,
        msip: (hart, level) => lines.set(`msip${hart}`, level),
        mtip: (hart, level) => lines.set(`mtip${hart}`, level),
        timeOffset: (ticks) => offsets.push(ticks),
      });
    const host = new FakeHost();
    const clint = make(host);
    const write64 = (offset: number, value: bigint) => {
      clint.write(offset, 4, Number(value & 0xffffffffn));
      clint.write(offset + 4, 4, Number(value >> 32n));
    };
    const read64 = (offset: number) => BigInt(clint.read(offset, 4)) | (BigInt(clint.read(offset + 4, 4)) << 32n);
    return { host, clint, lines, offsets, make, write64, read64 };
  }

  test('software interrupts', () => {
    const { clint, lines } = setUp();
    clint.write(4, 4, 0xffffffff);
    assert.equal(lines.get('msip1'), true);
    assert.equal(clint.read(4, 4), 1);
    clint.write(4, 4, 0);
    assert.equal(lines.get('msip1'), false);
    clint.write(8, 4, 1);
    assert.equal(clint.read(8, 4), 0, 'there is no third hart');
  });

  test('mtime ticks at 10 MHz and mtimecmp fires at its tick', () => {
    const { host, lines, read64, write64 } = setUp();
    assert.equal(lines.get('mtip0'), true, 'pending at reset, as in QEMU');
    host.advance(1050);
    assert.equal(read64(MTIME), 10n);
    write64(compare(0), 20n);
    assert.equal(read64(compare(0)), 20n);
    assert.equal(lines.get('mtip0'), false);
    assert.equal(lines.get('mtip1'), true);
    host.advance(949);
    assert.equal(lines.get('mtip0'), false);
    host.advance(1);
    assert.equal(lines.get('mtip0'), true);
    write64(compare(0), 2n ** 64n - 1n);
    assert.equal(lines.get('mtip0'), false);
    assert.equal(host.alarms[0].deadline, Number.POSITIVE_INFINITY);
  });

  test('mtime can be written, which moves timers', () => {
    const { host, lines, offsets, read64, write64 } = setUp();
    host.advance(1000);
    write64(compare(0), 1000n);
    write64(MTIME, 990n);
    assert.equal(read64(MTIME), 990n);
    assert.equal(offsets.at(-1), 980n);
    assert.equal(host.alarms[0].deadline, 2000);
    host.advance(1000);
    assert.equal(lines.get('mtip0'), true);
    write64(MTIME, 0n);
    assert.equal(offsets.at(-1), -20n);
    assert.equal(lines.get('mtip0'), false);
  });

  test('state: with timers set', () => {
    const { host, clint, lines, make, write64 } = setUp();
    host.advance(12345);
    clint.write(0, 4, 1);
    write64(MTIME, 500n);
    write64(compare(1), 600n);
    const copy = twin(clint, host, make);
    lines.clear();
    copy.host.advance(10_000);
    assert.deepEqual([...lines], [['mtip1', true]]);
    assert.equal(copy.device.mtime, 600n);
  });
});
