/** What a program asks of its files, in order. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { TestContext } from 'node:test';

const CALLS = ['writeSync', 'ftruncateSync', 'fsyncSync', 'renameSync'] as const;
type Call = (typeof CALLS)[number];

/** The calls that `action` makes. */
export async function callsOf(t: TestContext, action: () => unknown): Promise<Call[]> {
  const calls: Call[] = [];
  const mocks = CALLS.map((name) => {
    const real = fs[name] as (...args: unknown[]) => unknown;
    return t.mock.method(fs, name, (...args: unknown[]) => {
      calls.push(name);
      return real(...args);
    });
  });
  try {
    await action();
  } finally {
    for (const { mock } of mocks) mock.restore();
  }
  return calls;
}

/** What is written must be on the disk before anything else can rely on it, for the system may stop at any time. */
export function assertOnDisk(calls: readonly Call[], { replaces }: { readonly replaces: boolean }): void {
  const end = replaces ? ['writeSync', 'fsyncSync', 'renameSync'] : ['writeSync', 'fsyncSync'];
  assert.deepEqual(calls.slice(-end.length), end);
}
