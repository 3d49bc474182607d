/** `chronovisor gdb` as a process: where it listens, who is let in, and how it ends. */
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseListen } from '../../src/cli/gdb-server.ts';
import { encodePacket, PacketReader } from '../../src/gdb/codec.ts';
import { CHECKOUT, type Child, start, until } from '../cli/small.ts';
import { chronovisor } from '../support/guests.ts';

const TRACE = join(CHECKOUT, 'traces/heisenbug-v1.trace');

async function listening(...options: readonly string[]): Promise<{ server: Child; port: number }> {
  const server = start(['gdb', TRACE, ...options]);
  await until('the server listens', () => server.stdout().includes('\n'));
  const port = /target extended-remote \S+:(\d+)\n/.exec(server.stdout())?.[1];
  assert.ok(port, server.stdout());
  return { server, port: Number(port) };
}

/** A client that says a packet and waits for the reply. */
function client(port: number): Promise<{ socket: Socket; ask: (packet: string) => Promise<string> }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      const reader = new PacketReader();
      const replies: string[] = [];
      socket.on('data', (bytes) => {
        for (const item of reader.push(bytes)) if (item.kind === 'packet') replies.push(item.payload);
      });
      const ask = async (packet: string) => {
        socket.write(encodePacket(packet));
        await until(`a reply to ${packet}`, () => replies.length > 0);
        return replies.shift()!;
      };
      resolve({ socket, ask });
    });
    socket.on('error', reject);
  });
}

const gone = (socket: Socket) => until('the connection ends', () => socket.closed);

test('addresses', () => {
  assert.deepEqual(parseListen('--listen', '1234'), { host: '127.0.0.1', port: 1234 });
  assert.deepEqual(parseListen('--listen', ':0'), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(parseListen('--listen', '0.0.0.0:65535'), { host: '0.0.0.0', port: 65535 });
  assert.deepEqual(parseListen('--listen', '[::1]:1'), { host: '::1', port: 1 });
  assert.deepEqual(parseListen('--listen', 'localhost:1'), { host: 'localhost', port: 1 });
  for (const wrong of ['', 'x', '1.2.3.4', '1:2:3', '::1:5', '65536', '-1', '127.0.0.1:', 'a b:c', '[::1]']) {
    assert.throws(
      () => parseListen('--listen', wrong),
      /--listen .*: an address such as 127\.0\.0\.1:1234 is needed/,
      wrong,
    );
  }
});

test('one client at a time, each where the last one left the machine', async () => {
  const { server, port } = await listening('--listen', '127.0.0.1:0', '--at', '1000000');
  const first = await client(port);
  assert.match(await first.ask('qSupported:swbreak+'), /ReverseStep\+/);
  const stop = await first.ask('?');
  const second = await client(port);
  await gone(second.socket);
  assert.match(await first.ask('bs'), /^T05/);
  assert.match(await first.ask('vCont;s'), /^T05/);
  assert.match(await first.ask('bs'), /^T05/);
  const registers = await first.ask('g');
  // Nobody says goodbye when a computer goes away.
  first.socket.destroy();
  await gone(first.socket);
  const third = await client(port);
  assert.equal(await third.ask('g'), registers);
  assert.notEqual(await third.ask('?'), stop);
  assert.equal(await third.ask('D'), 'OK');
  await gone(third.socket);
  server.kill('SIGINT');
  const { code, stderr } = await server.ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /was sent away: another gdb is connected/);
  assert.doesNotMatch(stderr, /password/);
});

test('a client that talks nonsense does no harm', async () => {
  const { server, port } = await listening('--listen', '0');
  const loud = await client(port);
  loud.socket.write(Buffer.alloc(300_000, '$'));
  loud.socket.write('GET / HTTP/1.1\r\n\r\n$zz#zz\x03\x03+++---');
  assert.match(await loud.ask('?'), /^(T05|E\.)/);
  loud.socket.destroy();
  await gone(loud.socket);
  const next = await client(port);
  assert.match(await next.ask('?'), /^T05/);
  // Leaving while something runs ends it.
  next.socket.write(encodePacket('bc'));
  next.socket.destroy();
  await gone(next.socket);
  assert.match(await (await client(port)).ask('?'), /^T05/);
  server.kill('SIGTERM');
  assert.equal((await server.ended).code, 0);
});

test('whoever listens to others is warned', async () => {
  const { server } = await listening('--listen', '0.0.0.0:0');
  server.kill('SIGINT');
  assert.match((await server.ended).stderr, /--listen 0\.0\.0\.0:0: whoever reaches this address .* no password/);
});

test('what cannot be served', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  for (const [options, why] of [
    [[TRACE, '--listen', `127.0.0.1:${port}`], /--listen 127\.0\.0\.1:\d+: something else listens there/],
    [[TRACE, '--listen', '203.0.113.7:0'], /--listen 203\.0\.113\.7:0: this computer has no such address/],
    [[TRACE, '--listen', 'nowhere'], /--listen nowhere: an address such as/],
    [[TRACE, '--at', '1332187'], /--at 1332187: a position .* from 0 to 1332186/],
    [['nothing.trace'], /nothing\.trace/],
    [[], /trace/],
  ] as const) {
    const { code, stderr } = await chronovisor('gdb', ...options);
    assert.equal(code, 1, stderr);
    assert.match(stderr, why);
  }
  taken.close();
});
