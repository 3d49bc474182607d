/** `.debug_frame` and `.eh_frame`: how to find a caller's registers (DWARF 5, 6.4; `.eh_frame` as the Linux Standard Base has it). */
import { Cursor, type Span } from '../cursor.ts';
import type { ElfSection } from '../elf.ts';
import { RangeMap } from '../range-map.ts';
import type { DebugInfo } from './info.ts';

/** How to find a register of the caller. */
export type RegisterRule =
  | { readonly kind: 'undefined' }
  | { readonly kind: 'same' }
  /** Saved at, or equal to, the CFA plus an offset. */
  | { readonly kind: 'offset'; readonly offset: bigint }
  | { readonly kind: 'valueOffset'; readonly offset: bigint }
  | { readonly kind: 'register'; readonly register: number }
  /** Saved at, or equal to, what an expression gives, which begins with the CFA on its stack. */
  | { readonly kind: 'expression'; readonly expression: Span }
  | { readonly kind: 'valueExpression'; readonly expression: Span };

/** How to find the CFA: the address that a frame is known by. */
export type CfaRule =
  | { readonly kind: 'register'; readonly register: number; readonly offset: bigint }
  | { readonly kind: 'expression'; readonly expression: Span };

/** The rules for one address. */
export interface FrameRules {
  readonly cfa: CfaRule;
  readonly registers: ReadonlyMap<number, RegisterRule>;
  readonly returnRegister: number;
  /** The frame was made by a trap: the caller stands at the very address, not behind a call. */
  readonly signal: boolean;
  readonly section: string;
}

interface Cie {
  readonly version: number;
  readonly addressSize: number;
  readonly codeAlignment: bigint;
  readonly dataAlignment: bigint;
  readonly returnRegister: number;
  readonly signal: boolean;
  /** DW_EH_PE_* of addresses; 0 in `.debug_frame`. */
  readonly encoding: number;
  readonly augmented: boolean;
  readonly from: number;
  readonly to: number;
}

const DW_CFA = {
  advance_loc: 0x40,
  offset: 0x80,
  restore: 0xc0,
  nop: 0x00,
  set_loc: 0x01,
  advance_loc1: 0x02,
  advance_loc2: 0x03,
  advance_loc4: 0x04,
  offset_extended: 0x05,
  restore_extended: 0x06,
  undefined: 0x07,
  same_value: 0x08,
  register: 0x09,
  remember_state: 0x0a,
  restore_state: 0x0b,
  def_cfa: 0x0c,
  def_cfa_register: 0x0d,
  def_cfa_offset: 0x0e,
  def_cfa_expression: 0x0f,
  expression: 0x10,
  offset_extended_sf: 0x11,
  def_cfa_sf: 0x12,
  def_cfa_offset_sf: 0x13,
  val_offset: 0x14,
  val_offset_sf: 0x15,
  val_expression: 0x16,
  GNU_args_size: 0x2e,
} as const;

const DW_EH_PE = {
  absptr: 0,
  uleb128: 1,
  udata2: 2,
  udata4: 3,
  udata8: 4,
  sleb128: 9,
  sdata2: 10,
  sdata4: 11,
  sdata8: 12,
} as const;
const DW_EH_PE_pcrel = 0x10;
const DW_EH_PE_omit = 0xff;

/** States that a description may remember at a time; compilers nest one or two. */
const REMEMBERED_MAX = 64;

/** The frame descriptions of one section. */
export class FrameTable {
  readonly #info: DebugInfo;
  readonly #section: ElfSection;
  readonly #eh: boolean;
  readonly #cies = new Map<number, Cie | null>();
  /** Where in the section the description for an address begins. */
  readonly #map: RangeMap;

  constructor(info: DebugInfo, section: ElfSection) {
    this.#info = info;
    this.#section = section;
    this.#eh = section.name === '.eh_frame';
    this.#map = this.#index();
  }

  /** The rules at an address; null where the section says nothing. */
  rulesAt(address: bigint): FrameRules | null {
    for (const offset of this.#map.find(address)) {
      const rules = this.#info.guard(() => this.#rules(offset, address), null);
      if (rules) return rules;
    }
    return null;
  }

  /** Address ranges with a description. */
  get ranges(): RangeMap {
    return this.#map;
  }

