/** Source files: as the debug information names them, as the client has them, and what stands in for one that is not there. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/assert.ts';
import { inMemory, type SourceLocation, type Symbols, sourcePaths } from '../symbols/index.ts';
import { type Listing, listingAt } from './code.ts';
import type { Moment } from './moment.ts';
import type { Host } from './protocol.ts';

export interface SourceOptions {
  /** Beginnings of paths in the debug information, and what they are on this computer; the longest that fits counts. */
  readonly map: readonly (readonly [from: string, to: string])[];
  /** Folders in which files are looked for by the ends of their paths. */
  readonly folders: readonly string[];
}

const components = (path: string) => path.split(/[\\/]+/).filter((part) => part !== '' && part !== '.');
const isAbsolute = (path: string) => /^([\\/]|[a-z]:[\\/])/i.test(path);
const joined = (folder: string, rest: readonly string[]) => [folder.replace(/[\\/]+$/, ''), ...rest].join('/');
/** Functions whose code has been listed. */
const LISTINGS_MAX = 10_000;

export class Sources {
  readonly #symbols: Symbols;
  readonly #host: Pick<Host, 'exists'>;
  readonly #options: SourceOptions;
  /** What has been found out: paths here by paths of the debug information; null for a file that is not there. */
  readonly #here = new Map<string, string | null>();
  readonly #listings: Listing[] = [];
  /** Numbers of listings by the address of their function. */
  readonly #numbers = new Map<bigint, number>();

  constructor(symbols: Symbols, host: Pick<Host, 'exists'>, { map, folders }: SourceOptions) {
    this.#symbols = symbols;
    this.#host = host;
    this.#options = { map: [...map].sort(([a], [b]) => b.length - a.length), folders };
  }

  /** The file of a path in the debug information, as a client may open it; null if it is not there. */
  here(path: string): string | null {
    const known = this.#here.get(path);
    if (known !== undefined) return known;
    const found = this.#find(path);
    this.#here.set(path, found);
    return found;
  }

  #find(path: string): string | null {
    const parts = components(path);
    const mapped = this.#options.map.find(([from]) => components(from).every((part, i) => parts[i] === part));
    const candidates = [
      ...(mapped ? [joined(mapped[1], parts.slice(components(mapped[0]).length))] : []),
      ...(isAbsolute(path) ? [path] : []),
      ...this.#options.folders.flatMap((folder) => parts.map((_, i) => joined(folder, parts.slice(i)))),
    ];
    return candidates.find((candidate) => this.#host.exists(candidate)) ?? null;
  }

  /**
   * Paths in the debug information of a client's file. If none leads to it, it is the one whose path has the longest end in common with the client's: the file of
   * a colleague whose folders are others.
   */
  known(path: string): string[] {
    const parts = components(path);
    const name = parts.at(-1);
    if (name === undefined) return [];
    const candidates = sourcePaths(this.#symbols, name);
    const direct = candidates.filter((candidate) => {
      const found = this.here(candidate);
      return candidate === path || (found !== null && samePath(found, path));
    });
    if (direct.length > 0) return direct;
    const alike = candidates.map((candidate) => commonEnd(components(candidate), parts));
    const best = Math.max(0, ...alike);
    const nearest = candidates.filter((candidate, i) => alike[i] === best && this.here(candidate) === null);
    // A name alone says little if several files have it.
    if (nearest.length > 1 && best < 2) return [];
    for (const found of nearest) this.#here.set(found, path);
    return nearest;
  }

  /** A file that is there; undefined if it is not. */
  file(path: string): DebugProtocol.Source | undefined {
    const here = this.here(path);
    return here === null ? undefined : { name: components(path).at(-1) ?? path, path: here };
  }

  /** What to show of a place in code: its line in the source file, or in a listing of the function. */
  async place(
    moment: Moment,
    hart: number,
    address: bigint,
    location: SourceLocation | null,
  ): Promise<{ source?: DebugProtocol.Source; line: number; column: number }> {
    if (location && location.line > 0) {
      const source = this.file(location.path);
      if (source) return { source, line: location.line, column: location.column };
    }
    const number = await this.#list(moment, hart, address);
    if (number === null) return { line: 0, column: 0 };
    const { name, addresses } = this.#listings[number - 1];
    const line = addresses.findLastIndex((at) => at !== null && at <= address) + 1;
    const origin = location ? `${location.path} is not there` : 'no debug information';
    return { source: { name, sourceReference: number, origin }, line, column: 0 };
  }

  /** The number of a function's listing, from 1; null where there is no symbol. */
  async #list(moment: Moment, hart: number, address: bigint): Promise<number | null> {
    const found = this.#symbols.symbolAt(address);
    if (!found) return null;
    const start = inMemory(found.module, found.symbol.address);
    const known = this.#numbers.get(start);
    if (known !== undefined) return known;
    const listing = await moment.settle(() => listingAt(this.#symbols, moment.memory(hart), address));
    if (!listing || this.#listings.length >= LISTINGS_MAX) return null;
    const number = this.#listings.push(listing);
    this.#numbers.set(start, number);
    return number;
  }

  listing(number: number): Listing {
    const listing = this.#listings[number - 1];
    if (!listing) throw new UserError(`there is no source with the reference ${number}`);
    return listing;
  }

  /** All source files that the debug information names and that are there. */
  all(): DebugProtocol.Source[] {
    const paths = new Set(this.#symbols.modules.flatMap(({ file }) => file.names.paths));
    return [...paths].sort().flatMap((path) => this.file(path) ?? []);
  }
}

function commonEnd(a: readonly string[], b: readonly string[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[a.length - 1 - n] === b[b.length - 1 - n]) n++;
  return n;
}

const samePath = (a: string, b: string) => components(a).join('/') === components(b).join('/');
