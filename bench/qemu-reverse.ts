/**
 * QEMU's reverse debugging, for comparison: it records with counted instructions, replays with one snapshot at the beginning, and answers a
 * debugger's `bs` by a replay from there.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GdbClient } from '../scripts/gdb-client.ts';
import { findProgram, run } from '../scripts/process.ts';
import { guestArguments, startQemu } from '../scripts/qemu.ts';
import type { BenchGuest } from './guests.ts';
import { measure } from './process.ts';

export interface ReverseStep {
  /** How long the replay had run before, ms. */
  readonly afterMs: number;
  /** What one step back took, ms; null if there was no answer in time. */
  readonly ms: number | null;
}

const ANSWER_MS_MAX = 60_000;
const RECORD_MS_MAX = 300_000;
/** The guest's boot takes some seconds in replay. */
const AFTER_MS = [500, 2_500];

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
    await measure('qemu-system-riscv64', argumentsFor('record', []), [], RECORD_MS_MAX);
    const steps: ReverseStep[] = [];
    for (const afterMs of AFTER_MS) {
      const socket = join(folder, `gdb-${afterMs}`);
      const replay = argumentsFor('replay', ['-S', '-gdb', `unix:${socket},server=on,wait=off`]);
      const qemu = startQemu(replay, ['ignore', 'ignore', 'ignore']);
      try {
        steps.push({ afterMs, ms: await stepBack(await connect(socket), afterMs) });
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
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  gdb.interrupt();
  await stopped;
  const began = performance.now();
  const answer = await Promise.race([
    gdb.request('bs').catch(() => null),
    new Promise<null>((resolve) => setTimeout(resolve, ANSWER_MS_MAX, null)),
  ]);
  gdb.close();
  return answer === null ? null : performance.now() - began;
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
  const parts = steps.map(({ afterMs, ms }) => {
    const took = ms === null ? `no answer within ${ANSWER_MS_MAX / 1000} s` : `${(ms / 1000).toFixed(2)} s`;
    return `${took} after ${afterMs / 1000} s of replay`;
  });
  return `  QEMU's reverse-stepi: ${parts.join(', ')}`;
}