  #index(): RangeMap {
    const cursor = this.#section.cursor();
    const [lows, highs, offsets]: [bigint[], bigint[], number[]] = [[], [], []];
    let sorted = true;
    this.#info.guard(() => {
      while (cursor.remaining >= 4) {
        const start = cursor.at;
        const { length, offsetSize } = cursor.initialLength();
        // In `.eh_frame`, a length of zero ends the table.
        if (length === 0) {
          if (this.#eh) break;
          continue;
        }
        const end = cursor.at + length;
        this.#info.guard(() => {
          const entry = new Cursor(cursor.file, cursor.section, cursor.bytes, 0, cursor.at);
          entry.end = end;
          const header = this.#header(entry, start, offsetSize);
          if (!header || header.low >= header.high) return;
          if (lows.length > 0 && header.low < lows[lows.length - 1]) sorted = false;
          lows.push(header.low);
          highs.push(header.high);
          offsets.push(start);
        }, undefined);
        cursor.at = end;
      }
    }, undefined);
    if (sorted) return new RangeMap(BigUint64Array.from(lows), BigUint64Array.from(highs), Uint32Array.from(offsets));
    return RangeMap.of(lows.map((low, i) => ({ low, high: highs[i], value: offsets[i] })));
  }

  /** Reads the beginning of a description, up to its instructions; null for a CIE. */
  #header(cursor: Cursor, start: number, offsetSize: 4 | 8): { cie: Cie; low: bigint; high: bigint } | null {
    const idAt = cursor.at;
    const id = cursor.unsigned(offsetSize);
    if (id === (this.#eh ? 0n : offsetSize === 4 ? 0xffffffffn : 0xffffffffffffffffn)) return null;
    const cieAt = this.#eh ? idAt - Number(id) : Number(id);
    const cie = this.#cie(cieAt);
    if (!cie) throw this.#section.error(start, `no usable CIE at offset 0x${cieAt.toString(16)}`);
    const low = this.#pointer(cursor, cie.encoding, cie.addressSize);
    // The length has the format of the address, but is never relative to anything.
    const length = this.#pointer(cursor, cie.encoding & 0x0f, cie.addressSize);
    if (cie.augmented) cursor.skip(cursor.uleb());
    return { cie, low, high: BigInt.asUintN(64, low + length) };
  }

  #cie(offset: number): Cie | null {
    let cie = this.#cies.get(offset);
    if (cie === undefined) {
      this.#cies.set(offset, null);
      cie = this.#info.guard(() => this.#readCie(offset), null);
      this.#cies.set(offset, cie);
    }
    return cie;
  }

  #readCie(offset: number): Cie {
    const cursor = this.#section.cursor(offset);
    const { length, offsetSize } = cursor.initialLength();
    cursor.end = cursor.at + length;
    cursor.skip(offsetSize);
    const version = cursor.u8();
    if (version !== 1 && version !== 3 && version !== 4) cursor.fail(`CIE of version ${version} is not supported`);
    const augmentation = cursor.string();
    let addressSize = 8;
    if (version >= 4) {
      addressSize = cursor.u8();
      if (cursor.u8() !== 0) cursor.fail('addresses with segments are not supported');
    }
    const codeAlignment = cursor.ulebBig();
    const dataAlignment = cursor.slebBig();
    const returnRegister = version === 1 ? cursor.u8() : cursor.uleb();
    let signal = false;
    let encoding: number = DW_EH_PE.absptr;
    const augmented = augmentation.startsWith('z');
    if (augmented) {
      const next = cursor.uleb() + cursor.at;
      for (const letter of augmentation.slice(1)) {
        if (letter === 'S') signal = true;
        else if (letter === 'R') encoding = cursor.u8();
        else if (letter === 'L') cursor.u8();
        else if (letter === 'P') this.#pointer(cursor, cursor.u8(), addressSize);
        else if (letter !== 'B') break;
      }
      if (cursor.at > next || next > cursor.end) cursor.fail('the augmentation has another length than it says');
      cursor.at = next;
    } else if (augmentation === 'S') {
      signal = true;
    } else if (augmentation !== '') {
      cursor.fail(`augmentation '${augmentation}' is not known`);
    }
    const common = { version, addressSize, codeAlignment, dataAlignment, returnRegister, signal, encoding, augmented };
    return { ...common, from: cursor.at, to: cursor.end };
  }

  #pointer(cursor: Cursor, encoding: number, addressSize: number): bigint {
    if (encoding === DW_EH_PE_omit) return 0n;
    const at = cursor.at;
    let value: bigint;
    switch (encoding & 0x0f) {
      case DW_EH_PE.absptr:
        value = cursor.unsigned(addressSize);
        break;
      case DW_EH_PE.uleb128:
        value = cursor.ulebBig();
        break;
      case DW_EH_PE.udata2:
        value = BigInt(cursor.u16());
        break;
      case DW_EH_PE.udata4:
        value = BigInt(cursor.u32());
        break;
      case DW_EH_PE.udata8:
      case DW_EH_PE.sdata8:
        value = cursor.u64();
        break;
      case DW_EH_PE.sleb128:
        value = cursor.slebBig();
        break;
      case DW_EH_PE.sdata2:
        value = BigInt(cursor.i16());
        break;
      case DW_EH_PE.sdata4:
        value = BigInt(cursor.i32());
        break;
      default:
        return cursor.fail(`pointer encoding 0x${encoding.toString(16)} is not known`, at);
    }
    const relative = encoding & 0x70;
    if (relative === DW_EH_PE_pcrel) value += this.#section.address + BigInt(at);
    else if (relative !== 0) cursor.fail(`pointer encoding 0x${encoding.toString(16)} is not supported`, at);
    return BigInt.asUintN(64, value);
  }

  #rules(offset: number, address: bigint): FrameRules {
    const cursor = this.#section.cursor(offset);
    const { length, offsetSize } = cursor.initialLength();
    cursor.end = cursor.at + length;
    const header = this.#header(cursor, offset, offsetSize);
    if (!header) throw this.#section.error(offset, 'a frame description expected, found a CIE');
    const { cie, low } = header;
    const first = this.#section.cursor(cie.from);
    first.end = cie.to;
    const program = new FrameProgram(cie, low, address, (c) => this.#pointer(c, cie.encoding, cie.addressSize));
    program.run(first);
    program.keepInitial();
    program.run(cursor);
    if (!program.cfa) throw this.#section.error(offset, 'a frame description without a CFA');
    const { cfa, registers } = program;
    const { returnRegister, signal } = cie;
    return { cfa, registers, returnRegister, signal, section: this.#section.name };
  }
}

