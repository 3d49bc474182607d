/** Looking at a machine without touching it: virtual memory as a hart sees it, registers, code. No TLB is filled, no bit is set. */
import { assert } from '../../base/assert.ts';
import { PAGE_BYTES, RAM_BASE } from '../layout.ts';
import type { Pages } from '../pages.ts';
import { type Disassembly, disassemble } from './disassembler.ts';
import { PRIV } from './hart.ts';
import type { VirtMachine } from './virt.ts';

/** What page tables say of a virtual address. */
export interface Walk {
  /** Null where nothing is mapped. */
  readonly physical: bigint | null;
  /** Physical addresses of the page table entries that were read, from the root on. */
  readonly entries: readonly bigint[];
}

/** Walks the page tables of a value of satp (privileged specification, 12.3 to 12.5); no permissions are looked at. */
export function walk(machine: VirtMachine, satp: bigint, address: bigint): Walk {
  const mode = Number(satp >> 60n);
  if (mode === 0) return { physical: address, entries: [] };
  const entries: bigint[] = [];
  let table = (satp & PPN_MASK) << 12n;
  for (let level = mode - 6; level >= 0; level--) {
    const shift = BigInt(12 + 9 * level);
    const entry = table + ((address >> shift) & 511n) * 8n;
    const bytes = readPhysical(machine, entry, 8);
    if (!bytes) break;
    entries.push(entry);
    const pte = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    if (!(pte & 1n)) break;
    const base = ((pte >> 10n) & PPN_MASK) << 12n;
    if (pte & 10n) {
      const mask = (1n << shift) - 1n;
      return { physical: (base & ~mask) | (address & mask), entries };
    }
    table = base;
  }
  return { physical: null, entries };
}

/** Physical page number: the low 44 bits of satp, and of a page table entry after its flags. */
export const PPN_MASK = (1n << 44n) - 1n;

/** The value of satp by which a hart translates now: 0, which is no translation, in machine mode. */
export function activeSatp(machine: VirtMachine, hart: number): bigint {
  return machine.cpu.get32(hart, 'privilege') === PRIV.M ? 0n : machine.cpu.get(hart, 'satp');
}

/** Physical address of a virtual one as the hart's page tables have it now; null where nothing is mapped. */
export function translate(machine: VirtMachine, hart: number, address: bigint): bigint | null {
  return walk(machine, activeSatp(machine, hart), address).physical;
}

/** RAM at a physical address; null where the range leaves RAM. */
export function readPhysical(machine: VirtMachine, address: bigint, length: number): Uint8Array | null {
  const offset = address - BigInt(RAM_BASE);
  if (offset < 0n || offset + BigInt(length) > BigInt(machine.pages.ramPages) * BigInt(PAGE_BYTES)) return null;
  const result = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const where = Number(offset) + at;
    const within = where % PAGE_BYTES;
    const count = Math.min(length - at, PAGE_BYTES - within);
    const page = machine.pages.read(Math.floor(where / PAGE_BYTES));
    if (page) result.set(page.subarray(within, within + count), at);
    at += count;
  }
  return result;
}

/** Memory at a virtual address as a hart sees it; null where any of it is not mapped to RAM. */
export function readVirtual(machine: VirtMachine, hart: number, address: bigint, length: number): Uint8Array | null {
  const result = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const where = BigInt.asUintN(64, address + BigInt(at));
    const count = Math.min(length - at, PAGE_BYTES - Number(where % BigInt(PAGE_BYTES)));
    const physical = translate(machine, hart, where);
    const bytes = physical === null ? null : readPhysical(machine, physical, count);
    if (!bytes) return null;
    result.set(bytes, at);
    at += count;
  }
  return result;
}

/**
 * A number of so many bytes at a virtual address as a hart sees it, the lowest byte first; null where any of it is not mapped to RAM. For those who ask
 * at every step of something: it calculates in numbers of 32 bits, and the result is the only BigInt that it makes.
 */
