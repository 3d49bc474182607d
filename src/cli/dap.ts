/** `chronovisor dap`: the debug adapter, for editors. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Host } from '../dap/protocol.ts';
import { AdapterServer } from '../dap/server.ts';
import { openSession } from '../debugger/open.ts';
import { folderCache } from '../symbols/index.ts';
import { command } from './command-line.ts';
import { addressText, isLoopback, listenRefusal, parseListen } from './gdb-server.ts';
import { openSymbols } from './symbol-options.ts';

export const dapCommand = command(
  '',
  {
    listen: {
      type: 'text',
      value: '[HOST:]PORT',
      describe: 'serve editors that connect here; without it one editor, by standard input and output',
    },
  },
  async ({ listen }) => {
    if (listen === undefined) return serve(process.stdin, process.stdout);
    await serveSocket(listen);
  },
);

async function serve(input: Readable, output: Writable): Promise<void> {
  const server = new AdapterServer(hostOf());
  server.start(input as NodeJS.ReadableStream, output as NodeJS.WritableStream);
  await server.ended;
  input.destroy();
}

/** Each editor that connects has a session of its own. */
async function serveSocket(option: string): Promise<void> {
  const listen = parseListen('--listen', option);
  if (!isLoopback(listen.host)) {
    console.error(
      `chronovisor: --listen ${option}: whoever reaches this address can open any trace that you can; there is no password`,
    );
  }
  const server = createServer({ noDelay: true }, (socket) => {
    // What went wrong with a socket, 'close' follows.
    socket.on('error', () => {});
    serve(socket, socket).then(
      () => socket.end(),
      (error: Error) => {
        console.error(`chronovisor: ${error.message}`);
        socket.destroy();
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenRefusal('--listen', listen, error)));
    server.listen(listen.port, listen.host, () => {
      const bound = server.address();
      const port = typeof bound === 'object' && bound ? bound.port : listen.port;
      console.log(`debug adapter: ${addressText({ host: listen.host, port })}`);
      const stop = () => server.close(() => resolve());
      process.once('SIGINT', stop).once('SIGTERM', stop);
    });
  });
}

/** Indices of symbol files are kept where the system keeps what can be made again. */
function hostOf(): Host {
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const cache = folderCache(join(caches, 'chronovisor'));
  return {
    openTrace: (path) => openSession(path),
    openSymbols: (files) => openSymbols(files, 'symbolFiles', cache),
    exists: existsSync,
  };
}
