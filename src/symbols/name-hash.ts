/** Finding names among very many, without a JavaScript string for each. */

/** FNV-1a of the bytes up to `to`. */
export function hashBytes(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash >>> 0;
}

/** Slots of a hash table for a number of entries: a power of two, less than half full. */
export function slotsFor(entries: number): number {
  return 2 ** Math.ceil(Math.log2(entries * 2 + 2));
}

export function sameBytes(a: Uint8Array, at: number, b: Uint8Array): boolean {
  for (let i = 0; i < b.length; i++) if (a[at + i] !== b[i]) return false;
  return true;
}
