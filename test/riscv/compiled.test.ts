/** Corners of compiled code, each beside the interpreter: see support/lockstep.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { DECODED_TABLE_BASE, ENTRY_OFFSET, PAGE_BYTES } from '../../src/vmm/layout.ts';
import type { ExitReason } from '../../src/vmm/riscv/region.ts';
import { assemble } from './support/assembly.ts';
import { bareMachine, type MachineOptions } from './support/batch.ts';
import { type Coverage, compareCompiled, interpret } from './support/lockstep.ts';

const START = 0x80000000;
const SEED = Number(process.env.CHRONOVISOR_SEED ?? 20_261_123);
const STEPS = 3000;
const ROUNDS = 16;

/** Memory protection that lets everybody in. */
const OPEN = `
    li    t0, -1
    csrrw zero, pmpaddr0, t0
    li    t0, 31
    csrrw zero, pmpcfg0, t0`;
/** A handler that goes on behind what trapped. */
const SKIP = `
skip:
    csrrw t6, mscratch, t6
    csrrs t6, mepc, zero
    addi  t6, t6, 4
    csrrw zero, mepc, t6
    csrrw t6, mscratch, t6
    mret`;

/**
 * Runs a program that never ends, from the start of memory, interpreted and compiled; the compiled runs must have been left for these reasons.
 * Returns the interpreted machine's states by position.
 */
function agree(source: string, reasons: readonly ExitReason[], options: MachineOptions = {}): readonly string[] {
  const image = assemble(source, START).bytes;
  const reference = interpret(() => bareMachine(image, options), STEPS);
  assert.equal(reference.registers.length, STEPS + 1, 'the program goes on');
  const coverage: Coverage = { regions: 0, exits: new Map() };
  for (let round = 0; round < ROUNDS; round++) compareCompiled(reference, new Random(SEED + round), coverage);
  assert.ok(coverage.regions > 0, 'regions are compiled');
  for (const reason of reasons) assert.ok((coverage.exits.get(reason) ?? 0) > 0, `code is left because of '${reason}'`);
  return reference.registers;
}

/** The values that a register of hart 0 has had. */
function values(registers: readonly string[], name: string): Set<string> {
  return new Set(registers.map((text) => new RegExp(`^hart 0 ${name} (.*)$`, 'm').exec(text)![1]));
}

/** Page tables that map the first pages of memory to themselves, but for `entries`. */
const PAGES = 24;
function identity(entries: { readonly [page: number]: string } = {}): string {
  const leaf = Array.from({ length: PAGES }, (_, n) => entries[n] ?? `.pte ${START + n * PAGE_BYTES}, 0xcf`);
  return [
    ...['.page', 'root:', '.skip 16', '.pte level1, 1', `.pte ${START}, 0xcf`],
    ...['.page', 'level1:', '.pte level0, 1', '.page', 'level0:', ...leaf, '.page'],
  ].join('\n');
}

/** Enters S-mode with translation on. */
const enterSupervisor = (at: string) => `
    la    t0, root
    srli  t0, t0, 12
    li    t1, 1
    slli  t1, t1, 63
    or    t0, t0, t1
    csrrw zero, satp, t0
    la    t0, ${at}
    csrrw zero, mepc, t0
    li    t0, 0x2800
    csrrw zero, mstatus, t0
    mret`;

test('a link register of zero keeps no address', () => {
  const registers = agree(
    `
    la    s1, target
    csrrw zero, mtvec, s1
loop:
    addi  a0, a0, 1
    auipc zero, 0
    jalr  ra, 16(zero)              # to address 16, which is nowhere: a trap, and on with the target
    addi  a1, a1, 1
    j     loop
target:
    csrrs a2, mepc, zero
    j     loop`,
    ['indirect'],
  );
  assert.equal(values(registers, 'x11').size, 1, 'what stands behind the jump is never run');
});

