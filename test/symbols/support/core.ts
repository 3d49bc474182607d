/** A machine's state as a core file, which gdb reads: all mapped memory, and each hart as a thread. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { PAGE_BYTES } from '../../../src/vmm/layout.ts';
import { readPhysical } from '../../../src/vmm/riscv/inspect.ts';
import type { VirtMachine } from '../../../src/vmm/riscv/virt.ts';

interface Segment {
  readonly address: bigint;
  readonly physical: bigint;
  length: number;
}

const RAM = 0x80000000n;

/** Writes the harts, seen through the page tables of the first of them. */
export function writeCore(path: string, machine: VirtMachine, harts: readonly number[]): void {
  const segments = mapped(machine, harts[0]);
  const notes = Buffer.concat(harts.flatMap((hart, i) => [prstatus(machine, hart, i + 1), prfpreg(machine, hart)]));
  const count = segments.length + 1;
  const extended = count >= 0xffff;
  if (extended) throw new Error(`${count} segments are too many for a core file`);
  const header = Buffer.alloc(64 + 56 * count);
  header.write('\x7fELF', 0, 'latin1');
  header.set([2, 1, 1], 4);
  header.writeUInt16LE(4, 16);
  header.writeUInt16LE(243, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt32LE(5, 48);
  for (const [at, value] of [
    [52, 64],
    [54, 56],
    [56, count],
    [58, 64],
  ]) {
    header.writeUInt16LE(value, at);
  }
  let offset = header.length;
  const program = (i: number, type: number, address: bigint, bytes: number) => {
    const at = 64 + 56 * i;
    header.writeUInt32LE(type, at);
    header.writeUInt32LE(7, at + 4);
    header.writeBigUInt64LE(BigInt(offset), at + 8);
    header.writeBigUInt64LE(address, at + 16);
    header.writeBigUInt64LE(BigInt(bytes), at + 32);
    header.writeBigUInt64LE(BigInt(bytes), at + 40);
    offset += bytes;
  };
  program(0, 4, 0n, notes.length);
  segments.forEach((segment, i) => {
    program(i + 1, 1, segment.address, segment.length);
  });
  const file = openSync(path, 'w');
  writeSync(file, header);
  writeSync(file, notes);
  for (const { physical, length } of segments) writeSync(file, readPhysical(machine, physical, length)!);
  closeSync(file);
}

/** What a hart can reach: touched pages of RAM at the virtual addresses that its page tables give them. */
function mapped(machine: VirtMachine, hart: number): Segment[] {
  const segments: Segment[] = [];
  const ram = BigInt(machine.pages.ramPages) * BigInt(PAGE_BYTES);
  const add = (address: bigint, physical: bigint, bytes: bigint) => {
    for (let at = 0n; at < bytes; at += BigInt(PAGE_BYTES)) {
      const where = physical + at;
      if (where < RAM || where >= RAM + ram) continue;
      if (!machine.pages.read(Number((where - RAM) / BigInt(PAGE_BYTES)))) continue;
      const last = segments.at(-1);
      const [va, end] = [BigInt.asUintN(64, address + at), last ? last.address + BigInt(last.length) : 0n];
      if (last && end === va && last.physical + BigInt(last.length) === where) last.length += PAGE_BYTES;
      else segments.push({ address: va, physical: where, length: PAGE_BYTES });
    }
  };
  const satp = machine.cpu.get(hart, 'satp');
  const mode = Number(satp >> 60n);
  if (mode === 0) {
    add(RAM, RAM, ram);
    return segments;
  }
  const walk = (table: bigint, level: number, base: bigint) => {
    const bytes = readPhysical(machine, table, PAGE_BYTES)!;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let i = 0; i < 512; i++) {
      const pte = view.getBigUint64(i * 8, true);
      if (!(pte & 1n)) continue;
      const shift = BigInt(12 + 9 * level);
      let address = base | (BigInt(i) << shift);
      if (level === mode - 6 && i >= 256) address |= -1n << (shift + 9n);
      const target = ((pte >> 10n) & ((1n << 44n) - 1n)) << 12n;
      if (pte & 14n) add(BigInt.asUintN(64, address), target, 1n << shift);
      else walk(target, level - 1, address);
    }
  };
  walk((satp & ((1n << 44n) - 1n)) << 12n, mode - 6, 0n);
  return segments;
}

function note(type: number, desc: Buffer): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32LE(5, 0);
  head.writeUInt32LE(desc.length, 4);
  head.writeUInt32LE(type, 8);
  head.write('CORE\0', 12, 'latin1');
  return Buffer.concat([head, desc]);
}

/** `struct elf_prstatus` of Linux for riscv64: pc and x1 to x31 from offset 112 on. */
function prstatus(machine: VirtMachine, hart: number, thread: number): Buffer {
  const desc = Buffer.alloc(376);
  desc.writeUInt32LE(thread, 32);
  desc.writeBigUInt64LE(machine.cpu.get(hart, 'pc'), 112);
  for (let n = 1; n < 32; n++) desc.writeBigUInt64LE(machine.cpu.x(hart, n), 112 + 8 * n);
  return note(1, desc);
}

function prfpreg(machine: VirtMachine, hart: number): Buffer {
  const desc = Buffer.alloc(32 * 8 + 8);
  for (let n = 0; n < 32; n++) desc.writeBigUInt64LE(machine.cpu.f(hart, n), 8 * n);
  return note(2, desc);
}
