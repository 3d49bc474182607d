/**
 * Goldfish real-time clock (Android's GOLDFISH-VIRTUAL-HARDWARE.TXT, "Goldfish real-time clock"): ns since 1970, and an
 * alarm. Its time is virtual time plus the wall-clock time of the start, which is a recorded number and not the host's clock.
 */
import type { StateIO } from '../../base/state.ts';
import type { AccessSize, Alarm, Device, DeviceHost } from '../device.ts';
import { syncAlarm } from './sync-alarm.ts';

const REG = {
  /** Reading the low half latches the high half. */
  TIME_LOW: 0x00,
  TIME_HIGH: 0x04,
  /** Writing the low half sets the alarm; the high half is written before. */
  ALARM_LOW: 0x08,
  ALARM_HIGH: 0x0c,
  IRQ_ENABLED: 0x10,
  CLEAR_ALARM: 0x14,
  ALARM_STATUS: 0x18,
  CLEAR_INTERRUPT: 0x1c,
} as const;

const LOW = 0xffff_ffffn;

export interface GoldfishRtcOptions {
  /** Wall-clock time at virtual time 0, in ns since 1970. */
  wallClockNs: bigint;
}

export class GoldfishRtc implements Device {
  readonly name: string;
  readonly #host: DeviceHost;
  readonly #alarm: Alarm;
  /** Wall-clock time less virtual time, in ns. */
  #offset: bigint;
  #timeHigh = 0;
  /** Wall-clock time of the alarm, in ns. */
  #alarmTime = 0n;
  #running = false;
  #pending = false;
  #enabled = false;

  constructor(name: string, host: DeviceHost, options: GoldfishRtcOptions) {
    this.name = name;
    this.#host = host;
    this.#offset = BigInt.asUintN(64, options.wallClockNs);
    this.#alarm = host.alarm(() => this.#ring());
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    switch (offset) {
      case REG.TIME_LOW: {
        const time = this.#time();
        this.#timeHigh = Number(time >> 32n);
        return Number(time & LOW);
      }
      case REG.TIME_HIGH:
        return this.#timeHigh;
      case REG.ALARM_LOW:
        return Number(this.#alarmTime & LOW);
      case REG.ALARM_HIGH:
        return Number(this.#alarmTime >> 32n);
      case REG.IRQ_ENABLED:
        return this.#enabled ? 1 : 0;
      case REG.ALARM_STATUS:
        return this.#running ? 1 : 0;
      default:
        return 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    switch (offset) {
      case REG.TIME_LOW:
        this.#setTime(withLow(this.#time(), value));
        break;
      case REG.TIME_HIGH:
        this.#setTime(withHigh(this.#time(), value));
        break;
      case REG.ALARM_LOW:
        this.#alarmTime = withLow(this.#alarmTime, value);
        this.#setAlarm();
        break;
      case REG.ALARM_HIGH:
        this.#alarmTime = withHigh(this.#alarmTime, value);
        break;
      case REG.IRQ_ENABLED:
        this.#enabled = (value & 1) !== 0;
        break;
      case REG.CLEAR_ALARM:
        this.#running = false;
        this.#alarm.set(Number.POSITIVE_INFINITY);
        break;
      case REG.CLEAR_INTERRUPT:
        this.#pending = false;
        break;
    }
    this.#drive();
  }

  sync(s: StateIO): void {
    this.#offset = s.u64('offset', this.#offset);
    this.#timeHigh = s.u32('time-high', this.#timeHigh);
    this.#alarmTime = s.u64('alarm-time', this.#alarmTime);
    this.#running = s.bool('running', this.#running);
    this.#pending = s.bool('pending', this.#pending);
    this.#enabled = s.bool('enabled', this.#enabled);
    syncAlarm(s, 'alarm', this.#alarm);
  }

  #time(): bigint {
    return BigInt.asUintN(64, BigInt(this.#host.now()) + this.#offset);
  }

  /** An alarm that is set keeps its distance: it does not follow the new time. */
  #setTime(time: bigint): void {
    this.#offset = BigInt.asUintN(64, time - BigInt(this.#host.now()));
  }

  #setAlarm(): void {
    const left = this.#alarmTime - this.#time();
    if (left <= 0n) {
      this.#alarm.set(Number.POSITIVE_INFINITY);
      this.#ring();
      return;
    }
    this.#running = true;
    // Virtual time never gets as far as 2^53 ns (104 days); a later alarm would lose its exact deadline, so it never rings.
    const deadline = this.#host.now() + Number(left);
    this.#alarm.set(Number.isSafeInteger(deadline) ? deadline : Number.POSITIVE_INFINITY);
  }

  #ring(): void {
    this.#running = false;
    this.#pending = true;
    this.#drive();
  }

  #drive(): void {
    this.#host.irq.set(this.#pending && this.#enabled);
  }
}

function withLow(value: bigint, low: number): bigint {
  return (value & ~LOW) | BigInt(low);
}

function withHigh(value: bigint, high: number): bigint {
  return (value & LOW) | (BigInt(high) << 32n);
}
