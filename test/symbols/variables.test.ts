/** Variables of every frame, compared with gdb's: values in hexadecimal, with structs and arrays, at moments of recorded guests. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { hartMemory, hartRegisters } from '../../src/cli/hart-view.ts';
import type { Timeline } from '../../src/replay/timeline.ts';
import { DW_AT } from '../../src/symbols/dwarf/constants.ts';
import { expressionAt } from '../../src/symbols/dwarf/locations.ts';
import {
  type Frame,
  formatValue,
  frames,
  SymbolFile,
  Symbols,
  scopesOf,
  type Variable,
} from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL, needGuest } from '../support/guests.ts';
import { debianShell, embeddedGuest, type Guest } from '../support/recording.ts';
import { needGdb, needVmlinux, openSource, symbolsOf } from './support/files.ts';
import { askGdb } from './support/oracle.ts';
import { embeddedWith, moments } from './support/states.ts';
import { buildVariant, needCompiler, VARIANTS } from './support/variants.ts';

const DEPTH = 8;

interface Seen {
  readonly frame: number;
  readonly fn: string;
  readonly name: string;
  readonly text: string;
  /** Its location says what a register held when the function was called. */
  readonly byCall: boolean;
}

const DW_OP_entry_value = new Set([0xa3, 0xf3]);

function usesEntryValue(frame: Frame, die: Variable['die']): boolean {
  const location = die.value(DW_AT.location);
  const expression = location && expressionAt(die.unit, location, frame.machine.address);
  return expression?.bytes.some((byte) => DW_OP_entry_value.has(byte)) ?? false;
}

function variablesOf(symbols: Symbols, timeline: Timeline, hart: number): Seen[] {
  const { machine } = timeline;
  const seen: Seen[] = [];
  let level = 0;
  for (const frame of frames({ symbols, memory: hartMemory(machine, hart) }, hartRegisters(machine, hart))) {
    const names = new Set<string>();
    for (const { variables } of scopesOf(frame)) {
      for (const { name, value, die } of variables) {
        if (names.has(name)) continue;
        names.add(name);
        const text = formatValue(value, { format: 'x', elements: 4, depth: 20, characters: 4 });
        seen.push({ frame: level, fn: frame.name, name, text, byCall: usesEntryValue(frame, die) });
      }
    }
    if (++level === DEPTH) break;
  }
  return seen;
}

async function compare(t: TestContext, elf: string, guest: Guest, count: number, symbols: Symbols): Promise<void> {
  const seen = await moments(t, guest, count, (timeline, hart) => variablesOf(symbols, timeline, hart));
  const answers = await askGdb(
    elf,
    seen.map(({ moment, seen: variables }) => ({
      core: moment.core,
      commands: variables.flatMap(({ frame, name }) => [
        'echo \\n##',
        `frame ${frame}`,
        'echo \\n=',
        `output/x ${name}`,
      ]),
    })),
  );
  const different: string[] = [];
  let compared = 0;
  const all = seen.reduce((sum, { seen: variables }) => sum + variables.length, 0);
  let known = 0;
  seen.forEach(({ moment, seen: variables }, i) => {
    const blocks = answers[i].split('\n##').slice(1);
    variables.forEach((ours, n) => {
      const said = (blocks[n]?.split('\n=')[1] ?? 'gdb says nothing').trim().replaceAll(/\s+/g, ' ');
      // A struct without members is written as in C.
      const theirs = said.replaceAll('{<No data fields>}', '{}').replace(/^\[uninitialized\] /, '');
      // While a trap saves registers, gdb has no frame behind it; and it forgets variables that an inlined copy does not mention.
      if (theirs === '') return;
      // Or takes the function of the same name for them.
      if (ours.name === ours.fn && /^0x[0-9a-f]{1,2}$/.test(theirs)) return;
      compared++;
      if (!ours.text.includes('<')) known++;
      // Of calls, gdb makes less use than it could.
      if (same(ours.text, theirs) || (ours.byCall && theirs === '<optimized out>')) return;
      different.push(
        `position ${moment.position}, hart ${moment.hart}, frame ${ours.frame} (${ours.fn}): ${ours.name}\n  ours   ${ours.text}\n  theirs ${theirs}`,
      );
    });
  });
  assert.ok(compared > all * 0.6, `gdb answers ${compared} of ${all} times`);
  t.diagnostic(`${compared} variables compared, ${known} of them known`);
  assert.equal(different.length, 0, `${different.length} of ${compared} differ:\n${different.slice(0, 12).join('\n')}`);
  for (const { file } of symbols.modules) assert.deepEqual(file.problems, []);
}

/** Whether two say the same: gdb takes registers that calls do not keep for unchanged, and we say that they were not saved. */
function same(ours: string, theirs: string): boolean {
  if (ours === theirs) return true;
  if (/^<\w+ was not saved>$/.test(ours)) return true;
  const plain = (text: string) => text.replaceAll(/ <repeats \d+ times>|\.\.\./g, '').replaceAll(/, (?=})/g, '');
  return plain(ours) === plain(theirs);
}

test('the committed guest', async (t) => {
  if (!needGdb(t)) return;
  await compare(t, EMBEDDED_KERNEL, embeddedGuest(11), 25, symbolsOf(EMBEDDED_KERNEL));
});

for (const variant of VARIANTS.filter(({ flags }) => !flags.includes('-gdwarf-2') || flags.includes('-O0'))) {
  test(variant.name, async (t) => {
    if (!needCompiler(t, variant) || !needGdb(t)) return;
    const elf = await buildVariant(t, variant);
    await compare(t, elf, embeddedWith(elf, 12), 10, symbolsOf(elf));
  });
}

test("Debian's kernel", async (t) => {
  const vmlinux = needVmlinux(t);
  const cache = vmlinux && needGuest(t);
  if (!vmlinux || !cache || !needGdb(t)) return;
  const symbols = new Symbols();
  symbols.add(new SymbolFile(openSource(t, vmlinux)));
  await compare(t, vmlinux, debianShell(cache, 2, 13), 8, symbols);
});
