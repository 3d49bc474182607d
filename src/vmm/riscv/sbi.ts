/**
 * The built-in firmware: the supervisor binary interface, version 2.0, served by the machine itself. The supervisor's `ecall` takes one
 * step. Extensions: Base, TIME, IPI, RFENCE, HSM, SRST and DBCN (chapters 4, 6, 7, 8, 9, 10 and 12 of the specification).
 */
import type { GuestMemory, StopRequest } from '../device.ts';
import type { RiscvCpu } from './cpu.ts';
import { MSTATUS, PRIV } from './hart.ts';

export const SBI_EXTENSION = {
  base: 0x10,
  time: 0x54494d45,
  ipi: 0x735049,
  rfence: 0x52464e43,
  hsm: 0x48534d,
  srst: 0x53525354,
  dbcn: 0x4442434e,
} as const;

const ERROR = { failed: -1n, notSupported: -2n, invalidParam: -3n, alreadyAvailable: -6n } as const;
const SPEC_VERSION = 2n << 24n;
/** Not one of the assigned numbers: 'Chr' in ASCII. */
const IMPLEMENTATION_ID = 0x436872n;
const IMPLEMENTATION_VERSION = 1n;
const HART_STATE = { started: 0n, stopped: 1n } as const;
const SSIP = 2n;
/** A console write of more than this is cut short, as the specification allows, so that one step stays one step. */
const DBCN_BYTES_MAX = 65536;
/** Flushing more pages than this one by one takes longer than flushing all. */
const FENCE_PAGES_MAX = 64n;

export interface SbiHost {
  readonly cpu: RiscvCpu;
  readonly memory: GuestMemory;
  output(data: Uint8Array): void;
  /** One byte that was typed, or -1. */
  input(): number;
  stop(request: StopRequest): void;
  note(hart: number, extension: number, fn: bigint): void;
}

type Answer = readonly [error: bigint, value: bigint];
const ok = (value = 0n): Answer => [0n, value];
const fail = (error: bigint): Answer => [error, 0n];

export class Sbi {
  readonly #host: SbiHost;

  constructor(host: SbiHost) {
    this.#host = host;
  }

  /** Serves the call that a hart has just made; arguments and results are in its registers a0 to a7. */
  call(hart: number): void {
    const { cpu } = this.#host;
    const extension = Number(BigInt.asUintN(32, cpu.x(hart, 17)));
    const fn = cpu.x(hart, 16);
    const args = [10, 11, 12, 13, 14].map((n) => cpu.x(hart, n));
    this.#host.note(hart, extension, fn);
    const [error, value] = this.#dispatch(hart, extension, Number(BigInt.asUintN(32, fn)), args);
    cpu.setX(hart, 10, error);
    cpu.setX(hart, 11, value);
  }

