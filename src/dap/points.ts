/** From what a client says of a breakpoint to what stops there. */

import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/assert.ts';
import { EXCEPTIONS } from '../debugger/causes.ts';
import type { StopSpec } from '../debugger/session.ts';
import { satpOfSpace } from '../linux/index.ts';
import { type BreakLocation, functionLocations, lineLocations, type Symbols } from '../symbols/index.ts';
import { type Arguments, hex, parseAddress } from './arguments.ts';
import type { Wanted } from './breakpoints.ts';
import { symbolText } from './code.ts';
import type { Sources } from './sources.ts';

const breakpoint = (address: bigint): StopSpec => ({ kind: 'breakpoint', address });

/** A place in a program is meant in the process that has it. */
function breakpointAt({ address, module }: BreakLocation): StopSpec {
  const space = satpOfSpace(module.space);
  return { kind: 'breakpoint', address, ...(space === undefined ? {} : { space }) };
}

/** Condition, hit count and message, where they are given and not empty. */
function when(args: Arguments): Pick<Wanted, 'condition' | 'hitCondition' | 'logMessage'> {
  const given = (name: 'condition' | 'hitCondition' | 'logMessage') => {
    const text = args.text(name, '').trim();
    return text === '' ? {} : { [name]: text };
  };
  return { ...given('condition'), ...given('hitCondition'), ...given('logMessage') };
}

/** Breakpoints on lines of a file of the client's. */
export function sourcePoints(symbols: Symbols, sources: Sources, path: string, all: readonly Arguments[]): Wanted[] {
  const known = sources.known(path);
  return all.map((args) => {
    const line = args.whole('line', undefined, 1);
    const locations = unique(known.flatMap((file) => lineLocations(symbols, file, line)));
    const first = locations[0];
    const problem =
      known.length === 0 ? `no symbol file knows ${path}` : `there is no code on line ${line}, or after it`;
    const place = first
      ? { line: first.location?.line ?? line, instructionReference: hex(first.address), source: { path } }
      : { line };
    return {
      reason: 'breakpoint',
      stops: locations.map(breakpointAt),
      problem,
      place,
      ...when(args),
    };
  });
}

/** Breakpoints on lines of a listing. */
export function listingPoints(sources: Sources, reference: number, all: readonly Arguments[]): Wanted[] {
  const { addresses } = sources.listing(reference);
  return all.map((args) => {
    const line = args.whole('line', undefined, 1);
    // A line that names a source line stands for the instruction below it.
    const found = addresses.findIndex((address, i) => i >= line - 1 && address !== null);
    const address = addresses[found];
    if (address === undefined || address === null) {
      return { reason: 'breakpoint', stops: [], problem: 'there is no instruction', ...when(args) };
    }
    const place = { line: found + 1, instructionReference: hex(address) };
    return { reason: 'breakpoint', stops: [breakpoint(address)], place, ...when(args) };
  });
}

export function functionPoints(symbols: Symbols, sources: Sources, all: readonly Arguments[]): Wanted[] {
  return all.map((args) => {
    const name = args.text('name').trim();
    const address = parseAddress(name.replace(/^\*/, ''));
    const locations = address === null ? functionLocations(symbols, name) : [];
    const stops = address === null ? locations.map(breakpointAt) : [breakpoint(address)];
    const place = locations[0] ? placeOf(locations[0], sources) : {};
    const problem = `no symbol file has a function '${name}'`;
    return { reason: 'function breakpoint', stops, problem, place, ...when(args) };
  });
}

function placeOf({ address, location }: BreakLocation, sources: Sources): Partial<DebugProtocol.Breakpoint> {
  const source = location ? sources.file(location.path) : undefined;
  const line = source && location ? { source, line: location.line } : {};
  return { instructionReference: hex(address), ...line };
}

function unique(locations: readonly BreakLocation[]): BreakLocation[] {
  return locations.filter(
    ({ address, module }, i) =>
      locations.findIndex((other) => other.address === address && other.module.space === module.space) === i,
  );
}

