/** QEMU as an oracle: images run to their end, or machines stepped one instruction at a time. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  describeRegisters,
  fromLittleEndianHex,
  GdbClient,
  littleEndianHex,
  type RegisterDescription,
} from './gdb-client.ts';
import { requireProgram } from './process.ts';

/** The processor that ours is compared with: RV64GC, Zba, Zbb, Zbs, Sstc, and none of QEMU's other extensions. */
export const QEMU_CPU =
  'rv64,zba=true,zbb=true,zbs=true,zbc=false,sstc=true,h=false,v=false,svinval=false,svpbmt=false,svnapot=false,Zfh=false';

/** Where the `virt` board's memory begins. */
const MEMORY_START = 0x80000000;

export interface ImageRun {
  /** Flat, for the start of memory. */
  image: Uint8Array;
  /** Ranges of guest-physical memory to read once the machine has powered off or time is up. */
  dump: readonly { address: number; bytes: number }[];
  timeoutMs: number;
  memoryMiB?: number;
}

/**
 * Boots a bare M-mode image on one hart of the `virt` board and returns the wanted memory at its end. QEMU exits at once
 * when the guest powers off, so guest memory is a file that outlives it.
 */
export async function runImage(run: ImageRun): Promise<{ poweredOff: boolean; dumps: Uint8Array[] }> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'chronovisor-qemu-'));
  const memoryPath = join(folder, 'memory');
  const memoryMiB = run.memoryMiB ?? 64;
  fs.writeFileSync(memoryPath, run.image);
  fs.truncateSync(memoryPath, memoryMiB * 2 ** 20);
  const backend = `memory-backend-file,id=ram,size=${memoryMiB}M,mem-path=${memoryPath},share=on`;
  const machine = ['-M', 'virt,memory-backend=ram', '-object', backend, '-cpu', QEMU_CPU, '-smp', '1'];
  const channels = ['-display', 'none', '-serial', 'none', '-monitor', 'none'];
  const qemu = startQemu(
    [...machine, '-m', `${memoryMiB}M`, '-bios', 'none', ...channels],
    ['ignore', 'ignore', 'pipe'],
  );
  try {
    const poweredOff = await Promise.race([qemu.ended.then(() => true), afterMs(run.timeoutMs).then(() => false)]);
    await qemu.stop();
    const memory = fs.openSync(memoryPath, 'r');
    const dumps = run.dump.map(({ address, bytes }) => {
      const data = new Uint8Array(bytes);
      fs.readSync(memory, data, 0, bytes, address - MEMORY_START);
      return data;
    });
    fs.closeSync(memory);
    return { poweredOff, dumps };
  } finally {
    await qemu.stop();
    fs.rmSync(folder, { recursive: true });
  }
}

export interface Running {
  child: ChildProcess;
  /** When QEMU has ended: rejects with what it said if it failed by itself. */
  ended: Promise<void>;
  /** Ends it, if it has not ended yet. */
  stop(): Promise<void>;
}

export function startQemu(args: readonly string[], stdio: ('pipe' | 'ignore' | number)[]): Running {
  const child = spawn(requireProgram('qemu-system-riscv64', 'qemu-system-misc'), args, { stdio });
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    words += chunk.toString();
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve();
      else reject(new Error(`QEMU ended with ${signal ?? code}: ${words.trim()}`));
    });
  });
  ended.catch(() => {});
  const stop = async () => {
    child.kill('SIGKILL');
    await ended.catch(() => {});
  };
  return { child, ended, stop };
}

function afterMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

export interface GuestOptions {
  kernel?: string;
  initrd?: string;
  append?: string;
  /** A firmware file, or `none`; QEMU's own OpenSBI if absent. */
  bios?: string;
  memoryMiB?: number;
  harts?: number;
  /** Bytes put into memory before reset. */
  load?: { path: string; address: number };
  /** Further options of QEMU's command line. */
  extra?: readonly string[];
}

export function guestArguments(guest: GuestOptions): string[] {
  const options = [
    '-M',
    'virt',
    '-cpu',
    QEMU_CPU,
    '-m',
    `${guest.memoryMiB ?? 128}M`,
    '-smp',
    String(guest.harts ?? 1),
  ];
  for (const name of ['kernel', 'initrd', 'append', 'bios'] as const) {
    const value = guest[name];
    if (value !== undefined) options.push(`-${name}`, value);
  }
  if (guest.load) {
    const { path, address } = guest.load;
    options.push('-device', `loader,file=${path},addr=0x${address.toString(16)},force-raw=on`);
  }
  return [...options, '-display', 'none', '-monitor', 'none', ...(guest.extra ?? ['-serial', 'none'])];
}