  #dispatch(hart: number, extension: number, fn: number, args: readonly bigint[]): Answer {
    switch (extension) {
      case SBI_EXTENSION.base:
        return this.#base(fn, args);
      case SBI_EXTENSION.time:
        if (fn !== 0) break;
        this.#host.cpu.set(hart, 'stimecmp', args[0]);
        return ok();
      case SBI_EXTENSION.ipi:
        if (fn !== 0) break;
        return this.#forHarts(args[0], args[1], (target) => {
          const { cpu } = this.#host;
          cpu.set(target, 'mip', cpu.get(target, 'mip') | SSIP);
        });
      case SBI_EXTENSION.rfence:
        return this.#fence(fn, args);
      case SBI_EXTENSION.hsm:
        return this.#hartState(hart, fn, args);
      case SBI_EXTENSION.srst:
        return fn === 0 ? this.#reset(args) : fail(ERROR.notSupported);
      case SBI_EXTENSION.dbcn:
        return this.#console(fn, args);
    }
    return fail(ERROR.notSupported);
  }

  #base(fn: number, args: readonly bigint[]): Answer {
    const known = Object.values(SBI_EXTENSION).some((id) => BigInt(id) === args[0]);
    switch (fn) {
      case 0:
        return ok(SPEC_VERSION);
      case 1:
        return ok(IMPLEMENTATION_ID);
      case 2:
        return ok(IMPLEMENTATION_VERSION);
      case 3:
        return ok(known ? 1n : 0n);
      // mvendorid, marchid and mimpid are zero.
      case 4:
      case 5:
      case 6:
        return ok();
    }
    return fail(ERROR.notSupported);
  }

  #forHarts(mask: bigint, base: bigint, action: (hart: number) => void): Answer {
    const { harts } = this.#host.cpu;
    const all = base === (1n << 64n) - 1n;
    const targets: number[] = [];
    for (let bit = 0n; bit < 64n; bit++) {
      if (all ? bit >= BigInt(harts) : !((mask >> bit) & 1n)) continue;
      const target = all ? bit : base + bit;
      if (target >= BigInt(harts)) return fail(ERROR.invalidParam);
      targets.push(Number(target));
    }
    targets.forEach(action);
    return ok();
  }

  #fence(fn: number, args: readonly bigint[]): Answer {
    const { cpu } = this.#host;
    const [mask, base, start, size] = args;
    if (fn === 0) return this.#forHarts(mask, base, (target) => cpu.set(target, 'fetchPage', -1n));
    if (fn !== 1 && fn !== 2) return fail(ERROR.notSupported);
    const pages = (size + 4095n) >> 12n;
    return this.#forHarts(mask, base, (target) => {
      if ((start === 0n && size === 0n) || pages > FENCE_PAGES_MAX) cpu.flushTlb(target);
      else for (let page = 0n; page < pages; page++) cpu.flushTlbPage(target, start + (page << 12n));
    });
  }

  #hartState(hart: number, fn: number, args: readonly bigint[]): Answer {
    const { cpu } = this.#host;
    const valid = (id: bigint) => id < BigInt(cpu.harts);
    switch (fn) {
      case 0: {
        const [id, address, opaque] = args;
        if (!valid(id)) return fail(ERROR.invalidParam);
        const target = Number(id);
        if (cpu.get32(target, 'stopped') === 0) return fail(ERROR.alreadyAvailable);
        startSupervisor(cpu, target, address, opaque);
        return ok();
      }
      case 1:
        cpu.set32(hart, 'stopped', 1);
        cpu.set32(hart, 'yields', 1);
        return ok();
      case 2:
        if (!valid(args[0])) return fail(ERROR.invalidParam);
        return ok(cpu.get32(Number(args[0]), 'stopped') ? HART_STATE.stopped : HART_STATE.started);
      case 3:
        // Retentive suspend waits as WFI does, and returns.
        if (args[0] !== 0n) return fail(ERROR.notSupported);
        cpu.set32(hart, 'waiting', 1);
        cpu.set32(hart, 'yields', 1);
        return ok();
    }
    return fail(ERROR.notSupported);
  }

  #reset(args: readonly bigint[]): Answer {
    const [type, reason] = args;
    if (type > 2n || reason > 1n) return fail(ERROR.invalidParam);
    this.#host.stop(type === 0n ? { kind: 'power-off', exitCode: reason === 0n ? 0 : 1 } : { kind: 'reboot' });
    return ok();
  }

  #console(fn: number, args: readonly bigint[]): Answer {
    const { memory } = this.#host;
    if (fn === 2) {
      this.#host.output(Uint8Array.of(Number(args[0] & 255n)));
      return ok();
    }
    if (fn > 2) return fail(ERROR.notSupported);
    const length = Math.min(Number(args[0]), DBCN_BYTES_MAX);
    const address = Number(args[1]);
    if (args[2] !== 0n || !memory.contains(address, length)) return fail(ERROR.invalidParam);
    if (fn === 0) {
      if (length > 0) this.#host.output(memory.read(address, length));
      return ok(BigInt(length));
    }
    const typed: number[] = [];
    while (typed.length < length) {
      const byte = this.#host.input();
      if (byte < 0) break;
      typed.push(byte);
    }
    if (typed.length > 0) memory.write(address, Uint8Array.from(typed));
    return ok(BigInt(typed.length));
  }
}

/** Puts a hart where firmware hands over: in S-mode at an address, a0 the hart's number, a1 the argument (section 9.1). */
export function startSupervisor(cpu: RiscvCpu, hart: number, address: bigint, argument: bigint): void {
  cpu.reset(hart);
  cpu.set(hart, 'pc', address);
  cpu.setX(hart, 10, BigInt(hart));
  cpu.setX(hart, 11, argument);
  cpu.set(hart, 'mstatus', cpu.get(hart, 'mstatus') | (MSTATUS.MPP & (1n << 11n)));
  // Every exception and interrupt of the supervisor is its own; counters and the timer are open to it.
  cpu.set(hart, 'medeleg', 0xb1ffn);
  cpu.set(hart, 'mideleg', 0x222n);
  cpu.set(hart, 'mcounteren', 7n);
  cpu.set(hart, 'menvcfg', 1n << 63n);
  // One protection entry opens all of memory: NAPOT over everything, readable, writable, executable.
  cpu.setPmp(hart, 0, 0x1f, (1n << 54n) - 1n);
  cpu.setPrivilege(hart, PRIV.S);
}