export function readNumber(machine: VirtMachine, hart: number, address: bigint, size: 1 | 2 | 4 | 8): bigint | null {
  WIDE[0] = address;
  const at = HALVES[0] & (PAGE_BYTES - 1);
  if (at + size > PAGE_BYTES) {
    const bytes = readVirtual(machine, hart, address, size);
    return bytes?.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n) ?? null;
  }
  const page = pageOf(machine, hart, HALVES[0], HALVES[1]);
  return page < 0 ? null : machine.pages.number(page, at, size);
}

/** A number of 64 bits, and its halves, the lower one first. */
const WIDE = new BigUint64Array(1);
const HALVES = new Uint32Array(WIDE.buffer);

/** Number of the page of RAM that an address means for a hart, by a walk as above; -1 for none. */
function pageOf({ cpu, pages }: VirtMachine, hart: number, low: number, high: number): number {
  const bare = cpu.get32(hart, 'privilege') === PRIV.M;
  const root = bare ? 0 : cpu.high32(hart, 'satp');
  const mode = root >>> 28;
  if (mode === 0) return high === 0 ? ramPage(pages, low >>> 12) : -1;
  // The three lower levels' indexes lie in 27 bits above the offset, those of the others above them.
  const [lower, upper] = [(low >>> 12) | ((high & 0x7f) << 20), high >>> 7];
  let table = (root & 0xfff) === 0 ? ramPage(pages, cpu.get32(hart, 'satp') >>> 0) : -1;
  for (let level = mode - 6; level >= 0 && table >= 0; level--) {
    const shift = 9 * (level % 3);
    const entry = (((level < 3 ? lower : upper) >>> shift) & 511) * 8;
    const pte = pages.word(table, entry);
    if (!(pte & 1)) return -1;
    // Page numbers have 44 bits, and those of RAM fewer than 22.
    const above = pages.word(table, entry + 4) & 0x3fffff;
    if (pte & 10) {
      const span = 2 ** (9 * level);
      const target = above * 2 ** 22 + (pte >>> 10);
      return ramPage(pages, target - (target % span) + ((upper * 2 ** 27 + lower) % span));
    }
    if (above !== 0) return -1;
    table = ramPage(pages, pte >>> 10);
  }
  return -1;
}

/** Number among the pages of RAM of a physical page; -1 if it is none. */
function ramPage(pages: Pages, page: number): number {
  const number = page - RAM_BASE / PAGE_BYTES;
  return number < pages.ramPages ? Math.max(number, -1) : -1;
}

export interface CodeLine extends Disassembly {
  readonly address: bigint;
}

/** The instruction at an address; null where it cannot be read. */
export function instructionAt(machine: VirtMachine, hart: number, address: bigint): CodeLine | null {
  const low = readVirtual(machine, hart, address, 2);
  if (!low) return null;
  const first = low[0] | (low[1] << 8);
  const high = (first & 3) === 3 ? readVirtual(machine, hart, address + 2n, 2) : null;
  if ((first & 3) === 3 && !high) return null;
  const bits = high ? first | (high[0] << 16) | (high[1] << 24) : first;
  return { address, ...disassemble(bits, address) };
}

/**
 * Code around an address. Going back, instructions have no boundaries of their own: of the starts up to `before` instructions away,
 * the farthest is taken whose decoding comes out exactly at the address and has no invalid instruction.
 */
export function codeAround(machine: VirtMachine, hart: number, pc: bigint, before: number, after: number): CodeLine[] {
  const lines: CodeLine[] = [];
  for (let distance = before * 4; distance > 0 && lines.length === 0; distance -= 2) {
    const run = decodeRun(machine, hart, pc - BigInt(distance), pc);
    if (run && run.length >= Math.min(before, distance / 4)) lines.push(...run.slice(-before));
  }
  for (let at = pc, n = 0; n <= after; n++) {
    const line = instructionAt(machine, hart, at);
    if (!line) break;
    lines.push(line);
    at += BigInt(line.length);
  }
  return lines;
}

function decodeRun(machine: VirtMachine, hart: number, from: bigint, to: bigint): CodeLine[] | null {
  const run: CodeLine[] = [];
  let at = from;
  while (at < to) {
    const line = instructionAt(machine, hart, at);
    if (!line || line.text.startsWith('.')) return null;
    run.push(line);
    at += BigInt(line.length);
  }
  assert(at >= to, 'the run reaches its end');
  return at === to ? run : null;
}
