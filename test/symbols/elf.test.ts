/** Sections, symbols, build ids and separate debug information, compared with binutils. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/process.ts';
import { UserError } from '../../src/base/assert.ts';
import { debugFilePaths, ElfFile, isDebugFileOf, SymbolFile, sourceOf } from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL, scratch } from '../support/guests.ts';
import { needTool } from '../support/tools.ts';
import { needVmlinux, openSource } from './support/files.ts';

const open = (path: string) => new SymbolFile(sourceOf(path, readFileSync(path)));

test('symbols by address and by name are those of nm', async (t) => {
  const path = needVmlinux(t);
  if (!path || !needTool(t, 'riscv64-linux-gnu-nm', 'binutils-riscv64-linux-gnu')) return;
  const { symbols } = new SymbolFile(openSource(t, path));
  const lines = (await run('riscv64-linux-gnu-nm', ['-n', '--defined-only', path])).trimEnd().split('\n');
  const wanted = new Map<string, Set<string>>();
  let count = 0;
  for (const line of lines) {
    const [, address, type, name] = /^(\w+) (\w) (.*)$/.exec(line)!;
    if (/[aAnN]/.test(type) || name.startsWith('$') || name.startsWith('.L')) continue;
    count++;
    wanted.set(address, (wanted.get(address) ?? new Set()).add(name));
  }
  assert.equal(symbols!.count, count);
  const found = new Map<string, Set<string>>();
  for (const { name, address } of symbols!.all()) {
    const key = address.toString(16).padStart(16, '0');
    found.set(key, (found.get(key) ?? new Set()).add(name));
  }
  assert.deepEqual(found, wanted);
  let n = 0;
  for (const [address, names] of wanted) {
    if (n++ % 97 !== 0) continue;
    const at = BigInt(`0x${address}`);
    for (const name of names)
      assert.ok(
        [...symbols!.named(name)].some((s) => s.address === at),
        name,
      );
    const here = symbols!.at(at);
    assert.ok(here && (here.address === at ? names.has(here.name) : here.address < at), address);
  }
});

test('build id, and debug information in a file of its own', async (t) => {
  if (!needTool(t, 'riscv64-linux-gnu-objcopy', 'binutils-riscv64-linux-gnu')) return;
  const folder = scratch(t);
  const [stripped, debug, other] = ['kernel', 'kernel.debug', 'other.debug'].map((name) => join(folder, name));
  const objcopy = (...args: string[]) => run('riscv64-linux-gnu-objcopy', args);
  await objcopy('--only-keep-debug', EMBEDDED_KERNEL, debug);
  await objcopy('--strip-all', `--add-gnu-debuglink=${debug}`, EMBEDDED_KERNEL, stripped);
  const notes = await run('riscv64-linux-gnu-readelf', ['-n', EMBEDDED_KERNEL]);
  const file = open(stripped);
  assert.equal(file.buildId, /Build ID: ([0-9a-f]+)/.exec(notes)?.[1]);
  assert.equal(file.symbols, null);
  assert.equal(file.info.units.length, 0);
  const id = file.buildId!;
  assert.deepEqual(debugFilePaths(file.elf, stripped, ['/root']), [
    `/root/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`,
    debug,
    join(folder, '.debug/kernel.debug'),
    `/root${folder}/kernel.debug`,
  ]);
  const found = open(debug);
  assert.ok(isDebugFileOf(file.elf, found.elf.source));
  // What is left of the program in it is enough to find things at their addresses.
  const at = [...found.symbols!.named('trap_handle')][0].address;
  assert.equal(found.framesAt(at)[0].name, 'trap_handle');
  assert.ok(found.frameRules(at));

  // Without a build id the checksum decides.
  const [plain, plainDebug] = ['plain', 'plain.debug'].map((name) => join(folder, name));
  const noId = join(folder, 'no-id');
  await objcopy('--remove-section=.note.gnu.build-id', EMBEDDED_KERNEL, noId);
  await objcopy('--only-keep-debug', noId, plainDebug);
  await objcopy('--strip-all', `--add-gnu-debuglink=${plainDebug}`, noId, plain);
  assert.equal(open(plain).buildId, null);
  assert.ok(isDebugFileOf(open(plain).elf, sourceOf('right', readFileSync(plainDebug))));
  const changed = Uint8Array.from(readFileSync(plainDebug));
  changed[changed.length - 1] ^= 1;
  writeFileSync(other, changed);
  assert.ok(!isDebugFileOf(open(plain).elf, sourceOf('wrong', readFileSync(other))));
});

test('what cannot be read is refused with its reason', async (t) => {
  const good = readFileSync(EMBEDDED_KERNEL);
  const refused = (change: (bytes: Buffer) => Uint8Array, message: RegExp) => {
    const bytes = change(Buffer.from(good));
    assert.throws(
      () => new ElfFile(sourceOf('file', bytes)),
      (error) => error instanceof UserError && message.test(error.message),
    );
  };
  refused(() => new Uint8Array(10), /ELF header of 64 bytes expected, the file has 10/);
  refused((b) => b.fill(0, 0, 4), /not an ELF file/);
  refused((b) => b.fill(1, 4, 5), /64-bit little-endian/);
  refused((b) => b.fill(62, 18, 19).fill(0, 19, 20), /for machine 62; one for RISC-V/);
  refused((b) => b.subarray(0, 100_000), /section headers at offset \d+ reach past the end/);
  if (!needTool(t, 'riscv64-linux-gnu-objcopy', 'binutils-riscv64-linux-gnu')) return;
  const compressed = join(scratch(t), 'compressed');
  await run('riscv64-linux-gnu-objcopy', ['--compress-debug-sections=zlib', EMBEDDED_KERNEL, compressed]);
  const same = open(compressed);
  const whole = open(EMBEDDED_KERNEL);
  assert.ok(same.elf.section('.debug_info')!.header.flags & 0x800);
  assert.deepEqual(same.elf.section('.debug_info')!.all(), whole.elf.section('.debug_info')!.all());
  // Elf64_Chdr: its type is the first word.
  const bytes = readFileSync(compressed);
  bytes[same.elf.section('.debug_info')!.header.offset] = 2;
  const zstd = new SymbolFile(sourceOf('zstd', bytes));
  assert.deepEqual(zstd.info.units, []);
  assert.match(
    zstd.problems[0].message,
    /^zstd: \.debug_info at offset 0x0: compressed with zstd, which is not supported; objcopy/,
  );
});

test('split DWARF is refused for what it is', async (t) => {
  if (!needTool(t, 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu')) return;
  const folder = scratch(t);
  writeFileSync(join(folder, 'a.c'), 'int start(int a) { return a + 1; }\n');
  for (const version of ['-gdwarf-5', '-gdwarf-4']) {
    const flags = ['-O1', '-gsplit-dwarf', version, '-nostdlib', '-static', '-Wl,-e,start'];
    await run('riscv64-linux-gnu-gcc', [...flags, 'a.c', '-o', 'a.elf'], { cwd: folder });
    const file = open(join(folder, 'a.elf'));
    const { address } = [...file.symbols!.named('start')][0];
    assert.deepEqual(file.framesAt(address), []);
    assert.match(
      file.problems[0].message,
      /split DWARF \(\.dwo files\) is not supported; compile without -gsplit-dwarf/,
    );
    assert.equal(file.symbolAt(address)?.name, 'start');
  }
});
