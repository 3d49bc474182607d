/** Who turns planned regions into modules: at once, or, if the host has a thread to spare, in its own time. */
import { type Interpreter, interpreterFunctions } from './interpreter.ts';
import { generateRegions, type RegionPlan } from './region.ts';

export interface CompiledRegions {
  readonly module: WebAssembly.Module;
  /** Names of the interpreter's functions that it imports. */
  readonly imports: readonly string[];
}

export interface RegionCompiler {
  /** So many slices a request may wait for others, which are then compiled with it. */
  readonly slicesToWait: number;
  /** Says that there will be something to compile soon. */
  start(): void;
  /** Begins to compile regions into one module; with `counting` they count their exits. */
  begin(plans: readonly RegionPlan[], counting: boolean): void;
  /** The module of the first `begin` that has not been taken yet; null while it is not ready. */
  take(): CompiledRegions | null;
}

/** The same for all. */
let interpreter: Interpreter | undefined;

/** Compiles here and now. */
export class ImmediateCompiler implements RegionCompiler {
  readonly slicesToWait = 8;
  readonly #ready: CompiledRegions[] = [];

  start(): void {
    interpreter ??= interpreterFunctions();
  }

  begin(plans: readonly RegionPlan[], counting: boolean): void {
    interpreter ??= interpreterFunctions();
    const { rt, float, functions } = interpreter;
    const { bytes, imports } = generateRegions(plans, { rt, float, exported: functions, counting });
    this.#ready.push({ module: new WebAssembly.Module(bytes), imports });
  }

  take(): CompiledRegions | null {
    return this.#ready.shift() ?? null;
  }
}
