/** The socket that gdb connects to. */
import { createServer, isIP, type Socket } from 'node:net';
import { UserError } from '../base/assert.ts';
import { GdbConnection } from '../gdb/connection.ts';
import { GdbSession } from '../gdb/session.ts';
import type { GdbTarget } from '../gdb/target.ts';

export const LISTEN_DEFAULT = '127.0.0.1:1234';
/** A client that comes while another is there waits so long: the other may be on its way out. */
const GRACE_MS = 500;
/** A client that does not read what it asked for is let go when so much waits for it. */
const UNREAD_BYTES_MAX = 2 ** 26;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface GdbServer {
  /** Where it listens, with the port that port 0 became. */
  readonly address: Address;
  /** Resolves when the server is closed; rejects with what a bug of ours threw. */
  readonly ended: Promise<void>;
  close(): void;
}

/** `PORT`, `:PORT` or `HOST:PORT`, an IPv6 host in brackets. Without a host it is the computer's own address for itself. */
export function parseListen(option: string, text: string): Address {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  const port = match ? Number(match[3]) : Number.NaN;
  if (!match || port > 65535) {
    throw new UserError(`${option} ${text === '' ? "''" : text}: an address such as ${LISTEN_DEFAULT} is needed`);
  }
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port };
}

/** Nobody on another computer can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

export function addressText({ host, port }: Address): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Serves one client after the other, or one alone; each finds the machine where the last one left it. `say` takes what the person at the server is told. */
export function serveGdb(
  option: string,
  listen: Address,
  target: GdbTarget,
  say: (text: string) => void,
  once = false,
): Promise<GdbServer> {
  let client: Socket | null = null;
  let failure: unknown = null;

  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    // What went wrong with a socket, 'close' follows.
    socket.on('error', () => {});
    if (client) setTimeout(() => (client ? sendAway(socket) : admit(socket)), GRACE_MS);
    else admit(socket);
  });

  const peerOf = (socket: Socket) => `${socket.remoteAddress}:${socket.remotePort}`;

  function sendAway(socket: Socket): void {
    say(`${peerOf(socket)} was sent away: another gdb is connected`);
    socket.destroy();
  }

  function admit(socket: Socket): void {
    if (socket.destroyed) return;
    const peer = peerOf(socket);
    client = socket;
    say(`${peer} is connected`);
    const connection = new GdbConnection(
      {
        send: (bytes) => {
          if (socket.writableLength > UNREAD_BYTES_MAX) socket.destroy();
          else socket.write(bytes);
        },
        close: (reason) => {
          if (reason) say(`${peer}: ${reason}`);
          // A gdb in extended mode would keep its end open after it has detached.
          socket.destroySoon();
        },
        failed: (error) => {
          failure = error;
          server.close();
        },
      },
      (notify) => new GdbSession(target, notify),
    );
    socket.on('data', (bytes) => connection.receive(bytes));
    socket.on('close', () => {
      connection.lost();
      client = null;
      say(`${peer} has left`);
      if (once) server.close();
    });
  }

  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenRefusal(option, listen, error)));
    server.listen(listen.port, listen.host, () => {
      const bound = server.address();
      const port = typeof bound === 'object' && bound ? bound.port : listen.port;
      const ended = new Promise<void>((done, failed) => {
        server.once('close', () => (failure === null ? done() : failed(failure)));
      });
      resolve({
        address: { host: listen.host, port },
        ended,
        close: () => {
          server.close();
          client?.destroy();
        },
      });
    });
  });
}

/** Why nothing can listen at an address. */
export function listenRefusal(option: string, listen: Address, error: NodeJS.ErrnoException): UserError {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'something else listens there; choose another port, or 0 for any that is free',
    EACCES: 'permission denied; ports below 1024 are reserved',
    EADDRNOTAVAIL: 'this computer has no such address',
    ENOTFOUND: 'no such host',
  };
  return new UserError(`${option} ${addressText(listen)}: ${reasons[error.code ?? ''] ?? error.message}`);
}
