/** Numbers as people read them. Knows nothing of VS Code. */

export const count = (n: number) => n.toLocaleString('en-US');

/** Guest time with as many decimals as tell a microsecond. */
export const seconds = (ns: number) => `${(ns / 1e9).toFixed(6)} s`;

export function bytes(n: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, n < 1 ? 0 : Math.floor(Math.log2(n) / 10));
  return power === 0 ? `${n} bytes` : `${(n / 1024 ** power).toFixed(n / 1024 ** power < 10 ? 1 : 0)} ${units[power]}`;
}

/** `1 step`, `2 steps`. */
export const plural = (n: number, noun: string) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
