/** Machine code as text, forward and backward from an address. */
import { disassemble } from '../debugger/instructions.ts';
import { inMemory, type MemoryReader, type SourceLocation, type Symbols } from '../symbols/index.ts';
import { hex } from './arguments.ts';

export interface Instruction {
  readonly address: bigint;
  /** Two or four; none where nothing can be read. */
  readonly bytes: Uint8Array;
  readonly text: string;
  /** Whether there is an instruction at all. */
  readonly valid: boolean;
}

/** A function farther away than this is not decoded from its beginning. */
const FUNCTION_BYTES_MAX = 2 ** 18;
/** Without symbols, so far back decoding begins. */
const BLIND_BYTES = 64;

/** So many instructions from an address on. */
export function codeFrom(memory: MemoryReader, address: bigint, count: number): Instruction[] {
  const found: Instruction[] = [];
  for (let at = address; found.length < count; ) {
    const one = instructionAt(memory, at);
    found.push(one);
    at = BigInt.asUintN(64, at + BigInt(one.bytes.length || 2));
  }
  return found;
}

/** The instructions of a range; null if the last one does not end with it. */
function codeBetween(memory: MemoryReader, from: bigint, to: bigint): Instruction[] | null {
  const found: Instruction[] = [];
  let at = from;
  while (at < to) {
    const one = instructionAt(memory, at);
    found.push(one);
    at += BigInt(one.bytes.length || 2);
  }
  return at === to ? found : null;
}

/**
 * So many instructions that end before an address. Instructions have no boundaries of their own: a function is decoded from its beginning; where there is none, of
 * the starts up to some bytes away the farthest is taken whose decoding comes out just at the address and has nothing invalid.
 */
export function codeBefore(
  symbols: Symbols,
  memory: MemoryReader,
  address: bigint,
  count: number,
  space?: string,
): Instruction[] {
  let found: Instruction[] = [];
  let at = address;
  while (found.length < count) {
    const piece = at === 0n ? [nothing(BigInt.asUintN(64, at - 2n))] : pieceBefore(symbols, memory, at, space);
    found = [...piece, ...found];
    at = BigInt.asUintN(64, piece[0].address);
  }
  return found.slice(-count);
}

function pieceBefore(symbols: Symbols, memory: MemoryReader, at: bigint, space: string | undefined): Instruction[] {
  const known = symbols.symbolAt(at - 1n, space);
  const start = known && inMemory(known.module, known.symbol.address);
  if (start !== null && start < at && at - start <= FUNCTION_BYTES_MAX) {
    const piece = codeBetween(memory, start, at);
    if (piece) return piece;
  }
  for (let distance = BLIND_BYTES; distance >= 2; distance -= 2) {
    if (BigInt(distance) > at) continue;
    const piece = codeBetween(memory, at - BigInt(distance), at);
    if (piece?.every(({ valid }) => valid)) return piece;
  }
  const bytes = memory.read(at - 2n, 2);
  if (!bytes) return [nothing(at - 2n)];
  return [
    { address: at - 2n, bytes, text: `.short 0x${Buffer.from([bytes[1], bytes[0]]).toString('hex')}`, valid: false },
  ];
}

const nothing = (address: bigint): Instruction => {
  return { address, bytes: new Uint8Array(0), text: '(cannot be read)', valid: false };
};

function instructionAt(memory: MemoryReader, address: bigint): Instruction {
  const low = memory.read(address, 2);
  if (!low) return nothing(address);
  const long = (low[0] & 3) === 3;
  const high = long ? memory.read(BigInt.asUintN(64, address + 2n), 2) : null;
  if (long && !high) return { address, bytes: low, text: '(cut off)', valid: false };
  const bytes = high ? Uint8Array.of(...low, ...high) : low;
  const bits = bytes.reduceRight((value, byte) => ((value << 8) | byte) >>> 0, 0);
  const { text } = disassemble(bits, address);
  return { address, bytes, text: text.replace('\t', ' '), valid: !text.startsWith('.') };
}

/** `name+0x12` of an address; null where there is no symbol. */
export function symbolText(symbols: Symbols, address: bigint, space?: string): string | null {
  const found = symbols.symbolAt(address, space);
  if (!found) return null;
  const offset = address - inMemory(found.module, found.symbol.address);
  return offset === 0n ? found.symbol.name : `${found.symbol.name}+${hex(offset)}`;
}

/** A function's code as a text to read, where its source file is not at hand. */
export interface Listing {
  readonly name: string;
  readonly text: string;
  /** By line, from 0: the address of the instruction there; null for a line that names a source line. */
  readonly addresses: readonly (bigint | null)[];
}

/** More code than this is no function that a person reads. */
const LISTING_BYTES_MAX = 2 ** 16;

/** The code of a symbol, with the source lines that it comes from between. */
export function listingAt(symbols: Symbols, memory: MemoryReader, address: bigint): Listing | null {
  const found = symbols.symbolAt(address);
  if (!found) return null;
  const { module, symbol } = found;
  const start = inMemory(module, symbol.address);
  const end = start + BigInt(Math.min(Math.max(symbol.size, Number(address - start) + 64), LISTING_BYTES_MAX));
  const lines: string[] = [];
  const addresses: (bigint | null)[] = [];
  let shown = '';
  for (let at = start; at < end; ) {
    const one = instructionAt(memory, at);
    const location = symbols.symbolise(at)?.location ?? null;
    const where = placeText(location);
    if (where !== shown && where !== '') {
      lines.push(`; ${where}`);
      addresses.push(null);
    }
    shown = where;
    const bytes = Buffer.from(one.bytes).reverse().toString('hex');
    lines.push(`${hex(at)}  ${`+${hex(at - start)}`.padEnd(8)} ${bytes.padEnd(8)}  ${one.text}`);
    addresses.push(at);
    at += BigInt(one.bytes.length || 2);
  }
  return { name: symbol.name, text: `${lines.join('\n')}\n`, addresses };
}

export function placeText(location: SourceLocation | null): string {
  return location && location.line > 0 ? `${location.path}:${location.line}` : '';
}
