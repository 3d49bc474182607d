/** `.debug_line`: which source line each instruction belongs to (DWARF 5, 6.2; earlier versions alike). */
import { Cursor } from '../cursor.ts';
import { DW_AT, DW_FORM } from './constants.ts';
import { type FormSizes, readForm, skipForm } from './form.ts';
import type { Unit } from './unit.ts';

const DW_LNS = {
  copy: 1,
  advance_pc: 2,
  advance_line: 3,
  set_file: 4,
  set_column: 5,
  negate_stmt: 6,
  set_basic_block: 7,
  const_add_pc: 8,
  fixed_advance_pc: 9,
  set_prologue_end: 10,
  set_epilogue_begin: 11,
  set_isa: 12,
} as const;
const DW_LNE = { end_sequence: 1, set_address: 2, define_file: 3, set_discriminator: 4 } as const;
const DW_LNCT = { path: 1, directory_index: 2 } as const;

export const ROW_STATEMENT = 1;
export const ROW_PROLOGUE_END = 2;

/** Rows for one run of machine code, sorted by address. Row `i` is in force from `low + deltas[i]` up to that of the next. */
export interface LineSequence {
  readonly low: bigint;
  readonly high: bigint;
  readonly deltas: Float64Array;
  /** Index in the table's `files`. */
  readonly files: Uint32Array;
  /** From 1; 0 for code that belongs to no line. */
  readonly lines: Uint32Array;
  /** From 1; 0 for the left edge, or where it is not known. */
  readonly columns: Uint32Array;
  /** ROW_*. */
  readonly flags: Uint8Array;
}

export interface LineTable {
  /** Paths, joined with their folders and with dots taken out. Relative ones are relative to where the compiler ran. */
  readonly files: readonly string[];
  /** The path of a file by the number that attributes of entries give. */
  file(number: number): string | undefined;
  readonly sequences: readonly LineSequence[];
}

interface Header {
  readonly cursor: Cursor;
  readonly version: number;
  readonly addressSize: number;
  readonly minLength: number;
  readonly defaultStatement: boolean;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeLengths: readonly number[];
  readonly files: string[];
  /** The number of the first file: 0 since version 5, 1 before. */
  readonly firstFile: number;
  readonly folders: readonly string[];
}

const NO_TABLE: LineTable = { files: [], file: () => undefined, sequences: [] };

/** The line table of a unit. One without is empty. */
export function readLines(unit: Unit): LineTable {
  const header = readHeader(unit);
  if (!header) return NO_TABLE;
  const sequences = runProgram(header);
  return tableOf(header, sequences);
}

/** The source files that a unit's line table names, without running its program. */
export function readSourceFiles(unit: Unit): LineTable {
  const header = readHeader(unit);
  return header ? tableOf(header, []) : NO_TABLE;
}

function tableOf({ files, firstFile }: Header, sequences: LineSequence[]): LineTable {
  return { files, file: (number) => files[number - firstFile], sequences };
}

function readHeader(unit: Unit): Header | null {
  const offset = unit.root.sectionOffset(DW_AT.stmt_list);
  if (offset === undefined) return null;
  const section = unit.info.section('.debug_line');
  const lead = section.slice(offset, Math.min(12, Math.max(0, section.bytes - offset)));
  const leadView = new DataView(lead.buffer, lead.byteOffset, lead.byteLength);
  if (lead.length < 12) throw section.error(offset, 'a line table expected');
  const wide = leadView.getUint32(0, true) === 0xffffffff;
  const total = wide ? 12 + Number(leadView.getBigUint64(4, true)) : 4 + leadView.getUint32(0, true);
  const bytes = section.slice(offset, total);
  const cursor = new Cursor(unit.info.name, section.name, bytes, offset);
  const { offsetSize } = cursor.initialLength();
  const version = cursor.u16();
  if (version < 2 || version > 5) cursor.fail(`line table of version ${version}; versions 2 to 5 are supported`);
  let { addressSize } = unit;
  if (version >= 5) {
    addressSize = cursor.u8();
    if (cursor.u8() !== 0) cursor.fail('addresses with segments are not supported');
  }
  const headerLength = cursor.offsetOf(offsetSize);
  const programAt = cursor.at + headerLength;
  if (programAt > bytes.length) cursor.fail(`a header of ${headerLength} bytes reaches past the table`);
  const minLength = cursor.u8();
  // Operations per instruction: more than one only on VLIW machines.
  if (version >= 4) cursor.u8();
  const defaultStatement = cursor.u8() !== 0;
  const [lineBase, lineRange, opcodeBase] = [cursor.i8(), cursor.u8(), cursor.u8()];
  const opcodeLengths = [0];
  for (let i = 1; i < opcodeBase; i++) opcodeLengths.push(cursor.u8());
  const compDir = unit.root.string(DW_AT.comp_dir) ?? '';
  const sizes: FormSizes = { version: 5, addressSize, offsetSize };
  const folders: string[] = [];
  const files: string[] = [];
  if (version >= 5) {
    // The first folder is the one that the compiler ran in, which the others are relative to.
    for (const { path } of readEntries(unit, cursor, sizes)) folders.push(joinPath(folders[0] ?? '', path));
    for (const { path, folder } of readEntries(unit, cursor, sizes)) files.push(joinPath(folders[folder] ?? '', path));
  } else {
    folders.push(compDir);
    for (let path = cursor.string(); path !== ''; path = cursor.string()) folders.push(joinPath(compDir, path));
    for (let path = cursor.string(); path !== ''; path = cursor.string()) {
      files.push(joinPath(folders[cursor.uleb()] ?? '', path));
      cursor.uleb();
      cursor.uleb();
    }
  }
  cursor.at = programAt;
  const firstFile = version >= 5 ? 0 : 1;
  const shape = { version, addressSize, minLength, defaultStatement, lineBase, lineRange, opcodeLengths };
  return { cursor, ...shape, files, firstFile, folders };
}

