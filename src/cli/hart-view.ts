/** A hart of a machine as symbols want to see it: registers by DWARF number, memory by virtual address. */
import { readMemory } from '../debugger/look.ts';
import type { LinuxMachine } from '../linux/index.ts';
import { type MemoryReader, type Registers, registerName } from '../symbols/index.ts';
import { readVirtual } from '../vmm/riscv/inspect.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';

const CSRS = new Set([
  ...['satp', 'mstatus', 'mie', 'stvec', 'sepc', 'scause', 'stval', 'sscratch', 'stimecmp', 'mtvec', 'mepc', 'mcause'],
  ...['mtval', 'mscratch', 'medeleg', 'mideleg', 'mcounteren', 'menvcfg', 'scounteren'],
] as const);
type Csr = typeof CSRS extends Set<infer T> ? T : never;

export function hartRegisters(machine: VirtMachine, hart: number): Registers {
  const { cpu } = machine;
  return {
    pc: cpu.get(hart, 'pc'),
    get: (register) => {
      if (register < 32) return cpu.x(hart, register);
      if (register < 64) return cpu.f(hart, register - 32);
      const name = registerName(register);
      if (name === 'mip') return cpu.get(hart, 'mip') | cpu.get(hart, 'lines');
      return CSRS.has(name as Csr) ? cpu.get(hart, name as Csr) : undefined;
    },
  };
}

export function hartMemory(machine: VirtMachine, hart: number): MemoryReader {
  return { read: (address, length) => readVirtual(machine, hart, address, length) };
}

const PRIVILEGES = ['U', 'S', 'S', 'M'] as const;

/** A machine as Linux awareness wants to see it. */
export function linuxMachine(machine: VirtMachine): LinuxMachine {
  const { cpu } = machine;
  return {
    harts: Array.from({ length: cpu.harts }, (_, hart) => ({
      privilege: PRIVILEGES[cpu.get32(hart, 'privilege')],
      registers: hartRegisters(machine, hart),
    })),
    memory: (space) => ({
      read: (address, length) => {
        const { bytes, readable } = readMemory(machine, { address, length, space });
        return length === 0 || (readable[0]?.from === 0 && readable[0].to === length) ? bytes : null;
      },
    }),
  };
}
