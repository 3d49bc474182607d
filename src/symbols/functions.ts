/** Functions of a unit: where each one's code is, and what is inlined at an address of it. */
import { DW_AT, DW_TAG } from './dwarf/constants.ts';
import { Die } from './dwarf/die.ts';
import type { Unit } from './dwarf/unit.ts';
import { type AddressRange, RangeMap } from './range-map.ts';

/** Which functions of a unit contain an address, as indices of their entries. */
export function functionMap(unit: Unit): RangeMap {
  const { tree, abbrevs } = unit;
  const entries: (AddressRange & { value: number })[] = [];
  for (let i = 0; i < tree.count; i++) {
    if (abbrevs.tags[tree.abbrevs[i]] !== DW_TAG.subprogram) continue;
    const ranges = unit.info.guard(() => new Die(unit, i).ranges(), []);
    for (const { low, high } of ranges) entries.push({ low, high, value: i });
  }
  return RangeMap.of(entries);
}

const inside = (ranges: readonly AddressRange[], address: bigint) =>
  ranges.some((r) => address >= r.low && address < r.high);

/**
 * The function's entry, then the blocks and inlined functions around an address, from the outside in. Each of them encloses the one
 * that comes next.
 */
export function blocksAt(fn: Die, address: bigint): Die[] {
  const path = [fn];
  for (let here = fn; ; ) {
    const next = childAt(here, address);
    if (!next) return path;
    path.push(next);
    here = next;
  }
}

function childAt(die: Die, address: bigint): Die | null {
  const { unit } = die;
  const { tree, abbrevs } = unit;
  const end = tree.ends[die.index];
  for (let i = die.index + 1; i < end; i = tree.ends[i]) {
    const tag = abbrevs.tags[tree.abbrevs[i]];
    if (tag !== DW_TAG.lexical_block && tag !== DW_TAG.inlined_subroutine) continue;
    const child = new Die(unit, i);
    const ranges = child.ranges();
    if (inside(ranges, address)) return child;
    // Where ranges in pieces cannot be said, a block is also where one inside it is.
    if ((ranges.length === 0 || unit.version === 2) && childAt(child, address)) return child;
  }
  return null;
}

const SCOPES = new Set<number>([
  DW_TAG.namespace,
  DW_TAG.structure_type,
  DW_TAG.class_type,
  DW_TAG.union_type,
  DW_TAG.enumeration_type,
]);

/** Name of an entry with the namespaces and classes around it; undefined if it has none. */
export function qualifiedName(die: Die): string | undefined {
  const named = die.withAttribute(DW_AT.name);
  if (!named) return undefined;
  const name = named.name!;
  if (named.unit.language === 'c') return name;
  // What a class declares is qualified by the class, wherever it is defined.
  let declared = named;
  for (const link of die.chain()) declared = link;
  const parts = [name];
  for (let scope = declared.parent; scope; scope = scope.parent) {
    if (!SCOPES.has(scope.tag)) break;
    parts.unshift(scope.name ?? (scope.tag === DW_TAG.namespace ? '(anonymous namespace)' : '{unnamed}'));
  }
  return parts.join('::');
}

/** Name of the function whose code an entry of tag `subprogram` or `inlined_subroutine` describes. */
export function functionName(die: Die): string {
  const name = qualifiedName(die);
  if (name !== undefined) return name;
  const linkage = die.withAttribute(DW_AT.linkage_name)?.string(DW_AT.linkage_name);
  return linkage ?? '(unnamed function)';
}

/** Where a function begins: its entry, which need not be its lowest address. */
export function entryAddress(fn: Die): bigint | undefined {
  const entry = fn.value(DW_AT.entry_pc);
  if (entry?.kind === 'address' || entry?.kind === 'addressIndex') return fn.address(DW_AT.entry_pc);
  const ranges = fn.ranges();
  const base = fn.address(DW_AT.low_pc) ?? ranges[0]?.low;
  // Since version 5 it may be an offset from the lowest address.
  return entry?.kind === 'constant' && base !== undefined ? base + entry.value : base;
}
