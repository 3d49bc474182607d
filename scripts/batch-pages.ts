/**
 * Sv39 page tables for the cases of a batch: every second page of a pair has its own kind of entry, so that an access
 * across the boundary meets it half-way.
 */
import { type Case, FREE_ADDRESS, MEMORY_ADDRESS } from './insn-batch.ts';

const PTE = { valid: 1, read: 2, write: 4, execute: 8, user: 16, accessed: 64, dirty: 128 } as const;
const PAGE_BYTES = 0x1000;
const SATP_CSR = 0x180;
const SATP_SV39 = 8n << 60n;

const { valid, read, write, execute, user, accessed, dirty } = PTE;
const whole = valid | read | write | execute | accessed | dirty;

/** Flags of the second page; `user` is turned over for what the mode may not touch. */
const KINDS = {
  whole,
  unmapped: 0,
  readOnly: valid | read | accessed | dirty,
  executeOnly: valid | execute | accessed | dirty,
  notAccessed: whole & ~(accessed | dirty),
  notDirty: whole & ~dirty,
  otherMode: whole,
  writeWithoutRead: valid | write | accessed | dirty,
  reservedBits: whole,
} as const;
export type PageKind = keyof typeof KINDS;
export const PAGE_KINDS = Object.keys(KINDS) as PageKind[];

/** Virtual addresses from here on, two pages for each kind. */
const PAIRS_ADDRESS = 0x40000000;
const TABLES_PER_MODE = 3;

/** What goes into `preload`: tables for S mode, then for U mode. The code runs at its physical address. */
export function pageTables(): { address: number; data: Uint8Array }[] {
  return (['S', 'U'] as const).map((mode) => ({ address: rootAddress(mode), data: tables(mode) }));
}

/** What makes a case run translated. */
export function translated(mode: 'S' | 'U'): Required<Pick<Case, 'mode' | 'set'>> {
  return { mode, set: [[SATP_CSR, SATP_SV39 | BigInt(rootAddress(mode) / PAGE_BYTES)]] };
}

/** The virtual address of the case's memory, whose second half lies on a page of that kind. */
export function windowAddress(kind: PageKind): bigint {
  return BigInt(PAIRS_ADDRESS + PAGE_KINDS.indexOf(kind) * 2 * PAGE_BYTES + (MEMORY_ADDRESS % PAGE_BYTES));
}

function rootAddress(mode: 'S' | 'U'): number {
  return FREE_ADDRESS + (mode === 'S' ? 0 : TABLES_PER_MODE * PAGE_BYTES);
}

function tables(mode: 'S' | 'U'): Uint8Array {
  const data = new Uint8Array(TABLES_PER_MODE * PAGE_BYTES);
  const view = new DataView(data.buffer);
  const own = mode === 'U' ? user : 0;
  const entry = (table: number, index: number, target: number, flags: number) => {
    const pageNumber = BigInt(Math.floor(target / PAGE_BYTES));
    view.setBigUint64(table * PAGE_BYTES + 8 * index, (pageNumber << 10n) | BigInt(flags), true);
  };
  const root = rootAddress(mode);
  entry(0, PAIRS_ADDRESS / 2 ** 30, root + PAGE_BYTES, valid);
  entry(0, 2, 0x80000000, whole | own);
  entry(1, 0, root + 2 * PAGE_BYTES, valid);
  PAGE_KINDS.forEach((kind, index) => {
    const flags = kind === 'otherMode' ? KINDS[kind] | (own ^ user) : kind === 'unmapped' ? 0 : KINDS[kind] | own;
    const second = MEMORY_ADDRESS + PAGE_BYTES;
    entry(2, 2 * index, MEMORY_ADDRESS, whole | own);
    entry(2, 2 * index + 1, second, flags);
    if (kind === 'reservedBits') data[2 * PAGE_BYTES + 8 * (2 * index + 1) + 7] = 0x08;
  });
  return data;
}
