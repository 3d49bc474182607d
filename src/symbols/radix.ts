/** Sorting hundreds of thousands of 64-bit keys: by digits, many times faster than by comparisons. */

/**
 * Sorts numbers below `keys[n].length` in place by their keys: `keys[0]` decides last, the last of `keys` first. Equal ones keep
 * their order.
 */
export function sortByKeys(order: Uint32Array, keys: readonly (Uint32Array | Uint8Array)[]): void {
  let from: Uint32Array = order;
  let to: Uint32Array = new Uint32Array(order.length);
  const counts = new Uint32Array(0x10001);
  for (const key of keys) {
    for (let shift = 0; shift < key.BYTES_PER_ELEMENT * 8; shift += 16) {
      counts.fill(0);
      for (let i = 0; i < from.length; i++) counts[((key[from[i]] >>> shift) & 0xffff) + 1]++;
      // A digit that is the same everywhere sorts nothing.
      if (from.length === 0 || counts[((key[from[0]] >>> shift) & 0xffff) + 1] === from.length) continue;
      for (let digit = 0; digit < 0xffff; digit++) counts[digit + 1] += counts[digit];
      for (let i = 0; i < from.length; i++) to[counts[(key[from[i]] >>> shift) & 0xffff]++] = from[i];
      [from, to] = [to, from];
    }
  }
  if (from !== order) order.set(from);
}
