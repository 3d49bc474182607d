/** The generated functions, called with big integers, and what the reference says about each. */
import { ModuleBuilder } from '../../src/vmm/codegen/module.ts';
import { defineFloat, type FormatFns } from '../../src/vmm/codegen/softfloat.ts';
import { NX, type Outcome, REFERENCE, type Reference } from './reference.ts';

export type FormatName = keyof typeof REFERENCE;

export interface Operation {
  readonly name: string;
  /** Formats of the operands; `integer` for an i64 that is none. */
  readonly operands: readonly (Reference | 'integer')[];
  readonly rounds: boolean;
  run(initialFlags: number, operands: readonly bigint[], rm: number): Outcome;
  expect(operands: readonly bigint[], rm: number): Outcome;
}

const FLAGS_ADDRESS = 64;

/** Builds the functions once and lists all operations. */
export function operations(fused = false): Operation[] {
  const m = new ModuleBuilder();
  const fns = defineFloat(m, fused);
  const memory = new WebAssembly.Memory({ initial: 1 });
  const flagsWord = new DataView(memory.buffer);
  const list: Operation[] = [];
  let exports: Record<string, unknown> = {};

  const add = (
    func: FormatFns['add'],
    operands: Operation['operands'],
    resultWidth: number,
    rounds: boolean,
    expect: (operands: readonly bigint[], rm: number) => Outcome,
  ) => {
    m.export(func);
    const takesFlags = !func.name.endsWith('classify');
    list.push({
      name: func.name,
      operands,
      rounds,
      expect,
      run(initialFlags, values, rm) {
        flagsWord.setInt32(FLAGS_ADDRESS, initialFlags, true);
        const args: (bigint | number)[] = takesFlags ? [FLAGS_ADDRESS] : [];
        values.forEach((value, i) => {
          const type = func.params[args.length];
          args.push(
            type === 'i64'
              ? BigInt.asIntN(64, value)
              : Number(BigInt.asIntN(32, operands[i] === 'integer' ? 0n : value)),
          );
        });
        if (rounds) args.push(rm);
        const result = (exports[func.name] as (...args: unknown[]) => bigint | number)(...args);
        return { bits: BigInt.asUintN(resultWidth, BigInt(result)), flags: flagsWord.getInt32(FLAGS_ADDRESS, true) };
      },
    });
  };

  for (const name of ['f32', 'f64'] as const) {
    const format = REFERENCE[name];
    const { width } = format;
    const f = fns[name];
    for (const op of ['add', 'sub', 'mul', 'div'] as const) {
      add(f[op], [format, format], width, true, ([a, b], rm) => format[op](a, b, rm));
    }
    add(f.sqrt, [format], width, true, ([a], rm) => format.sqrt(a, rm));
    add(f.fma, [format, format, format], width, true, ([a, b, c], rm) => format.fma(a, b, c, rm));
    for (const op of ['minimum', 'maximum'] as const) {
      add(f[op], [format, format], width, false, ([a, b]) => format[op](a, b));
    }
    for (const op of ['eq', 'lt', 'le'] as const) {
      add(f[op], [format, format], 32, false, ([a, b]) => format[op](a, b));
    }
    add(f.classify, [format], 32, false, ([a]) => format.classify(a));
    for (const [type, bits, signed] of [
      ['I32', 32, true],
      ['U32', 32, false],
      ['I64', 64, true],
      ['U64', 64, false],
    ] as const) {
      add(f[`to${type}`], [format], 64, true, ([a], rm) => format.toInteger(a, rm, bits, signed));
      add(f[`from${type}`], ['integer'], width, true, ([x], rm) => format.fromInteger(x, rm, bits, signed));
    }
  }
  add(fns.promote, [REFERENCE.f32], 64, false, ([a], rm) => REFERENCE.f64.convert(a, REFERENCE.f32, rm));
  add(fns.demote, [REFERENCE.f64], 32, true, ([a], rm) => REFERENCE.f32.convert(a, REFERENCE.f64, rm));

  const instance = new WebAssembly.Instance(new WebAssembly.Module(m.finish()), { host: { memory } });
  exports = instance.exports;
  return list;
}

/** The flags that each case starts with: none, so that nothing is taken from the host, and NX, so that much is. */
const INITIAL = [0, NX];

/** Compares an operation with the reference on one set of operands; a description of the first difference, or null. */
export function difference(operation: Operation, operands: readonly bigint[]): string | null {
  for (let rm = 0; rm < (operation.rounds ? 5 : 1); rm++) {
    const expected = operation.expect(operands, rm);
    for (const initial of INITIAL) {
      const found = operation.run(initial, operands, rm);
      if (found.bits !== expected.bits || found.flags !== (expected.flags | initial)) {
        const hex = (bits: bigint) => `0x${bits.toString(16)}`;
        return (
          `${operation.name}(${operands.map(hex).join(', ')}) rm ${rm}, flags ${initial}: ` +
          `${hex(found.bits)} flags ${found.flags}, not ${hex(expected.bits)} flags ${expected.flags | initial}`
        );
      }
    }
  }
  return null;
}