/** Executes call frame instructions (6.4.2) up to an address. */
class FrameProgram {
  cfa: CfaRule | null = null;
  registers = new Map<number, RegisterRule>();
  #initial = new Map<number, RegisterRule>();
  readonly #remembered: { cfa: CfaRule | null; registers: Map<number, RegisterRule> }[] = [];
  readonly #cie: Cie;
  readonly #wanted: bigint;
  #location: bigint;
  readonly #readPointer: (cursor: Cursor) => bigint;

  constructor(cie: Cie, low: bigint, wanted: bigint, readPointer: (cursor: Cursor) => bigint) {
    this.#cie = cie;
    this.#location = low;
    this.#wanted = wanted;
    this.#readPointer = readPointer;
  }

  keepInitial(): void {
    this.#initial = new Map(this.registers);
  }

  run(cursor: Cursor): void {
    while (!cursor.done) {
      const at = cursor.at;
      const opcode = cursor.u8();
      const low = opcode & 0x3f;
      switch (opcode & 0xc0) {
        case DW_CFA.advance_loc:
          if (this.#advance(BigInt(low))) return;
          break;
        case DW_CFA.offset:
          this.registers.set(low, { kind: 'offset', offset: cursor.ulebBig() * this.#cie.dataAlignment });
          break;
        case DW_CFA.restore:
          this.#restore(low);
          break;
        default:
          if (this.#other(opcode, cursor, at)) return;
      }
    }
  }

  /** Whether the row for the wanted address is complete. */
  #advance(factored: bigint): boolean {
    const next = this.#location + factored * this.#cie.codeAlignment;
    if (next > this.#wanted) return true;
    this.#location = next;
    return false;
  }

  #restore(register: number): void {
    const rule = this.#initial.get(register);
    if (rule) this.registers.set(register, rule);
    else this.registers.delete(register);
  }

  #other(opcode: number, cursor: Cursor, at: number): boolean {
    const { dataAlignment } = this.#cie;
    const { registers } = this;
    switch (opcode) {
      case DW_CFA.nop:
        break;
      case DW_CFA.set_loc: {
        const next = this.#readPointer(cursor);
        if (next > this.#wanted) return true;
        this.#location = next;
        break;
      }
      case DW_CFA.advance_loc1:
        return this.#advance(BigInt(cursor.u8()));
      case DW_CFA.advance_loc2:
        return this.#advance(BigInt(cursor.u16()));
      case DW_CFA.advance_loc4:
        return this.#advance(BigInt(cursor.u32()));
      case DW_CFA.offset_extended:
        registers.set(cursor.uleb(), { kind: 'offset', offset: cursor.ulebBig() * dataAlignment });
        break;
      case DW_CFA.offset_extended_sf:
        registers.set(cursor.uleb(), { kind: 'offset', offset: cursor.slebBig() * dataAlignment });
        break;
      case DW_CFA.val_offset:
        registers.set(cursor.uleb(), { kind: 'valueOffset', offset: cursor.ulebBig() * dataAlignment });
        break;
      case DW_CFA.val_offset_sf:
        registers.set(cursor.uleb(), { kind: 'valueOffset', offset: cursor.slebBig() * dataAlignment });
        break;
      case DW_CFA.restore_extended:
        this.#restore(cursor.uleb());
        break;
      case DW_CFA.undefined:
        registers.set(cursor.uleb(), { kind: 'undefined' });
        break;
      case DW_CFA.same_value:
        registers.set(cursor.uleb(), { kind: 'same' });
        break;
      case DW_CFA.register:
        registers.set(cursor.uleb(), { kind: 'register', register: cursor.uleb() });
        break;
      case DW_CFA.expression:
        registers.set(cursor.uleb(), { kind: 'expression', expression: cursor.span(cursor.uleb()) });
        break;
      case DW_CFA.val_expression:
        registers.set(cursor.uleb(), { kind: 'valueExpression', expression: cursor.span(cursor.uleb()) });
        break;
      case DW_CFA.remember_state:
        if (this.#remembered.length === REMEMBERED_MAX) cursor.fail('too many states are remembered', at);
        this.#remembered.push({ cfa: this.cfa, registers: new Map(registers) });
        break;
      case DW_CFA.restore_state: {
        const state = this.#remembered.pop();
        if (!state) return cursor.fail('a state is restored that was not remembered', at);
        this.cfa = state.cfa;
        this.registers = state.registers;
        break;
      }
      case DW_CFA.def_cfa:
        this.cfa = { kind: 'register', register: cursor.uleb(), offset: cursor.ulebBig() };
        break;
      case DW_CFA.def_cfa_sf:
        this.cfa = { kind: 'register', register: cursor.uleb(), offset: cursor.slebBig() * dataAlignment };
        break;
      case DW_CFA.def_cfa_register:
        // GNU's assembler for RISC-V begins with this, and means an offset of 0.
        if (!this.cfa) this.cfa = { kind: 'register', register: cursor.uleb(), offset: 0n };
        else this.cfa = { ...this.#registerCfa(cursor, at), register: cursor.uleb() };
        break;
      case DW_CFA.def_cfa_offset:
        this.cfa = { ...this.#registerCfa(cursor, at), offset: cursor.ulebBig() };
        break;
      case DW_CFA.def_cfa_offset_sf:
        this.cfa = { ...this.#registerCfa(cursor, at), offset: cursor.slebBig() * dataAlignment };
        break;
      case DW_CFA.def_cfa_expression:
        this.cfa = { kind: 'expression', expression: cursor.span(cursor.uleb()) };
        break;
      case DW_CFA.GNU_args_size:
        cursor.uleb();
        break;
      default:
        cursor.fail(`call frame instruction 0x${opcode.toString(16)} is not known`, at);
    }
    return false;
  }

  #registerCfa(cursor: Cursor, at: number): CfaRule & { kind: 'register' } {
    if (this.cfa?.kind === 'register') return this.cfa;
    return cursor.fail('the CFA is changed that was not defined by a register', at);
  }
}
