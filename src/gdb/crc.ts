/** The sum of the `qCRC` packet: polynomial 0x04c11db7, most significant bit first, begun with all ones, not inverted. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++) value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value;
});

export function crc32(bytes: Uint8Array, sum: number): number {
  let value = sum;
  for (const byte of bytes) value = (value << 8) ^ TABLE[(value >>> 24) ^ byte];
  return value >>> 0;
}
