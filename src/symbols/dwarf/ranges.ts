/** `.debug_rnglists` and `.debug_ranges`: code that is not contiguous (DWARF 5, 2.17.3 and 7.25; DWARF 4, 2.17.3). */
import type { AddressRange } from '../range-map.ts';
import type { FormValue } from './form.ts';
import type { Unit } from './unit.ts';

const DW_RLE = {
  end_of_list: 0,
  base_addressx: 1,
  startx_endx: 2,
  startx_length: 3,
  offset_pair: 4,
  base_address: 5,
  start_end: 6,
  start_length: 7,
} as const;

/** The ranges of a list that an attribute names. Empty ones are left out. */
export function readRanges(unit: Unit, value: FormValue): AddressRange[] {
  const ranges: AddressRange[] = [];
  const add = (low: bigint, high: bigint) => {
    if (low < high) ranges.push({ low, high });
  };
  if (unit.version >= 5) {
    const section = unit.info.section('.debug_rnglists');
    const cursor = section.cursor(listOffset(unit, value, '.debug_rnglists', unit.bases.ranges));
    let base = unit.lowPc;
    for (;;) {
      const kind = cursor.u8();
      switch (kind) {
        case DW_RLE.end_of_list:
          return ranges;
        case DW_RLE.base_addressx:
          base = unit.addressAt(cursor.uleb());
          break;
        case DW_RLE.startx_endx:
          add(unit.addressAt(cursor.uleb()), unit.addressAt(cursor.uleb()));
          break;
        case DW_RLE.startx_length: {
          const low = unit.addressAt(cursor.uleb());
          add(low, low + cursor.ulebBig());
          break;
        }
        case DW_RLE.offset_pair:
          add(base + cursor.ulebBig(), base + cursor.ulebBig());
          break;
        case DW_RLE.base_address:
          base = cursor.unsigned(unit.addressSize);
          break;
        case DW_RLE.start_end:
          add(cursor.unsigned(unit.addressSize), cursor.unsigned(unit.addressSize));
          break;
        case DW_RLE.start_length: {
          const low = cursor.unsigned(unit.addressSize);
          add(low, low + cursor.ulebBig());
          break;
        }
        default:
          cursor.fail(`range list entry of kind ${kind}, which is not known`, cursor.at - 1);
      }
    }
  }
  const section = unit.info.section('.debug_ranges');
  const cursor = section.cursor(listOffset(unit, value, '.debug_ranges', 0));
  const highest = unit.addressSize === 8 ? 0xffffffffffffffffn : 0xffffffffn;
  let base = unit.lowPc;
  for (;;) {
    const low = cursor.unsigned(unit.addressSize);
    const high = cursor.unsigned(unit.addressSize);
    if (low === 0n && high === 0n) return ranges;
    if (low === highest) base = high;
    else add(base + low, base + high);
  }
}

/** Where a list begins: given as an offset, or as a number in the unit's table of offsets at `base`. */
export function listOffset(unit: Unit, value: FormValue, section: string, base: number): number {
  if (value.kind === 'sectionOffset') return value.offset;
  if (value.kind === 'constant') return Number(value.value);
  if (value.kind !== 'listIndex') throw unit.error(0, `a list expected, found a value of kind '${value.kind}'`);
  const cursor = unit.info.section(section).cursor();
  cursor.skip(base + value.index * unit.offsetSize);
  return base + cursor.offsetOf(unit.offsetSize);
}
