/** Thousands of damaged traces and kernels: each is refused with a message or read up to the damage. Never a crash, a hang or a wrong replay. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Divergence, UserError } from '../../src/base/assert.ts';
import { Random } from '../../src/base/random.ts';
import { verify } from '../../src/replay/verify.ts';
import { MemorySource } from '../../src/trace/file.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { planBoot } from '../../src/vmm/riscv/boot.ts';
import { chronovisor, EMBEDDED_KERNEL } from '../support/guests.ts';
import { recordSmall, testGuest } from './small.ts';

const folder = mkdtempSync(join(tmpdir(), 'chronovisor-fuzz-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let small = new Uint8Array();
let busy = new Uint8Array();
before(async () => {
  const path = join(folder, 'exit.trace');
  await chronovisor('record', '--bios', 'none', '--memory', '16M', '--kernel', testGuest('exit'), '-o', path);
  small = new Uint8Array(readFileSync(path));
  busy = new Uint8Array(readFileSync(await recordSmall(folder, 'busy', 'echo hello\npoweroff\n')));
});

/** One change of a kind that disks, networks and people make. */
function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length);
  const length = 1 + random.below(random.pick([1, 8, 500]));
  switch (random.below(5)) {
    case 0:
    case 1: {
      const copy = bytes.slice();
      copy[at] ^= 1 << random.below(8);
      return copy;
    }
    case 2:
      return bytes.slice(0, at);
    case 3:
      return new Uint8Array(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]));
    default: {
      const noise = Uint8Array.from({ length }, () => random.below(256));
      return new Uint8Array(Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at + length)]));
    }
  }
}

/** Does something that may be refused; any other failure fails the test. Returns the refusal. */
function attempt(what: string, action: () => void): Error | null {
  try {
    action();
    return null;
  } catch (error) {
    if (error instanceof UserError || error instanceof Divergence) return error;
    throw new Error(what, { cause: error });
  }
}

function readAll(reader: TraceReader): void {
  Array.from(reader.inputs());
  Array.from(reader.journal());
  Array.from(reader.consoleOutput());
  for (const checkpoint of reader.checkpoints) {
    reader.state(checkpoint);
    reader.changes(checkpoint);
  }
}

/** The console as text, or what of it came before a refusal. */
function replayed(bytes: Uint8Array, what: string): { shown: string; refusal: Error | null } {
  let shown = '';
  const decoder = new TextDecoder('latin1');
  const refusal = attempt(what, () => {
    verify(new TraceReader(new MemorySource(bytes), 'damaged.trace'), {
      output: (_device, data) => {
        shown += decoder.decode(data);
      },
    });
  });
  return { shown, refusal };
}

test('damaged traces are noticed, all of them', () => {
  const random = new Random(61);
  for (let i = 0; i < 4000; i++) {
    const whole = i % 2 === 0 ? small : busy;
    const data = damaged(whole, random);
    if (Buffer.compare(data, whole) === 0) continue;
    const what = `trace ${i}`;
    let noticed = false;
    const refusal = attempt(what, () => {
      const reader = new TraceReader(new MemorySource(data), 'damaged.trace', { check: true });
      noticed = reader.damage !== undefined || reader.end === undefined || reader.lostBytes > 0;
      readAll(reader);
    });
    assert.ok(noticed || refusal, `${what} was taken for whole`);
    attempt(what, () => readAll(new TraceReader(new MemorySource(data), 'damaged.trace')));
  }
});

test('damaged traces never replay as something else', () => {
  const random = new Random(62);
  const whole = replayed(busy, 'whole');
  assert.equal(whole.refusal, null);
  for (let i = 0; i < 60; i++) {
    const { shown, refusal } = replayed(damaged(busy, random), `trace ${i}`);
    assert.ok(whole.shown.startsWith(shown), `trace ${i} showed another console`);
    assert.ok(!(refusal instanceof Divergence), `trace ${i}: ${refusal?.message}`);
  }
  for (let i = 0; i < 120; i++) {
    const { refusal } = replayed(damaged(small, random), `small trace ${i}`);
    assert.ok(!(refusal instanceof Divergence), `small trace ${i}: ${refusal?.message}`);
  }
});

test('damaged kernels are loaded or refused', () => {
  const random = new Random(63);
  const elf = new Uint8Array(readFileSync(EMBEDDED_KERNEL));
  const headers = elf.slice(0, 64 + 56 * 5);
  for (let i = 0; i < 3000; i++) {
    // Most damage falls on code, which nobody reads; the headers get their share here.
    const bytes = i % 3 === 0 ? damaged(elf, random) : elf.slice();
    if (i % 3 !== 0) bytes.set(damaged(headers, random).subarray(0, headers.length));
    for (const bios of ['none', 'builtin'] as const) {
      attempt(`kernel ${i}`, () => planBoot({ bios, kernel: { name: 'kernel', bytes }, initrd: null }, 2 ** 26));
    }
  }
});
