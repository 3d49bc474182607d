/** Numbers and bytes as the protocol writes them: hexadecimal, registers and memory in the target's byte order (little-endian). */

export const hexOfBytes = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const hexOfText = (text: string): string => Buffer.from(text, 'utf8').toString('hex');

/** A value as `bits` / 8 bytes, little-endian. */
export function hexOfValue(value: bigint, bits: number): string {
  const digits = BigInt.asUintN(bits, value)
    .toString(16)
    .padStart(bits / 4, '0');
  return digits.match(/../g)!.reverse().join('');
}

/** A value of `bits` / 8 bytes, little-endian; null if the text is none. */
export function parseValue(text: string, bits: number): bigint | null {
  const bytes = parseBytes(text);
  if (bytes?.length !== bits / 8) return null;
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** A hexadecimal number of up to 64 bits; null if the text is none. */
export function parseHex(text: string): bigint | null {
  return /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : null;
}

/** A hexadecimal count below a bound; null if the text is none. */
export function parseCount(text: string, below: number): number | null {
  const value = parseHex(text);
  return value !== null && value < BigInt(below) ? Number(value) : null;
}

/** Bytes given by two digits each; null if the text is none. */
export function parseBytes(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return null;
  return Buffer.from(text, 'hex');
}
