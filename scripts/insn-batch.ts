/**
 * Thousands of single-instruction tests in one bare-metal image. For each case the image loads every register, runs one
 * instruction (or two) in the wanted mode, catches whatever trap follows, and stores the whole outcome in a table. The
 * image is flat, loads at 0x80000000 of QEMU's `virt` board, starts in M mode and ends by the syscon: the same bytes run
 * on QEMU and on our own machine, and the two tables must be equal.
 */
import { Assembler, C_EBREAK, CSR, csrrs, csrrw, FENCE_I, MRET, NOP, SFENCE_VMA, scD, WFI } from './assemble.ts';
import { runImage } from './qemu.ts';

export const IMAGE_ADDRESS = 0x80000000;
/** Where the instruction under test lies, with `c.ebreak` for 2 KiB and more on both sides: jumps may land there. */
export const SLOT_ADDRESS = 0x80002800;
/** The slot of cases with `crossing`: two bytes before the end of a page. */
export const CROSSING_SLOT_ADDRESS = 0x80002ffe;
/** The memory window of a case: half of it lies before the end of a page, half after. */
export const MEMORY_ADDRESS = 0x80004fc0;
export const MEMORY_BYTES = 128;
/** Left to `preload`: page tables and the like. Zero at the start, kept from case to case. */
export const FREE_ADDRESS = 0x80008000;
export const FREE_BYTES = 0x8000;

/** MPP of each mode, and FS = initial, so that a case shows whether it makes the floating-point state dirty. */
export const MSTATUS = { M: 0x1800n | 0x2000n, S: 0x0800n | 0x2000n, U: 0x2000n };
export type Mode = keyof typeof MSTATUS;

export interface Case {
  /** Up to 8 bytes: instructions of 2 or 4 bytes. Must not be `wfi`, nor write mtvec or mscratch. */
  code: readonly number[] | Uint8Array;
  /** x[0] is ignored. */
  x: readonly bigint[];
  f: readonly bigint[];
  fcsr: number;
  /** At most MEMORY_BYTES, from MEMORY_ADDRESS on; the rest is zero. */
  memory: Uint8Array;
  /** M if absent. */
  mode?: Mode;
  /** Replaces the usual mstatus of the mode, MPP included. */
  mstatus?: bigint;
  /** At most four CSRs with the values they have while the instruction runs; they are put back afterwards. */
  set?: readonly [csr: number, value: bigint][];
  /** At most four CSRs to read afterwards. */
  read?: readonly number[];
  /** Puts the code across a page boundary. */
  crossing?: boolean;
}

export interface Result {
  x: bigint[];
  f: bigint[];
  fcsr: number;
  memory: Uint8Array;
  /** The trap that ended the case: 3, the breakpoint after the code, unless the code itself trapped. */
  cause: bigint;
  epc: bigint;
  tval: bigint;
  /** As the trap left it. */
  mstatus: bigint;
  /** The CSRs of `read`. */
  read: bigint[];
  /** Whether the code ran without a trap; `epc` is then where it went on. */
  completed: boolean;
}

export interface Batch {
  /** Flat, for IMAGE_ADDRESS. */
  image: Uint8Array;
  /** Where in guest-physical memory the outcome stands once the machine has powered off. */
  results: { address: number; bytes: number };
}

const CODE_BYTES = 8;
const CSR_SLOTS = 4;

/** Layout of a case in the image; all within reach of a 12-bit offset. */
const IN = {
  slot: 0,
  code: 8,
  mstatus: 16,
  fcsr: 24,
  values: 32,
  set: 64,
  read: 80,
  x: 88,
  f: 344,
  memory: 600,
  size: 728,
};
const OUT = {
  x: -8,
  f: 248,
  fcsr: 504,
  cause: 512,
  epc: 520,
  tval: 528,
  mstatus: 536,
  read: 544,
  memory: 576,
  size: 704,
};

const GLOBALS_ADDRESS = 0x80001000;
const GLOBAL = { input: 0, output: 8, end: 16, spill: 24, saved: 32, reservation: 64 };
const LANDING_ADDRESS = 0x80002000;
const LANDING_BYTES = 0x2000;
const TABLE_ADDRESS = 0x80010000;
const SYSCON_ADDRESS = 0x100000;
const POWER_OFF = 0x5555;

/** So that an image and its outcome fit in 16 MiB, the smallest machine. */
export const CASES_MAX = 11_000;

export interface BatchOptions {
  /** Bytes to put into the free area, or over anything else. */
  preload?: readonly { address: number; data: Uint8Array }[];
}

