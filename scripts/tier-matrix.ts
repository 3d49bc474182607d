/**
 * `npm run tiers`: runs tests in all ways in which guest code can be executed, by tier and by what V8 compiles it with; with `--engines`, on other
 * versions of Node too, which are fetched from the package registry.
 *
 * Usage: npm run tiers -- [--engines] [--seed N] [words of test files...]
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const RUN = fileURLToPath(new URL('../test/run.js', import.meta.url));
const ENGINES = fileURLToPath(new URL('../../.cache/engines', import.meta.url));
const VERSIONS = ['20', '22', '24', 'latest'];
/** Tests whose guests obey CHRONOVISOR_JIT; those of generated code itself choose tiers of their own. */
const TIER_TESTS = ['replay/', 'cli/commands', 'debian/boot'];
/** Tests in which generated code does most. */
const CODE_TESTS = [
  ...['riscv/compiled', 'riscv/wild', 'riscv/tiers', 'riscv/corners', 'riscv/regions', 'riscv/virtual-memory'],
  ...['float/', 'replay/golden', 'replay/determinism'],
];

interface Way {
  readonly name: string;
  readonly node: string;
  readonly flags: readonly string[];
  readonly jit: string;
  readonly tests: readonly string[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { engines: { type: 'boolean', default: false }, seed: { type: 'string', default: '1' } },
});
const here = process.execPath;
const tests = (usual: readonly string[]) => (positionals.length > 0 ? positionals : usual);
const tiers = ['off', 'now', `random:${values.seed}`].map((jit): Way => {
  return { name: `CHRONOVISOR_JIT=${jit}`, node: here, flags: [], jit, tests: tests(TIER_TESTS) };
});
const compilers = ['--liftoff-only', '--no-liftoff'].map((flag): Way => {
  return { name: flag, node: here, flags: [flag], jit: '', tests: tests(CODE_TESTS) };
});
const engines = (values.engines ? VERSIONS : []).map((version): Way => {
  return { name: `Node ${version}`, node: engine(version), flags: [], jit: '', tests: tests(CODE_TESTS) };
});

const failed: string[] = [];
for (const way of [...tiers, ...compilers, ...engines]) {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(way.node, [...way.flags, RUN, ...way.tests], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, CHRONOVISOR_JIT: way.jit },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const passed = /^(?:#|ℹ) pass (\d+)$/m.exec(stdout)?.[1] ?? 'no';
  console.log(`${way.name}: ${passed} tests pass, ${status === 0 ? 'none fails' : 'SOME FAIL'} (${seconds} s)`);
  if (status === 0) continue;
  failed.push(way.name);
  console.log(`${stdout}\n${stderr}`);
}
if (failed.length > 0) {
  console.error(`tests fail with ${failed.join(', ')}`);
  process.exit(1);
}

/** The binary of a version of Node, fetched if it is not there yet. */
function engine(version: string): string {
  const folder = join(ENGINES, version);
  const binary = join(folder, 'node_modules/node/bin/node');
  if (!existsSync(binary)) {
    const install = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, `node@${version}`];
    const { status } = spawnSync('npm', install, { stdio: 'inherit' });
    if (status !== 0) throw new Error(`npm cannot install node@${version}`);
  }
  return binary;
}
