/**
 * Random programs that do to compiled code what is hard on it: loops in loops and into loops, calls whose return address changes, accesses
 * around pages that are read-only, absent or a device, code that is rewritten (by an alias, or by another hart), pages that are mapped
 * elsewhere while their code runs, instructions over page ends, timer interrupts.
 *
 * All harts run the same program in S-mode; a handler in M-mode steps over what traps, and sets the timer again. The program never ends.
 */
import type { Random } from '../../../src/base/random.ts';
import type { VirtMachine } from '../../../src/vmm/riscv/virt.ts';
import { assemble } from './assembly.ts';
import { bareMachine } from './batch.ts';

const START = 0x80000000;
const PAGE = 4096;
/** Guest-physical offsets from the start of memory, in pages. */
const AT = { code: 16, otherCode: 32, root: 48, level1: 49, codeTable: 50, dataTable: 51, data: 56 } as const;
const CODE_PAGES = 8;
/** Where the supervisor sees them: its code, the same pages writable, its data, and its page tables. */
const VIRTUAL = { code: 0x40000000, alias: 0x40010000, data: 0x40200000, tables: 0x40300000 } as const;
const DATA_PAGES = 10;

const FLAGS = { none: 0, readOnly: 0x43, writable: 0xc7, fresh: 0x07, code: 0xcb, all: 0xcf } as const;
/** Data pages: which are missing, read-only, not yet accessed, or a device (the timer's registers). */
const DATA_FLAGS = [
  ...[FLAGS.writable, FLAGS.writable, FLAGS.readOnly, FLAGS.writable, FLAGS.none],
  ...[FLAGS.writable, FLAGS.fresh, FLAGS.writable, FLAGS.writable, FLAGS.writable],
];
const DEVICE_PAGE = 7;
const MTIME_PAGE = 0x200b000;

const VALUES = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 't0', 't1'];
const FLOATS = ['fa0', 'fa1', 'fa2', 'fa3'];
const BASES = ['s1', 's2'];
const COUNTERS = ['s8', 's9', 's10'];
const LINKS = ['s3', 's4', 's5', 's6'];
const FUNCTIONS = 4;

class Writer {
  readonly lines: string[] = [];
  readonly #random: Random;
  #labels = 0;
  #slots = 0;
  /** Loops around what is being written. */
  #loops = 0;
  /** The function that is being written; the main loop is the one before the first. */
  #function = -1;

  constructor(random: Random) {
    this.#random = random;
  }

