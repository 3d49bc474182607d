/** `chronovisor linux` on a crashed Debian guest. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { needCrashedGuest } from '../linux/guest.ts';
import { chronovisor, lastWords, scratch } from '../support/guests.ts';

test('tasks, a stack with its program, and questions that make no sense', async (t) => {
  const guest = await needCrashedGuest(t);
  if (!guest) return;
  const ask = (...words: string[]) => chronovisor('linux', guest.trace, ...words, '--symbols', guest.vmlinux);
  const tasks = await ask('tasks', '--json');
  assert.equal(tasks.code, 0, lastWords(tasks));
  const { banner, harts, items, problem } = JSON.parse(tasks.stdout);
  assert.match(banner, /^Linux version 6\./);
  const crashed = harts.find(({ name }: { name: string }) => name === 'nested-pie');
  assert.equal(problem, null);
  assert.deepEqual(
    items.find(({ pid }: { pid: number }) => pid === crashed.pid),
    crashed,
  );
  const stack = await ask('stack', String(crashed.pid), '--program', guest.programs[1]);
  assert.match(stack.stdout, /^nested-pie \(pid \d+\), running\n/);
  assert.match(
    stack.stdout,
    /sysrq_handle_crash[\s\S]* nested-pie!syscall3\+0x\w+ {2}\S*nested\.c:\d+ {2}\(interrupted\)\n.*nested-pie!fulfil/,
  );
  // A file of the same name that is another program.
  const other = join(scratch(t), 'nested-pie');
  copyFileSync(guest.programs[0], other);
  const refused = await ask('stack', String(crashed.pid), '--program', other);
  assert.match(refused.stderr, /nested-pie: is not the guest's \/bin\/nested-pie \(build id [0-9a-f]{40}, in memory /);
  assert.match(refused.stdout, / nested-pie!\?\? /);
  const early = await ask('tasks', '--at', '1000');
  assert.equal(early.code, 1);
  assert.match(early.stderr, /linux tasks: Linux cannot be seen here: no hart has turned on its MMU yet/);
  assert.match((await ask('weather')).stderr, /there is no such question; there are tasks \(/);
  assert.match((await ask('files')).stderr, /the number of a task is needed/);
  assert.match((await ask('files', '4000000')).stderr, /there is no task 4000000 now/);
  const wrong = await chronovisor('linux', guest.trace, 'tasks', '--symbols', guest.programs[0]);
  assert.match(wrong.stderr, /vmlinux with its debug information is needed/);
});
