/** `chronovisor gdb`: a trace for gdb and whatever speaks its protocol. */
import { type LiveMachine, openLive } from '../debugger/live.ts';
import { openSession } from '../debugger/open.ts';
import { TimelineTarget } from '../gdb/timeline-target.ts';
import { command } from './command-line.ts';
import { type Address, addressText, isLoopback, LISTEN_DEFAULT, parseListen, serveGdb } from './gdb-server.ts';
import { openTrace, parsePosition } from './trace-argument.ts';

export const gdbCommand = command(
  '<trace>',
  {
    listen: {
      type: 'text',
      value: '[HOST:]PORT',
      default: LISTEN_DEFAULT,
      describe: 'where gdb connects to; port 0 is any that is free',
    },
    at: {
      type: 'text',
      value: 'POSITION',
      default: 'end',
      describe: "position to begin at, 'end', or a percentage such as 50%",
    },
  },
  async (args) => {
    const listen = listenAt('--listen', args.listen);
    const position = parsePosition('--at', args.at, openTrace(args.trace));
    const session = await openSession(args.trace, { at: position });
    try {
      const server = await serveGdb('--listen', listen, await TimelineTarget.open(session), say);
      console.log(`gdb: target extended-remote ${addressText(server.address)}`);
      const stop = () => server.close();
      process.once('SIGINT', stop).once('SIGTERM', stop);
      await server.ended;
    } finally {
      await session.close();
    }
  },
);

function listenAt(option: string, text: string): Address {
  const listen = parseListen(option, text);
  if (!isLoopback(listen.host)) {
    say(`${option} ${text}: whoever reaches this address can read all of the guest's memory; there is no password`);
  }
  return listen;
}

/** Serves a machine that is being recorded to one gdb, from the beginning; when it goes, the machine goes on by itself. */
export function debugLive(option: string, text: string): (live: LiveMachine) => Promise<void> {
  const listen = listenAt(option, text);
  return async (live) => {
    const session = await openLive(live);
    try {
      const server = await serveGdb(option, listen, await TimelineTarget.open(session), say, true);
      say(`gdb: target extended-remote ${addressText(server.address)}`);
      await server.ended;
    } finally {
      await session.close();
    }
  };
}

function say(text: string): void {
  console.error(`chronovisor: ${text}`);
}
