/** The pages that a checkpoint changes, as chunk data: which page now has which content. */
import { ByteReader, ByteWriter, TraceDamage } from './bytes.ts';

/** In place of a content: the page does not exist (any more). */
export const ABSENT = -1;
/** In place of a content: all zero, and stored nowhere. */
export const ZERO = 0;
/** Contents are numbered from here in the order of the file. */
export const FIRST_CONTENT = 1;

export const HASH_BYTES = 16;

/** Columns of equal length, pages ascending. */
export interface PageChanges {
  pages: Uint32Array;
  /** `ABSENT`, `ZERO` or the number of a content. */
  refs: Int32Array;
  /** 16 bytes a change; zeros for an absent page. */
  hashes: Uint8Array;
}

export function encodeChanges(changes: PageChanges, firstContent: number): Uint8Array {
  const pages = new ByteWriter(4096);
  const refs = new ByteWriter(4096);
  let previous = 0;
  let next = firstContent;
  for (let i = 0; i < changes.pages.length; i++) {
    pages.varint(changes.pages[i] - previous);
    previous = changes.pages[i];
    const ref = changes.refs[i];
    if (ref === next) {
      refs.varint(2);
      next++;
    } else refs.varint(ref === ABSENT ? 0 : ref === ZERO ? 1 : 3 + ref);
  }
  const out = new ByteWriter(pages.length + refs.length + changes.hashes.length + 64);
  out.varint(1 * 8);
  out.varint(firstContent);
  out.field(2, pages.view());
  out.field(3, refs.view());
  out.field(4, changes.hashes);
  return out.view();
}

/** Decodes into `into` from row `at` on. `contents`: how many contents the file has stored up to here. */
export function decodeChanges(bytes: Uint8Array, count: number, contents: number, into: PageChanges, at: number) {
  const reader = new ByteReader(bytes);
  if (reader.varint() !== 8) throw new TraceDamage('the number of the first content expected');
  let next = reader.varint();
  const pages = new ByteReader(reader.field(2));
  const refs = new ByteReader(reader.field(3));
  const hashes = reader.field(4);
  if (hashes.length !== count * HASH_BYTES) throw new TraceDamage(`${count} page hashes expected`);
  let page = 0;
  for (let i = 0; i < count; i++) {
    page += pages.varint();
    if (page > 0xffffffff) throw new TraceDamage(`page number ${page} is out of range`);
    const code = refs.varint();
    const ref = code === 2 ? next++ : code < 2 ? code - 1 : code - 3;
    if (ref >= FIRST_CONTENT + contents) throw new TraceDamage(`page ${page} has content ${ref}, which is not stored`);
    into.pages[at + i] = page;
    into.refs[at + i] = ref;
  }
  if (!pages.done || !refs.done) throw new TraceDamage(`more than ${count} changes found`);
  into.hashes.set(hashes, at * HASH_BYTES);
}
