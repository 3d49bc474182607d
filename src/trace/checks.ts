/**
 * What a trace can hold, checked where a record is made, so that the culprit is on the stack. Loads nothing of what encodes or compresses: the
 * thread that runs the guest has no use for that.
 */
import { assert, unreachable } from '../base/assert.ts';
import { type Input, TURN_STEPS_MAX } from '../vmm/inputs.ts';
import { HARTS_MAX, PAGE_BYTES } from '../vmm/layout.ts';
import { HASH_BYTES, type PageChanges } from './changes.ts';
import type { Mark } from './schema.ts';

/** Of a machine's state without its memory. It has devices' buffers in it. */
export const STATE_BYTES_MAX = 64 * 2 ** 20;
/** Of one console or entropy input: a chunk of inputs must stay small. */
const DATA_BYTES_MAX = 1 << 20;

/** A checkpoint as it is written, with the numbers of its pages' contents; those that are new have been handed over before it. */
export interface Checkpoint extends Mark, PageChanges {
  /** 16 bytes. */
  digest: Uint8Array;
  /** Machine state without its memory. */
  state: Uint8Array;
}

/** A checkpoint as the recorder takes it; the contents of its other pages go before it. */
export interface TakenCheckpoint extends Mark {
  /** Machine state without its memory. */
  state: Uint8Array;
  /** Changed since the previous checkpoint, or existing, for the first: page numbers, ascending. */
  pages: Uint32Array;
  /** Those of them that are no more. */
  absent: number[];
  /** And those that hold nothing but zeros: over a third of what a booting kernel writes. */
  zeros: number[];
}

/** Our own numbers, before they are written: what cannot be read back must never be written. */
export function checkWhole(value: number, name: string) {
  assert(Number.isSafeInteger(value) && value >= 0, `${name} ${value} is not a whole number below 2^53`);
}

/** Finds what the format cannot hold, before it is too late to say who made it. */
export function checkInput(input: Input) {
  switch (input.kind) {
    case 'clock':
      checkWhole(input.timeNs, 'clock time');
      checkWhole(input.psPerStep, 'clock rate');
      break;
    case 'block':
      checkWhole(input.disk, 'disk');
      checkWhole(input.block, 'block');
      assert(input.data.length === PAGE_BYTES, `a disk block of ${input.data.length} bytes`);
      break;
    case 'console':
    case 'entropy':
      assert(input.data.length <= DATA_BYTES_MAX, `${input.data.length} bytes in one input`);
      break;
    case 'memory':
      checkWhole(input.address, 'address');
      assert(input.data.length <= DATA_BYTES_MAX, `${input.data.length} bytes in one input`);
      break;
    case 'register':
      assert(input.value >= 0n && input.value < 1n << 64n, `${input.value} has more than 64 bits`);
      break;
    case 'turn':
      assert(isTurn(input.hart, input.steps), `a turn of ${input.steps} steps for hart ${input.hart}`);
      break;
    case 'command':
      break;
    default:
      unreachable(input);
  }
}

/** Whether a machine may have such a turn. */
export function isTurn(hart: number, steps: number): boolean {
  const whole = Number.isInteger(hart) && Number.isInteger(steps);
  return whole && hart >= 0 && hart < HARTS_MAX && steps > 0 && steps <= TURN_STEPS_MAX;
}

export function checkTaken({ position, timeNs, state, pages }: Omit<TakenCheckpoint, 'absent' | 'zeros'>) {
  checkWhole(position, 'position');
  checkWhole(timeNs, 'time');
  assert(state.length <= STATE_BYTES_MAX, `a machine state of ${state.length} bytes`);
  assert(isAscending(pages), 'changed pages are not ascending');
}

export function checkCheckpoint(checkpoint: Checkpoint) {
  checkTaken(checkpoint);
  const { digest, pages, hashes } = checkpoint;
  assert(digest.length === 16, `a digest of ${digest.length} bytes`);
  assert(hashes.length === pages.length * HASH_BYTES, `${hashes.length} bytes of hashes for ${pages.length} pages`);
}

function isAscending(pages: ArrayLike<number>): boolean {
  for (let i = 1; i < pages.length; i++) if (pages[i] <= pages[i - 1]) return false;
  return true;
}
