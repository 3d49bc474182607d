/**
 * What a compiler knows at a point of straight code: which registers hold the same unknown value plus a constant, and what memory around such
 * a value has been looked up in the TLB already. So one look-up serves all accesses of a function's prologue, or to the fields of a structure.
 */
import type { Local } from '../codegen/expr.ts';
import type { Placed } from './blocks.ts';
import type { Decoded } from './decoder.ts';

/** Bytes that one look-up covers at most: the more, the more often a page ends in between, and then the interpreter must help. */
const SPAN_MAX = 256;

/** A register's value: an unknown one, by number, plus a constant. */
interface Value {
  readonly root: number;
  readonly offset: number;
}

/** Memory from `low` to `high`, as offsets from an unknown value, that one look-up is for. */
export interface Span {
  readonly root: number;
  readonly low: number;
  readonly high: number;
  readonly loads: boolean;
  readonly stores: boolean;
}

export interface LookedUp extends Span {
  /** Host address of `low`. */
  readonly host: Local;
}

/** A load or store of `size` bytes at an immediate offset from a register. */
export interface Access {
  readonly size: 1 | 2 | 4 | 8;
  readonly store: boolean;
}

const ACCESSES = new Map<string, Access>(
  [
    ...[
      'lb',
      'lbu',
      'lh',
      'lhu',
      'lw',
      'lwu',
      'ld',
      'flw',
      'fld',
      'lr.w',
      'lr.d',
      'sb',
      'sh',
      'sw',
      'sd',
      'fsw',
      'fsd',
    ],
  ].map((name) => {
    const letter = name.replace(/^f|u$/g, '').slice(-1) as 'b' | 'h' | 'w' | 'd';
    return [name, { size: ({ b: 1, h: 2, w: 4, d: 8 } as const)[letter], store: /^f?s/.test(name) }];
  }),
);

export function accessOf({ instruction }: Decoded): Access | undefined {
  return ACCESSES.get(instruction.name);
}

/** When the result of an instruction is the sign-extension of 32 bits, as W instructions leave it (unprivileged specification, 4.2). */
const [NARROW, IF_OPERANDS, IF_IMMEDIATE] = [1, 2, 3];
const NARROW_RESULTS = new Map<string, number>([
  ...words('lb lh lw lbu lhu lui slt sltu slti sltiu addiw slliw srliw sraiw addw subw sllw srlw sraw', NARROW),
  ...words('mulw divw divuw remw remuw clz ctz cpop clzw ctzw cpopw sext.b sext.h zext.h rolw rorw roriw', NARROW),
  ...words('bext bexti fmv.x.w fcvt.w.s fcvt.wu.s fcvt.w.d fcvt.wu.d feq.s flt.s fle.s feq.d flt.d fle.d', NARROW),
  ...words('fclass.s fclass.d lr.w sc.w sc.d amoswap.w amoadd.w amoxor.w amoand.w amoor.w', NARROW),
  ...words('amomin.w amomax.w amominu.w amomaxu.w', NARROW),
  ...words('and or xor andn orn xnor min max minu maxu ori xori srai', IF_OPERANDS),
  ...words('andi addi add', IF_IMMEDIATE),
]);

function words(names: string, when: number): [string, number][] {
  return names.split(' ').map((name) => [name, when]);
}

/** Whether an instruction leaves a narrow value, where the registers of a mask (bit 0 is x0) hold narrow ones before. */
function leavesNarrow({ instruction: { name, uses }, rs1, rs2, imm }: Decoded, mask: number): boolean {
  const holds = (register: number) => ((mask >>> register) & 1) === 1;
  switch (NARROW_RESULTS.get(name)) {
    case NARROW:
      return true;
    case IF_OPERANDS:
      return holds(rs1) && (!uses.rs2 || holds(rs2));
    case IF_IMMEDIATE:
      if (name === 'andi') return imm >= 0 || holds(rs1);
      // A constant, or a copy.
      if (name === 'addi') return rs1 === 0 || (imm === 0 && holds(rs1));
      return (rs1 === 0 && holds(rs2)) || (rs2 === 0 && holds(rs1));
    default:
      return false;
  }
}

/** The mask of registers that hold narrow values after an instruction. */
export function narrowAfter(decoded: Decoded, mask: number): number {
  const { instruction, rd } = decoded;
  if (!instruction.uses.rd || rd === 0) return mask;
  return leavesNarrow(decoded, mask) ? mask | (1 << rd) : mask & ~(1 << rd);
}

/** x0. */
export const NARROW_AT_ENTRY = 1;

export class Known {
  /** Steps taken since the budget was last charged. */
  steps = 0;
  /** The floating-point unit is on; its state is marked as changed; its dynamic rounding mode is none of the reserved ones. */
  floatOn = false;
  floatChanged = false;
  modeValid = false;
  /** Registers that hold the sign-extension of 32 bits, as a mask. */
  #narrow: number;
  #roots = 0;
  #values: Map<number, Value>;
  readonly #lookedUp: LookedUp[];

