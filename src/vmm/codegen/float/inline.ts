/** The host's arithmetic put in line, for code generators: the complete operation is called only where that may not do. */
import type { Expr, Local } from '../expr.ts';
import type { Fn } from '../fn.ts';
import type { FloatFns, FloatOperations, FormatFns, Operation } from '../softfloat.ts';
import { hostFma } from './fma.ts';
import { F32, F64, type Format } from './format.ts';
import { type HostResult, hostResult, hostRounds } from './host.ts';

/** The same operations, of which the arithmetic ones test in line whether the host's result is right. */
export function inlineFloat(f: Fn, fns: FloatFns): FloatOperations {
  const inFormat = (format: Format, of: FormatFns): FloatOperations['f64'] => {
    const inline = (complete: () => Operation, host: (...operands: Local[]) => HostResult): Operation => ({
      call: (flags: Expr, ...rest: Expr[]) => {
        const rm = rest.pop()!;
        const operands = rest.map((operand) => f.let(operand));
        const result = f.local(format.bits);
        f.block((done) => {
          f.if(hostRounds(flags, rm), () => {
            const { bits, certain } = host(...operands);
            f.set(result, bits);
            f.brIf(done, certain);
          });
          f.set(result, complete().call(flags, ...operands, rm));
        });
        return result;
      },
    });
    const binary = (name: 'add' | 'sub' | 'mul' | 'div') =>
      inline(
        () => of[name],
        (a, b) => hostResult(f, format, name, a, b),
      );
    return Object.assign(Object.create(of) as FormatFns, {
      add: binary('add'),
      sub: binary('sub'),
      mul: binary('mul'),
      div: binary('div'),
      sqrt: inline(
        () => of.sqrt,
        (a) => hostResult(f, format, 'sqrt', a, a),
      ),
      fma: inline(
        () => of.fma,
        (a, b, c) => hostFma(f, format, fns.fused, a, b, c),
      ),
    });
  };
  return Object.assign(Object.create(fns) as FloatFns, { f32: inFormat(F32, fns.f32), f64: inFormat(F64, fns.f64) });
}
