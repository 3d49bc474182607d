/** Bad input through the real command line: a message that says what is wrong and what to do, exit code 1, nothing written over. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { crc32, gzipSync } from 'node:zlib';
import { Random } from '../../src/base/random.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { chronovisor, EMBEDDED_KERNEL, lastWords, MAIN } from '../support/guests.ts';
import { recordSmall, SMALL_MACHINE, start, testGuest, until } from './small.ts';

const folder = mkdtempSync(join(tmpdir(), 'chronovisor-errors-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string) => join(folder, name);
function written(name: string, bytes: Uint8Array | string): string {
  writeFileSync(file(name), bytes);
  return file(name);
}

let trace = '';
let whole: Uint8Array = new Uint8Array();
let shown = '';
before(async () => {
  trace = await recordSmall(folder, 'good', 'echo hello\npoweroff\n');
  whole = new Uint8Array(readFileSync(trace));
  shown = (await chronovisor('replay', trace)).stdout;
});

/** The command must be refused with a message that matches, and leave the folder as it was. */
async function refused(message: RegExp, ...args: string[]): Promise<void> {
  const names = readdirSync(folder);
  const result = await chronovisor(...args);
  assert.equal(result.code, 1, `${args.join(' ')}: ${lastWords(result)}`);
  assert.match(result.stderr, message);
  assert.match(result.stderr, /^chronovisor: /);
  assert.doesNotMatch(result.stderr, /\n +at /);
  assert.deepEqual(readdirSync(folder), names, args.join(' '));
}
/** Keeps the guest busy for longer than any test. */
const ENDLESS = 'sum 1000000000000\n';
const OUT = file('out.trace');
const record = (...args: string[]) => ['record', '-o', OUT, ...args];
const kernel = (path: string, ...args: string[]) => record('--kernel', path, ...args);

test('files that cannot be used', async () => {
  await refused(/--kernel .*missing: no such file\n/, ...kernel(file('missing')));
  await refused(/--kernel .*: is a folder; a file is needed\n/, ...kernel(folder));
  await refused(/--kernel \/dev\/zero: is a device; a file is needed\n/, ...kernel('/dev/zero'));
  await refused(/--kernel '': no such file\n/, ...record('--kernel='));
  await refused(/--kernel is missing: name a kernel to run\n/, ...record());
  await refused(/--bios none needs --kernel/, ...record('--bios', 'none'));
  const good = ['--bios', 'none', '--kernel', testGuest('exit')];
  for (const option of ['--initrd', '--disk', '--script', '--input']) {
    await refused(new RegExp(`${option} .*missing: no such file\n`), ...record(...good, option, file('missing')));
  }
  await refused(
    /--bios .*missing: no such file\n/,
    ...record('--kernel', testGuest('exit'), '--bios', file('missing')),
  );
  await refused(
    /--disk .*: a raw image of whole 512-byte sectors.*the file has 3 bytes\n/,
    ...record(...good, '--disk', written('odd', 'odd')),
  );
  await refused(/--disk .*: is a folder; a file is needed\n/, ...record(...good, '--disk', folder));
  for (const command of ['info', 'replay', 'verify', 'state', 'dump', 'repair']) {
    await refused(/cannot read .*missing: no such file or folder\n/, command, file('missing'));
    await refused(/is not a regular file: a trace expected\n/, command, folder);
    await refused(
      /is not a trace of Chronovisor: choose a file that 'chronovisor record' wrote\n/,
      command,
      file('odd'),
    );
  }
  await refused(/is not a trace of Chronovisor/, 'info', written('empty', ''));
});

test('a working folder that is gone', () => {
  const gone = file('gone');
  mkdirSync(gone);
  const leave = 'cd "$0" && rmdir "$0" && exec "$@"';
  const { status, stderr } = spawnSync('sh', ['-c', leave, gone, process.execPath, MAIN, 'info', trace]);
  assert.equal(status, 1);
  assert.match(String(stderr), /^chronovisor: the working folder is not there any more; change to one that is\n$/);
});

