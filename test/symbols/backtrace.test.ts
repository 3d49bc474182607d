/** Stacks compared with gdb's, at moments of recorded guests: within functions, in prologues, in traps and behind them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { hartMemory, hartRegisters } from '../../src/cli/hart-view.ts';
import type { Timeline } from '../../src/replay/timeline.ts';
import { type Frame, frames, SymbolFile, Symbols } from '../../src/symbols/index.ts';
import { disassemble } from '../../src/vmm/riscv/disassembler.ts';
import { EMBEDDED_KERNEL, needGuest } from '../support/guests.ts';
import { debianShell, embeddedGuest, type Guest } from '../support/recording.ts';
import { needBinutils, needGdb, needVmlinux, openSource, symbolsOf } from './support/files.ts';
import { askGdb, runWithInput } from './support/oracle.ts';
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

/** Of ours, with what it takes to ask others about it. */
interface OurLine extends Line {
  readonly address: bigint;
  /** The function that the call behind which the frame stands leads to, if that is known from the instruction. */
  readonly calls: string | undefined;
}

const placeOf = (path: string, line: number | string) => `${path.split('/').pop()}:${line}`;

const ours = (stack: readonly Frame[]): OurLine[] =>
  stack.map(({ name, location, machine }) => {
    return {
      name,
      place: location ? placeOf(location.path, location.line) : '',
      address: machine.address,
      calls: machine.exact ? undefined : calledBefore(machine),
    };
  });

function calledBefore({ pc, context: { memory, symbols }, space }: Frame['machine']): string | undefined {
  const bytes = memory.read(pc - 4n, 4);
  if (!bytes) return undefined;
  const { text } = disassemble(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true), pc - 4n);
  const target = /^jal\tra,(0x[0-9a-f]+)$/.exec(text)?.[1];
  return target ? symbols.symbolise(BigInt(target), space)?.symbol?.name : undefined;
}

/** Without what gdb finds, and we do not: functions that were called, and jumped on at their ends to those that were to return for them. */
function withoutJumpedOn(lines: readonly Line[], stack: readonly OurLine[]): Line[] {
  const kept: Line[] = [];
  for (let n = 0; n < lines.length; n++) {
    const mine = stack[kept.length];
    const caller = mine ? lines.findIndex(({ name }, i) => i > n && name === mine.name) : -1;
    if (caller > 0 && lines[n].name !== mine.name && lines[caller - 1].name === mine.calls) n = caller;
    kept.push(lines[n]);
  }
  return kept;
}

/** What binutils says of addresses: by address the functions there, each with its line, those first that were inlined. */
async function linesAt(elf: string, addresses: readonly bigint[]): Promise<Map<bigint, Line[]>> {
  const asked = addresses.map((address) => `0x${address.toString(16)}\n`).join('');
  const said = await runWithInput('riscv64-linux-gnu-addr2line', ['-a', '-i', '-f', '-e', elf], asked);
  const blocks = said.split(/^(?=0x)/m).map((block) => block.trim().split('\n'));
  return new Map(
    blocks.map(([address, ...rest]) => {
      const pairs = rest.flatMap((name, i) => (i % 2 === 0 ? [{ name, place: rest[i + 1] }] : []));
      const lines = pairs.map(({ name, place }) => {
        const [path, line] = place.split(':');
        return { name, place: placeOf(path, Number.parseInt(line, 10)) };
      });
      return [BigInt(address), lines] as const;
    }),
  );
}

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

/**
 * Compares; `sameLine` says whether lines count. Where gdb names another one, binutils is asked as well: gdb passes over rows of the line table that
 * begin no statement, and when it has seen many core files it has been seen to take another row at times. Code without functions in its debug information has names by luck, and callers by none. */
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
  const known = sameLine
    ? await linesAt(elf, [...new Set(seen.flatMap(({ seen: mine }) => mine.map((l) => l.address)))])
    : null;
  const different: string[] = [];
  let framesSeen = 0;
  let byBinutils = 0;
  const isPlace = ({ name, place, address }: OurLine, gdb: Line) => {
    if (place === gdb.place) return true;
    const same = known?.get(address)?.some((line) => line.name === name && line.place === place) ?? false;
    if (same) byBinutils++;
    return same;
  };
  seen.forEach(({ moment, seen: mine }, i) => {
    const gdb = withoutJumpedOn(theirs(answers[i]), mine);
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
      return trap || (mine[n]?.name === gdb[n].name && (!sameLine || isPlace(mine[n], gdb[n])));
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
  assert.ok(byBinutils * 10 < framesSeen, `${byBinutils} of ${framesSeen} lines are not gdb's`);
  t.diagnostic(`${seen.length} stacks, ${framesSeen} frames; ${byBinutils} lines are binutils' and not gdb's`);
  for (const { file } of symbols.modules) assert.deepEqual(file.problems, []);
}

test('the committed guest', async (t) => {
  if (!needGdb(t) || !needBinutils(t)) return;
  await compare(t, EMBEDDED_KERNEL, embeddedGuest(5), 40, symbolsOf(EMBEDDED_KERNEL), true);
});

// Strict DWARF 2 does not say where calls of inlined functions are, so that gdb leaves them out.
for (const variant of VARIANTS.filter(({ flags }) => !flags.includes('-gdwarf-2') || flags.includes('-O0'))) {
  test(variant.name, async (t) => {
    if (!needCompiler(t, variant) || !needGdb(t) || !needBinutils(t)) return;
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
