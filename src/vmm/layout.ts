/**
 * Where things lie in the one WebAssembly memory that a machine lives in. Guest memory and disks are frames of the pool, which
 * takes all that is left after the fixed areas. Units are bytes.
 */

/** WebAssembly's 32-bit address space, reserved at once because growing it would detach every JS view. */
export const MEMORY_BYTES = 2 ** 32;
export const PAGE_BYTES = 4096;
export const PAGE_SHIFT = 12;
/** Where RAM begins in guest-physical memory, as on QEMU's virt board. */
export const RAM_BASE = 0x80000000;
export const RAM_BYTES_MAX = 2 ** 31;
export const HARTS_MAX = 8;
/** Places for virtio devices on the board: two are the console's and the entropy source's, each other one can have a disk. */
export const VIRTIO_SLOTS = 8;
export const DISKS_MAX = VIRTIO_SLOTS - 2;

/** Words that generated code and the run loop share. i64 unless said otherwise. */
export const G = {
  /** Virtual time in ns is clockNs + (position - clockPosition) * clockPs / 1000. */
  clockPosition: 0x400,
  clockNs: 0x408,
  clockPs: 0x410,
  /** Added to the timer's ticks when the guest has written mtime. */
  timeOffset: 0x418,
  /** Position at which the running slice's budget is used up. */
  sliceEnd: 0x420,
  /** Value of a memory-mapped access on its way between the bus and generated code. */
  mmioValue: 0x428,
  ramBytes: 0x430,
  /** i32: 1 while the built-in firmware takes the supervisor's environment calls. */
  firmware: 0x438,
  /** i32: entries in the journal's buffer. */
  journalCount: 0x43c,
  /** i32: physical address of the HTIF `tohost` word, 0 for none. */
  tohost: 0x440,
  /** i32: 1 if a hart beside the running one is runnable, so that giving up the turn helps someone. */
  othersRunnable: 0x444,
  /** i32: minus the number of jumps to a place after which it is worth compiling; 1 for never. */
  hotAfter: 0x448,
  /** What probes look out for (see riscv/watch.ts). i32: ranges of memory, 1 if instructions at virtual addresses, words of registers. */
  probeRanges: 0x44c,
  probeCode: 0x450,
  probeWords: 0x454,
  /** A bit for each cause of exceptions and of interrupts. */
  probeTraps: 0x458,
  probeInterrupts: 0x460,
  /** i32: revision of the emulated hardware (see revision.ts). */
  revision: 0x468,
} as const;

/**
 * Counters of compiled code (see riscv/region.ts), used where counting is on: exits by reason, u32 each; steps taken, i64; exits in all, i32. The
 * last exits are written down in turn: reason u8, address i64 at 8.
 */
export const COUNTERS_BASE = 0x500;
export const COUNTED_STEPS = 0x540;
export const COUNTED_EXITS = 0x548;
export const EXITS_BASE = 0x34000;
export const EXITS_KEPT = 1024;
export const EXIT_BYTES = 16;

/** A record for comparing with (see riscv/cpu.ts). */
export const SCRATCH_RECORD = 0x5f0;

/**
 * Where the pointers of a running region have pointed to last (see riscv/region.ts): a virtual page, i64, and at 8 what leads from its addresses to the
 * host's, i32.
 */
export const LAST_PAGES_BASE = 0x600;
export const LAST_PAGES_MAX = 32;
export const LAST_PAGE_BYTES = 16;

/** Entries: position i64, kind u8, hart u8, cause i64 at 16, value i64 at 24. */
export const JOURNAL_BASE = 0x2000;
export const JOURNAL_ENTRIES = 4096;
export const JOURNAL_ENTRY_BYTES = 32;

/** One byte for each of 4096 control register numbers (see riscv/csr.ts). */
export const CSR_INDEX_BASE = 0x1000;

/** Ranges of memory that probes watch, and words of registers: tables of PROBES_MAX entries, and of three times as many (see riscv/watch.ts). */
export const PROBE_ENTRY_BYTES = 32;
export const PROBE_RANGES_BASE = 0x22000;
export const PROBE_WORDS_BASE = 0x26000;

export const HARTS_BASE = 0x40000;
export const HART_STRIDE = 0x18000;

/** Host address of each RAM page, i32; 0 where none is allocated. */
export const PAGE_TABLE_BASE = 0x100000 + 0x10000;
/** Flags of each RAM page, u8. */
export const PAGE_FLAGS_BASE = PAGE_TABLE_BASE + (RAM_BYTES_MAX / PAGE_BYTES) * 4;
/** Address of each RAM page's decoded instructions, i32; 0 where there are none. */
export const DECODED_TABLE_BASE = PAGE_FLAGS_BASE + RAM_BYTES_MAX / PAGE_BYTES;
export const DECODED_BASE = DECODED_TABLE_BASE + (RAM_BYTES_MAX / PAGE_BYTES) * 4;

/** A decoded page: a record for each of 2048 halfwords, and four more (see riscv/decoder.ts). */
export const RECORD_BYTES = 16;
export const RECORDS_PER_PAGE = PAGE_BYTES / 2;
/** In a record, i16: where compiled code begins its place in the table; else minus the times that a jump came there. */
export const ENTRY_OFFSET = 2;
/** Behind the records, i32: whether the page has regions. */
export const HAS_REGIONS_OFFSET = (RECORDS_PER_PAGE + 4) * RECORD_BYTES;
/** How often a store to its code has thrown the page's regions away. */
export const INVALIDATIONS_OFFSET = HAS_REGIONS_OFFSET + 4;
/** Stores that the page may still take beside its code before it is taken for data (see cpu.ts). */
export const PATIENCE_OFFSET = HAS_REGIONS_OFFSET + 8;
export const DECODED_PAGE_BYTES = HAS_REGIONS_OFFSET + 16;
export const DECODED_PAGES = 3072;

/** Instructions that a probe stands for: the record itself, and the four that follow the last of a page (see riscv/plants.ts). */
export const PLANTS_BASE = DECODED_BASE + DECODED_PAGES * DECODED_PAGE_BYTES;
export const PLANT_BYTES = 5 * RECORD_BYTES;
export const PLANTS_MAX = 16384;

export const POOL_BASE = Math.ceil((PLANTS_BASE + PLANTS_MAX * PLANT_BYTES) / PAGE_BYTES) * PAGE_BYTES;

/** Why a store to a page takes the slow path. */
export const PAGE_FLAG = {
  /** Shared with a checkpoint, or not written since the last: the pool must be told first. */
  protected: 1,
  /** Holds decoded instructions that the store may change. */
  decoded: 2,
  /** Holds a word whose writes the machine looks at (HTIF). */
  watched: 4,
} as const;

/** Kinds of journal entries that generated code writes. */
export const JOURNAL_KIND = { interrupt: 0, trap: 1, timer: 2, sbi: 3 } as const;
