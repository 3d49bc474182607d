/** The few RV64 instructions that the harness of a test batch is made of, and labels. Registers are plain numbers. */
export class Assembler {
  readonly #base: number;
  readonly #words: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixups: { at: number; label: string; encode: (offset: number) => number }[] = [];

  /** `base` is the address of the first instruction. */
  constructor(base: number) {
    this.#base = base;
  }

  get here(): number {
    return this.#base + 4 * this.#words.length;
  }

  word(word: number): void {
    this.#words.push(word >>> 0);
  }

  label(name: string): void {
    this.#labels.set(name, this.here);
  }

  addi(rd: number, rs1: number, immediate: number): void {
    this.word(iType(0x13, 0, rd, rs1, immediate));
  }
  lui(rd: number, upper20: number): void {
    this.word((upper20 << 12) | (rd << 7) | 0x37);
  }
  lhu(rd: number, base: number, offset: number): void {
    this.word(iType(0x03, 5, rd, base, offset));
  }
  lw(rd: number, base: number, offset: number): void {
    this.word(iType(0x03, 2, rd, base, offset));
  }
  ld(rd: number, base: number, offset: number): void {
    this.word(iType(0x03, 3, rd, base, offset));
  }
  sb(source: number, base: number, offset: number): void {
    this.word(sType(0x23, 0, base, source, offset));
  }
  sh(source: number, base: number, offset: number): void {
    this.word(sType(0x23, 1, base, source, offset));
  }
  sw(source: number, base: number, offset: number): void {
    this.word(sType(0x23, 2, base, source, offset));
  }
  sd(source: number, base: number, offset: number): void {
    this.word(sType(0x23, 3, base, source, offset));
  }
  fld(fd: number, base: number, offset: number): void {
    this.word(iType(0x07, 3, fd, base, offset));
  }
  fsd(source: number, base: number, offset: number): void {
    this.word(sType(0x27, 3, base, source, offset));
  }
  csrw(csr: number, source: number): void {
    this.word(csrrw(0, csr, source));
  }
  csrr(rd: number, csr: number): void {
    this.word(csrrs(rd, csr, 0));
  }
  csrSet(csr: number, source: number): void {
    this.word(csrrs(0, csr, source));
  }
  csrSwap(rd: number, csr: number, source: number): void {
    this.word(csrrw(rd, csr, source));
  }

  /** The address of a label or of a place in memory, reached from the pc. */
  address(rd: number, target: string | number): void {
    const from = this.here;
    const encode = (word: 'auipc' | 'addi') => (offsetFromWord: number) => {
      const offset = offsetFromWord + (word === 'addi' ? 4 : 0);
      const upper = (offset + 0x800) >> 12;
      return word === 'auipc' ? (upper << 12) | (rd << 7) | 0x17 : iType(0x13, 0, rd, rd, offset - (upper << 12));
    };
    if (typeof target === 'number') {
      this.word(encode('auipc')(target - from));
      this.word(encode('addi')(target - from - 4));
    } else {
      this.#fixup(target, encode('auipc'));
      this.#fixup(target, encode('addi'));
    }
  }
  beq(rs1: number, rs2: number, label: string): void {
    this.#fixup(label, (offset) => bType(0, rs1, rs2, offset));
  }
  bne(rs1: number, rs2: number, label: string): void {
    this.#fixup(label, (offset) => bType(1, rs1, rs2, offset));
  }
  jump(label: string): void {
    this.#fixup(label, (offset) => jType(0, offset));
  }

  finish(): Uint8Array {
    for (const { at, label, encode } of this.#fixups) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new Error(`no label ${label}`);
      this.#words[at] = encode(target - (this.#base + 4 * at)) >>> 0;
    }
    const bytes = new Uint8Array(4 * this.#words.length);
    const view = new DataView(bytes.buffer);
    this.#words.forEach((word, index) => {
      view.setUint32(4 * index, word, true);
    });
    return bytes;
  }

  #fixup(label: string, encode: (offset: number) => number): void {
    this.#fixups.push({ at: this.#words.length, label, encode });
    this.word(0);
  }
}

export const NOP = 0x00000013;
export const MRET = 0x30200073;
export const FENCE_I = 0x0000100f;
export const SFENCE_VMA = 0x12000073;
export const WFI = 0x10500073;
export const EBREAK = 0x00100073;
/** The two-byte `c.ebreak`. */
export const C_EBREAK = 0x9002;

export const CSR = {
  fcsr: 0x003,
  scounteren: 0x106,
  mstatus: 0x300,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
  mhartid: 0xf14,
} as const;

export function csrrw(rd: number, csr: number, rs1: number): number {
  return ((csr << 20) | (rs1 << 15) | (1 << 12) | (rd << 7) | 0x73) >>> 0;
}

export function csrrs(rd: number, csr: number, rs1: number): number {
  return ((csr << 20) | (rs1 << 15) | (2 << 12) | (rd << 7) | 0x73) >>> 0;
}

/** `sc.d rd, source, (base)`. */
export function scD(rd: number, source: number, base: number): number {
  return ((0b00011 << 27) | (source << 20) | (base << 15) | (3 << 12) | (rd << 7) | 0x2f) >>> 0;
}

function iType(opcode: number, funct3: number, rd: number, rs1: number, immediate: number): number {
  checkRange(immediate, 12);
  return (immediate << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | opcode;
}

function sType(opcode: number, funct3: number, rs1: number, rs2: number, immediate: number): number {
  checkRange(immediate, 12);
  const [high, low] = [(immediate >> 5) & 0x7f, immediate & 0x1f];
  return (high << 25) | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | (low << 7) | opcode;
}

function bType(funct3: number, rs1: number, rs2: number, offset: number): number {
  checkRange(offset, 13);
  const high = (((offset >> 12) & 1) << 31) | (((offset >> 5) & 0x3f) << 25);
  const low = (((offset >> 1) & 0xf) << 8) | (((offset >> 11) & 1) << 7);
  return high | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | low | 0x63;
}

function jType(rd: number, offset: number): number {
  checkRange(offset, 21);
  const high = (((offset >> 20) & 1) << 31) | (((offset >> 1) & 0x3ff) << 21);
  const low = (((offset >> 11) & 1) << 20) | (((offset >> 12) & 0xff) << 12);
  return high | low | (rd << 7) | 0x6f;
}

function checkRange(value: number, bits: number): void {
  const limit = 2 ** (bits - 1);
  if (value < -limit || value >= limit) throw new Error(`${value} does not fit in ${bits} bits`);
}
