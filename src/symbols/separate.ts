/** Debug information in a file of its own, as distributions have it: where it may be, and whether it is the right one. */
import { crc32 } from 'node:zlib';
import { ElfFile, type SymbolSource } from './elf.ts';

const CHUNK_BYTES = 4 * 2 ** 20;

/**
 * Paths at which the debug information of a stripped file is looked for, best first: by its build id below each root, and by the name in `.gnu_debuglink` beside the
 * file, in `.debug` there, and below each root (gdb's documentation, "Debugging Information in Separate Files").
 */
export function debugFilePaths(elf: ElfFile, path: string, roots: readonly string[]): string[] {
  const paths: string[] = [];
  const id = elf.buildId();
  if (id && id.length > 2)
    for (const root of roots) paths.push(`${root}/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`);
  const link = elf.debugLink();
  if (link) {
    const slash = path.lastIndexOf('/');
    const folder = slash < 0 ? '.' : path.slice(0, slash);
    paths.push(`${folder}/${link.name}`, `${folder}/.debug/${link.name}`);
    if (folder.startsWith('/')) for (const root of roots) paths.push(`${root}${folder}/${link.name}`);
  }
  return paths.filter((candidate) => candidate !== path);
}

/** Whether a file has the debug information of another: it has the same build id, or the CRC-32 that `.gnu_debuglink` says. */
export function isDebugFileOf(elf: ElfFile, candidate: SymbolSource): boolean {
  const id = elf.buildId();
  if (id !== null) return new ElfFile(candidate).buildId() === id;
  const link = elf.debugLink();
  if (!link) return false;
  let crc = 0;
  for (let at = 0; at < candidate.bytes; at += CHUNK_BYTES) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, candidate.bytes - at));
    candidate.read(chunk, at);
    crc = crc32(chunk, crc);
  }
  return crc === link.crc;
}
