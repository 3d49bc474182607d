/** Names of trap causes, for front ends. */
export { EXCEPTIONS, INTERRUPTS } from '../vmm/riscv/names.ts';