export function buildBatch(cases: readonly Case[], options: BatchOptions = {}): Batch {
  if (cases.length > CASES_MAX) throw new RangeError(`${cases.length} cases; ${CASES_MAX} fit in an image`);
  const tableEnd = TABLE_ADDRESS + cases.length * IN.size;
  const results = { address: (tableEnd + 0xfff) & ~0xfff, bytes: cases.length * OUT.size };
  results.address >>>= 0;
  const image = new Uint8Array(tableEnd - IMAGE_ADDRESS);
  const view = new DataView(image.buffer);
  const put = (address: number, bytes: Uint8Array) => image.set(bytes, address - IMAGE_ADDRESS);
  const code = harness();
  if (code.length > GLOBALS_ADDRESS - IMAGE_ADDRESS) throw new RangeError('the harness outgrew its page');
  put(IMAGE_ADDRESS, code);
  const globals = GLOBALS_ADDRESS - IMAGE_ADDRESS;
  view.setBigUint64(globals + GLOBAL.input, BigInt(TABLE_ADDRESS), true);
  view.setBigUint64(globals + GLOBAL.output, BigInt(results.address), true);
  view.setBigUint64(globals + GLOBAL.end, BigInt(tableEnd), true);
  for (let at = 0; at < LANDING_BYTES; at += 2) view.setUint16(LANDING_ADDRESS - IMAGE_ADDRESS + at, C_EBREAK, true);
  cases.forEach((item, index) => {
    encodeCase(new DataView(image.buffer, TABLE_ADDRESS - IMAGE_ADDRESS + index * IN.size, IN.size), item);
  });
  for (const { address, data } of options.preload ?? []) put(address, data);
  return { image, results };
}

function encodeCase(view: DataView, item: Case): void {
  const { code, x, f, memory, set = [], read = [] } = item;
  if (code.length > CODE_BYTES || code.length % 2 !== 0) throw new RangeError(`code of ${code.length} bytes`);
  if (memory.length > MEMORY_BYTES) throw new RangeError(`memory of ${memory.length} bytes`);
  if (set.length > CSR_SLOTS || read.length > CSR_SLOTS) throw new RangeError(`more than ${CSR_SLOTS} CSRs in a case`);
  const mstatus = item.mstatus ?? MSTATUS[item.mode ?? 'M'];
  view.setBigUint64(IN.slot, BigInt(item.crossing ? CROSSING_SLOT_ADDRESS : SLOT_ADDRESS), true);
  for (let at = 0; at < CODE_BYTES; at += 2) {
    const half = at < code.length ? code[at] | (code[at + 1] << 8) : C_EBREAK;
    view.setUint16(IN.code + at, half, true);
  }
  view.setBigUint64(IN.mstatus, mstatus, true);
  view.setBigUint64(IN.fcsr, BigInt(item.fcsr), true);
  for (let index = 0; index < CSR_SLOTS; index++) {
    const register = FIRST_VALUE_REGISTER + index;
    const setter = index < set.length ? csrrw(register, set[index][0], register) : NOP;
    const reader = index < read.length ? csrrs(register, read[index], 0) : NOP;
    view.setBigUint64(IN.values + 8 * index, index < set.length ? BigInt.asUintN(64, set[index][1]) : 0n, true);
    view.setUint32(IN.set + 4 * index, setter, true);
    view.setUint32(IN.read + 4 * index, reader, true);
  }
  for (let index = 1; index < 32; index++) view.setBigUint64(IN.x + 8 * index, BigInt.asUintN(64, x[index]), true);
  for (let index = 0; index < 32; index++) view.setBigUint64(IN.f + 8 * index, BigInt.asUintN(64, f[index]), true);
  new Uint8Array(view.buffer, view.byteOffset + IN.memory).set(memory);
}

export function parseResults(bytes: Uint8Array, cases: readonly Case[]): Result[] {
  return cases.map((item, index) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset + index * OUT.size, OUT.size);
    const u64 = (offset: number) => view.getBigUint64(offset, true);
    const registers = (offset: number) => Array.from({ length: 32 }, (_, register) => u64(offset + 8 * register));
    const cause = u64(OUT.cause);
    const epc = u64(OUT.epc);
    const slot = BigInt(item.crossing ? CROSSING_SLOT_ADDRESS : SLOT_ADDRESS);
    return {
      x: [0n, ...registers(OUT.x + 8).slice(0, 31)],
      f: registers(OUT.f),
      fcsr: Number(u64(OUT.fcsr)),
      memory: bytes.slice(index * OUT.size + OUT.memory, index * OUT.size + OUT.memory + MEMORY_BYTES),
      cause,
      epc,
      tval: u64(OUT.tval),
      mstatus: u64(OUT.mstatus),
      read: (item.read ?? []).map((_, slotIndex) => u64(OUT.read + 8 * slotIndex)),
      completed: cause === 3n && !(epc >= slot && epc < slot + BigInt(item.code.length)),
    };
  });
}