test('a place that is never compiled may be come to as often as one likes', () => {
  const source = 'csrrs a0, mhartid, zero\nloop:\ncsrrs a1, mhartid, zero\naddi a0, a0, 1\nj loop';
  const machine = bareMachine(assemble(source, START).bytes);
  machine.cpu.jit.hotAfter = 0;
  machine.run(100);
  const view = new DataView(machine.pages.read(0)!.buffer);
  const loop = 4;
  const entry = view.getInt32(DECODED_TABLE_BASE, true) + 8 * loop + ENTRY_OFFSET;
  // As after tens of thousands of rounds.
  for (let rounds = -view.getInt16(entry, true); rounds < 2 ** 15; rounds += 2 ** 12) {
    const before = view.getInt16(entry, true);
    machine.run(machine.position + 300);
    const counted = before - view.getInt16(entry, true);
    assert.ok(counted === 0 || counted === 100, `${counted} of 100 rounds were counted`);
    if (counted > 0) view.setInt16(entry, Math.max(before - 2 ** 12, -(2 ** 15)), true);
  }
  machine.run(machine.position + 300);
  assert.equal(machine.cpu.x(0, 10), BigInt(Math.floor((machine.position - 1) / 3)));
});

test('a page means another page to another mode', () => {
  const registers = agree(
    `
    ${OPEN}
    la    t0, again
    csrrw zero, mtvec, t0
again:
    call  shared
    call  shared
    ${enterSupervisor('shared')}
    .page
shared:                             # in machine mode
    addi  a0, a0, 1
    bltu  a0, a0, shared
    addi  a1, a1, 1
    ret
    .page
other:                              # in supervisor mode, at the same address
    addi  a2, a2, 1
    bltu  a2, a2, other
    addi  a3, a3, 1
    ecall
    ${identity({ 1: '.pte other, 0xcf' })}`,
    ['indirect', 'stop'],
  );
  for (const name of ['x11', 'x13']) assert.ok(values(registers, name).size > 20, `${name} counts`);
});

for (const fence of ['sfence.vma zero, zero', 'sfence.vma s2, zero', '']) {
  test(`a loop over two pages notices that the second is mapped elsewhere, as soon as it may: ${fence || 'no fence'}`, () => {
    const second = (counter: string, loop: string) => `
    addi  ${counter}, ${counter}, 1
    andi  t0, a0, 15
    bnez  t0, ${loop}
    # Every sixteenth time around the two copies change places.
    ld    t2, 16(s1)
    ld    t3, 24(s1)
    sd    t3, 16(s1)
    sd    t2, 24(s1)
    ${fence}
    j     ${loop}`;
    const registers = agree(
      `
    ${OPEN}
    la    s1, level0
    la    s2, second
    ${enterSupervisor('loop')}
    .page
    .page-end 16
loop:
    addi  a0, a0, 1
    addi  a1, a1, 1
    nop
    addi  a2, a2, 1
second:
    ${second('a3', 'loop')}
    # The other copy is run a page below where it is assembled, and so are its jumps.
    .page-end 16
loop_for_copy:
    .skip 16
    ${second('a4', 'loop_for_copy')}
    ${identity()}`,
      fence === '' ? ['budget'] : ['page'],
    );
    assert.ok(values(registers, 'x13').size > 20);
    assert.equal(values(registers, 'x14').size > 20, fence !== '', 'without a fence nobody looks');
  });
}

test('a translation that the first page of a loop has dropped is looked up again', () => {
  const second = (counter: string, loop: string) => `
    addi  ${counter}, ${counter}, 1
    j     ${loop}`;
  const registers = agree(
    `
    ${OPEN}
    la    s1, level0
    la    s2, second
    ${enterSupervisor('loop')}
    .page
    .page-end 48
loop:
    addi  a0, a0, 1
    andi  t0, a0, 7
    bnez  t0, on
    ld    t2, 16(s1)
    ld    t3, 24(s1)
    sd    t3, 16(s1)
    sd    t2, 24(s1)
    sfence.vma s2, zero
on:
    addi  a1, a1, 1
    addi  a2, a2, 1
    addi  a5, a5, 1
    addi  a6, a6, 1
second:
    ${second('a3', 'loop')}
    .page-end 48
loop_for_copy:
    .skip 48
    ${second('a4', 'loop_for_copy')}
    ${identity()}`,
    ['page'],
  );
  for (const name of ['x13', 'x14']) assert.ok(values(registers, name).size > 20, name);
});

