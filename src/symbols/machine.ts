/** What symbols need of the machine whose code and data they describe. */

export interface MemoryReader {
  /** Memory at a virtual address; null where any of it cannot be read. */
  read(address: bigint, length: number): Uint8Array | null;
}

/** Registers of a hart, by their DWARF numbers (RISC-V psABI, "DWARF register numbers"): 0 to 31 x, 32 to 63 f, from 4096 on CSRs. */
export interface Registers {
  readonly pc: bigint;
  /** A register's 64 bits; undefined if it is not known. */
  get(register: number): bigint | undefined;
}
