/** What a request brings, looked at before it is used: a client may send anything. */
import { UserError } from '../base/assert.ts';

/** The arguments of a request, or an object within them. A `UserError` names what is missing or of another kind. */
export class Arguments {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(values: unknown, where: string) {
    if (values !== undefined && values !== null && (typeof values !== 'object' || Array.isArray(values))) {
      throw new UserError(`${where}: an object of arguments is needed`);
    }
    this.#values = (values ?? {}) as Record<string, unknown>;
    this.#where = where;
  }

  has(name: string): boolean {
    return this.#value(name) !== undefined;
  }

  /** The value as it came; null counts as absent. */
  #value(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? (this.#values[name] ?? undefined) : undefined;
  }

  #fail(name: string, what: string): never {
    throw new UserError(`${this.#where}: '${name}' must be ${what}`);
  }

  text(name: string): string;
  text(name: string, otherwise: string): string;
  text(name: string, otherwise?: string): string {
    const value = this.#value(name) ?? otherwise;
    return typeof value === 'string' ? value : this.#fail(name, 'a text');
  }

  /** A whole number from 0 to 2^53, or from `least`. */
  whole(name: string, otherwise?: number, least = 0): number {
    const value = this.#value(name) ?? otherwise;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
    return this.#fail(name, `a whole number from ${least} on`);
  }

  /** A whole number of either sign. */
  integer(name: string, otherwise?: number): number {
    return this.whole(name, otherwise, -Number.MAX_SAFE_INTEGER);
  }

  flag(name: string): boolean {
    const value = this.#value(name) ?? false;
    return typeof value === 'boolean' ? value : this.#fail(name, 'true or false');
  }

  choice<const T extends string>(name: string, choices: readonly T[], otherwise?: T): T {
    const value = this.#value(name) ?? otherwise;
    return choices.find((choice) => choice === value) ?? this.#fail(name, `one of ${choices.join(', ')}`);
  }

  object(name: string): Arguments {
    return new Arguments(this.#value(name), `${this.#where}: ${name}`);
  }

  /** Objects of a list; an empty list if there is none. */
  objects(name: string): Arguments[] {
    return this.#list(name).map((value, i) => {
      if (typeof value !== 'object' || value === null) this.#fail(name, 'a list of objects');
      return new Arguments(value, `${this.#where}: ${name}[${i}]`);
    });
  }

  texts(name: string): string[] {
    return this.#list(name).map((value) => (typeof value === 'string' ? value : this.#fail(name, 'a list of texts')));
  }

  #list(name: string): unknown[] {
    const value = this.#value(name) ?? [];
    if (!Array.isArray(value)) return this.#fail(name, 'a list');
    if (value.length > LIST_MAX) return this.#fail(name, `a list of at most ${LIST_MAX} entries`);
    return value;
  }

  /** Names and texts, such as those of a source map. */
  entries(name: string): [string, string][] {
    const value = this.#value(name) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) return this.#fail(name, 'an object of texts');
    return Object.entries(value as object).map(([key, text]) =>
      typeof text === 'string' ? [key, text] : this.#fail(name, 'an object of texts'),
    );
  }

  /** An address in hexadecimal or decimal, as a text. */
  address(name: string): bigint {
    return parseAddress(this.text(name)) ?? this.#fail(name, 'an address such as "0x80200000"');
  }

  /** A place in memory that `referenceTo` has named, moved by `offset`. */
  place(name: string): Place {
    const [address, space = null] = this.text(name).split('@').map(parseAddress);
    if (address === null || (space === null && this.text(name).includes('@')))
      return this.#fail(name, 'an address such as "0x80200000"');
    const there = { address: BigInt.asUintN(64, address + BigInt(this.integer('offset', 0))) };
    return space === null ? there : { ...there, space };
  }

  /** A text or a number, as a text. */
  textOrNumber(name: string): string {
    const value = this.#value(name);
    if (typeof value === 'string') return value;
    return typeof value === 'number' && Number.isFinite(value) ? String(value) : this.#fail(name, 'a text or a number');
  }

  /** A text or a whole number. */
  textOrWhole(name: string, otherwise: string): string {
    const value = this.#value(name) ?? otherwise;
    if (typeof value === 'string') return value;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? String(value)
      : this.#fail(name, 'a text or a whole number');
  }
}

/** More entries than this no person has made. */
const LIST_MAX = 100_000;

/** Null for what is no address of 64 bits. */
export function parseAddress(text: string): bigint | null {
  const plain = text.trim();
  if (!/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(plain)) return null;
  const value = BigInt(plain);
  return value < 1n << 64n ? value : null;
}

/** A place in memory. */
export interface Place {
  readonly address: bigint;
  /** By these page tables, a value of `satp`; without it by those of the hart that the stop is about. */
  readonly space?: bigint;
}

/** How a client names a place: `0x80008000`, or with the page tables `0x7ffd1000@0x8000000000081234`. */
export function referenceTo(address: bigint, space: bigint | undefined): string {
  return space === undefined ? hex(address) : `${hex(address)}@${hex(space)}`;
}

export const hex = (value: bigint) => `0x${value.toString(16)}`;
