/**
 * Framing of gdb's remote serial protocol (gdb manual, "Overview" of appendix "GDB Remote Serial Protocol"): bytes in, packets
 * out, and back. A payload is a string of bytes: each character stands for one byte, 0 to 255.
 */

/** Largest payload taken, and the size that is announced to gdb: it bounds what a peer can make us keep. */
export const PACKET_BYTES_MAX = 0x10000;
/** On its way a payload byte is two where it is escaped. */
const RAW_BYTES_MAX = 2 * PACKET_BYTES_MAX;

export type Incoming =
  | { readonly kind: 'packet'; readonly payload: string }
  /** A frame that cannot be taken: its checksum is wrong, its escapes or runs make no sense, or it is too large. */
  | { readonly kind: 'bad'; readonly problem: 'checksum' | 'encoding' | 'size' }
  | { readonly kind: 'ack' }
  | { readonly kind: 'nak' }
  | { readonly kind: 'interrupt' };

const DOLLAR = 0x24;
const HASH = 0x23;
const STAR = 0x2a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ESCAPE = 0x7d;
const ESCAPE_XOR = 0x20;
const INTERRUPT = 0x03;
/** A run's count is sent as a printable character: repetitions after the first, plus this. */
const RUN_BIAS = 29;
const RUN_MIN = 3;
const RUN_MAX = 126 - RUN_BIAS;

/** Cuts a stream into packets and signs, however it arrives in pieces. What stands between frames is noise, and is passed over. */
export class PacketReader {
  #state: 'between' | 'body' | 'checksum' = 'between';
  #raw: number[] = [];
  #oversized = false;
  #sum = 0;
  #digits = '';

  push(bytes: Uint8Array): Incoming[] {
    const found: Incoming[] = [];
    for (const byte of bytes) {
      const item = this.#byte(byte);
      if (item) found.push(item);
    }
    return found;
  }

  #byte(byte: number): Incoming | null {
    switch (this.#state) {
      case 'between':
        if (byte === DOLLAR) this.#begin();
        else if (byte === PLUS) return { kind: 'ack' };
        else if (byte === MINUS) return { kind: 'nak' };
        else if (byte === INTERRUPT) return { kind: 'interrupt' };
        return null;
      case 'body':
        // A frame never contains its own start: what came before it is the torso of another.
        if (byte === DOLLAR) this.#begin();
        else if (byte === HASH) this.#state = 'checksum';
        else this.#collect(byte);
        return null;
      case 'checksum':
        this.#digits += String.fromCharCode(byte);
        if (this.#digits.length < 2) return null;
        this.#state = 'between';
        return this.#finish();
    }
  }

  #begin(): void {
    this.#state = 'body';
    this.#raw = [];
    this.#oversized = false;
    this.#sum = 0;
    this.#digits = '';
  }

  #collect(byte: number): void {
    this.#sum = (this.#sum + byte) & 0xff;
    if (this.#raw.length < RAW_BYTES_MAX) this.#raw.push(byte);
    else this.#oversized = true;
  }

  #finish(): Incoming {
    const raw = this.#raw;
    this.#raw = [];
    const valid = /^[0-9a-fA-F]{2}$/.test(this.#digits) && Number.parseInt(this.#digits, 16) === this.#sum;
    if (!valid) return { kind: 'bad', problem: 'checksum' };
    if (this.#oversized) return { kind: 'bad', problem: 'size' };
    return decode(raw);
  }
}

/** Undoes escapes and runs. */
function decode(raw: readonly number[]): Incoming {
  const bytes: number[] = [];
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i];
    if (byte === ESCAPE || byte === STAR) {
      i++;
      const next = raw[i];
      const count = byte === STAR ? next - RUN_BIAS : 1;
      if (
        next === undefined ||
        count < RUN_MIN * Number(byte === STAR) ||
        count > RUN_MAX ||
        (byte === STAR && i === 1)
      ) {
        return { kind: 'bad', problem: 'encoding' };
      }
      const value = byte === STAR ? bytes[bytes.length - 1] : next ^ ESCAPE_XOR;
      for (let n = 0; n < count; n++) bytes.push(value);
    } else {
      bytes.push(byte);
    }
    if (bytes.length > PACKET_BYTES_MAX) return { kind: 'bad', problem: 'size' };
  }
  return { kind: 'packet', payload: Buffer.from(bytes).toString('latin1') };
}

/** The frame of a payload, with escapes and runs. */
export function encodePacket(payload: string): Buffer {
  const out: number[] = [DOLLAR];
  for (let i = 0; i < payload.length; ) {
    const byte = payload.charCodeAt(i);
    i++;
    if (byte === DOLLAR || byte === HASH || byte === STAR || byte === ESCAPE) {
      out.push(ESCAPE, byte ^ ESCAPE_XOR);
      continue;
    }
    out.push(byte);
    let run = 0;
    while (run < RUN_MAX && payload.charCodeAt(i + run) === byte) run++;
    // Counts that look like framing are not sent; the run is cut shorter.
    while (run >= RUN_MIN && isFraming(run + RUN_BIAS)) run--;
    if (run < RUN_MIN) continue;
    out.push(STAR, run + RUN_BIAS);
    i += run;
  }
  let sum = 0;
  for (let i = 1; i < out.length; i++) sum = (sum + out[i]) & 0xff;
  return Buffer.concat([Buffer.from(out), Buffer.from(`#${sum.toString(16).padStart(2, '0')}`)]);
}

const isFraming = (byte: number) => byte === DOLLAR || byte === HASH || byte === PLUS || byte === MINUS;

export const ACK = Buffer.from('+');
export const NAK = Buffer.from('-');
