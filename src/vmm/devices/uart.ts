/**
 * 16550A UART, after the PC16550D data sheet (National Semiconductor, 1995) with the behaviour of QEMU's serial port where
 * the data sheet leaves room. Register and bit names are the data sheet's, section 8.
 *
 * Transmission takes no time. Received bytes wait in a queue outside the chip and move into its 16-byte FIFO as the guest
 * makes room, so that pasted input is never overrun. Times are ns of virtual time.
 */
import type { StateIO } from '../../base/state.ts';
import type { AccessSize, Alarm, Device, DeviceHost } from '../device.ts';
import { ByteQueue } from './byte-queue.ts';
import { syncAlarm } from './sync-alarm.ts';

/** Register offsets; with DLAB set the first two are the divisor latch. */
const REG = { RBR_THR: 0, IER: 1, IIR_FCR: 2, LCR: 3, MCR: 4, LSR: 5, MSR: 6, SCR: 7 } as const;

/** Interrupt enable register (8.6). */
const IER = { ERBFI: 1, ETBEI: 2, ELSI: 4, EDSSI: 8 } as const;
/** Interrupt identification register (8.5): bit 0 clear means one is pending; bits 1 to 3 say which. */
const IIR = {
  NONE: 0x01,
  LINE_STATUS: 0x06,
  TIMEOUT: 0x0c,
  RECEIVED: 0x04,
  THR_EMPTY: 0x02,
  MODEM_STATUS: 0x00,
  FIFO_ENABLED: 0xc0,
} as const;
/** FIFO control register (8.4). A write of the trigger bits sets the receiver's interrupt level. */
const FCR = { ENABLE: 0x01, CLEAR_RECEIVER: 0x02, CLEAR_TRANSMITTER: 0x04, DMA: 0x08, TRIGGER: 0xc0 } as const;
const LCR = { STOP_BITS: 0x04, PARITY: 0x08, DLAB: 0x80 } as const;
const MCR = { DTR: 0x01, RTS: 0x02, OUT1: 0x04, OUT2: 0x08, LOOP: 0x10 } as const;
/** Line status register (8.3). */
const LSR = { DR: 0x01, OE: 0x02, BI: 0x10, THRE: 0x20, TEMT: 0x40, INTERRUPTING: 0x1e } as const;
const MSR = { DELTAS: 0x0f, CTS: 0x10, DSR: 0x20, DCD: 0x80 } as const;

const FIFO_BYTES = 16;
/** Bytes in the receiver's FIFO that raise an interrupt, by the two trigger bits of FCR. */
const TRIGGER_LEVELS = [1, 4, 8, 14];
/** A character timeout comes when nothing was received or read for this many character times (8.5, FIFO mode). */
const TIMEOUT_CHARACTERS = 4;
const DIVISOR_AT_RESET = 12;

export interface UartOptions {
  /** Frequency of the baud rate generator's input. */
  clockHz?: number;
}

export class Uart implements Device {
  readonly name: string;
  readonly #host: DeviceHost;
  readonly #clockHz: number;
  readonly #timeout: Alarm;
  readonly #resume: Alarm;
  readonly #waiting = new ByteQueue();
  /** Receiver's FIFO, or its one-byte buffer register while FIFOs are off. */
  #received: number[] = [];
  /** What RBR reads when nothing new is there and FIFOs are off. */
  #rbr = 0;
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #mcr: number = MCR.OUT2;
  #lsr: number = LSR.TEMT | LSR.THRE;
  #msr: number = MSR.DCD | MSR.DSR | MSR.CTS;
  #scr = 0;
  #divisor = DIVISOR_AT_RESET;
  #thrEmptyPending = false;
  #timeoutPending = false;

  constructor(name: string, host: DeviceHost, options: UartOptions = {}) {
    this.name = name;
    this.#host = host;
    this.#clockHz = options.clockHz ?? 3_686_400;
    this.#timeout = host.alarm(() => this.#timedOut());
    this.#resume = host.alarm(() => this.#changed());
  }

  /** Input bytes that `receive` would take now. */
  get room(): number {
    return this.#waiting.room;
  }

  receive(data: Uint8Array): void {
    this.#waiting.push(data);
    this.#changed();
  }

  /** A byte that has been received, taken as firmware does that looks without waiting; -1 if there is none. */
  poll(): number {
    return this.#lsr & LSR.DR ? this.#readReceived() : -1;
  }

