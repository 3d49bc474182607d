/** C expressions, compared with what gdb makes of them, at a moment of the embedded guest; and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hartMemory, hartRegisters } from '../../src/cli/hart-view.ts';
import { ExpressionError, evaluate, formatValue, frames, Unavailable } from '../../src/symbols/index.ts';
import { EMBEDDED_KERNEL } from '../support/guests.ts';
import { embeddedGuest } from '../support/recording.ts';
import { needTool } from '../support/tools.ts';
import { symbolsOf } from './support/files.ts';
import { askGdb } from './support/oracle.ts';
import { moments } from './support/states.ts';

const SCALARS = [
  ...[
    '1 + 2 * 3',
    '(1 + 2) * 3',
    '7 / 2',
    '-7 / 2',
    '-7 % 3',
    '7u - 8',
    '1 << 31',
    '1ul << 40',
    '-1 >> 1',
    '~5',
    '!5',
    '!0',
  ],
  ...[
    '0x7fffffff + 1',
    '2147483648',
    '0xffffffff',
    '1 == 1.0',
    '3 > 2 && 2 > 1',
    '0 || 0',
    '1 ? 10 : 20',
    "'a' + 1",
    '10 & 6',
    '9 | 6',
    '5 ^ 1',
  ],
  ...[
    'sizeof(int)',
    'sizeof(struct task)',
    'sizeof(struct trap_frame)',
    'sizeof tasks',
    'sizeof tasks[0].name',
    'sizeof(u64 *)',
    'sizeof(char[10])',
  ],
  ...[
    'tasks[0].pid',
    'tasks[1].pid',
    'tasks[1].state',
    '(int)tasks[1].state',
    'tasks[1].state == TASK_FREE',
    'TASK_SLEEPING',
    '(enum task_state)2',
  ],
  ...[
    '&tasks[1]',
    '(long)&tasks[2] - (long)&tasks[1]',
    '&tasks[2] - &tasks[1]',
    '*&tasks[1].pid',
    '&tasks[1].name',
    '&tasks[1].name[2]',
    '(&tasks[1])->pid',
  ],
  ...[
    'tasks[1].context.s[3]',
    'tasks[1].context.sp',
    '&tasks[0].link.next->previous',
    '(u8)0x1234',
    '(signed char)0xff',
    '(unsigned char)-1',
    '(short)0x18000',
  ],
  ...[
    '$sp',
    '$pc',
    '$a0',
    '$a0 + 1',
    '(unsigned long)$sp & 0xfff',
    '*(u64 *)$sp',
    '(char)65',
    'tasks[1].name[0]',
    "tasks[1].name[0] == 'i'",
    '{unsigned int} &tasks[1].pid',
  ],
  ...[
    '1.5 + 2',
    '7.0 / 2',
    '(int)3.9',
    '(double)7 / 2',
    '1.0f * 3',
    '-1.5',
    'pool',
    '&pool',
    '*&pool.lock',
    'panic',
    '&panic',
    '*panic',
    '(long)panic',
    'trap_handle',
  ],
  ...[
    'tasks[1].name[1]@3',
    'tasks + 1',
    '*(tasks + 1)',
    '(tasks + 1)->pid',
    'tasks[1].page_table',
    '(_Bool)3',
    '5 > 3 > 1',
    '1 - 2 - 3',
    '2 + 3 << 1',
    '1 | 2 & 3',
    '6 / 2 * 3',
  ],
];

test('values are those of gdb', async (t) => {
  if (!needTool(t, 'gdb-multiarch', 'gdb-multiarch')) return;
  const symbols = symbolsOf(EMBEDDED_KERNEL);
  const formats = ['', 'x', 'd', 'u', 'o', 't'];
  const seen = await moments(
    t,
    { ...embeddedGuest(21), description: { ...embeddedGuest(21).description, harts: 2 } },
    2,
    (timeline, hart) => {
      const { machine } = timeline;
      const [frame] = frames({ symbols, memory: hartMemory(machine, hart) }, hartRegisters(machine, hart));
      return SCALARS.flatMap((text) =>
        formats.map((format) => {
          const { value, format: wanted } = evaluate(format === '' ? text : `/${format} ${text}`, frame);
          return formatValue(value, { ...(wanted ? { format: wanted } : {}), elements: 4, depth: 20, characters: 4 });
        }),
      );
    },
  );
  const asked = SCALARS.flatMap((text) =>
    formats.map((format) => (format === '' ? `output ${text}` : `output/${format} ${text}`)),
  );
  const answers = await askGdb(
    EMBEDDED_KERNEL,
    seen.map(({ moment }) => ({ core: moment.core, commands: asked.flatMap((command) => ['echo \\n=', command]) })),
  );
  const different = new Set<string>();
  seen.forEach(({ seen: ours }, i) => {
    const theirs = answers[i]
      .split('\n=')
      .slice(1)
      .map((s) => s.trim().replaceAll(/\s+/g, ' '));
    assert.equal(theirs.length, asked.length);
    asked.forEach((command, n) => {
      // A function shown in hexadecimal is one byte of its code to gdb.
      if (/^output\/\w \*?(panic|trap_handle)$/.test(command)) return;
      if (plain(ours[n]) !== plain(theirs[n])) different.add(`${command}\n  ours   ${ours[n]}\n  theirs ${theirs[n]}`);
    });
  });
  assert.equal(
    different.size,
    0,
    `${different.size} of ${asked.length} differ:\n${[...different].slice(0, 40).join('\n')}`,
  );
});

/** Without what gdb says of the type of a pointer, and how it cuts arrays. */
function plain(text: string): string {
  return text
    .replaceAll(/\((?:[\w {}.]+\*+(?: const)?|[\w ]+\(\*\)[^)]*\)+|[\w ]+ \(\*\)\[\d*\])\) /g, '')
    .replaceAll(/ <repeats \d+ times>|\.\.\./g, '')
    .replaceAll(/, (?=})/g, '');
}