  private constructor(values: Map<number, Value>, lookedUp: LookedUp[], narrow: number) {
    this.#values = values;
    this.#lookedUp = lookedUp;
    this.#narrow = narrow;
  }

  /** Nothing but which registers hold narrow values. */
  static nothing(narrow: number): Known {
    return new Known(new Map(), [], narrow);
  }

  isNarrow(register: number): boolean {
    return ((this.#narrow >>> register) & 1) === 1;
  }

  /** The same knowledge, for one of several ways on. */
  fork(): Known {
    const copy = new Known(new Map(this.#values), [...this.#lookedUp], this.#narrow);
    copy.steps = this.steps;
    copy.floatOn = this.floatOn;
    copy.floatChanged = this.floatChanged;
    copy.modeValid = this.modeValid;
    copy.#roots = this.#roots;
    return copy;
  }

  /** What the instruction changes. */
  pass(decoded: Decoded): void {
    const { instruction, rd, rs1, rs2, imm } = decoded;
    this.#narrow = narrowAfter(decoded, this.#narrow);
    if (!instruction.uses.rd || rd === 0) return;
    const { name } = instruction;
    if (name === 'addi' && rs1 !== 0) {
      const { root, offset } = this.#valueOf(rs1);
      this.#values.set(rd, { root, offset: offset + imm });
    } else if (name === 'add' && (rs1 === 0) !== (rs2 === 0)) {
      this.#values.set(rd, this.#valueOf(rs1 + rs2));
    } else {
      this.#values.set(rd, { root: this.#roots++, offset: 0 });
    }
  }

  /** The look-up that serves an access, and the access's offset in it. */
  find({ rs1, imm }: Decoded, { size, store }: Access): { found: LookedUp; at: number } | null {
    const { root, offset } = this.#valueOf(rs1);
    const at = offset + imm;
    const found = this.#lookedUp.find(
      (span) => span.root === root && at >= span.low && at + size <= span.high && (store ? span.stores : span.loads),
    );
    return found ? { found, at: at - found.low } : null;
  }

  /**
   * The look-up to make for the first of some instructions, such that it serves as many of those that follow as it can; and `below`, how far
   * the first access lies above the span's start.
   */
  plan(instructions: readonly Placed[]): { span: Span; below: number } {
    const ahead = this.fork();
    const [first] = instructions;
    const { root, offset } = this.#valueOf(first.decoded.rs1);
    const start = offset + first.decoded.imm;
    let [low, high, loads, stores] = [start, start, false, false];
    for (const { decoded } of instructions) {
      const access = accessOf(decoded);
      const value = access && ahead.#valueOf(decoded.rs1);
      if (access && value?.root === root) {
        const at = value.offset + decoded.imm;
        const [newLow, newHigh] = [Math.min(low, at), Math.max(high, at + access.size)];
        if (newHigh - newLow <= SPAN_MAX) {
          [low, high] = [newLow, newHigh];
          loads ||= !access.store;
          stores ||= access.store;
        }
      }
      ahead.pass(decoded);
    }
    return { span: { root, low, high, loads, stores }, below: start - low };
  }

  /**
   * What some instructions access around registers of a mask, such as they are before the first of them, where one look-up each is enough: offsets are from the
   * register. They may not come as far.
   */
  ahead(instructions: readonly Placed[], registers: number): { register: number; span: Span }[] {
    const bases = new Map<number, number>();
    for (const { decoded } of instructions) {
      const { rs1 } = decoded;
      if (accessOf(decoded) && rs1 !== 0 && ((registers >>> rs1) & 1) === 1) bases.set(this.#valueOf(rs1).root, rs1);
    }
    const found = new Map<number, Span>();
    const ahead = this.fork();
    for (const { decoded } of instructions) {
      const access = accessOf(decoded);
      const value = access && ahead.#valueOf(decoded.rs1);
      if (access && value && bases.has(value.root)) {
        const { root } = value;
        const at = value.offset + decoded.imm;
        const { low, high, loads, stores } = found.get(root) ?? { low: at, high: at, loads: false, stores: false };
        found.set(root, {
          ...{ root, low: Math.min(low, at), high: Math.max(high, at + access.size) },
          ...{ loads: loads || !access.store, stores: stores || access.store },
        });
      }
      ahead.pass(decoded);
    }
    return [...found.values()]
      .filter(({ low, high }) => high - low <= SPAN_MAX)
      .map((span) => ({ register: bases.get(span.root)!, span }));
  }

  add(lookedUp: LookedUp): void {
    this.#lookedUp.push(lookedUp);
  }

  #valueOf(register: number): Value {
    let value = this.#values.get(register);
    if (!value) {
      value = { root: this.#roots++, offset: 0 };
      this.#values.set(register, value);
    }
    return value;
  }
}
