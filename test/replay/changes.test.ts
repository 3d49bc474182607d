/** What an operator changes is an input like any other: a replay makes the same change, however one comes to its place. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../src/base/assert.ts';
import { Random } from '../../src/base/random.ts';
import type { LiveMachine } from '../../src/debugger/live.ts';
import { Replayer } from '../../src/replay/replayer.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { verify } from '../../src/replay/verify.ts';
import { Watcher } from '../../src/replay/watcher.ts';
import { TraceReader } from '../../src/trace/index.ts';
import type { Change } from '../../src/vmm/inputs.ts';
import { RAM_BASE } from '../../src/vmm/layout.ts';
import { scratch } from '../support/guests.ts';
import { chaotic, embeddedGuest, record } from '../support/recording.ts';

const RAM_BYTES = 64 * 2 ** 20;

/** One that the guest survives: memory and registers that are rarely in use. */
function anyChange(random: Random): Change {
  if (random.below(2) === 0) {
    const data = Uint8Array.from({ length: 1 + random.below(5000) }, () => random.below(256));
    return { kind: 'memory', address: RAM_BASE + RAM_BYTES / 2 + random.below(2 ** 20), data };
  }
  const register = random.pick(['ft8', 'f31', 'fcsr', 'stval', 'mtval'] as const);
  const value = (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
  return { kind: 'register', hart: random.below(4), register, value };
}

const hex = (digest: Uint8Array) => Buffer.from(digest).toString('hex');

for (const seed of [1, 2]) {
  test(`changes of a living machine, seed ${seed}`, async (t) => {
    const path = join(scratch(t), 'trace');
    const random = new Random(seed);
    const places: number[] = [];
    const debug = async (live: LiveMachine) => {
      const { machine } = live;
      // Where the first checkpoint lies.
      live.change(anyChange(random));
      places.push(0);
      for (let over = false; !over && places.length < 60; ) {
        // Held between two slices, and in the middle of one by a probe.
        if (random.below(2) === 0) over = await live.run(machine.position + 1 + random.below(150_000));
        else {
          const pc = machine.cpu.get(machine.currentHart, 'pc');
          const watcher = new Watcher(machine, [{ id: 1, spec: { kind: 'breakpoint', address: pc } }]);
          let left = random.below(30);
          watcher.arm(() => left-- <= 0, machine.position);
          over = await live.run(machine.position + 1 + random.below(300_000));
          watcher.disarm();
        }
        if (over) break;
        if (random.below(3) === 0) live.type(new TextEncoder().encode('x'));
        for (let n = random.below(3); n >= 0; n--) live.change(anyChange(random));
        places.push(machine.position);
        assert.throws(() => live.change({ kind: 'register', hart: 9, register: 'a0', value: 0n }), UserError);
        assert.throws(() => live.change({ kind: 'register', hart: 0, register: 'satp', value: 0n }), UserError);
        assert.throws(() => live.change({ kind: 'memory', address: RAM_BASE - 1, data: new Uint8Array(2) }), UserError);
      }
    };
    const guest = seed === 1 ? embeddedGuest(seed) : chaotic(embeddedGuest(seed), seed);
    await record(guest, path, { debug });
    assert.ok(places.length > 30, `seed ${seed}: ${places.length} changes`);
    const trace = TraceReader.open(path, { check: true });
    verify(trace);

    const straight = new Replayer(trace);
    const wanted = [...new Set(places.flatMap((place) => [Math.max(0, place - 1), place, place + 1]))].sort(
      (a, b) => a - b,
    );
    const expected = new Map<number, string>();
    for (const position of wanted) {
      straight.runTo(position);
      straight.settleChanges();
      expected.set(position, hex(straight.machine.digest()));
    }
    const timeline = new Timeline(trace);
    for (let n = 0; n < 100; n++) {
      const position = random.pick(wanted);
      timeline.machine.sliceSteps = 1 + random.below(100_000);
      timeline.seek(position);
      assert.equal(hex(timeline.machine.digest()), expected.get(position), `seed ${seed}, position ${position}`);
    }
    for (const { position, input } of trace.inputs()) {
      if (input.kind !== 'register') continue;
      const last = [...trace.inputs(position, position + 1)].findLast(
        ({ input: other }) =>
          other.kind === 'register' && other.hart === input.hart && /^(f8|ft8)$/.test(other.register),
      );
      if (last?.input.kind !== 'register') continue;
      timeline.seek(position);
      assert.equal(timeline.machine.cpu.f(input.hart, 28), last.input.value, `seed ${seed}, ft8 at ${position}`);
    }
  });
}
