/**
 * Address translation on our machine and on QEMU's. The page table under test is the second half of each case's memory window, which
 * begins at a page boundary: eight entries that are new for each case and compared after it. Fixed tables in the free area lead
 * to it at every level.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csrrs, csrrw } from '../../scripts/assemble.ts';
import {
  type BatchOptions,
  FREE_ADDRESS,
  MEMORY_ADDRESS,
  MEMORY_BYTES,
  type Result,
} from '../../scripts/insn-batch.ts';
import { Random } from '../../src/base/random.ts';
import { CSRS } from '../../src/vmm/riscv/csr.ts';
import { CAUSE, MSTATUS } from '../../src/vmm/riscv/hart.ts';
import { needTool } from '../support/tools.ts';
import { type Comparison, codeOf, compareBatches, report } from './support/batch.ts';
import { state } from './support/operands.ts';
import { settleQemu } from './support/qemu-quirks.ts';

const SEED = 20240614;
const PAGE = 0x1000;
const RAM = 0x80000000;
const page = (n: number) => FREE_ADDRESS + n * PAGE;
const GADGETS = page(0);
const ROOT57 = page(1);
const ROOT48 = page(2);
const ROOT39 = page(3);
const LEVEL1 = page(4);
/** All 512 entries are leaves for the first data page. */
const LAST_LEVEL = page(5);
const DATA = [page(6), page(7)];
const TESTED = MEMORY_ADDRESS + MEMORY_BYTES / 2;
const TESTED_ENTRIES = MEMORY_BYTES / 2 / 8;

const V = 1n;
const R = 2n;
const W = 4n;
const X = 8n;
const U = 16n;
const A = 64n;
const D = 128n;
const pointer = (address: number) => (BigInt(address) >> 2n) | V;
const leaf = (address: number | bigint, flags: bigint) => (BigInt(address) >> 2n) | flags | V;
const GIB = 1n << 30n;

/** Where the page table under test hangs in the tree: the least mode that gets there, and the address and size of its entries. */
interface Region {
  readonly level: number;
  readonly base: bigint;
  /** The page table at the root, where it is not one of the fixed ones. */
  readonly modes: readonly (8 | 9 | 10)[];
  readonly rooted?: boolean;
}
const REGIONS: readonly Region[] = [
  { level: 0, base: GIB, modes: [8, 9, 10] },
  { level: 1, base: 3n * GIB, modes: [8, 9, 10] },
  { level: 2, base: 1n << 39n, modes: [9, 10] },
  { level: 3, base: 1n << 48n, modes: [10] },
  { level: 2, base: 0n, modes: [8], rooted: true },
  { level: 3, base: 0n, modes: [9], rooted: true },
  { level: 4, base: 0n, modes: [10], rooted: true },
];

function tables(data: Uint8Array): { address: number; data: Uint8Array }[] {
  const table = (address: number, entries: { [index: number]: bigint }) => {
    const words = new BigUint64Array(512);
    for (const [index, entry] of Object.entries(entries)) words[Number(index)] = entry;
    return { address, data: new Uint8Array(words.buffer) };
  };
  const all = R | W | X | A | D;
  return [
    table(ROOT57, { 0: pointer(ROOT48), 1: pointer(TESTED) }),
    table(ROOT48, { 0: pointer(ROOT39), 1: pointer(TESTED) }),
    table(ROOT39, { 1: pointer(LEVEL1), 2: leaf(RAM, all), 3: pointer(TESTED) }),
    table(LEVEL1, { 0: pointer(TESTED), 1: leaf(RAM, all), 2: leaf(RAM, all | U) }),
    table(LAST_LEVEL, Object.fromEntries(Array.from({ length: 512 }, (_, n) => [n, leaf(DATA[0], all | U)]))),
    { address: DATA[0], data },
    { address: DATA[1], data },
  ];
}

const span = (level: number) => 1n << BigInt(12 + 9 * level);

