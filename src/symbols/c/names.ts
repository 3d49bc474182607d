/** What a name means in a frame: from the innermost block out, then in the file, the module, and all symbol files. */
import { DW_AT, DW_TAG } from '../dwarf/constants.ts';
import type { Die } from '../dwarf/die.ts';
import type { Frame } from '../frames.ts';
import { entryAddress, functionName } from '../functions.ts';
import type { NameKind } from '../name-index.ts';
import { inMemory, type SymbolModule } from '../symbols.ts';
import { FunctionType, type Type, UnknownType } from '../types.ts';
import type { MachineFrame } from '../unwind.ts';
import { Value } from '../value.ts';
import { type Scope, scopesOf, variableValue } from '../variables.ts';
import { C_TYPES, LONG } from './arithmetic.ts';
import { ExpressionError } from './lexer.ts';

const TYPE_KINDS: Record<'struct' | 'union' | 'enum' | 'class', NameKind[]> = {
  struct: ['struct'],
  class: ['struct'],
  union: ['union'],
  enum: ['enum'],
};
const VALUE_KINDS: NameKind[] = ['variable', 'function', 'enumerator'];
const UNTAGGED: NameKind[] = ['typedef', 'base', 'struct', 'union', 'enum'];

export class Names {
  readonly #frame: Frame;
  readonly #machine: MachineFrame;
  #scopes: Scope[] | null = null;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#machine = frame.machine;
  }

  #local(name: string): Value | null {
    this.#scopes ??= scopesOf(this.#frame);
    for (const { variables } of this.#scopes) {
      // Of several in one block the last is in force.
      const found = variables.findLast((v) => v.name === name);
      if (found) return found.value;
    }
    return null;
  }

  /** Modules, that of the frame first. */
  get #modules(): SymbolModule[] {
    const { module, context, space } = this.#machine;
    const reachable = context.symbols.modules.filter((m) => m.space === null || m.space === space);
    return module ? [module, ...reachable.filter((m) => m !== module)] : reachable;
  }

  isType(name: string): boolean {
    if (this.#local(name)) return false;
    return this.type(name, null) !== null || Object.hasOwn(C_TYPES, name);
  }

  /** A type by its name, and maybe its keyword. */
  type(name: string, tag: 'struct' | 'union' | 'enum' | 'class' | null): Type | null {
    const kinds = tag ? TYPE_KINDS[tag] : UNTAGGED;
    for (const { module, die } of this.#entries(name, kinds)) {
      // In C, the name of a struct needs its keyword.
      if (tag === null && die.unit.language === 'c' && die.tag !== DW_TAG.typedef && die.tag !== DW_TAG.base_type)
        continue;
      return module.file.types.read(die);
    }
    return null;
  }

  /** The value of a variable, function or enumerator. */
  value(name: string, file: string | null): Value {
    const local = file === null ? this.#local(name) : null;
    if (local) return local;
    if (file === null && name !== 'this') {
      const member = this.#implicitMember(name);
      if (member) return member;
    }
    for (const { module, die } of this.#entries(name, VALUE_KINDS)) {
      if (file !== null && !matchesPath(die.unit.name, file)) continue;
      const value = this.#valueOf(die, module);
      if (value) return value;
    }
    if (file === null) {
      for (const module of this.#modules) {
        for (const symbol of module.file.symbols?.named(name) ?? []) {
          const type = symbol.isFunction
            ? new FunctionType(
                () => LONG,
                () => [],
                false,
              )
            : new UnknownType(`'${name}' has no type; cast its address`);
          return Value.inMemory(this.#machine, type, inMemory(module, symbol.address));
        }
      }
    }
    throw new ExpressionError(`nothing is called '${name}'${file === null ? '' : ` in '${file}'`} here`);
  }

  /** In a member function, a member of the object. */
  #implicitMember(name: string): Value | null {
    const self = this.#local('this');
    const type = self?.plain.kind === 'pointer' ? self.deref().plain : null;
    if (!self || type?.kind !== 'struct') return null;
    const member = type.members.find((m) => m.name === name);
    return member ? self.deref().member(member) : null;
  }

  #valueOf(die: Die, module: SymbolModule): Value | null {
    const machine = this.#machine;
    const { types } = module.file;
    if (die.tag === DW_TAG.enumerator) {
      const type = types.read(die.parent!);
      const value = type.kind === 'enum' ? type.values.find((v) => v.name === die.name) : undefined;
      return value ? Value.ofInteger(machine, type, value.value) : null;
    }
    if (die.tag === DW_TAG.variable) return variableValue(die, machine, module);
    const entry = entryAddress(die);
    if (entry !== undefined) return Value.inMemory(machine, types.read(die), inMemory(module, entry));
    // Of a function that is everywhere inlined there may still be a copy that is not.
    for (const symbol of module.file.symbols?.named(functionName(die)) ?? []) {
      if (symbol.isFunction) return Value.inMemory(machine, types.read(die), inMemory(module, symbol.address));
    }
    return new Value(machine, types.read(die), { kind: 'unavailable', reason: 'inlined everywhere' });
  }

  /** Entries of a name, those of the frame's own unit first. */
  *#entries(name: string, kinds: readonly NameKind[]): Generator<{ module: SymbolModule; die: Die }> {
    const unit = this.#frame.code?.die.unit;
    for (const module of this.#modules) {
      const { info, names } = module.file;
      const found = [...names.find(name, kinds)];
      const own = (offset: number) =>
        unit !== undefined && unit.info === info && offset >= unit.offset && offset < unit.end ? 0 : 1;
      // Types are in the index once. One of the same name in this unit counts more than that.
      if (unit?.info === info && kinds !== VALUE_KINDS && !found.some((e) => own(e.offset) === 0)) {
        for (const die of ownTypes(unit.root, name, kinds)) yield { module, die };
      }
      found.sort((a, b) => own(a.offset) - own(b.offset));
      for (const { offset } of found) {
        const die = info.guard(() => info.die(offset), null);
        if (die) yield { module, die };
      }
    }
  }
}

const KIND_TAGS: Partial<Record<NameKind, readonly number[]>> = {
  struct: [DW_TAG.structure_type, DW_TAG.class_type],
  union: [DW_TAG.union_type],
  enum: [DW_TAG.enumeration_type],
  typedef: [DW_TAG.typedef],
  base: [DW_TAG.base_type],
};

/** Types of a unit by name, as far as they are not inside anything. */
function* ownTypes(root: Die, name: string, kinds: readonly NameKind[]): Generator<Die> {
  const tags = new Set(kinds.flatMap((kind) => KIND_TAGS[kind] ?? []));
  for (const die of root.children())
    if (tags.has(die.tag) && die.name === name && !die.flag(DW_AT.declaration)) yield die;
}

/** Whether a path is the wanted one, or ends with it behind a slash. */
export function matchesPath(path: string, wanted: string): boolean {
  return path === wanted || path.endsWith(`/${wanted.replace(/^\.?\//, '')}`);
}
