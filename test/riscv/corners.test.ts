/** What QEMU cannot tell: code that changes under the hart, reservations, counting, and that slices do not matter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Assembler, CSR, csrrs, csrrw, FENCE_I, MRET, NOP, SFENCE_VMA, WFI } from '../../scripts/assemble.ts';
import { CSRS } from '../../src/vmm/riscv/csr.ts';
import { CAUSE, IRQ, MSTATUS } from '../../src/vmm/riscv/hart.ts';
import { startSupervisor } from '../../src/vmm/riscv/sbi.ts';
import type { VirtMachine } from '../../src/vmm/riscv/virt.ts';
import { savedState } from '../support/saved-state.ts';
import { bareMachine, codeOf, type MachineOptions, ramOf } from './support/batch.ts';

const START = 0x80000000;
const PAGE = 0x1000;
const SUPERPAGE = 2 ** 21;
const [ZERO, RA, T0, T1, T2, A0, A1, A2] = [0, 1, 5, 6, 7, 10, 11, 12];
const ECALL = 0x00000073;
const C_JR_RA = 0x8082;
const addi = (rd: number, rs1: number, immediate: number) => ((immediate << 20) | (rs1 << 15) | (rd << 7) | 0x13) >>> 0;
const jalr = (rd: number, rs1: number) => ((rs1 << 15) | (rd << 7) | 0x67) >>> 0;
const atomicW = (funct5: number, rd: number, rs2: number, rs1: number) =>
  ((funct5 << 27) | (rs2 << 20) | (rs1 << 15) | (2 << 12) | (rd << 7) | 0x2f) >>> 0;
const [AMOADD, AMOSWAP, LR, SC] = [0b00000, 0b00001, 0b00010, 0b00011];
const csr = (name: string) => CSRS.find((c) => c.name === name)!.number;

/** An image that `write` assembles at the start of memory, with pieces at other offsets. */
function program(write: (a: Assembler) => void, pieces: { [offset: number]: Uint8Array } = {}): Uint8Array {
  const a = new Assembler(START);
  write(a);
  const code = a.finish();
  const ends = Object.entries(pieces).map(([offset, data]) => Number(offset) + data.length);
  const image = new Uint8Array(Math.max(code.length, ...ends));
  image.set(code);
  for (const [offset, data] of Object.entries(pieces)) {
    assert.ok(Number(offset) >= code.length, 'pieces lie behind the code');
    image.set(data, Number(offset));
  }
  return image;
}

/** Switches the machine off. */
function powerOff(a: Assembler): void {
  a.lui(T0, 0x100);
  a.lui(T1, 5);
  a.addi(T1, T1, 0x555);
  a.sw(T1, T0, 0);
}

/** Loads a 32-bit number; only its low 32 bits matter. */
function li32(a: Assembler, rd: number, value: number): void {
  const upper = ((value + 0x800) >>> 12) & 0xfffff;
  a.lui(rd, upper);
  a.addi(rd, rd, ((value & 0xfff) ^ 0x800) - 0x800);
}

function run(image: Uint8Array, options: MachineOptions = {}, sliceSteps?: number): VirtMachine {
  const machine = bareMachine(image, options);
  if (sliceSteps) machine.sliceSteps = sliceSteps;
  assert.equal(machine.run(1_000_000).kind, 'stopped', 'the program ends');
  return machine;
}

const SLICES = [undefined, 1, 7, 1000];
/** The program's outcome in a0, the same however the run is sliced. */
function outcome(image: Uint8Array, options: MachineOptions = {}): bigint {
  const results = SLICES.map((sliceSteps) => {
    const machine = run(image, options, sliceSteps);
    return { a0: machine.cpu.x(0, A0), position: machine.position };
  });
  for (const result of results) assert.deepEqual(result, results[0]);
  return results[0].a0;
}

test('a store changes the next instruction', () => {
  for (const fence of [false, true]) {
    const image = program((a) => {
      a.addi(A0, ZERO, 0);
      a.address(T0, 'target');
      li32(a, T1, addi(A0, A0, 100));
      a.sw(T1, T0, 0);
      if (fence) a.word(FENCE_I);
      a.label('target');
      a.word(addi(A0, A0, 1));
      powerOff(a);
    });
    assert.equal(outcome(image), 100n);
  }
});

