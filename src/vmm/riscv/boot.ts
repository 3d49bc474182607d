/** What lies in memory at reset, and where each hart begins: kernels, firmware and bare programs as files give them. */
import { UserError } from '../../base/assert.ts';
import { isElf, readElf } from '../../base/elf.ts';
import { PAGE_BYTES, RAM_BASE, RAM_BYTES_MAX } from '../layout.ts';

const EM_RISCV = 243;

/** A file by the name that messages use. */
export interface NamedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface BootFiles {
  /** `builtin`, `none`, or a firmware of the user's own. */
  readonly bios: 'builtin' | 'none' | NamedFile;
  readonly kernel: NamedFile | null;
  readonly initrd: NamedFile | null;
}

export interface BootPiece {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Whole pages of RAM in a row, from `first` to before `end`. */
export interface BootSpan {
  readonly first: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/**
 * What lies in memory at reset. Kernels are large, and a guest needs few of their pages at once: whole pages of a file are no copies, and are asked for one by one.
 * Of pieces that overlap the later ones count.
 */
export class BootImage {
  /** Ascending, none over another. */
  readonly spans: readonly BootSpan[];
  /** That which was asked last. */
  #last: BootSpan | undefined;

  constructor(pieces: readonly BootPiece[]) {
    const there = pieces.filter(({ bytes }) => bytes.length > 0);
    const limits = there.flatMap(({ address, bytes }) => [address - RAM_BASE, address - RAM_BASE + bytes.length]);
    const edges = new Set(limits.flatMap((at) => [Math.floor(at / PAGE_BYTES), Math.ceil(at / PAGE_BYTES)]));
    const ordered = [...edges].sort((a, b) => a - b);
    // From one edge to the next a piece has all or nothing; or there is but one page, a part of which it has.
    this.spans = ordered.slice(1).flatMap((end, i) => spanOf(there, ordered[i], end) ?? []);
  }