/** An entry of a table of some level: often fair, else with something odd about it. */
function entry(random: Random, level: number): bigint {
  let flags = BigInt(random.u32() & 0xff);
  if (random.below(8)) flags |= V;
  if (random.below(2)) flags |= A;
  if (random.below(3)) flags |= R;
  if (random.below(16) === 0 && level > 0) {
    // A pointer: to a table that is fair at the last level only.
    return pointer(LAST_LEVEL) | (random.below(4) ? 0n : flags & (A | D | U));
  }
  let target = BigInt(level === 0 ? random.pick(DATA) : level < 3 ? RAM : 0);
  // Nothing is there; or a superpage that is not aligned.
  if (random.below(32) === 0) target = 0x4000000000n & -span(level);
  if (level > 0 && random.below(8) === 0) target |= BigInt(PAGE) << BigInt(random.below(9 * level));
  // A pointer to where nothing is: QEMU 7.2 raises a page fault, and should an access fault (12.3.2, step 2).
  if ((flags & (V | R | W | X)) === V) target = BigInt(LAST_LEVEL);
  const reserved = random.below(16) ? 0n : 1n << BigInt(54 + random.below(10));
  return (leaf(target, 0n) & ~V) | flags | reserved;
}

interface Walk {
  readonly region: Region;
  readonly mode: number;
  readonly satp: bigint;
  readonly entries: readonly bigint[];
  /** An address, and the one where its page ends. */
  readonly address: bigint;
}

/** A translation: entries, and an address with `bytes` at it. Of four one crosses into the next page. */
function walk(random: Random, bytes: number, aligned: boolean): Walk {
  const region = random.pick(REGIONS);
  const mode = random.pick(region.modes);
  const root = region.rooted ? TESTED : { 8: ROOT39, 9: ROOT48, 10: ROOT57 }[mode];
  const entries = Array.from({ length: TESTED_ENTRIES }, () => entry(random, region.level));
  const index = random.below(TESTED_ENTRIES);
  const offset = (random.below(PAGE / bytes) * bytes) % PAGE;
  const crossing = region.level === 0 && !aligned && random.below(4) === 0;
  const within = crossing ? PAGE - 1 - random.below(Math.max(bytes - 1, 1)) : offset;
  const target = region.level === 0 ? 0 : region.level < 3 ? DATA[0] - RAM : DATA[0];
  let address = region.base + BigInt(index) * span(region.level) + BigInt(target + within);
  // Neither the sign extension of a fair address nor a fair one.
  if (random.below(16) === 0) address ^= 1n << BigInt(38 + random.below(26));
  return {
    region,
    mode,
    satp: (BigInt(mode) << 60n) | BigInt(root / PAGE),
    entries,
    address: BigInt.asUintN(64, address),
  };
}

const crosses = (address: bigint, bytes: number) => (address & 0xfffn) + BigInt(bytes) > 0x1000n;

/** Takes each A and D bit that one of both has set for set. */
function setAccessed(ours: Result, theirs: Result): void {
  for (let at = MEMORY_BYTES / 2; at < MEMORY_BYTES; at += 8) {
    const accessed = (ours.memory[at] | theirs.memory[at]) & Number(A | D);
    ours.memory[at] |= accessed;
    theirs.memory[at] |= accessed;
  }
}

function windowOf(random: Random, entries: readonly bigint[]): Uint8Array {
  const memory = Uint8Array.from({ length: MEMORY_BYTES }, () => random.u32());
  memory.set(new Uint8Array(BigUint64Array.from(entries).buffer), MEMORY_BYTES / 2);
  return memory;
}

const csr = (name: string) => CSRS.find((c) => c.name === name)!.number;
const load = (funct3: number, opcode = 0x03) => (10 << 15) | (funct3 << 12) | (11 << 7) | opcode;
const store = (funct3: number, opcode = 0x23) => (11 << 20) | (10 << 15) | (funct3 << 12) | opcode;
const atomic = (funct5: number, size: number, rs2: number) =>
  ((funct5 << 27) | (rs2 << 20) | (10 << 15) | (size << 12) | (12 << 7) | 0x2f) >>> 0;
