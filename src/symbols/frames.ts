/** The stack as a person sees it: functions, among them those that the compiler inlined. */
import type { Registers } from './machine.ts';
import type { CodeFrame, SourceLocation } from './symbol-file.ts';
import type { Symbolised } from './symbols.ts';
import { innermost, type MachineFrame, type UnwindContext } from './unwind.ts';

export interface Frame {
  /** The frame on the machine's stack, which inlined functions share with the one they are inlined into. */
  readonly machine: MachineFrame;
  /** What the debug information says of the function; null without. */
  readonly code: CodeFrame | null;
  readonly symbolised: Symbolised | null;
  /** The function's name; `??` where there is none. */
  readonly name: string;
  readonly location: SourceLocation | null;
  readonly inlined: boolean;
}

/** Stacks this deep are circles that go unnoticed, or read themselves from garbage. */
const MACHINE_FRAMES_MAX = 20_000;

/** All frames, the innermost first. They are found as they are asked for. */
export function* frames(context: UnwindContext, registers: Registers): Generator<Frame> {
  let machine: MachineFrame | null = innermost(context, registers);
  for (let n = 0; machine && n < MACHINE_FRAMES_MAX; n++) {
    yield* framesOf(machine);
    machine = machine.caller;
  }
}

/** The functions at work in one frame of the machine's stack. */
export function framesOf(machine: MachineFrame): Frame[] {
  const symbolised = machine.context.symbols.symbolise(machine.address, machine.space);
  const codes = symbolised?.frames ?? [];
  if (codes.length === 0) {
    const name = symbolised?.symbol?.name ?? '??';
    return [{ machine, code: null, symbolised, name, location: symbolised?.location ?? null, inlined: false }];
  }
  return codes.map((code) => {
    return { machine, code, symbolised, name: code.name, location: code.location, inlined: code.inlined };
  });
}
