/**
 * A hart's state in linear memory: offsets from the hart's base address. Units are bytes; registers are 64-bit unless said
 * otherwise. Names are those of the privileged specification.
 */

export const PRIV = { U: 0, S: 1, M: 3 } as const;

/** Entries of the architectural TLBs, and bytes of an entry: a tag and a page table entry. */
export const DTLB_ENTRIES = 512;
export const ITLB_ENTRIES = 256;
export const TLB_ENTRY_BYTES = 16;
/** Host-address entries derived from it, for each of the four ways of looking at data (see mmu.ts): 32 bytes each. */
export const FAST_ENTRY_BYTES = 32;
export const FAST_MODE_BYTES = DTLB_ENTRIES * FAST_ENTRY_BYTES;
export const FAST_FETCH_BYTES = ITLB_ENTRIES * FAST_ENTRY_BYTES;

export const SUPERPAGES_BYTES = 256;

export const H = {
  x: 0,
  /** Takes the writes to x0. */
  xSink: 256,
  f: 264,
  pc: 520,
  /** i32: PRIV. */
  privilege: 528,
  /** i32: accrued exceptions of fcsr. */
  fflags: 532,
  /** i32: dynamic rounding mode of fcsr. */
  frm: 536,
  /** i32: 1 while the hart waits for an interrupt (WFI). */
  waiting: 540,
  mstatus: 568,
  /** Interrupt-pending bits that software wrote; `lines` has those that hardware drives. */
  mip: 576,
  mie: 584,
  mideleg: 592,
  medeleg: 600,
  mtvec: 608,
  mepc: 616,
  mcause: 624,
  mtval: 632,
  mscratch: 640,
  mcounteren: 648,
  mcountinhibit: 656,
  menvcfg: 664,
  stvec: 672,
  sepc: 680,
  scause: 688,
  stval: 696,
  sscratch: 704,
  scounteren: 712,
  senvcfg: 720,
  satp: 728,
  stimecmp: 736,
  /** Added to the counts below to give mcycle and minstret. */
  cycleOffset: 744,
  instretOffset: 752,
  /** Virtual address of the page that the hart executes from, all ones for none, and its physical address. */
  fetchPage: 760,
  fetchPhysical: 768,
  /** Physical address of the LR reservation, all ones for none. */
  reservation: 776,
  /** 16 bytes pmpNcfg, then 16 registers. */
  pmpcfg: 784,
  pmpaddr: 800,
  /** Interrupt lines driven by devices, timers and other harts, as bits of mip. */
  lines: 928,
  /** Steps that this hart has taken up to the start of the slice, and traps among all its steps. */
  steps: 936,
  traps: 944,
  /** i32: state in the built-in firmware's hart state management (SBI HSM): 0 started, 1 stopped. */
  stopped: 952,

  /** From here to the TLBs: working values of a running slice, not state. */
  derived: 0xe00,
  /** i32: steps left in this slice, and steps that it began with. */
  budget: 0xe00,
  sliceBudget: 0xe04,
  /** i32: an exception waits to be taken; its cause and value. */
  trapPending: 0xe08,
  trapCause: 0xe10,
  trapValue: 0xe18,
  /** i32: address of the fast TLB for the present way of looking at data. */
  fastTlb: 0xe20,
  /** i32: an interrupt may have become takeable, or the run loop must look: leave the slice. */
  leave: 0xe24,
  /** i32: the hart gives the rest of its turn away. */
  yields: 0xe28,
  /** i32: number of the hart. */
  number: 0xe2c,
  /** i32: address of the decoded page that `fetchPage` names, while compiled code runs. */
  fetchRecords: 0xe30,
  /** i32: configuration of the PMP entry that decides from `pmpLow` up to `pmpHigh`, physical addresses; none if they are equal. */
  pmpDecides: 0xe34,
  pmpLow: 0xe38,
  pmpHigh: 0xe40,
  /** i32: a bit for each GiB of the following for which all of its bits were set, for a superpage of that size or more. */
  gibSuperpages: 0xe48,
  /** A bit for each 2 MiB of virtual addresses, modulo 4 GiB, in which the TLBs may hold superpages: 256 bytes. */
  superpages: 0xe80,

  dtlb: 0x1000,
  itlb: 0x1000 + DTLB_ENTRIES * TLB_ENTRY_BYTES,
  fast: 0x1000 + (DTLB_ENTRIES + ITLB_ENTRIES) * TLB_ENTRY_BYTES,
  /** And for fetches: page and privilege, physical address, decoded page. */
  fastFetch: 0x1000 + (DTLB_ENTRIES + ITLB_ENTRIES) * TLB_ENTRY_BYTES + 4 * FAST_MODE_BYTES,
  size: 0x1000 + (DTLB_ENTRIES + ITLB_ENTRIES) * TLB_ENTRY_BYTES + 4 * FAST_MODE_BYTES + FAST_FETCH_BYTES,
} as const;

/** Fields of mstatus (privileged specification, 3.1.6). SD is computed when it is read. */
export const MSTATUS = {
  SIE: 1n << 1n,
  MIE: 1n << 3n,
  SPIE: 1n << 5n,
  MPIE: 1n << 7n,
  SPP: 1n << 8n,
  MPP: 3n << 11n,
  FS: 3n << 13n,
  MPRV: 1n << 17n,
  SUM: 1n << 18n,
  MXR: 1n << 19n,
  TVM: 1n << 20n,
  TW: 1n << 21n,
  TSR: 1n << 22n,
  UXL: 2n << 32n,
  SXL: 2n << 34n,
  SD: 1n << 63n,
} as const;

/** Bits of mip and mie. */
export const IRQ = {
  SSI: 1,
  MSI: 3,
  STI: 5,
  MTI: 7,
  SEI: 9,
  MEI: 11,
} as const;

export const CAUSE = {
  instructionMisaligned: 0,
  instructionAccess: 1,
  illegal: 2,
  breakpoint: 3,
  loadMisaligned: 4,
  loadAccess: 5,
  storeMisaligned: 6,
  storeAccess: 7,
  ecallU: 8,
  ecallS: 9,
  ecallM: 11,
  instructionPage: 12,
  loadPage: 13,
  storePage: 15,
} as const;