/** One hart's state; `csr` holds what was asked for and exists. */
export interface OracleState {
  pc: bigint;
  x: bigint[];
  f: bigint[];
  csr: Map<string, bigint>;
  priv: number;
}

const STEPPED_CSRS = (
  'mstatus mtvec mepc mcause mtval mscratch mie mip medeleg mideleg ' + 'stvec sepc scause stval sscratch satp fcsr'
).split(' ');

/**
 * A QEMU under the control of its gdb stub, stopped at reset. A step is one instruction, or one trap taken. Threads of
 * the stub are harts, counted from 1.
 */
export class QemuOracle {
  readonly #qemu: Running;
  readonly #gdb: GdbClient;
  readonly #folder: string;
  readonly #numbers = new Map<string, RegisterDescription>();
  #hart = 0;

  private constructor(qemu: Running, gdb: GdbClient, folder: string) {
    this.#qemu = qemu;
    this.#gdb = gdb;
    this.#folder = folder;
  }

  static async start(guest: GuestOptions): Promise<QemuOracle> {
    const folder = fs.mkdtempSync(join(tmpdir(), 'chronovisor-qemu-'));
    const socket = join(folder, 'gdb');
    const qemu = startQemu(
      [...guestArguments(guest), '-S', '-gdb', `unix:${socket},server=on,wait=off`],
      ['ignore', 'ignore', 'pipe'],
    );
    try {
      const gdb = await Promise.race([connectWhenReady(socket), qemu.ended.then(() => undefined)]);
      if (gdb === undefined) throw new Error('QEMU ended before its gdb stub was there');
      const oracle = new QemuOracle(qemu, gdb, folder);
      await oracle.#handshake();
      return oracle;
    } catch (error) {
      await qemu.stop();
      fs.rmSync(folder, { recursive: true });
      throw error;
    }
  }

