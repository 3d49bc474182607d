/** Looking at a machine: registers, harts and memory as a session shows them. */
import { UserError } from '../base/assert.ts';
import { PAGE_BYTES } from '../vmm/layout.ts';
import { activeSatp, readPhysical, walk } from '../vmm/riscv/inspect.ts';
import { readCsrs } from '../vmm/riscv/registers.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import type { HartRegisters, HartState, MemoryRequest, MemoryResult } from './session.ts';

const READ_BYTES_MAX = 16 * 2 ** 20;
const PRIVILEGES = ['U', 'S', 'S', 'M'] as const;
const numbers = Array.from({ length: 32 }, (_, n) => n);

export function hartRegisters(machine: VirtMachine, hart: number): HartRegisters {
  const { cpu } = machine;
  const csrs = readCsrs(machine, hart);
  return {
    pc: cpu.get(hart, 'pc'),
    x: numbers.map((n) => cpu.x(hart, n)),
    f: numbers.map((n) => cpu.f(hart, n)),
    fcsr: Number(csrs.fcsr),
    privilege: PRIVILEGES[cpu.get32(hart, 'privilege')],
    csrs,
  };
}

export function hartState(machine: VirtMachine, hart: number): HartState {
  const { cpu, currentHart } = machine;
  const stopped = cpu.get32(hart, 'stopped') !== 0;
  const waiting = cpu.get32(hart, 'waiting') !== 0;
  const state = stopped ? 'stopped' : waiting ? 'waiting' : hart === currentHart ? 'running' : 'ready';
  const privilege = PRIVILEGES[cpu.get32(hart, 'privilege')];
  return { hart, pc: cpu.get(hart, 'pc'), privilege, satp: activeSatp(machine, hart), state };
}

/** Memory page by page: what is not there is told, and is no error. */
export function readMemory(machine: VirtMachine, request: MemoryRequest): MemoryResult {
  const { address, length, physical = false, hart = machine.currentHart, space } = request;
  if (!Number.isInteger(length) || length < 0 || length > READ_BYTES_MAX) {
    throw new UserError(`${length} bytes of memory: 0 to ${READ_BYTES_MAX} can be read at a time`);
  }
  const satp = physical ? 0n : (space ?? activeSatp(machine, hart));
  const bytes = new Uint8Array(length);
  const readable: { from: number; to: number }[] = [];
  for (let at = 0; at < length; ) {
    const here = BigInt.asUintN(64, address + BigInt(at));
    const count = Math.min(length - at, PAGE_BYTES - Number(here % BigInt(PAGE_BYTES)));
    const place = walk(machine, satp, here).physical;
    const found = place === null ? null : readPhysical(machine, place, count);
    if (found) {
      bytes.set(found, at);
      const last = readable.at(-1);
      if (last?.to === at) last.to = at + count;
      else readable.push({ from: at, to: at + count });
    }
    at += count;
  }
  return { bytes, readable };
}
