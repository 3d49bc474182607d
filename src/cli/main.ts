#!/usr/bin/env node
/** The command line. One file a command; this one only gathers them and turns errors into messages. */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { UserError } from '../base/assert.ts';
import { Divergence } from '../replay/replayer.ts';
import { demoCommand } from './demo.ts';
import { diffCommand } from './diff.ts';
import { dumpCommand } from './dump.ts';
import { infoCommand } from './info.ts';
import { recordCommand, runCommand } from './record.ts';
import { repairCommand } from './repair.ts';
import { replayCommand, verifyCommand } from './replay.ts';
import { stateCommand } from './state.ts';
import { productVersion } from './version.ts';

const parser = yargs(hideBin(process.argv))
  .scriptName('chronovisor')
  .usage('$0 <command>\n\nRecords a virtual machine and replays it bit for bit.')
  .command(recordCommand)
  .command(runCommand)
  .command(replayCommand)
  .command(verifyCommand)
  .command(stateCommand)
  .command(infoCommand)
  .command(dumpCommand)
  .command(diffCommand)
  .command(repairCommand)
  .command(demoCommand)
  .demandCommand(1, 'which command? chronovisor --help lists them')
  .recommendCommands()
  .strict()
  .version(productVersion())
  .wrap(Math.min(110, process.stdout.columns ?? 110))
  .fail((message, error) => {
    throw error ?? new UserError(`${message}; see chronovisor --help`);
  });

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may leave early (`| head`).
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
});

try {
  await parser.parseAsync();
} catch (error) {
  if (error instanceof UserError || error instanceof Divergence) console.error(`chronovisor: ${error.message}`);
  else console.error(error);
  process.exitCode = 1;
}
