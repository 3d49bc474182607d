/** The demo tells its whole story: a race that is caught, and the way back from the panic to the two who caused it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { chronovisor, lastWords, scratch } from '../support/guests.ts';

test('the demo finds the bug and goes back to its cause', async (t) => {
  const path = join(scratch(t), 'demo.trace');
  const demo = await chronovisor('demo', '-o', path);
  assert.equal(demo.code, 0, lastWords(demo));
  const { stdout } = demo;
  assert.match(stdout, /run 3, chaos seed 21: [\d,]+ steps, fine\n +run 4, chaos seed 22: [\d,]+ steps, PANIC\n/);
  assert.match(stdout, /panic: corrupt message at/);
  assert.match(stdout, /The panic, position .*\n.*\n +#0 .* panic\+.*guests\/embedded\/panic\.c:\d+\n/);
  // The last write to the damaged message is by the sampling timer interrupt.
  assert.match(stdout, /Back from there .*\n.*\n.*\n +#0 .* work_sample\+.*work\.c:\d+\n/);
  const owners = stdout.match(
    /hart (\d), pc .*\n +#0 .* unlink_first\+.*message\.c:26\n +#1 .* message_take(_now)?\+/g,
  );
  assert.equal(owners?.length, 2, stdout);
  assert.notEqual(owners[0].slice(0, 6), owners[1].slice(0, 6), 'two harts');
  const again = await chronovisor('demo', '-o', path);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /the file exists; choose another name or give --force/);
});
