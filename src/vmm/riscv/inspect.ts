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
 * at every step of something: it allocates nothing, and calculates in whole numbers below 2^53.
 */
export function readNumber(machine: VirtMachine, hart: number, address: bigint, size: 1 | 2 | 4 | 8): bigint | null {
  const at = Number(address & BigInt(PAGE_BYTES - 1));
  if (at + size > PAGE_BYTES) {
    const bytes = readVirtual(machine, hart, address, size);
    return bytes?.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n) ?? null;
  }
  const { pages } = machine;
  const page = pageNumber(pages, activeSatp(machine, hart), Number(BigInt.asUintN(64, address) >> 12n));
  return page === null ? null : pages.number(page, at, size);
}

/** Number of the page of RAM that a virtual page is mapped to, by a walk as above. */
function pageNumber(pages: Pages, satp: bigint, virtual: number): number | null {
  const ram = (page: number) => {
    const number = page - RAM_BASE / PAGE_BYTES;
    return number < 0 || number >= pages.ramPages ? null : number;
  };
  const mode = Number(satp >> 60n);
  if (mode === 0) return ram(virtual);
  let table = ram(Number(satp & PPN_MASK));
  for (let level = mode - 6; level >= 0 && table !== null; level--) {
    const span = 2 ** (9 * level);
    const entry = (Math.floor(virtual / span) & 511) * 8;
    const [low, high] = [pages.word(table, entry), pages.word(table, entry + 4)];
    if (!(low & 1)) return null;
    const target = (high & 0x3fffff) * 2 ** 22 + (low >>> 10);
    if (low & 10) return ram(target - (target % span) + (virtual % span));
    table = ram(target);
  }
  return null;
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
