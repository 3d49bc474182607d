/** What options say, read strictly: every refusal names the option, what it was given and what is needed. */
import { UserError } from '../base/assert.ts';

/** A whole number such as 5000, 5_000, 5,000 or 5e3. */
export function parseWhole(option: string, text: string, low: number, high: number): number {
  const plain = text.replaceAll(/(?<=\d)[,_](?=\d)/g, '');
  const value = /^\d+(e\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw new UserError(`${option} ${shown(text)}: a whole number from ${low} to ${high} is needed`);
  }
  return value;
}

export function parseNumber(option: string, text: string, low: number, high: number): number {
  const value = /^(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value >= low && value <= high)) {
    throw new UserError(`${option} ${shown(text)}: a number from ${low} to ${high} is needed`);
  }
  return value;
}

/** A size such as 512M, in whole mebibytes. */
export function parseMemory(option: string, text: string, low: number, high: number): number {
  const match = /^(\d+)([KMG]?)(i?B)?$/i.exec(text.trim());
  const unit = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[match?.[2].toUpperCase() ?? ''] ?? 1;
  const bytes = match ? Number(match[1]) * unit : Number.NaN;
  if (!(bytes >= low && bytes <= high) || bytes % 2 ** 20 !== 0) {
    throw new UserError(`${option} ${shown(text)}: whole mebibytes from 16M to 2G are needed, such as 512M`);
  }
  return bytes;
}

/** A moment, in ns since 1970. */
export function parseTime(option: string, text: string): bigint {
  const ms = Date.parse(text);
  if (Number.isNaN(ms) || ms < 0) {
    throw new UserError(`${option} ${shown(text)}: a date such as 2026-01-01T00:00:00Z is needed`);
  }
  return BigInt(ms) * 1_000_000n;
}

/** One or more of a few words, with commas between. */
export function parseChoices<T extends string>(option: string, text: string, choices: readonly T[]): T[] {
  return text.split(',').map((word) => {
    const choice = choices.find((c) => c === word.trim());
    if (choice === undefined) {
      throw new UserError(`${option} ${shown(text)}: '${word.trim()}' is not one of ${choices.join(', ')}`);
    }
    return choice;
  });
}

const shown = (text: string) => (text.trim() === '' ? `'${text}'` : text);