test('a store changes half of an instruction that has run before', () => {
  const image = program((a) => {
    a.addi(A0, ZERO, 0);
    a.addi(A1, ZERO, 0);
    a.address(T0, 'target');
    a.addi(T1, ZERO, 0x645);
    a.label('target');
    a.word(addi(A0, A0, 1));
    a.bne(A1, ZERO, 'end');
    a.addi(A1, ZERO, 1);
    a.sh(T1, T0, 2);
    a.jump('target');
    a.label('end');
    powerOff(a);
  });
  assert.equal(outcome(image), 101n);
});

test('an atomic operation overwrites itself, or what follows it', () => {
  for (const offset of [0, 4]) {
    const image = program((a) => {
      a.addi(A0, ZERO, 0);
      a.address(T0, 'target');
      a.addi(T0, T0, offset);
      li32(a, T1, addi(A0, A0, 100));
      a.addi(A1, ZERO, 0);
      a.label('target');
      a.word(atomicW(AMOSWAP, A2, T1, T0));
      a.word(addi(A0, A0, 1));
      a.bne(A1, ZERO, 'end');
      a.addi(A1, ZERO, 1);
      a.jump('target');
      a.label('end');
      powerOff(a);
    });
    // Of itself: 1, then 100 + 1. Of the next: 100 at once, and then what the second swap puts there: the same.
    assert.equal(outcome(image), offset === 0 ? 102n : 200n);
  }
});

test('code on another page is rewritten', () => {
  const image = program(
    (a) => {
      a.addi(A0, ZERO, 0);
      a.address(T0, START + PAGE);
      li32(a, T1, addi(A0, A0, 100));
      a.word(jalr(RA, T0));
      a.sw(T1, T0, 0);
      a.word(jalr(RA, T0));
      powerOff(a);
    },
    { [PAGE]: codeOf(addi(A0, A0, 1), C_JR_RA) },
  );
  assert.equal(outcome(image), 101n);
});

/** `addi a0, a0, 1` from two bytes before the end of the page at `PAGE`, and a return. */
const STRADDLING = { [2 * PAGE - 2]: codeOf(addi(A0, A0, 1), C_JR_RA) };

test('either half of an instruction on two pages is rewritten', () => {
  const image = program((a) => {
    a.addi(A0, ZERO, 0);
    a.address(A1, START + 2 * PAGE);
    a.address(T0, START + 2 * PAGE - 2);
    a.word(jalr(RA, T0));
    a.addi(T1, ZERO, 0x645);
    a.sh(T1, A1, 0);
    a.word(jalr(RA, T0));
    // addi a0, zero, 100.
    a.addi(T1, ZERO, 0x513);
    a.sh(T1, T0, 0);
    a.addi(T1, ZERO, 0x640);
    a.sh(T1, A1, 0);
    a.word(jalr(RA, T0));
    powerOff(a);
  }, STRADDLING);
  // 1, then 101, then 100, whatever it was: 0x513 with 0x640 takes zero for its source.
  assert.equal(outcome(image), 100n);
});

const LEAF = 0xcfn;
const entry = (offset: number, flags: bigint) => (BigInt(START + offset) >> 2n) | flags;
function table(entries: { [index: number]: bigint }): Uint8Array {
  const words = new BigUint64Array(512);
  for (const [index, word] of Object.entries(entries)) words[Number(index)] = word;
  return new Uint8Array(words.buffer);
}

/** Goes on in S-mode with Sv39 and the page table at an offset. */
function enterSupervisor(a: Assembler, root: number): void {
  a.addi(T0, ZERO, -1);
  a.csrw(CSR.pmpaddr0, T0);
  a.addi(T0, ZERO, 0x1f);
  a.csrw(CSR.pmpcfg0, T0);
  a.address(T0, 'satp');
  a.ld(T0, T0, 0);
  a.csrw(csr('satp'), T0);
  a.address(T0, 'supervisor');
  a.csrw(CSR.mepc, T0);
  a.lui(T0, 1);
  a.addi(T0, T0, -0x800);
  a.csrw(CSR.mstatus, T0);
  a.word(MRET);
  a.label('satp');
  const satp = (8n << 60n) | BigInt((START + root) / PAGE);
  a.word(Number(satp & 0xffffffffn));
  a.word(Number(satp >> 32n));
  a.label('supervisor');
}

