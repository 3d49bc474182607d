/**
 * Generated modules as text to read: one statement a line, indented by nesting, with the expressions folded into it. Only what the code
 * generator emits is known (core specification, section 5); anything else is an error.
 */
import assert from 'node:assert/strict';

const TYPES: Record<number, string> = { 127: 'i32', 126: 'i64', 125: 'f32', 124: 'f64' };

/** Names of the plain operators from 0x45 on. */
const COMPARE = 'eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'.split(' ');
const COMPARE_FLOAT = 'eq ne lt gt le ge'.split(' ');
const INTEGER = 'clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr'.split(' ');
const FLOAT = 'abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign'.split(' ');
const CONVERSIONS = [
  ...['i32.wrap_i64', 'i32.trunc_f32_s', 'i32.trunc_f32_u', 'i32.trunc_f64_s', 'i32.trunc_f64_u', 'i64.extend_i32_s'],
  ...['i64.extend_i32_u', 'i64.trunc_f32_s', 'i64.trunc_f32_u', 'i64.trunc_f64_s', 'i64.trunc_f64_u'],
  ...['f32.convert_i32_s', 'f32.convert_i32_u', 'f32.convert_i64_s', 'f32.convert_i64_u', 'f32.demote_f64'],
  ...['f64.convert_i32_s', 'f64.convert_i32_u', 'f64.convert_i64_s', 'f64.convert_i64_u', 'f64.promote_f32'],
  ...['i32.reinterpret_f32', 'i64.reinterpret_f64', 'f32.reinterpret_i32', 'f64.reinterpret_i64'],
  ...['i32.extend8_s', 'i32.extend16_s', 'i64.extend8_s', 'i64.extend16_s', 'i64.extend32_s'],
];
const PLAIN = [
  ...['i32', 'i64'].flatMap((type) => COMPARE.map((name) => `${type}.${name}`)),
  ...['f32', 'f64'].flatMap((type) => COMPARE_FLOAT.map((name) => `${type}.${name}`)),
  ...['i32', 'i64'].flatMap((type) => INTEGER.map((name) => `${type}.${name}`)),
  ...['f32', 'f64'].flatMap((type) => FLOAT.map((name) => `${type}.${name}`)),
  ...CONVERSIONS,
];
const FIRST_PLAIN = 0x45;
const UNARY = /\.(eqz|clz|ctz|popcnt|abs|neg|ceil|floor|trunc|nearest|sqrt)$|_[if](32|64)|extend\d/;
const LOADS = [
  ...['i32.load', 'i64.load', 'f32.load', 'f64.load', 'i32.load8_s', 'i32.load8_u', 'i32.load16_s', 'i32.load16_u'],
  ...['i64.load8_s', 'i64.load8_u', 'i64.load16_s', 'i64.load16_u', 'i64.load32_s', 'i64.load32_u'],
];
const FIRST_LOAD = 0x28;
const STORES =
  'i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32'.split(' ');
const FIRST_STORE = 0x36;
const SATURATING = ['i32', 'i64'].flatMap((to) =>
  ['f32', 'f64'].flatMap((from) => ['s', 'u'].map((sign) => `${to}.trunc_sat_${from}_${sign}`)),
);

