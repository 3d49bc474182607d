/** Every command on a small recording: what it prints, and what it exits with. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { chronovisor, EMBEDDED_KERNEL, lastWords } from '../support/guests.ts';
import { MAIN, recordSmall, SMALL_MACHINE, start, testGuest, until } from './small.ts';

const folder = mkdtempSync(join(tmpdir(), 'chronovisor-commands-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string) => join(folder, name);

let trace = '';
before(async () => {
  trace = await recordSmall(folder, 'small', 'echo hello\nwork 20\npoweroff\n');
});

/** Runs a command that must succeed; returns its standard output. */
async function output(...args: string[]): Promise<string> {
  const result = await chronovisor(...args);
  assert.equal(result.code, 0, lastWords(result));
  return result.stdout;
}
const json = async (...args: string[]) => JSON.parse(await output(...args, '--json'));
const jsonLines = async (...args: string[]) =>
  (await output(...args, '--json'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('the same inputs and seed give the same recording, and another seed another', async () => {
  const again = await recordSmall(folder, 'again', 'echo hello\nwork 20\npoweroff\n');
  const other = await recordSmall(folder, 'other', 'echo hello\nwork 20\npoweroff\n', 2);
  assert.equal(
    await output('diff', trace, again),
    `equal to the end, position ${(await json('info', trace)).replayableTo.toLocaleString('en-US')}\n`,
  );
  const [a, b] = [await json('info', trace), await json('info', again)];
  assert.equal(a.checkpoints.lastDigest, b.checkpoints.lastDigest);
  const different = await chronovisor('diff', trace, other);
  assert.equal(different.code, 1);
  assert.match(different.stdout, /^first difference at position 0\nwhat +.*small\.trace +.*other\.trace\nmemory 0x80/);
});

test('diff finds the step at which another key was pressed', async () => {
  const other = await recordSmall(folder, 'other-key', 'echo jello\nwork 20\npoweroff\n');
  const found = await chronovisor('diff', trace, other, '--json');
  assert.equal(found.code, 1, lastWords(found));
  const { position, details } = JSON.parse(found.stdout);
  const before = await json('state', trace, '--at', String(position - 1));
  assert.equal((await json('state', other, '--at', String(position - 1))).digest, before.digest);
  assert.notEqual(
    (await json('state', other, '--at', String(position))).digest,
    (await json('state', trace, '--at', String(position))).digest,
  );
  assert.ok(details.length > 0);
});

test('replay shows the console as it was, and says what it compared', async () => {
  const replayed = await chronovisor('replay', trace);
  assert.equal(replayed.code, 0, lastWords(replayed));
  assert.match(
    replayed.stdout,
    /guest: 2 harts, 16384 KiB of memory\r\n> echo hello\r\nhello\r\n> work 20\r\n20 letters/,
  );
  assert.match(
    replayed.stderr,
    /^chronovisor: [\d,]+ steps \([\d.]+ s of guest time\) replayed in [\d.]+ s, \d+ million a second; 2 digests, \d+ journal entries and \d+ console bytes equal\n$/,
  );
});

test('verify says as JSON what it compared', async () => {
  const facts = await json('verify', trace);
  assert.equal(facts.equal, true);
  assert.equal(facts.digests, 2);
  assert.ok(facts.journalEntries > 0 && facts.consoleBytes > 0);
  assert.equal(facts.damage, null);
});

test('info tells of machine, guest, inputs, checkpoints and sizes', async () => {
  const text = await output('info', trace);
  for (const line of [
    /^trace +.*small\.trace, [\d.]+ KiB, by Chronovisor \d+\.\d+\.\d+$/m,
    /^recorded +\d{4}-\d\d-\d\dT/m,
    /^machine +riscv64 of revision 1, 2 harts, 16 MiB of memory, virtual clock from 2026-01-01T00:00:00\.000Z$/m,
    /^guest +kernel\.elf, no firmware$/m,
    /^seed +1$/m,
    /^duration +[\d,]+ steps, \d+\.\d{6} s of guest time$/m,
    /^ended +power-off, exit code 0$/m,
    /^inputs +.*1 console/m,
    /^journal +.*interrupt/m,
    /^checkpoints +2, [\d,]+ steps apart; the first [\d.]+ KiB, the others [\d.]+ KiB$/m,
    /^last digest +[0-9a-f]{32}$/m,
    /^ {2}pages +\d+ chunks +\d+ records +[\d.]+ KiB raw +[\d.]+ KiB stored$/m,
  ]) {
    assert.match(text, line);
  }
  const facts = await json('info', trace);
  assert.equal(facts.header.machine.harts, 2);
  assert.equal(facts.end.reason, 'power-off');
  assert.equal(facts.inputs.console, 1);
});

test('state shows registers, code and console at any position', async () => {
  const end = (await json('info', trace)).replayableTo;
  const reset = await output('state', trace, '--at', '0');
  assert.match(
    reset,
    new RegExp(
      `^position 0 of ${end.toLocaleString('en-US')}, 0\\.000000 s of guest time\ndigest [0-9a-f]{32}, reached in \\d+ ms\n\nhart 0: pc 0x0000000080000000, privilege M, has the turn\n`,
    ),
  );
  assert.match(reset, /^=> 0x0000000080000000 {2}[0-9a-f]{4,8} +\S+/m);
  assert.doesNotMatch(reset, /console:/);
  const late = await output('state', trace, '--at', '100%', '--hart', '1', '--lines', '3', '--float');
  assert.match(late, /^hart 1: pc 0x/m);
  assert.doesNotMatch(late, /^hart 0/m);
  assert.match(late, / ft0 0x[0-9a-f]{16}/);
  assert.match(late, /\nconsole:\n {2}20 letters.*\n {2}samples.*\n {2}> poweroff\n$/);
  const [plain, commas] = await Promise.all(['1000', '1,000'].map((at) => json('state', trace, '--at', at)));
  assert.deepEqual(commas, plain);
  assert.equal(plain.position, 1000);
  assert.equal(plain.harts.length, 2);
  assert.match(plain.harts[0].csrs.mstatus, /^0x/);
});

test('state shows functions, lines and stacks with --symbols', async () => {
  const options = ['--at', '60%', '--symbols', EMBEDDED_KERNEL];
  const text = await output('state', trace, ...options);
  const stacks = text.split('\nbacktrace:\n').slice(1);
  assert.equal(stacks.length, 2, 'one for each hart');
  const frame =
    /^ {2}#\d+ +0x[0-9a-f]{16} {2}\w+(\+0x[0-9a-f]+)? {2}guests\/embedded\/\w+\.[chS]:\d+( {2}\((inlined|interrupted)\))?$/;
  for (const stack of stacks) {
    const lines = stack.split('\n').filter((line) => line.startsWith('  #'));
    assert.ok(lines.length >= 2);
    for (const line of lines) assert.match(line, frame);
  }
  const { harts } = await json('state', trace, ...options);
  assert.ok(harts[0].backtrace.length >= 2);
  const [innermost] = harts[0].backtrace;
  assert.equal(innermost.pc, harts[0].pc);
  assert.match(innermost.location.path, /^guests\/embedded\//);
  assert.ok(text.includes(`${innermost.function}+${innermost.offset}  `) || innermost.inlined);
  // Moved elsewhere, nothing of it is where the code is.
  const moved = await json('state', trace, '--at', '60%', '--symbols', `${EMBEDDED_KERNEL}@0x10000000`);
  assert.equal(moved.harts[0].backtrace[0].function, '??');
  const refused = await chronovisor('state', trace, '--symbols', trace);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /not an ELF file/);
});

test('dump prints every section, filtered, as text and as JSON', async () => {
  const all = await output('dump', trace);
  assert.match(all, /^ +\d+ input +console, device uart0, \d+ bytes "echo hello\\nwork 20\\npoweroff\\n"$/m);
  assert.match(all, /^ +\d+ hart \d +interrupt +\S+ \w+ interrupt, at pc 0x[0-9a-f]{16}$/m);
  assert.match(all, /^ +\d+ uart0 +"hello\\r\\n"$/m);
  assert.match(all, /^ +0 checkpoint +0\.000000 s, \d+ pages, [\d,]+ bytes, [0-9a-f]{32}$/m);
  assert.match(all, /^ +0 pages +to 0, file offset \d+, \d+ records, [\d,]+ -> [\d,]+ bytes \(lz4\)$/m);
  const inputs = await jsonLines('dump', trace, '--section', 'inputs', '--kind', 'console');
  assert.equal(inputs.length, 1);
  assert.equal(Buffer.from(inputs[0].data, 'base64').toString(), 'echo hello\nwork 20\npoweroff\n');
  const journal = await jsonLines('dump', trace, '--kind', 'interrupt,timer', '--from', '50%');
  const half = Math.floor((await json('info', trace)).replayableTo / 2);
  assert.ok(journal.every((e) => ['interrupt', 'timer'].includes(e.kind) && e.position >= half));
  const [first] = await jsonLines('dump', trace, '--section', 'journal');
  const exactly = await jsonLines(
    'dump',
    trace,
    '--section',
    'journal',
    '--from',
    String(first.position),
    '--to',
    String(first.position),
  );
  assert.deepEqual(exactly[0], first);
});

test('repair leaves a whole trace as it is', async () => {
  const bytes = readFileSync(trace);
  assert.match(
    await output('repair', trace),
    /small\.trace: whole already, every byte checked; replays to position [\d,]+\.\n$/,
  );
  assert.deepEqual(readFileSync(trace), bytes);
  assert.match(await output('repair', trace, '-o', file('copy.trace')), /Written to .*copy\.trace\.\n$/);
  await output('verify', file('copy.trace'));
});

test('a guest ends with its own exit code', async () => {
  for (const [name, code] of [
    ['exit', 7],
    ['poweroff', 9],
  ] as const) {
    const options = ['--kernel', testGuest(name), '--bios', 'none', '--memory', '16M'];
    const ran = await chronovisor('run', ...options);
    assert.equal(ran.code, code, lastWords(ran));
    assert.match(
      ran.stderr,
      new RegExp(`^chronovisor: \\d+ steps, .*; not recorded; ended by power-off, exit code ${code}\n$`),
    );
    const recorded = await chronovisor('record', ...options, '-o', file(`${name}.trace`));
    assert.equal(recorded.code, code, lastWords(recorded));
    const replayed = await chronovisor('replay', file(`${name}.trace`));
    assert.equal(replayed.code, 0, lastWords(replayed));
  }
});

test('a gzip-compressed kernel is as good as a plain one', async () => {
  writeFileSync(file('kernel.gz'), gzipSync(readFileSync(testGuest('exit'))));
  const ran = await chronovisor('run', '--kernel', file('kernel.gz'), '--bios', 'none', '--memory', '16M');
  assert.equal(ran.code, 7, lastWords(ran));
});

test('--until, --max-steps and --timeout end a run, and a text that never comes is an error', async () => {
  const shown = await chronovisor('run', ...SMALL_MACHINE, '--until', 'of memory');
  assert.equal(shown.code, 0, lastWords(shown));
  assert.match(shown.stderr, /ended by until\n$/);
  assert.match(shown.stdout, /of memory$/);
  const counted = await chronovisor('run', ...SMALL_MACHINE, '--max-steps', '10_000');
  assert.equal(counted.code, 0, lastWords(counted));
  assert.match(counted.stderr, /^chronovisor: 10,000 steps, .*ended by max-steps\n$/);
  const late = await chronovisor('run', ...SMALL_MACHINE, '--until', 'never shown', '--timeout', '0.2');
  assert.equal(late.code, 1);
  assert.match(late.stderr, /--until: the console has not shown "never shown"\n$/);
});

test('a script answers what the console shows', async () => {
  writeFileSync(file('script'), '# comment\n\n> => echo a\\tb\\n\nb => \\n\n> => poweroff\\n\n');
  const options = [...SMALL_MACHINE, '--script', file('script'), '--timeout', '60'];
  const answered = await chronovisor('record', ...options, '-o', file('script.trace'));
  assert.equal(answered.code, 0, lastWords(answered));
  assert.match(answered.stdout, /> poweroff/);
  writeFileSync(file('script'), '> => echo one\\n\nnever shown => poweroff\\n\n');
  const missed = await chronovisor('run', ...options);
  assert.equal(missed.code, 1, lastWords(missed));
  assert.match(missed.stderr, /--script: the console has not shown "never shown"\n$/);
});

test('piped standard input is typed at the console; --json puts progress on standard output', async () => {
  const child = start(['run', ...SMALL_MACHINE, '--json']);
  child.stdin.end('echo typed\npoweroff\n');
  const { code, stdout, stderr } = await child.ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /> echo typed\r\ntyped\r\n> poweroff/);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.ok(events.slice(0, -1).every((e) => e.event === 'progress'));
  const { event, reason, exitCode } = events.at(-1);
  assert.deepEqual({ event, reason, exitCode }, { event: 'end', reason: 'power-off', exitCode: 0 });
});

test('an interrupt closes the recording', async () => {
  const name = file('interrupted.trace');
  const child = start(['record', '--kernel', EMBEDDED_KERNEL, '--bios', 'none', '-o', name]);
  child.stdin.write('sum 1000000000\n');
  await until('the guest echoes its command', () => child.stdout().includes('sum 1'));
  child.kill('SIGINT');
  const { code, stderr } = await child.ended;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /recorded to .*interrupted\.trace .*ended by interrupted\n$/);
  const facts = await json('info', name);
  assert.equal(facts.end.reason, 'interrupted');
  await output('verify', name);
});

test('a reader of a pipe may leave early', () => {
  const command = [process.execPath, MAIN, 'dump', trace, '--section', 'journal,console,inputs'];
  const { stdout, stderr } = spawnSync('sh', ['-c', '"$@" | head -n 1', 'sh', ...command], { encoding: 'utf8' });
  assert.equal(stdout.split('\n').length, 2);
  assert.equal(stderr, '');
});

test('help and version', async () => {
  assert.match(await output('--help'), /chronovisor record .*run a guest and record it to a trace/);
  assert.match(await output('record', '--help'), /Machine:[\s\S]*--kernel[\s\S]*Ending:[\s\S]*--until/);
  assert.match(await output('--version'), /^\d+\.\d+\.\d+\n$/);
});
