/**
 * What of WebAssembly makes generated code faster and is behind a flag in some versions of Node: relaxed SIMD, for the host's fused multiply-add,
 * branch hints, which keep V8's registers for the ways that are taken, and compilation hints, which have the interpreter optimised before it runs.
 */
import { setFlagsFromString } from 'node:v8';

/** Flags, and the first version of Node that does without each. */
const FLAGS = [
  ['--experimental-wasm-relaxed-simd', 21],
  ['--experimental-wasm-branch-hinting', 26],
  // Node 24 would compile the same several times over, and later ones read another format.
  ['--experimental-wasm-compilation-hints', 23],
] as const;

/** Call it before the first machine is built. Results do not depend on it, only speed does. */
export function enableWasmFeatures(): void {
  const version = Number.parseInt(process.versions.node, 10);
  for (const [flag, without] of FLAGS) if (version < without) setFlagsFromString(flag);
}
