/**
 * QEMU's reverse debugging, for comparison: it records with counted instructions, replays with one snapshot at the beginning, and answers a
 * debugger's `bs` by a replay from there.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GdbClient, StubClosed } from '../scripts/gdb-client.ts';
import { findProgram, run } from '../scripts/process.ts';
import { guestArguments, type Running, startQemu } from '../scripts/qemu.ts';
import type { BenchGuest } from './guests.ts';
import { measure } from './process.ts';

export interface ReverseStep {
  /** How long the replay had run before, ms. */
  readonly afterMs: number;
  /** What one step back took, ms; null if there was no answer in time. */
  readonly ms: number | null;
  /** What QEMU did instead of answering, if it did not stay. */
  readonly ended: string | null;
}

const ANSWER_MS_MAX = 60_000;
const RECORD_MS_MAX = 300_000;
/** QEMU has some seconds to tell how it ended after its stub has gone. */
const ENDING_MS_MAX = 5_000;
/** How far the replay runs before, as parts of the time that the recording took: a replay takes as long, and then QEMU ends. */
const PARTS = [0.1, 0.6];

/** Null where QEMU, or what makes its snapshots possible, is not installed. */
export async function benchQemuReverse(guest: BenchGuest): Promise<ReverseStep[] | null> {
  if (!findProgram('qemu-system-riscv64') || !findProgram('qemu-img')) return null;
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-bench-'));
  try {
    // Snapshots need a disk that can hold them, though the guest has no use for it.
    const disk = join(folder, 'snapshots.qcow2');
    await run('qemu-img', ['create', '-f', 'qcow2', disk, '4G']);
    const log = join(folder, 'rr.log');
    const argumentsFor = (mode: 'record' | 'replay', more: readonly string[]) => {
      const { kernel, bios, harts, memoryMiB, initrd, append } = guest;
      const linux = initrd === null ? {} : { initrd, append };
      const extra = [
        ...['-icount', `shift=1,rr=${mode},rrfile=${log},rrsnapshot=start`, '-no-reboot'],
        ...['-drive', `file=${disk},if=none,id=snapshots,format=qcow2`, '-serial', `file:${join(folder, mode)}`],
        ...more,
      ];
      return guestArguments({ kernel, bios, harts, memoryMiB, extra, ...linux });
    };
    const { wallMs } = await measure('qemu-system-riscv64', argumentsFor('record', []), [], RECORD_MS_MAX);
    const steps: ReverseStep[] = [];
    for (const part of PARTS) {
      const afterMs = wallMs * part;
      const socket = join(folder, `gdb-${part}`);
      const replay = argumentsFor('replay', ['-S', '-gdb', `unix:${socket},server=on,wait=off`]);
      const qemu = startQemu(replay, ['ignore', 'ignore', 'pipe']);
      const began = performance.now();
      try {
        steps.push({ afterMs, ms: await stepBack(await connect(socket), afterMs), ended: null });
      } catch (error) {
        if (!(error instanceof StubClosed)) throw error;
        const closedMs = performance.now() - began;
        steps.push({ afterMs, ms: null, ended: `${await endOf(qemu)} after ${(closedMs / 1000).toFixed(1)} s` });
      } finally {
        await qemu.stop();
      }
    }
    return steps;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function stepBack(gdb: GdbClient, afterMs: number): Promise<number | null> {
  await gdb.request('QStartNoAckMode');
  gdb.acknowledge();
  await gdb.request('qSupported:xmlRegisters=riscv');
  const stopped = gdb.request('c');
  // The guest may have come to its end by itself.
  const early = await Promise.race([stopped, delay(afterMs)]);
  if (early === null) gdb.interrupt();
  if (/^[WX]/.test(await stopped)) throw new StubClosed();
  const began = performance.now();
  const answer = await Promise.race([gdb.request('bs'), delay(ANSWER_MS_MAX)]);
  gdb.close();
  return answer === null ? null : performance.now() - began;
}

/** How QEMU ended, with the last line that it said. */
async function endOf({ ended }: Running): Promise<string> {
  const exited = ended.then(
    () => 'QEMU ended by itself',
    ({ message }: Error) => message.replace(/:[\s\S]*\n/, ': '),
  );
  return (await Promise.race([exited, delay(ENDING_MS_MAX)])) ?? "QEMU's stub closed the connection";
}

function delay(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(resolve, ms, null));
}

async function connect(socket: string): Promise<GdbClient> {
  for (let tries = 0; ; tries++) {
    try {
      return await GdbClient.connect(socket);
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export function qemuReverseText(steps: readonly ReverseStep[]): string {
  const parts = steps.map(({ afterMs, ms, ended }) => {
    const none = ended ?? `no answer within ${ANSWER_MS_MAX / 1000} s`;
    return `${ms === null ? none : `${(ms / 1000).toFixed(2)} s`}, asked after ${(afterMs / 1000).toFixed(1)} s of replay`;
  });
  return `  QEMU's reverse-stepi: ${parts.join('; ')}`;
}
