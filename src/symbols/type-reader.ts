/** Types from debugging information entries (DWARF 5, chapter 5). */
import { DW_AT, DW_ATE, DW_TAG } from './dwarf/constants.ts';
import type { Die } from './dwarf/die.ts';
import { evaluateNumber } from './dwarf/expression.ts';
import { qualifiedName } from './functions.ts';
import {
  ArrayType,
  BaseType,
  type Encoding,
  EnumType,
  FunctionType,
  type Member,
  PointerType,
  QualifiedType,
  StructType,
  type Type,
  TypedefType,
  UnknownType,
  type VariantPart,
  VOID,
} from './types.ts';

const ENCODINGS: Record<number, Encoding> = {
  [DW_ATE.address]: 'unsigned',
  [DW_ATE.boolean]: 'boolean',
  [DW_ATE.complex_float]: 'complex',
  [DW_ATE.float]: 'float',
  [DW_ATE.signed]: 'signed',
  [DW_ATE.signed_char]: 'char',
  [DW_ATE.unsigned]: 'unsigned',
  [DW_ATE.unsigned_char]: 'unsigned char',
  [DW_ATE.UTF]: 'utf',
};

/** Types kept, so that the same entry is the same type while it is looked at. */
const TYPES_MAX = 20_000;
/** Dimensions and members beyond these come from garbled data. */
const DIMENSIONS_MAX = 32;

export class TypeReader {
  readonly #known = new Map<string, Type>();
  readonly #define: (name: string, kind: 'struct' | 'union') => StructType | null;

  /** `define` finds the definition of a struct or union that is only declared, by its name. */
  constructor(define: (name: string, kind: 'struct' | 'union') => StructType | null) {
    this.#define = define;
  }

  /** The type of a variable, member or parameter; `void` without one. */
  typeOf(die: Die): Type {
    const holder = die.withAttribute(DW_AT.type);
    const target = holder?.reference(DW_AT.type);
    return target ? this.read(target) : VOID;
  }

  /** The type that an entry describes. */
  read(die: Die): Type {
    const key = `${die.unit.index} ${die.index}`;
    let type = this.#known.get(key);
    if (!type) {
      type = this.#make(die);
      if (this.#known.size >= TYPES_MAX) this.#known.clear();
      this.#known.set(key, type);
    }
    return type;
  }

  /** A type that is read later. If it then cannot be, that shows in its place. */
  #later(die: Die): () => Type {
    return () => die.unit.info.guard<Type>(() => this.typeOf(die), new UnknownType('a type that cannot be read'));
  }

