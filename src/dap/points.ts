/** From what a client says of a breakpoint to what stops there. */

import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/assert.ts';
import { EXCEPTIONS } from '../debugger/causes.ts';
import type { StopSpec } from '../debugger/session.ts';
import { satpOfSpace } from '../linux/index.ts';
import { type BreakLocation, functionLocations, lineLocations, type Symbols } from '../symbols/index.ts';
import { type Arguments, hex, parseAddress, referenceTo } from './arguments.ts';
import type { Wanted } from './breakpoints.ts';
import { symbolText } from './code.ts';
import type { Sources } from './sources.ts';
import type { Watched } from './variables.ts';

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
    const { address, space } = args.place('instructionReference');
    const symbol = symbolText(symbols, address);
    const place = {
      instructionReference: referenceTo(address, space),
      ...(symbol === null ? {} : { message: symbol }),
    };
    const stop: StopSpec = { kind: 'breakpoint', address, ...(space === undefined ? {} : { space }) };
    return { reason: 'instruction breakpoint', stops: [stop], place, ...when(args) };
  });
}

/** How a data breakpoint of accessType `write` is meant. */
export const DATA_MODES = ['change', 'write'] as const;

/** What `dataBreakpointInfo` gives out and `setDataBreakpoints` gets back: `change 0x80008000 8`, `register a0`. */
export function dataId(what: Watched, mode: string): string {
  if ('register' in what) return `register ${what.register}`;
  return `${mode} ${referenceTo(what.address, what.space)} ${what.bytes}`;
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
    const match = /^(change|write) (0x[0-9a-f]{1,16})(?:@(0x[0-9a-f]{1,16}))? (\d{1,9})$/.exec(id);
    if (!match) throw new UserError(`data breakpoint '${id}': one that dataBreakpointInfo has given is needed`);
    const kinds = { read: 'read', write: match[1] as (typeof DATA_MODES)[number], readWrite: 'access' } as const;
    const space = match[3] === undefined ? {} : { space: BigInt(match[3]) };
    const memory = { address: BigInt(match[2]), length: Number(match[4]), ...space };
    return { reason: 'data breakpoint', stops: [{ kind: 'watch', access: kinds[access], ...memory }], ...when(args) };
  });
}

/** Kinds of traps, few enough that an editor's list of breakpoints has room for others beside them. */
const TRAPS: readonly { readonly filter: string; readonly label: string; readonly causes: readonly number[] }[] = [
  { filter: 'page-fault', label: 'Page fault', causes: [12, 13, 15] },
  { filter: 'access', label: 'Access fault or misaligned address', causes: [0, 1, 4, 5, 6, 7] },
  { filter: 'instruction', label: 'Illegal instruction or breakpoint', causes: [2, 3] },
  { filter: 'ecall', label: 'Environment call', causes: [8, 9, 11] },
];
/** A single cause goes by its number; it is not offered. */
const SINGLE_CAUSE = /^trap (\d{1,2})$/;

/** What a client offers a person to stop at: the guest's own panic, traps and interrupts. */
export const EXCEPTION_FILTERS: DebugProtocol.ExceptionBreakpointsFilter[] = [
  {
    filter: 'panic',
    label: 'Guest panic',
    description: 'The guest says on its console that it has failed: a panic, an oops, a BUG',
    default: true,
  },
  ...TRAPS.map(({ filter, label, causes }) => ({
    filter,
    label,
    description: `A hart takes a trap: ${causes.map((cause) => `${EXCEPTIONS[cause]} (${cause})`).join(', ')}`,
    supportsCondition: true,
    conditionDescription: `an expression such as $scause == ${causes[0]} or $stval == 0`,
  })),
  { filter: 'interrupt', label: 'Interrupt', description: 'A hart takes an interrupt', supportsCondition: true },
];

/** What a filter stops at; null if there is no such filter. */
function exceptionStop(filter: string): StopSpec | null {
  if (filter === 'panic' || filter === 'interrupt') return { kind: filter };
  const single = SINGLE_CAUSE.exec(filter);
  const causes = single ? [Number(single[1])] : TRAPS.find((kind) => kind.filter === filter)?.causes;
  return causes?.every((cause) => cause in EXCEPTIONS) ? { kind: 'trap', causes: [...causes] } : null;
}

export function exceptionPoints(filters: readonly string[], options: readonly Arguments[]): Wanted[] {
  const chosen = [
    ...filters.map((filter) => ({ filter, rest: {} })),
    ...options.map((args) => ({ filter: args.text('filterId'), rest: when(args) })),
  ];
  return chosen.map(({ filter, rest }) => {
    const stop = exceptionStop(filter);
    if (!stop) return { reason: 'exception', stops: [], problem: `there is no exception '${filter}'`, ...rest };
    return { reason: 'exception', stops: [stop], ...rest };
  });
}
