/** Instructions as text: what front ends show of the code that they read. */
export { type Disassembly, disassemble } from '../vmm/riscv/disassembler.ts';
