/** What is stored in chunks, as it was before. Apart from the container, because who only writes does not need the package. */
import { decompress } from 'lz4-wasm-nodejs';
import { TraceDamage } from './bytes.ts';
import type { ChunkHeader } from './container.ts';

/** Room that `decompressPayload` needs before a payload. */
export const PAYLOAD_OFFSET = 4;

/** The raw bytes of a checked payload, which lies at `PAYLOAD_OFFSET` of a buffer; what is before it is lost. */
export function decompressPayload(header: ChunkHeader, buffer: Uint8Array): Uint8Array {
  if (header.codec === 'none') return buffer.subarray(PAYLOAD_OFFSET);
  // The package wants the raw length in front; the file has it in the chunk header only.
  new DataView(buffer.buffer, buffer.byteOffset).setUint32(0, header.rawBytes, true);
  let raw: Uint8Array;
  try {
    raw = decompress(buffer);
  } catch (error) {
    throw new TraceDamage(`${header.type} data cannot be decompressed (${String(error)})`);
  }
  if (raw.length !== header.rawBytes) throw new TraceDamage(`${header.rawBytes} bytes expected, found ${raw.length}`);
  return raw;
}
