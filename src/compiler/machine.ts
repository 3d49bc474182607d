/** Machines as programs build them. */
import { existsSync, readFileSync } from 'node:fs';
import { hostFuses } from '../vmm/codegen/softfloat.ts';
import type { InputSource } from '../vmm/inputs.ts';
import { useInterpreter } from '../vmm/riscv/cpu.ts';
import { type BoardDescription, buildVirt, type VirtMachine } from '../vmm/riscv/virt.ts';
import { applyTuning } from './tuning.ts';

/** A machine with its interpreter from a file, where scripts/bundle.mjs has put one, compiled as CHRONOVISOR_JIT says. */
export function buildMachine(board: BoardDescription, source: InputSource): VirtMachine {
  const ahead = new URL(`./${interpreterFile(hostFuses())}`, import.meta.url);
  if (existsSync(ahead)) useInterpreter(readFileSync(ahead));
  const machine = buildVirt(board, source);
  applyTuning(machine);
  return machine;
}

/** Name of the interpreter's file, for hosts with a fused multiply-add (see hostFuses) and for others. */
export const interpreterFile = (fused: boolean) => (fused ? 'interpreter-fused.wasm' : 'interpreter.wasm');