for (const harts of [1, 2]) {
  test(`a loop over two pages notices that the second is rewritten, by ${harts === 1 ? 'itself' : 'another hart'}`, () => {
    const registers = agree(
      `
    la    s1, slot
    la    s2, words
    csrrs s3, mhartid, zero
    beqz  s3, first
    j     writer
first:
    j     loop
    .page
    .page-end 10
loop:
    addi  a0, a0, 1
    addi  a1, a1, 1
    c.nop
slot:
    addi  a2, a2, 1
    andi  t0, a0, 7
    bnez  t0, loop
    ${harts === 1 ? 'call  write' : ''}
    j     loop
writer:
    li    a0, 40
wait:
    addi  a0, a0, -1
    bnez  a0, wait
    call  write
    j     writer
    .page
write:                              # the two instructions take turns
    ld    t1, 0(s2)
    srli  t2, t1, 32
    slli  t3, t1, 32
    or    t3, t3, t2
    sd    t3, 0(s2)
    sw    t1, 0(s1)
    ret
    .page
words:
    addi  a2, a2, 0
    addi  a3, a3, 1
    .page`,
      ['indirect'],
      { harts, quantum: 50 },
    );
    assert.ok(values(registers, 'x13').size > 5);
  });
}

test('a page at two addresses is one page to those who write it', () => {
  const registers = agree(
    `
    ${OPEN}
    la    s1, function
    la    s2, alias
    la    s3, words
    ${enterSupervisor('loop')}
    .page
loop:
    jalr  ra, 0(s1)
    jalr  ra, 0(s2)
    addi  a0, a0, 1
    andi  t0, a0, 7
    bnez  t0, loop
    ld    t1, 0(s3)
    srli  t2, t1, 32
    slli  t3, t1, 32
    or    t3, t3, t2
    sd    t3, 0(s3)
    # Once through the one address, once through the other.
    andi  t0, a0, 8
    beqz  t0, below
    sw    t1, 4(s2)
    j     loop
below:
    sw    t1, 4(s1)
    j     loop
    .page
function:
    auipc a5, 0
    addi  a2, a2, 1
    add   a6, a6, a5
    bltu  a2, a2, function
    ret
    .page
alias:
    .page
words:
    addi  a2, a2, 2
    addi  a3, a3, 1
    .page
    ${identity({ 3: '.pte function, 0xcf' })}`,
    ['indirect', 'memory'],
  );
  assert.ok(values(registers, 'x13').size > 5);
});

test('a function returns to where its return address says', () => {
  const registers = agree(
    `
    li    a2, 3
loop:
    call  function
    addi  a1, a1, 1
    addi  a0, a0, 1
    jal   ra, function
    addi  a3, a3, 1
    j     loop
function:
    remu  t0, a4, a2
    addi  a4, a4, 1
    bnez  t0, home
    addi  ra, ra, 4
home:
    ret`,
    ['indirect'],
  );
  for (const name of ['x10', 'x11']) assert.ok(values(registers, name).size > 20);
});

