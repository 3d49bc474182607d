/** Looks out for stops while a machine runs: turns them into probes, and what the probes report into hits. */
import { UserError } from '../base/assert.ts';
import { PAGE_BYTES } from '../vmm/layout.ts';
import type { AccessEvent, AccessProbe, CallEvent, ProbeEvent, RegisterEvent, TrapEvent } from '../vmm/probes.ts';
import { activeSatp, PPN_MASK, readPhysical, translate, walk } from '../vmm/riscv/inspect.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { compileExpression, type Evaluate, littleEndian } from './expression.ts';
import type { Hit, HitDetail, StopSpec, WatchSpec } from './stop-spec.ts';

/** A stop with its number. Change watches have been given their place (see `placed`). */
export interface NumberedStop {
  readonly id: number;
  readonly spec: StopSpec;
}

/** Bytes that one watch may cover. */
const WATCH_BYTES_MAX = 2 ** 20;
const IGNORE_MAX = 1e9;
const TEXT_MAX = 4096;
const ADDRESS_LIMIT = 2n ** 64n;
const CAUSE = { ecallU: 8, ecallS: 9 } as const;
const X = { a6: 16, a7: 17 } as const;

/** Refuses what makes no sense, with a `UserError`. */
export function checkStop(spec: StopSpec, harts: number): void {
  const { hart, condition, ignore = 0 } = spec;
  if (hart !== undefined && !(Number.isInteger(hart) && hart >= 0 && hart < harts)) {
    throw new UserError(`hart ${hart}: one from 0 to ${harts - 1} is needed`);
  }
  if (!Number.isInteger(ignore) || ignore < 0 || ignore > IGNORE_MAX) {
    throw new UserError(`ignore ${ignore}: a whole number up to ${IGNORE_MAX} is needed`);
  }
  if (condition !== undefined) compileExpression(condition);
  if (spec.kind === 'breakpoint' || spec.kind === 'watch') {
    const length = spec.kind === 'watch' ? spec.length : 1;
    if (!Number.isInteger(length) || length < 1 || length > WATCH_BYTES_MAX) {
      throw new UserError(`${length} bytes: a watchpoint has 1 to ${WATCH_BYTES_MAX}`);
    }
    if (spec.address < 0n || spec.address + BigInt(length) > ADDRESS_LIMIT) {
      throw new UserError(`${length} bytes at 0x${spec.address.toString(16)} are no range of 64-bit addresses`);
    }
  }
  if (spec.kind === 'console' || spec.kind === 'panic') {
    if (hart !== undefined || condition !== undefined)
      throw new UserError(`${spec.kind}: no hart and no condition can be given`);
    if (spec.kind === 'console' && (spec.text === '' || spec.text.length > TEXT_MAX)) {
      throw new UserError(`console: a text of 1 to ${TEXT_MAX} characters is needed`);
    }
  }
}

/**
 * A change watch bound to where it was set: by a physical address, or to an address space. Others are as they were. Where an address of the upper
 * half is not mapped, a `UserError` says so.
 */
export function placed(spec: StopSpec, machine: VirtMachine): StopSpec {
  if (spec.kind !== 'watch' || spec.access !== 'change' || spec.physical) return spec;
  const satp = spec.space ?? activeSatp(machine, spec.hart ?? machine.currentHart);
  if (satp >> 60n === 0n) return { ...spec, physical: true };
  if (spec.address < UPPER_HALF) return { ...spec, space: satp };
  const { physical } = walk(machine, satp, spec.address);
  const end = walk(machine, satp, spec.address + BigInt(spec.length - 1)).physical;
  if (physical === null || end !== physical + BigInt(spec.length - 1)) {
    throw new UserError(`0x${spec.address.toString(16)}: ${spec.length} bytes are not mapped in one piece here`);
  }
  return { ...spec, address: physical, physical: true };
}

interface Armed {
  readonly id: number;
  readonly hart: number | undefined;
  /** Page table root, if one is wanted. */
  readonly root: bigint | null;
  readonly condition: Evaluate | null;
}
interface ArmedPoint extends Armed {
  /** The physical address that pc must mean; null where the virtual one is enough. */
  readonly physical: bigint | null;
}
interface ArmedAccess extends Armed {
  readonly spec: WatchSpec;
}
interface ArmedEvent extends Armed {
  /** Codes of traps or interrupts that it wants; all without it. */
  readonly causes?: readonly number[] | undefined;
  readonly wanted: (event: TrapEvent | CallEvent | RegisterEvent) => HitDetail | null;
}