  write(): string {
    const { lines } = this;
    lines.push('main:');
    this.#base('s1');
    this.#base('s2');
    this.#items(6 + this.#random.below(12));
    lines.push('j main');
    for (let n = 0; n < FUNCTIONS; n++) {
      this.#function = n;
      // Functions begin anywhere, at times so that an instruction straddles the page's end.
      if (this.#random.below(2) === 0) lines.push('.page', `.skip ${2 * this.#random.below(20)}`);
      lines.push(`f${n}:`, `mv ${LINKS[n]}, ra`);
      this.#items(3 + this.#random.below(8));
      if (this.#random.below(3) === 0) this.#overPageEnd();
      if (this.#random.below(6) === 0) lines.push(`addi ${LINKS[n]}, ${LINKS[n]}, 4`);
      lines.push(`mv ra, ${LINKS[n]}`, 'ret');
    }
    return lines.join('\n');
  }

  get slots(): number {
    return this.#slots;
  }

  #label(): string {
    return `l${this.#labels++}`;
  }
  #pick = <T>(items: readonly T[]): T => this.#random.pick(items);
  #value = () => this.#pick(VALUES);

  #items(count: number): void {
    for (let n = 0; n < count; n++) this.#item();
  }

  #item(): void {
    const { lines } = this;
    const value = this.#value;
    switch (this.#random.below(24)) {
      case 0:
      case 1:
        this.#base(this.#pick(BASES));
        this.#accesses();
        break;
      case 2:
      case 3:
      case 4:
        this.#accesses();
        break;
      case 5:
      case 6:
        this.#loop();
        break;
      case 7: {
        const over = this.#label();
        lines.push(`${this.#pick(['beq', 'bne', 'blt', 'bgeu'])} ${value()}, ${value()}, ${over}`);
        this.#items(1 + this.#random.below(3));
        lines.push(`${over}:`);
        break;
      }
      case 8:
      case 9:
      case 10:
        this.#call();
        break;
      case 11:
        lines.push(
          `${this.#pick(['amoadd', 'amoswap', 'amomaxu', 'amoxor'])}.${this.#pick(['w', 'd'])} ${value()}, ${value()}, (${this.#pick(BASES)})`,
        );
        break;
      case 12: {
        const [base, width] = [this.#pick(BASES), this.#pick(['w', 'd'])];
        lines.push(`lr.${width} ${value()}, (${base})`);
        if (this.#random.below(3) === 0) this.#arithmetic();
        lines.push(`sc.${width} ${value()}, ${value()}, (${base})`);
        break;
      }
      case 13:
        lines.push(
          `${this.#pick(['fadd.d', 'fmul.d', 'fdiv.d', 'fadd.s', 'fsub.s', 'fsgnjn.s', 'fmax.d'])} ${this.#float()}, ${this.#float()}, ${this.#float()}`,
        );
        break;
      case 14:
        lines.push(
          `${this.#pick(['fmadd.d', 'fnmsub.s'])} ${this.#float()}, ${this.#float()}, ${this.#float()}, ${this.#float()}`,
        );
        lines.push(`fcvt.l.d ${value()}, ${this.#float()}, rtz`);
        lines.push(`fcvt.d.l ${this.#float()}, ${value()}`);
        break;
      case 15:
        lines.push(this.#pick([`csrrs ${value()}, instret, zero`, `csrrs ${value()}, time, zero`, 'fence.i', 'ecall']));
        break;
      case 16:
      case 17:
        this.#patch();
        break;
      case 18:
        lines.push(`slot${this.#slots++}:`, `addi ${value()}, ${value()}, VARIANT`);
        break;
      case 19:
        this.#remap();
        break;
      default:
        this.#arithmetic();
    }
  }

  #float = () => this.#pick(FLOATS);

  #arithmetic(): void {
    const value = this.#value;
    const register = this.#pick([
      'add',
      'sub',
      'xor',
      'mul',
      'mulhu',
      'divu',
      'rem',
      'sltu',
      'sh2add',
      'min',
      'rol',
      'srlw',
    ]);
    this.lines.push(
      this.#pick([
        `${register} ${value()}, ${value()}, ${value()}`,
        `addi ${value()}, ${value()}, ${this.#random.below(4096) - 2048}`,
        `c.addi ${value()}, ${this.#random.below(31) - 16}`,
        `c.mv ${value()}, ${value()}`,
        `slli ${value()}, ${value()}, ${this.#random.below(64)}`,
      ]),
    );
  }

  /** Goes on shortly before the page's end, where an instruction may begin two bytes before it. */
  #overPageEnd(): void {
    const over = this.#label();
    this.lines.push(`j ${over}`, `.page-end ${this.#pick([2, 4, 6, 8, 10])}`, `${over}:`);
    this.#items(1 + this.#random.below(3));
  }

  /** Points a register near a page's end, most times; mostly where plain memory is. */
  #base(register: string): void {
    const inside = this.#pick([0, 8, 2048, 4064, 4088, 4092, 4095, this.#random.below(4096)]);
    const page = this.#pick([0, 0, 3, 8, 9, this.#random.below(DATA_PAGES)]);
    this.lines.push(`li ${register}, ${VIRTUAL.data + page * PAGE + inside}`);
  }

  /** A few loads and stores around one register, which moves in between. */
  #accesses(): void {
    const base = this.#pick(BASES);
    const [random, value] = [this.#random, this.#value];
    for (let n = 1 + random.below(6); n > 0; n--) {
      const offset = random.pick([8 * random.below(8), random.below(64) - 32, random.below(512) - 256]);
      const at = `${offset}(${base})`;
      this.lines.push(
        random.pick([
          `${random.pick(['lb', 'lbu', 'lh', 'lhu', 'lw', 'lwu', 'ld', 'ld'])} ${value()}, ${at}`,
          `${random.pick(['sb', 'sh', 'sw', 'sd', 'sd'])} ${value()}, ${at}`,
          `${random.pick(['fld', 'flw'])} ${this.#float()}, ${at}`,
          `${random.pick(['fsd', 'fsw'])} ${this.#float()}, ${at}`,
        ]),
      );
      if (random.below(5) === 0) this.lines.push(`addi ${base}, ${base}, ${random.below(64) - 32}`);
      if (random.below(12) === 0) this.lines.push(`add ${base}, ${base}, zero`);
    }
  }

  #loop(): void {
    if (this.#loops === COUNTERS.length || this.#function > 0) {
      this.#arithmetic();
      return;
    }
    const [top, middle, random] = [this.#label(), this.#label(), this.#random];
    const counter = COUNTERS[this.#loops++];
    this.lines.push(`li ${counter}, ${2 + random.below(12)}`);
    // Now and then the loop is entered in its middle as well.
    if (random.below(4) === 0) this.lines.push(`bltu ${this.#value()}, ${this.#value()}, ${middle}`);
    this.lines.push(`${top}:`);
    this.#items(1 + random.below(3));
    this.lines.push(`${middle}:`);
    this.#items(1 + random.below(3));
    this.lines.push(`addi ${counter}, ${counter}, -1`, `blt zero, ${counter}, ${top}`);
    this.#loops--;
  }

  #call(): void {
    const callee = this.#function + 1 + this.#random.below(FUNCTIONS - this.#function - 1);
    if (callee >= FUNCTIONS) {
      this.#arithmetic();
      return;
    }
    this.lines.push(this.#random.below(2) === 0 ? `call f${callee}` : `jal ra, f${callee}`);
    // What a function that returns farther on passes over.
    this.lines.push('addi a0, a0, 1');
  }

  /** Rewrites an instruction somewhere: for all that run it, and with or without a fence. */
  #patch(): void {
    const random = this.#random;
    const [rd, rs] = [10 + random.below(6), 10 + random.below(6)];
    const instruction = ((random.below(2048) << 20) | (rs << 15) | (rd << 7) | 0x13) >>> 0;
    this.lines.push(`li t4, ${instruction | 0}`, `la t5, SLOT${random.below(1 << 16)}`);
    this.lines.push(`li t6, ${VIRTUAL.alias - VIRTUAL.code}`, 'add t5, t5, t6');
    // Half of an instruction has the high bits of its immediate.
    this.lines.push(random.below(4) === 0 ? 'sh t4, 2(t5)' : 'sw t4, 0(t5)');
    if (random.below(2) === 0) this.lines.push('fence.i');
  }

  /** Exchanges a page of code for the other one with the same layout; the hart may not look at once. */
  #remap(): void {
    const page = this.#random.below(CODE_PAGES);
    this.lines.push(`li t5, ${VIRTUAL.tables + 8 * page}`, 'ld t4, 0(t5)');
    this.lines.push(`li t6, ${(AT.code ^ AT.otherCode) << 10}`, 'xor t4, t4, t6', 'sd t4, 0(t5)');
    const fence = this.#random.pick(['sfence.vma zero, zero', 'sfence.vma t6, zero', '']);
    if (fence !== '') this.lines.push(`li t6, ${VIRTUAL.code + page * PAGE}`, fence);
  }
}