test('a group of accesses meets the end of what it may access', () => {
  const device = `.pte ${0x200b000}, 0xc7`;
  for (const [page, offset] of [
    ['.dword 0', 4096],
    ['.pte data, 0x43', 4096],
    ['.pte data, 0x41', 4096],
    [device, 4096],
    [device, 8192],
  ] as const) {
    const registers = agree(
      `
    ${OPEN}
    la    t0, skip
    csrrw zero, mtvec, t0
    la    s0, data
    li    s3, ${offset - 60}
    ${enterSupervisor('loop')}
    ${SKIP}
    .page
loop:
    add   s1, s0, s3
    li    a5, 14
walk:
    ld    a0, 0(s1)
    addi  a0, a0, 1
    sd    a0, 8(s1)
    lw    a1, 20(s1)
    addi  s1, s1, 8
    sw    a0, -16(s1)
    ld    a2, 8(s1)
    lbu   a3, 3(s1)
    sd    a3, 16(s1)
    fsd   fa0, 24(s1)
    fld   fa1, -24(s1)
    amoadd.d a4, a0, (s1)
    addi  s1, s1, -5
    addi  a5, a5, -1
    bnez  a5, walk
    addi  s4, s4, 1
    j     loop
    .page
data:
    .skip 16
    .page
    .skip 4
    .page
    .skip 4
    .page
    ${identity({ 3: page })}`,
      ['memory'],
    );
    assert.ok(values(registers, 'x20').size > 1, 'several rounds');
    assert.ok(values(registers, 'traps').size > 5, 'accesses trap');
  }
});

test('pointers that go from page to page find each where it is', () => {
  for (const stride of [8, 504, 1021, 3, -3]) {
    // Near the end of a page, so that small steps come by it.
    const start = Math.abs(stride) < 100 ? PAGE_BYTES - 12 * stride : PAGE_BYTES - 96;
    const registers = agree(
      `
    ${OPEN}
    la    t0, skip
    csrrw zero, mtvec, t0
    la    s0, data
    li    t0, ${start}
    add   s0, s0, t0
    li    s2, ${8 * stride}
    ${enterSupervisor('again')}
    ${SKIP}
    .page
again:
    addi  s1, s0, 0
    add   s3, s0, s2
    li    a5, 24
walk:
    ld    a0, 0(s1)                 # what the other pointer has written
    add   a1, a1, a0
    lw    a2, 8(s3)                 # read and written
    addi  a2, a2, 1
    sw    a2, 8(s3)
    sd    s3, 0(s3)
    sb    a2, 0(s4)                 # nowhere, and then anywhere
    addi  s1, s1, ${stride}
    addi  s3, s3, ${stride}
    addi  a5, a5, -1
    bnez  a5, walk
    addi  s4, s3, -96
    addi  a6, a6, 1
    j     again
    .page
data:
    .dword 1
    .page
    .dword 2
    .page
    .dword 3
    .page
    .dword 4
    .page
    .dword 5
    .page
    .dword 6
    .page
    .dword 7
    .page
    .dword 8
    .page
    ${identity({ 3: `.pte ${START + 8 * PAGE_BYTES}, 0xcf`, 4: `.pte ${START + 7 * PAGE_BYTES}, 0xcf`, 5: '.pte data, 0xcf', 6: `.pte ${START + 4 * PAGE_BYTES}, 0x43`, 7: '.dword 0' })}`,
      ['memory'],
    );
    assert.ok(values(registers, 'x16').size > 2, 'several rounds');
    assert.ok(values(registers, 'x11').size > 1, 'what is read differs');
    assert.ok(values(registers, 'traps').size > 5, 'accesses trap');
  }
});

