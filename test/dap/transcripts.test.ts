/** What the adapter says, word for word, in sessions on the embedded guest's kept trace: under transcripts/. `npm run accept` takes a change. */
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CHECKOUT } from '../cli/small.ts';
import { assertGolden } from '../support/golden.ts';
import { type Body, Client, source } from './client.ts';

const FOLDER = join(CHECKOUT, 'test/dap/transcripts');
const named = (all: Body[], name: string): Body => all.find((one) => one.name === name);

/** Sessions by name. */
const SESSIONS: {
  readonly [name: string]: { readonly attach?: object; readonly run: (client: Client) => Promise<void> };
} = {
  'at-the-panic': {
    run: async (client) => {
      await client.ask('initialize', { linesStartAt1: true });
      await client.ask('initialize', { linesStartAt1: false });
      const { threadId } = await client.move('configurationDone');
      await client.ask('threads');
      client.say('the stack, in two parts');
      await client.ask('stackTrace', { threadId, startFrame: 0, levels: 3 });
      const { stackFrames } = await client.ask('stackTrace', { threadId, startFrame: 3, levels: 100 });
      const frame = named(stackFrames, 'mailbox_receive');
      client.say('what the function that panics has at hand');
      const all = await client.scope('Arguments', frame.id);
      const box = await client.ask('variables', { variablesReference: named(all, 'box').variablesReference });
      const { variablesReference } = named(box.variables, 'envelopes');
      client.say('a part of an array');
      await client.ask('variables', { variablesReference, filter: 'indexed', start: 2, count: 2 });
      await client.scope('Locals', frame.id);
      await client.scope('Registers', frame.id);
      const csrs = await client.scope('Control registers', frame.id);
      await client.ask('variables', { variablesReference: named(csrs, 'mstatus').variablesReference });
      await client.ask('exceptionInfo', { threadId });
      await client.ask('exceptionInfo', { threadId: 1 });
      await client.ask('modules', {});
      await client.ask('loadedSources');
      client.say('to the start');
      await client.move('restart');
      await client.ask('terminate');
      await client.ask('disconnect');
      await client.ask('threads');
    },
  },
  breakpoints: {
    attach: { stopAt: 'start' },
    run: async (client) => {
      const message = source('message.c');
      await client.ask('breakpointLocations', { source: message, line: 20, endLine: 40 });
      client.say('lines without code, a file that nobody knows, and a hit count that is none');
      const lines = [{ line: 33 }, { line: 29 }, { line: 10_000 }, { line: 50, hitCondition: 'often' }];
      await client.ask('setBreakpoints', { source: message, breakpoints: lines });
      await client.ask('setBreakpoints', { source: { path: '/nowhere/else.c' }, breakpoints: [{ line: 1 }] });
      await client.ask('setBreakpoints', { source: message, breakpoints: [] });
      await client.move('configurationDone');
      client.say('functions, with conditions and counts');
      const functions = [{ name: 'mailbox_send', condition: 'message->serial == 5' }, { name: 'no_such_function' }];
      await client.ask('setFunctionBreakpoints', { breakpoints: functions });
      const { threadId } = await client.move('continue', { threadId: 1 });
      const [frame] = await client.stack(threadId);
      await client.ask('evaluate', { expression: 'message->serial', frameId: frame.id, context: 'watch' });
      await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'mailbox_send', hitCondition: '3' }] });
      await client.move('reverseContinue', { threadId });
      await client.stack(threadId);
      client.say('a line that prints, and a condition that cannot be told');
      const print = { line: 47, logMessage: 'takes back {message} of kind {message->kind}, {nothing}' };
      await client.ask('setFunctionBreakpoints', {
        breakpoints: [{ name: 'messages_free', condition: 'nothing > 1' }],
      });
      const said = client.said(/^log point/);
      await client.ask('setBreakpoints', { source: message, breakpoints: [{ ...print, hitCondition: '<= 3' }] });
      await said;
      await client.move('continue', { threadId });
      await client.ask('setBreakpoints', { source: message, breakpoints: [] });
      await client.ask('setFunctionBreakpoints', { breakpoints: [] });
      client.say('an instruction');
      const { stackFrames } = await client.ask('stackTrace', { threadId });
      const instructionReference = stackFrames[0].instructionPointerReference;
      await client.ask('setInstructionBreakpoints', { breakpoints: [{ instructionReference, offset: 2 }] });
      await client.move('reverseContinue', { threadId });
      await client.ask('setInstructionBreakpoints', { breakpoints: [] });
      client.say('traps');
      await client.move('restart');
      await client.ask('setExceptionBreakpoints', { filters: ['trap 8'], filterOptions: [{ filterId: 'no such' }] });
      const trap = await client.move('continue', { threadId });
      await client.stack(trap.threadId, 2);
      await client.ask('exceptionInfo', { threadId: trap.threadId });
      await client.ask('setExceptionBreakpoints', { filters: ['panic'] });
      await client.move('continue', { threadId });
      await client.move('continue', { threadId });
      await client.ask('setExceptionBreakpoints', { filters: [] });
      await client.move('continue', { threadId });
    },
  },
  data: {
    attach: { stopAt: 'end' },
    run: async (client) => {
      const { threadId } = await client.move('configurationDone');
      const [frame] = await client.stack(threadId);
      client.say('by expression: who changed it last, and before');
      const info = await client.ask('dataBreakpointInfo', { name: 'pool.first', frameId: frame.id });
      await client.ask('setDataBreakpoints', { breakpoints: [{ dataId: info.dataId, accessType: 'write' }] });
      for (let n = 0; n < 2; n++) {
        const stopped = await client.move('reverseContinue', { threadId });
        await client.stack(stopped.threadId, 2);
      }
      client.say('by variable');
      const [top] = await client.stack(threadId);
      const statics = await client.scope('Registers', top.id);
      const { scopes } = await client.ask('scopes', { frameId: top.id });
      const { variablesReference } = named(scopes, 'Registers');
      await client.ask('dataBreakpointInfo', { name: statics[3].name, variablesReference });
      client.say('by address, and every write');
      await client.ask('dataBreakpointInfo', { name: '0x80006018', asAddress: true, bytes: 4, mode: 'write' });
      await client.ask('dataBreakpointInfo', { name: '1 + 1', frameId: top.id });
      await client.ask('dataBreakpointInfo', { name: 'nothing', frameId: top.id });
      const read = [{ dataId: 'change 0x80006018 8', accessType: 'read' }];
      await client.ask('setDataBreakpoints', { breakpoints: [...read, { dataId: 'register sepc' }] });
      await client.ask('setDataBreakpoints', { breakpoints: read });
      const stopped = await client.move('reverseContinue', { threadId });
      await client.stack(stopped.threadId, 2);
      await client.ask('setDataBreakpoints', { breakpoints: [] });
      client.say('the change before, without a breakpoint');
      const change = await client.move('chronovisor/change', { expression: 'pool.first', direction: 'back' });
      await client.stack(change.threadId, 1);
    },
  },
  stepping: {
    attach: { stopAt: 1_155_451 },
    run: async (client) => {
      const { threadId } = await client.move('configurationDone');
      const walk = async (command: string, times: number, values: object = {}) => {
        for (let n = 0; n < times; n++) {
          await client.move(command, { threadId, ...values });
          await client.stack(threadId, 2);
        }
      };
      await client.stack(threadId, 1);
      await walk('stepIn', 3);
      await walk('stepOut', 2);
      await walk('next', 4);
      await walk('stepBack', 4);
      await walk('chronovisor/stepBackInto', 3);
      await walk('chronovisor/stepBackOut', 1);
      await walk('next', 2, { granularity: 'statement' });
      await walk('stepBack', 2, { granularity: 'statement' });
      await walk('next', 2, { granularity: 'instruction' });
      await walk('stepBack', 2, { granularity: 'instruction' });
      client.say('to a line, both ways');
      await client.move('chronovisor/runTo', { source: source('work.c'), line: 48, direction: 'back' });
      await client.move('chronovisor/runTo', { source: source('work.c'), line: 48 });
      client.say(
        'a step ends where a breakpoint is come by: memory that changes, another hart, a condition that is false',
      );
      await client.ask('setDataBreakpoints', { breakpoints: [{ dataId: 'change 0x80006018 8' }] });
      await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'put', condition: 'message == 0' }] });
      await walk('next', 3);
      await client.ask('setDataBreakpoints', { breakpoints: [] });
      await client.ask('setFunctionBreakpoints', { breakpoints: [] });
      await client.move('chronovisor/seek', { position: '50%' });
      await client.ask('chronovisor/seek', { position: 'nowhere' });
    },
  },
  console: {
    attach: { stopAt: 1_155_455 },
    run: async (client) => {
      const { threadId } = await client.move('configurationDone');
      const [frame] = await client.stack(threadId);
      const say = (expression: string, context = 'repl') =>
        client.ask('evaluate', { expression, context, frameId: frame.id });
      const expressions = ['pool', '/x pool.first->serial', 'pool.first->words,x', '$sp', 'sizeof(struct message)'];
      for (const one of expressions) await say(one);
      for (const one of ['1 +', 'nothing', '*(int *)0', 'box->open = 1']) await say(one);
      await say('message', 'hover');
      await client.ask('evaluate', { expression: '255', context: 'watch', format: { hex: true } });
      await client.ask('chronovisor/display', { hexadecimal: true });
      await client.scope('Arguments', frame.id);
      for (const one of ['help', 'when', 'console 2', 'history pool.first', 'calls message_take_now']) await say(one);
      await say('last-write pool.first');
      await client.ask('evaluate', { expression: 'first-write pool.first', context: 'repl' });
      await client.ask('evaluate', { expression: 'last-write pool.first', context: 'repl' });
      await client.ask('evaluate', { expression: 'seek 1,155,455', context: 'repl' });
      for (const text of ['la', '$f', 'pool.', 'messages[0].w', 'message_']) {
        await client.ask('completions', { text, column: text.length + 1 });
      }
    },
  },
  code: {
    attach: { stopAt: 1_155_455, sourceFolders: [] },
    run: async (client) => {
      const { threadId } = await client.move('configurationDone');
      client.say('no source files: a listing stands for each function');
      const [frame] = await client.stack(threadId, 1);
      const { sourceReference } = frame.source;
      await client.ask('source', { source: frame.source, sourceReference });
      const at = { source: { sourceReference }, breakpoints: [{ line: frame.line + 1 }] };
      await client.ask('setBreakpoints', at);
      await client.move('continue', { threadId });
      await client.ask('setBreakpoints', { ...at, breakpoints: [] });
      const memoryReference = frame.instructionPointerReference;
      const code = { memoryReference, instructionOffset: -4, instructionCount: 8, resolveSymbols: true };
      await client.ask('disassemble', code);
      await client.ask('disassemble', { memoryReference: '0x10', instructionOffset: -2, instructionCount: 3 });
      await client.ask('readMemory', { memoryReference, offset: -8, count: 24 });
      await client.ask('readMemory', { memoryReference: '0x7ffffff8', count: 16 });
      client.say('the past stays as it is');
      await client.ask('setVariable', { variablesReference: 1, name: 'a', value: '1' });
      await client.ask('setExpression', { expression: 'a', value: '1' });
      await client.ask('writeMemory', { memoryReference, data: '' });
      await client.ask('launch', { kernel: 'vmlinux' });
      await client.ask('attach', { trace: 'again' });
      await client.ask('gotoTargets', { source: { path: 'a.c' }, line: 1 });
      await client.ask('noSuchRequest', {});
    },
  },
};

for (const [name, { attach, run }] of Object.entries(SESSIONS)) {
  test(name, async (t: TestContext) => {
    const client = await Client.open(t, attach);
    await run(client);
    assertGolden(join(FOLDER, `${name}.txt`), client.transcript());
  });
}