/** Accesses by x10. */
const ACCESSES: readonly [name: string, bits: number, bytes: number, aligned?: boolean][] = [
  ['lb', load(0), 1],
  ['lh', load(1), 2],
  ['lw', load(2), 4],
  ['ld', load(3), 8],
  ['lwu', load(6), 4],
  ['flw', load(2, 0x07), 4],
  ['fld', load(3, 0x07), 8],
  ['sb', store(0), 1],
  ['sh', store(1), 2],
  ['sw', store(2), 4],
  ['sd', store(3), 8],
  ['fsd', store(3, 0x27), 8],
  ['lr.d', atomic(0b00010, 3, 0), 8, true],
  ['amoadd.w', atomic(0, 2, 11), 4, true],
  ['amoswap.d', atomic(1, 3, 11), 8, true],
];

/** Data accesses in M-mode that count as S or U (MPRV); a case begins with MPP = U. */
function asPrivilege(privilege: 'S' | 'U', access: number): Uint8Array {
  return privilege === 'U' ? codeOf(access) : codeOf(csrrs(0, csr('mstatus'), 5), access);
}

async function compare(cases: readonly Comparison[], options: BatchOptions): Promise<void> {
  const differences = await compareBatches(cases, options);
  assert.equal(differences.length, 0, report(differences, SEED));
}

const needQemu = (t: Parameters<typeof needTool>[0]) => needTool(t, 'qemu-system-riscv64', 'qemu-system-misc');

test('loads, stores and atomic operations', { timeout: 120_000 }, async (t) => {
  if (!needQemu(t)) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  for (let n = 0; n < 12_000; n++) {
    const [name, bits, bytes, aligned = false] = random.pick(ACCESSES);
    const { satp, entries, address, region, mode } = walk(random, bytes, aligned);
    const privilege = random.pick(['S', 'U'] as const);
    const base = state(random);
    const x = base.x.with(5, 1n << 11n).with(10, address);
    const status = MSTATUS.MPP | 0x2000n | MSTATUS.MPRV | (random.u64() & (MSTATUS.SUM | MSTATUS.MXR));
    cases.push({
      ...base,
      name: `${name} as ${privilege}, level ${region.level} of mode ${mode}`,
      code: asPrivilege(privilege, bits),
      x,
      memory: windowOf(random, entries),
      mstatus: status,
      set: [[csr('satp'), satp]],
      settle: (ours, theirs) => {
        settleQemu(name, bits, x)(ours, theirs);
        // An access that fails may leave A and D bits behind (12.3.1). In some cases it has two parts, of which one is not
        // reached: the store of an atomic operation in QEMU, the second page of a misaligned access.
        if (!ours.completed && (name.startsWith('amo') || crosses(address, bytes))) setAccessed(ours, theirs);
        // Both pages fail: here both are translated before the first is accessed.
        if (crosses(address, bytes) && theirs.cause === BigInt(CAUSE.loadAccess)) {
          if (ours.cause === BigInt(CAUSE.loadPage)) [theirs.cause, theirs.tval] = [ours.cause, ours.tval];
        }
      },
    });
  }
  const data = Uint8Array.from({ length: PAGE }, () => random.u32());
  await compare(cases, { preload: tables(data) });
});

/** In M-mode: sets mstatus to x5 and returns to x6. */
const RETURN = codeOf(csrrw(0, csr('mstatus'), 5), csrrw(0, csr('mepc'), 6), 0x30200073);
const JR_X7 = 0x00038067;
const C_EBREAK = 0x9002;

test('fetches', { timeout: 120_000 }, async (t) => {
  if (!needQemu(t)) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  for (let n = 0; n < 6000; n++) {
    const { satp, entries, address, region, mode } = walk(random, 2, false);
    const privilege = random.pick(['S', 'U'] as const);
    const base = state(random);
    const status = (privilege === 'S' ? 1n << 11n : 0n) | (random.u64() & (MSTATUS.SUM | MSTATUS.MXR));
    // The last two bytes of a page are where an instruction goes on in the next page.
    const end = random.below(4) === 0 && region.level === 0;
    const x = base.x
      .with(5, status)
      .with(6, (end ? address | 0xffen : address) & -2n)
      .with(7, BigInt(GADGETS));
    cases.push({
      ...base,
      name: `fetch by ${privilege}, level ${region.level} of mode ${mode}`,
      code: codeOf(JR_X7),
      x,
      memory: windowOf(random, entries),
      set: [[csr('satp'), satp]],
    });
  }
  const data = new Uint8Array(new Uint16Array(PAGE / 2).fill(C_EBREAK).buffer);
  // With the next page's first half: addi a0, zero, 0x900.
  new DataView(data.buffer).setUint16(PAGE - 2, 0x0513, true);
  await compare(cases, { preload: [...tables(data), { address: GADGETS, data: RETURN }] });
});

