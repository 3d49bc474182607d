/**
 * What of WebAssembly makes generated code faster and is behind a flag in some versions of Node: relaxed SIMD, for the host's fused multiply-add,
 * and branch hints, which keep V8's registers for the ways that are taken.
 */
import { setFlagsFromString } from 'node:v8';

/** Flags, and the first version of Node that does without each. */
const FLAGS = [
  ['--experimental-wasm-relaxed-simd', 21],
  ['--experimental-wasm-branch-hinting', 26],
] as const;

/** Call it before the first machine is built. Results do not depend on it, only speed does. */
export function enableWasmFeatures(): void {
  const version = Number.parseInt(process.versions.node, 10);
  for (const [flag, without] of FLAGS) if (version < without) setFlagsFromString(flag);
}