interface FunctionType {
  readonly params: readonly string[];
  readonly result: string | null;
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get ended(): boolean {
    return this.at === this.#bytes.length;
  }
  u8(): number {
    assert.ok(this.at < this.#bytes.length, 'the module goes on');
    return this.#bytes[this.at++];
  }
  unsigned(): number {
    return Number(this.#leb().value);
  }
  signed(bits: number): bigint {
    const { value, read } = this.#leb();
    return BigInt.asIntN(Math.min(bits, read), value);
  }
  #leb(): { value: bigint; read: number } {
    let value = 0n;
    for (let read = 0; ; ) {
      const byte = this.u8();
      value |= BigInt(byte & 127) << BigInt(read);
      read += 7;
      if ((byte & 128) === 0) return { value, read };
    }
  }
  take(length: number): Uint8Array {
    this.at += length;
    assert.ok(this.at <= this.#bytes.length, 'the module goes on');
    return this.#bytes.subarray(this.at - length, this.at);
  }
  text(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }
  list<T>(read: () => T): T[] {
    return Array.from({ length: this.unsigned() }, read);
  }
}

/** A module's functions as text; `params` names the parameters of all of them. */
export function wasmText(module: Uint8Array, params: readonly string[]): string {
  const reader = new Reader(module);
  assert.deepEqual([...reader.take(8)], [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  let types: FunctionType[] = [];
  let functions: number[] = [];
  let bodies: Uint8Array[] = [];
  const imports: { name: string; type: number }[] = [];
  while (!reader.ended) {
    const id = reader.u8();
    const section = new Reader(reader.take(reader.unsigned()));
    const valueType = () => TYPES[section.u8()];
    if (id === 1) {
      types = section.list(() => {
        assert.equal(section.u8(), 0x60);
        return { params: section.list(valueType), result: section.list(valueType)[0] ?? null };
      });
    } else if (id === 2) {
      section.list(() => {
        section.text();
        const name = section.text();
        const kind = section.u8();
        if (kind === 0) imports.push({ name, type: section.unsigned() });
        else section.take(2);
      });
    } else if (id === 3) functions = section.list(() => section.unsigned());
    else if (id === 10) bodies = section.list(() => section.take(section.unsigned()));
  }
  const callees = imports.map(({ name, type }) => ({ name, type: types[type] }));
  return bodies.map((body, n) => functionText(body, types[functions[n]], callees, params)).join('\n');
}

interface Named {
  readonly name: string;
  readonly type: FunctionType;
}

function functionText(
  body: Uint8Array,
  type: FunctionType,
  callees: readonly Named[],
  params: readonly string[],
): string {
  const reader = new Reader(body);
  const locals = type.params.map((param, n) => ({ name: params[n], type: param }));
  const declared = reader.list(() => ({ count: reader.unsigned(), type: TYPES[reader.u8()] }));
  for (const { count, type: localType } of declared) {
    for (let n = 0; n < count; n++) locals.push({ name: `${localType}_${locals.length}`, type: localType });
  }
  return new Listing(reader, locals, callees).run();
}

class Listing {
  readonly #reader: Reader;
  readonly #locals: readonly { readonly name: string }[];
  readonly #callees: readonly Named[];
  readonly #lines: string[] = [];
  readonly #stack: string[] = [];
  /** Labels of the constructs around, outermost first. */
  readonly #labels: string[] = [];
  #made = 0;

  constructor(reader: Reader, locals: readonly { readonly name: string }[], callees: readonly Named[]) {
    this.#reader = reader;
    this.#locals = locals;
    this.#callees = callees;
  }

  run(): string {
    while (!this.#reader.ended) this.#instruction(this.#reader.u8());
    assert.deepEqual(this.#stack, [], 'nothing is left over');
    return `${this.#lines.join('\n')}\n`;
  }

  #line(text: string): void {
    this.#lines.push('  '.repeat(this.#labels.length) + text);
  }
  #pop(): string {
    const value = this.#stack.pop();
    assert.ok(value !== undefined, 'an operand');
    return value;
  }
  #operands(count: number): string {
    assert.ok(this.#stack.length >= count, `${count} operands`);
    return count === 0 ? '' : this.#stack.splice(-count).join(', ');
  }
  #open(kind: string, condition = ''): void {
    const label = `${kind}${this.#made++}`;
    this.#line(`${label}${condition}:`);
    this.#labels.push(label);
  }
  #label(): string {
    return this.#labels[this.#labels.length - 1 - this.#reader.unsigned()];
  }
  #memory(): string {
    this.#reader.unsigned();
    const offset = this.#reader.unsigned();
    return offset === 0 ? '' : `, +${offset}`;
  }

  #instruction(op: number): void {
    const reader = this.#reader;
    const push = (text: string) => this.#stack.push(text);
    switch (op) {
      case 0x00:
        this.#line('unreachable');
        return;
      case 0x02:
      case 0x03:
        assert.equal(reader.u8(), 0x40);
        this.#open(op === 0x02 ? 'block' : 'loop');
        return;
      case 0x04:
        assert.equal(reader.u8(), 0x40);
        this.#open('if', ` ${this.#pop()}`);
        return;
      case 0x05: {
        const label = this.#labels.pop()!;
        this.#line('else:');
        this.#labels.push(label);
        return;
      }
      case 0x0b:
        // The last one ends the function.
        this.#labels.pop();
        return;
      case 0x0c:
        this.#line(`br ${this.#label()}`);
        return;
      case 0x0d:
        this.#line(`br ${this.#label()} if ${this.#pop()}`);
        return;
      case 0x0f:
        this.#line(`return ${this.#pop()}`);
        return;
      case 0x10: {
        const { name, type } = this.#callees[reader.unsigned()];
        const text = `${name}(${this.#operands(type.params.length)})`;
        if (type.result) push(text);
        else this.#line(text);
        return;
      }
      case 0x1a:
        this.#line(`drop ${this.#pop()}`);
        return;
      case 0x1b: {
        const condition = this.#pop();
        push(`select(${condition}: ${this.#operands(2)})`);
        return;
      }
      case 0x20:
        push(this.#locals[reader.unsigned()].name);
        return;
      case 0x21:
        this.#line(`${this.#locals[reader.unsigned()].name} = ${this.#pop()}`);
        return;
      case 0x41:
      case 0x42:
        push(String(reader.signed(op === 0x41 ? 32 : 64)));
        return;
      case 0x43:
      case 0x44: {
        const bytes = reader.take(op === 0x43 ? 4 : 8);
        const view = new DataView(bytes.slice().buffer);
        push(String(op === 0x43 ? view.getFloat32(0, true) : view.getFloat64(0, true)));
        return;
      }
      case 0xfc: {
        const name = SATURATING[reader.unsigned()];
        assert.ok(name, 'a saturating conversion');
        push(`${name}(${this.#pop()})`);
        return;
      }
    }
    if (op >= FIRST_LOAD && op < FIRST_LOAD + LOADS.length)
      push(`${LOADS[op - FIRST_LOAD]}(${this.#pop()}${this.#memory()})`);
    else if (op >= FIRST_STORE && op < FIRST_STORE + STORES.length) {
      const value = this.#pop();
      this.#line(`${STORES[op - FIRST_STORE]}(${this.#pop()}${this.#memory()}) = ${value}`);
    } else {
      const name = PLAIN[op - FIRST_PLAIN];
      assert.ok(name, `the operator 0x${op.toString(16)} is known`);
      push(`${name}(${this.#operands(UNARY.test(name) ? 1 : 2)})`);
    }
  }
}