test('a file that may not be read', async (t) => {
  const secret = written('secret', 'x');
  spawnSync('chmod', ['000', secret]);
  try {
    readFileSync(secret);
    t.skip('this user may read every file');
  } catch {
    await refused(/--kernel .*secret: permission denied/, ...kernel(secret));
    await refused(/cannot read .*secret: permission denied/, 'info', secret);
  }
});

test('files that are no kernel for this machine', async () => {
  const elf = readFileSync(EMBEDDED_KERNEL);
  await refused(
    /not a kernel for RISC-V: a Linux Image .* or an ELF file is needed\n/,
    ...kernel(written('text', 'no kernel '.repeat(100))),
  );
  await refused(/not a kernel for RISC-V/, ...kernel(written('empty.kernel', '')));
  const packed = gzipSync(elf);
  await refused(
    /damaged gzip data \(.*\); get the file anew\n|or the file is cut short\n/,
    ...kernel(written('cut.gz', packed.subarray(0, 3000))),
  );
  await refused(
    /damaged gzip data \(.*\); get the file anew\n|or the file is cut short\n/,
    ...kernel(written('short.gz', packed.subarray(0, 17))),
  );
  await refused(/ELF file for x86-64; one for RISC-V is needed\n/, ...kernel(written('x86', patched(elf, 18, 62))));
  await refused(/64-bit little-endian ELF file is needed\n/, ...kernel(written('elf32', patched(elf, 4, 1))));
  await refused(/ELF header of 64 bytes expected, the file has 40\n/, ...kernel(written('stub', elf.subarray(0, 40))));
  await refused(/reaches past the end of the file/, ...kernel(written('cut', elf.subarray(0, 5000))));
  const arm = new Uint8Array(64);
  new DataView(arm.buffer).setUint32(56, 0x644d5241, true);
  await refused(/a Linux Image for Arm; one for RISC-V is needed\n/, ...kernel(written('arm64', arm)));
});

test('what does not fit into memory', async () => {
  const image = new Uint8Array(64);
  const view = new DataView(image.buffer);
  view.setUint32(56, 0x05435352, true);
  view.setBigUint64(16, 100n << 20n, true);
  const big = written('big.image', image);
  await refused(
    /--kernel .*: 102 MiB do not fit into the guest's 64 MiB of memory; give it more with --memory\n/,
    ...kernel(big, '--memory', '64M'),
  );
  const initrd = written('big.initrd', new Uint8Array(20 << 20));
  await refused(
    /--initrd .*: 20 MiB do not fit into the guest's 16 MiB of memory/,
    ...record(...SMALL_MACHINE, '--initrd', initrd),
  );
  const elsewhere = patched(
    readFileSync(testGuest('exit')),
    64 + 24,
    ...new Uint8Array(new BigUint64Array([0x9000_0000_0000n]).buffer),
  );
  await refused(
    /loads at 0x9000000000.*RAM begins at 0x80000000/,
    ...kernel(written('elsewhere', elsewhere), '--bios', 'none'),
  );
});