test('what sfence.vma makes visible', { timeout: 120_000 }, async (t) => {
  if (!needQemu(t)) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [];
  const [LD_X20, LD_X21, SD_X11, EBREAK] = [0x00053a03, 0x00053a83, 0x00b63023, 0x00100073];
  const fence = (rs1: number, rs2: number) => ((9 << 25) | (rs2 << 20) | (rs1 << 15) | 0x73) >>> 0;
  const FENCES: readonly [name: string, bits: number][] = [
    ['all', fence(0, 0)],
    ['of an address', fence(13, 0)],
    ['of an address space', fence(0, 14)],
    ['of both', fence(13, 14)],
  ];
  // Reads by x10, changes an entry by x12, and reads again.
  const preload = FENCES.map(([, bits], n) => ({
    address: GADGETS + 0x40 * n,
    data: codeOf(csrrs(0, csr('mstatus'), 5), LD_X20, SD_X11, bits, LD_X21, EBREAK),
  }));
  for (let n = 0; n < 2000; n++) {
    const { satp, entries, address, region, mode } = walk(random, 8, true);
    const which = random.below(FENCES.length);
    const index = Number((address >> BigInt(12 + 9 * region.level)) & 511n) % TESTED_ENTRIES;
    const base = state(random);
    // The table is 2 MiB behind the start of the first region in the fixed tables; alone at the root it cannot be written.
    if (region.rooted) continue;
    const tableAddress = 0x40200000n + BigInt(TESTED - RAM + 8 * index);
    // Any address of a superpage stands for all of it, but not for the pages of a table.
    const isLeaf = (entries[index] & (R | W | X)) !== 0n;
    const within =
      !isLeaf || random.below(2)
        ? address
        : (address & -span(region.level)) | (random.u64() & (span(region.level) - 1n));
    const x = base.x
      .with(5, 1n << 11n)
      .with(7, BigInt(GADGETS + 0x40 * which))
      .with(10, address)
      .with(11, entry(random, region.level))
      .with(12, tableAddress)
      .with(13, within)
      .with(14, (satp >> 44n) & 0xffffn);
    cases.push({
      ...base,
      name: `fence ${FENCES[which][0]}, level ${region.level} of mode ${mode}`,
      code: codeOf(JR_X7),
      x,
      memory: windowOf(random, entries),
      mstatus: MSTATUS.MPP | 0x2000n | MSTATUS.MPRV | MSTATUS.SUM,
      set: [[csr('satp'), satp]],
    });
  }
  const data = Uint8Array.from({ length: PAGE }, () => random.u32());
  await compare(cases, { preload: [...tables(data), ...preload] });
});

const DATA_WORDS = PAGE / 4;
const NAPOT = 3;
const TOR = 1;
const NA4 = 2;

interface Protection {
  readonly addresses: readonly bigint[];
  readonly configs: readonly number[];
}

/** Three entries about the first data page; the harness has the last of the first eight. */
function protection(random: Random, locked: boolean): Protection {
  const word = () => BigInt(DATA[0] / 4 + random.below(DATA_WORDS));
  const addresses: bigint[] = [];
  const configs: number[] = [];
  for (let n = 0; n < 3; n++) {
    // The first entry's range, if it is one, would begin at zero and hold the code.
    const kind = n === 0 ? random.pick([NA4, NAPOT]) : random.pick([TOR, TOR, NA4, NAPOT, 0]);
    const permissions = random.pick([0, 1, 3, 4, 5, 7]);
    const size = random.below(10);
    const napot = (word() & -(1n << BigInt(size + 1))) | ((1n << BigInt(size)) - 1n);
    addresses.push(kind === NAPOT ? napot : word());
    configs.push((kind << 3) | permissions | (locked && random.below(2) ? 0x80 : 0));
  }
  return { addresses, configs };
}