const FIRMWARE = `
    la    t0, handler
    csrrw zero, mtvec, t0
    li    t0, -1
    csrrw zero, pmpaddr0, t0
    li    t0, 31
    csrrw zero, pmpcfg0, t0
    csrrw zero, mcounteren, t0
    csrrw zero, scounteren, t0
    la    t0, satp
    ld    t0, 0(t0)
    csrrw zero, satp, t0
    li    t0, ${VIRTUAL.code}
    csrrw zero, mepc, t0
    li    t0, 0x2800                # FS, and supervisor as the mode to return to
    csrrw zero, mstatus, t0
    li    t0, 0x80
    csrrw zero, mie, t0
    csrrs a5, mhartid, zero
    mret
handler:
    csrrw t6, mscratch, t6
    csrrs t6, mcause, zero
    blt   t6, zero, timer
    addi  t6, t6, -12               # a fetch fault: back to the caller
    beqz  t6, home
    addi  t6, t6, 11
    beqz  t6, home
    csrrs t6, mepc, zero
    addi  t6, t6, 4
    csrrw zero, mepc, t6
    csrrw t6, mscratch, t6
    mret
home:
    li    t6, ${VIRTUAL.code}
    csrrw zero, mepc, t6
    csrrw t6, mscratch, t6
    mret
timer:
    csrrw t6, mscratch, t6
    csrrw t5, mscratch, t5
    li    t5, 0x200bff8
    ld    t5, 0(t5)
    addi  t5, t5, 3
    csrrs t6, mhartid, zero
    slli  t6, t6, 3
    lui   t4, 0x2004
    add   t6, t6, t4
    sd    t5, 0(t6)
    csrrw t5, mscratch, t5
    mret
satp:
    .dword ${(8n << 60n) | BigInt(START / PAGE + AT.root)}
`;