test('option values', async () => {
  const good = ['--bios', 'none', '--kernel', testGuest('exit')];
  for (const [option, value, message] of [
    ['--harts', '0', /--harts 0: a whole number from 1 to 8 is needed\n/],
    ['--harts', '9', /--harts 9: a whole number from 1 to 8/],
    ['--harts', 'two', /--harts two: a whole number/],
    ['--harts', '1.5', /--harts 1\.5: a whole number/],
    ['--memory', '15M', /--memory 15M: whole mebibytes from 16M to 2G are needed, such as 512M\n/],
    ['--memory', '3G', /--memory 3G: whole mebibytes/],
    ['--memory', '16777217', /--memory 16777217: whole mebibytes/],
    ['--memory', 'lots', /--memory lots: whole mebibytes/],
    ['--quantum', '0', /--quantum 0: a whole number from 1/],
    ['--ns-per-step', '0', /--ns-per-step 0: a number from 0\.001 to 1000 is needed\n/],
    ['--ns-per-step', 'fast', /--ns-per-step fast: a number/],
    ['--clock', 'wall', /--clock wall: one of "virtual", "host" is needed; chronovisor record --help tells more\n/],
    ['--rtc', 'yesterday', /--rtc yesterday: a date such as 2026-01-01T00:00:00Z is needed\n/],
    ['--seed', '-1', /--seed -1: a whole number from 0 to 4294967295/],
    ['--chaos', 'yes', /--chaos yes: a whole number from 0 to 4294967295 is needed\n/],
    ['--repeat', '5', /--repeat is for --until-failure: a single run is only recorded\n/],
    ['--fail-text', 'x', /--fail-text is for --until-failure/],
    ['--watchdog', '5', /--watchdog is for --until-failure/],
    ['--max-steps', '0', /--max-steps 0: a whole number from 1/],
    ['--timeout', 'soon', /--timeout soon: a number from 0\.001/],
    ['--until', '', /--until '': a text to wait for is needed\n/],
    ['--script', written('bad.script', 'no arrow\n'), /--script .*: line 1: 'expected text => answer' is needed/],
    ['--script', written('bad2.script', '\n => x\n'), /--script .*: line 2: a text to wait for is needed before =>\n/],
    ['--script', written('bad3.script', 'a => \\q\n'), /--script .*: line 1: \\q is not known/],
    ['--nonsense', 'x', /unknown option --nonsense; chronovisor record --help tells more\n/],
  ] as const) {
    await refused(message, ...record(...good, `${option}=${value}`));
  }
  const hunt = (...more: string[]) => record(...good, '--until-failure', ...more);
  await refused(/--repeat 0: a whole number from 1 to/, ...hunt('--repeat', '0'));
  await refused(/--watchdog soon: a number from 0 to/, ...hunt('--watchdog', 'soon'));
  await refused(/--fail-text '': a text is needed\n/, ...hunt('--fail-text='));
  await refused(
    /--chaos 4294967290: a whole number from 0 to 4294967285/,
    ...hunt('--chaos', '4294967290', '--repeat', '11'),
  );
  await refused(/--harts is given 2 times\n/, ...record(...good, '--harts', '1', '--harts', '2'));
  await refused(/--kernel needs a value; /, ...record('--kernel'));
  await refused(/--output \(-o\) is missing: name the trace file to write\n/, 'record', ...good);
  await refused(/--script and --input: only one/, ...record(...good, '--script', file('odd'), '--input', file('odd')));
  await refused(/the machine has room for 6 disks, 7 were given\n/, ...record(...good, ...Array(7).fill('--disk=x')));
  await refused(/the name of a command is missing; chronovisor --help tells more\n/);
  await refused(/no such command/, 'rekord');
  await refused(/state: <trace> is missing; chronovisor state --help tells more\n/, 'state');
  await refused(/--at -5: a position in .*, from 0 to \d+, 'end' or a percentage/, 'state', trace, '--at=-5');
  for (const at of ['99999999999', '101%', 'x', '1e3', ''])
    await refused(/--at .*: a position in/, 'state', trace, `--at=${at}`);
  await refused(/--hart 2: a whole number from 0 to 1 is needed\n/, 'state', trace, '--hart', '2');
  await refused(/--lines many: a whole number/, 'state', trace, '--lines', 'many');
  await refused(/--section x: 'x' is not one of inputs, journal/, 'dump', trace, '--section', 'x');
  await refused(/--kind x: 'x' is not one of console, clock/, 'dump', trace, '--kind', 'x');
  await refused(
    /--from 9 --to 5: the first position lies behind the last\n/,
    'dump',
    trace,
    '--from',
    '9',
    '--to',
    '5',
  );
});

