/** Flags of V8 that make us faster. Results do not depend on them. */
import { setFlagsFromString } from 'node:v8';

/** Flags, and the first version of Node that does without each. */
const FLAGS = [
  // Relaxed SIMD, for the host's fused multiply-add.
  ['--experimental-wasm-relaxed-simd', 21],
  // Branch hints keep V8's registers for the ways that are taken.
  ['--experimental-wasm-branch-hinting', 26],
  // Compilation hints have the interpreter optimised before it runs. Node 24 would compile the same several times over, and later ones read another format.
  ['--experimental-wasm-compilation-hints', 23],
  // A function with little else put into it (V8 allows 920 bytes) is optimised sooner. In a boot, V8's helpers do that beside the guest most of the time;
  // what is optimised so runs no slower, as far as we can measure.
  ['--max-inlined-bytecode-size-cumulative=200', Number.POSITIVE_INFINITY],
] as const;

/** Call it before the first machine is built. */
export function setV8Flags(): void {
  const version = Number.parseInt(process.versions.node, 10);
  for (const [flag, without] of FLAGS) if (version < without) setFlagsFromString(flag);
}
