/** Whether the host has a fused multiply-add that WebAssembly reaches: relaxed SIMD leaves it to the host how often it rounds. */
import { relaxedMadd } from '../expr.ts';
import { ModuleBuilder } from '../module.ts';

let known: boolean | undefined;

/** Whether `relaxedMadd` is there, and rounds once. */
export function hostFuses(): boolean {
  known ??= roundsOnce();
  return known;
}

/** (1 + d)^2 - (1 + 2d) is d^2, which is lost where the product is rounded before the sum. */
function roundsOnce(): boolean {
  const m = new ModuleBuilder();
  for (const type of ['f32', 'f64'] as const) {
    m.export(m.define(type, [type, type, type], type, (f, a, b, c) => f.return(relaxedMadd(a, b, c))));
  }
  const bytes = m.finish() as Uint8Array<ArrayBuffer>;
  if (!WebAssembly.validate(bytes)) return false;
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: { memory } });
  return (
    [
      ['f32', 2 ** -23],
      ['f64', 2 ** -52],
    ] as const
  ).every(([type, d]) => {
    const madd = exports[type] as (a: number, b: number, c: number) => number;
    return madd(1 + d, 1 + d, -(1 + 2 * d)) === d * d;
  });
}
