/**
 * The state before every single instruction of a run on QEMU, from its own log: some thirty times as quick as stepping
 * through the gdb stub, and the guest runs as it would. No state is logged for a step that executes nothing: an
 * interrupt taken, or a fetch that faults, shows only in the state after it.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './process.ts';
import { type GuestOptions, guestArguments, startQemu } from './qemu.ts';

export class TracedState {
  readonly pc: bigint;
  readonly priv: number;
  readonly hart: number;
  /** QEMU's own words. */
  readonly text: string;

  constructor(text: string) {
    const header = /^Trace (\d+): \S+ \[[0-9a-f]+\/([0-9a-f]+)\/([0-9a-f]+)/.exec(text);
    if (header === null) throw new Error(`not a state in QEMU's log: ${text.slice(0, 80)}`);
    this.hart = Number(header[1]);
    this.pc = BigInt(`0x${header[2]}`);
    const privilegeMask = 3;
    this.priv = Number.parseInt(header[3], 16) & privilegeMask;
    this.text = text;
  }

  get x(): bigint[] {
    return this.#registers(/ x\d+\/\w+ +([0-9a-f]{16})/g);
  }
  /** Empty unless the trace was started with `float`. */
  get f(): bigint[] {
    return this.#registers(/ f\d+\/\w+ +([0-9a-f]{16})/g);
  }
  /** The CSRs that QEMU logs: traps, interrupts, delegation, satp. */
  get csr(): Map<string, bigint> {
    const pairs = this.text.matchAll(/^ ([a-z]+\d?) +([0-9a-f]{16})$/gm);
    return new Map([...pairs].map(([, name, value]) => [name, BigInt(`0x${value}`)]));
  }

  #registers(pattern: RegExp): bigint[] {
    return [...this.text.matchAll(pattern)].map(([, value]) => BigInt(`0x${value}`));
  }
}

export interface TraceOptions {
  float?: boolean;
}

/** Ends when the guest powers off, or when the consumer stops asking. */
export async function* traceQemu(guest: GuestOptions, options: TraceOptions = {}): AsyncGenerator<TracedState> {
  const items = `nochain,exec,cpu${options.float ? ',fpu' : ''}`;
  // Guest time counts instructions, so that two runs are alike.
  const log = ['-singlestep', '-icount', 'shift=0,sleep=off', '-d', items, '-D', '/dev/stdout'];
  const { output, input } = await openPipe();
  const qemu = startQemu([...guestArguments(guest), ...log], ['ignore', input, 'pipe']);
  fs.closeSync(input);
  try {
    let rest = '';
    output.setEncoding('latin1');
    for await (const chunk of output) {
      const parts: string[] = (rest + chunk).split(/^(?=Trace )/m);
      rest = parts.pop() ?? '';
      for (const part of parts) if (executed(part)) yield new TracedState(part);
    }
    await qemu.ended;
    if (executed(rest)) yield new TracedState(rest);
  } finally {
    output.destroy();
    await qemu.stop();
  }
}

/**
 * A pipe that QEMU can open by name as its standard output: what Node makes for a child is a socket. The writing end is
 * open before QEMU has it, so the reader waits instead of seeing an end.
 */
async function openPipe(): Promise<{ output: net.Socket; input: number }> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'chronovisor-qemu-'));
  const path = join(folder, 'log');
  await run('mkfifo', [path]);
  const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const input = fs.openSync(path, fs.constants.O_WRONLY);
  fs.rmSync(folder, { recursive: true });
  return { output: new net.Socket({ fd: reader, readable: true, writable: false }), input };
}

/** Whether the block was run, and not left at once for an interrupt: then QEMU logs it again later. */
function executed(part: string): boolean {
  return part.startsWith('Trace ') && !part.includes('Stopped execution of TB chain before');
}