test('what cannot be evaluated says why', async (t) => {
  const symbols = symbolsOf(EMBEDDED_KERNEL);
  const [{ seen }] = await moments(t, embeddedGuest(22), 1, (timeline, hart) => {
    const { machine } = timeline;
    const [frame] = frames({ symbols, memory: hartMemory(machine, hart) }, hartRegisters(machine, hart));
    const why = (text: string) => {
      try {
        return formatValue(evaluate(text, frame).value);
      } catch (error) {
        if (error instanceof ExpressionError || error instanceof Unavailable) return error.message;
        throw error;
      }
    };
    const refused: Record<string, RegExp> = {
      '': /an expression is missing/,
      'tasks[': /ends early/,
      '1 +': /ends early/,
      'tasks[1].pid = 5': /'=' would change the guest/,
      'tasks[1].pid++': /'\+\+' would change the guest/,
      'panic("x")': /cannot be called/,
      nothing_of_that_name: /nothing is called 'nothing_of_that_name'/,
      'tasks[0].nose': /struct task has no member 'nose'/,
      'tasks.pid->x': /has no members|needs a pointer/,
      '1 / 0': /division by zero/,
      '*1.5': /not a pointer/,
      $nose: /\$nose is not a register/,
      '(struct nose *)0': /no type 'struct nose' is known/,
      '&1': /has no address/,
      '08': /not a number/,
      '0x1ffffffffffffffff': /does not fit into 64 bits/,
      "'ab": /has no end/,
      '/q 1': /format 'q' is not known/,
      '*(int *)0': /memory at 0x0 cannot be read/,
      '1 2': /unexpected/,
      '`': /is not part of an expression/,
    };
    for (const [text, message] of Object.entries(refused)) assert.match(why(text), message, text);
    assert.match(why(`${'('.repeat(5000)}1`), /nested too deeply/);
    assert.equal(why("'task.h'::tasks"), "nothing is called 'tasks' in 'task.h' here");
    assert.match(why("'sched.c'::tasks[0].name"), /^"/);
    return true;
  });
  assert.ok(seen);
});