test('an output that exists or cannot be made', async () => {
  const good = ['--bios', 'none', '--kernel', testGuest('exit')];
  const precious = written('precious', 'precious');
  await refused(
    /precious exists: choose another name, or replace it with --force\n/,
    'record',
    ...good,
    '-o',
    precious,
  );
  await refused(/precious exists/, 'repair', trace, '-o', precious);
  await refused(/precious exists/, 'thin', trace, '-o', precious);
  await refused(/good\.trace is the trace itself/, 'thin', trace, '-o', trace, '--force');
  await refused(/--output \(-o\) is missing/, 'thin', trace);
  await refused(/--spacing 0: a whole number/, 'thin', trace, '--spacing', '0', '-o', OUT);
  await refused(/good\.trace is the trace itself/, 'repair', trace, '-o', trace);
  await refused(
    /cannot write .*out\.trace: no such file or folder\n/,
    'record',
    ...good,
    '-o',
    file('no/such/out.trace'),
  );
  await refused(/is not a regular file: choose another name\n/, 'record', ...good, '--force', '-o', folder);
  await refused(/not a kernel for RISC-V/, 'record', '--force', '--kernel', file('precious'), '-o', precious);
  assert.equal(readFileSync(precious, 'utf8'), 'precious');
  const replaced = await chronovisor('record', ...good, '--force', '-o', precious);
  assert.equal(replaced.code, 7, lastWords(replaced));
  assert.equal((await chronovisor('verify', precious)).code, 0);
});

test('recordings of different machines cannot be compared', async () => {
  const other = file('exit.trace');
  await chronovisor('record', '--bios', 'none', '--kernel', testGuest('exit'), '-o', other);
  await refused(
    /recordings of different machines; diff needs the same memory, harts and disks\n/,
    'diff',
    trace,
    other,
  );
});

test('a trace of a newer version', async () => {
  const newer = whole.slice();
  const view = new DataView(newer.buffer);
  view.setUint32(8, 99, true);
  view.setUint32(20, crc32(newer.subarray(0, 20)), true);
  const path = written('newer.trace', newer);
  for (const command of ['info', 'replay', 'repair']) {
    await refused(
      /newer\.trace.* written by a newer Chronovisor \(format 99, this one reads up to \d+\): upgrade/,
      command,
      path,
    );
  }
  assert.deepEqual(readFileSync(path), Buffer.from(newer));
});

test('a trace cut anywhere is refused, or shows the beginning of the console and says where it ends', async () => {
  const random = new Random(51);
  for (const length of [30, 500, ...Array.from({ length: 8 }, () => random.below(whole.length)), whole.length - 1]) {
    const result = await chronovisor('replay', written('cut.trace', whole.subarray(0, length)));
    assert.ok(result.code === 0 || result.code === 1, `${length} bytes: ${lastWords(result)}`);
    assert.match(result.stderr, /damaged|not closed|nothing|no checkpoint|not a trace|cut/i, `${length} bytes`);
    assert.ok(shown.startsWith(result.stdout), `${length} bytes: another console`);
  }
});

test('flipped bits are noticed, and never replay as something else', async () => {
  const random = new Random(52);
  for (let i = 0; i < 40; i++) {
    const data = whole.slice();
    const at = random.below(data.length);
    data[at] ^= 1 << random.below(8);
    const path = written('flipped.trace', data);
    const verified = await chronovisor('verify', path);
    assert.equal(verified.code, 1, `byte ${at}: ${lastWords(verified)}`);
    assert.match(verified.stderr, /^chronovisor: .*flipped\.trace.*(damaged|not a trace|newer)/, `byte ${at}`);
    if (i % 4 !== 0) continue;
    const replayed = await chronovisor('replay', path);
    assert.ok(replayed.code === 0 || replayed.code === 1, lastWords(replayed));
    assert.ok(shown.startsWith(replayed.stdout), `byte ${at}: another console`);
    const fixed = await chronovisor('repair', path, '-o', file('fixed.trace'), '--force');
    if (fixed.code === 0) assert.equal((await chronovisor('verify', file('fixed.trace'))).code, 0, `byte ${at}`);
    else assert.equal(fixed.code, 1, lastWords(fixed));
  }
});

