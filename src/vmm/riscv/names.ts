/** Names for people: of interrupts, exceptions and calls of the SBI, as the specifications give them. */

/** Privileged specification, table of mcause values. */
export const INTERRUPTS: Readonly<Record<number, string>> = {
  1: 'supervisor software interrupt',
  3: 'machine software interrupt',
  5: 'supervisor timer interrupt',
  7: 'machine timer interrupt',
  9: 'supervisor external interrupt',
  11: 'machine external interrupt',
};

export const EXCEPTIONS: Readonly<Record<number, string>> = {
  0: 'instruction address misaligned',
  1: 'instruction access fault',
  2: 'illegal instruction',
  3: 'breakpoint',
  4: 'load address misaligned',
  5: 'load access fault',
  6: 'store address misaligned',
  7: 'store access fault',
  8: 'environment call from U-mode',
  9: 'environment call from S-mode',
  11: 'environment call from M-mode',
  12: 'instruction page fault',
  13: 'load page fault',
  15: 'store page fault',
};

/** SBI specification: an extension's number is its name in ASCII, but for the oldest. */
const SBI_EXTENSIONS: Record<number, string> = { 0: 'set timer', 1: 'console putchar', 16: 'base', 8: 'shutdown' };

export const interruptName = (code: number): string => INTERRUPTS[code] ?? `interrupt ${code}`;
export const exceptionName = (code: number): string => EXCEPTIONS[code] ?? `exception ${code}`;

export function sbiName(extension: number): string {
  const ascii = [24, 16, 8, 0].map((shift) => String.fromCharCode((extension >>> shift) & 0xff)).join('');
  const text = ascii.replace(/^\0+/, '');
  return SBI_EXTENSIONS[extension] ?? (/^[A-Za-z]+$/.test(text) ? text : `extension ${extension}`);
}
