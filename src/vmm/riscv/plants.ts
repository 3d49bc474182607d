/**
 * Probes on instructions. Where one is asked for, the interpreter's record of the instruction is replaced by a plant: a record whose handler
 * asks the host, and which names a place beside the page where the original record goes on to live.
 *
 * A virtual address is planted in each page that it is seen to map to: every pair of a virtual and a physical page passes `pageEntered` when
 * a hart enters it for the first time after a change of the probes, because the entries for quick fetches are dropped then. The same page may be
 * mapped elsewhere, so the pc decides when a plant is met.
 */
import { assert } from '../../base/assert.ts';
import {
  G,
  PAGE_BYTES,
  PLANT_BYTES,
  PLANTS_BASE,
  PLANTS_MAX,
  RAM_BASE,
  RECORD_BYTES,
  RECORDS_PER_PAGE,
} from '../layout.ts';
import { HANDLER } from './decoder.ts';

interface Plant {
  readonly page: number;
  /** Halfword in the page. */
  readonly half: number;
  /** Reported wherever the page is mapped. */
  physical: boolean;
  /** Reported at these virtual addresses: signed, as generated code gives them. */
  readonly virtual: Set<bigint>;
}

export interface PlantsHost {
  /** Address of a page's records, 0 for none. */
  records(page: number): number;
  /** Writes the original record of an instruction, wherever. */
  decode(record: number, page: number, half: number): void;
  /** Code compiled from the page must not run any more. */
  forgetRegions(page: number): void;
  /** The pairs of pages that harts execute from now. */
  presentPages(): Iterable<readonly [virtual: bigint, page: number]>;
  /** Every page that is entered passes `pageEntered` again. */
  dropFetchEntries(): void;
}

const EXTRAS = { end: 1, wideEnd: 2, straddledEnd: 4 } as const;
const pageOf = (address: bigint) => address & -BigInt(PAGE_BYTES);

export class Plants {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #host: PlantsHost;
  /** By page and halfword. */
  readonly #pages = new Map<number, Map<number, number>>();
  /** By number; free ones are holes. */
  readonly #plants: (Plant | null)[] = [];
  readonly #free: number[] = [];
  /** Virtual addresses asked for, by their page; physical ones as page and halfword. */
  #virtual = new Map<bigint, bigint[]>();
  #physical: { readonly page: number; readonly half: number }[] = [];

  constructor(memory: WebAssembly.Memory, host: PlantsHost) {
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#host = host;
  }

  /** Asks for these addresses, and no others. What stays is left where it is planted. */
  set(virtual: readonly bigint[], physical: readonly bigint[], ramPages: number): void {
    const wanted = new Set(virtual.map((address) => BigInt.asIntN(64, address)));
    const fresh = [...wanted].some((address) => !this.#virtual.get(pageOf(address))?.includes(address));
    this.#virtual = new Map();
    for (const address of wanted) {
      const page = pageOf(address);
      const there = this.#virtual.get(page);
      if (there) there.push(address);
      else this.#virtual.set(page, [address]);
    }
    this.#physical = physical
      .map((address) => Number(address) - RAM_BASE)
      .filter((offset) => offset >= 0 && offset < ramPages * PAGE_BYTES)
      .map((offset) => ({ page: Math.floor(offset / PAGE_BYTES), half: (offset % PAGE_BYTES) >> 1 }));
    this.#plants.forEach((plant, number) => {
      if (!plant) return;
      plant.physical = this.#physical.some(({ page, half }) => page === plant.page && half === plant.half);
      for (const address of plant.virtual) if (!wanted.has(address)) plant.virtual.delete(address);
      if (!plant.physical && plant.virtual.size === 0) this.#pull(number, plant);
    });
    for (const { page, half } of this.#physical) this.#plant(page, half).physical = true;
    this.#view.setInt32(G.probeCode, wanted.size > 0 ? 1 : 0, true);
    if (fresh) this.#host.dropFetchEntries();
    this.plantPresent();
  }

