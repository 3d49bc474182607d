/** Guest-physical RAM as bus masters and loaders see it, over the machine's pages; and disks as storage over theirs. */
import { assert } from '../base/assert.ts';
import type { DiskStorage, GuestMemory } from './device.ts';
import { PAGE_BYTES, RAM_BASE } from './layout.ts';
import type { Pages } from './pages.ts';

/** Calls `visit` for each page that a range touches: page number, offset in the page, and offset in the range. */
function eachPage(
  start: number,
  length: number,
  visit: (page: number, within: number, at: number, count: number) => void,
): void {
  for (let at = 0; at < length; ) {
    const page = Math.floor((start + at) / PAGE_BYTES);
    const within = (start + at) % PAGE_BYTES;
    const count = Math.min(PAGE_BYTES - within, length - at);
    visit(page, within, at, count);
    at += count;
  }
}

/** Hears of each access of a bus master. */
type MemoryObserver = (write: boolean, address: number, length: number) => void;

export class Ram implements GuestMemory {
  readonly bytes: number;
  readonly #pages: Pages;
  /** Tells the harts that a page has changed under them. */
  readonly #written: (page: number) => void;
  readonly #accessed: MemoryObserver;

  constructor(pages: Pages, written: (page: number) => void, accessed: MemoryObserver = () => {}) {
    this.#pages = pages;
    this.bytes = pages.ramPages * PAGE_BYTES;
    this.#written = written;
    this.#accessed = accessed;
  }

  contains(address: number, length: number): boolean {
    return address >= RAM_BASE && length >= 0 && address + length <= RAM_BASE + this.bytes;
  }

  read(address: number, length: number): Uint8Array {
    assert(this.contains(address, length), `read of ${length} bytes at 0x${address.toString(16)}, not RAM`);
    this.#accessed(false, address, length);
    const result = new Uint8Array(length);
    eachPage(address - RAM_BASE, length, (page, within, at, count) => {
      const bytes = this.#pages.read(page);
      if (bytes) result.set(bytes.subarray(within, within + count), at);
    });
    return result;
  }

  write(address: number, bytes: Uint8Array): void {
    assert(
      this.contains(address, bytes.length),
      `write of ${bytes.length} bytes at 0x${address.toString(16)}, not RAM`,
    );
    this.#accessed(true, address, bytes.length);
    eachPage(address - RAM_BASE, bytes.length, (page, within, at, count) => {
      this.#pages.write(page).set(bytes.subarray(at, at + count), within);
      this.#written(page);
    });
  }

  u8(address: number): number {
    return this.#view(address, 1).getUint8(0);
  }
  u16(address: number): number {
    return this.#view(address, 2).getUint16(0, true);
  }
  u32(address: number): number {
    return this.#view(address, 4).getUint32(0, true);
  }
  u64(address: number): number {
    const view = this.#view(address, 8);
    return view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  }
  setU8(address: number, value: number): void {
    this.write(address, Uint8Array.of(value));
  }
  setU16(address: number, value: number): void {
    this.write(address, Uint8Array.of(value, value >> 8));
  }
  setU32(address: number, value: number): void {
    this.write(address, Uint8Array.of(value, value >> 8, value >> 16, value >> 24));
  }

  #view(address: number, length: number): DataView {
    const bytes = this.read(address, length);
    return new DataView(bytes.buffer);
  }
}

/** A disk: its blocks are pages of the machine; one that was never touched comes from outside, as an input, on its first read. */
export class PagedDisk implements DiskStorage {
  readonly size: number;
  readonly readOnly: boolean;
  readonly #pages: Pages;
  readonly #firstPage: number;
  readonly #fetch: (block: number) => Uint8Array;

  constructor(pages: Pages, firstPage: number, size: number, readOnly: boolean, fetch: (block: number) => Uint8Array) {
    this.#pages = pages;
    this.#firstPage = firstPage;
    this.size = size;
    this.readOnly = readOnly;
    this.#fetch = fetch;
  }

  read(offset: number, length: number): Uint8Array {
    assert(offset >= 0 && offset + length <= this.size, `disk read of ${length} bytes at ${offset}`);
    const result = new Uint8Array(length);
    eachPage(offset, length, (block, within, at, count) => {
      result.set(this.#block(block).subarray(within, within + count), at);
    });
    return result;
  }

  write(offset: number, bytes: Uint8Array): void {
    assert(offset >= 0 && offset + bytes.length <= this.size, `disk write of ${bytes.length} bytes at ${offset}`);
    eachPage(offset, bytes.length, (block, within, at, count) => {
      if (count < PAGE_BYTES) this.#block(block);
      this.#pages.write(this.#firstPage + block).set(bytes.subarray(at, at + count), within);
    });
  }

  #block(block: number): Uint8Array {
    const page = this.#firstPage + block;
    if (!this.#pages.present(page)) {
      const data = this.#fetch(block);
      assert(data.length === PAGE_BYTES, 'a disk block has 4096 bytes');
      this.#pages.write(page).set(data);
    }
    return this.#pages.read(page)!;
  }
}
