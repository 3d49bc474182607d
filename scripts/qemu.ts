/** QEMU as an oracle: images run to their end, or machines stepped one instruction at a time. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

interface Running {
  child: ChildProcess;
  /** When QEMU has ended: rejects with what it said if it failed by itself. */
  ended: Promise<void>;
  /** Ends it, if it has not ended yet. */
  stop(): Promise<void>;
}

function startQemu(args: readonly string[], stdio: ('pipe' | 'ignore')[]): Running {
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
