/** Schedules from outside: they are inputs like any other, they show races, and nothing of them depends on the host. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { Chaos } from '../../src/recorder/chaos.ts';
import { Replayer } from '../../src/replay/replayer.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { start, until } from '../cli/small.ts';
import { chronovisor, EMBEDDED_KERNEL, lastWords, needGuest, scratch } from '../support/guests.ts';
import { chaotic, debianShell, embeddedGuest, type Guest, record } from '../support/recording.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('what is drawn: any length, mostly short of twice the quantum, for harts that can run', () => {
  const [quantum, harts] = [4096, 4];
  const chaos = new Chaos(7, harts, quantum);
  const random = new Random(7);
  const lengths: number[] = [];
  const turns = new Array(harts).fill(0);
  let position = 0;
  for (let i = 0; i < 20_000; i++) {
    const runnable = 1 + random.below(2 ** harts - 1);
    const { hart, steps } = chaos.turn(position, runnable);
    assert.ok(runnable & (1 << hart), `hart ${hart} of ${runnable}`);
    assert.ok(steps >= 1 && steps <= 2 * quantum, `${steps} steps`);
    lengths.push(steps);
    turns[hart]++;
    position += random.below(3) === 0 ? random.below(steps) : steps;
  }
  const share = (most: number) => lengths.filter((steps) => steps <= most).length / lengths.length;
  assert.ok(share(32) > 0.08 && share(32) < 0.15, `${share(32)} are tiny`);
  assert.ok(share(4096) > 0.5 && share(4096) < 0.7, `${share(4096)} are shorter than the quantum`);
  for (const n of turns) assert.ok(n > 2000, `turns ${turns}`);
});

test('a hart starves for a while, but not when it is waited for', () => {
  const harts = 4;
  let longest = 0;
  for (let seed = 0; seed < 10; seed++) {
    const chaos = new Chaos(seed, harts, 4096);
    const since = new Array(harts).fill(0);
    for (let position = 0; position < 30_000_000; ) {
      const { hart, steps } = chaos.turn(position, 15);
      position += steps;
      since[hart] = position;
      longest = Math.max(longest, ...since.map((last) => position - last));
    }
  }
  assert.ok(longest > 300_000 && longest < 4_000_000, `the longest wait has ${longest} steps`);
  const chaos = new Chaos(1, harts, 4096);
  const seen = new Set<number>();
  for (let i = 0, position = 0; i < 200; i++) {
    const { hart } = chaos.turn(position++, 15);
    seen.add(hart);
  }
  assert.equal(seen.size, harts, 'who gives up turn after turn lets all others on');
});

/** Returns the recording's path. */
async function laws(guest: Guest, folder: string, seeks: number, strideMax: number): Promise<string> {
  const path = join(folder, `chaos-${guest.chaosSeed}`);
  const recorded = await record(guest, path, { strideMax });
  assert.equal(recorded.end.reason, 'power-off', recorded.output);
  const trace = TraceReader.open(path, { check: true });
  const { turn = 0 } = trace.statistics().inputs;
  assert.ok(turn > 100, `${turn} turns`);
  const random = new Random(guest.seed);
  verify(trace);
  verify(trace, { sliceSteps: 1 + random.below(20_000) });
  const positions = Array.from({ length: 12 }, () => random.below(trace.replayableTo)).sort((a, b) => a - b);
  const straight = new Replayer(trace);
  const expected = positions.map((position) => {
    straight.runTo(position);
    return hex(straight.machine.digest());
  });
  const timeline = new Timeline(trace);
  timeline.machine.cpu.jit.hotAfter = 2;
  for (let i = 0; i < seeks; i++) {
    const n = random.below(positions.length);
    timeline.machine.sliceSteps = 1 + random.below(100_000);
    timeline.seek(positions[n]);
    assert.equal(hex(timeline.machine.digest()), expected[n], `seed ${random.seed}: position ${positions[n]}`);
  }
  trace.close();
  return path;
}

test('the embedded guest by drawn schedules replays without the seed', async (t) => {
  const folder = scratch(t);
  for (const chaosSeed of [1, 2]) {
    const guest = chaotic(embeddedGuest(4), chaosSeed);
    const strideMax = 3_000_000;
    const path = await laws(guest, folder, 25, strideMax);
    // The same seeds make the same recording.
    const random = new Random(chaosSeed);
    await record(guest, `${path}-again`, { strideMax, slices: () => 1 + random.below(500_000) });
    const [trace, again] = [path, `${path}-again`].map((name) => TraceReader.open(name));
    assert.deepEqual([...again.inputs()], [...trace.inputs()]);
    assert.equal(hex(again.checkpoints.at(-1)!.digest), hex(trace.checkpoints.at(-1)!.digest));
  }
});

test("Debian's kernel by a drawn schedule", async (t) => {
  const cache = needGuest(t);
  if (cache) await laws(chaotic(debianShell(cache, 4, 3), 1), scratch(t), 6, 300_000_000);
});

/** Options for the embedded guest on a machine. */
const machineOf = (memory: string, harts: number) => {
  return ['--kernel', EMBEDDED_KERNEL, '--bios', 'none', '--memory', memory, '--harts', String(harts)];
};

