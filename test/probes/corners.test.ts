/**
 * Probes where guests seldom go: page tables whose bits are set by hardware, one page of code at two addresses, an instruction on two pages,
 * code that changes, accesses on two pages that are no neighbours, and reservations that fail.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Assembler, CSR, csrrs, csrrw, FENCE_I, MRET, SFENCE_VMA } from '../../scripts/assemble.ts';
import { UserError } from '../../src/base/assert.ts';
import { Random } from '../../src/base/random.ts';
import { MEMORY_BYTES, PLANTS_MAX } from '../../src/vmm/layout.ts';
import type { ProbeEvent, ProbeSet } from '../../src/vmm/probes.ts';
import { PROBES_MAX } from '../../src/vmm/probes.ts';
import { Plants } from '../../src/vmm/riscv/plants.ts';
import { bareMachine } from '../riscv/support/batch.ts';
import { compare } from './compare.ts';

const RAM = 0x80000000;
const PAGE = 0x1000;
const VIRTUAL = 0x40000000;
const [ZERO, RA, T0, T1, T2, A0, A1, A2, A3, A4, T3] = [0, 1, 5, 6, 7, 10, 11, 12, 13, 14, 28];
const ECALL = 0x00000073;
const C_JR_RA = 0x8082;
const C_NOP = 0x0001;
const addi = (rd: number, rs1: number, immediate: number) => ((immediate << 20) | (rs1 << 15) | (rd << 7) | 0x13) >>> 0;
const andi = (rd: number, rs1: number, immediate: number) => (addi(rd, rs1, immediate) | 0x7000) >>> 0;
const xori = (rd: number, rs1: number, immediate: number) => (addi(rd, rs1, immediate) | 0x4000) >>> 0;
const jalr = (rd: number, rs1: number) => ((rs1 << 15) | (rd << 7) | 0x67) >>> 0;
const atomicW = (funct5: number, rd: number, rs2: number, rs1: number) =>
  ((funct5 << 27) | (rs2 << 20) | (rs1 << 15) | (2 << 12) | (rd << 7) | 0x2f) >>> 0;
const [AMOADD, LR, SC] = [0b00000, 0b00010, 0b00011];
const [V, R, W, X, A, D] = [1, 2, 4, 8, 64, 128];
const SATP = 0x180;

function li(a: Assembler, rd: number, value: number): void {
  a.lui(rd, ((value + 0x800) >>> 12) & 0xfffff);
  if (value & 0xfff) a.addi(rd, rd, ((value & 0xfff) ^ 0x800) - 0x800);
}

/** Machine mode: page tables, the way to supervisor mode, and the handler of environment calls. */
function machineCode(): Uint8Array {
  const a = new Assembler(RAM);
  a.address(T0, 'handler');
  a.csrw(CSR.mtvec, T0);
  a.addi(T0, ZERO, -1);
  a.csrw(CSR.pmpaddr0, T0);
  a.addi(T0, ZERO, 0x1f);
  a.csrw(CSR.pmpcfg0, T0);
  // Sv39, with its root in page 8.
  a.addi(T0, ZERO, 8);
  a.word((60 << 20) | (T0 << 15) | (1 << 12) | (T0 << 7) | 0x13);
  li(a, T1, (RAM + 8 * PAGE) >>> 12);
  a.word((T1 << 20) | (T0 << 15) | (6 << 12) | (T0 << 7) | 0x33);
  a.csrw(SATP, T0);
  // MPP = S, the floating-point unit on.
  li(a, T0, 0x2800);
  a.csrSet(CSR.mstatus, T0);
  li(a, T0, VIRTUAL + PAGE + 8);
  a.csrw(CSR.mepc, T0);
  a.word(MRET);
  a.label('handler');
  a.csrSwap(T0, CSR.mscratch, T0);
  a.csrr(T0, CSR.mepc);
  a.addi(T0, T0, 4);
  a.csrw(CSR.mepc, T0);
  // Memory as the supervisor sees it.
  li(a, T1, 0x20000);
  a.word(csrrs(T2, CSR.mstatus, T1));
  li(a, T0, VIRTUAL + 4 * PAGE);
  a.lw(T1, T0, 16);
  a.sw(T1, T0, 20);
  a.word(csrrw(ZERO, CSR.mstatus, T2));
  a.word(MRET);
  return a.finish();
}

