/** Probes tell exactly what happens, in every tier, and nothing else changes: compared with a slow oracle on real guests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGE_BYTES, RAM_BASE } from '../../src/vmm/layout.ts';
import type { AccessEvent } from '../../src/vmm/probes.ts';
import type { VirtMachine } from '../../src/vmm/riscv/virt.ts';
import { needGuest } from '../support/guests.ts';
import { debianShell, embeddedGuest, plainMachine } from '../support/recording.ts';
import { compare } from './compare.ts';
import { runThrough, runToText } from './oracle.ts';

const type = (text: string) => (machine: VirtMachine) => {
  machine.input({ kind: 'console', device: 'uart0', data: new TextEncoder().encode(text) });
};

/** Runs on until the harts trap often, as they do where programs begin and end. */
function runToTraps(machine: VirtMachine, wanted: number): void {
  const { cpu } = machine;
  const traps = () => Array.from({ length: cpu.harts }, (_, hart) => cpu.get(hart, 'traps')).reduce((a, b) => a + b);
  for (const limit = machine.position + 1e8; ; assert.ok(machine.position < limit, 'the harts trap')) {
    const before = traps();
    runThrough(machine, machine.position + 20_000 * cpu.harts);
    if (traps() - before >= BigInt(wanted)) return;
  }
}

test('the embedded guest on four harts', (t) => {
  const machine = plainMachine(embeddedGuest(3));
  compare(t, machine, 30_000, 10);
  runToText(machine, '> ');
  const commands = [
    'run fp 30\nspawn fault\nwork 9 3\n',
    'disk read 3\ndisk write 3 x\ndisk read 3\n',
    'run recurse 30\n',
  ];
  for (const command of commands) {
    compare(t, machine, 50_000, 12, type(command));
    type(command)(machine);
    runToText(machine, '> ');
  }
});

test('whatever changes memory is told: devices, too', () => {
  const machine = plainMachine(embeddedGuest(3));
  runToText(machine, '> ');
  const { snapshot } = machine.snapshot();
  const everything = {
    space: 'physical',
    address: BigInt(RAM_BASE),
    length: 64 * 2 ** 20,
    read: true,
    write: true,
  } as const;
  const events: AccessEvent[] = [];
  const begin = () => {
    machine.restore(snapshot);
    type('disk read 3\n')(machine);
  };
  begin();
  machine.probes.set({ accesses: [everything] }, (event) => {
    if (event.kind === 'access') events.push(event);
    return false;
  });
  runToText(machine, '> ');
  machine.probes.clear();
  const devices = events.filter(({ device }) => device !== null);
  assert.deepEqual([...new Set(devices.map(({ device }) => device))], ['disk0']);
  assert.ok(
    devices.some(({ write, length }) => write && length >= 512),
    'the block that was read',
  );
  assert.ok(
    devices.some(({ write }) => !write),
    'the descriptors',
  );
  const { position } = devices[0];
  const written = new Map<number, AccessEvent[]>();
  for (const event of events.filter(({ write }) => write)) {
    written.set(event.position, [...(written.get(event.position) ?? []), event]);
  }
  begin();
  runThrough(machine, position - 300);
  machine.snapshot();
  const { pages } = machine;
  const content = (page: number) => Buffer.from(pages.read(page) ?? new Uint8Array(PAGE_BYTES));
  const before = Array.from({ length: pages.ramPages }, (_, page) => (pages.present(page) ? content(page) : null));
  for (let step = position - 300; step < devices.at(-1)!.position + 300; step++) {
    runThrough(machine, step + 1);
    const { snapshot: now, changed } = machine.snapshot();
    pages.release(now.pages);
    for (const page of changed) {
      if (page >= pages.ramPages) continue;
      const [old, fresh] = [before[page] ?? Buffer.alloc(PAGE_BYTES), content(page)];
      before[page] = fresh;
      for (let i = 0; i < PAGE_BYTES; i++) {
        if (old[i] === fresh[i]) continue;
        const address = BigInt(RAM_BASE + page * PAGE_BYTES + i);
        const told = (written.get(step) ?? []).some(
          ({ physical, length }) => physical <= address && address < physical + BigInt(length),
        );
        assert.ok(told, `0x${address.toString(16)} changes at ${step}`);
      }
    }
  }
});

for (const harts of [1, 4]) {
  test(`Debian's kernel on ${harts} hart${harts > 1 ? 's' : ''}`, (t) => {
    const cache = needGuest(t);
    if (!cache) return;
    const machine = plainMachine(debianShell(cache, harts, 5));
    compare(t, machine, 20_000, 5);
    machine.cpu.jit.hotAfter = 3000;
    machine.sliceSteps = 2_000_000;
    runToText(machine, 'built-in commands.');
    type('head -c 32 /dev/urandom | sha256sum\n')(machine);
    // What was typed is echoed before it is run.
    runToText(machine, 'sha256sum');
    for (let i = 0; i < 4; i++) {
      runToTraps(machine, 8);
      compare(t, machine, 30_000, 8);
    }
  });
}
