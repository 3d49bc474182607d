/** The lockstep harness, on the embedded guest's boot. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { needTool } from '../support/tools.ts';

const COMPARE = fileURLToPath(new URL('../../scripts/compare.js', import.meta.url));
const KERNEL = fileURLToPath(new URL('../../../guests/embedded/kernel.elf', import.meta.url));

function compare(...args: string[]) {
  return spawnSync(process.execPath, [COMPARE, ...args], { encoding: 'utf8' });
}

test('the embedded guest boots as on QEMU, instruction for instruction', { timeout: 60_000 }, (t) => {
  if (!needTool(t, 'qemu-system-riscv64', 'qemu-system-misc')) return;
  const { status, stdout, stderr } = compare('--kernel', KERNEL, '--steps', '50000', '--float');
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /agree on 50000 instructions/);
});

test('wrong options are errors in one line', () => {
  const cases = [
    [[], /--kernel is missing/],
    [['--kernel', '/does/not/exist'], /\/does\/not\/exist: ENOENT/],
    [['--kernel', KERNEL, '--steps', 'many'], /--steps many: not a count/],
    [['--kernel', KERNEL, '--what'], /--what/],
  ] as const;
  for (const [args, message] of cases) {
    const { status, stderr } = compare(...args);
    assert.equal(status, 1);
    assert.match(stderr, message);
  }
  assert.match(compare('--help').stdout, /cannot be compared/);
});