test("a list is followed over pages that take each other's place in the TLB, and to where nothing is", () => {
  const far = 2 ** 21;
  for (const mode of ['machine', 'supervisor']) {
    const registers = agree(
      `
    ${OPEN}
    la    t0, skip
    csrrw zero, mtvec, t0
    la    s0, data
    li    s2, 1
    slli  s2, s2, 21                # ${far} bytes: pages so far apart have one place in the TLB
    add   t0, s0, s2
    add   t1, t0, s2
    la    t2, beside
    ${mode === 'machine' ? '' : 'slli s3, s2, 9\n add t0, t0, s3\n add t1, t1, s3'}
    sd    t0, 0(s0)
    ${mode === 'machine' ? '' : 'sub t0, t0, s3\n sub t1, t1, s3'}
    sd    t2, 0(t1)
    ${mode === 'machine' ? '' : 'add t1, t1, s3'}
    sd    t1, 0(t0)
    li    t0, 1000
    sd    t0, 0(t2)
    mv    s1, s0
    ${mode === 'machine' ? 'j loop' : enterSupervisor('loop')}
    ${SKIP}
    .page
loop:
    ld    a1, 8(s1)
    addi  a1, a1, 1
    add   a2, a2, a1
    sd    a1, 8(s1)
    ld    s1, 0(s1)
    addi  a0, a0, 1
    andi  t0, a0, 7
    bnez  t0, loop
    mv    s1, s0
    addi  a3, a3, 1
    j     loop
beside:
    .dword 0
    .dword 0
    .page
data:
    .dword 0
    .page
    ${identity()}`,
      ['memory'],
    );
    assert.ok(values(registers, 'x13').size > 5, 'several rounds');
    assert.ok(values(registers, 'x12').size > 50, 'nodes are counted');
    assert.ok(values(registers, 'traps').size > 5, 'accesses trap');
  }
});

test('loops that begin in the middle, are left there, or call a function, through memory that ends', () => {
  const registers = agree(
    `
    ${OPEN}
    la    t0, skip
    csrrw zero, mtvec, t0
    la    s0, data
    li    s2, ${PAGE_BYTES - 24}
    add   s0, s0, s2
    ${enterSupervisor('again')}
    ${SKIP}
    .page
again:
    mv    s1, s0
    andi  a7, a6, 31
    addi  a5, a7, 3
    j     middle
walk:
    ld    a0, 0(s1)
    addi  s1, s1, 8
    addw  a1, a1, a0
    beq   a0, a7, found             # left in the middle
middle:
    sh    a1, 4(s1)                 # on the second page nobody may write
    addi  a5, a5, -1
    bnez  a5, walk
    addi  a2, a2, 1
found:
    li    a5, 9
count:
    call  half
    addi  a5, a5, -1
    bnez  a5, count
    addi  s3, s0, 40
    li    a5, 12
last:
    lbu   t1, 0(s3)
    addi  s3, s3, -3
    add   a4, a4, t1
    addi  a5, a5, -1
    bnez  a5, last
    addi  a6, a6, 1
    j     again
half:
    srli  t2, a1, 1
    xor   a3, a3, t2
    ret
    .page
data:
    .dword 1
    .page
    .dword 2
    .dword 5
    .dword 9
    .page
    ${identity({ 3: `.pte ${START + 3 * PAGE_BYTES}, 0x43` })}`,
    ['memory', 'budget'],
  );
  assert.ok(values(registers, 'x12').size > 3 && values(registers, 'x16').size > 8, 'loops end in both ways');
  for (const name of ['x11', 'x13', 'x14']) assert.ok(values(registers, name).size > 5, `${name} changes`);
  assert.ok(values(registers, 'traps').size > 5, 'stores trap');
});