const configWord = (configs: readonly number[]) =>
  configs.reduce((word, config, n) => word | (BigInt(config) << BigInt(8 * n)), 0x1fn << 56n);

/** An access of `bytes` near the end of an entry's range, mostly, in the first data page. */
function protectedAddress(random: Random, { addresses }: Protection, bytes: number): bigint {
  const any = BigInt(DATA[0] + bytes * random.below(PAGE / bytes));
  const near = (random.pick(addresses) << 2n) + BigInt(bytes * (random.below(4) - 2));
  const inPage = near >= BigInt(DATA[0]) && near + 8n <= BigInt(DATA[1]);
  return random.below(4) && inPage ? near & -BigInt(bytes) : any;
}

const PMP_ACCESSES = ACCESSES.filter(([name]) => !name.startsWith('lr'));
const PMP_STATUS = { M: MSTATUS.MPP | 0x2000n, S: 0x2800n, U: 0x2000n };

function protectedAccess(random: Random, regions: Protection): Comparison {
  const [name, bits, bytes] = random.pick(PMP_ACCESSES);
  const base = state(random);
  const x = base.x.with(10, protectedAddress(random, regions, bytes));
  const mode = random.pick(['M', 'S', 'U'] as const);
  return {
    ...base,
    name: `${name} in ${mode}`,
    code: codeOf(bits),
    x,
    mstatus: PMP_STATUS[mode],
    settle: settleQemu(name, bits, x),
  };
}

/** The first case of a batch: puts the range of everything in the last of eight entries. */
function openLast(random: Random): Comparison {
  const base = state(random);
  return { ...base, name: 'set up', code: codeOf(csrrw(0, csr('pmpaddr7'), 5)), x: base.x.with(5, (1n << 54n) - 1n) };
}

test('physical memory protection', { timeout: 120_000 }, async (t) => {
  if (!needQemu(t)) return;
  const random = new Random(SEED);
  const cases: Comparison[] = [openLast(random)];
  for (let n = 0; n < 6000; n++) {
    const regions = protection(random, false);
    const set: [number, bigint][] = regions.addresses.map((address, i) => [csr(`pmpaddr${i}`), address]);
    set.push([csr('pmpcfg0'), configWord(regions.configs)]);
    cases.push({ ...protectedAccess(random, regions), set });
  }
  const data = Uint8Array.from({ length: PAGE }, () => random.u32());
  await compare(cases, { preload: tables(data) });
});

test('locked entries bind M too, and stay as they are', { timeout: 120_000 }, async (t) => {
  if (!needQemu(t)) return;
  const random = new Random(SEED);
  const setUp = codeOf(
    ...[0, 1, 2].map((n) => csrrw(0, csr(`pmpaddr${n}`), 20 + n)),
    csrrw(0, csr('pmpcfg0'), 23),
    0x00100073,
  );
  for (let run = 0; run < 8; run++) {
    const regions = protection(random, true);
    const base = state(random);
    const [first, second, third] = regions.addresses;
    const x = base.x.with(7, BigInt(GADGETS)).with(20, first).with(21, second).with(22, third);
    const cases: Comparison[] = [
      openLast(random),
      { ...base, name: 'lock', code: codeOf(JR_X7), x: x.with(23, configWord(regions.configs)) },
    ];
    for (let n = 0; n < 200; n++) cases.push(protectedAccess(random, regions));
    for (const name of ['pmpaddr0', 'pmpaddr1', 'pmpaddr2', 'pmpcfg0']) {
      // What can be changed is changed to what is no range.
      const value = name === 'pmpcfg0' ? 0x1fn << 56n : random.u64() & ((1n << 54n) - 1n);
      const code = codeOf(csrrw(0, csr(name), 5), csrrs(6, csr(name), 0));
      cases.push({ ...state(random), name: `write of ${name}`, code, x: base.x.with(5, value) });
    }
    const data = Uint8Array.from({ length: PAGE }, () => random.u32());
    await compare(cases, { preload: [...tables(data), { address: GADGETS, data: setUp }] });
  }
});
