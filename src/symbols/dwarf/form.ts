/** Attribute forms: how values are encoded (DWARF 5, 7.5.5 and 7.5.6). */
import type { Cursor, Span } from '../cursor.ts';
import { DW_FORM } from './constants.ts';

/** What the size of some forms depends on. */
export interface FormSizes {
  readonly version: number;
  readonly addressSize: number;
  readonly offsetSize: 4 | 8;
}

/** What an attribute says, before indices and offsets are followed. */
export type FormValue =
  | { readonly kind: 'address'; readonly value: bigint }
  | { readonly kind: 'addressIndex'; readonly index: number }
  /** `value` is as stored; `signed` where the form says so. */
  | { readonly kind: 'constant'; readonly value: bigint; readonly signed: boolean; readonly bytes: number }
  | { readonly kind: 'flag'; readonly value: boolean }
  | ({ readonly kind: 'block' } & Span)
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'stringOffset'; readonly section: '.debug_str' | '.debug_line_str'; readonly offset: number }
  | { readonly kind: 'stringIndex'; readonly index: number }
  /** A reference within the unit, or to anywhere in `.debug_info`. */
  | { readonly kind: 'unitReference'; readonly offset: number }
  | { readonly kind: 'reference'; readonly offset: number }
  | { readonly kind: 'signature'; readonly value: bigint }
  | { readonly kind: 'sectionOffset'; readonly offset: number }
  | { readonly kind: 'listIndex'; readonly index: number }
  /** Refers to another file (DWZ's supplementary one). */
  | { readonly kind: 'elsewhere' };

/** Bytes of a form; -1 if they depend on the data, -2 for a form that is not known. */
export function fixedSize(form: number, sizes: FormSizes): number {
  switch (form) {
    case DW_FORM.flag_present:
    case DW_FORM.implicit_const:
      return 0;
    case DW_FORM.data1:
    case DW_FORM.ref1:
    case DW_FORM.flag:
    case DW_FORM.strx1:
    case DW_FORM.addrx1:
      return 1;
    case DW_FORM.data2:
    case DW_FORM.ref2:
    case DW_FORM.strx2:
    case DW_FORM.addrx2:
      return 2;
    case DW_FORM.strx3:
    case DW_FORM.addrx3:
      return 3;
    case DW_FORM.data4:
    case DW_FORM.ref4:
    case DW_FORM.strx4:
    case DW_FORM.addrx4:
    case DW_FORM.ref_sup4:
      return 4;
    case DW_FORM.data8:
    case DW_FORM.ref8:
    case DW_FORM.ref_sig8:
    case DW_FORM.ref_sup8:
      return 8;
    case DW_FORM.data16:
      return 16;
    case DW_FORM.addr:
      return sizes.addressSize;
    case DW_FORM.strp:
    case DW_FORM.line_strp:
    case DW_FORM.sec_offset:
    case DW_FORM.strp_sup:
    case DW_FORM.GNU_ref_alt:
    case DW_FORM.GNU_strp_alt:
      return sizes.offsetSize;
    case DW_FORM.ref_addr:
      // Up to version 2 it has the size of an address (DWARF 3, 7.5.4).
      return sizes.version <= 2 ? sizes.addressSize : sizes.offsetSize;
    case DW_FORM.block1:
    case DW_FORM.block2:
    case DW_FORM.block4:
    case DW_FORM.block:
    case DW_FORM.exprloc:
    case DW_FORM.string:
    case DW_FORM.udata:
    case DW_FORM.sdata:
    case DW_FORM.ref_udata:
    case DW_FORM.strx:
    case DW_FORM.addrx:
    case DW_FORM.loclistx:
    case DW_FORM.rnglistx:
    case DW_FORM.indirect:
      return -1;
    default:
      return -2;
  }
}

export function skipForm(cursor: Cursor, form: number, sizes: FormSizes): void {
  const size = fixedSize(form, sizes);
  if (size >= 0) {
    cursor.skip(size);
    return;
  }
  switch (form) {
    case DW_FORM.block1:
      cursor.skip(cursor.u8());
      return;
    case DW_FORM.block2:
      cursor.skip(cursor.u16());
      return;
    case DW_FORM.block4:
      cursor.skip(cursor.u32());
      return;
    case DW_FORM.block:
    case DW_FORM.exprloc:
      cursor.skip(cursor.uleb());
      return;
    case DW_FORM.string: {
      const zero = cursor.bytes.indexOf(0, cursor.at);
      if (zero < 0 || zero >= cursor.end) cursor.fail('a string without its end');
      cursor.at = zero + 1;
      return;
    }
    case DW_FORM.indirect:
      skipForm(cursor, indirect(cursor), sizes);
      return;
    default:
      if (size === -2) cursor.fail(`form 0x${form.toString(16)} is not known`);
      // All others are LEB128 numbers.
      while (cursor.u8() & 0x80);
  }
}

