/** Console output as chunk data: runs of bytes, each with the position of its first. */
import { ByteReader, ByteWriter, TraceDamage } from './bytes.ts';

export interface ConsoleRun {
  position: number;
  device: string;
  bytes: Uint8Array;
}

/** Columns of equal length, one row a run; the bytes of all runs follow each other in `data`. */
export interface ConsoleBatch {
  devices: string[];
  positions: Float64Array;
  lengths: Uint32Array;
  deviceIndexes: Uint8Array;
  data: Uint8Array;
}

export function encodeConsole(batch: ConsoleBatch): Uint8Array {
  const [deltas, lengths, indexes] = Array.from({ length: 3 }, () => new ByteWriter(4096));
  let position = batch.positions[0];
  for (let i = 0; i < batch.positions.length; i++) {
    deltas.varint(batch.positions[i] - position);
    position = batch.positions[i];
    lengths.varint(batch.lengths[i]);
    indexes.varint(batch.deviceIndexes[i]);
  }
  const out = new ByteWriter(deltas.length + lengths.length + indexes.length + batch.data.length + 256);
  for (const device of batch.devices) out.field(1, new TextEncoder().encode(device));
  out.field(2, deltas.view());
  out.field(3, lengths.view());
  out.field(4, indexes.view());
  out.field(5, batch.data);
  return out.view();
}

export function decodeConsole(bytes: Uint8Array, count: number, first: number): ConsoleRun[] {
  const reader = new ByteReader(bytes);
  const devices: string[] = [];
  while (reader.nextIs(1)) devices.push(new TextDecoder().decode(reader.field(1)));
  const deltaBytes = reader.field(2);
  if (count > deltaBytes.length) throw new TraceDamage(`${count} console runs expected, room for ${deltaBytes.length}`);
  const deltas = new ByteReader(deltaBytes);
  const lengths = new ByteReader(reader.field(3));
  const indexes = new ByteReader(reader.field(4));
  const data = new ByteReader(reader.field(5));
  const runs: ConsoleRun[] = new Array(count);
  let position = first;
  for (let i = 0; i < count; i++) {
    position += deltas.varint();
    const device = devices[indexes.varint()];
    if (device === undefined || !Number.isSafeInteger(position))
      throw new TraceDamage(`console run ${i} is out of range`);
    runs[i] = { position, device, bytes: data.take(lengths.varint()).slice() };
  }
  if (!deltas.done || !lengths.done || !indexes.done || !data.done) {
    throw new TraceDamage(`more than ${count} console runs found`);
  }
  return runs;
}