/** Runs any number of cases on QEMU, in as many images as needed. */
export async function runBatchOnQemu(cases: readonly Case[], options: BatchOptions = {}): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < cases.length; start += CASES_MAX) {
    const part = cases.slice(start, start + CASES_MAX);
    const batch = buildBatch(part, options);
    results.push(...parseResults(await runOnQemu(batch.image, batch.results), part));
  }
  return results;
}

/** Runs an image to its power-off and returns its table. A case that never ends is an error that says which. */
export async function runOnQemu(image: Uint8Array, results: Batch['results'], timeoutMs = 60_000): Promise<Uint8Array> {
  const inputPointer = { address: GLOBALS_ADDRESS + GLOBAL.input, bytes: 8 };
  const run = await runImage({ image, dump: [results, inputPointer], timeoutMs });
  if (!run.poweredOff) {
    const input = Number(new DataView(run.dumps[1].buffer, run.dumps[1].byteOffset, 8).getBigUint64(0, true));
    throw new Error(`QEMU did not finish in ${timeoutMs} ms: it hangs in case ${(input - TABLE_ADDRESS) / IN.size}`);
  }
  return run.dumps[0];
}

// The harness. Between cases no register holds anything: all state is in the globals, which mscratch points to.

const T0 = 5;
/** x6 to x9 carry the values of the CSRs of a case. */
const FIRST_VALUE_REGISTER = 6;
const LAST = 31;

function harness(): Uint8Array {
  const a = new Assembler(IMAGE_ADDRESS);
  emitStart(a);
  emitBegin(a);
  // mtvec has no room for the two lowest bits, and every instruction here has four bytes.
  a.label('handler');
  emitSave(a);
  emitNext(a);
  return a.finish();
}

function emitStart(a: Assembler): void {
  a.csrr(T0, CSR.mhartid);
  a.bne(T0, 0, 'park');
  a.address(T0, 'handler');
  a.csrw(CSR.mtvec, T0);
  a.address(T0, GLOBALS_ADDRESS);
  a.csrw(CSR.mscratch, T0);
  // One PMP region that lets S and U mode go everywhere.
  a.addi(T0, 0, -1);
  a.csrw(CSR.pmpaddr0, T0);
  a.addi(T0, 0, 0x1f);
  a.csrw(CSR.pmpcfg0, T0);
  for (const csr of [CSR.mie, CSR.medeleg, CSR.mideleg]) a.csrw(csr, 0);
  a.addi(T0, 0, 7);
  for (const csr of [CSR.mcounteren, CSR.scounteren]) a.csrw(csr, T0);
}

/** Prepares one case and jumps into it. */
function emitBegin(a: Assembler): void {
  const [input, globals] = [30, LAST];
  a.label('begin');
  a.address(globals, GLOBALS_ADDRESS);
  a.ld(input, globals, GLOBAL.input);
  a.ld(T0, globals, GLOBAL.end);
  a.beq(input, T0, 'finish');
  emitFloatOn(a);
  a.ld(T0, input, IN.slot);
  a.csrw(CSR.mepc, T0);
  for (let at = 0; at < CODE_BYTES; at += 2) {
    a.lhu(6, input, IN.code + at);
    a.sh(6, T0, at);
  }
  emitPatch(a, input, IN.set, 'set');
  emitPatch(a, input, IN.set, 'restore');
  emitPatch(a, input, IN.read, 'read');
  a.word(FENCE_I);
  a.word(SFENCE_VMA);
  // A store-conditional that fails ends a reservation that the case before may have left.
  a.addi(T0, globals, GLOBAL.reservation);
  a.word(scD(0, 0, T0));
  for (let index = 0; index < CSR_SLOTS; index++) a.ld(FIRST_VALUE_REGISTER + index, input, IN.values + 8 * index);
  emitHole(a, 'set');
  for (let index = 0; index < CSR_SLOTS; index++) a.sd(FIRST_VALUE_REGISTER + index, globals, GLOBAL.saved + 8 * index);
  a.address(T0, MEMORY_ADDRESS);
  emitCopy(a, { from: input, fromOffset: IN.memory, to: T0, toOffset: 0 });
  a.ld(T0, input, IN.fcsr);
  for (let register = 0; register < 32; register++) a.fld(register, input, IN.f + 8 * register);
  a.csrw(CSR.fcsr, T0);
  a.ld(T0, input, IN.mstatus);
  a.csrw(CSR.mstatus, T0);
  a.addi(LAST, input, 0);
  for (let register = 1; register <= LAST; register++) a.ld(register, LAST, IN.x + 8 * register);
  a.word(MRET);
}

