/** Debian's kernel on every firmware and on one and four harts: to a shell, some commands, power off; recorded, then verified. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  chronovisor,
  debianGuest,
  type Exchange,
  lastWords,
  needGuest,
  scratch,
  writeScript,
} from '../support/guests.ts';

// The answers are computed, so that the echo of a command is never taken for what it prints.
const CONVERSATION: readonly Exchange[] = [
  ['built-in commands.', 'echo harts-$(($(nproc)+0)) product-$((6*7))'],
  ['product-42', `ls / | sort | xargs; seq 1 500 | awk '{s += $1} END {print "sum-" s}'`],
  ['sum-125250', 'dd if=/dev/urandom bs=1k count=64 2>/dev/null | gzip -1 | gunzip | wc -c | sed s/^/bytes-/'],
  ['bytes-65536', 'for n in 1 2 3 4; do (echo $n | sha256sum >/dev/null; echo) & done; wait; echo all-$((2+2))'],
  ['all-4', 'poweroff -f'],
];

for (const firmware of ['builtin', 'fw_jump', 'fw_dynamic']) {
  for (const harts of [1, 4]) {
    test(`${firmware}, ${harts} hart${harts > 1 ? 's' : ''}: boots to a shell, powers off, and replays`, async (t) => {
      const cache = needGuest(t);
      if (!cache) return;
      const folder = scratch(t);
      const trace = join(folder, 'boot.trace');
      const bios = firmware === 'builtin' ? firmware : join(cache, `${firmware}.bin`);
      const script = writeScript(join(folder, 'script'), CONVERSATION);
      const machine = ['--bios', bios, '--harts', String(harts), '--script', script];
      const recorded = await chronovisor('record', ...debianGuest(cache, 'shell'), ...machine, '-o', trace);
      assert.equal(recorded.code, 0, lastWords(recorded));
      assert.match(recorded.stderr, /ended by power-off, exit code 0/, lastWords(recorded));
      assert.match(recorded.stdout, new RegExp(`^harts-${harts} product-42`, 'm'));
      assert.match(recorded.stdout, /^bin dev etc .*\r?\nsum-125250/m);
      assert.match(recorded.stdout, /^all-4/m);

      const verified = await chronovisor('verify', trace, '--json');
      assert.equal(verified.code, 0, lastWords(verified));
      const result = JSON.parse(verified.stdout);
      assert.equal(result.equal, true);
      assert.ok(result.digests >= 10, `${result.digests} digests were compared`);
      assert.equal(result.consoleBytes, Buffer.byteLength(recorded.stdout));
    });
  }
}