test('the second page of an instruction is mapped elsewhere', () => {
  const [root, level1, level0, other] = [4 * PAGE, 5 * PAGE, 6 * PAGE, 7 * PAGE];
  const image = program(
    (a) => {
      enterSupervisor(a, root);
      a.addi(A0, ZERO, 0);
      li32(a, A1, 0x40000ffe);
      a.word(jalr(RA, A1));
      a.address(T0, START + level0);
      a.ld(T1, T0, 16);
      a.sd(T1, T0, 8);
      a.word(SFENCE_VMA);
      a.word(jalr(RA, A1));
      powerOff(a);
    },
    {
      ...STRADDLING,
      // The low gigabyte, for the syscon; the pages of the code; RAM as it is.
      [root]: table({ 0: LEAF, 1: entry(level1, 1n), 2: entry(0, LEAF) }),
      [level1]: table({ 0: entry(level0, 1n) }),
      [level0]: table({ 0: entry(PAGE, LEAF), 1: entry(2 * PAGE, LEAF), 2: entry(other, LEAF) }),
      [other]: codeOf(0x0640 | 0x5, C_JR_RA).slice(0, 4),
    },
  );
  assert.equal(outcome(image), 101n);
});

test('any address of a superpage flushes it, also from a TLB that was restored', () => {
  const [root, level1, data] = [4 * PAGE, 5 * PAGE, 6 * PAGE];
  const image = program(
    (a) => {
      enterSupervisor(a, root);
      li32(a, A1, 0x40000000 + data);
      a.lw(A0, A1, 0);
      // The entry for the next superpage takes the place of the first one's.
      a.address(T0, START + level1);
      a.ld(T1, T0, 8);
      a.sd(T1, T0, 0);
      li32(a, A2, 0x40123456);
      a.word(((9 << 25) | (A2 << 15) | 0x73) >>> 0);
      a.lw(A0, A1, 0);
      a.word(SFENCE_VMA);
      powerOff(a);
    },
    {
      [root]: table({ 0: LEAF, 1: entry(level1, 1n), 2: entry(0, LEAF) }),
      [level1]: table({ 0: entry(0, LEAF), 1: entry(SUPERPAGE, LEAF) }),
      [data]: Uint8Array.of(1),
      [SUPERPAGE + data]: Uint8Array.of(2),
    },
  );
  assert.equal(outcome(image), 2n);
  const end = run(image).position;
  for (let position = 1; position < end; position++) {
    const machine = bareMachine(image);
    machine.run(position);
    const { snapshot } = machine.snapshot();
    machine.run(end);
    machine.restore(snapshot);
    machine.run(end);
    assert.equal(machine.cpu.x(0, A0), 2n, `restored at position ${position}`);
  }
});

test('a reservation lives while the hart has its turn', () => {
  const pause = (nops: number) => (harts: number) => {
    const image = program((a) => {
      a.csrr(T0, CSR.mhartid);
      a.bne(T0, ZERO, 'other');
      a.address(A1, START + PAGE);
      a.word(atomicW(LR, A0, 0, A1));
      for (let n = 0; n < nops; n++) a.word(NOP);
      a.word(atomicW(SC, A0, ZERO, A1));
      powerOff(a);
      a.label('other');
      a.jump('other');
    });
    return outcome(image, { harts, quantum: 20 });
  };
  assert.equal(pause(0)(1), 0n);
  assert.equal(pause(0)(2), 0n, 'within a turn');
  assert.equal(pause(40)(1), 0n, 'alone, the turn goes on');
  assert.equal(pause(40)(2), 1n, 'another hart came between');
});

test('a store-conditional without a reservation still checks its address', () => {
  for (const [offset, cause] of [
    [1, CAUSE.storeMisaligned],
    [0, CAUSE.storeAccess],
  ]) {
    const image = program((a) => {
      a.address(T0, 'handler');
      a.csrw(CSR.mtvec, T0);
      a.addi(A1, ZERO, offset);
      a.word(atomicW(SC, A0, ZERO, A1));
      a.label('handler');
      a.csrr(A0, CSR.mcause);
      powerOff(a);
    });
    assert.equal(outcome(image), BigInt(cause));
  }
});

