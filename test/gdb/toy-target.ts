/**
 * A machine small enough to be written down: a target for tests of the protocol. Hart p % 2 takes the step from position p. Each hart goes round a
 * loop of ten instructions of 4 bytes; the last of them writes the hart's number of rounds to its word in memory.
 */
import { type GdbTarget, type Motion, type Point, type Print, type Stop, TargetError } from '../../src/gdb/target.ts';
import { runAgentCode } from './agent-machine.ts';

export const CODE = 0x8000_0000n;
export const WORDS = 0x9000_0000n;
const MEMORY_BYTES = 0x3000;
const LOOP = 10;
export const END = 400;

export class ToyTarget implements GdbTarget {
  readonly harts = 2;
  readonly csrs = ['satp', 'mstatus', 'fcsr'];
  position = 100;
  readonly commands: string[] = [];
  /** Motions end only by being interrupted. */
  endless = false;

  async where(): Promise<Stop> {
    return { reason: 'done', hart: this.position % 2 };
  }

  async registers(hart: number): Promise<ReadonlyMap<string, bigint>> {
    return new Map(Object.entries(this.#values(hart)));
  }

  async memory(_hart: number, address: bigint, length: number): Promise<Uint8Array> {
    const offset = Number(address - WORDS);
    return offset < 0 ? new Uint8Array(0) : this.#words().subarray(offset, Math.min(offset + length, MEMORY_BYTES));
  }

  async describe(hart: number): Promise<string> {
    return `at <${this.#pc(hart, this.position).toString(16)}>`;
  }

  async resume(motion: Motion, print: Print, signal: AbortSignal): Promise<Stop> {
    if (this.endless) {
      print('running\n');
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      return { reason: 'interrupted', hart: 1 };
    }
    return motion.direction === 'forward' ? this.#forward(motion) : this.#back(motion);
  }

  async restart(args: readonly string[]): Promise<Stop> {
    if (args[0] === 'nowhere') throw new TargetError('there is no such place');
    this.position = Number(args[0] ?? 0);
    return this.where();
  }

  async monitor(command: string, print: Print): Promise<void> {
    this.commands.push(command);
    if (command === 'fail') throw new TargetError('this fails');
    if (command === 'last') this.position = END;
    print(`did ${command}\n`);
  }

  #forward({ how, points }: Motion): Stop {
    const start = this.position;
    for (; this.position < END; this.position++) {
      const hart = this.position % 2;
      const hit = points.find((point) => this.#hits(point) && (point.kind === 'watchpoint' || this.position > start));
      if (hit && (how.kind !== 'step' || hit.kind === 'watchpoint')) return this.#stopAt(hit, hart);
      if (how.kind === 'continue' || how.hart !== hart) continue;
      const next = this.#pc(hart, this.position + 1);
      if (how.kind === 'range' && how.start <= next && next < how.end) continue;
      this.position++;
      return { reason: 'done', hart };
    }
    return { reason: 'end', hart: this.position % 2 };
  }

  #back({ how, points }: Motion): Stop {
    while (this.position > 0) {
      this.position--;
      const hart = this.position % 2;
      const hit = points.find((point) => this.#hits(point));
      if (hit?.kind === 'watchpoint') this.position++;
      if (hit && how.kind === 'continue') return this.#stopAt(hit, hart);
      if (how.kind !== 'continue' && how.hart === hart) return { reason: 'done', hart };
    }
    return { reason: 'begin', hart: 0 };
  }

  #stopAt(point: Point, hart: number): Stop {
    return point.kind === 'breakpoint'
      ? { reason: 'breakpoint', hart, point }
      : { reason: 'watchpoint', hart, point, address: point.address };
  }

  #hits(point: Point): boolean {
    const hart = this.position % 2;
    if (point.kind === 'watchpoint') {
      const word = WORDS + BigInt(8 * hart);
      if (point.access === 'read' || word >= point.address + BigInt(point.length) || word + 8n <= point.address)
        return false;
      if (this.#round(hart, this.position + 1) === this.#round(hart, this.position)) return false;
    } else if (this.#pc(hart, this.position) !== point.address) {
      return false;
    }
    const names = ['zero', 'ra', 'sp'];
    const values = this.#values(hart);
    const state = {
      register: (number: number) => values[names[number]] ?? null,
      load: (address: bigint) => Buffer.from(this.#words()).readBigUInt64LE(Number(address - WORDS)),
    };
    const conditions = point.conditions.map((code) => runAgentCode(code, state));
    return conditions.length === 0 || conditions.some((value) => value !== 0n);
  }

  /** Steps of a hart before a position. */
  #steps(hart: number, position: number): number {
    return Math.floor((position + 1 - hart) / 2);
  }
  #round(hart: number, position: number): bigint {
    return BigInt(Math.floor(this.#steps(hart, position) / LOOP));
  }
  #pc(hart: number, position: number): bigint {
    return CODE + BigInt(4 * (this.#steps(hart, position) % LOOP));
  }
  #values(hart: number): Record<string, bigint> {
    const round = this.#round(hart, this.position);
    return {
      zero: 0n,
      ra: round,
      sp: WORDS,
      fp: 1n,
      pc: this.#pc(hart, this.position),
      satp: 0x8123n,
      priv: 3n,
      fcsr: 0x21n,
    };
  }
  #words(): Uint8Array {
    const bytes = Buffer.alloc(MEMORY_BYTES);
    bytes.writeBigUInt64LE(this.#round(0, this.position), 0);
    bytes.writeBigUInt64LE(this.#round(1, this.position), 8);
    bytes.write('needle', 0x2ffa, 'latin1');
    return bytes;
  }
}
