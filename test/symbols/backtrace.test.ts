/** Stacks compared with gdb's, at moments of recorded guests: within functions, in prologues, in traps and behind them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { hartMemory, hartRegisters } from '../../src/cli/hart-view.ts';
import type { Timeline } from '../../src/replay/timeline.ts';
import { type Frame, frames, SymbolFile, Symbols } from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL, needGuest } from '../support/guests.ts';
import { debianShell, embeddedGuest, type Guest } from '../support/recording.ts';
import { needGdb, needVmlinux, openSource, symbolsOf } from './support/files.ts';
import { askGdb } from './support/oracle.ts';
import { embeddedWith, moments } from './support/states.ts';
import { buildVariant, needCompiler, VARIANTS } from './support/variants.ts';

const DEPTH = 60;

function stackOf(symbols: Symbols, timeline: Timeline, hart: number): Frame[] {
  const { machine } = timeline;
  const stack: Frame[] = [];
  for (const frame of frames({ symbols, memory: hartMemory(machine, hart) }, hartRegisters(machine, hart))) {
    stack.push(frame);
    if (stack.length === DEPTH) break;
  }
  return stack;
}

interface Line {
  readonly name: string;
  readonly place: string;
}

const ours = (stack: readonly Frame[]): Line[] =>
  stack.map(({ name, location }) => {
    return { name, place: location ? `${location.path.split('/').pop()}:${location.line}` : '' };
  });

/** What gdb's `bt` prints. It has no name for the frame of a trap, and goes on to where nothing is. */
function theirs(text: string): Line[] {
  const lines: Line[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith('#')) continue;
    if (line.includes('<signal handler called>')) {
      lines.push({ name: 'a trap', place: '' });
      continue;
    }
    const match = /^#\d+\s+(?:0x[0-9a-f]+ in )?(\S+) \(.*?\)(?: at (?:.*\/)?([^/]*))?$/.exec(line);
    if (!match) throw new Error(`gdb says: ${line}`);
    if (match[1] === '??' && lines.length > 0) break;
    lines.push({ name: match[1], place: match[2] ?? '' });
  }
  return lines;
}

/** Compares; `sameLine` says whether lines count. Code without functions in its debug information has names by luck, and callers by none. */
async function compare(
  t: TestContext,
  elf: string,
  guest: Guest,
  count: number,
  symbols: Symbols,
  sameLine: boolean,
): Promise<void> {
  const seen = await moments(t, guest, count, (timeline, hart) => ours(stackOf(symbols, timeline, hart)));
  const answers = await askGdb(
    elf,
    seen.map(({ moment }) => ({ core: moment.core, commands: [`bt ${DEPTH}`] })),
  );
  const different: string[] = [];
  let framesSeen = 0;
  seen.forEach(({ moment, seen: mine }, i) => {
    const gdb = theirs(answers[i]);
    framesSeen += mine.length;
    // While the registers are being saved, gdb has no way out of the trap. We have, by sepc.
    const saving = gdb.length === 1 && gdb[0].name === 'a trap';
    const boot = /^(boot|head)\.S/.test(gdb[0]?.place ?? '');
    const length = boot ? 1 : gdb.length;
    const same = Array.from({ length }, (_, n) => {
      if (boot) return mine[0].place === gdb[0].place;
      const trap = gdb[n].name === 'a trap' && mine[n]?.name === 'supervisor_trap';
      // Code in assembler can have several names, of which gdb takes one.
      if (/\.S:\d+$/.test(gdb[n].place) && mine[n]?.place === gdb[n].place) return true;
      return trap || (mine[n]?.name === gdb[n].name && (!sameLine || mine[n].place === gdb[n].place));
    });
    // Where gdb stops at a trap we may go on into the user program.
    const further = mine[length]?.name === '??' ? 1 : 0;
    if (same.every(Boolean) && (boot || saving || mine.length - further === length)) return;
    const show = (lines: Line[]) => lines.map((l) => `    ${l.name} ${l.place}`).join('\n');
    different.push(`position ${moment.position}, hart ${moment.hart}\n  ours\n${show(mine)}\n  gdb's\n${show(gdb)}`);
  });
  assert.equal(
    different.length,
    0,
    `${different.length} of ${seen.length} differ:\n${different.slice(0, 4).join('\n')}`,
  );
  t.diagnostic(`${seen.length} stacks, ${framesSeen} frames`);
  for (const { file } of symbols.modules) assert.deepEqual(file.problems, []);
}

test('the committed guest', async (t) => {
  if (!needGdb(t)) return;
  await compare(t, EMBEDDED_KERNEL, embeddedGuest(5), 40, symbolsOf(EMBEDDED_KERNEL), true);
});

// Strict DWARF 2 does not say where calls of inlined functions are, so that gdb leaves them out.
for (const variant of VARIANTS.filter(({ flags }) => !flags.includes('-gdwarf-2') || flags.includes('-O0'))) {
  test(variant.name, async (t) => {
    if (!needCompiler(t, variant) || !needGdb(t)) return;
    const elf = await buildVariant(t, variant);
    await compare(t, elf, embeddedWith(elf, 6), 12, symbolsOf(elf), true);
  });
}

test("Debian's kernel", async (t) => {
  const vmlinux = needVmlinux(t);
  const cache = vmlinux && needGuest(t);
  if (!vmlinux || !cache || !needGdb(t)) return;
  const symbols = new Symbols();
  symbols.add(new SymbolFile(openSource(t, vmlinux)));
  // gdb leaves rows of the line table out that say the same line again, and so has another line for some.
  await compare(t, vmlinux, debianShell(cache, 2, 7), 10, symbols, false);
});