  read(offset: number, _size: AccessSize): number {
    switch (offset) {
      case REG.RBR_THR:
        return this.#dlab ? this.#divisor & 0xff : this.#readReceived();
      case REG.IER:
        return this.#dlab ? this.#divisor >> 8 : this.#ier;
      case REG.IIR_FCR:
        return this.#readIdentification();
      case REG.LCR:
        return this.#lcr;
      case REG.MCR:
        return this.#mcr;
      case REG.LSR:
        return this.#readLineStatus();
      case REG.MSR:
        return this.#readModemStatus();
      case REG.SCR:
        return this.#scr;
      default:
        return 0;
    }
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const byte = value & 0xff;
    switch (offset) {
      case REG.RBR_THR:
        if (this.#dlab) this.#divisor = (this.#divisor & 0xff00) | byte;
        else this.#transmit(byte);
        break;
      case REG.IER:
        if (this.#dlab) this.#divisor = (this.#divisor & 0xff) | (byte << 8);
        else this.#enableInterrupts(byte & 0x0f);
        break;
      case REG.IIR_FCR:
        this.#controlFifos(byte);
        break;
      case REG.LCR:
        this.#lcr = byte;
        break;
      case REG.MCR:
        this.#mcr = byte & 0x1f;
        break;
      case REG.SCR:
        this.#scr = byte;
        break;
    }
    this.#changed();
  }

  sync(s: StateIO): void {
    this.#waiting.sync(s, 'waiting');
    this.#received = [...s.bytes('received', Uint8Array.from(this.#received))];
    this.#rbr = s.u8('rbr', this.#rbr);
    this.#ier = s.u8('ier', this.#ier);
    this.#fcr = s.u8('fcr', this.#fcr);
    this.#lcr = s.u8('lcr', this.#lcr);
    this.#mcr = s.u8('mcr', this.#mcr);
    this.#lsr = s.u8('lsr', this.#lsr);
    this.#msr = s.u8('msr', this.#msr);
    this.#scr = s.u8('scr', this.#scr);
    this.#divisor = s.u16('divisor', this.#divisor);
    this.#thrEmptyPending = s.bool('thr-empty-pending', this.#thrEmptyPending);
    this.#timeoutPending = s.bool('timeout-pending', this.#timeoutPending);
    syncAlarm(s, 'timeout', this.#timeout);
    syncAlarm(s, 'resume', this.#resume);
  }

  get #dlab(): boolean {
    return (this.#lcr & LCR.DLAB) !== 0;
  }
  get #fifosOn(): boolean {
    return (this.#fcr & FCR.ENABLE) !== 0;
  }
  get #loopback(): boolean {
    return (this.#mcr & MCR.LOOP) !== 0;
  }

  /** Start bit, 5 to 8 data bits, parity and stop bits at the rate that the divisor gives (8.1, 8.2). */
  get #characterNs(): number {
    const bits = 1 + 5 + (this.#lcr & 3) + (this.#lcr & LCR.PARITY ? 1 : 0) + (this.#lcr & LCR.STOP_BITS ? 2 : 1);
    return Math.floor((bits * 16e9 * Math.max(this.#divisor, 1)) / this.#clockHz);
  }

  #transmit(byte: number): void {
    if (this.#loopback) this.#arrive(byte);
    else this.#host.emit(Uint8Array.of(byte));
    // The holding register is empty again at once.
    this.#thrEmptyPending = true;
  }

  #enableInterrupts(value: number): void {
    const changed = this.#ier ^ value;
    this.#ier = value;
    // Enabling this interrupt raises it while the holding register is empty, even if reading IIR has cleared it before.
    if (changed & IER.ETBEI) this.#thrEmptyPending = (value & IER.ETBEI) !== 0 && (this.#lsr & LSR.THRE) !== 0;
  }

  /** FIFO control (8.4). A change of the enable bit clears both FIFOs. */
  #controlFifos(value: number): void {
    const toggled = ((value ^ this.#fcr) & FCR.ENABLE) !== 0;
    if (toggled || value & FCR.CLEAR_RECEIVER) this.#clearReceiver();
    if (toggled || value & FCR.CLEAR_TRANSMITTER) {
      this.#lsr |= LSR.THRE;
      this.#thrEmptyPending = true;
    }
    this.#fcr = value & (FCR.ENABLE | FCR.DMA | FCR.TRIGGER);
  }

  /**
   * Drivers clear the FIFO several times while they set up. Bytes in it were never seen by the guest, so they go back to the
   * queue and arrive again one character time later, as if the sender had been held up until then: input typed ahead is
   * not lost, and the guest finds the FIFO empty as it asked.
   */
  #clearReceiver(): void {
    if (this.#received.length > 0 && !this.#loopback) this.#waiting.unshift(Uint8Array.from(this.#received));
    this.#received = [];
    this.#lsr &= ~(LSR.DR | LSR.BI);
    this.#timeoutPending = false;
    this.#timeout.set(Number.POSITIVE_INFINITY);
    if (this.#waiting.length > 0) this.#resume.set(this.#host.now() + this.#characterNs);
  }

  #readReceived(): number {
    if (this.#received.length > 0) this.#rbr = this.#received.shift()!;
    else if (this.#fifosOn) this.#rbr = 0;
    if (this.#received.length === 0) {
      this.#lsr &= ~(LSR.DR | LSR.BI);
      this.#timeout.set(Number.POSITIVE_INFINITY);
    } else {
      this.#armTimeout();
    }
    this.#timeoutPending = false;
    const value = this.#rbr;
    this.#changed();
    return value;
  }

  #readIdentification(): number {
    const value = this.#identify();
    // Reading IIR clears the interrupt of the empty holding register if that is what it shows (8.5, table III).
    if (value === IIR.THR_EMPTY) {
      this.#thrEmptyPending = false;
      this.#changed();
    }
    return value | (this.#fifosOn ? IIR.FIFO_ENABLED : 0);
  }

  #readLineStatus(): number {
    const value = this.#lsr;
    this.#lsr &= ~(LSR.BI | LSR.OE);
    if (this.#lsr !== value) this.#changed();
    return value;
  }

  /** In loopback the modem control outputs are wired to the modem status inputs (8.7, bit 4). */
  #readModemStatus(): number {
    if (this.#loopback) {
      return ((this.#mcr & (MCR.OUT1 | MCR.OUT2)) << 4) | ((this.#mcr & MCR.RTS) << 3) | ((this.#mcr & MCR.DTR) << 5);
    }
    const value = this.#msr;
    this.#msr &= ~MSR.DELTAS;
    return value;
  }

  /** A byte comes in on the line. */
  #arrive(byte: number): void {
    if (this.#received.length < (this.#fifosOn ? FIFO_BYTES : 1)) {
      this.#received.push(byte);
    } else {
      this.#lsr |= LSR.OE;
      // A full FIFO keeps what it has; without FIFOs the new byte takes the old one's place (8.3, bit 1).
      if (!this.#fifosOn) this.#received[0] = byte;
    }
    this.#lsr |= LSR.DR;
    if (this.#fifosOn) this.#armTimeout();
  }

  #armTimeout(): void {
    this.#timeout.set(this.#host.now() + TIMEOUT_CHARACTERS * this.#characterNs);
  }

  #timedOut(): void {
    this.#timeoutPending = this.#received.length > 0;
    this.#changed();
  }

  /** Something changed: lets waiting input in where there is room, then drives the interrupt line. */
  #changed(): void {
    const held = this.#loopback || this.#resume.deadline !== Number.POSITIVE_INFINITY;
    if (!held) {
      const room = (this.#fifosOn ? FIFO_BYTES : 1) - this.#received.length;
      if (room > 0) for (const byte of this.#waiting.take(room)) this.#arrive(byte);
    }
    this.#host.irq.set(this.#identify() !== IIR.NONE);
  }

  /** The pending interrupt of the highest priority (8.5, table III). */
  #identify(): number {
    const ier = this.#ier;
    if (ier & IER.ELSI && this.#lsr & LSR.INTERRUPTING) return IIR.LINE_STATUS;
    if (ier & IER.ERBFI && this.#timeoutPending) return IIR.TIMEOUT;
    if (ier & IER.ERBFI && this.#lsr & LSR.DR && this.#received.length >= this.#triggerLevel) return IIR.RECEIVED;
    if (ier & IER.ETBEI && this.#thrEmptyPending) return IIR.THR_EMPTY;
    if (ier & IER.EDSSI && this.#msr & MSR.DELTAS) return IIR.MODEM_STATUS;
    return IIR.NONE;
  }

  get #triggerLevel(): number {
    return this.#fifosOn ? TRIGGER_LEVELS[this.#fcr >> 6] : 1;
  }
}
