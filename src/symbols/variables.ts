/** Variables of a frame, and of a file: what they are called, of what type they are, and where (DWARF 5, chapters 3 and 4). */
import type { Span } from './cursor.ts';
import { DW_AT, DW_TAG } from './dwarf/constants.ts';
import type { Die } from './dwarf/die.ts';
import {
  type ExpressionContext,
  evaluateLocation,
  evaluateNumber,
  type Place,
  singleRegister,
  toBytes,
  Unavailable,
} from './dwarf/expression.ts';
import { expressionAt } from './dwarf/locations.ts';
import type { Frame } from './frames.ts';
import { entryAddress } from './functions.ts';
import type { SymbolFile } from './symbol-file.ts';
import { inFile, type SymbolModule } from './symbols.ts';
import type { MachineFrame } from './unwind.ts';
import { type Storage, Value } from './value.ts';

export interface Variable {
  readonly name: string;
  readonly kind: 'parameter' | 'local' | 'static';
  readonly die: Die;
  readonly value: Value;
}

/** Variables of one block, with those of the blocks inside it left to them. */
export interface Scope {
  readonly kind: 'function' | 'block' | 'file';
  readonly variables: readonly Variable[];
}

/** Variables of a frame's function: of the innermost block first, of the function last. */
export function scopesOf(frame: Frame): Scope[] {
  const { code, machine } = frame;
  if (!code || !machine.module) return [];
  const { module } = machine;
  return module.file.info.guard(() => {
    const scopes: Scope[] = [];
    for (const block of [...code.blocks].reverse()) {
      scopes.push({ kind: 'block', variables: variablesOf(block, machine, module) });
    }
    scopes.push({ kind: 'function', variables: variablesOf(code.die, machine, module) });
    return scopes;
  }, []);
}

/** Variables of the file that a frame's function is in, those of other files not among them. */
export function fileScope(frame: Frame): Scope {
  const { code, machine } = frame;
  if (!code || !machine.module) return { kind: 'file', variables: [] };
  const { module } = machine;
  const variables = module.file.info.guard(() => {
    const found: Variable[] = [];
    for (const die of code.die.unit.root.children()) {
      if (die.tag !== DW_TAG.variable) continue;
      if (!die.has(DW_AT.location) && !die.has(DW_AT.const_value)) continue;
      const variable = readVariable(die, machine, module);
      if (variable) found.push(variable);
    }
    return found;
  }, []);
  return { kind: 'file', variables };
}

function variablesOf(block: Die, machine: MachineFrame, module: SymbolModule): Variable[] {
  const variables: Variable[] = [];
  const origins = new Set<string>();
  const key = (die: Die) => `${die.unit.index} ${die.index}`;
  const add = (die: Die) => {
    if (die.tag !== DW_TAG.variable && die.tag !== DW_TAG.formal_parameter) return;
    for (const link of die.chain()) origins.add(key(link));
    const variable = module.file.info.guard(() => readVariable(die, machine, module), null);
    if (variable) variables.push(variable);
  };
  for (const die of block.children()) add(die);
  // What was optimised out of this copy of a function is left in the description of the function only.
  const origin = block.reference(DW_AT.abstract_origin);
  if (origin) for (const die of origin.children()) if (!origins.has(key(die))) add(die);
  return variables;
}

function readVariable(die: Die, machine: MachineFrame, module: SymbolModule): Variable | null {
  const name = die.withAttribute(DW_AT.name)?.name;
  if (name === undefined) return null;
  // An `extern` declaration within a function is only a name.
  if (die.flag(DW_AT.declaration)) return null;
  const kind = die.tag === DW_TAG.formal_parameter ? 'parameter' : isStatic(die) ? 'static' : 'local';
  return { name, kind, die, value: variableValue(die, machine, module) };
}

/** Whether a variable has an address of its own, whichever frames there are. */
function isStatic(die: Die): boolean {
  const value = die.value(DW_AT.location);
  // DW_OP_addr, DW_OP_addrx.
  return value?.kind === 'block' && (value.bytes[0] === 0x03 || value.bytes[0] === 0xa1);
}

/** The value of a variable's entry in a frame. */
export function variableValue(die: Die, machine: MachineFrame, module: SymbolModule): Value {
  const type = module.file.types.typeOf(die);
  const constant = die.withAttribute(DW_AT.const_value)?.value(DW_AT.const_value);
  const location = die.value(DW_AT.location) ?? die.withAttribute(DW_AT.location)?.value(DW_AT.location);
  if (location) {
    try {
      const expression = expressionAt(die.unit, location, inFile(module, machine.address));
      if (expression) {
        const context = new FrameContext(die, machine, module);
        return new Value(machine, type, storageOf(evaluateLocation(expression, context), context));
      }
    } catch (error) {
      if (!(error instanceof Unavailable)) module.file.info.note(error);
      return new Value(machine, type, { kind: 'unavailable', reason: (error as Error).message });
    }
  } else if (constant) {
    if (constant.kind === 'constant') return Value.ofBytes(machine, type, toBytes(constant.value, type.size ?? 8));
    if (constant.kind === 'block') return Value.ofBytes(machine, type, constant.bytes);
    if (constant.kind === 'string') return Value.ofBytes(machine, type, new TextEncoder().encode(`${constant.text}\0`));
  }
  return new Value(machine, type, { kind: 'unavailable', reason: 'optimized out' });
}

