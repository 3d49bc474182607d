/**
 * Runs the test files with Node's own runner: all of them, or those whose path contains one of the arguments. With
 * CHRONOVISOR_NO_SKIP=1 a test that lacks a tool fails instead of being skipped.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
  .map((file) => join(root, file));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(1);
}
// Each file is a process of its own; guests that boot need a core each. Options of V8 that this one was given go on to all.
const { status } = spawnSync(process.execPath, [...process.execArgv, '--test', '--test-concurrency=2', ...files], {
  stdio: 'inherit',
});
process.exit(status ?? 1);