test('a step is an instruction or a trap, and what traps does not retire', () => {
  const body = (a: Assembler) => {
    a.address(T0, 'handler');
    a.csrw(CSR.mtvec, T0);
    a.csrr(A1, csr('minstret'));
    a.word(ECALL);
    a.word(0xffffffff);
    a.word(NOP);
    a.csrr(A2, csr('minstret'));
    powerOff(a);
    a.label('handler');
    a.csrr(T1, CSR.mepc);
    a.addi(T1, T1, 4);
    a.csrw(CSR.mepc, T1);
    a.word(MRET);
  };
  const machine = run(program(body));
  const handler = 4;
  // The first read, the instruction between the traps' returns, and both handlers.
  assert.equal(machine.cpu.x(0, A2) - machine.cpu.x(0, A1), BigInt(1 + 2 * handler + 1));
  assert.equal(machine.position, 3 + 1 + 2 + 2 * handler + 1 + 1 + 4);
  assert.equal(machine.cpu.get(0, 'traps'), 2n);
});

test('a write of minstret counts from the next instruction on', () => {
  const image = program((a) => {
    a.csrw(csr('minstret'), ZERO);
    a.word(NOP);
    a.csrr(A0, csr('minstret'));
    powerOff(a);
  });
  assert.equal(outcome(image), 1n);
});

test('the order of interrupts: MEI, MSI, MTI, SEI, SSI, STI', () => {
  const order = [IRQ.SEI, IRQ.SSI, IRQ.STI];
  for (let n = 0; n < order.length; n++) {
    const pending = order.slice(n).reduce((bits, irq) => bits | (1 << irq), 0);
    const image = program((a) => {
      a.address(T0, 'handler');
      a.csrw(CSR.mtvec, T0);
      a.addi(T0, ZERO, pending);
      a.csrw(csr('mip'), T0);
      a.csrw(CSR.mie, T0);
      a.addi(T0, ZERO, Number(MSTATUS.MIE));
      a.csrSet(CSR.mstatus, T0);
      a.label('handler');
      a.csrr(A0, CSR.mcause);
      powerOff(a);
    });
    assert.equal(outcome(image), (1n << 63n) | BigInt(order[n]));
  }
});

test('SEIP stays behind a change of another bit on the first revision of the machine, and on no other', () => {
  const image = program((a) => {
    const [plic, enables, context, uart] = [12, 13, 14, 15];
    a.lui(plic, 0xc000);
    a.lui(enables, 0xc002);
    a.lui(context, 0xc201);
    a.lui(uart, 0x10000);
    a.addi(T0, ZERO, 1);
    a.sw(T0, plic, 4 * 10);
    a.addi(T0, ZERO, 1 << 10);
    a.sw(T0, enables, 0x80);
    a.addi(T0, ZERO, 2);
    a.sb(T0, uart, 1);
    a.csrSet(csr('mip'), T0);
    a.sb(ZERO, uart, 1);
    a.lw(T1, context, 4);
    a.sw(T1, context, 4);
    a.csrr(A0, csr('mip'));
    powerOff(a);
  });
  assert.equal(outcome(image) & 0x222n, 0x2n);
  assert.equal(outcome(image, { revision: 0 }) & 0x222n, 0x202n);
});

test('a return to a lower mode lets a pending interrupt in before its first instruction', () => {
  const image = program((a) => {
    a.address(T0, 'handler');
    a.csrw(CSR.mtvec, T0);
    a.address(T0, 'lower');
    a.csrw(CSR.mepc, T0);
    a.addi(T0, ZERO, 2);
    a.csrw(csr('mip'), T0);
    a.csrw(CSR.mie, T0);
    a.addi(A0, ZERO, 0);
    a.word(MRET);
    a.label('lower');
    a.addi(A0, ZERO, 1);
    a.label('handler');
    powerOff(a);
  });
  assert.equal(outcome(image), 0n);
});

test('a return to a lower mode clears MPRV', () => {
  const image = program((a) => {
    a.address(T0, 'handler');
    a.csrw(CSR.mtvec, T0);
    a.address(T0, 'handler');
    a.csrw(CSR.mepc, T0);
    a.lui(T0, Number(MSTATUS.MPRV >> 12n));
    a.csrw(CSR.mstatus, T0);
    // Memory protection lets nobody below M fetch: the trap comes at once.
    a.word(MRET);
    a.label('handler');
    a.csrr(A0, CSR.mstatus);
    powerOff(a);
  });
  assert.equal(outcome(image) & MSTATUS.MPRV, 0n);
});