/** The form that stands beside the value. One that is indirect again would only serve to nest without end. */
function indirect(cursor: Cursor): number {
  const form = cursor.uleb();
  if (form === DW_FORM.indirect || form === DW_FORM.implicit_const) {
    cursor.fail(`form 0x${form.toString(16)} cannot be indirect`);
  }
  return form;
}

/** Reads a value; `implicit` is a cursor at the abbreviation's constant. */
export function readForm(cursor: Cursor, form: number, sizes: FormSizes, implicit: () => Cursor): FormValue {
  const constant = (value: bigint, bytes: number, signed = false): FormValue => {
    return { kind: 'constant', value, signed, bytes };
  };
  const block = (length: number): FormValue => ({ kind: 'block', ...cursor.span(length) });
  switch (form) {
    case DW_FORM.addr:
      return { kind: 'address', value: cursor.unsigned(sizes.addressSize) };
    case DW_FORM.addrx:
      return { kind: 'addressIndex', index: cursor.uleb() };
    case DW_FORM.addrx1:
      return { kind: 'addressIndex', index: cursor.u8() };
    case DW_FORM.addrx2:
      return { kind: 'addressIndex', index: cursor.u16() };
    case DW_FORM.addrx3:
      return { kind: 'addressIndex', index: cursor.u24() };
    case DW_FORM.addrx4:
      return { kind: 'addressIndex', index: cursor.u32() };
    case DW_FORM.data1:
      return constant(BigInt(cursor.u8()), 1);
    case DW_FORM.data2:
      return constant(BigInt(cursor.u16()), 2);
    case DW_FORM.data4:
      return constant(BigInt(cursor.u32()), 4);
    case DW_FORM.data8:
      return constant(cursor.u64(), 8);
    case DW_FORM.udata:
      return constant(cursor.ulebBig(), 0);
    case DW_FORM.sdata:
      return constant(cursor.slebBig(), 0, true);
    case DW_FORM.implicit_const:
      return constant(implicit().slebBig(), 0, true);
    case DW_FORM.flag:
      return { kind: 'flag', value: cursor.u8() !== 0 };
    case DW_FORM.flag_present:
      return { kind: 'flag', value: true };
    case DW_FORM.block1:
      return block(cursor.u8());
    case DW_FORM.block2:
      return block(cursor.u16());
    case DW_FORM.block4:
      return block(cursor.u32());
    case DW_FORM.block:
      return block(cursor.uleb());
    case DW_FORM.exprloc:
      return block(cursor.uleb());
    case DW_FORM.data16:
      return block(16);
    case DW_FORM.string:
      return { kind: 'string', text: cursor.string() };
    case DW_FORM.strp:
      return { kind: 'stringOffset', section: '.debug_str', offset: cursor.offsetOf(sizes.offsetSize) };
    case DW_FORM.line_strp:
      return { kind: 'stringOffset', section: '.debug_line_str', offset: cursor.offsetOf(sizes.offsetSize) };
    case DW_FORM.strx:
      return { kind: 'stringIndex', index: cursor.uleb() };
    case DW_FORM.strx1:
      return { kind: 'stringIndex', index: cursor.u8() };
    case DW_FORM.strx2:
      return { kind: 'stringIndex', index: cursor.u16() };
    case DW_FORM.strx3:
      return { kind: 'stringIndex', index: cursor.u24() };
    case DW_FORM.strx4:
      return { kind: 'stringIndex', index: cursor.u32() };
    case DW_FORM.ref1:
      return { kind: 'unitReference', offset: cursor.u8() };
    case DW_FORM.ref2:
      return { kind: 'unitReference', offset: cursor.u16() };
    case DW_FORM.ref4:
      return { kind: 'unitReference', offset: cursor.u32() };
    case DW_FORM.ref8:
      return { kind: 'unitReference', offset: cursor.u64Number() };
    case DW_FORM.ref_udata:
      return { kind: 'unitReference', offset: cursor.uleb() };
    case DW_FORM.ref_addr:
      return { kind: 'reference', offset: Number(cursor.unsigned(fixedSize(form, sizes))) };
    case DW_FORM.ref_sig8:
      return { kind: 'signature', value: cursor.u64() };
    case DW_FORM.sec_offset:
      return { kind: 'sectionOffset', offset: cursor.offsetOf(sizes.offsetSize) };
    case DW_FORM.loclistx:
    case DW_FORM.rnglistx:
      return { kind: 'listIndex', index: cursor.uleb() };
    case DW_FORM.indirect:
      return readForm(cursor, indirect(cursor), sizes, implicit);
    default:
      // What is left has its value in a supplementary file, or is unknown.
      skipForm(cursor, form, sizes);
      return { kind: 'elsewhere' };
  }
}