  #make(die: Die): Type {
    switch (die.tag) {
      case DW_TAG.base_type: {
        const size = die.number(DW_AT.byte_size) ?? 0;
        return new BaseType(die.name ?? '?', size, ENCODINGS[die.number(DW_AT.encoding) ?? 0] ?? 'unsigned');
      }
      case DW_TAG.pointer_type:
      case DW_TAG.ptr_to_member_type: {
        const name = die.unit.language === 'rust' ? (die.name ?? null) : null;
        return new PointerType(this.#later(die), die.number(DW_AT.byte_size) ?? die.unit.addressSize, '*', name);
      }
      case DW_TAG.reference_type:
        return new PointerType(this.#later(die), die.number(DW_AT.byte_size) ?? die.unit.addressSize, '&');
      case DW_TAG.rvalue_reference_type:
        return new PointerType(this.#later(die), die.number(DW_AT.byte_size) ?? die.unit.addressSize, '&&');
      case DW_TAG.const_type:
      case DW_TAG.immutable_type:
        return new QualifiedType('const', this.#later(die));
      case DW_TAG.volatile_type:
        return new QualifiedType('volatile', this.#later(die));
      case DW_TAG.restrict_type:
        return new QualifiedType('restrict', this.#later(die));
      case DW_TAG.atomic_type:
        return new QualifiedType('_Atomic', this.#later(die));
      case DW_TAG.typedef:
        return new TypedefType(qualifiedName(die) ?? '?', this.#later(die));
      case DW_TAG.array_type:
        return this.#array(die);
      case DW_TAG.structure_type:
      case DW_TAG.class_type:
      case DW_TAG.union_type:
        return this.#struct(die);
      case DW_TAG.enumeration_type:
        return this.#enum(die);
      case DW_TAG.subroutine_type:
      case DW_TAG.subprogram: {
        const parameters = () => {
          const types: Type[] = [];
          for (const child of die.children()) if (child.tag === DW_TAG.formal_parameter) types.push(this.typeOf(child));
          return types;
        };
        const variadic = [...die.children()].some((child) => child.tag === DW_TAG.unspecified_parameters);
        return new FunctionType(this.#later(die), parameters, variadic);
      }
      case DW_TAG.unspecified_type:
        return new UnknownType(die.name ?? 'void');
      default:
        return new UnknownType(`a type of tag 0x${die.tag.toString(16)}`);
    }
  }

  #array(die: Die): Type {
    const counts: (number | null)[] = [];
    for (const child of die.children()) {
      if (child.tag !== DW_TAG.subrange_type && child.tag !== DW_TAG.enumeration_type) continue;
      if (counts.length === DIMENSIONS_MAX) throw die.unit.error(0, 'an array of too many dimensions');
      counts.push(countOf(child));
    }
    if (counts.length === 0) counts.push(null);
    let type = this.#later(die);
    for (const count of counts.reverse()) {
      const element = type;
      const array = new ArrayType(element, count);
      type = () => array;
    }
    return type();
  }

  #struct(die: Die): Type {
    const keyword =
      die.tag === DW_TAG.union_type
        ? 'union'
        : die.tag === DW_TAG.class_type && die.unit.language !== 'c'
          ? 'class'
          : 'struct';
    const signature = die.has(DW_AT.signature) ? die.reference(DW_AT.signature) : undefined;
    if (signature && !signature.equals(die)) return this.read(signature);
    const name = qualifiedName(die) ?? null;
    const declared = die.flag(DW_AT.declaration);
    const definition =
      declared && name !== null
        ? () => this.#define(name, keyword === 'union' ? 'union' : 'struct')
        : declared
          ? () => null
          : null;
    const tagged = die.unit.language === 'c';
    const size = die.number(DW_AT.byte_size) ?? null;
    return new StructType(keyword, name, tagged, size, () => this.#body(die), definition);
  }

  #body(die: Die): { members: Member[]; variants: VariantPart | null } {
    const members: Member[] = [];
    let variants: VariantPart | null = null;
    die.unit.info.guard(() => {
      for (const child of die.children()) {
        if (child.tag === DW_TAG.variant_part) variants = this.#variantPart(child);
        const member = this.#member(child);
        if (member) members.push(member);
      }
    }, undefined);
    return { members, variants };
  }

  #member(die: Die): Member | null {
    const base = die.tag === DW_TAG.inheritance;
    if (die.tag !== DW_TAG.member && !base) return null;
    // A static member has no place in the struct.
    if (die.flag(DW_AT.declaration) || die.flag(DW_AT.external)) return null;
    const offset = memberOffset(die);
    const type = this.#later(die);
    const name = die.name ?? '';
    const member = { name, offset, base, bits: bitField(die, offset, () => type().size) };
    let known: Type | null = null;
    return {
      ...member,
      get type() {
        known ??= type();
        return known;
      },
    };
  }

  #variantPart(die: Die): VariantPart {
    const discriminant = die.reference(DW_AT.discr);
    const variants: VariantPart['variants'][number][] = [];
    for (const child of die.children()) {
      if (child.tag !== DW_TAG.variant) continue;
      const value = child.constant(DW_AT.discr_value);
      for (const inner of child.children()) {
        const member = this.#member(inner);
        if (member) variants.push({ values: value === undefined ? [] : [[value, value]], member });
      }
    }
    return { discriminant: discriminant ? this.#member(discriminant) : null, variants };
  }

  #enum(die: Die): Type {
    const signature = die.has(DW_AT.signature) ? die.reference(DW_AT.signature) : undefined;
    if (signature && !signature.equals(die)) return this.read(signature);
    const size = die.number(DW_AT.byte_size) ?? 4;
    const underlying = die.has(DW_AT.type) ? this.typeOf(die) : null;
    const values = () => {
      const all: { name: string; value: bigint }[] = [];
      for (const child of die.children()) {
        if (child.tag !== DW_TAG.enumerator) continue;
        all.push({ name: child.name ?? '?', value: child.constant(DW_AT.const_value) ?? 0n });
      }
      return all;
    };
    // Without an underlying type, it has a sign if one of its values has.
    const plain = underlying?.kind === 'typedef' ? underlying.target : underlying;
    const signed =
      plain?.kind === 'base'
        ? plain.encoding === 'signed' || plain.encoding === 'char'
        : die.unit.info.guard(() => values().some((v) => v.value < 0n), false);
    const guarded = () => die.unit.info.guard(values, []);
    return new EnumType(qualifiedName(die) ?? null, die.unit.language === 'c', size, signed, guarded);
  }
}

function countOf(range: Die): number | null {
  const count = range.number(DW_AT.count);
  if (count !== undefined) return count;
  const upper = range.constant(DW_AT.upper_bound);
  if (upper === undefined) return null;
  const lower = range.constant(DW_AT.lower_bound) ?? 0n;
  // `int a[0]` has an upper bound of -1, in whatever form the compiler chose.
  const length = BigInt.asIntN(64, upper - lower + 1n);
  if (length === 0x100000000n || length < 0n) return 0;
  return length <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(length) : null;
}

function memberOffset(die: Die): number {
  const value = die.value(DW_AT.data_member_location);
  if (!value) return 0;
  if (value.kind === 'constant') return Number(value.value);
  if (value.kind !== 'block') return 0;
  // Version 2 has an expression, to which the address of the struct is given.
  const nothing = () => {
    throw die.unit.error(0, 'the offset of a member depends on the program');
  };
  const context = { unit: die.unit, bias: 0n, register: nothing, read: nothing, cfa: nothing, frameBase: nothing };
  return Number(evaluateNumber(value, { ...context, entryValue: nothing }, [0n]));
}

/** Bits of a bit-field, counted from the beginning of the struct. */
function bitField(die: Die, offset: number, typeSize: () => number | null): Member['bits'] {
  const size = die.number(DW_AT.bit_size);
  if (size === undefined) return null;
  const from = die.number(DW_AT.data_bit_offset);
  if (from !== undefined) return { offset: from, size };
  // Before version 4, bits were counted from the high end of a storage unit.
  const storage = die.number(DW_AT.byte_size) ?? typeSize() ?? 4;
  const fromHigh = die.number(DW_AT.bit_offset);
  if (fromHigh === undefined) return { offset: offset * 8, size };
  return { offset: offset * 8 + storage * 8 - fromHigh - size, size };
}