function storageOf(place: Place, context: FrameContext): Storage {
  switch (place.kind) {
    case 'memory':
      return { kind: 'memory', address: place.address };
    case 'register':
      return { kind: 'register', register: place.register, offset: 0 };
    case 'implicit':
      return { kind: 'bytes', bytes: place.bytes };
    case 'implicitPointer': {
      const { die, offset } = place;
      const target = () => variableValue(context.module.file.info.die(die), context.machine, context.module);
      return { kind: 'pointer', target, offset: Number(offset) };
    }
    case 'optimizedOut':
      return { kind: 'unavailable', reason: 'optimized out' };
    case 'pieces': {
      const pieces = place.pieces.map(({ place: part, bits, bitOffset }) => {
        return { storage: storageOf(part, context), bits, bitOffset };
      });
      return { kind: 'pieces', pieces, offset: 0 };
    }
  }
}

/** Answers what an expression asks, from a frame. */
class FrameContext implements ExpressionContext {
  readonly machine: MachineFrame;
  readonly module: SymbolModule;
  readonly #die: Die;

  constructor(die: Die, machine: MachineFrame, module: SymbolModule) {
    this.#die = die;
    this.machine = machine;
    this.module = module;
  }

  get unit() {
    return this.#die.unit;
  }
  get bias(): bigint {
    return this.module.bias;
  }
  register(number: number): bigint {
    return this.machine.need(number);
  }
  read(address: bigint, length: number): Uint8Array {
    return this.machine.needMemory(address, length);
  }
  cfa(): bigint {
    const { cfa } = this.machine;
    if (cfa === null) throw new Unavailable('the frame is not known');
    return cfa;
  }

  frameBase(): bigint {
    const fn = enclosingFunction(this.#die);
    const value = fn?.value(DW_AT.frame_base);
    const expression = value && expressionAt(this.unit, value, inFile(this.module, this.machine.address));
    if (!fn || !expression) throw new Unavailable('the function does not say where its frame is');
    // A frame base that is itself relative to the frame base is a circle.
    const context = new FrameContext(fn, this.machine, this.module);
    context.frameBase = () => {
      throw new Unavailable('the frame base refers to itself');
    };
    const place = evaluateLocation(expression, context);
    if (place.kind === 'memory') return place.address;
    if (place.kind === 'register') return this.machine.need(place.register);
    throw new Unavailable('the function does not say where its frame is');
  }

  /** DW_OP_entry_value: a register's value at the call, which the caller's call site may tell (DWARF 5, 2.5.1.7 and 3.4). */
  entryValue(expression: Span): bigint {
    const { machine, module } = this;
    const register = singleRegister(expression);
    if (register === null) throw new Unavailable('optimized out');
    const own = enclosingFunction(this.#die) ?? module.file.functionAt(inFile(module, machine.address));
    if (machine.exact && own && entryAddress(own) === inFile(module, machine.pc)) return machine.need(register);
    const { caller } = machine;
    if (!caller || caller.exact || !caller.module) throw new Unavailable('optimized out');
    const site = callSiteAt(
      caller.module.file,
      inFile(caller.module, caller.pc),
      inFile(caller.module, caller.address),
    );
    if (!site || !callsFunction(site, own, caller, machine)) throw new Unavailable('optimized out');
    for (const parameter of site.children()) {
      if (parameter.tag !== DW_TAG.call_site_parameter && parameter.tag !== DW_TAG.GNU_call_site_parameter) continue;
      const where = parameter.value(DW_AT.location);
      if (where?.kind !== 'block' || singleRegister(where) !== register) continue;
      const value = parameter.value(DW_AT.call_value) ?? parameter.value(DW_AT.GNU_call_site_value);
      if (value?.kind === 'block') return evaluateNumber(value, new FrameContext(site, caller, caller.module));
    }
    throw new Unavailable('optimized out');
  }
}

function enclosingFunction(die: Die): Die | null {
  for (let here: Die | null = die; here; here = here.parent) if (here.tag === DW_TAG.subprogram) return here;
  return null;
}

/** The description of the call that returns to an address. */
function callSiteAt(file: SymbolFile, returnAddress: bigint, callAddress: bigint): Die | null {
  const fn = file.functionAt(callAddress);
  if (!fn) return null;
  const { tree, abbrevs } = fn.unit;
  for (let i = fn.index + 1; i < tree.ends[fn.index]; i++) {
    const tag = abbrevs.tags[tree.abbrevs[i]];
    if (tag !== DW_TAG.call_site && tag !== DW_TAG.GNU_call_site) continue;
    const site = fn.unit.dieAtIndex(i);
    const at = tag === DW_TAG.call_site ? DW_AT.call_return_pc : DW_AT.low_pc;
    if (site.address(at) === returnAddress) return site;
  }
  return null;
}

/**
 * Whether a call leads to a function, and not to one that then jumped there (a tail call), whose arguments would be others. Of a call through a pointer,
 * only the pointer can tell.
 */
function callsFunction(site: Die, fn: Die | null, caller: MachineFrame, callee: MachineFrame): boolean {
  if (!fn) return false;
  const target = site.reference(DW_AT.call_origin) ?? site.reference(DW_AT.abstract_origin);
  if (target) {
    const named = (die: Die) => die.withAttribute(DW_AT.name)?.name;
    return caller.module === callee.module && named(target) === named(fn);
  }
  const pointer = site.value(DW_AT.call_target) ?? site.value(DW_AT.GNU_call_site_target);
  if (pointer?.kind !== 'block') return false;
  const address = evaluateNumber(pointer, new FrameContext(site, caller, caller.module!));
  return entryAddress(fn) === inFile(callee.module!, address);
}
