/** Values: a type, and where the bytes are. Parts of a value are read only when they are asked for. */
import { toBytes, Unavailable } from './dwarf/expression.ts';
import { registerName } from './riscv.ts';
import {
  type ArrayType,
  type Member,
  type PlainType,
  type PointerType,
  stripped,
  type Type,
  typeName,
} from './types.ts';
import type { MachineFrame } from './unwind.ts';

/** Where bytes are. Offsets are in bytes; what cannot be read is `Unavailable`. */
export type Storage =
  | { readonly kind: 'memory'; readonly address: bigint }
  | { readonly kind: 'register'; readonly register: number; readonly offset: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Parts in several places: each with its bits, and where they begin in its own bytes. */
  | { readonly kind: 'pieces'; readonly pieces: readonly StoragePiece[]; readonly offset: number }
  /** A pointer that was optimised out, to a variable that can still be told. */
  | { readonly kind: 'pointer'; readonly target: () => Value; readonly offset: number }
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface StoragePiece {
  readonly storage: Storage;
  readonly bits: number;
  readonly bitOffset: number;
}

/** What a caller must write to change a value. */
export type Target =
  | { readonly kind: 'memory'; readonly address: bigint; readonly length: number; readonly bits: Member['bits'] }
  | { readonly kind: 'register'; readonly register: number; readonly length: number; readonly bits: Member['bits'] };

const REGISTER_BYTES = 8;
/** Bytes of one value that are read at a time; longer arrays are read by their elements. */
export const VALUE_BYTES_MAX = 16 * 2 ** 20;

export class Value {
  /** The frame with whose memory and registers the value is read. */
  readonly frame: MachineFrame;
  readonly type: Type;
  readonly storage: Storage;
  /** For a bit-field: its bits in the storage. */
  readonly bits: Member['bits'];

  constructor(frame: MachineFrame, type: Type, storage: Storage, bits: Member['bits'] = null) {
    this.frame = frame;
    this.type = type;
    this.storage = storage;
    this.bits = bits;
  }

  static ofBytes(frame: MachineFrame, type: Type, bytes: Uint8Array): Value {
    return new Value(frame, type, { kind: 'bytes', bytes });
  }
  static ofInteger(frame: MachineFrame, type: Type, value: bigint): Value {
    return Value.ofBytes(frame, type, toBytes(value, type.size ?? 8));
  }
  static inMemory(frame: MachineFrame, type: Type, address: bigint): Value {
    return new Value(frame, type, { kind: 'memory', address: BigInt.asUintN(64, address) });
  }

  /** The type without typedefs and qualifiers. */
  get plain(): PlainType {
    return stripped(this.type);
  }

  get size(): number {
    const { size } = this.type;
    if (size === null) throw new Unavailable(`${typeName(this.type)} is not defined in the symbol file`);
    return size;
  }

  /** All bytes. */
  get bytes(): Uint8Array {
    if (this.size > VALUE_BYTES_MAX) throw new Unavailable(`${this.size} bytes are too many to read at once`);
    return readStorage(this.frame, this.storage, 0, this.size);
  }

  /** The bits as a number, without sign. For a bit-field those of the field. */
  get raw(): bigint {
    if (this.bits) {
      const { offset, size } = this.bits;
      const first = Math.floor(offset / 8);
      const bytes = readStorage(this.frame, this.storage, first, Math.ceil((offset + size) / 8) - first);
      return (little(bytes) >> BigInt(offset % 8)) & ((1n << BigInt(size)) - 1n);
    }
    return little(this.bytes);
  }

  /** The address of the value; null for one that is not in memory. */
  get address(): bigint | null {
    return this.storage.kind === 'memory' && !this.bits ? BigInt.asUintN(64, this.storage.address) : null;
  }

  /** Where the value can be written; null where it cannot be. */
  get target(): Target | null {
    const { storage, bits, frame } = this;
    const length = this.size;
    if (storage.kind === 'memory') return { kind: 'memory', address: storage.address, length, bits };
    // What an outer frame had in a register is on the stack by now, or lost.
    if (storage.kind === 'register' && storage.offset === 0 && frame.method === 'registers') {
      return { kind: 'register', register: storage.register, length, bits };
    }
    return null;
  }

  /** A member of a struct or union. */
  member(member: Member): Value {
    if (member.bits) return new Value(this.frame, member.type, this.storage, member.bits);
    return new Value(this.frame, member.type, at(this.storage, member.offset));
  }

  /** An element of an array, from 0; there is no check against its length, as there is none in C. */
  element(index: number): Value {
    const array = this.plain as ArrayType;
    const { element } = array;
    const { size } = element;
    if (size === null) throw new Unavailable(`${typeName(element)} is not defined in the symbol file`);
    return new Value(this.frame, element, at(this.storage, index * size));
  }

  /** What a pointer points to, or what is `index` objects further. */
  deref(index = 0n): Value {
    const pointer = this.plain as PointerType;
    const { target } = pointer;
    const { storage } = this;
    if (storage.kind === 'pointer' && index === 0n) {
      const value = storage.target();
      return new Value(this.frame, target, at(value.storage, storage.offset));
    }
    const size = BigInt(index === 0n ? 0 : (target.size ?? 1));
    return Value.inMemory(this.frame, target, this.raw + index * size);
  }

  /** The same bytes as another type. */
  as(type: Type): Value {
    return new Value(this.frame, type, this.storage, this.bits);
  }
}

function at(storage: Storage, offset: number): Storage {
  switch (storage.kind) {
    case 'memory':
      return { ...storage, address: BigInt.asUintN(64, storage.address + BigInt(offset)) };
    case 'register':
    case 'pieces':
      return { ...storage, offset: storage.offset + offset };
    case 'bytes':
      if (offset < 0 || offset > storage.bytes.length) return { kind: 'unavailable', reason: 'outside the value' };
      return { kind: 'bytes', bytes: storage.bytes.subarray(offset) };
    case 'pointer':
      return { kind: 'unavailable', reason: 'a part of a pointer that was optimized out' };
    case 'unavailable':
      return storage;
  }
}

function readStorage(frame: MachineFrame, storage: Storage, offset: number, length: number): Uint8Array {
  switch (storage.kind) {
    case 'memory':
      return frame.needMemory(storage.address + BigInt(offset), length);
    case 'register': {
      const from = storage.offset + offset;
      // A value that is wider than a register goes on in the next one (psABI, "Integer Calling Convention").
      const count = Math.max(1, Math.ceil((from + length) / REGISTER_BYTES));
      if (count > 4) throw new Unavailable(`${length} bytes are more than ${registerName(storage.register)} has`);
      const bytes = new Uint8Array(count * REGISTER_BYTES);
      for (let i = 0; i < count; i++) {
        bytes.set(toBytes(frame.need(storage.register + i), REGISTER_BYTES), i * REGISTER_BYTES);
      }
      return bytes.subarray(from, from + length);
    }
    case 'bytes': {
      if (offset + length <= storage.bytes.length) return storage.bytes.subarray(offset, offset + length);
      // Compilers leave zeros at the high end of a constant out.
      const padded = new Uint8Array(length);
      padded.set(storage.bytes.subarray(offset));
      return padded;
    }
    case 'pieces':
      return readPieces(frame, storage.pieces, (storage.offset + offset) * 8, length);
    case 'pointer':
      throw new Unavailable('synthetic pointer');
    case 'unavailable':
      throw new Unavailable(storage.reason);
  }
}

/** Puts a value together of the pieces that cover `length` bytes from a bit on. */
function readPieces(frame: MachineFrame, pieces: readonly StoragePiece[], fromBit: number, length: number): Uint8Array {
  let result = 0n;
  let at = 0;
  const end = fromBit + length * 8;
  for (const { storage, bits, bitOffset } of pieces) {
    const [low, high] = [Math.max(at, fromBit), Math.min(at + bits, end)];
    if (low < high) {
      const first = bitOffset + (low - at);
      const byte = Math.floor(first / 8);
      const read = readStorage(frame, storage, byte, Math.ceil((first + high - low) / 8) - byte);
      const value = (little(read) >> BigInt(first % 8)) & ((1n << BigInt(high - low)) - 1n);
      result |= value << BigInt(low - fromBit);
    }
    at += bits;
  }
  if (at < end) throw new Unavailable('optimized out');
  return toBytes(result, length);
}

function little(bytes: Uint8Array): bigint {
  if (bytes.length === 8) return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}
