/** A WebAssembly module under construction (binary format: core specification, section 5.5). */
import { assert } from '../../base/assert.ts';
import { Bytes } from './bytes.ts';
import { Call, type Callee, type Expr, type Signature, type Type, type Value } from './expr.ts';
import { type BranchHint, Fn, TYPE_CODE } from './fn.ts';

/** Of the compilation hints: simple code when the function is first called, and optimised code as soon as a thread has time for it. */
const OPTIMIZED_IN_BACKGROUND = 0b10_01_11;

/** A function of the module. */
export class Func implements Callee {
  readonly name: string;
  readonly index: number;
  readonly params: readonly Type[];
  readonly result: Type | null;
  constructor(name: string, index: number, params: readonly Type[], result: Type | null) {
    this.name = name;
    this.index = index;
    this.params = params;
    this.result = result;
  }
  /** The call as an expression. */
  call(...args: Value[]): Expr {
    assert(this.result !== null, `${this.name} has no result`);
    return new Call(this, args);
  }
}

export class ModuleBuilder {
  readonly #signaturesOnly: boolean;
  readonly #types = new Map<string, number>();
  readonly #imports: Func[] = [];
  readonly #functions: Func[] = [];
  readonly #bodies = new Map<Func, Uint8Array>();
  readonly #exports: Func[] = [];
  readonly #hints = new Map<Func, readonly BranchHint[]>();
  readonly #urgent = new Set<Func>();
  #usesTable = false;

  /** With `signaturesOnly` functions get no bodies: for who needs to know what there is to call, and no module. */
  constructor({ signaturesOnly = false } = {}) {
    this.#signaturesOnly = signaturesOnly;
  }

  /** A function of the host, imported as `host.name`. Imports come before the first function. */
  import(name: string, params: readonly Type[], result: Type | null): Func {
    assert(this.#functions.length === 0, 'imports come first');
    const func = new Func(name, this.#imports.length, params, result);
    this.#imports.push(func);
    return func;
  }

  /** Says that the module calls functions of this type through a table, imported as `host.table`. */
  tableType(params: readonly Type[], result: Type): Signature {
    this.#usesTable = true;
    return { type: this.#type({ params, result }), params, result };
  }

  /** Declares a function, so that others can call it before it has a body. */
  declare(name: string, params: readonly Type[], result: Type | null): Func {
    const func = new Func(name, this.#imports.length + this.#functions.length, params, result);
    this.#functions.push(func);
    return func;
  }

  body(func: Func, build: (f: Fn, ...params: Fn['params']) => void): void {
    if (this.#signaturesOnly) return;
    assert(!this.#bodies.has(func), `${func.name} has one body`);
    const fn = new Fn(func.params, func.result);
    build(fn, ...fn.params);
    this.#bodies.set(func, fn.finish());
  }

  /** Gives a declared function a body that was built beside the module. */
  bodyOf(func: Func, fn: Fn): void {
    assert(!this.#bodies.has(func), `${func.name} has one body`);
    this.#bodies.set(func, fn.finish());
    this.#hints.set(func, fn.hints());
  }

  /** Declares and builds at once. */
  define(
    name: string,
    params: readonly Type[],
    result: Type | null,
    build: (f: Fn, ...params: Fn['params']) => void,
  ): Func {
    const func = this.declare(name, params, result);
    this.body(func, build);
    return func;
  }

  /** All functions but imports, by name. */
  functions(): ReadonlyMap<string, Func> {
    return new Map(this.#functions.map((func) => [func.name, func]));
  }

  export(func: Func): void {
    this.#exports.push(func);
  }

  /** Asks for optimised code of a function from the beginning, not only when it has run for long. */
  optimizeAtOnce(func: Func): void {
    this.#urgent.add(func);
  }

  /** The module's bytes. It imports `host.memory` and the functions of `host`. */
  finish(): Uint8Array {
    const out = new Bytes(4096);
    out.raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    const importTypes = this.#imports.map((func) => this.#type(func));
    const functionTypes = this.#functions.map((func) => this.#type(func));
    const section = (id: number, write: (s: Bytes) => void) => {
      const s = new Bytes();
      write(s);
      out.u8(id);
      out.sized(s.view());
    };
    section(1, (s) => {
      s.u32(this.#types.size);
      for (const type of this.#types.keys()) {
        const [params, result] = type.split('>');
        const write = (list: string) => {
          const types = list.split(',').filter(Boolean) as Type[];
          s.u32(types.length);
          for (const t of types) s.u8(TYPE_CODE[t]);
        };
        s.u8(0x60);
        write(params);
        write(result);
      }
    });
    section(2, (s) => {
      s.u32(this.#imports.length + (this.#usesTable ? 2 : 1));
      this.#imports.forEach((func, i) => {
        s.text('host');
        s.text(func.name);
        s.u8(0);
        s.u32(importTypes[i]);
      });
      s.text('host');
      s.text('memory');
      s.u8(2);
      s.u8(0);
      s.u32(0);
      if (!this.#usesTable) return;
      s.text('host');
      s.text('table');
      s.u8(1);
      s.u8(0x70);
      s.u8(0);
      s.u32(0);
    });
    section(3, (s) => {
      s.u32(functionTypes.length);
      for (const type of functionTypes) s.u32(type);
    });
    section(7, (s) => {
      s.u32(this.#exports.length);
      for (const func of this.#exports) {
        s.text(func.name);
        s.u8(0);
        s.u32(func.index);
      }
    });
    // Compilation hints proposal, as V8 had it first: a byte for each function.
    if (this.#urgent.size > 0) {
      section(0, (s) => {
        s.text('compilationHints');
        s.u32(this.#functions.length);
        for (const func of this.#functions) s.u8(this.#urgent.has(func) ? OPTIMIZED_IN_BACKGROUND : 0);
      });
    }
    // Branch hinting proposal. It is advice: who does not know it passes over it.
    const hinted = [...this.#hints].filter(([, hints]) => hints.length > 0);
    if (hinted.length > 0) {
      section(0, (s) => {
        s.text('metadata.code.branch_hint');
        s.u32(hinted.length);
        for (const [func, hints] of hinted) {
          s.u32(func.index);
          s.u32(hints.length);
          for (const { offset, likely } of hints) {
            s.u32(offset);
            s.u8(1);
            s.u8(likely ? 1 : 0);
          }
        }
      });
    }
    section(10, (s) => {
      s.u32(this.#functions.length);
      for (const func of this.#functions) {
        const body = this.#bodies.get(func);
        assert(body, `${func.name} has a body`);
        s.sized(body);
      }
    });
    return out.view();
  }

  #type(func: { readonly params: readonly Type[]; readonly result: Type | null }): number {
    const type = `${func.params.join(',')}>${func.result ?? ''}`;
    const index = this.#types.get(type) ?? this.#types.size;
    this.#types.set(type, index);
    return index;
  }
}
