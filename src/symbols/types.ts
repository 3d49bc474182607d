/** Types of C, C++ and Rust, as values see them: sizes, members, elements. What a type refers to is read when it is asked for. */

export type Type =
  | VoidType
  | BaseType
  | PointerType
  | ArrayType
  | StructType
  | EnumType
  | TypedefType
  | QualifiedType
  | FunctionType
  | UnknownType;

/** Something that is made once, when it is first needed. */
export class Lazy<T> {
  #make: (() => T) | null;
  #value: T | undefined;
  constructor(make: () => T) {
    this.#make = make;
  }
  get value(): T {
    if (this.#make) {
      this.#value = this.#make();
      this.#make = null;
    }
    return this.#value as T;
  }
}

export class VoidType {
  readonly kind = 'void';
  readonly size = 1;
}

export type Encoding = 'signed' | 'unsigned' | 'boolean' | 'char' | 'unsigned char' | 'float' | 'complex' | 'utf';

export class BaseType {
  readonly kind = 'base';
  readonly name: string;
  /** In bytes, like all sizes. */
  readonly size: number;
  readonly encoding: Encoding;
  constructor(name: string, size: number, encoding: Encoding) {
    this.name = name;
    this.size = size;
    this.encoding = encoding;
  }
}

export class PointerType {
  readonly kind = 'pointer';
  readonly size: number;
  readonly flavour: '*' | '&' | '&&';
  /** The name that Rust gives to pointers. */
  readonly name: string | null;
  readonly #target: Lazy<Type>;
  constructor(target: () => Type, size = 8, flavour: '*' | '&' | '&&' = '*', name: string | null = null) {
    this.#target = new Lazy(target);
    this.size = size;
    this.flavour = flavour;
    this.name = name;
  }
  get target(): Type {
    return this.#target.value;
  }
}

export class ArrayType {
  readonly kind = 'array';
  /** Number of elements; null for a flexible or variable one. */
  readonly count: number | null;
  readonly #element: Lazy<Type>;
  constructor(element: () => Type, count: number | null) {
    this.#element = new Lazy(element);
    this.count = count;
  }
  get element(): Type {
    return this.#element.value;
  }
  get size(): number | null {
    const { size } = this.element;
    return size === null ? null : size * (this.count ?? 0);
  }
}

export interface Member {
  /** Empty for an anonymous struct or union. */
  readonly name: string;
  readonly type: Type;
  /** In bytes from the beginning of the struct. */
  readonly offset: number;
  /** For a bit-field: how many bits, and how many of them lie below it from the beginning of the struct on. */
  readonly bits: { readonly offset: number; readonly size: number } | null;
  /** A base class. */
  readonly base: boolean;
}

/** The part of a Rust enum that differs from one variant to the other. */
export interface VariantPart {
  readonly discriminant: Member | null;
  readonly variants: readonly {
    /** Values of the discriminant; empty for the variant that all others belong to. */
    readonly values: readonly (readonly [low: bigint, high: bigint])[];
    readonly member: Member;
  }[];
}

export class StructType {
  readonly kind = 'struct';
  readonly keyword: 'struct' | 'union' | 'class';
  /** With namespaces; null for an anonymous one. */
  readonly name: string | null;
  /** Whether the language writes the keyword before the name. */
  readonly tagged: boolean;
  readonly #size: number | null;
  readonly #body: Lazy<{ members: readonly Member[]; variants: VariantPart | null }>;
  /** For one that is only declared: finds its definition. */
  readonly #definition: Lazy<StructType | null>;
  readonly incomplete: boolean;