  /** The bytes from a page on to the end of its span, not to be written; null for a page that has nothing of the pieces. */
  from(page: number): Uint8Array | null {
    const has = (span: BootSpan) => span.first <= page && page < span.end;
    if (!this.#last || !has(this.#last)) this.#last = this.spans.find(has);
    const span = this.#last;
    return span ? span.bytes.subarray((page - span.first) * PAGE_BYTES) : null;
  }
}

function spanOf(pieces: readonly BootPiece[], first: number, end: number): BootSpan | null {
  const [start, stop] = [RAM_BASE + first * PAGE_BYTES, RAM_BASE + end * PAGE_BYTES];
  const here = pieces.filter(({ address, bytes }) => address < stop && address + bytes.length > start);
  const top = here.at(-1);
  if (!top) return null;
  if (top.address <= start && top.address + top.bytes.length >= stop) {
    return { first, end, bytes: top.bytes.subarray(start - top.address, stop - top.address) };
  }
  const bytes = new Uint8Array(stop - start);
  for (const piece of here) {
    const from = Math.max(piece.address, start);
    bytes.set(piece.bytes.subarray(from - piece.address, stop - piece.address), from - start);
  }
  return { first, end, bytes };
}

export interface BootPlan {
  /** How harts start: in S-mode under the built-in firmware, or in M-mode. */
  readonly mode: 'supervisor' | 'machine';
  readonly entry: number;
  readonly pieces: BootPiece[];
  readonly initrd: { readonly start: number; readonly end: number } | null;
  /** Where the device tree goes. */
  readonly treeAddress: number;
  /** Where the fw_dynamic information goes. */
  readonly dynamicAddress: number;
  readonly kernelEntry: number;
  /** Address of the HTIF word `tohost` of a bare program, or 0. */
  readonly tohost: number;
}

/** Kernels under a firmware go 2 MiB above the base of RAM, as QEMU and OpenSBI have it. */
const KERNEL_OFFSET = 0x200000;
/** Room at the top of RAM for the device tree and the firmware's information. */
const TREE_BYTES = 0x200000;
const DYNAMIC_OFFSET = 0x1ff000;

interface Loaded {
  readonly entry: number;
  readonly pieces: readonly BootPiece[];
  readonly end: number;
  readonly tohost: number;
}

export function planBoot(files: BootFiles, memoryBytes: number): BootPlan {
  const top = RAM_BASE + memoryBytes;
  const treeAddress = Math.floor((top - TREE_BYTES) / TREE_BYTES) * TREE_BYTES;
  const { bios, kernel, initrd } = files;
  const pieces: BootPiece[] = [];
  let entry = 0;
  let kernelEntry = 0;
  let tohost = 0;
  let end = RAM_BASE;
  if (bios === 'none') {
    if (!kernel) throw new UserError('--bios none needs --kernel: a bare-metal program to run');
    const program = loadProgram(kernel, RAM_BASE);
    entry = program.entry;
    tohost = program.tohost;
    pieces.push(...program.pieces);
    end = program.end;
  } else {
    if (bios !== 'builtin') {
      const firmware = loadProgram(bios, RAM_BASE);
      entry = firmware.entry;
      pieces.push(...firmware.pieces);
      end = firmware.end;
    }
    if (!kernel && bios === 'builtin') throw new UserError('--kernel is missing: name a kernel to run');
    if (kernel) {
      const program = loadKernel(kernel);
      if (program.entry < end && bios !== 'builtin') {
        throw new UserError(`${kernel.name}: loads over the firmware, which ends at 0x${end.toString(16)}`);
      }
      kernelEntry = program.entry;
      if (bios === 'builtin') entry = program.entry;
      pieces.push(...program.pieces);
      end = Math.max(end, program.end);
    }
  }
  let initrdRange: BootPlan['initrd'] = null;
  if (initrd) {
    const start = Math.floor((treeAddress - initrd.bytes.length) / PAGE_BYTES) * PAGE_BYTES;
    if (start < end) throw tooBig(initrd.name, initrd.bytes.length, memoryBytes);
    initrdRange = { start, end: start + initrd.bytes.length };
    pieces.push({ address: start, bytes: initrd.bytes });
  }
  for (const piece of pieces) {
    const file = bios !== 'none' && bios !== 'builtin' && piece.address < kernelEntry ? bios : (kernel ?? initrd);
    if (piece.address < RAM_BASE || piece.address >= RAM_BASE + RAM_BYTES_MAX) {
      const [address, base] = [piece.address, RAM_BASE].map((n) => `0x${n.toString(16)}`);
      throw new UserError(
        `${file?.name}: loads at ${address}; it must be linked for this board, whose RAM begins at ${base}`,
      );
    }
  }
  if (end > treeAddress) throw tooBig(kernel?.name ?? 'the firmware', end - RAM_BASE, memoryBytes);
  return {
    mode: bios === 'builtin' ? 'supervisor' : 'machine',
    entry,
    pieces,
    initrd: initrdRange,
    treeAddress,
    dynamicAddress: treeAddress + DYNAMIC_OFFSET,
    kernelEntry,
    tohost,
  };
}

function tooBig(name: string, bytes: number, memoryBytes: number): UserError {
  const mib = (n: number) => Math.ceil(n / 2 ** 20);
  return new UserError(
    `${name}: ${mib(bytes)} MiB do not fit into the guest's ${mib(memoryBytes)} MiB of memory; give it more with --memory`,
  );
}

/** An ELF program by its segments, or a flat binary at the base. */
function loadProgram(file: NamedFile, base: number): Loaded {
  if (!isElf(file.bytes)) return flat(file, base, base);
  const elf = readElf(file.name, file.bytes, EM_RISCV);
  const pieces = elf.segments.map((s) => ({ address: Number(s.address), bytes: s.data }));
  const end = Math.max(...elf.segments.map((s) => Number(s.address) + s.memoryBytes));
  return { entry: Number(elf.entry), pieces, end, tohost: Number(elf.symbol('tohost') ?? 0n) };
}

function flat(file: NamedFile, base: number, entry: number, memoryBytes = file.bytes.length): Loaded {
  return { entry, pieces: [{ address: base, bytes: file.bytes }], end: base + memoryBytes, tohost: 0 };
}

/**
 * A Linux `Image`, with or without an EFI stub (Documentation/arch/riscv/boot-image-header.rst); an ELF kernel, whose virtual
 * entry is taken relative to its first segment; anything else is refused.
 */
function loadKernel(file: NamedFile): Loaded {
  const { name, bytes } = file;
  if (isElf(bytes)) {
    const elf = readElf(name, bytes, EM_RISCV);
    const program = loadProgram(file, RAM_BASE);
    const inSegment = elf.segments.some((s) => {
      const start = Number(s.address);
      return program.entry >= start && program.entry < start + s.memoryBytes;
    });
    const lowest = Math.min(...elf.segments.map((s) => Number(s.address)));
    return inSegment ? program : relocated(program, lowest);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = bytes.length < 64 ? 0 : view.getUint32(56, true);
  if (magic === 0x644d5241) throw new UserError(`${name}: a Linux Image for Arm; one for RISC-V is needed`);
  if (magic !== 0x05435352) {
    const what = 'not a kernel for RISC-V: a Linux Image (magic "RSC\\x05" at offset 56) or an ELF file is needed';
    throw new UserError(`${name}: ${what}`);
  }
  const textOffset = Number(view.getBigUint64(8, true));
  const imageBytes = Number(view.getBigUint64(16, true));
  const base = RAM_BASE + (textOffset || KERNEL_OFFSET);
  return flat(file, base, base, Math.max(imageBytes, bytes.length));
}

/** A kernel linked to virtual addresses (Linux `vmlinux`) is loaded with its first segment where an Image would be. */
function relocated(program: Loaded, lowest: number): Loaded {
  const shift = lowest >= RAM_BASE && lowest < 2 ** 33 ? 0 : RAM_BASE + KERNEL_OFFSET - lowest;
  return {
    entry: RAM_BASE + KERNEL_OFFSET,
    pieces: program.pieces.map((p) => ({ address: p.address + shift, bytes: p.bytes })),
    end: program.end + shift,
    tohost: 0,
  };
}

/** The structure that OpenSBI's fw_dynamic finds by register a2 (OpenSBI, include/sbi/fw_dynamic.h, version 2). */
export function dynamicInfo(kernelEntry: number): Uint8Array {
  const words = [0x4942534fn, 2n, BigInt(kernelEntry), 1n, 0n, 0n];
  const bytes = new Uint8Array(words.length * 8);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => {
    view.setBigUint64(i * 8, word, true);
  });
  return bytes;
}
