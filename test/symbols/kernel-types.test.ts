/** Structs of Debian's kernel compared with gdb's `ptype /o`: offsets, sizes and bits of all members, anonymous ones among them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSymbols, symbolCache } from '../../src/cli/symbol-options.ts';
import { type Member, type StructType, stripped } from '../../src/symbols/index.ts';
import { needTool } from '../support/tools.ts';
import { needVmlinux } from './support/files.ts';
import { runWithInput } from './support/oracle.ts';

/** What everything in Linux hangs on; the rest is taken from all over the file. */
const CHOSEN = [
  ...['task_struct', 'mm_struct', 'vm_area_struct', 'module', 'dentry', 'inode', 'super_block', 'file', 'sk_buff'],
  ...['net_device', 'request_queue', 'bio', 'page', 'rq', 'cfs_rq', 'pt_regs', 'thread_struct', 'printk_info'],
];
const COUNT = 200;
const NAMESAKES_MAX = 6;

/** A member as one line: where it is, how large, its bits, its name. */
const line = (path: string, offset: number, size: number | null, bits: Member['bits']) =>
  bits ? `${path} bit ${bits.offset} of ${bits.size}` : `${path} at ${offset}, ${size ?? 0} bytes`;

/** Members of a struct as gdb unfolds them: those of structs without a name stand in their places. */
function* ours(type: StructType, at = 0): Generator<string> {
  for (const { name, type: of, offset, bits } of type.members) {
    const plain = stripped(of);
    const moved = bits && { ...bits, offset: bits.offset + at * 8 };
    if (name !== '') yield line(name, offset + at, of.size, moved);
    else if (plain.kind === 'struct') yield* ours(plain, offset + at);
  }
}

interface Printed {
  /** Null within a union, whose members are all at its beginning. */
  readonly offset: number | null;
  readonly size: number;
  readonly bits: Member['bits'];
  readonly name: string;
  readonly members: readonly Printed[];
}

/** Reads lines of gdb's from the one behind an opening brace up to the closing one, and gives what stands behind that. */
function parse(lines: string[]): { members: Printed[]; name: string } {
  const members: Printed[] = [];
  for (let text = lines.shift(); text !== undefined; text = lines.shift()) {
    const close = /^\s*}(?: ([^;]*))?;?$/.exec(text);
    if (close) return { members, name: nameOf(close[1] ?? '') };
    const match = /^\/\*\s*(?:(\d+)(?::\s*(\d+))?\s*\|)?\s*(\d+) \*\/\s*(.*?)(?: : (\d+))?(;| \{)$/.exec(text);
    if (!match) continue;
    const [, at, bit, size, code, bits, end] = match;
    const offset = at === undefined ? null : Number(at);
    const inner = end === ' {' ? parse(lines) : null;
    members.push({
      offset,
      size: Number(size),
      bits: bits === undefined ? null : { offset: (offset ?? 0) * 8 + Number(bit ?? 0), size: Number(bits) },
      name: inner ? inner.name : nameOf(code),
      members: inner?.members ?? [],
    });
  }
  return { members, name: '' };
}

/** The name that a declaration is of: `next` of `struct list_head *next`, `fn` of `void (*fn)(int)`. */
function nameOf(code: string): string {
  return /\(\*+(?:const )?(\w+)(?:\[\d*\])*\)/.exec(code)?.[1] ?? /(\w+)(?:\[\d*\])*$/.exec(code)?.[1] ?? '';
}

function* theirs(members: readonly Printed[], at = 0): Generator<string> {
  for (const { name, offset, size, bits, members: inner } of members) {
    if (name !== '') yield line(name, offset ?? at, size, bits);
    else yield* theirs(inner, offset ?? at);
  }
}

test('structs of the kernel, against gdb', async (t) => {
  const vmlinux = needVmlinux(t);
  if (!vmlinux || !needTool(t, 'gdb-multiarch', 'gdb-multiarch')) return;
  const { file } = openSymbols([vmlinux], 'test', symbolCache()).modules[0];
  const all = file.names.complete('', 1e6, ['struct']);
  const step = Math.floor(all.length / (COUNT - CHOSEN.length));
  const names = [...new Set([...CHOSEN, ...all.filter((_, i) => i % step === 0)])];
  const script = names.map((name) => `echo @@\\n\nptype /o struct ${name}`).join('\n');
  const args = ['-q', '-nx', '-ex', 'set width 0', '-ex', 'set pagination off', vmlinux];
  const answers = (await runWithInput('gdb-multiarch', args, `set prompt\n${script}\nquit\n`)).split('@@\n').slice(1);
  assert.equal(answers.length, names.length);
  let members = 0;
  const namesakes: string[] = [];
  for (const [i, name] of names.entries()) {
    const lines = answers[i].split('\n');
    assert.ok(lines.shift()?.endsWith(`type = struct ${name} {`), `${name}: ${answers[i].slice(0, 200)}`);
    const [found] = [...file.names.find(name, ['struct'])].map(({ offset }) => file.types.read(file.info.die(offset)));
    const own = found?.kind === 'struct' ? [...ours(found)] : [];
    const expected = [...theirs(parse(lines).members)];
    const first = (member: string | undefined) => member?.split(' ')[0];
    if (first(own[0]) !== first(expected[0])) namesakes.push(name);
    else {
      assert.deepEqual(own, expected, name);
      members += expected.length;
    }
  }
  t.diagnostic(`${names.length} structs, ${members} members; others of the same name: ${namesakes.join(', ')}`);
  // Drivers call their own structs alike, and gdb takes whichever it meets.
  assert.ok(namesakes.length <= NAMESAKES_MAX && !CHOSEN.some((name) => namesakes.includes(name)), `${namesakes}`);
  assert.ok(members > 1500, `${members} members`);
  assert.deepEqual(file.problems, []);
});