/** Two harts that increment a word by atomics, take timer interrupts, write code, and sleep. */
function busyProgram(): Uint8Array {
  const clintCompare = 0x2004000;
  return program((a) => {
    a.address(T0, 'handler');
    a.csrw(CSR.mtvec, T0);
    a.addi(T0, ZERO, 0x80);
    a.csrw(CSR.mie, T0);
    a.addi(T0, ZERO, Number(MSTATUS.MIE));
    a.csrSet(CSR.mstatus, T0);
    a.address(A1, START + PAGE);
    a.address(A2, START + 2 * PAGE - 2);
    a.addi(T2, ZERO, 1);
    a.label('loop');
    a.word(atomicW(AMOADD, A0, T2, A1));
    a.word(atomicW(LR, A0, 0, A1));
    a.addi(A0, A0, 1);
    a.word(atomicW(SC, A0, A0, A1));
    a.word(jalr(RA, A2));
    // The second half of the instruction over there: another immediate, made of the low bits of the counter.
    a.lw(T1, A1, 0);
    a.word(((T1 << 15) | (7 << 12) | (T1 << 7) | 0x13 | (0x70 << 20)) >>> 0);
    a.addi(T1, T1, 5);
    a.sh(T1, A2, 2);
    a.csrr(T1, csr('minstret'));
    a.word(csrrs(T1, csr('time'), 0));
    a.lw(T0, A1, 8);
    a.bne(T0, ZERO, 'loop');
    a.word(WFI);
    a.jump('loop');
    // The timer: on again in 200 ticks.
    a.label('handler');
    a.word(csrrw(T0, CSR.mscratch, T0));
    a.csrr(20, csr('time'));
    a.addi(20, 20, 200);
    a.csrr(21, CSR.mhartid);
    a.word(((3 << 20) | (21 << 15) | (1 << 12) | (21 << 7) | 0x13) >>> 0);
    a.lui(22, clintCompare >> 12);
    a.word(((21 << 20) | (22 << 15) | (22 << 7) | 0x33) >>> 0);
    a.sd(20, 22, 0);
    // Every other interrupt lets the harts sleep.
    a.lw(20, A1, 8);
    a.word(((1 << 20) | (20 << 15) | (4 << 12) | (20 << 7) | 0x13) >>> 0);
    a.sw(20, A1, 8);
    a.word(csrrw(T0, CSR.mscratch, T0));
    a.word(MRET);
  }, STRADDLING);
}

/** Digests at positions, with idle time skipped. */
function digests(machine: VirtMachine, sliceSteps: number | undefined, positions: readonly number[]): string[] {
  if (sliceSteps) machine.sliceSteps = sliceSteps;
  return positions.map((position) => {
    while (machine.position < position) {
      const result = machine.run(position);
      if (result.kind !== 'idle') break;
      assert.notEqual(result.untilNs, Number.POSITIVE_INFINITY, 'the harts are not asleep for ever');
      machine.skipIdle(result.untilNs);
    }
    assert.equal(machine.position, position);
    return Buffer.from(machine.digest()).toString('hex');
  });
}

test('the same digests at the same positions, however the run is sliced', () => {
  const positions = [1, 2, 10, 99, 1000, 5003, 20_000, 50_001, 100_000];
  for (const harts of [1, 2]) {
    const image = busyProgram();
    const [whole, ...sliced] = SLICES.map((steps) =>
      digests(bareMachine(image, { harts, quantum: 97 }), steps, positions),
    );
    assert.equal(new Set(whole).size, positions.length, 'the machine changes');
    for (const [n, found] of sliced.entries())
      assert.deepEqual(found, whole, `slices of ${SLICES[n + 1]} steps, ${harts} harts`);
  }
});

test('the debug console reads what was typed, as far as it goes, and nothing when nothing is there', () => {
  const BUFFER = START + 0x1000;
  const image = program((a) => {
    a.label('again');
    li32(a, 17, 0x4442434e);
    a.addi(16, ZERO, 1);
    a.addi(A0, ZERO, 5);
    li32(a, A1, BUFFER);
    // An address is unsigned.
    a.word(((32 << 20) | (A1 << 15) | (1 << 12) | (A1 << 7) | 0x13) >>> 0);
    a.word(((32 << 20) | (A1 << 15) | (5 << 12) | (A1 << 7) | 0x13) >>> 0);
    a.addi(A2, ZERO, 0);
    a.word(ECALL);
    a.label('called');
    a.jump('again');
  });
  for (const sliceSteps of SLICES) {
    const machine = bareMachine(image);
    if (sliceSteps) machine.sliceSteps = sliceSteps;
    machine.cpu.useFirmware();
    startSupervisor(machine.cpu, 0, BigInt(START), 0n);
    const uart = machine.devices.find(({ name }) => name === 'uart0')!;
    const call = () => {
      const steps = image.length / 4;
      ramOf(machine).write(BUFFER, new Uint8Array(8));
      assert.equal(machine.run(machine.position + steps).kind, 'position');
      assert.equal(machine.cpu.x(0, 17), 0x4442434en);
      savedState(machine, 'after the call');
      return ramOf(machine).read(BUFFER, 8);
    };
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1').replaceAll('\0', '');
    assert.equal(text(call()), '', 'nothing was typed');
    machine.input({ kind: 'console', device: 'uart0', data: Buffer.from('seven b') });
    assert.equal(text(call()), 'seven');
    assert.equal(text(call()), ' b');
    assert.equal(text(call()), '');
    assert.equal(uart.room, 65536, 'nothing waits any more');
  }
});

