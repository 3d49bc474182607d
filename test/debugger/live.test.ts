/** A machine that is being recorded: its past is a timeline, running past the end lets it live on, and the recording is one like any other. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLive } from '../../src/debugger/live.ts';
import type { DebugSession } from '../../src/debugger/session.ts';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { scratch } from '../support/guests.ts';
import { embeddedGuest, record } from '../support/recording.ts';

test('stops ahead of the present, and the past behind it', async (t) => {
  const path = join(scratch(t), 'trace');
  let looked = 0;
  const debug = async (session: DebugSession) => {
    assert.equal((await session.where()).position, 0);
    // The console is looked at as it comes.
    const prompt = await session.addStop({ kind: 'console', text: '> ' });
    const first = await session.run({ direction: 'forward' });
    assert.equal(first.reason, 'stop');
    assert.deepEqual(
      first.hits.map(({ stop }) => stop),
      [prompt],
    );
    assert.match(Buffer.from(await session.console(1000)).toString(), /> $/);
    assert.equal((await session.info()).end, first.position);
    const second = await session.run({ direction: 'forward' });
    assert.ok(second.position > first.position);
    const back = await session.run({ direction: 'back' });
    assert.equal(back.position, second.position - 1, 'before the step that sent it');
    assert.equal((await session.run({ direction: 'back' })).position, first.position - 1);
    // Forward again: through the past first.
    assert.equal((await session.run({ direction: 'forward' })).position, first.position);
    assert.equal((await session.run({ direction: 'forward' })).position, second.position);
    await session.removeStop(prompt);

    // Stops of the machine itself, hit live; what is found is what a run back over the past finds.
    for (const spec of [{ kind: 'interrupt' }, { kind: 'syscall' }, { kind: 'sbi' }, { kind: 'trap' }] as const) {
      const from = (await session.where()).position;
      const id = await session.addStop(spec);
      const hit = await session.run({ direction: 'forward', limit: from + 3_000_000 });
      if (hit.reason === 'stop') {
        looked++;
        assert.equal(hit.hits[0].position, hit.position - 1);
        assert.equal((await session.registers(hit.hart)).pc, hit.pc);
        assert.equal((await session.run({ direction: 'back' })).position, hit.position - 1);
      }
      await session.seek((await session.info()).end);
      await session.removeStop(id);
    }
    const { end } = await session.info();
    const stepped = await session.step({ direction: 'forward', hart: 'machine', intoInterrupts: true });
    assert.equal(stepped.position, end + 1, 'a step past the end');
    await session.seek((await session.info()).end);

    // A breakpoint where execution is now is hit again when it comes by again.
    const { pc, position } = await session.where();
    const id = await session.addStop({ kind: 'breakpoint', address: pc });
    const again = await session.run({ direction: 'forward', limit: position + 5_000_000 });
    if (again.reason === 'stop') assert.equal(again.pc, pc);
    await session.removeStop(id);

    // Hits that are passed over, some of them in the past and the rest as they happen.
    const half = (await session.info()).end;
    const traps = await session.addStop({ kind: 'trap' });
    const count = async (direction: 'forward' | 'back', hits: number) => {
      const event = await session.run({ direction, passing: [{ stops: [traps], hits }], limit: half + 3_000_000 });
      return { ...event, passed: event.passed?.[0] };
    };
    await session.seek(half);
    const earlier = await session.run({ direction: 'back' });
    assert.equal(earlier.reason, 'stop');
    const before = await session.run({ direction: 'back' });
    assert.equal(before.reason, 'stop');
    const third = await count('forward', 2);
    assert.deepEqual([third.reason, third.passed], ['stop', 2]);
    assert.ok(third.position > half, 'the third one is ahead of what was recorded');
    await session.seek((await session.info()).end);
    // Going back from there, the same three in the other order.
    const three = await session.run({ direction: 'back', passing: [{ stops: [traps], hits: 2 }] });
    assert.deepEqual([three.position, three.passed], [before.position, [2]]);
    assert.deepEqual((await count('forward', Number.POSITIVE_INFINITY)).hits, []);
    await session.removeStop(traps);

    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    const held = await session.run({ direction: 'forward', signal: abort.signal });
    assert.ok(held.reason === 'cancelled' || held.reason === 'end', held.reason);
    await session.close();
  };
  const { end, position } = await record(embeddedGuest(7), path, {
    debug: async (live) => debug(await openLive(live, { workers: 1 })),
  });
  assert.equal(end.reason, 'power-off');
  assert.ok(looked > 0, 'some stops were hit live');
  const trace = TraceReader.open(path, { check: true });
  assert.equal(trace.replayableTo, position);
  verify(trace);
});
