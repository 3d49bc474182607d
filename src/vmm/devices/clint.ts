/**
 * Core-local interruptor: software and timer interrupts of machine mode and the platform's clock, with SiFive's register
 * layout (`sifive,clint0`; the registers are MSIP of the ACLINT specification 1.0, chapter 3, and MTIME and MTIMECMP,
 * chapter 2). The clock ticks at 10 MHz of virtual time.
 */
import { assert } from '../../base/assert.ts';
import type { StateIO } from '../../base/state.ts';
import type { AccessSize, Alarm, Device, DeviceHost } from '../device.ts';
import { syncAlarm } from './sync-alarm.ts';

const MSIP_BASE = 0;
const MTIMECMP_BASE = 0x4000;
const MTIME = 0xbff8;

export const NANOSECONDS_PER_TICK = 100;
const LOW = 0xffff_ffffn;

export interface ClintOptions {
  harts: number;
  /** Drive a hart's machine software and machine timer interrupts; called when the level changes. */
  msip: (hart: number, level: boolean) => void;
  mtip: (hart: number, level: boolean) => void;
  /** The guest has written mtime: it now runs ahead of virtual time by `ticks`, a signed number of 64 bits. */
  timeOffset?: (ticks: bigint) => void;
}

interface Timer {
  readonly alarm: Alarm;
  software: boolean;
  /** MTIMECMP; unsigned, 64 bits. */
  compare: bigint;
  level: boolean;
}

export class Clint implements Device {
  readonly name: string;
  readonly #host: DeviceHost;
  readonly #options: ClintOptions;
  readonly #timers: Timer[] = [];
  /** What mtime is ahead of virtual time, in ticks; unsigned, 64 bits. */
  #offset = 0n;

  constructor(name: string, host: DeviceHost, options: ClintOptions) {
    this.name = name;
    this.#host = host;
    this.#options = options;
    for (let hart = 0; hart < options.harts; hart++) {
      const alarm = host.alarm(() => this.#update(hart));
      this.#timers.push({ alarm, software: false, compare: 0n, level: false });
    }
    // MTIMECMP starts at 0 as in QEMU, so the timer's interrupt is pending from the start.
    for (let hart = 0; hart < options.harts; hart++) this.#update(hart);
  }

  /** The clock, in ticks. */
  get mtime(): bigint {
    return BigInt.asUintN(64, BigInt(Math.floor(this.#host.now() / NANOSECONDS_PER_TICK)) + this.#offset);
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4 || offset & 3) return 0;
    if (offset < MTIMECMP_BASE) return this.#timers[(offset - MSIP_BASE) >> 2]?.software ? 1 : 0;
    if (offset < MTIME) return half(this.#timers[(offset - MTIMECMP_BASE) >> 3]?.compare ?? 0n, offset);
    if (offset < MTIME + 8) return half(this.mtime, offset);
    return 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    if (offset < MTIMECMP_BASE) {
      this.#setSoftware((offset - MSIP_BASE) >> 2, (value & 1) !== 0);
    } else if (offset < MTIME) {
      const hart = (offset - MTIMECMP_BASE) >> 3;
      const timer = this.#timers[hart];
      if (!timer) return;
      timer.compare = withHalf(timer.compare, offset, value);
      this.#update(hart);
    } else if (offset < MTIME + 8) {
      const mtime = this.mtime;
      this.#offset = BigInt.asUintN(64, this.#offset + withHalf(mtime, offset, value) - mtime);
      this.#options.timeOffset?.(BigInt.asIntN(64, this.#offset));
      for (let hart = 0; hart < this.#timers.length; hart++) this.#update(hart);
    }
  }

  /** The harts keep the levels of their lines: restoring drives nothing. */
  sync(s: StateIO): void {
    this.#offset = s.u64('offset', this.#offset);
    this.#timers.forEach((timer, hart) => {
      s.part(`hart${hart}`, (part) => {
        timer.software = part.bool('msip', timer.software);
        timer.compare = part.u64('mtimecmp', timer.compare);
        timer.level = part.bool('mtip', timer.level);
        syncAlarm(part, 'alarm', timer.alarm);
      });
    });
  }

  #setSoftware(hart: number, level: boolean): void {
    const timer = this.#timers[hart];
    if (!timer || timer.software === level) return;
    timer.software = level;
    this.#options.msip(hart, level);
  }

  /** The timer's interrupt is pending while mtime >= mtimecmp; until then an alarm waits for the tick at which it will be. */
  #update(hart: number): void {
    const timer = this.#timers[hart];
    assert(timer, `hart ${hart} has a timer`);
    const ticksLeft = timer.compare - this.mtime;
    let deadline = Number.POSITIVE_INFINITY;
    if (ticksLeft > 0n) {
      const tick = Math.floor(this.#host.now() / NANOSECONDS_PER_TICK) + Number(ticksLeft);
      // Software writes all ones for "never". Virtual time never gets as far as 2^53 ns (104 days).
      if (Number.isSafeInteger(tick * NANOSECONDS_PER_TICK)) deadline = tick * NANOSECONDS_PER_TICK;
    }
    timer.alarm.set(deadline);
    const level = ticksLeft <= 0n;
    if (level === timer.level) return;
    timer.level = level;
    this.#options.mtip(hart, level);
  }
}

function half(value: bigint, offset: number): number {
  return Number(offset & 4 ? value >> 32n : value & LOW);
}

function withHalf(value: bigint, offset: number, part: number): bigint {
  return offset & 4 ? (value & LOW) | (BigInt(part) << 32n) : (value & ~LOW) | BigInt(part);
}
