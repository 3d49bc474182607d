/** What Linux awareness tells of Debian's kernel, compared with what the guest has printed of itself at that moment. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../scripts/process.ts';
import { Random } from '../../src/base/random.ts';
import { guestFiles } from '../../src/cli/guest-files.ts';
import { linuxMachine } from '../../src/cli/hart-view.ts';
import {
  currentTasks,
  type Found,
  filesOf,
  GuestSymbols,
  Kernel,
  logOf,
  mappingsOf,
  modulesOf,
  modulesText,
  mountsOf,
  recordText,
  stackOf,
  taskOf,
  tasksOf,
} from '../../src/linux/index.ts';
import { inMemory } from '../../src/symbols/index.ts';
import { DISK_TEXT } from '../support/debian-trace.ts';
import { needCrashedGuest, partsOf, Watched } from './guest.ts';

test('what the kernel says of itself is what is read from outside', async (t) => {
  const guest = await needCrashedGuest(t);
  if (!guest) return;
  const parts = partsOf(guest.trace);
  const part = (name: string) => parts.get(name)!;
  const watched = new Watched(guest);
  /** The kernel at the end of a part of the console. */
  const after = (name: string) => watched.at(part(name).end);
  const whole = <T>({ items, problem }: { items: readonly T[]; problem: string | null }) => {
    assert.equal(problem, null);
    return items;
  };

  /** Addresses by module and section. */
  const sectionsSeen = new Map(
    part('sections').lines.map((line) => {
      const [, module, section, address] = /^\/sys\/module\/(\w+)\/sections\/(\S+) (0x[0-9a-f]{16})$/.exec(line)!;
      return [`${module} ${section}`, BigInt(address)];
    }),
  );

  await t.test('dmesg', () => {
    const { lines } = part('begin');
    const kernel = after('begin');
    assert.match(lines[0], /Linux version/);
    assert.ok(lines[0].endsWith(kernel.banner), kernel.banner);
    const records = whole(logOf(kernel));
    // Of a record with several lines, each has the level before it.
    const ours = records.flatMap((record) =>
      recordText(record)
        .split('\n')
        .map((line) => `<${record.facility * 8 + record.level}>${line}`),
    );
    assert.ok(ours.length > 150);
    assert.deepEqual(ours, lines);
    assert.deepEqual(
      records.map(({ sequence }) => sequence),
      records.map((_, i) => i),
    );
  });

  await t.test('/proc/PID/stack', () => {
    const kernel = after('stack');
    const theirs = new Map<string, string[]>();
    let pid = '';
    for (const line of part('stack').lines) {
      const next = /^stack (\d+)$/.exec(line);
      if (next) pid = next[1];
      const frame = /^\[<0>\] (\w+\+0x[0-9a-f]+)\//.exec(line);
      if (frame) theirs.set(pid, [...(theirs.get(pid) ?? []), frame[1]]);
    }
    // Code that only puts to sleep is left out by the kernel.
    const [first, last] = ['__sched_text_start', '__sched_text_end'].map(
      (name) => [...watched.image.module.file.symbols!.named(name)][0].address,
    );
    let compared = 0;
    for (const task of whole(tasksOf(kernel))) {
      const expected = theirs.get(String(task.pid));
      if (!expected || task.hart !== null || task.state.letter === 'R') continue;
      const stack = stackOf(kernel, task, 100).filter(({ inlined }) => !inlined);
      const inKernel = stack.filter(({ machine }) => machine.pc >> 63n === 1n).slice(1);
      const ours = inKernel.filter(({ machine }) => machine.pc < first || machine.pc >= last);
      const shown = ours.map(({ symbolised }) => {
        return `${symbolised!.symbol!.name}+0x${(symbolised!.symbol!.offset + 1n).toString(16)}`;
      });
      assert.deepEqual(shown, expected, `task ${task.pid}`);
      assert.equal(stack.at(-1)!.machine.pc >> 63n === 0n, !task.kernelThread, `task ${task.pid} comes from a program`);
      compared++;
    }
    assert.ok(compared >= 60, `${compared} stacks`);
  });

  await t.test('/proc/modules and /sys/module/*/sections', () => {
    const kernel = after('modules');
    const modules = modulesOf(kernel);
    assert.deepEqual(modulesText(modules).split('\n'), part('modules').lines);
    let compared = 0;
    for (const { name, sections } of whole(modules)) {
      for (const section of sections) {
        assert.equal(section.address, sectionsSeen.get(`${name} ${section.name}`), `${name} ${section.name}`);
        compared++;
      }
      for (const wanted of ['.text', '.gnu.linkonce.this_module']) {
        assert.ok(
          sections.some((section) => section.name === wanted),
          `${name} ${wanted}`,
        );
      }
      // Code that has been thrown away after the beginning is nowhere.
      assert.equal(
        sections.some((section) => section.name === '.init.text'),
        false,
      );
    }
    assert.ok(compared > 100, `${compared} sections`);
  });

  await t.test('symbols of modules, against nm and the sections that the kernel tells', async () => {
    const kernel = after('modules');
    const files = guestFiles({ kernel: guest.vmlinux, moduleFolders: [], programs: [] });
    const problems: string[] = [];
    const symbols = new GuestSymbols(watched.image, files, (problem) => problems.push(problem));
    const before = watched.image.symbols.modules.length;
    assert.equal(symbols.placeModules(whole(modulesOf(kernel))), true);
    assert.deepEqual(problems, []);
    assert.equal(watched.image.symbols.modules.length, before + 7);
    assert.equal(symbols.placeModules(whole(modulesOf(kernel))), false, 'nothing has changed');
    let compared = 0;
    for (const module of ['virtio_blk', 'jbd2']) {
      const path = join(guest.cache, 'modules', `${module}.ko`);
      const placed = watched.image.symbols.modules.find(({ file }) => file.name === path)!;
      const listed = await run('riscv64-linux-gnu-nm', ['--format=sysv', path]);
      for (const line of listed.split('\n')) {
        const [name, value, kind, , , , section] = line.split('|').map((word) => word.trim());
        const start = sectionsSeen.get(`${module} ${section}`);
        if (!/^[tT]$/.test(kind ?? '') || start === undefined || !/^[a-z_]/.test(name)) continue;
        const found = [...placed.file.symbols!.named(name)].map(({ address }) => inMemory(placed, address));
        // Code that is only for the beginning is nowhere.
        if (section === '.init.text') assert.equal(watched.image.symbols.moduleAt(found[0]), null);
        else assert.ok(found.includes(start + BigInt(`0x${value}`)), `${name}: ${found}`);
        compared++;
      }
    }
    assert.ok(compared > 200, `${compared} functions`);
    // Without the module its symbols are gone; loaded again it is elsewhere, or not, and they are there again.
    const place = () => [...watched.image.symbols.modules].find(({ file }) => file.name.endsWith('/ext4.ko'));
    assert.ok(place());
    symbols.placeModules(whole(modulesOf(after('here'))));
    assert.equal(place(), undefined);
    symbols.placeModules(whole(modulesOf(watched.at(watched.timeline.end))));
    const [again] = [...place()!.file.symbols!.named('ext4_fill_super')];
    assert.equal(watched.image.symbols.symbolAt(inMemory(place()!, again.address))?.symbol.name, 'ext4_fill_super');
    symbols.placeModules([]);
    assert.equal(watched.image.symbols.modules.length, before);
  });

  await t.test('/proc/mounts', () => {
    const theirs = part('mounts').lines.map((line) => /^(\S+ \S+ \S+ r[ow])/.exec(line)![1]);
    const ours = whole(mountsOf(after('mounts')));
    assert.deepEqual(
      ours.map(({ device, path, type, readOnly }) => `${device} ${path} ${type} ${readOnly ? 'ro' : 'rw'}`),
      theirs,
    );
  });

  await t.test('/proc/PID/fd and /proc/PID/maps', () => {
    const kernel = after('files');
    const tasks = new Map(whole(tasksOf(kernel)).map((task) => [task.pid, task]));
    const opened = part('files').lines.map((line) => /^\/proc\/(\d+)\/fd\/(\d+) (.*)$/.exec(line)!.slice(1));
    const pids = [...new Set(opened.map(([pid]) => Number(pid)))];
    assert.ok(pids.length >= 6);
    const ours = pids.flatMap((pid) =>
      whole(filesOf(kernel, tasks.get(pid)!)).map((f) => `${pid} ${f.descriptor} ${f.path}`),
    );
    assert.deepEqual(ours.sort(), opened.map((words) => words.join(' ')).sort());
    const maps = new Map<number, string[]>();
    let pid = 0;
    for (const line of part('maps').lines) {
      const next = /^maps (\d+)$/.exec(line);
      if (next) pid = Number(next[1]);
      else {
        const [, start, end, access, offset, path = ''] = /^(\w+)-(\w+) (\S+) (\w+) \S+ \d+ *(\/.*)?/.exec(line)!;
        const numbers = [start, end, offset].map((text) => BigInt(`0x${text}`).toString(16));
        maps.set(pid, [...(maps.get(pid) ?? []), `${numbers.join(' ')} ${access} ${path}`]);
      }
    }
    assert.ok(maps.size >= 6);
    for (const [process, lines] of maps) {
      const found = whole(mappingsOf(kernel, tasks.get(process)!)).map(({ start, end, access, fileOffset, path }) => {
        return `${[start, end, path === null ? 0n : fileOffset].map((n) => n.toString(16)).join(' ')} ${access} ${path ?? ''}`;
      });
      assert.deepEqual(found, lines, `process ${process}`);
    }
  });

  await t.test('/proc/PID/stat', () => {
    const kernel = after('stat');
    const tasks = new Map(whole(tasksOf(kernel)).map((task) => [task.pid, task]));
    const theirs = part('stat').lines.map((line) => /^(\d+) \((.*)\) (\w) (\d+) /.exec(line)!.slice(1));
    for (const [pid, name, state, parent] of theirs) {
      const task = tasks.get(Number(pid));
      // The one who printed this has ended meanwhile.
      if (name === 'cat' && state === 'R') continue;
      assert.ok(task, `task ${pid}`);
      // What a worker is at, and its full name, the kernel keeps elsewhere.
      if (!name.startsWith('kworker/')) assert.equal(task.name, name.slice(0, 15));
      else assert.ok(name.startsWith(task.name) || task.name === name.slice(0, 15), `${task.name} is ${name}`);
      const { letter } = task.state;
      // A thread of the kernel may have been woken since, or have gone back to sleep.
      const moved = task.kernelThread && letter !== state && [letter, state].includes('R');
      const expected = pid === '1' ? 'R' : moved ? letter : state;
      assert.deepEqual([letter, task.parent], [expected, Number(parent)], `task ${pid}`);
      assert.equal(task.process, task.pid);
      assert.equal(task.kernelThread, pid === '2' || parent === '2');
      tasks.delete(task.pid);
    }
    assert.deepEqual([...tasks.keys()], []);
    // Here the first process writes to the console, in the kernel; the other hart is idle, or does the kernel's own work.
    const currents = currentTasks(kernel);
    assert.equal(currents.filter((task) => task?.name === 'init').length, 1);
    for (const task of currents)
      assert.ok(task?.name === 'init' || task?.pid === 0 || task?.kernelThread, `${task?.name}`);
  });

  await t.test('what the disk held was read', () => {
    assert.deepEqual(part('disk').lines, [DISK_TEXT.trimEnd()]);
  });

  await t.test('the current task of each hart, through entries and exits of the kernel', () => {
    watched.timeline.seek(part('maps').end);
    const seen = new Set<string>();
    for (let n = 0; n < 4000; n++) {
      const { machine } = watched.timeline;
      const kernel = new Kernel(watched.image, linuxMachine(machine));
      const privileges = kernel.machine.harts.map(({ privilege }) => privilege);
      for (const [hart, task] of currentTasks(kernel).entries()) {
        assert.ok(task, `hart ${hart} at ${machine.position}`);
        // While Linux changes over, the task is neither the old one nor the new one for sure.
        assert.equal(task.hart, hart);
        seen.add(`${privileges[hart]} ${task.kernelThread}`);
      }
      watched.timeline.seek(machine.position + 1 + (n % 7));
    }
    assert.ok(seen.has('U false') && seen.has('S false'), [...seen].join());
  });

  await t.test('whatever memory holds: an answer, and soon', (sub) => {
    const seed = 20261123;
    sub.diagnostic(`seed ${seed}`);
    const random = new Random(seed);
    watched.timeline.seek(part('files').end);
    const machine = linuxMachine(watched.timeline.machine);
    const [init] = whole(tasksOf(new Kernel(watched.image, machine)));
    const questions: ((kernel: Kernel) => Found<unknown>)[] = [
      tasksOf,
      logOf,
      modulesOf,
      mountsOf,
      (kernel) => mappingsOf(kernel, taskOf(kernel, init.pid)),
      (kernel) => filesOf(kernel, taskOf(kernel, init.pid)),
    ];
    /** Memory whose reading with a number is garbled; counts readings. */
    const garbling = (which: number) => {
      const reading = { count: 0, machine };
      const memory = (satp: bigint) => ({
        read: (address: bigint, length: number) => {
          const bytes = machine.memory(satp).read(address, length);
          if (reading.count++ !== which || !bytes) return bytes;
          if (random.below(8) === 0) return null;
          const garbled = Uint8Array.from(bytes);
          for (let n = 0; n <= random.below(8); n++) garbled[random.below(length)] ^= 1 << random.below(8);
          return garbled;
        },
      });
      reading.machine = { ...machine, memory };
      return reading;
    };
    let problems = 0;
    for (const [i, ask] of questions.entries()) {
      const plain = garbling(-1);
      const expected = whole(ask(new Kernel(watched.image, plain.machine))).length;
      for (let n = 0; n < 25; n++) {
        const { machine: garbled } = garbling(random.below(plain.count));
        try {
          const { items, problem } = ask(new Kernel(watched.image, garbled));
          assert.ok(items.length <= Math.max(2 * expected, expected + 200), `question ${i}: ${items.length} answers`);
          if (problem !== null) problems++;
        } catch (error) {
          assert.equal((error as Error).name, 'Unavailable', (error as Error).stack);
          problems++;
        }
      }
    }
    assert.ok(problems > 10, `${problems} problems`);
  });

  await t.test('before the kernel is up, it says so', () => {
    const { end } = watched.timeline;
    let [early, there] = [0, 0];
    for (let n = 0; n <= 60; n++) {
      const position = Math.floor((end * n ** 4) / 60 ** 4);
      let kernel: Kernel;
      try {
        kernel = watched.at(position);
      } catch (error) {
        assert.match((error as Error).message, /MMU|not mapped yet/);
        early++;
        continue;
      }
      there++;
      for (const { problem } of [tasksOf(kernel), logOf(kernel), modulesOf(kernel)]) assert.equal(problem, null);
    }
    assert.ok(early > 2 && there > 20, `${early} too early, ${there} there`);
  });
});
