/** Stepping: over interrupts as if there were none, and over calls as if they were one instruction, both ways. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Engine, type Task } from '../../src/debugger/engine.ts';
import { callLength } from '../../src/debugger/travels.ts';
import { ConsoleLog } from '../../src/replay/console-log.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { scratch } from '../support/guests.ts';
import { embeddedGuest, record } from '../support/recording.ts';
import { takeSteps } from './oracle.ts';

const IDLE: Task = { cancelled: false, progress: () => {} };

async function open(t: TestContext) {
  const path = join(scratch(t), 'trace');
  await record(embeddedGuest(7), path, { strideMax: 200_000 });
  const trace = TraceReader.open(path);
  const engine = new Engine(trace, path, { memoryBudget: 2 ** 30, workers: 1 });
  t.after(() => engine.close());
  return { trace, engine };
}

test('a step passes over an interrupt and its handler, forward and back', async (t) => {
  const { trace, engine } = await open(t);
  let checked = 0;
  const interrupts = { kind: 'events', stop: { kind: 'interrupt' }, from: 300_000, limit: 200 } as const;
  const taken: { position: number; hart: number; pc: bigint }[] = [];
  for await (const rows of engine.query(interrupts, IDLE)) taken.push(...rows.map(({ hit }) => hit));
  for (const { position, hart, pc } of taken) {
    if (checked === 12) break;
    await engine.seek(position, IDLE);
    const { machine } = engine.timeline;
    const [sp, privilege] = [machine.cpu.x(hart, 2), machine.cpu.get32(hart, 'privilege')];
    const inside = await engine.step({ direction: 'forward', hart, intoInterrupts: true }, IDLE);
    assert.equal(inside.position, position + 1, 'asked to, a step goes into the handler');
    assert.notEqual(inside.pc, pc);
    await engine.seek(position, IDLE);
    const event = await engine.step({ direction: 'forward', hart }, IDLE);
    // A handler that is long, or that another interrupt follows at once, tells less.
    if (event.position > position + 20_000) continue;
    const steps = takeSteps(trace, position, event.position, []).filter((s) => s.hart === hart);
    const last = steps[steps.length - 1];
    assert.equal(last.pc, pc, `from ${position}: the interrupted instruction was executed`);
    assert.equal(last.before.sp, sp);
    assert.equal(last.before.privilege, privilege);
    assert.equal(last.after.traps, last.before.traps, 'by a step that is no trap');
    const again = steps
      .slice(0, -1)
      .filter((s) => s.pc === pc && s.before.sp === sp && s.after.traps === s.before.traps);
    assert.deepEqual(again, [], 'and not before');
    const back = await engine.step({ direction: 'back', hart }, IDLE);
    assert.equal(back.position, last.position, 'back to before that instruction');
    const before = await engine.step({ direction: 'back', hart }, IDLE);
    assert.ok(before.position < position, `back from ${back.position}: over the handler, to before ${position}`);
    checked++;
  }
  assert.ok(checked >= 5, `${checked} interrupts`);
});

test('a step over a call ends behind it, and back before it', async (t) => {
  const { trace, engine } = await open(t);
  const [shown] = new ConsoleLog(trace).find('disk write 3', 0, trace.replayableTo);
  const from = shown.position - 20_000;
  const steps = takeSteps(trace, from, from + 40_000, []);
  const scout = new Timeline(trace, { at: from });
  let checked = 0;
  for (let i = 0; i < steps.length && checked < 15; i += 97) {
    // The next call from here on, on whichever hart.
    const at = steps.findIndex((step, n) => n >= i && step.after.ra !== step.before.ra && step.before.privilege === 1);
    if (at < 0) break;
    const step = steps[at];
    scout.seek(step.position);
    const length = callLength(scout.machine, step.hart, step.pc);
    if (length === 0 || step.after.ra !== step.pc + BigInt(length)) continue;
    const back = steps.find(
      (s, n) => n > at && s.hart === step.hart && s.pc === step.after.ra && s.before.sp >= step.before.sp,
    );
    if (!back) continue;
    await engine.seek(step.position, IDLE);
    const over = await engine.step({ direction: 'forward', hart: step.hart, over: true }, IDLE);
    assert.equal(over.reason, 'done');
    assert.equal(over.pc, back.pc, `over the call at ${step.position}`);
    assert.equal(over.position, back.position);
    const again = await engine.step({ direction: 'back', hart: step.hart, over: true }, IDLE);
    assert.equal(again.position, step.position, `back over the call, from ${over.position}`);
    checked++;
  }
  assert.ok(checked >= 5, `${checked} calls`);
});
