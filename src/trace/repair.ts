/** Makes a whole trace of one whose recording was killed, or that was cut or damaged later. */
import fs from 'node:fs';
import { UserError } from '../base/assert.ts';
import { type Catalog, type Damage, readCatalog } from './catalog.ts';
import { encodeChunk, encodeTrailer } from './container.ts';
import { encodeIndex, type PlacedChunk } from './encoder.ts';
import { createFile, DiskFile, DiskSource, discard, explain, publish } from './file.ts';
import { encode, endFields, type TraceEnd } from './schema.ts';

export interface Repair {
  /** False if the trace was whole already; nothing was written then, unless to another file. */
  repaired: boolean;
  /** The file that is whole now. */
  path: string;
  replayableTo: number;
  /** Bytes of the original that are not in the result. */
  lostBytes: number;
  damage: Damage | undefined;
}

const COPY_BYTES = 1 << 20;

/**
 * Keeps what is readable, up to the last mark before the first damage. With `out` the original stays as it is; without,
 * it is cut and ended in place, after every byte that stays has been checked.
 */
export function repair(file: string, out?: string, options: { force?: boolean } = {}): Repair {
  const source = new DiskSource(file);
  try {
    const catalog = readCatalog(source, file, true);
    const whole = catalog.indexed && !catalog.damage;
    const result = (path: string): Repair => ({
      repaired: !whole,
      path,
      replayableTo: catalog.replayable.position,
      lostBytes: catalog.lostBytes,
      damage: catalog.damage,
    });
    if (out === undefined) {
      if (!whole) repairInPlace(file, catalog);
      return result(file);
    }
    if (fs.existsSync(out) && fs.realpathSync(out) === fs.realpathSync(file)) {
      throw new UserError(`${out} is the trace itself: choose another name, or none to repair it in place`);
    }
    copyWhole(source, catalog, out, options.force ?? false);
    return result(out);
  } finally {
    source.close();
  }
}

function repairInPlace(file: string, catalog: Catalog) {
  let disk: DiskFile;
  try {
    disk = new DiskFile(fs.openSync(file, 'r+'));
  } catch (error) {
    throw new UserError(`cannot repair ${file} in place: ${explain(error)}`);
  }
  try {
    disk.truncate(catalog.keptBytes);
    disk.write(closing(catalog), catalog.keptBytes);
    disk.sync();
  } catch (error) {
    // Cut but not ended: still readable up to the same position.
    throw new UserError(`cannot write the end of ${file}: ${explain(error)}`);
  } finally {
    disk.close();
  }
}

function copyWhole(source: DiskSource, catalog: Catalog, out: string, force: boolean) {
  const created = createFile(out, force);
  const disk = new DiskFile(created.fd);
  try {
    const buffer = new Uint8Array(COPY_BYTES);
    for (let at = 0; at < catalog.keptBytes; at += COPY_BYTES) {
      const part = buffer.subarray(0, Math.min(COPY_BYTES, catalog.keptBytes - at));
      if (source.read(part, at) < part.length) throw new Error('the original became shorter');
      disk.write(part, at);
    }
    disk.write(closing(catalog), catalog.keptBytes);
    disk.sync();
    disk.close();
    publish(created);
  } catch (error) {
    discard(created);
    throw new UserError(`cannot write ${out}: ${explain(error)}`);
  }
}

/** End record (where it is missing), index and trailer. */
function closing({ chunks, checkpoints, seed, keptBytes, replayable, end: written }: Catalog): Uint8Array {
  const end: TraceEnd = written ?? { ...replayable, reason: 'interrupted' };
  const parts: Uint8Array[] = [];
  const all: PlacedChunk[] = [...chunks];
  let offset = keptBytes;
  const append = (type: 'end' | 'index', raw: Uint8Array) => {
    const records = { count: 1, first: end.position, last: end.position };
    const { bytes, header } = encodeChunk(type, all.length, records, raw, seed);
    const { payloadCrc: _, ...placed } = header;
    all.push({ ...placed, offset });
    parts.push(bytes.slice());
    offset += bytes.length;
  };
  if (!written) append('end', encode('End', endFields(end)));
  const indexOffset = offset;
  append('index', encodeIndex(all, checkpoints, end));
  parts.push(encodeTrailer(indexOffset, seed));
  return Buffer.concat(parts);
}