  async #handshake(): Promise<void> {
    await this.#gdb.request('QStartNoAckMode');
    this.#gdb.acknowledge();
    await this.#gdb.request('qSupported:xmlRegisters=riscv');
    for (const register of await describeRegisters(this.#gdb)) this.#numbers.set(register.name, register);
    // The description is made at reset, with floating point off, and leaves these out; the stub reads them all the same.
    const sstatus = this.#numbers.get('sstatus');
    if (sstatus !== undefined) {
      const csrBase = sstatus.number - 0x100;
      for (const [index, name] of ['fflags', 'frm', 'fcsr'].entries()) {
        if (!this.#numbers.has(name)) this.#numbers.set(name, { ...sstatus, name, number: csrBase + 1 + index });
      }
    }
    await this.#gdb.request('?');
    await this.selectHart(0);
    await this.deliverInterrupts(true);
    await this.physicalMemory(true);
  }

  /** Names of all registers that the stub knows, CSRs included. */
  get registerNames(): string[] {
    return [...this.#numbers.keys()];
  }

  /** The hart that registers and steps are of. */
  async selectHart(hart: number): Promise<void> {
    this.#hart = hart;
    await this.#command(`Hg${(hart + 1).toString(16)}`);
  }

  /** Whether interrupts are taken and timers run while stepping: yes, unless said otherwise. */
  async deliverInterrupts(on: boolean): Promise<void> {
    const [enable, noInterrupts, noTimers] = [1, 2, 4];
    await this.#command(`Qqemu.sstep=${(on ? enable : enable | noInterrupts | noTimers).toString(16)}`);
  }

  /** Whether memory addresses are guest-physical (as they are at first) or go through the hart's translation. */
  async physicalMemory(on: boolean): Promise<void> {
    await this.#command(`Qqemu.PhyMemMode:${on ? 1 : 0}`);
  }

  /** All general registers, and the CSRs of that list that exist. All requests go out at once. */
  async registers(csrs: readonly string[] = STEPPED_CSRS, float = true): Promise<OracleState> {
    const general = this.#gdb.request('g');
    const floatNames = float ? FLOAT_REGISTERS : [];
    const f = floatNames.map((name) => this.readRegister(name));
    const values = csrs.map((name) => this.readRegister(name));
    const priv = this.readRegister('priv');
    const bytes = await general;
    const x = Array.from({ length: 33 }, (_, index) => fromLittleEndianHex(bytes.slice(16 * index, 16 * index + 16)));
    const csr = new Map<string, bigint>();
    for (const [index, value] of (await Promise.all(values)).entries()) {
      if (value !== undefined) csr.set(csrs[index], value);
    }
    const floats = (await Promise.all(f)).map((value) => value ?? 0n);
    return { pc: x[32], x: x.slice(0, 32), f: floats, csr, priv: Number((await priv) ?? 3n) };
  }

  /** Undefined if there is no such register, or the hart has no such CSR. */
  async readRegister(name: string): Promise<bigint | undefined> {
    const register = this.#numbers.get(name);
    if (register === undefined) return undefined;
    const answer = await this.#gdb.request(`p${register.number.toString(16)}`);
    return /^([0-9a-f]{2})+$/.test(answer) ? fromLittleEndianHex(answer) : undefined;
  }

  async writeRegister(name: string, value: bigint): Promise<void> {
    const register = this.#numbers.get(name);
    if (register === undefined) throw new Error(`QEMU has no register ${name}`);
    await this.#command(`P${register.number.toString(16)}=${littleEndianHex(value, register.bits / 8)}`);
  }

  async readMemory(address: bigint, bytes: number): Promise<Uint8Array> {
    const chunkBytes = 0x400;
    const requests: Promise<string>[] = [];
    for (let at = 0; at < bytes; at += chunkBytes) {
      const length = Math.min(chunkBytes, bytes - at);
      requests.push(this.#gdb.request(`m${(address + BigInt(at)).toString(16)},${length.toString(16)}`));
    }
    const data = Buffer.from((await Promise.all(requests)).join(''), 'hex');
    if (data.length !== bytes) throw new Error(`QEMU cannot read ${bytes} bytes at 0x${address.toString(16)}`);
    return new Uint8Array(data);
  }

  async writeMemory(address: bigint, data: Uint8Array): Promise<void> {
    const chunkBytes = 0x400;
    for (let at = 0; at < data.length; at += chunkBytes) {
      const chunk = Buffer.from(data.subarray(at, at + chunkBytes));
      const range = `${(address + BigInt(at)).toString(16)},${chunk.length.toString(16)}`;
      await this.#command(`M${range}:${chunk.toString('hex')}`);
    }
  }

  async setBreakpoint(address: bigint): Promise<void> {
    await this.#command(`Z0,${address.toString(16)},4`);
  }

  async clearBreakpoint(address: bigint): Promise<void> {
    await this.#command(`z0,${address.toString(16)},4`);
  }

  /** Steps the selected hart; the others stand still. */
  async step(count = 1): Promise<void> {
    const packet = `vCont;s:${(this.#hart + 1).toString(16)}`;
    for (let done = 0; done < count; done++) checkStopped(await this.#gdb.request(packet));
  }

  /** Runs all harts to a breakpoint; an error if none is hit in time. */
  async continue(timeoutMs = 60_000): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#gdb.interrupt();
    }, timeoutMs);
    try {
      checkStopped(await this.#gdb.request('vCont;c'));
    } finally {
      clearTimeout(timer);
    }
    if (late) throw new Error(`no breakpoint was hit in ${timeoutMs} ms`);
  }

  async close(): Promise<void> {
    this.#gdb.close();
    await this.#qemu.stop();
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  async #command(packet: string): Promise<void> {
    const answer = await this.#gdb.request(packet);
    if (answer !== 'OK') throw new Error(`QEMU answers ${packet} with ${answer || 'nothing'}`);
  }
}

const FLOAT_REGISTERS = (
  'ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 ' +
  'fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11'
).split(' ');

function checkStopped(reply: string): void {
  if (!/^[ST]05/.test(reply)) throw new Error(`QEMU stopped with ${reply}`);
}

async function connectWhenReady(socket: string): Promise<GdbClient> {
  for (let tries = 0; ; tries++) {
    try {
      return await GdbClient.connect(socket);
    } catch (error) {
      if (tries === 500) throw error;
      await afterMs(20);
    }
  }
}
