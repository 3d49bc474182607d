/** Numbers for people. */
export function count(n: number): string {
  // Not by `toLocaleString`, which takes some milliseconds to get ready.
  return String(n).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

export function bytes(n: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  let value = n;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? plural(n, 'byte') : `${Number(value.toFixed(1))} ${units[unit]}`;
}

/** `1 hart`, `4 harts`. */
export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}

/** Guest time in seconds from ns. */
export function seconds(ns: number): string {
  return `${(ns / 1e9).toFixed(6)} s`;
}

export function hex(value: bigint | number, digits = 16): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

export function digestText(digest: Uint8Array): string {
  return Buffer.from(digest).toString('hex');
}

/** Rows with their columns lined up. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A value of a journal entry, an input or a state as JSON can say it. */
export function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return hex(value, 1);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return value;
}
