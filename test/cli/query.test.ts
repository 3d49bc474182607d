/** `chronovisor query`: every kind of question at the command line, on a trace that is kept. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { addressOf, conditionExpression, printedExpression } from '../../src/cli/query-expressions.ts';
import { openSymbols } from '../../src/cli/symbol-options.ts';
import { chronovisor, EMBEDDED_KERNEL, lastWords } from '../support/guests.ts';
import { needVmlinux } from '../symbols/support/files.ts';
import { CHECKOUT } from './small.ts';

const TRACE = join(CHECKOUT, 'traces/heisenbug-v1.trace');

async function ask(...args: string[]): Promise<string> {
  const result = await chronovisor('query', TRACE, ...args);
  assert.equal(result.code, 0, lastWords(result));
  return result.stdout;
}

const lines = (text: string) => text.trim().split('\n');

test('where the guest failed, and what the console shows', async () => {
  assert.match(await ask('panic'), /^1284937 .*"panic:"$/m);
  const rows = lines(await ask('console', 'work', '--format', 'json')).map((line) => JSON.parse(line));
  assert.ok(rows.length > 0 && rows.every((row) => row.text === 'work' && Number.isInteger(row.position)));
  assert.equal((await ask('console', 'nothing of the kind')).trim(), 'nothing');
});

test('calls with symbols, arguments and results; the newest first are the others backwards', async () => {
  const options = ['calls', 'mailbox_send', '--symbols', EMBEDDED_KERNEL, '--print', 'a1 & 0xff', '--format', 'json'];
  const all = lines(await ask(...options)).map((line) => JSON.parse(line));
  assert.ok(all.length > 20, `${all.length} calls`);
  for (const { symbol, call, values } of all) {
    assert.equal(symbol, 'mailbox_send');
    assert.equal(BigInt(values['a1 & 0xff']), BigInt(call.arguments[1]) & 0xffn);
  }
  const newest = lines(await ask(...options, '--newest-first', '--limit', '5')).map((line) => JSON.parse(line));
  assert.deepEqual(newest, all.slice(-5).reverse());
  // A breakpoint at the entry, restricted to a part and by a condition, finds the same.
  const [from, to] = [all[3].position, all[10].position];
  const serial = BigInt(all[5].call.arguments[0]);
  const hits = lines(
    await ask(
      ...['hits', 'mailbox_send', '--symbols', EMBEDDED_KERNEL, '--from', String(from), '--to', String(to)],
      ...['--if', `a0 == ${serial}`, '--format', 'csv'],
    ),
  );
  const expected = all.filter(
    ({ position, call }) => position >= from && position < to && BigInt(call.arguments[0]) === serial,
  );
  assert.deepEqual(
    hits.slice(1).map((line) => Number(line.split(',')[0])),
    expected.map(({ position }) => position),
  );
});

test('expressions of C, in the function that is asked about', async () => {
  const options = ['hits', 'mailbox_send', '--symbols', EMBEDDED_KERNEL, '--limit', '100', '--format'];
  const printed = ['--print', 'message->kind', '--print', 'a1', '--print', 'u32(a1 + 16)', '--print', 'tasks[1].state'];
  const table = lines(await ask(...options, 'csv', ...printed));
  assert.match(table[0], /,message->kind,a1,u32\(a1 \+ 16\),tasks\[1\]\.state$/);
  for (const line of table.slice(1)) assert.match(line, /,MESSAGE_\w+,0x8\w+,0x\w+,TASK_\w+$/);
  const all = lines(await ask(...options, 'json', '--print', 'message->serial % 3')).map((line) => JSON.parse(line));
  const third = lines(await ask(...options, 'json', '--if', 'message->serial % 3 == 1 && message')).map((line) =>
    JSON.parse(line),
  );
  const wanted = all.filter(({ values }) => BigInt(values['message->serial % 3']) === 1n);
  assert.ok(wanted.length > 3 && wanted.length < all.length);
  assert.deepEqual(
    third.map(({ position }) => position),
    wanted.map(({ position }) => position),
  );
  const refused = await chronovisor('query', TRACE, ...options, 'csv', '--print', 'nothing->there');
  assert.match(refused.stderr, /nor is it a whole number of C/);
});

test('the history of a word ends with its last write', async () => {
  const word = '0x80018f88';
  const values = lines(await ask('values', word, '--format', 'json')).map((line) => JSON.parse(line));
  assert.ok(values.length > 3);
  // Each value is what the next change begins with.
  for (let i = 1; i < values.length; i++) assert.equal(values[i].before, values[i - 1].after);
  const [last] = lines(await ask('last-write', word, '--format', 'json')).map((line) => JSON.parse(line));
  assert.ok(last.position >= values[values.length - 1].position);
  const writers = lines(await ask('writers', word, '--format', 'json')).map((line) => JSON.parse(line));
  assert.deepEqual(last, writers[writers.length - 1]);
  assert.deepEqual(
    lines(await ask('first-write', word, '--format', 'json')).map((line) => JSON.parse(line)),
    [writers[0]],
  );
});

test('traps, interrupts and registers', async () => {
  assert.match(await ask('interrupts', '5', '--limit', '3'), /supervisor timer interrupt/);
  assert.match(await ask('values', 'satp', '--limit', '1'), /0x0 -> 0x8000/);
  assert.match(await ask('traps'), /^(nothing|position)/);
});

test('what cannot be asked', async () => {
  const refused = async (words: string[], message: RegExp) => {
    const result = await chronovisor('query', TRACE, ...words);
    assert.equal(result.code, 1);
    assert.match(result.stderr, message);
  };
  await refused(['nonsense'], /there is no such question; there are hits/);
  await refused(['hits'], /what is meant is missing/);
  await refused(['hits', 'no_such_symbol'], /a symbol that --symbols knows/);
  await refused(['hits', '0x80000000', '--if', 'a0 =='], /character 6/);
  await refused(['writers', '0x80000000,0'], /bytes of/);
  await refused(['writers', '0x10'], /nothing is mapped there|no range|at position/);
  await refused(['traps', 'x'], /whole numbers with commas/);
  await refused(['hits', '0x1', '--from', '20', '--to', '10'], /lies behind the last/);
  await refused(['hits', '0x1', '--hart', '9'], /--hart 9/);
});

test("parameters are known at the entry of a kernel's function, before the room that it has for patches", (t) => {
  const path = needVmlinux(t);
  if (path === null) return;
  const symbols = openSymbols([path]);
  for (const [name, parameter, register] of [
    ['do_exit', 'code', 'a0'],
    ['vfs_read', 'count', 'a2'],
  ]) {
    const entry = addressOf(name, symbols)!;
    assert.equal(symbols.symbolise(entry)?.frames.length, 0, 'the debug information begins behind it');
    const { expression } = printedExpression(parameter, symbols, entry);
    const condition = conditionExpression(`${parameter} > 1000`, symbols, entry);
    for (const text of [expression, condition]) assert.match(text, new RegExp(`\\b${register}\\b`));
  }
});
