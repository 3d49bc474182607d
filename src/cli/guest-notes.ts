/** What a person wants to know of a guest and its files tell: written into the header of its trace. */
import type { NamedFile } from '../vmm/riscv/boot.ts';

const BANNER = Buffer.from('Linux version ');
const RELEASE_LENGTH_MAX = 64;
/** Sections of an `Image` begin at multiples of this, and that with the banner has it near its beginning: the whole takes 5 ms to search. */
const SECTION_BYTES = 2 ** 21;
const NEAR_BYTES = 2 ** 14;

/** The release of a Linux kernel, such as `6.12.1`, by the banner that every one of them contains; null for other programs. */
export function linuxRelease(kernel: NamedFile): string | null {
  const { buffer, byteOffset, length } = kernel.bytes;
  const bytes = Buffer.from(buffer, byteOffset, length);
  for (let at = 0; at < length; at += SECTION_BYTES) {
    const release = releaseIn(bytes.subarray(at, at + NEAR_BYTES));
    if (release) return release;
  }
  return releaseIn(bytes);
}

function releaseIn(bytes: Buffer): string | null {
  for (let at = bytes.indexOf(BANNER); at >= 0; at = bytes.indexOf(BANNER, at + 1)) {
    const from = at + BANNER.length;
    const text = bytes.toString('latin1', from, from + RELEASE_LENGTH_MAX);
    // One of the places where the words stand has a %s behind them.
    const release = /^(\d+\.\d+[\w.+~-]*) /.exec(text);
    if (release) return release[1];
  }
  return null;
}
