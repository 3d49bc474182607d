import type { TestContext } from 'node:test';
import { findProgram } from '../../scripts/process.ts';

/**
 * Whether a program that a test needs is installed; if not, the test is skipped with a message that names the Debian
 * package. Where nothing may be skipped (CHRONOVISOR_NO_SKIP=1) its absence is a failure.
 */
export function needTool(t: TestContext, program: string, debianPackage: string): boolean {
  if (findProgram(program) !== undefined) return true;
  const message = `${program} is not installed (Debian: apt-get install ${debianPackage})`;
  if (process.env.CHRONOVISOR_NO_SKIP === '1') throw new Error(message);
  t.skip(message);
  return false;
}