/** Where every case ends up, in M mode: stores what the case left behind. */
function emitSave(a: Assembler): void {
  const [spare, output, globals] = [29, 30, LAST];
  a.csrSwap(globals, CSR.mscratch, globals);
  a.sd(output, globals, GLOBAL.spill);
  a.ld(output, globals, GLOBAL.output);
  for (let register = 1; register < output; register++) a.sd(register, output, OUT.x + 8 * register);
  a.ld(spare, globals, GLOBAL.spill);
  a.sd(spare, output, OUT.x + 8 * output);
  a.csrr(spare, CSR.mscratch);
  a.sd(spare, output, OUT.x + 8 * LAST);
  a.csrw(CSR.mscratch, globals);
  const traps: [number, number][] = [
    [CSR.mcause, OUT.cause],
    [CSR.mepc, OUT.epc],
    [CSR.mtval, OUT.tval],
    [CSR.mstatus, OUT.mstatus],
  ];
  for (const [csr, offset] of traps) {
    a.csrr(spare, csr);
    a.sd(spare, output, offset);
  }
  emitFloatOn(a);
  a.csrr(spare, CSR.fcsr);
  a.sd(spare, output, OUT.fcsr);
  for (let register = 0; register < 32; register++) a.fsd(register, output, OUT.f + 8 * register);
  for (let index = 0; index < CSR_SLOTS; index++) a.addi(FIRST_VALUE_REGISTER + index, 0, 0);
  emitHole(a, 'read');
  for (let index = 0; index < CSR_SLOTS; index++) a.sd(FIRST_VALUE_REGISTER + index, output, OUT.read + 8 * index);
  for (let index = 0; index < CSR_SLOTS; index++) a.ld(FIRST_VALUE_REGISTER + index, globals, GLOBAL.saved + 8 * index);
  emitHole(a, 'restore');
  a.address(T0, MEMORY_ADDRESS);
  emitCopy(a, { from: T0, fromOffset: 0, to: output, toOffset: OUT.memory });
}

/** Clears the slot and goes on to the next case, or powers off after the last. */
function emitNext(a: Assembler): void {
  const [input, globals] = [30, LAST];
  a.ld(input, globals, GLOBAL.input);
  a.ld(T0, input, IN.slot);
  a.lui(6, (C_EBREAK + 0x800) >> 12);
  a.addi(6, 6, C_EBREAK - (((C_EBREAK + 0x800) >> 12) << 12));
  for (let at = 0; at < CODE_BYTES; at += 2) a.sh(6, T0, at);
  for (const [pointer, step] of [
    [GLOBAL.input, IN.size],
    [GLOBAL.output, OUT.size],
  ]) {
    a.ld(T0, globals, pointer);
    a.addi(T0, T0, step);
    a.sd(T0, globals, pointer);
  }
  a.jump('begin');
  a.label('finish');
  a.lui(6, SYSCON_ADDRESS >> 12);
  a.lui(7, POWER_OFF >> 12);
  a.addi(7, 7, POWER_OFF & 0xfff);
  a.sw(7, 6, 0);
  a.label('park');
  a.word(WFI);
  a.jump('park');
}

function emitFloatOn(a: Assembler): void {
  a.lui(T0, 6);
  a.csrSet(CSR.mstatus, T0);
}

/** Four instructions that each case brings along. */
function emitHole(a: Assembler, label: string): void {
  a.label(label);
  for (let index = 0; index < CSR_SLOTS; index++) a.word(NOP);
}

function emitPatch(a: Assembler, input: number, offset: number, label: string): void {
  a.address(T0, label);
  for (let index = 0; index < CSR_SLOTS; index++) {
    a.lw(6, input, offset + 4 * index);
    a.sw(6, T0, 4 * index);
  }
}

function emitCopy(
  a: Assembler,
  { from, fromOffset, to, toOffset }: { from: number; fromOffset: number; to: number; toOffset: number },
): void {
  for (let at = 0; at < MEMORY_BYTES; at += 8) {
    a.ld(6, from, fromOffset + at);
    a.sd(6, to, toOffset + at);
  }
}
