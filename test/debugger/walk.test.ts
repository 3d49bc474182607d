/** Moving about leaves no mark: wherever a walk comes to, the machine is the one that a plain replay finds there. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Engine, type Task } from '../../src/debugger/engine.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { CHECKOUT } from '../cli/small.ts';
import { needGuest, scratch } from '../support/guests.ts';
import { debianShell, embeddedGuest, type Guest, record } from '../support/recording.ts';

const IDLE: Task = { cancelled: false, progress: () => {} };

interface Walk {
  /** Operations. */
  readonly length: number;
  /** Farthest that a run goes. */
  readonly reach: number;
  readonly memoryBudget: number;
}

/** Hundreds of operations of every kind; after each, registers and digest are those of a machine that knows no way but forward. */
async function walk(path: string, seed: number, { length, reach, memoryBudget }: Walk): Promise<void> {
  const trace = TraceReader.open(path);
  const engine = new Engine(trace, path, { memoryBudget, workers: 2 });
  const plain = new Timeline(TraceReader.open(path));
  const random = new Random(seed);
  const { harts } = engine.info();
  const end = engine.timeline.end;
  const where = () => `seed ${seed}, position ${engine.timeline.position}`;
  const anyHart = () => random.pick(['machine', random.below(harts)] as const);
  const direction = () => random.pick(['forward', 'back'] as const);
  const stepsOf = (hart: number) => engine.timeline.machine.cpu.get(hart, 'steps');
  const operations: (() => Promise<void>)[] = [
    async () => {
      await engine.seek(random.below(end + 1), IDLE);
    },
    async () => {
      await engine.seek(Math.min(end, Math.max(0, engine.timeline.position + random.below(2000) - 1000)), IDLE);
    },
    async () => {
      const [way, hart] = [direction(), random.below(harts)];
      const [from, before] = [engine.timeline.position, stepsOf(hart)];
      const event = await engine.step({ direction: way, hart, intoInterrupts: true }, IDLE);
      if (event.reason !== 'done') return;
      assert.equal(
        stepsOf(hart),
        before + (way === 'forward' ? 1n : -1n),
        `${where()}: one ${way} of hart ${hart} from ${from}`,
      );
      assert.ok(way === 'forward' ? event.position > from : event.position < from);
    },
    async () => {
      const way = direction();
      const from = engine.timeline.position;
      const event = await engine.step({ direction: way, hart: 'machine', intoInterrupts: true }, IDLE);
      if (event.reason === 'done') assert.equal(event.position, way === 'forward' ? from + 1 : from - 1, where());
    },
    async () => {
      await engine.step({ direction: direction(), hart: anyHart(), over: random.below(2) === 0 }, IDLE);
    },
    async () => {
      const [from, way] = [engine.timeline.position, direction()];
      const limit =
        way === 'forward' ? Math.min(end, from + random.below(reach)) : Math.max(0, from - random.below(reach));
      const { hart, pc } = engine.where();
      const id = engine.addStop(
        random.pick([
          { kind: 'breakpoint', address: pc },
          { kind: 'breakpoint', address: pc, hart, ignore: random.below(3) },
          { kind: 'interrupt' },
          { kind: 'syscall' },
          { kind: 'sbi' },
          { kind: 'register', register: 'sp' },
          { kind: 'console', text: 'e' },
        ] as const),
      );
      const event = await engine.run({ direction: way, limit }, IDLE);
      engine.removeStop(id);
      if (way === 'forward') assert.ok(event.position >= from && event.position <= limit, where());
      else assert.ok(event.position <= from && event.position >= limit, where());
    },
  ];
  try {
    for (let i = 0; i < length; i++) {
      await random.pick(operations)();
      const { position, machine } = engine.timeline;
      plain.seek(position);
      for (let hart = 0; hart < harts; hart++) {
        const expected = new Map(expectedRegisters(plain, hart));
        for (const [name, value] of expectedRegisters(engine.timeline, hart)) {
          assert.equal(value, expected.get(name), `${where()}: ${name} of hart ${hart}`);
        }
      }
      assert.equal(hex(machine.digest()), hex(plain.machine.digest()), `${where()}: digest`);
    }
  } finally {
    await engine.close();
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function expectedRegisters({ machine: { cpu } }: Timeline, hart: number): [string, bigint][] {
  const x = Array.from({ length: 32 }, (_, n): [string, bigint] => [`x${n}`, cpu.x(hart, n)]);
  return [['pc', cpu.get(hart, 'pc')], ['steps', cpu.get(hart, 'steps')], ...x];
}

async function recorded(t: Parameters<typeof scratch>[0], guest: Guest, strideMax?: number): Promise<string> {
  const path = join(scratch(t), 'trace');
  const { end } = await record(guest, path, strideMax === undefined ? {} : { strideMax });
  assert.equal(end.reason, 'power-off');
  return path;
}

test('the embedded guest on four harts', async (t) => {
  const path = await recorded(t, embeddedGuest(7), 300_000);
  for (const seed of [1, 2]) await walk(path, seed, { length: 250, reach: 400_000, memoryBudget: 2 ** 30 });
  // So little memory that hardly a state can be kept.
  await walk(path, 3, { length: 40, reach: 100_000, memoryBudget: 2 ** 24 });
});

test('kept traces, one of them with a schedule that was drawn', async () => {
  const folder = join(CHECKOUT, 'traces');
  const files = readdirSync(folder).filter((file) => file.endsWith('.trace'));
  for (const file of files) await walk(join(folder, file), 4, { length: 80, reach: 200_000, memoryBudget: 2 ** 29 });
});

for (const harts of [1, 4]) {
  test(`Debian's kernel, ${harts} hart${harts > 1 ? 's' : ''}`, async (t) => {
    const cache = needGuest(t);
    if (!cache) return;
    const path = await recorded(t, debianShell(cache, harts, 21));
    await walk(path, harts, { length: 40, reach: 3_000_000, memoryBudget: 2 ** 31 });
  });
}
