/** `chronovisor dap`: messages by standard input and output, and by a socket. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { verify } from '../../src/replay/verify.ts';
import { TraceReader } from '../../src/trace/index.ts';
import { EMBEDDED_KERNEL, scratch } from '../support/guests.ts';
import { CHECKOUT, type Child, start } from './small.ts';

const frame = (message: object) => {
  const text = JSON.stringify(message);
  return `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
};
const request = (seq: number, command: string, values: object = {}) =>
  frame({ seq, type: 'request', command, arguments: values });

/** The messages in what has come so far. */
function messages(text: string): { readonly type: string; readonly command?: string; readonly success?: boolean }[] {
  const found = [];
  let rest = Buffer.from(text);
  for (;;) {
    const match = /^Content-Length: (\d+)\r\n\r\n/.exec(rest.toString('latin1'));
    if (!match || rest.length < match[0].length + Number(match[1])) return found;
    found.push(JSON.parse(rest.toString('utf8', match[0].length, match[0].length + Number(match[1]))));
    rest = rest.subarray(match[0].length + Number(match[1]));
  }
}

const SESSION = [
  request(1, 'initialize', { adapterID: 'test' }),
  request(2, 'attach', { trace: join(CHECKOUT, 'traces/heisenbug-v1.trace'), stopAt: 'start' }),
  request(3, 'noSuchRequest'),
  request(4, 'disconnect'),
];
const answers = (text: string) =>
  messages(text)
    .filter(({ type }) => type === 'response')
    .map(({ command, success }) => `${command} ${success}`)
    .sort();
const EXPECTED = ['attach true', 'disconnect true', 'initialize true', 'noSuchRequest false'];

/** Says one thing after the other, each when the one before is answered. */
async function converse(write: (text: string) => void, output: () => string): Promise<void> {
  for (const [n, text] of SESSION.entries()) {
    write(text);
    while (answers(output()).length <= n) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('by standard input and output', async () => {
  const child = start(['dap']);
  await converse((text) => child.stdin.write(text), child.stdout);
  const { code, stdout, stderr } = await child.ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(answers(stdout), EXPECTED);
});

test('a client that goes, or sends no messages, ends it', async () => {
  for (const text of ['', 'Content-Length: 5\r\n\r\n{{{{{']) {
    const child = start(['dap']);
    child.stdin.write(text);
    child.stdin.end();
    const { code, stderr } = await child.ended;
    assert.equal(code, 0, stderr);
  }
});

test('a message without an end ends it', async () => {
  const child = start(['dap']);
  // Nobody reads the rest.
  child.stdin.on('error', () => {});
  child.stdin.write(`Content-Length: ${2 ** 40}\r\n\r\n`);
  for (let n = 0; n < 17; n++) child.stdin.write(Buffer.alloc(2 ** 20));
  const { code, stderr } = await child.ended;
  assert.equal(code, 0, stderr);
});

test('a recording is whole when its client goes, and when the adapter is told to end', async (t) => {
  const folder = scratch(t);
  const ways: [string, (child: Child) => void][] = [
    ['gone', ({ stdin }) => stdin.end()],
    ['signal', ({ kill }) => kill('SIGTERM')],
  ];
  for (const [name, end] of ways) {
    const trace = join(folder, `${name}.trace`);
    const child = start(['dap']);
    child.stdin.write(request(1, 'initialize', { adapterID: 'test' }));
    const machine = { kernel: EMBEDDED_KERNEL, bios: 'none', memory: '16M', stopAt: 'run' };
    child.stdin.write(request(2, 'launch', { ...machine, trace }));
    while (!answers(child.stdout()).includes('launch true')) await new Promise((resolve) => setTimeout(resolve, 20));
    child.stdin.write(request(3, 'configurationDone'));
    while (!child.stdout().includes('"text":"> "')) await new Promise((resolve) => setTimeout(resolve, 20));
    end(child);
    const { code, stderr } = await child.ended;
    assert.equal(code, 0, stderr);
    const reader = TraceReader.open(trace, { check: true });
    assert.equal(reader.end?.reason, 'interrupted', name);
    verify(reader);
  }
});

test('a guest that is left to itself lives on when its client has gone', async (t) => {
  const trace = join(scratch(t), 'alone.trace');
  const input = join(scratch(t), 'input');
  writeFileSync(input, 'work 40 3\npoweroff\n');
  const child = start(['dap']);
  const machine = { kernel: EMBEDDED_KERNEL, bios: 'none', memory: '16M', input };
  child.stdin.write(request(1, 'initialize', { adapterID: 'test' }));
  child.stdin.write(request(2, 'launch', { ...machine, trace, stopAt: 'entry' }));
  while (!answers(child.stdout()).includes('launch true')) await new Promise((resolve) => setTimeout(resolve, 20));
  child.stdin.write(request(3, 'disconnect', { terminateDebuggee: false }));
  const { code, stderr } = await child.ended;
  assert.equal(code, 0, stderr);
  assert.equal(TraceReader.open(trace, { check: true }).end?.reason, 'power-off');
});

test('by a socket, several clients one after the other', async () => {
  const child = start(['dap', '--listen', '0']);
  let address: RegExpExecArray | null = null;
  while (!address) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    address = /debug adapter: ([\d.]+):(\d+)/.exec(child.stdout());
  }
  const [, host, port] = address;
  for (let n = 0; n < 2; n++) {
    const socket = connect(Number(port), host);
    const chunks: Buffer[] = [];
    (socket as Readable).on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const output = () => Buffer.concat(chunks).toString();
    await converse((text) => socket.write(text), output);
    await closed;
    assert.deepEqual(answers(output()), EXPECTED);
  }
  child.kill('SIGTERM');
  assert.equal((await child.ended).code, 0);
});
