/** The kernel's log, as `dmesg` shows it. */
import { Unavailable } from '../symbols/index.ts';
import type { Kernel } from './kernel.ts';
import { collect, type Found, hex } from './list.ts';
import type { KernelObject } from './object.ts';

export interface LogRecord {
  /** Its number, from the first of the boot on. */
  readonly sequence: number;
  /** Guest time in ns, by the kernel's own clock. */
  readonly timeNs: bigint;
  /** 0 (emergency) to 7 (debug). */
  readonly level: number;
  /** Who it is from (RFC 5424, 6.2.1); 0 is the kernel. */
  readonly facility: number;
  /** May have several lines. */
  readonly text: string;
}

export function logOf(kernel: Kernel): Found<LogRecord> {
  return collect(() => {
    if (kernel.find('prb')) return ringRecords(kernel);
    if (kernel.find('log_first_idx')) return bufferRecords(kernel);
    throw new Unavailable('the symbol file has no kernel log that is known: neither prb nor log_first_idx');
  });
}

/** States of a descriptor, in the top two bits of its word (kernel/printk/printk_ringbuffer.h). */
const STATE_SHIFT = 62n;
const ID_MASK = (1n << STATE_SHIFT) - 1n;
const FINALIZED = [1n, 2n];
const COUNT_BITS_MAX = 24;
const SIZE_BITS_MAX = 31;
const NO_TEXT = 1n;
/** A block of text begins with the number of its descriptor. */
const BLOCK_HEADER_BYTES = 8n;
const TEXT_BYTES_MAX = 65_535;

/** The ring of records since Linux 5.10: one of descriptors, one of what is known of each record, one of texts. */
function* ringRecords(kernel: Kernel): Generator<LogRecord> {
  const ring = kernel.need('prb').deref();
  const descriptors = ring.at('desc_ring');
  const texts = ring.at('text_data_ring');
  const countBits = limited(descriptors.at('count_bits'), COUNT_BITS_MAX);
  const count = 1n << BigInt(countBits);
  const bytes = 1n << BigInt(limited(texts.at('size_bits'), SIZE_BITS_MAX));
  const first = descriptors.at('tail_id.counter').pointer & ID_MASK;
  const last = descriptors.at('head_id.counter').pointer & ID_MASK;
  const total = (last - first) & ID_MASK;
  if (total >= count) {
    throw new Unavailable(`the log is garbled: its ring of ${count} at ${hex(ring.address)} has ${total + 1n} records`);
  }
  const [descSize, infoSize] = ['struct prb_desc', 'struct printk_info'].map((type) =>
    BigInt(kernel.type(type).size ?? 0),
  );
  const [descs, infos] = [descriptors.at('descs').pointer, descriptors.at('infos').pointer];
  for (let n = 0n; n <= total; n++) {
    const id = (first + n) & ID_MASK;
    const desc = kernel.object('struct prb_desc', descs + (id % count) * descSize);
    const word = desc.at('state_var.counter').pointer;
    // What is being written, and what was never used.
    if ((word & ID_MASK) !== id || !FINALIZED.includes(word >> STATE_SHIFT)) continue;
    const info = kernel.object('struct printk_info', infos + (id % count) * infoSize);
    yield {
      sequence: info.at('seq').number,
      ...headOf(info),
      text: textOf(desc, info, { data: texts.at('data').pointer, bytes }),
    };
  }
}

function limited(value: KernelObject, max: number): number {
  const bits = value.number;
  if (bits < 1 || bits > max) {
    throw new Unavailable(`the log is garbled: a ring of 2^${bits} is said to be at ${hex(value.address)}`);
  }
  return bits;
}

function headOf(info: KernelObject): Pick<LogRecord, 'timeNs' | 'level' | 'facility'> {
  return {
    timeNs: info.at('ts_nsec').big,
    level: info.at('level').number,
    facility: info.at('facility').number,
  };
}

function textOf(desc: KernelObject, info: KernelObject, { data, bytes }: { data: bigint; bytes: bigint }): string {
  const [begin, next] = [desc.at('text_blk_lpos.begin').pointer, desc.at('text_blk_lpos.next').pointer];
  if (begin & NO_TEXT) return '';
  // A block that does not fit before the end of the ring lies at its beginning.
  const start = begin / bytes === next / bytes ? begin % bytes : 0n;
  const room = start + BLOCK_HEADER_BYTES >= bytes ? 0n : bytes - start - BLOCK_HEADER_BYTES;
  const length = Math.min(info.at('text_len').number, Number(room));
  return decode(desc, data + start + BLOCK_HEADER_BYTES, length);
}

function decode({ value }: KernelObject, address: bigint, length: number): string {
  return new TextDecoder().decode(value.frame.needMemory(address, Math.min(length, TEXT_BYTES_MAX)));
}

/** The buffer of records up to Linux 5.9, each of a length of its own, one behind the other. */
function* bufferRecords(kernel: Kernel): Generator<LogRecord> {
  const buffer = kernel.need('log_buf').pointer;
  const size = BigInt.asUintN(32, kernel.need('log_buf_len').big);
  const end = kernel.need('log_next_idx').big;
  let sequence = kernel.need('log_first_seq').number;
  const last = kernel.need('log_next_seq').number;
  for (let at = kernel.need('log_first_idx').big; at !== end && sequence < last; sequence++) {
    if (at >= size) throw new Unavailable(`the log is garbled: a record is said to be at ${at} of ${size} bytes`);
    let record = kernel.object('struct printk_log', buffer + at);
    // A length of 0 says that the next one is at the beginning of the buffer.
    if (record.at('len').number === 0) {
      at = 0n;
      record = kernel.object('struct printk_log', buffer);
    }
    const length = record.at('len').big;
    if (length < BigInt(record.size)) {
      throw new Unavailable(
        `the log is garbled: the record at ${hex(record.address)} says that it has ${length} bytes`,
      );
    }
    const text = decode(record, record.address + BigInt(record.size), record.at('text_len').number);
    yield { sequence, ...headOf(record), text };
    at += length;
  }
}