/** A range of memory whose value is watched. */
interface ArmedChange extends Armed {
  readonly spec: WatchSpec;
  /** Where the bytes lie, in pieces; and the page table entries that say so. */
  places: readonly Place[];
  entries: readonly bigint[];
  value: Uint8Array;
}
interface Place {
  readonly physical: bigint | null;
  readonly length: number;
}

export class Watcher {
  readonly #machine: VirtMachine;
  readonly #points = new Map<bigint, ArmedPoint[]>();
  readonly #physicalPoints: ArmedPoint[] = [];
  readonly #accesses: ArmedAccess[] = [];
  readonly #changes: ArmedChange[] = [];
  readonly #traps: ArmedEvent[] = [];
  readonly #interrupts: ArmedEvent[] = [];
  readonly #calls: ArmedEvent[] = [];
  readonly #registers: (ArmedEvent & { readonly name: string })[] = [];
  #told: (hit: Hit) => boolean = () => false;
  #stale = false;

  /** Stops of the console are none of a machine's: see console-log.ts. They are passed over here. */
  constructor(machine: VirtMachine, stops: readonly NumberedStop[]) {
    this.#machine = machine;
    for (const stop of stops) this.#add(stop);
  }

  /** Something can be hit at all. */
  get any(): boolean {
    const lists = [this.#physicalPoints, this.#accesses, this.#changes, this.#traps];
    const others = [this.#interrupts, this.#calls, this.#registers];
    return this.#points.size > 0 || [...lists, ...others].some((list) => list.length > 0);
  }

  /**
   * Looks out from the machine's present state on. `told` hears of each hit, while the step is done or (breakpoints) about to be; true makes the
   * run end. A run may also end because `stale` became true: then it goes on after another `arm`. A breakpoint at position `pass` is not hit.
   */
  arm(told: (hit: Hit) => boolean, pass = -1): void {
    this.#told = told;
    this.#machine.probes.pass = pass;
    this.#stale = false;
    for (const change of this.#changes) {
      this.#place(change);
      change.value = this.#valueOf(change);
    }
    this.#set();
    // What an operator changes is no write of the guest's.
    this.#machine.probes.changed = () => {
      for (const change of this.#changes) {
        this.#place(change);
        change.value = this.#valueOf(change);
      }
    };
  }

  disarm(): void {
    this.#machine.probes.clear();
  }

  /** Page tables have changed: what is probed is not what is watched any more. */
  get stale(): boolean {
    return this.#stale;
  }

  #set(): void {
    const causes = (events: readonly ArmedEvent[]) =>
      events.some((event) => event.causes === undefined) || new Set(events.flatMap((event) => event.causes ?? []));
    const accesses = [
      ...this.#accesses.map(({ spec }) => accessProbe(spec)),
      ...this.#changes.flatMap(({ places, entries }) => [
        ...places.filter(isPlaced).map(({ physical, length }) => written(physical, length)),
        ...entries.map((entry) => written(entry, 8)),
      ]),
    ];
    this.#machine.probes.set(
      {
        execute: [...this.#points.keys()],
        executePhysical: this.#physicalPoints.map(({ physical }) => physical!),
        accesses,
        traps: causes(this.#traps),
        interrupts: causes(this.#interrupts),
        calls: this.#calls.length > 0,
        registers: this.#registers.flatMap(({ hart, name }) =>
          hart === undefined
            ? Array.from({ length: this.#machine.cpu.harts }, (_, n) => ({ hart: n, name }))
            : [{ hart, name }],
        ),
      },
      (event) => this.#hear(event),
    );
  }

  #add({ id, spec }: NumberedStop): void {
    const common = {
      id,
      hart: spec.hart,
      root: 'space' in spec && spec.space !== undefined ? spec.space & PPN_MASK : null,
      condition: spec.condition === undefined ? null : compileExpression(spec.condition),
    };
    switch (spec.kind) {
      case 'breakpoint': {
        const point = { ...common, physical: spec.physical ? spec.address : null };
        if (spec.physical) this.#physicalPoints.push(point);
        else this.#points.set(spec.address, [...(this.#points.get(spec.address) ?? []), point]);
        return;
      }
      case 'watch':
        if (spec.access !== 'change') this.#accesses.push({ ...common, spec });
        else this.#changes.push({ ...common, hart: undefined, spec, places: [], entries: [], value: new Uint8Array() });
        return;
      case 'register':
        this.#registers.push({ ...common, name: spec.register, wanted: registerDetail(spec.register) });
        return;
      case 'trap':
        this.#traps.push({ ...common, causes: spec.causes, wanted: trapDetail(spec.causes) });
        return;
      case 'interrupt':
        this.#interrupts.push({ ...common, causes: spec.causes, wanted: trapDetail(spec.causes) });
        return;
      case 'syscall':
        this.#traps.push({ ...common, causes: [CAUSE.ecallU], wanted: this.#syscallDetail(spec.numbers) });
        return;
      case 'sbi': {
        const chosen = chooser(spec.extensions, spec.functions);
        this.#calls.push({ ...common, wanted: sbiDetail(chosen) });
        this.#traps.push({ ...common, causes: [CAUSE.ecallS], wanted: this.#firmwareDetail(chosen) });
        return;
      }
      case 'console':
      case 'panic':
        return;
    }
  }

  #hear(event: ProbeEvent): boolean {
    switch (event.kind) {
      case 'execute':
        return this.#execute(event.position, event.hart, event.pc);
      case 'access':
        return this.#access(event);
      case 'trap':
        return this.#tellAll(this.#traps, event, event.epc);
      case 'interrupt':
        return this.#tellAll(this.#interrupts, event, event.epc);
      case 'sbi':
        return this.#tellAll(this.#calls, event, event.pc);
      case 'register':
        return this.#tellAll(this.#registers, event, this.#machine.cpu.get(event.hart, 'pc'));
    }
  }

  #execute(position: number, hart: number, pc: bigint): boolean {
    let stops = false;
    for (const point of this.#points.get(pc) ?? []) {
      if (this.#counts(point, hart)) stops = this.#told({ stop: point.id, position, hart, pc }) || stops;
    }
    for (const point of this.#physicalPoints) {
      if (translate(this.#machine, hart, pc) !== point.physical || !this.#counts(point, hart)) continue;
      stops = this.#told({ stop: point.id, position, hart, pc }) || stops;
    }
    return stops;
  }

  #tellAll(armed: readonly ArmedEvent[], event: TrapEvent | CallEvent | RegisterEvent, pc: bigint): boolean {
    const { position, hart } = event;
    let stops = false;
    for (const stop of armed) {
      const detail = stop.wanted(event);
      if (detail && this.#counts(stop, hart)) {
        stops = this.#told({ stop: stop.id, position, hart, pc, detail }) || stops;
      }
    }
    return stops;
  }

  #access(event: AccessEvent): boolean {
    const { position, write } = event;
    const hart = event.hart ?? this.#machine.currentHart;
    const pc = event.pc ?? this.#machine.cpu.get(hart, 'pc');
    const by = event.device === null ? {} : { device: event.device };
    let stops = false;
    for (const stop of this.#accesses) {
      const { spec } = stop;
      const address = spec.physical ? event.physical : event.virtual;
      if (address === null || !overlaps(address, event.length, spec.address, spec.length)) continue;
      if (spec.access === (write ? 'read' : 'write') || !this.#counts(stop, hart)) continue;
      const detail: HitDetail = { address, length: event.length, access: write ? 'write' : 'read', ...by };
      stops = this.#told({ stop: stop.id, position, hart, pc, detail }) || stops;
    }
    if (!write) return stops;
    for (const change of this.#changes) {
      if (change.entries.some((entry) => overlaps(event.physical, event.length, entry, 8))) {
        this.#place(change);
        this.#stale = true;
        stops = true;
      } else if (
        !change.places.some((p) => isPlaced(p) && overlaps(event.physical, event.length, p.physical, p.length))
      ) {
        continue;
      }
      const now = this.#valueOf(change);
      if (now.every((byte, i) => byte === change.value[i])) continue;
      const { address, length } = change.spec;
      const values = length <= 8 ? { before: littleEndian(change.value), after: littleEndian(now) } : {};
      change.value = now;
      if (change.spec.hart !== undefined && change.spec.hart !== hart) continue;
      if (!this.#holds(change, hart)) continue;
      stops =
        this.#told({ stop: change.id, position, hart, pc, detail: { address, length, ...by, ...values } }) || stops;
    }
    return stops;
  }

  /** Whether an event of a hart is one that the stop wants. */
  #counts(stop: Armed, hart: number): boolean {
    if (stop.hart !== undefined && stop.hart !== hart) return false;
    if (stop.root !== null) {
      const satp = activeSatp(this.#machine, hart);
      if (satp >> 60n === 0n || (satp & PPN_MASK) !== stop.root) return false;
    }
    return this.#holds(stop, hart);
  }

  #holds({ condition }: Armed, hart: number): boolean {
    return condition === null || condition(this.#machine, hart) !== 0n;
  }

  #place(change: ArmedChange): void {
    const { address, length, physical, space } = change.spec;
    if (physical) {
      change.places = [{ physical: address, length }];
      return;
    }
    const { places, entries } = placesOf(this.#machine, space!, address, length);
    change.places = places;
    change.entries = entries;
  }

  #valueOf({ places, spec }: ArmedChange): Uint8Array {
    const value = new Uint8Array(spec.length);
    let at = 0;
    for (const place of places) {
      const bytes = isPlaced(place) ? readPhysical(this.#machine, place.physical, place.length) : null;
      if (bytes) value.set(bytes, at);
      at += place.length;
    }
    return value;
  }

  #syscallDetail(numbers: readonly number[] | undefined): ArmedEvent['wanted'] {
    return (event) => {
      if (event.kind !== 'trap' || event.cause !== CAUSE.ecallU) return null;
      const number = Number(this.#machine.cpu.x(event.hart, X.a7));
      return numbers === undefined || numbers.includes(number) ? { number } : null;
    };
  }

  /** A call to a firmware that runs in the guest is a trap. */
  #firmwareDetail(chosen: (extension: number, fn: number) => boolean): ArmedEvent['wanted'] {
    return (event) => {
      if (event.kind !== 'trap' || event.cause !== CAUSE.ecallS) return null;
      const [number, fn] = [X.a7, X.a6].map((n) => Number(BigInt.asUintN(32, this.#machine.cpu.x(event.hart, n))));
      return chosen(number, fn) ? { number, function: fn } : null;
    };
  }
}

const UPPER_HALF = 2n ** 63n;

/** Where the bytes of a virtual range lie under a root, in pieces of one page each, and the page table entries that say so. */
export function placesOf(
  machine: VirtMachine,
  satp: bigint,
  address: bigint,
  length: number,
): { places: Place[]; entries: bigint[] } {
  const places: Place[] = [];
  const entries = new Set<bigint>();
  for (let at = 0; at < length; ) {
    const here = address + BigInt(at);
    const count = Math.min(length - at, PAGE_BYTES - Number(here % BigInt(PAGE_BYTES)));
    const found = walk(machine, satp, here);
    places.push({ physical: found.physical, length: count });
    for (const entry of found.entries) entries.add(entry);
    at += count;
  }
  return { places, entries: [...entries] };
}

const isPlaced = (place: Place): place is Place & { readonly physical: bigint } => place.physical !== null;

const overlaps = (a: bigint, aLength: number, b: bigint, bLength: number) =>
  a < b + BigInt(bLength) && b < a + BigInt(aLength);

function accessProbe({ physical, address, length, access }: WatchSpec): AccessProbe {
  const space = physical ? 'physical' : 'virtual';
  return { space, address, length, read: access !== 'write', write: access !== 'read' };
}

const written = (address: bigint, length: number): AccessProbe => ({
  space: 'physical',
  address,
  length,
  read: false,
  write: true,
});

function trapDetail(causes: readonly number[] | undefined): ArmedEvent['wanted'] {
  return (event) => {
    if (event.kind !== 'trap' && event.kind !== 'interrupt') return null;
    const { cause, value } = event;
    return causes === undefined || causes.includes(cause) ? { cause, value } : null;
  };
}

function registerDetail(name: string): ArmedEvent['wanted'] {
  return (event) =>
    event.kind === 'register' && event.name === name ? { before: event.before, after: event.after } : null;
}

function chooser(extensions: readonly number[] | undefined, functions: readonly number[] | undefined) {
  return (extension: number, fn: number) =>
    (extensions === undefined || extensions.includes(extension)) && (functions === undefined || functions.includes(fn));
}

function sbiDetail(chosen: (extension: number, fn: number) => boolean): ArmedEvent['wanted'] {
  return (event) => {
    if (event.kind !== 'sbi') return null;
    const fn = Number(BigInt.asUintN(32, event.fn));
    return chosen(event.extension, fn) ? { number: event.extension, function: fn } : null;
  };
}
