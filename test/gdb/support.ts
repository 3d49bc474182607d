/** A trace, served to a real gdb, with a replay of its own beside it as the judge. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { serveGdb } from '../../src/cli/gdb-server.ts';
import { openSession } from '../../src/debugger/open.ts';
import { TimelineTarget } from '../../src/gdb/timeline-target.ts';
import { Timeline } from '../../src/replay/timeline.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { X_NAMES } from '../../src/vmm/riscv/disassembler.ts';
import type { Gdb } from './gdb-client.ts';

export interface Served {
  readonly port: number;
  /** A machine of its own, for what must come out. */
  readonly judge: Timeline;
}

/** Serves a trace until the test is over. */
export async function serve(t: TestContext, path: string): Promise<Served> {
  const session = await openSession(path);
  t.after(() => session.close());
  const target = await TimelineTarget.open(session);
  const server = await serveGdb('--listen', { host: '127.0.0.1', port: 0 }, target, () => {});
  t.after(() => server.close());
  return { port: server.address.port, judge: new Timeline(TraceReader.open(path)) };
}

/** Refreshes what gdb remembers after a monitor command that moves. */
export const REFRESH = 'maintenance flush register-cache';

export async function seek(gdb: Gdb, position: number | 'start' | 'end'): Promise<void> {
  await gdb.run(`monitor seek ${position}`);
  await gdb.run(REFRESH);
}

export async function position(gdb: Gdb): Promise<number> {
  return Number(await gdb.number('$position'));
}

/** gdb's names of the registers that are compared. */
const NAMES = [
  'pc',
  ...X_NAMES.slice(1).map((name) => (name === 's0' ? 'fp' : name)),
  'satp',
  'sepc',
  'scause',
  'stvec',
  'priv',
];

/** gdb shows of every hart what a plain seek to the same position finds. */
export async function compareRegisters(gdb: Gdb, judge: Timeline, context: string): Promise<void> {
  const format = NAMES.map(() => '%lx').join(' ');
  const values = NAMES.map((name) => `$${name}`).join(', ');
  const text = await gdb.run(`thread apply all -q printf "%d: ${format}\\n", $_thread, ${values}`);
  const at = await position(gdb);
  judge.seek(at);
  const { cpu } = judge.machine;
  const lines = text.trim().split('\n').sort();
  assert.equal(lines.length, cpu.harts, text);
  for (let hart = 0; hart < cpu.harts; hart++) {
    const x = Array.from({ length: 31 }, (_, n) => cpu.x(hart, n + 1));
    const csrs = (['satp', 'sepc', 'scause', 'stvec'] as const).map((name) => cpu.get(hart, name));
    const expected = [cpu.get(hart, 'pc'), ...x, ...csrs, BigInt(cpu.get32(hart, 'privilege'))];
    const found = lines[hart].split(' ').slice(1);
    assert.deepEqual(
      Object.fromEntries(NAMES.map((name, n) => [name, found[n]])),
      Object.fromEntries(NAMES.map((name, n) => [name, expected[n].toString(16)])),
      `${context}: hart ${hart} at position ${at}`,
    );
  }
}
