/** `chronovisor dap`: the debug adapter, for editors. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import type { Host } from '../dap/protocol.ts';
import { AdapterServer } from '../dap/server.ts';
import { openSession } from '../debugger/open.ts';
import { MEMORY_BUDGET_DEFAULT } from '../replay/timeline.ts';
import { command } from './command-line.ts';
import { addressText, isLoopback, listenRefusal, parseListen } from './gdb-server.ts';
import { guestFiles } from './guest-files.ts';
import { isElf } from './launch.ts';
import { Recordings } from './recording.ts';
import { openSymbols, symbolCache } from './symbol-options.ts';

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
    const recordings = new Recordings();
    const stop = () => void recordings.end();
    process.on('SIGINT', stop).on('SIGTERM', stop);
    if (listen === undefined) await serveStandard(recordings);
    else await serveSocket(listen, recordings);
    // Guests that were left to themselves live on; who asks for the end ends them, too.
    await recordings.ended();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  },
);

function start(input: Readable, output: Writable, recordings: Recordings): AdapterServer {
  const server = new AdapterServer(hostOf(recordings));
  server.start(input as NodeJS.ReadableStream, output as NodeJS.WritableStream);
  return server;
}

async function serveStandard(recordings: Recordings): Promise<void> {
  const server = start(process.stdin, process.stdout, recordings);
  const stop = () => server.shutdown();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  await server.ended;
  process.stdin.destroy();
}

/** What a session may take that nobody waits for. */
const BACKGROUND = { memoryBudget: MEMORY_BUDGET_DEFAULT / 4, workers: Math.max(1, availableParallelism() - 1) };

/** Each editor that connects has a session of its own. */
async function serveSocket(option: string, recordings: Recordings): Promise<void> {
  const listen = parseListen('--listen', option);
  if (!isLoopback(listen.host)) {
    console.error(
      `chronovisor: --listen ${option}: whoever reaches this address can open any trace that you can; there is no password`,
    );
  }
  const connected = new Set<AdapterServer>();
  const server = createServer({ noDelay: true }, (socket) => {
    // What went wrong with a socket, 'close' follows.
    socket.on('error', () => {});
    const adapter = start(socket, socket, recordings);
    connected.add(adapter);
    adapter.ended
      .finally(() => connected.delete(adapter))
      .then(
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
      const stop = () => {
        for (const adapter of connected) adapter.shutdown();
        server.close(() => resolve());
      };
      process.once('SIGINT', stop).once('SIGTERM', stop);
    });
  });
}

function hostOf(recordings: Recordings): Host {
  const cache = symbolCache();
  const symbols = (files: readonly string[]) => openSymbols(files, 'symbolFiles', cache);
  return {
    openTrace: (path, purpose) => openSession(path, purpose === 'background' ? BACKGROUND : {}),
    openSymbols: symbols,
    guestFiles,
    kernelSymbols: (path) => (isElf(path) ? symbols([path]) : null),
    launch: (args, again, hooks) => recordings.launch(args, again, hooks),
    adopt: (...args) => recordings.adopt(...args),
    branch: (trunk, at, args, hooks) => recordings.branch(trunk, at, args, hooks),
    exists: existsSync,
  };
}