test('a full disk ends the recording with a trace that replays', async () => {
  const path = file('full.trace');
  const limitKiB = 32;
  const child = start(['record', ...SMALL_MACHINE, '--seed', '1', '-o', path], { limitKiB });
  child.stdin.write(ENDLESS);
  const { code, stderr } = await child.ended;
  assert.equal(code, 1, stderr);
  assert.match(stderr, /ended by disk-full/);
  assert.match(
    stderr,
    /cannot write .*full\.trace: the file would be larger than allowed; what was recorded up to position [\d,]+ replays\n$/,
  );
  assert.ok(statSync(path).size <= limitKiB * 1024);
  const facts = JSON.parse((await chronovisor('info', path, '--json')).stdout);
  assert.equal(facts.end.reason, 'disk-full');
  const verified = await chronovisor('verify', path);
  assert.equal(verified.code, 0, lastWords(verified));
});

test('a disk with no room at all leaves no file', async () => {
  const path = file('nothing.trace');
  const { code, stderr } = await start(['record', ...SMALL_MACHINE, '-o', path], { limitKiB: 1 }).ended;
  assert.equal(code, 1, stderr);
  assert.match(stderr, /cannot write .*nothing\.trace: the file would be larger than allowed/);
  assert.equal(existsSync(path), false);
});

test('a file system that is full', async (t) => {
  const mounted = file('tiny');
  mkdirSync(mounted);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32k', 'none', mounted]).status !== 0) {
    t.skip('this user may not mount a file system');
    return;
  }
  try {
    const path = join(mounted, 'full.trace');
    const child = start(['record', ...SMALL_MACHINE, '--seed', '1', '-o', path]);
    child.stdin.write(ENDLESS);
    const { code, stderr } = await child.ended;
    assert.equal(code, 1, stderr);
    assert.match(
      stderr,
      /cannot write .*full\.trace: the disk is full; what was recorded up to position [\d,]+ replays\n$/,
    );
    assert.equal((await chronovisor('verify', path)).code, 0);
  } finally {
    spawnSync('umount', [mounted]);
  }
});

test('after kill -9 the trace replays up to the last flush, and repair makes it whole', async () => {
  const path = file('killed.trace');
  const child = start(['record', ...SMALL_MACHINE, '-o', path]);
  child.stdin.write(ENDLESS);
  await until('the recording has flushed', () => {
    if (!existsSync(path)) return false;
    try {
      const reader = TraceReader.open(path);
      const { replayableTo } = reader;
      reader.close();
      return replayableTo > 0;
    } catch {
      return false;
    }
  });
  child.kill('SIGKILL');
  assert.equal((await child.ended).signal, 'SIGKILL');
  const replayed = await chronovisor('replay', path);
  assert.equal(replayed.code, 0, lastWords(replayed));
  assert.match(replayed.stderr, /killed\.trace: (the recording was not closed|damaged at)/);
  const repaired = await chronovisor('repair', path);
  assert.equal(repaired.code, 0, lastWords(repaired));
  assert.match(repaired.stdout, /Repaired: replays to position [\d,]+/);
  const verified = await chronovisor('verify', path);
  assert.equal(verified.code, 0, lastWords(verified));
  assert.doesNotMatch(verified.stderr, /not closed|damaged/);
});

test('a command that waits for what cannot come says so, and fails', () => {
  // The session goes back to the event loop with it.
  const lost = written('lost.cjs', 'globalThis.setImmediate = () => {};');
  const { status, stderr } = spawnSync(process.execPath, ['--require', lost, MAIN, 'run', ...SMALL_MACHINE], {
    input: '',
    encoding: 'utf8',
  });
  assert.match(stderr, /chronovisor: there is nothing left to wait for; this is a bug of Chronovisor, not of yours/);
  assert.equal(status, 2);
});

function patched(bytes: Uint8Array, offset: number, ...values: number[]): Uint8Array {
  // A Buffer's slice would share its memory.
  const copy = new Uint8Array(bytes);
  copy.set(values, offset);
  return copy;
}
