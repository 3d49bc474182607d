/** Structures of a Linux of some years ago, compiled for this test; whole, and garbled one word at a time. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../scripts/process.ts';
import { Random } from '../../src/base/random.ts';
import {
  currentTasks,
  type Found,
  Kernel,
  KernelImage,
  logOf,
  logText,
  mappingsOf,
  modulesOf,
  mountsOf,
  satpOf,
  tasksOf,
  tasksText,
} from '../../src/linux/index.ts';
import { registerNumber, SymbolFile, Symbols, sourceOf } from '../../src/symbols/index.ts';
import { CHECKOUT } from '../cli/small.ts';
import { scratch } from '../support/guests.ts';
import { needTool } from '../support/tools.ts';

const BASE = 0xffffffff80200000n;
const SATP = 8n << 60n;
const [TP, SSCRATCH, SATP_NUMBER] = ['tp', 'sscratch', 'satp'].map((name) => registerNumber(name)!);

/** The program's memory, in which words can be changed. */
class Mock {
  readonly file: SymbolFile;
  readonly image: KernelImage;
  readonly #bytes = new Uint8Array(1 << 17);
  readonly registers = new Map<number, bigint>([[SATP_NUMBER, SATP]]);
  privilege: 'U' | 'S' | 'M' = 'S';

  constructor(path: string) {
    this.file = new SymbolFile(sourceOf(path, readFileSync(path)));
    const symbols = new Symbols();
    symbols.add(this.file);
    this.image = KernelImage.of(symbols)!;
    for (const section of this.file.elf.sections.filter(({ allocated }) => allocated)) {
      this.#bytes.set(section.all(), Number(section.address - BASE));
    }
    this.registers.set(TP, this.address('shell'));
  }

  address(name: string): bigint {
    return [...this.file.symbols!.named(name)][0].address;
  }

