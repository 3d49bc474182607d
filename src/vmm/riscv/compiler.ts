/** Who turns planned regions into modules: at once, or, if the host has a thread to spare, in its own time. */
import type { Interpreter } from './interpreter.ts';
import { generateRegions, type RegionPlan } from './region.ts';

export interface CompiledRegions {
  readonly module: WebAssembly.Module;
  /** Names of the interpreter's functions that it imports. */
  readonly imports: readonly string[];
}

export interface RegionCompiler {
  /** Begins to compile regions into one module; with `counting` they count their exits. */
  begin(plans: readonly RegionPlan[], counting: boolean): void;
  /** The module of the first `begin` that has not been taken yet; null while it is not ready. */
  take(): CompiledRegions | null;
}

/** Compiles here and now. */
export class ImmediateCompiler implements RegionCompiler {
  readonly #interpreter: () => Interpreter;
  readonly #ready: CompiledRegions[] = [];

  constructor(interpreter: () => Interpreter) {
    this.#interpreter = interpreter;
  }

  begin(plans: readonly RegionPlan[], counting: boolean): void {
    const { rt, float, functions } = this.#interpreter();
    const { bytes, imports } = generateRegions(plans, { rt, float, exported: functions, counting });
    this.#ready.push({ module: new WebAssembly.Module(bytes), imports });
  }

  take(): CompiledRegions | null {
    return this.#ready.shift() ?? null;
  }
}