/** A program with what it runs on: the same seed gives the same. */
export function wildMachine(random: Random, harts: number): () => VirtMachine {
  const writer = new Writer(random);
  const body = writer.write();
  if (writer.slots === 0) return wildMachine(random, harts);
  const source = body.replaceAll(/SLOT(\d+)/g, (_, n) => `slot${Number(n) % writer.slots}`);
  // The other copy has other constants in the same places.
  const [code, otherCode] = [1, 3].map(
    (variant) => assemble(source.replaceAll('VARIANT', String(variant)), VIRTUAL.code).bytes,
  );
  const image = new Uint8Array((AT.data + DATA_PAGES) * PAGE);
  image.set(assemble(FIRMWARE, START).bytes);
  image.set(code.subarray(0, CODE_PAGES * PAGE), AT.code * PAGE);
  image.set(otherCode.subarray(0, CODE_PAGES * PAGE), AT.otherCode * PAGE);
  const view = new DataView(image.buffer);
  const entry = (table: number, index: number, physical: number, flags: number) =>
    view.setBigUint64(table * PAGE + index * 8, (BigInt(physical) >> 2n) | BigInt(flags), true);
  const page = (number: number) => START + number * PAGE;
  entry(AT.root, 1, page(AT.level1), 1);
  entry(AT.level1, 0, page(AT.codeTable), 1);
  entry(AT.level1, 1, page(AT.dataTable), 1);
  for (let n = 0; n < CODE_PAGES; n++) {
    entry(AT.codeTable, n, page(AT.code + n), FLAGS.code);
    entry(AT.codeTable, 16 + n, page(AT.code + n), FLAGS.all);
  }
  DATA_FLAGS.forEach((flags, n) => {
    entry(AT.dataTable, n, n === DEVICE_PAGE ? MTIME_PAGE : page(AT.data + n), flags);
  });
  entry(AT.dataTable, 256, page(AT.codeTable), FLAGS.writable);
  for (let n = 0; n < DATA_PAGES * PAGE; n += 4) view.setUint32(AT.data * PAGE + n, random.u32(), true);
  const quantum = random.pick([7, 100, 1000]);
  return () => bareMachine(image, { harts, quantum });
}