export function instructionPoints(symbols: Symbols, all: readonly Arguments[]): Wanted[] {
  return all.map((args) => {
    const address = BigInt.asUintN(64, args.address('instructionReference') + BigInt(args.integer('offset', 0)));
    const symbol = symbolText(symbols, address);
    const place = { instructionReference: hex(address), ...(symbol === null ? {} : { message: symbol }) };
    return { reason: 'instruction breakpoint', stops: [breakpoint(address)], place, ...when(args) };
  });
}

/** How a data breakpoint of accessType `write` is meant. */
export const DATA_MODES = ['change', 'write'] as const;

/** What `dataBreakpointInfo` gives out and `setDataBreakpoints` gets back: `change 0x80008000 8`, `register a0`. */
export function dataId(what: { address: bigint; bytes: number } | { register: string }, mode: string): string {
  return 'register' in what ? `register ${what.register}` : `${mode} ${hex(what.address)} ${what.bytes}`;
}

export function dataPoints(all: readonly Arguments[]): Wanted[] {
  return all.map((args) => {
    const id = args.text('dataId');
    const access = args.choice('accessType', ['read', 'write', 'readWrite'], 'write');
    const register = /^register (\w+)$/.exec(id)?.[1];
    if (register !== undefined) {
      const stops: StopSpec[] = [{ kind: 'register', register }];
      if (access !== 'write') {
        return { reason: 'data breakpoint', stops: [], problem: 'a register can only be watched for changes' };
      }
      return { reason: 'data breakpoint', stops, ...when(args) };
    }
    const match = /^(change|write) (0x[0-9a-f]{1,16}) (\d{1,9})$/.exec(id);
    if (!match) throw new UserError(`data breakpoint '${id}': one that dataBreakpointInfo has given is needed`);
    const kinds = { read: 'read', write: match[1] as (typeof DATA_MODES)[number], readWrite: 'access' } as const;
    const memory = { address: BigInt(match[2]), length: Number(match[3]) };
    return { reason: 'data breakpoint', stops: [{ kind: 'watch', access: kinds[access], ...memory }], ...when(args) };
  });
}

const CAUSE_PREFIX = 'trap ';

/** What a client offers a person to stop at: the guest's own panic, and every kind of trap. */
export const EXCEPTION_FILTERS: DebugProtocol.ExceptionBreakpointsFilter[] = [
  {
    filter: 'panic',
    label: 'Guest panic',
    description: 'The guest says on its console that it has failed: a panic, an oops, a BUG',
    default: true,
  },
  ...Object.entries(EXCEPTIONS).map(([cause, name]) => ({
    filter: `${CAUSE_PREFIX}${cause}`,
    label: `Trap: ${name}`,
    description: `A hart takes a trap with cause ${cause}`,
    supportsCondition: true,
    conditionDescription: 'an expression such as $stval == 0',
  })),
  { filter: 'interrupt', label: 'Interrupt', description: 'A hart takes an interrupt', supportsCondition: true },
];

export function exceptionPoints(filters: readonly string[], options: readonly Arguments[]): Wanted[] {
  const chosen = [
    ...filters.map((filter) => ({ filter, rest: {} })),
    ...options.map((args) => ({ filter: args.text('filterId'), rest: when(args) })),
  ];
  return chosen.map(({ filter, rest }) => {
    if (!EXCEPTION_FILTERS.some((known) => known.filter === filter)) {
      return { reason: 'exception', stops: [], problem: `there is no exception '${filter}'`, ...rest };
    }
    const stop: StopSpec =
      filter === 'panic' || filter === 'interrupt'
        ? { kind: filter }
        : { kind: 'trap', causes: [Number(filter.slice(CAUSE_PREFIX.length))] };
    return { reason: 'exception', stops: [stop], ...rest };
  });
}
