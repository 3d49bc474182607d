/** WebAssembly's relaxed SIMD, for the host's fused multiply-add: Node 20 has it behind a flag, later ones have it anyway. */
import { setFlagsFromString } from 'node:v8';

/** Call it before the first machine is built. Results do not depend on it, only speed does. */
export function enableRelaxedSimd(): void {
  if (Number.parseInt(process.versions.node, 10) === 20) setFlagsFromString('--experimental-wasm-relaxed-simd');
}