/** Supervisor mode, at the start of page 1; its first half word ends the instruction on two pages, for those who come from page 2. */
function loopCode(straddled: number): Uint8Array {
  const a = new Assembler(VIRTUAL + PAGE);
  a.word((straddled >>> 16) | (C_JR_RA << 16));
  a.word(C_NOP | (C_NOP << 16));
  li(a, T3, VIRTUAL + 8 * PAGE);
  a.label('again');
  // The accessed and dirty bits of three pages go, and the hardware sets them again.
  for (const page of [2, 4, 5]) {
    a.ld(T1, T3, 8 * page);
    a.word(andi(T1, T1, -193));
    a.sd(T1, T3, 8 * page);
  }
  a.word(SFENCE_VMA);
  li(a, T0, VIRTUAL + 5 * PAGE);
  a.lw(A3, T0, -8);
  a.sd(A3, T0, -3);
  a.ld(A4, T0, -5);
  a.fld(1, T0, 8);
  a.fsd(1, T0, -16);
  a.word(atomicW(AMOADD, A4, A3, T0));
  a.word(atomicW(LR, A4, 0, T0));
  a.word(atomicW(SC, A4, A3, T0));
  a.word(atomicW(SC, A4, A3, T0));
  a.word(atomicW(LR, A4, 0, T0));
  a.addi(T1, T0, 64);
  a.word(atomicW(SC, A4, A3, T1));
  // Page 2 returns through the second mapping of this page; then straight through the first.
  li(a, T0, VIRTUAL + 2 * PAGE + 0xff4);
  a.word(jalr(RA, T0));
  li(a, T0, VIRTUAL + PAGE + 2);
  a.word(jalr(RA, T0));
  // The instruction at 0xff8 of page 2 changes.
  li(a, T0, VIRTUAL + 3 * PAGE - 8);
  a.lw(T1, T0, 0);
  li(a, T2, 0x00300000);
  a.word((T2 << 20) | (T1 << 15) | (4 << 12) | (T1 << 7) | 0x33);
  a.sw(T1, T0, 0);
  a.word(FENCE_I);
  a.word(ECALL);
  a.addi(A2, ZERO, 9);
  a.label('inner');
  a.word(xori(A3, A3, 5));
  a.sw(A3, T0, -64);
  a.addi(A2, A2, -1);
  a.bne(A2, ZERO, 'inner');
  a.jump('again');
  return a.finish();
}

function image(): Uint8Array {
  const bytes = new Uint8Array(11 * PAGE);
  const view = new DataView(bytes.buffer);
  const straddled = addi(A1, A1, 5);
  bytes.set(machineCode(), 0);
  bytes.set(loopCode(straddled), PAGE);
  view.setUint32(2 * PAGE + 0xff4, addi(A1, A1, 1), true);
  view.setUint32(2 * PAGE + 0xff8, addi(A0, A0, 1), true);
  view.setUint16(2 * PAGE + 0xffc, C_NOP, true);
  view.setUint16(2 * PAGE + 0xffe, straddled & 0xffff, true);
  const entry = (table: number, index: number, page: number, flags: number) =>
    view.setBigUint64(table * PAGE + 8 * index, (BigInt(RAM / PAGE + page) << 10n) | BigInt(flags | V), true);
  entry(8, 1, 9, 0);
  entry(9, 0, 10, 0);
  const used = A | D;
  for (const [virtual, physical, flags] of [
    [1, 1, R | X | used],
    [2, 2, R | W | X | used],
    [3, 1, R | X | used],
    // Neighbours in virtual memory, the other way round in physical memory.
    [4, 5, R | W | used],
    [5, 4, R | W | used],
    [8, 10, R | W | used],
  ]) {
    entry(10, virtual, physical, flags);
  }
  return bytes;
}

