/** Probes tell exactly what happens, in every tier, and nothing else changes: compared with a slow oracle on real guests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
