/** The host's arithmetic put in line, for code generators: the complete operation is called only where that may not do. */
import type { Expr } from '../expr.ts';
import type { Fn } from '../fn.ts';
import type { FloatFns, FloatOperations, FormatFns, Operation } from '../softfloat.ts';
import { hostFma } from './fma.ts';
import { F32, F64, type Format } from './format.ts';
import { type HostResult, hostResult } from './host.ts';

/** A value that can be used several times; where it is the bits of a float, the float is kept. */
const held = (f: Fn, value: Expr): Expr => (value.original ? f.let(value.original).reinterpret() : f.let(value));

/** When the host's rounding will do, as the code around it knows. */
export interface HostRounding {
  /** Whether it will for a rounding mode, as `hostRounds` has it. */
  usable(rm: Expr): Expr;
  /** More flags may have accrued. */
  flagged(): void;
}

/** The same operations, of which the arithmetic ones test in line whether the host's result is right. */
export function inlineFloat(f: Fn, fns: FloatFns, rounding: HostRounding): FloatOperations {
  const inFormat = (format: Format, of: FormatFns): FloatOperations['f64'] => {
    const inline = (complete: () => Operation, host: (...operands: Expr[]) => HostResult): Operation => ({
      call: (flags: Expr, ...rest: Expr[]) => {
        const rm = rest.pop()!;
        const operands = rest.map((operand) => held(f, operand));
        // A float from beginning to end: moves between the two kinds of registers take as long as the operation.
        const result = f.local(format.host);
        f.block((done) => {
          f.ifMostly(rounding.usable(rm), () => {
            const { value, certain } = host(...operands);
            f.set(result, value);
            f.brIfMostly(done, certain);
          });
          f.set(
            result,
            complete()
              .call(flags, ...operands, rm)
              .reinterpret(),
          );
          rounding.flagged();
        });
        return result.reinterpret();
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