  /** Plants in the pages that harts are in: they have been entered already. */
  plantPresent(): void {
    if (this.#virtual.size === 0) return;
    for (const [virtual, page] of this.#host.presentPages()) this.pageEntered(virtual, page);
  }

  /** A hart enters a page for execution. */
  pageEntered(virtual: bigint, page: number): void {
    for (const address of this.#virtual.get(pageOf(virtual)) ?? []) {
      this.#plant(page, Number(address & BigInt(PAGE_BYTES - 1)) >> 1).virtual.add(address);
    }
  }

  /** A record has just been decoded: turns it into a plant where one is asked for. */
  decoded(record: number, page: number, half: number): void {
    const number = this.#pages.get(page)?.get(half);
    if (number === undefined) return;
    const place = PLANTS_BASE + number * PLANT_BYTES;
    this.#bytes.fill(0, place, place + PLANT_BYTES);
    this.#host.decode(place, page, half);
    const end = (extra: number) => this.#view.setUint8(place + extra * RECORD_BYTES, HANDLER.pageEnd);
    end(EXTRAS.end);
    end(EXTRAS.straddledEnd);
    // Behind an instruction that straddles the page's end, its whole form is decoded in the third place (see interpreter.ts).
    if (this.#view.getUint8(place) !== HANDLER.straddle) end(EXTRAS.wideEnd);
    this.#view.setUint8(record, HANDLER.probe);
    this.#view.setInt32(record + 8, place, true);
  }

  anyIn(page: number): boolean {
    return this.#pages.has(page);
  }
  /** Whether a probe is planted at an offset of a page. */
  has(page: number, offset: number): boolean {
    return this.#pages.get(page)?.has(offset >> 1) ?? false;
  }

  /** Whether the plant at a place of linear memory is meant for a pc, given as a signed number. */
  isMeant(place: number, pc: bigint): boolean {
    const plant = this.#plants[(place - PLANTS_BASE) / PLANT_BYTES];
    assert(plant, 'a plant that is met is there');
    return plant.physical || plant.virtual.has(pc);
  }

  #plant(page: number, half: number): Plant {
    assert(half >= 0 && half < RECORDS_PER_PAGE, `halfword ${half} of a page`);
    const known = this.#pages.get(page)?.get(half);
    if (known !== undefined) return this.#plants[known]!;
    if (this.#free.length === 0 && this.#plants.length === PLANTS_MAX) this.#startOver();
    const plant: Plant = { page, half, physical: false, virtual: new Set() };
    const number = this.#free.pop() ?? this.#plants.length;
    this.#plants[number] = plant;
    const there = this.#pages.get(page);
    if (there) there.set(half, number);
    else this.#pages.set(page, new Map([[half, number]]));
    this.#decodeAnew(plant);
    return plant;
  }

  /** Pages that were entered long ago may hold most plants: only those that are wanted again come back. */
  #startOver(): void {
    this.#plants.forEach((plant, number) => {
      if (plant) this.#pull(number, plant);
    });
    this.#host.dropFetchEntries();
    for (const { page, half } of this.#physical) this.#plant(page, half).physical = true;
    this.plantPresent();
  }

  #pull(number: number, plant: Plant): void {
    const there = this.#pages.get(plant.page)!;
    there.delete(plant.half);
    if (there.size === 0) this.#pages.delete(plant.page);
    this.#plants[number] = null;
    this.#free.push(number);
    this.#decodeAnew(plant);
  }

  /** The record is decoded when it is next run, and so is code compiled. */
  #decodeAnew({ page, half }: Plant): void {
    const records = this.#host.records(page);
    if (records === 0) return;
    this.#view.setUint8(records + half * RECORD_BYTES, HANDLER.undecoded);
    this.#host.forgetRegions(page);
  }
}
