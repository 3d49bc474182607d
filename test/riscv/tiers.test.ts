/** The interpreter, compiled code and any mixture of them come to the same states at the same positions. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random } from '../../src/base/random.ts';
import { bootVirt, buildVirt, type VirtMachine } from '../../src/vmm/riscv/virt.ts';

const KERNEL = fileURLToPath(new URL('../../../guests/embedded/kernel.elf', import.meta.url));

interface Tuning {
  readonly hotAfter: number;
  readonly sliceSteps: number;
}

function guest(harts: number, { hotAfter, sliceSteps }: Tuning): VirtMachine {
  const outside = { entropy: (_: string, n: number) => new Uint8Array(n), block: () => new Uint8Array(4096) };
  const board = {
    harts,
    memoryBytes: 64 * 2 ** 20,
    psPerStep: 1000,
    quantum: 4096,
    rtcOffsetNs: 0n,
    disks: [],
    boot: { append: '' },
  };
  const machine = buildVirt(board, outside);
  bootVirt(
    machine,
    board,
    { bios: 'none', kernel: { name: KERNEL, bytes: readFileSync(KERNEL) }, initrd: null },
    outside,
  );
  machine.cpu.jit.hotAfter = hotAfter;
  machine.cpu.jit.batch = hotAfter === 0 ? 1 : 4;
  machine.sliceSteps = sliceSteps;
  return machine;
}

const COMMANDS = 'sum 20000\nfp 3000\nwork 60 3\nrun primes 2000\npoweroff\n';
const STRIDE = 500_000;
const STEPS_MAX = 40_000_000;

/** Runs a guest at work to its end; its digests on the way. */
function digests(harts: number, tuning: Tuning): { list: string[]; regions: number } {
  const machine = guest(harts, tuning);
  const list: string[] = [];
  machine.input({ kind: 'console', device: 'uart0', data: new TextEncoder().encode(COMMANDS) });
  for (let until = STRIDE; until <= STEPS_MAX; ) {
    const result = machine.run(until);
    if (result.kind === 'idle') {
      machine.skipIdle(result.untilNs);
      continue;
    }
    list.push(`${machine.position} ${Buffer.from(machine.digest()).toString('hex')}`);
    if (result.kind === 'stopped') return { list, regions: machine.cpu.jit.compiled };
    until += STRIDE;
  }
  assert.fail(`the guest has not ended after ${STEPS_MAX} steps`);
}

for (const harts of [1, 4]) {
  test(`states do not depend on the tier, ${harts} harts`, () => {
    const interpreted = digests(harts, { hotAfter: Number.POSITIVE_INFINITY, sliceSteps: 2_000_000 });
    assert.equal(interpreted.regions, 0);
    const compiled = digests(harts, { hotAfter: 0, sliceSteps: 2_000_000 });
    assert.ok(compiled.regions > 100, `${compiled.regions} regions are compiled where everything is hot`);
    assert.deepEqual(compiled.list, interpreted.list);
    const random = new Random(20_261_123);
    for (let round = 0; round < 3; round++) {
      const tuning = { hotAfter: random.below(50), sliceSteps: 1 + random.below(5000) };
      assert.deepEqual(digests(harts, tuning).list, interpreted.list, `seed ${random.seed}: ${JSON.stringify(tuning)}`);
    }
  });
}

test('code that comes back to its page comes back compiled, and other code there does not', () => {
  const machine = guest(1, { hotAfter: 0, sliceSteps: 2 ** 22 });
  machine.input({ kind: 'console', device: 'uart0', data: new TextEncoder().encode(COMMANDS) });
  machine.run(400_000);
  const { snapshot } = machine.snapshot();
  const end = 460_000;
  const there = () => {
    assert.equal(machine.run(end).kind, 'position');
    return Buffer.from(machine.digest()).toString('hex');
  };
  const digest = there();
  machine.restore(snapshot);
  assert.equal(there(), digest);
  for (let page = 0; page < 4; page++) {
    machine.pages.write(page).fill(0);
    machine.cpu.pageWritten(page);
  }
  // Zeros are no instructions: the guest traps into more of them, and what was compiled must not run.
  machine.run(machine.position + 1000);
  const { compiled } = machine.cpu.jit;
  machine.restore(snapshot);
  assert.equal(there(), digest);
  // A few places are entered in another way than before, because nothing is in the TLBs yet.
  const again = machine.cpu.jit.compiled - compiled;
  assert.ok(again < 20, `${again} regions compiled again`);
});