test('corners of memory and code', (t) => {
  const machine = bareMachine(image());
  compare(t, machine, 6000, 60);
  machine.cpu.jit.hotAfter = 5;
  assert.equal(machine.run(50_000).kind, 'position');
  assert.ok(machine.cpu.jit.compiled > 0, 'the loop is compiled');
  compare(t, machine, 6000, 60);
});

test('probes come and go while code runs, compiled or not', () => {
  const machine = bareMachine(image());
  machine.cpu.jit.hotAfter = 3;
  const inner = BigInt(VIRTUAL + PAGE) + BigInt(loopCode(0).length - 12);
  const hits: number[] = [];
  const count = (set: ProbeSet, steps: number) => {
    let told = 0;
    machine.probes.set(set, () => {
      told++;
      return false;
    });
    assert.equal(machine.run(machine.position + steps).kind, 'position');
    return told;
  };
  for (let round = 0; round < 6; round++) {
    hits.push(count({ execute: [inner] }, 5000));
    assert.equal(count({}, 5000), 0, 'nothing is told where nothing was asked for');
    // The other mapping of the page is never executed there.
    assert.equal(count({ execute: [inner + BigInt(2 * PAGE)] }, 5000), 0);
    assert.ok(count({ executePhysical: [inner - BigInt(VIRTUAL) + BigInt(RAM)] }, 5000) > 200);
  }
  assert.ok(
    hits.every((n) => n > 200),
    `hits ${hits}`,
  );
});

test('probes stay where they are when the machine is taken elsewhere', () => {
  const machine = bareMachine(image());
  machine.cpu.jit.hotAfter = 3;
  const states = [machine.snapshot().snapshot];
  for (let i = 0; i < 3; i++) {
    assert.equal(machine.run(machine.position + 7000).kind, 'position');
    states.push(machine.snapshot().snapshot);
  }
  const set: ProbeSet = {
    // What the program rewrites, what lies on two pages, and the loop's end.
    execute: [VIRTUAL + 2 * PAGE + 0xff8, VIRTUAL + 2 * PAGE + 0xffe, VIRTUAL + PAGE + loopCode(0).length - 12].map(
      BigInt,
    ),
    accesses: [{ space: 'virtual', address: BigInt(VIRTUAL + 5 * PAGE), length: 8, read: true, write: true }],
    traps: true,
  };
  let told: ProbeEvent[] = [];
  const listener = (event: ProbeEvent) => {
    told.push(event);
    return false;
  };
  const eventsFrom = (start: (typeof states)[number]) => {
    told = [];
    machine.restore(start);
    assert.equal(machine.run(start.position + 3000).kind, 'position');
    return told;
  };
  const expected = states.map((start) => {
    machine.probes.set(set, listener);
    const events = eventsFrom(start);
    machine.probes.clear();
    machine.run(machine.position + 2000);
    return events;
  });
  machine.probes.set(set, listener);
  const random = new Random(8);
  for (let i = 0; i < 30; i++) {
    const n = random.below(states.length);
    machine.sliceSteps = 1 + random.below(3000);
    assert.deepEqual(eventsFrom(states[n]), expected[n], `seed 8, round ${i}, state ${n}`);
  }
  assert.ok(
    expected.every((events) => ['execute', 'access', 'trap'].every((kind) => events.some((e) => e.kind === kind))),
    'something of each kind happens',
  );
});