/** The runs in which the race of the embedded guest must show by drawn schedules, and must not by the fixed one. */
const RUNS = 12;

test(`a race that the fixed schedule never shows in ${RUNS} runs is found by drawn ones`, async (t) => {
  const folder = scratch(t);
  const script = join(folder, 'work.script');
  writeFileSync(script, '> => work 400 1\\n\n> => poweroff\\n\n');
  const machine = [...machineOf('64M', 4), '--script', script];
  const hunting = ['--until-failure', '--repeat', String(RUNS), '--timeout', '120'];
  const fixed = await chronovisor('record', ...machine, ...hunting, '-o', join(folder, 'fixed.trace'));
  assert.equal(fixed.code, 1, lastWords(fixed));
  assert.match(fixed.stderr, new RegExp(`no run of ${RUNS} has failed; try more with --repeat`));
  assert.equal(fixed.stderr.match(/no failure/g)?.length, RUNS);
  assert.deepEqual(readdirSync(folder), ['work.script'], 'no trace is left of runs without a failure');
  for (const seed of [1, 100]) {
    const path = join(folder, `drawn-${seed}.trace`);
    const drawn = await chronovisor('record', ...machine, ...hunting, '--chaos', String(seed), '-o', path, '--json');
    assert.equal(drawn.code, 0, lastWords(drawn));
    const events = drawn.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const end = events.at(-1);
    assert.equal(end.event, 'end');
    assert.equal(end.chaosSeed, seed + end.run - 1);
    assert.match(end.failure, /the console has shown "panic:"/);
    assert.equal(end.exitCode, 1);
    const runs = events.filter(({ event }) => event === 'run');
    assert.deepEqual(
      runs.map(({ run, failure }) => [run, failure === null]),
      runs.map((_, i) => [i + 1, i + 1 < end.run]),
    );
    assert.ok(!existsSync(`${path}.run`));
    const verified = await chronovisor('verify', path);
    assert.equal(verified.code, 0, lastWords(verified));
    // The same seed once more, as a plain recording.
    const once = join(folder, `once-${seed}.trace`);
    const single = await chronovisor('record', ...machine, '--chaos', String(end.chaosSeed), '-o', once);
    assert.equal(single.code, 1, lastWords(single));
    assert.match(single.stdout, /panic: corrupt/);
    t.diagnostic(`from chaos seed ${seed}: run ${end.run}, ${end.position} steps`);
  }
});

test('signs of failure: a text, silence, waiting forever, an exit code', async (t) => {
  const folder = scratch(t);
  const machine = machineOf('16M', 2);
  const hunt = async (lines: string, ...options: string[]) => {
    const script = join(folder, 'script');
    writeFileSync(script, lines);
    const trace = join(folder, 'signs.trace');
    const args = ['--until-failure', '--repeat', '2', '--script', script, '--timeout', '120', '--force', '-o', trace];
    return chronovisor('record', ...machine, ...args, ...options);
  };
  const text = await hunt('> => echo this is odd\\n\n> => poweroff\\n\n', '--fail-text', 'is odd');
  assert.equal(text.code, 0, lastWords(text));
  assert.match(text.stderr, /failed in run 1 of 2 \(the first run\); recorded to .*signs\.trace/);
  assert.match(text.stderr, /run 1 of 2: [\d,]+ steps, the console has shown "is odd"/);
  const silent = await hunt('> => sleep 5000\\n\n> => poweroff\\n\n', '--watchdog', '2');
  assert.equal(silent.code, 0, lastWords(silent));
  assert.match(silent.stderr, /the console has shown nothing for 2 s of guest time/);
  const patient = await hunt('> => sleep 5000\\n\n> => poweroff\\n\n', '--watchdog', '0');
  assert.equal(patient.code, 1, lastWords(patient));
  assert.match(patient.stderr, /no run of 2 has failed/);
  const stuck = await hunt('> => echo x\\n\n');
  assert.equal(stuck.code, 0, lastWords(stuck));
  assert.match(stuck.stderr, /waits for an interrupt that cannot come/);
  const crash = await hunt('> => crash\\n\n');
  assert.equal(crash.code, 0, lastWords(crash));
  const verified = await chronovisor('verify', join(folder, 'signs.trace'));
  assert.equal(verified.code, 0, lastWords(verified));
});

test('a hunt that is interrupted leaves nothing behind', async (t) => {
  const folder = scratch(t);
  const script = join(folder, 'script');
  writeFileSync(script, '> => work 60 1\\n\n> => poweroff\\n\n');
  const machine = [...machineOf('16M', 2), '--script', script];
  const hunting = ['--until-failure', '--repeat', '1000000', '--json', '-o', join(folder, 'hunt.trace')];
  const child = start(['record', ...machine, ...hunting]);
  await until('two runs', () => (child.stdout().match(/"event":"run"/g)?.length ?? 0) >= 2);
  child.kill('SIGINT');
  const { code, stdout } = await child.ended;
  assert.equal(code, 130, stdout);
  assert.match(stdout.trim().split('\n').at(-1) ?? '', /"event":"end".*"trace":null/);
  assert.deepEqual(readdirSync(folder), ['script']);
});