  constructor(
    keyword: 'struct' | 'union' | 'class',
    name: string | null,
    tagged: boolean,
    size: number | null,
    body: () => { members: readonly Member[]; variants: VariantPart | null },
    definition: (() => StructType | null) | null,
  ) {
    this.keyword = keyword;
    this.name = name;
    this.tagged = tagged;
    this.#size = size;
    this.#body = new Lazy(body);
    this.incomplete = definition !== null;
    this.#definition = new Lazy(definition ?? (() => null));
  }
  /** This type, or the definition of one that is only declared here. */
  get whole(): StructType {
    return this.#definition.value ?? this;
  }
  get size(): number | null {
    return this.incomplete ? (this.#definition.value?.size ?? null) : this.#size;
  }
  get members(): readonly Member[] {
    return this.whole.#body.value.members;
  }
  get variants(): VariantPart | null {
    return this.whole.#body.value.variants;
  }
}

export class EnumType {
  readonly kind = 'enum';
  readonly name: string | null;
  readonly tagged: boolean;
  readonly size: number;
  readonly signed: boolean;
  readonly #values: Lazy<readonly { readonly name: string; readonly value: bigint }[]>;
  constructor(
    name: string | null,
    tagged: boolean,
    size: number,
    signed: boolean,
    values: () => readonly { readonly name: string; readonly value: bigint }[],
  ) {
    this.name = name;
    this.tagged = tagged;
    this.size = size;
    this.signed = signed;
    this.#values = new Lazy(values);
  }
  get values() {
    return this.#values.value;
  }
}

export class TypedefType {
  readonly kind = 'typedef';
  readonly name: string;
  readonly #target: Lazy<Type>;
  constructor(name: string, target: () => Type) {
    this.name = name;
    this.#target = new Lazy(target);
  }
  get target(): Type {
    return this.#target.value;
  }
  get size(): number | null {
    return stripped(this).size;
  }
}

export class QualifiedType {
  readonly kind = 'qualified';
  readonly qualifier: 'const' | 'volatile' | 'restrict' | '_Atomic';
  readonly #target: Lazy<Type>;
  constructor(qualifier: 'const' | 'volatile' | 'restrict' | '_Atomic', target: () => Type) {
    this.qualifier = qualifier;
    this.#target = new Lazy(target);
  }
  get target(): Type {
    return this.#target.value;
  }
  get size(): number | null {
    return stripped(this).size;
  }
}

export class FunctionType {
  readonly kind = 'function';
  readonly size = 1;
  readonly #result: Lazy<Type>;
  readonly #parameters: Lazy<readonly Type[]>;
  readonly variadic: boolean;
  constructor(result: () => Type, parameters: () => readonly Type[], variadic: boolean) {
    this.#result = new Lazy(result);
    this.#parameters = new Lazy(parameters);
    this.variadic = variadic;
  }
  get result(): Type {
    return this.#result.value;
  }
  get parameters(): readonly Type[] {
    return this.#parameters.value;
  }
}

/** A type that the debug information leaves open, or that could not be read. */
export class UnknownType {
  readonly kind = 'unknown';
  readonly name: string;
  readonly size = null;
  constructor(name: string) {
    this.name = name;
  }
}

export const VOID = new VoidType();

/** Types that name each other in a circle are garbled. */
const CHAIN_MAX = 64;

export type PlainType = Exclude<Type, TypedefType | QualifiedType>;

/** A type without its typedefs and qualifiers. */
export function stripped(type: Type): PlainType {
  let here = type;
  for (let n = 0; n < CHAIN_MAX; n++) {
    if (here.kind !== 'typedef' && here.kind !== 'qualified') return here;
    here = here.target;
  }
  return new UnknownType('a type that is defined by itself');
}

/** The name as C writes it, around a name or nothing: `int (*)[10]`, `const char *`. */
export function typeName(type: Type, inner = ''): string {
  return declarator(type, inner, 0);
}

function declarator(type: Type, inner: string, depth: number): string {
  if (depth > CHAIN_MAX) return '...';
  const spaced = (name: string) => (inner === '' ? name : `${name} ${inner}`);
  switch (type.kind) {
    case 'void':
      return spaced('void');
    case 'base':
    case 'typedef':
    case 'unknown':
      return spaced(type.name);
    case 'struct':
    case 'enum': {
      const keyword = type.kind === 'enum' ? 'enum' : type.keyword;
      if (type.name === null) return spaced(`${keyword} {...}`);
      return spaced(type.tagged ? `${keyword} ${type.name}` : type.name);
    }
    case 'qualified': {
      const { target } = type;
      // Behind a pointer the qualifier belongs to the pointer itself.
      if (target.kind === 'pointer' && target.name === null) {
        return declarator(target, inner === '' ? type.qualifier : `${type.qualifier} ${inner}`, depth + 1);
      }
      return `${type.qualifier} ${declarator(target, inner, depth + 1)}`;
    }
    case 'pointer': {
      if (type.name !== null) return spaced(type.name);
      const { target } = type;
      const own = `${type.flavour}${/^[a-z_]/i.test(inner) && type.flavour === '*' && /^(const|volatile|restrict|_Atomic)\b/.test(inner) ? ' ' : ''}${inner}`;
      return declarator(target, target.kind === 'array' || target.kind === 'function' ? `(${own})` : own, depth + 1);
    }
    case 'array': {
      const suffix = `[${type.count ?? ''}]`;
      return declarator(type.element, `${inner}${suffix}`, depth + 1);
    }
    case 'function': {
      const parameters = type.parameters.map((p) => declarator(p, '', depth + 1));
      if (type.variadic) parameters.push('...');
      return declarator(
        type.result,
        `${inner}(${parameters.length === 0 ? 'void' : parameters.join(', ')})`,
        depth + 1,
      );
    }
  }
}
