/** Writer of flattened device trees (Devicetree Specification 0.4, chapter 5, format version 17). */
import { assert } from '../../base/assert.ts';

const MAGIC = 0xd00dfeed;
const VERSION = 17;
const LAST_COMPATIBLE_VERSION = 16;
const HEADER_BYTES = 40;
/** Structure block tokens (5.4.1). */
const TOKEN = { BEGIN_NODE: 1, END_NODE: 2, PROP: 3, END: 9 } as const;

/** A string, several strings, 32-bit cells, bytes as they are, or true for a property without a value. */
export type FdtValue = string | readonly string[] | readonly number[] | Uint8Array | true;

export class FdtNode {
  readonly name: string;
  readonly properties: [name: string, value: FdtValue][] = [];
  readonly children: FdtNode[] = [];

  /** `name` has its unit address, as in `memory@80000000`; the root's is empty. */
  constructor(name: string) {
    this.name = name;
  }

  /** Adds a property, and gives back the node. */
  prop(name: string, value: FdtValue): this {
    assert(!this.properties.some(([other]) => other === name), `${this.name} has one property ${name}`);
    this.properties.push([name, value]);
    return this;
  }

  /** Adds a child, and gives the child back. */
  child(name: string): FdtNode {
    assert(!this.children.some((other) => other.name === name), `${this.name || '/'} has one child ${name}`);
    const node = new FdtNode(name);
    this.children.push(node);
    return node;
  }
}

/** A 64-bit number in two cells, the high one first. */
export function cells64(value: number): [high: number, low: number] {
  return [Math.floor(value / 2 ** 32), value % 2 ** 32];
}

/** The tree as a blob (5.1): header, memory reservations, structure, strings. */
export function encodeFdt(root: FdtNode): Uint8Array {
  const structure = new BigEndianBytes();
  const strings = new Strings();
  encodeNode(root, structure, strings);
  structure.u32(TOKEN.END);

  // No memory is reserved: the list is its terminator alone (5.3).
  const reservationsAt = HEADER_BYTES;
  const structureAt = reservationsAt + 16;
  const stringsAt = structureAt + structure.length;
  const blob = new BigEndianBytes();
  for (const word of [
    MAGIC,
    stringsAt + strings.bytes.length,
    structureAt,
    stringsAt,
    reservationsAt,
    VERSION,
    LAST_COMPATIBLE_VERSION,
    0, // Boot CPU.
    strings.bytes.length,
    structure.length,
  ]) {
    blob.u32(word);
  }
  for (let i = 0; i < 4; i++) blob.u32(0);
  blob.bytes(structure.finish());
  blob.bytes(strings.bytes.finish());
  return blob.finish();
}

function encodeNode(node: FdtNode, out: BigEndianBytes, strings: Strings): void {
  out.u32(TOKEN.BEGIN_NODE);
  out.string(node.name);
  out.align();
  for (const [name, value] of node.properties) {
    const bytes = encodeValue(value);
    out.u32(TOKEN.PROP);
    out.u32(bytes.length);
    out.u32(strings.offset(name));
    out.bytes(bytes);
    out.align();
  }
  for (const child of node.children) encodeNode(child, out, strings);
  out.u32(TOKEN.END_NODE);
}

function encodeValue(value: FdtValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  const out = new BigEndianBytes();
  for (const item of typeof value === 'string' ? [value] : value) {
    if (typeof item === 'string') out.string(item);
    else out.u32(item);
  }
  return out.finish();
}

/** The strings block (5.5): each property name once. */
class Strings {
  readonly bytes = new BigEndianBytes();
  readonly #offsets = new Map<string, number>();

  offset(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.bytes.length;
    this.#offsets.set(name, offset);
    this.bytes.string(name);
    return offset;
  }
}

const encoder = new TextEncoder();

class BigEndianBytes {
  #bytes = new Uint8Array(1024);
  length = 0;

  u32(value: number): void {
    this.bytes(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
  }
  string(text: string): void {
    this.bytes(encoder.encode(text));
    this.bytes(Uint8Array.of(0));
  }
  bytes(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.#bytes.length) {
      const grown = new Uint8Array(2 * (this.length + bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }
  /** Tokens are aligned to 4 bytes (5.4). */
  align(): void {
    this.bytes(new Uint8Array(-this.length & 3));
  }
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }
}