/** The tables of folders and files of version 5, which say themselves what they contain (6.2.4.1). */
function* readEntries(unit: Unit, cursor: Cursor, sizes: FormSizes): Generator<{ path: string; folder: number }> {
  const formats: [content: number, form: number][] = [];
  for (let n = cursor.u8(); n > 0; n--) formats.push([cursor.uleb(), cursor.uleb()]);
  const count = cursor.uleb();
  // Each entry takes a byte at least, so that a garbled count ends where the data does.
  if (count > cursor.remaining) cursor.fail(`${count} names, ${cursor.remaining} bytes are left`);
  for (let i = 0; i < count; i++) {
    let path = '';
    let folder = 0;
    for (const [content, form] of formats) {
      if (content === DW_LNCT.path) {
        const value = readForm(cursor, form, sizes, () => cursor);
        if (value.kind === 'string') path = value.text;
        else if (value.kind === 'stringOffset') path = unit.info.string(value.section, value.offset);
        else if (value.kind === 'stringIndex') path = unit.stringAt(value.index);
        else cursor.fail(`a path in a value of kind '${value.kind}'`);
      } else if (content === DW_LNCT.directory_index && form !== DW_FORM.implicit_const) {
        const value = readForm(cursor, form, sizes, () => cursor);
        if (value.kind === 'constant') folder = Number(value.value);
      } else {
        skipForm(cursor, form, sizes);
      }
    }
    yield { path, folder };
  }
}

/** Joins a folder and a path, and takes out `.` and `..` where that is possible. */
export function joinPath(folder: string, path: string): string {
  const whole = path.startsWith('/') || folder === '' ? path : `${folder}/${path}`;
  if (!/\/\/|(^|\/)\.\.?(\/|$)/.test(whole)) return whole;
  const parts: string[] = [];
  for (const part of whole.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts[parts.length - 1] !== '..') parts.pop();
    else parts.push(part);
  }
  return (whole.startsWith('/') ? '/' : '') + parts.join('/');
}

/** Collects the rows of the sequence that the program is in. */
class Rows {
  deltas: number[] = [];
  files: number[] = [];
  lines: number[] = [];
  columns: number[] = [];
  flags: number[] = [];
}

