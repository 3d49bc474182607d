/** `.debug_loclists` and `.debug_loc`: variables that move about (DWARF 5, 2.6.2 and 7.29; DWARF 4, 2.6.2). */
import type { Span } from '../cursor.ts';
import type { FormValue } from './form.ts';
import { listOffset } from './ranges.ts';
import type { Unit } from './unit.ts';

const DW_LLE = {
  end_of_list: 0,
  base_addressx: 1,
  startx_endx: 2,
  startx_length: 3,
  offset_pair: 4,
  default_location: 5,
  base_address: 6,
  start_end: 7,
  start_length: 8,
  GNU_view_pair: 9,
} as const;

/** The expression that an attribute has for an address: null where it has none, and the value was optimised out. */
export function expressionAt(unit: Unit, value: FormValue, address: bigint): Span | null {
  if (value.kind === 'block') return value;
  return unit.version >= 5 ? fromLists(unit, value, address) : fromOldLists(unit, value, address);
}

function fromLists(unit: Unit, value: FormValue, address: bigint): Span | null {
  const cursor = unit.info
    .section('.debug_loclists')
    .cursor(listOffset(unit, value, '.debug_loclists', unit.bases.locations));
  let base = unit.lowPc;
  let otherwise: Span | null = null;
  for (;;) {
    const kind = cursor.u8();
    let low = 0n;
    let high = 0n;
    switch (kind) {
      case DW_LLE.end_of_list:
        return otherwise;
      case DW_LLE.base_addressx:
        base = unit.addressAt(cursor.uleb());
        continue;
      case DW_LLE.base_address:
        base = cursor.unsigned(unit.addressSize);
        continue;
      case DW_LLE.GNU_view_pair:
        cursor.uleb();
        cursor.uleb();
        continue;
      case DW_LLE.default_location:
        otherwise = cursor.span(cursor.uleb());
        continue;
      case DW_LLE.startx_endx:
        [low, high] = [unit.addressAt(cursor.uleb()), unit.addressAt(cursor.uleb())];
        break;
      case DW_LLE.startx_length:
        low = unit.addressAt(cursor.uleb());
        high = low + cursor.ulebBig();
        break;
      case DW_LLE.offset_pair:
        [low, high] = [base + cursor.ulebBig(), base + cursor.ulebBig()];
        break;
      case DW_LLE.start_end:
        [low, high] = [cursor.unsigned(unit.addressSize), cursor.unsigned(unit.addressSize)];
        break;
      case DW_LLE.start_length:
        low = cursor.unsigned(unit.addressSize);
        high = low + cursor.ulebBig();
        break;
      default:
        cursor.fail(`location list entry of kind ${kind}, which is not known`, cursor.at - 1);
    }
    const expression = cursor.span(cursor.uleb());
    if (address >= low && address < high) return expression;
  }
}

function fromOldLists(unit: Unit, value: FormValue, address: bigint): Span | null {
  const cursor = unit.info.section('.debug_loc').cursor(listOffset(unit, value, '.debug_loc', 0));
  const highest = unit.addressSize === 8 ? 0xffffffffffffffffn : 0xffffffffn;
  let base = unit.lowPc;
  for (;;) {
    const low = cursor.unsigned(unit.addressSize);
    const high = cursor.unsigned(unit.addressSize);
    if (low === 0n && high === 0n) return null;
    if (low === highest) {
      base = high;
      continue;
    }
    const expression = cursor.span(cursor.u16());
    if (address >= base + low && address < base + high) return expression;
  }
}