  get kernel(): Kernel {
    const registers = { pc: 0n, get: (register: number) => this.registers.get(register) };
    return new Kernel(this.image, {
      harts: [{ privilege: this.privilege, registers }],
      memory: () => ({ read: (address, length) => this.#read(address, length) }),
    });
  }

  #read(address: bigint, length: number): Uint8Array | null {
    const at = address - BASE;
    if (at < 0n || at + BigInt(length) > BigInt(this.#bytes.length)) return null;
    return this.#bytes.slice(Number(at), Number(at) + length);
  }

  /** Puts a word at an address while something is done. */
  with<T>(address: bigint, value: bigint, work: () => T): T {
    const view = new DataView(this.#bytes.buffer, Number(address - BASE), 8);
    const before = view.getBigUint64(0, true);
    view.setBigUint64(0, BigInt.asUintN(64, value), true);
    try {
      return work();
    } finally {
      view.setBigUint64(0, before, true);
    }
  }

  /** All addresses of words. */
  get words(): bigint[] {
    return Array.from({ length: this.#bytes.length / 8 }, (_, i) => BASE + BigInt(i) * 8n);
  }
}

async function build(t: TestContext): Promise<Mock | null> {
  if (!needTool(t, 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu')) return null;
  const path = join(scratch(t), 'vmlinux');
  const flags = ['-nostdlib', '-static', '-no-pie', '-ffreestanding', '-mcmodel=medany', '-g', '-w', '-O0'];
  const place = [
    '-Wl,-e,start_kernel',
    `-Wl,-Ttext-segment=0x${BASE.toString(16)}`,
    '-Wl,--no-relax',
    '-Wl,-z,norelro',
  ];
  await run('riscv64-linux-gnu-gcc', [...flags, ...place, join(CHECKOUT, 'test/linux/old-kernel.c'), '-o', path]);
  return new Mock(path);
}

test('what older kernels keep in other places', async (t) => {
  const mock = await build(t);
  if (!mock) return;
  const { kernel } = mock;
  assert.equal(kernel.banner, 'Linux version 5.4.0-mock');
  assert.equal(
    tasksText(tasksOf(kernel)),
    [
      '  PID  TGID  PPID S  HART  NAME',
      '    1     1     0 R     0  sh',
      '    7     1     0 D        sh helper',
      '    2     2     0 I        [kworker/0:0]',
    ].join('\n'),
  );
  assert.equal(currentTasks(kernel)[0]?.pid, 1);
  const log = logOf(kernel);
  assert.equal(
    logText(log),
    '[    0.001000] first\n[    0.002000] second\n[    0.002000] beside\n[    0.000003] third',
  );
  assert.deepEqual(
    log.items.map(({ sequence, level, facility }) => [sequence, level, facility]),
    [
      [5, 4, 0],
      [6, 3, 1],
      [7, 6, 0],
    ],
  );
  const [shell] = tasksOf(kernel).items;
  assert.deepEqual(mappingsOf(kernel, shell), {
    items: [
      { start: 0x10000n, end: 0x12000n, access: 'r-xp', path: '/bin/sh', fileOffset: 0x2000n },
      { start: 0x20000n, end: 0x30000n, access: 'rw-p', path: null, fileOffset: 0n },
    ],
    problem: null,
  });
  const helper = tasksOf(kernel).items[1];
  assert.equal(satpOf(kernel, helper), SATP | ((mock.address('tables') - 0xffffffff00000000n) >> 12n));
  assert.deepEqual(mountsOf(kernel).items, [{ device: '/dev/vda', path: '/', type: 'ext2', readOnly: true }]);
  const modules = modulesOf(kernel);
  assert.equal(modules.problem, null);
  assert.deepEqual(
    modules.items.map(({ name, state, bytes, uses, sections }) => ({ name, state, bytes, uses, sections })),
    [
      { name: 'a', state: 'Live', bytes: 4096, uses: 2, sections: [{ name: '.text', address: 0xffffffff90000010n }] },
      { name: 'b', state: 'Loading', bytes: 12288, uses: 0, sections: [] },
    ],
  );
});

test('the current task is where each privilege has it', async (t) => {
  const mock = await build(t);
  if (!mock) return;
  const [shell, other] = [mock.address('shell'), mock.address('kernel_thread')];
  const current = (privilege: 'U' | 'S' | 'M', tp: bigint, sscratch: bigint) => {
    mock.privilege = privilege;
    mock.registers.set(TP, tp).set(SSCRATCH, sscratch);
    return currentTasks(mock.kernel)[0]?.name ?? null;
  };
  assert.equal(current('S', shell, 0n), 'sh');
  assert.equal(current('U', 0x3fff0000n, shell), 'sh');
  // The first instruction of a trap from a program has not changed them yet; the next ones have.
  assert.equal(current('S', 0x3fff0000n, shell), 'sh');
  assert.equal(current('S', other, 0x3fff0000n), 'kworker/0:0');
  // A program may have anything in tp, an address of a task among them.
  assert.equal(current('U', other, shell), 'sh');
  assert.equal(current('M', shell + 8n, 0n), null);
  assert.equal(current('S', 0n, 0n), null);
  assert.equal(current('S', shell + 1n, BASE - 8n), null);
});

test('what is garbled says what and where', async (t) => {
  const mock = await build(t);
  if (!mock) return;
  const offset = (type: string, member: string) => mock.kernel.object(type, 0n).at(member).address;
  const at = (name: string, type: string, member: string) => mock.address(name) + offset(type, member);
  const next = at('shell', 'struct task_struct', 'tasks');
  const tasks = () => tasksOf(mock.kernel);
  const hex = (value: bigint) => `0x${value.toString(16)}`;
  const garbled = (value: bigint) => mock.with(next, value, tasks);
  assert.match(
    garbled(next).problem!,
    new RegExp(`init_task.tasks is garbled: the entry at ${hex(next)} leads back to`),
  );
  assert.deepEqual(
    garbled(next).items.map(({ pid }) => pid),
    [1, 7],
  );
  assert.match(garbled(0n).problem!, /leads nowhere/);
  assert.match(garbled(0xdead000000000100n).problem!, /memory at 0xdead0000000\w+ cannot be read/);
  assert.match(garbled(next + 3n).problem!, /where no entry can be/);
  const thread = at('shell_thread', 'struct task_struct', 'thread_node');
  assert.match(mock.with(thread, thread, tasks).problem!, /the list of threads of process 1 is garbled/);

  const log = () => logOf(mock.kernel).problem;
  assert.match(mock.with(mock.address('log_first_idx'), 4000n, log)!, /at 4000 of/);
  const records = mock.kernel.need('log_buf').pointer;
  assert.match(mock.with(records + 3n * 32n + 8n, 7n, log)!, /the record at 0x\w+ says that it has 7 bytes/);
  const modules = () => modulesOf(mock.kernel);
  assert.match(mock.with(mock.address('module_b'), 9n, modules).problem!, /state of the module at 0x\w+ is none/);
  assert.equal(mock.with(mock.address('module_b'), 9n, modules).items.length, 1);
  const map = mock.address('text') + offset('struct vm_area_struct', 'vm_next');
  const found = mock.with(map, mock.address('text'), () => mappingsOf(mock.kernel, tasks().items[0]));
  assert.match(found.problem!, /the memory map of task 1 is garbled/);

  mock.registers.set(SATP_NUMBER, 0n);
  assert.throws(() => mock.kernel, /no hart has turned on its MMU yet/);
  mock.registers.set(SATP_NUMBER, SATP);
  mock.with(mock.address('linux_banner'), 0n, () => assert.throws(() => mock.kernel, /there is no Linux at/));
  mock.with(mock.address('linux_banner') + 14n, 0x30302e35n, () =>
    assert.throws(() => mock.kernel, /is of another kernel/),
  );
});

test('any word garbled: an answer, and soon', async (t) => {
  const mock = await build(t);
  if (!mock) return;
  const seed = 20261123;
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const { words } = mock;
  // Where pointers and numbers are, and not the empty pages around them.
  const used = words.filter((address) => mock.kernel.object('unsigned long', address).pointer !== 0n);
  assert.ok(used.length > 120, `${used.length} words`);
  let problems = 0;
  for (const address of used) {
    const other = used[random.below(used.length)];
    const values = [0n, address, other, other + BigInt(random.below(16)), 1n << BigInt(random.below(64)), -1n];
    for (const value of values) {
      mock.with(address, value, () => {
        let kernel: Kernel;
        try {
          kernel = mock.kernel;
        } catch (error) {
          assert.equal((error as Error).name, 'Unavailable', `${address.toString(16)}: ${(error as Error).stack}`);
          return;
        }
        const tasks = tasksOf(kernel);
        currentTasks(kernel);
        const all: Found<unknown>[] = [tasks, logOf(kernel), modulesOf(kernel), mountsOf(kernel)];
        for (const task of tasks.items) all.push(mappingsOf(kernel, task));
        problems += all.filter(({ problem }) => problem !== null).length;
        assert.ok(tasks.items.length < 100);
      });
    }
  }
  assert.ok(problems > 300, `${problems} problems`);
});
