/** From a frame to its caller: by call frame information, by what a trap saved, by the frame pointer where there is nothing better. */
import {
  type ExpressionContext,
  evaluateLocation,
  evaluateNumber,
  littleEndian,
  Unavailable,
} from './dwarf/expression.ts';
import type { FrameRules, RegisterRule } from './dwarf/frame.ts';
import type { MemoryReader, Registers } from './machine.ts';
import {
  FP,
  isLinuxTrapCode,
  isTrapReturn,
  keptByCalls,
  RA,
  readLinuxTrapFrame,
  registerName,
  SEPC,
  SP,
  savesRegisters,
} from './riscv.ts';
import { inFile, type SymbolModule, type Symbols } from './symbols.ts';

/** The machine as it is where unwinding begins. */
export interface UnwindContext {
  readonly symbols: Symbols;
  readonly memory: MemoryReader;
  /** The address space of the code that runs there. */
  readonly space?: string;
  /** The address space of the user program that a trap frame leads to. */
  readonly userSpace?: string;
}

/** How a frame's registers were found. */
export type UnwindMethod = 'registers' | 'frame information' | 'trap frame' | 'return address' | 'frame pointer';

/** Registers with which a frame goes on once those that it called have returned. */
export class MachineFrame implements Registers {
  readonly context: UnwindContext;
  readonly pc: bigint;
  readonly space: string | undefined;
  readonly method: UnwindMethod;
  /** Whether the frame stands at `pc` itself: it runs, or was interrupted there. Others stand behind a call. */
  readonly exact: boolean;
  readonly module: SymbolModule | null;
  readonly #get: (register: number) => bigint | undefined;
  #rules: FrameRules | null | undefined;
  #cfa: bigint | null | undefined;
  #caller: MachineFrame | null | undefined;

  constructor(
    context: UnwindContext,
    registers: Registers,
    how: { method: UnwindMethod; exact: boolean; space: string | undefined },
  ) {
    this.context = context;
    this.pc = registers.pc;
    this.space = how.space;
    this.method = how.method;
    this.exact = how.exact;
    this.#get = (register) => registers.get(register);
    this.module = context.symbols.moduleAt(this.address, how.space);
  }

  /** The address to look up: of the instruction that runs, or of the call (its last byte, so to say). */
  get address(): bigint {
    return this.exact ? this.pc : BigInt.asUintN(64, this.pc - 1n);
  }

  get(register: number): bigint | undefined {
    return register === 0 ? 0n : this.#get(register);
  }

  /** The register's value, which must be known. */
  need(register: number): bigint {
    const value = this.get(register);
    if (value === undefined) throw new Unavailable(`${registerName(register)} was not saved`);
    return value;
  }

  needMemory(address: bigint, length: number): Uint8Array {
    const at = BigInt.asUintN(64, address);
    const bytes = this.context.memory.read(at, length);
    if (!bytes) throw new Unavailable(`memory at 0x${at.toString(16)} cannot be read`);
    return bytes;
  }

  /** The frame description for this address; null without one. */
  get rules(): FrameRules | null {
    if (this.#rules === undefined) {
      this.#rules = this.module?.file.frameRules(inFile(this.module, this.address)) ?? null;
    }
    return this.#rules;
  }