for (const mode of ['machine', 'supervisor']) {
  test(`stores beside the code that runs, and over it, in ${mode} mode`, () => {
    const readOnly = START + 20 * PAGE_BYTES;
    const registers = agree(
      `
    ${OPEN}
    la    t0, skip
    csrrw zero, mtvec, t0
    la    s0, data
    la    s2, patch
    li    s3, ${readOnly - START}
    li    t0, 1
    slli  t0, t0, 31
    add   s3, s3, t0
    slli  t1, s0, 52
    srli  t1, t1, 52
    add   s3, s3, t1                # data again, in a page that nobody may write
    lwu   s4, 0(s2)
    lwu   s5, 4(s2)
    addi  s8, s0, 24
    li    s6, 0x18
    ${mode === 'machine' ? 'mv s3, s0\n j again' : enterSupervisor('again')}
    ${SKIP}
    .page
again:
    mv    s1, s0
    li    a5, 12
store:
    ld    a1, 0(s1)
    add   a2, a2, a1
    sw    s4, 0(s1)                 # the last of them changes the function below
    sh    a5, -32(s1)
    addi  s1, s1, 4
    addi  a5, a5, -1
    bnez  a5, store
    mv    s1, s8
    li    a5, 4
halves:
    sh    s6, 2(s1)                 # and the last of these the upper half of its second instruction
    addi  s1, s1, 8
    addi  a5, a5, -1
    bnez  a5, halves
    xori  s6, s6, 0x30
    call  function
    li    a5, 5
    mv    s1, s3
refused:
    add   s7, s1, a0
    lbu   t2, 8(s7)
    sd    a2, 0(s1)                 # if it is the other address
    addi  s1, s1, 8
    addi  a5, a5, -1
    bnez  a5, refused
    mv    t1, s4
    mv    s4, s5
    mv    s5, t1
    j     again
patch:
    addi  a3, a3, 1
    addi  a4, a4, 1
    .dword 0
    .dword 0
    .dword 0
    .dword 0
data:
    .dword 0
    .dword 0
    .dword 0
    .dword 0
    .dword 0
    .word 0
function:
    addi  a3, a3, 1
    addi  a6, a6, 1
    ret
    .page
    ${identity({ 20: '.pte data, 0x4b' })}`,
      ['memory'],
    );
    for (const name of ['x13', 'x14', 'x16']) assert.ok(values(registers, name).size > 5, `${name} is counted`);
    assert.equal(values(registers, 'traps').size > 5, mode === 'supervisor', 'stores are refused');
  });
}

test('a loop with floating point finds the unit off, clean, or in another rounding mode', () => {
  const registers = agree(
    `
    la    t0, skip
    csrrw zero, mtvec, t0
    li    s2, 0x6000
    csrrs zero, mstatus, s2
    li    s3, 10
    fcvt.d.l fa3, s3
    la    s0, data
outer:
    li    a5, 12
loop:
    fcvt.d.l fa0, a4
    fdiv.d fa1, fa0, fa3            # seldom exact
    fmadd.d fa2, fa1, fa1, fa2
    fadd.s fa4, fa1, fa2            # not boxed
    fmv.x.d a2, fa2
    fsd   fa2, 0(s0)
    fld   fa5, 0(s0)
    flt.d a3, fa1, fa5
    addi  a4, a4, 1
    addi  a5, a5, -1
    bnez  a5, loop
    # Each time around another state, another rounding mode (also one that is reserved), and no flags.
    addi  a6, a6, 1
    slli  t1, a6, 13
    and   t1, t1, s2
    csrrc zero, mstatus, s2
    csrrs zero, mstatus, s2
    andi  t2, a6, 7
    csrrw zero, frm, t2
    csrrw zero, fflags, zero
    csrrc zero, mstatus, s2
    csrrs zero, mstatus, t1
    j     outer
    ${SKIP}
    .page
data:
    .dword 0
    .page`,
    ['illegal'],
  );
  assert.ok(values(registers, 'f12').size > 20, 'sums are made');
  assert.ok(values(registers, 'traps').size > 20, 'and refused');
  assert.ok(values(registers, 'fflags').size > 1, 'flags accrue');
});

test('an instruction over a page end in a loop, with either half rewritten', () => {
  const registers = agree(
    `
    la    s1, straddling
    .half 0x0001
    j     loop
    .page
    .page-end 8
loop:
    addi  a0, a0, 1
    c.nop
straddling:
    addi  a1, a1, 1
    andi  t0, a0, 7
    bnez  t0, loop
    # The upper half holds the immediate, the lower one the destination.
    lhu   t1, 2(s1)
    xori  t1, t1, 0x30
    sh    t1, 2(s1)
    lhu   t1, 0(s1)
    xori  t1, t1, 0x400
    sh    t1, 0(s1)
    j     loop
    .page`,
    ['stop', 'memory'],
  );
  for (const name of ['x3', 'x11']) assert.ok(values(registers, name).size > 5, name);
});