function runProgram(header: Header): LineSequence[] {
  const { cursor, minLength, lineBase, lineRange, opcodeLengths, firstFile } = header;
  const opcodeBase = opcodeLengths.length;
  const sequences: LineSequence[] = [];
  const statement = header.defaultStatement ? ROW_STATEMENT : 0;
  // The state machine's registers (6.2.2). The address is that of the sequence and what was added since, which is exact.
  let base = 0n;
  let delta = 0;
  let file = 1;
  let line = 1;
  let column = 0;
  let flags = statement;
  let rows = new Rows();
  const advanceBy = (operations: number) => {
    delta += operations * minLength;
  };
  const emit = () => {
    rows.deltas.push(delta);
    rows.files.push(Math.max(0, file - firstFile));
    rows.lines.push(line);
    rows.columns.push(column);
    rows.flags.push(flags);
    flags &= ~ROW_PROLOGUE_END;
  };
  const special = (opcode: number) => {
    if (lineRange === 0) cursor.fail('a line range of 0');
    const adjusted = opcode - opcodeBase;
    advanceBy(Math.floor(adjusted / lineRange));
    line = (line + lineBase + (adjusted % lineRange)) >>> 0;
  };
  while (!cursor.done) {
    const at = cursor.at;
    const opcode = cursor.u8();
    if (opcode >= opcodeBase) {
      special(opcode);
      emit();
      continue;
    }
    switch (opcode) {
      case 0: {
        const length = cursor.uleb();
        const next = cursor.at + length;
        if (next > cursor.end) cursor.fail(`an instruction of ${length} bytes reaches past the table`, at);
        const extended = length === 0 ? 0 : cursor.u8();
        if (extended === DW_LNE.end_sequence) {
          const sequence = finishSequence(base, rows, delta);
          if (sequence) sequences.push(sequence);
          rows = new Rows();
          [base, delta, file, line, column, flags] = [0n, 0, 1, 1, 0, statement];
        } else if (extended === DW_LNE.set_address) {
          const address = cursor.unsigned(length - 1);
          if (rows.deltas.length === 0) [base, delta] = [address, 0];
          else delta = Number(BigInt.asIntN(64, address - base));
        } else if (extended === DW_LNE.define_file) {
          const path = cursor.string();
          header.files.push(joinPath(header.folders[cursor.uleb()] ?? '', path));
        }
        cursor.at = next;
        break;
      }
      case DW_LNS.copy:
        emit();
        break;
      case DW_LNS.advance_pc:
        advanceBy(cursor.uleb());
        break;
      case DW_LNS.advance_line:
        line = (line + cursor.sleb()) >>> 0;
        break;
      case DW_LNS.set_file:
        file = cursor.uleb();
        break;
      case DW_LNS.set_column:
        column = cursor.uleb();
        break;
      case DW_LNS.negate_stmt:
        flags ^= ROW_STATEMENT;
        break;
      case DW_LNS.const_add_pc: {
        const before = line;
        special(255);
        line = before;
        break;
      }
      case DW_LNS.fixed_advance_pc:
        delta += cursor.u16();
        break;
      case DW_LNS.set_prologue_end:
        flags |= ROW_PROLOGUE_END;
        break;
      case DW_LNS.set_basic_block:
      case DW_LNS.set_epilogue_begin:
        break;
      default:
        // DW_LNS_set_isa, and what is not known: LEB128 operands, as many as the header says.
        for (let n = opcodeLengths[opcode]; n > 0; n--) cursor.uleb();
    }
  }
  return sequences;
}

function finishSequence(base: bigint, rows: Rows, end: number): LineSequence | null {
  const count = rows.deltas.length;
  if (count === 0) return null;
  // Rows go up in address, unless the producer was careless.
  let order: number[] | null = null;
  for (let i = 1; i < count; i++) {
    if (rows.deltas[i] >= rows.deltas[i - 1]) continue;
    order = rows.deltas.map((_, n) => n).sort((a, b) => rows.deltas[a] - rows.deltas[b] || a - b);
    break;
  }
  const pick = (values: number[]) => (order ? order.map((i) => values[i]) : values);
  const deltas = Float64Array.from(pick(rows.deltas));
  const first = deltas[0];
  for (let i = 0; i < count; i++) deltas[i] -= first;
  const low = BigInt.asUintN(64, base + BigInt(Math.trunc(first)));
  const high = BigInt.asUintN(64, base + BigInt(Math.trunc(Math.max(end, first + deltas[count - 1]))));
  if (low >= high) return null;
  return {
    low,
    high,
    deltas,
    files: Uint32Array.from(pick(rows.files)),
    lines: Uint32Array.from(pick(rows.lines)),
    columns: Uint32Array.from(pick(rows.columns)),
    flags: Uint8Array.from(pick(rows.flags)),
  };
}

/** Index of the row that is in force at an address; -1 outside the sequence. */
export function rowAt(sequence: LineSequence, address: bigint): number {
  if (address < sequence.low || address >= sequence.high) return -1;
  const delta = Number(address - sequence.low);
  const { deltas } = sequence;
  let low = 0;
  let high = deltas.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (deltas[middle] <= delta) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Index of the row that a debugger shows for an address: of several at one address rather one where a statement begins, because that is where breakpoints
 * on lines are; and for code that belongs to no line the row before.
 */
export function statementRowAt(sequence: LineSequence, address: bigint): number {
  const { deltas, flags, lines, files } = sequence;
  let last = rowAt(sequence, address);
  while (last > 0 && lines[last] === 0) last--;
  let first = last;
  while (first > 0 && deltas[first - 1] === deltas[last] && lines[first - 1] > 0) first--;
  const continued = (i: number) => first > 0 && lines[i] === lines[first - 1] && files[i] === files[first - 1];
  for (let i = last; i >= Math.max(first, 0); i--) if (flags[i] & ROW_STATEMENT && !continued(i)) return i;
  return last;
}