  /** The canonical frame address: sp as it was before the call. Null where it is not known. */
  get cfa(): bigint | null {
    if (this.#cfa === undefined) this.#cfa = this.#whereAvailable(() => this.#findCfa());
    return this.#cfa;
  }

  #findCfa(): bigint | null {
    const { rules } = this;
    if (!rules) return null;
    const { cfa } = rules;
    if (cfa.kind === 'register') return BigInt.asUintN(64, this.need(cfa.register) + cfa.offset);
    return evaluateNumber(cfa.expression, this.#expressionContext());
  }

  /** The frame that called this one; null at the end of the stack, or where the way is lost. */
  get caller(): MachineFrame | null {
    if (this.#caller === undefined) this.#caller = this.#whereAvailable(() => this.#findCaller());
    return this.#caller;
  }

  #findCaller(): MachineFrame | null {
    if (this.exact && this.#returnsFromTrap()) {
      // All registers are loaded again.
      const get = (register: number) => this.get(register);
      return this.#interrupted({ pc: this.need(SEPC), get });
    }
    if (this.rules) return this.#byFrameInformation(this.rules);
    const symbol = this.context.symbols.symbolAt(this.address, this.space);
    if (symbol && isLinuxTrapCode(symbol.symbol.name)) {
      const { address, size } = symbol.symbol;
      return this.#byTrapFrame(Number(address - inFile(symbol.module, this.pc)) + size);
    }
    return this.exact ? this.#byReturnAddress() : this.#byFramePointer();
  }

  #byFrameInformation(rules: FrameRules): MachineFrame | null {
    const { cfa } = this;
    if (cfa === null) return null;
    const rule = rules.registers.get(rules.returnRegister);
    if (rule?.kind === 'undefined') return null;
    const found = (register: number) => this.#byRule(rules.registers.get(register), register, cfa, rules.signal);
    if (rules.signal && !rule && this.exact) return this.#interruptedEarly();
    const pc = found(rules.returnRegister) ?? 0n;
    if (pc === 0n) return null;
    const get = this.#remembering((register) => {
      if (register === SP && !rules.registers.has(SP)) return cfa;
      return found(register);
    });
    if (rules.signal) return this.#interrupted({ pc, get });
    return this.#next({ pc, get }, { method: 'frame information', exact: false, space: this.space });
  }

  /** What a trap interrupted. Its space is that of a user program if `sstatus` says so, or else if the kernel has nothing there. */
  #interrupted(registers: Registers, user?: boolean): MachineFrame | null {
    const fromUser = user ?? this.context.symbols.moduleAt(registers.pc, this.space) === null;
    const space = fromUser ? (this.context.userSpace ?? this.space) : this.space;
    return this.#next(registers, { method: 'trap frame', exact: true, space });
  }

  /** The registers are not saved yet. Beside those that calls keep, the handler may have put some to its own use. */
  #interruptedEarly(): MachineFrame | null {
    const whole = this.#atSymbol();
    const get = (register: number) => (whole || (register >= 18 && register <= 27) ? this.get(register) : undefined);
    return this.#interrupted({ pc: this.need(SEPC), get });
  }

  #returnsFromTrap(): boolean {
    const code = this.context.memory.read(this.pc, 4);
    return code !== null && isTrapReturn(code);
  }

  #byRule(rule: RegisterRule | undefined, register: number, cfa: bigint, signal: boolean): bigint | undefined {
    if (!rule) return signal || keptByCalls(register) || register === RA ? this.get(register) : undefined;
    switch (rule.kind) {
      case 'undefined':
        return undefined;
      case 'same':
        return this.get(register);
      case 'register':
        return this.get(rule.register);
      case 'offset':
        return this.#word(cfa + rule.offset);
      case 'valueOffset':
        return BigInt.asUintN(64, cfa + rule.offset);
      case 'expression': {
        const place = evaluateLocation(rule.expression, this.#expressionContext(), [cfa]);
        return place.kind === 'memory' ? this.#word(place.address) : undefined;
      }
      case 'valueExpression':
        return evaluateNumber(rule.expression, this.#expressionContext(), [cfa]);
    }
  }

  #word(address: bigint): bigint {
    return littleEndian(this.needMemory(address, 8));
  }

  #expressionContext(): ExpressionContext {
    const nowhere = () => {
      throw new Unavailable('the frame is not known yet');
    };
    return {
      unit: null,
      bias: this.module!.bias,
      register: (number) => this.need(number),
      read: (address, length) => this.needMemory(address, length),
      cfa: nowhere,
      frameBase: nowhere,
      entryValue: nowhere,
    };
  }

  /** Code of Linux that stands between a trap and its handler; so many bytes of it are left, if that is known. */
  #byTrapFrame(left: number): MachineFrame | null {
    if (this.exact) {
      const isWhole = left > 0 && left <= TRAP_CODE_BYTES;
      const code = this.context.memory.read(this.pc, isWhole ? left : TRAP_CODE_BYTES);
      if (code && savesRegisters(code, isWhole)) return this.#interruptedEarly();
    }
    const frame = readLinuxTrapFrame(this.context.memory, this.need(SP));
    if (!frame || frame.pc === 0n) return null;
    // What is not in the trap frame, such as floating-point registers, traps leave alone.
    const get = (register: number) => (register < 32 ? frame.registers.get(register) : this.get(register));
    return this.#interrupted({ pc: frame.pc, get }, frame.user);
  }

  #atSymbol(): boolean {
    const found = this.context.symbols.symbolAt(this.pc, this.space);
    return found !== null && found.symbol.address === inFile(found.module, this.pc);
  }

  /** The innermost function has no description: it is taken for one in assembler that calls nothing, and so keeps ra and sp. */
  #byReturnAddress(): MachineFrame | null {
    const pc = this.need(RA);
    if (pc === 0n || !this.context.symbols.moduleAt(pc - 1n, this.space)) return null;
    const get = (register: number) => this.get(register);
    return this.#next({ pc, get }, { method: 'return address', exact: false, space: this.space });
  }

  /** With frame pointers, ra is at fp - 8 and the caller's fp at fp - 16 (psABI, "Frame Pointer Convention"). */
  #byFramePointer(): MachineFrame | null {
    const fp = this.need(FP);
    const sp = this.get(SP);
    if (fp % 8n !== 0n || (sp !== undefined && fp <= sp)) return null;
    const [callerFp, pc] = [this.#word(fp - 16n), this.#word(fp - 8n)];
    if (pc === 0n || !this.context.symbols.moduleAt(pc - 1n, this.space)) return null;
    const get = (register: number) => {
      if (register === FP) return callerFp;
      if (register === SP) return fp;
      return keptByCalls(register) ? this.get(register) : undefined;
    };
    return this.#next({ pc, get }, { method: 'frame pointer', exact: false, space: this.space });
  }

  /** Asks for each register once, and only when it is wanted. */
  #remembering(get: (register: number) => bigint | undefined): (register: number) => bigint | undefined {
    const known = new Map<number, bigint | undefined>();
    return (register) => {
      if (!known.has(register)) known.set(register, this.#whereAvailable(() => get(register)) ?? undefined);
      return known.get(register);
    };
  }

  #whereAvailable<T>(work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Unavailable)) this.module?.file.info.note(error);
      return null;
    }
  }

  #next(registers: Registers, how: { method: UnwindMethod; exact: boolean; space: string | undefined }) {
    const next = new MachineFrame(this.context, registers, how);
    // A frame that is its own caller is where garbled frames end up.
    const same = next.pc === this.pc && next.get(SP) === this.get(SP) && next.get(FP) === this.get(FP);
    return same ? null : next;
  }
}

/** Code that is looked at to see how far a trap has come. */
const TRAP_CODE_BYTES = 1024;

/** The frame of the code that runs. */
export function innermost(context: UnwindContext, registers: Registers): MachineFrame {
  return new MachineFrame(context, registers, { method: 'registers', exact: true, space: context.space });
}
