/**
 * The journal as chunk data: what happened inside the machine, for a person to see and for a replay to check.
 *
 * Entries come by the thousand a second, so the recording thread only drops them into arrays (`JournalBatch`), and here
 * they become columns of varints. What repeats is taken out first: a (kind, hart, code) is an index into a table, and
 * values and positions are told as differences from the same source's last.
 */
import { ByteReader, ByteWriter, TraceDamage } from './bytes.ts';

export const JOURNAL_KINDS = ['interrupt', 'trap', 'timer', 'sbi', 'note'] as const;
export type JournalKind = (typeof JOURNAL_KINDS)[number];

export interface JournalEntry {
  position: number;
  hart: number;
  kind: JournalKind;
  /** Cause, function or number of the note: 32 bits, unsigned. */
  code: number;
  /** Address or time that goes with it: 64 bits, unsigned. */
  value: bigint;
}

/** Columns of equal length, in order of position. */
export interface JournalBatch {
  positions: Float64Array;
  kinds: Uint8Array;
  harts: Uint8Array;
  codes: Uint32Array;
  values: BigUint64Array;
}

/** What the next entry of a source is told against. */
interface Source {
  index: number;
  low: number;
  high: number;
  position: number;
  distance: number;
}

const newSource = (index: number, position: number): Source => ({ index, low: 0, high: 0, position, distance: 0 });

export function encodeJournal(batch: JournalBatch): Uint8Array {
  const { positions, kinds, harts, codes } = batch;
  const halves = new Uint32Array(batch.values.buffer, batch.values.byteOffset, batch.values.length * 2);
  const sources = new Map<number, Source>();
  const [table, indexes, deltas, drifts, values] = Array.from({ length: 5 }, () => new ByteWriter(4096));
  let position = positions[0];
  for (let i = 0; i < positions.length; i++) {
    const key = (kinds[i] * 256 + harts[i]) * 2 ** 32 + codes[i];
    let source = sources.get(key);
    if (!source) {
      source = newSource(sources.size, positions[0]);
      sources.set(key, source);
      table.varint(kinds[i]);
      table.varint(harts[i]);
      table.varint(codes[i]);
    }
    indexes.varint(source.index);
    deltas.varint(positions[i] - position);
    position = positions[i];
    const distance = position - source.position;
    zigzagNumber(drifts, distance - source.distance);
    source.position = position;
    source.distance = distance;
    zigzagDifference(values, halves[2 * i], halves[2 * i + 1], source);
  }
  const out = new ByteWriter(values.length + indexes.length + deltas.length + 64);
  out.field(1, table.view());
  out.field(2, indexes.view());
  // Timer ticks come at nearly equal distances, device interrupts do not: whichever tells this chunk in fewer bytes.
  if (drifts.length < deltas.length) out.field(4, drifts.view());
  else out.field(3, deltas.view());
  out.field(5, values.view());
  return out.view();
}

export function decodeJournal(bytes: Uint8Array, count: number, first: number): JournalEntry[] {
  const reader = new ByteReader(bytes);
  const table = decodeTable(reader.field(1), first);
  const indexes = reader.field(2);
  const drifting = reader.nextIs(4);
  const places = new ByteReader(reader.field(drifting ? 4 : 3));
  const values = new ByteReader(reader.field(5));
  // An entry takes at least a byte of each column: no allocation beyond what is there.
  if (count > indexes.length) throw new TraceDamage(`${count} journal entries expected, room for ${indexes.length}`);
  const indexReader = new ByteReader(indexes);
  const entries: JournalEntry[] = new Array(count);
  let position = first;
  for (let i = 0; i < count; i++) {
    const row = table[indexReader.varint()];
    if (row === undefined) throw new TraceDamage(`journal entry ${i} has no source`);
    const { source } = row;
    if (drifting) {
      const next = source.position + source.distance + unzigzagNumber(places);
      if (!(next >= position)) throw new TraceDamage(`journal entry ${i} is out of order`);
      position = next;
    } else position += places.varint();
    if (!Number.isSafeInteger(position)) throw new TraceDamage(`journal entry ${i} is out of range`);
    source.distance = position - source.position;
    source.position = position;
    addDifference(values, source);
    const value = (BigInt(source.high) << 32n) | BigInt(source.low);
    entries[i] = { position, hart: row.hart, kind: row.kind, code: row.code, value };
  }
  if (!indexReader.done || !places.done || !values.done) throw new TraceDamage(`more than ${count} entries found`);
  return entries;
}

function decodeTable(bytes: Uint8Array, first: number) {
  const reader = new ByteReader(bytes);
  const table: { kind: JournalKind; hart: number; code: number; source: Source }[] = [];
  while (!reader.done) {
    const kind = JOURNAL_KINDS[reader.varint()];
    const hart = reader.varint();
    const code = reader.varint();
    if (kind === undefined || hart > 0xff || code > 0xffffffff) throw new TraceDamage('a journal source expected');
    table.push({ kind, hart, code, source: newSource(table.length, first) });
  }
  return table;
}

/** Differences of 53-bit positions may need 54 bits and a sign, so they are split by hand. */
function zigzagNumber(out: ByteWriter, value: number) {
  const size = value < 0 ? -value - 1 : value;
  const low = (size % 0x80000000) * 2 + (value < 0 ? 1 : 0);
  out.varint64(low, Math.floor(size / 0x80000000));
}

function unzigzagNumber(reader: ByteReader): number {
  reader.varint64();
  const size = reader.high * 0x80000000 + (reader.low >>> 1);
  return reader.low & 1 ? -size - 1 : size;
}

/** The difference to the source's last value modulo 2^64, small either way as a small number. */
function zigzagDifference(out: ByteWriter, low: number, high: number, source: Source) {
  const dLow = (low - source.low) >>> 0;
  const dHigh = (high - source.high - (low < source.low ? 1 : 0)) | 0;
  const sign = dHigh >> 31;
  out.varint64((dLow << 1) ^ sign, ((dHigh << 1) | (dLow >>> 31)) ^ sign);
  source.low = low;
  source.high = high;
}

function addDifference(reader: ByteReader, source: Source) {
  reader.varint64();
  const sign = -(reader.low & 1);
  const dLow = (((reader.low >>> 1) | (reader.high << 31)) ^ sign) >>> 0;
  const dHigh = (reader.high >>> 1) ^ sign;
  const low = source.low + dLow;
  source.high = (source.high + dHigh + (low > 0xffffffff ? 1 : 0)) >>> 0;
  source.low = low >>> 0;
}