test('a timer that runs out while nobody looks at it is saved so', () => {
  const machine = bareMachine(
    program((a) => {
      li32(a, T0, 0x2004000);
      a.addi(T1, ZERO, 100);
      a.sw(T1, T0, 0);
      a.label('wait');
      a.jump('wait');
    }),
  );
  const pending = (position: number) => {
    machine.run(position);
    return savedState(machine, `at position ${position}`).get('clint.hart0.mtip');
  };
  assert.deepEqual([100, 9_999, 10_001, 20_000].map(pending), [false, false, true, true]);
});

test('protection that ends within a page ends the code there, to the halfword', () => {
  const USER = 0x1000;
  const c_nop = [0x01, 0x00];
  const c_li_a0 = (value: number) => [0x01 | ((value & 31) << 2), 0x45];
  const wide = [0x13, 0x05, 0x15, 0x00]; // addi a0, a0, 1
  // 64 bytes that may be executed in the middle of a page; jumps and falling through lead out of them, in front and behind.
  for (const { from, code, epc, tval, a0 } of [
    { from: 64, code: [...c_li_a0(7), ...Array(31).fill(c_nop).flat(), ...c_li_a0(9)], epc: 128, tval: 128, a0: 7n },
    { from: 124, code: [...c_li_a0(7), ...wide], epc: 126, tval: 128, a0: 7n },
    { from: 122, code: [...c_li_a0(7), ...wide, ...c_li_a0(9)], epc: 128, tval: 128, a0: 8n },
    // c.j -4, from the first halfword to the one before it but one.
    { from: 64, code: [...c_li_a0(3), 0xf5, 0xbf], epc: 64 + 2 - 4, tval: 64 + 2 - 4, a0: 3n },
  ]) {
    const user = new Uint8Array(0x1000);
    user.set(code, from);
    const image = program(
      (a) => {
        a.address(T0, 'handler');
        a.csrw(CSR.mtvec, T0);
        // NAPOT: 64 bytes from offset 64 of the user's page on.
        li32(a, T0, (START + USER + 64) / 4 + 7);
        a.word(((32 << 20) | (T0 << 15) | (1 << 12) | (T0 << 7) | 0x13) >>> 0);
        a.word(((32 << 20) | (T0 << 15) | (5 << 12) | (T0 << 7) | 0x13) >>> 0);
        a.csrw(CSR.pmpaddr0, T0);
        a.addi(T0, ZERO, 0x1d);
        a.csrw(CSR.pmpcfg0, T0);
        a.address(T0, START + USER + from);
        a.csrw(CSR.mepc, T0);
        a.csrw(CSR.mstatus, ZERO);
        a.word(MRET);
        a.label('handler');
        powerOff(a);
        a.label('wait');
        a.jump('wait');
      },
      { [USER]: user },
    );
    for (const hotAfter of [Number.POSITIVE_INFINITY, 0]) {
      for (const sliceSteps of SLICES) {
        const machine = bareMachine(image);
        machine.cpu.jit.hotAfter = hotAfter;
        if (sliceSteps) machine.sliceSteps = sliceSteps;
        assert.equal(machine.run(1_000_000).kind, 'stopped');
        const what = `from ${from}, slices of ${sliceSteps}, hot after ${hotAfter}`;
        assert.equal(machine.cpu.get(0, 'mcause'), BigInt(CAUSE.instructionAccess), what);
        assert.equal(machine.cpu.get(0, 'mepc'), BigInt(START + USER + epc), what);
        assert.equal(machine.cpu.get(0, 'mtval'), BigInt(START + USER + tval), what);
        assert.equal(machine.cpu.x(0, A0), a0, what);
      }
    }
  }
});