test('calls of the built-in firmware, and the memory that it reads', () => {
  const CONSOLE = 0x4442434e;
  const a = new Assembler(RAM);
  // The header of a Linux image: a jump over it, its size, a magic word.
  const [HEADER, SIZE, MAGIC] = [64, 16, 56];
  a.jump('again');
  while (a.here < RAM + HEADER) a.word(0);
  a.label('again');
  li(a, 17, CONSOLE);
  a.addi(16, ZERO, 0);
  a.addi(A0, ZERO, 5);
  a.address(A1, 'again');
  a.addi(A2, ZERO, 0);
  a.word(ECALL);
  a.jump('again');
  const kernel = a.finish();
  const view = new DataView(kernel.buffer);
  view.setUint32(SIZE, kernel.length, true);
  view.setUint32(MAGIC, 0x05435352, true);
  const machine = bareMachine(kernel, { bios: 'builtin' });
  const start = machine.cpu.get(0, 'pc') + BigInt(HEADER);
  const text = { space: 'physical', address: start + 4n, length: 1, read: true, write: false } as const;
  const beside = { ...text, address: start + 5n };
  const events: ProbeEvent[] = [];
  machine.probes.set({ calls: new Set([CONSOLE]), accesses: [text, beside] }, (event) => {
    assert.equal(machine.position, event.position + 1);
    events.push(event);
    return event.kind === 'sbi';
  });
  assert.equal(machine.run(1000).kind, 'probe');
  // A jump and seven instructions lead to the call: two of them load the number of the extension, two the address.
  const position = 8;
  const pc = start + 28n;
  const args = [5n, start, 0n, machine.cpu.x(0, 13), machine.cpu.x(0, 14), machine.cpu.x(0, 15)];
  const common = { position, hart: null, pc: null, virtual: null };
  assert.deepEqual(events, [
    { kind: 'sbi', position, hart: 0, pc, extension: CONSOLE, fn: 0n, args },
    { kind: 'access', ...common, device: 'firmware', write: false, physical: start, length: 5 },
  ]);
  assert.equal(machine.cpu.get(0, 'pc'), pc + 4n);
  assert.equal(machine.cpu.x(0, A0), 0n, 'the result of the call');
  machine.probes.set({ calls: new Set([CONSOLE + 1]) }, () => assert.fail('another extension'));
  assert.equal(machine.run(1000).kind, 'position');
});

test('what cannot be looked out for is refused, and changes nothing', () => {
  const machine = bareMachine(image());
  let told = 0;
  const listener = () => {
    told++;
    return false;
  };
  machine.probes.set({ traps: true }, listener);
  const bad: ProbeSet[] = [
    { registers: [{ hart: 0, name: 'x32' }] },
    { registers: [{ hart: 1, name: 'x1' }] },
    { accesses: [{ space: 'virtual', address: 0n, length: 0, read: true, write: true }] },
    { accesses: [{ space: 'virtual', address: 2n ** 64n - 2n, length: 4, read: true, write: true }] },
    { execute: [-4n] },
    { traps: new Set([64]) },
    { execute: Array.from({ length: 513 }, (_, i) => BigInt(4 * i)) },
  ];
  for (const set of bad) assert.throws(() => machine.probes.set(set, () => true), UserError);
  machine.run(10_000);
  assert.ok(told > 0, 'the first set still holds');
});

test('more plants than there is room for: those of long ago make way', () => {
  const memory = new WebAssembly.Memory({ initial: MEMORY_BYTES / 65536, maximum: MEMORY_BYTES / 65536 });
  let present = 0;
  let dropped = 0;
  const plants = new Plants(memory, {
    records: () => 0,
    decode: () => assert.fail('nothing is decoded'),
    forgetRegions: () => {},
    presentPages: () => [[BigInt(VIRTUAL), present]],
    dropFetchEntries: () => {
      dropped++;
    },
  });
  const pages = PLANTS_MAX / PROBES_MAX + 8;
  const physical = BigInt(RAM + 100 * PAGE);
  const virtual = Array.from({ length: PROBES_MAX }, (_, i) => BigInt(VIRTUAL + 4 * i));
  plants.set(virtual, [physical], 1000);
  dropped = 0;
  for (present = 0; present < pages; present++) plants.pageEntered(BigInt(VIRTUAL), present);
  assert.equal(dropped, 1, 'every page is entered anew after that');
  assert.ok(plants.has(pages - 1, 0) && plants.has(pages - 1, 4 * (PROBES_MAX - 1)), 'where a hart is');
  assert.ok(plants.has(100, 0), 'what does not depend on a mapping');
  assert.ok(!plants.has(0, 0), 'where harts were long ago');
  plants.set([], [], 1000);
  assert.ok(!plants.has(pages - 1, 0) && !plants.has(100, 0));
});
