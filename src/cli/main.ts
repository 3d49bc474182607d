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

/** Options that may be given more than once. */
const REPEATABLE = new Set(['disk', '_']);

const COMMANDS = new Set('record run replay verify state info dump diff repair demo'.split(' '));

const parser = yargs(hideBin(process.argv))
  .scriptName('chronovisor')
  .usage('$0 <command>\n\nRecords a virtual machine and replays it bit for bit.')
  .parserConfiguration({ 'greedy-arrays': false })
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
  .demandCommand(1, 'the name of a command is missing')
  .recommendCommands()
  .strict()
  .version(productVersion())
  .wrap(Math.min(110, process.stdout.columns ?? 110))
  .check((args) => {
    for (const [name, value] of Object.entries(args)) {
      if (Array.isArray(value) && !REPEATABLE.has(name))
        throw new UserError(`--${name} is given ${value.length} times`);
    }
    return true;
  })
  .fail((message, error) => {
    // What yargs itself refuses inside a command comes as an error, too.
    if (error && error.name !== 'YError') throw error;
    const [command = ''] = hideBin(process.argv).filter((arg) => !arg.startsWith('-'));
    const help = COMMANDS.has(command) ? `chronovisor ${command} --help` : 'chronovisor --help';
    throw new UserError(`${sentence(message ?? error.message)}; ${help} tells more`);
  });

/** What yargs says, as the rest of a sentence. */
function sentence(message: string): string {
  return message
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim()
    .replace(/^Unknown arguments?: (.*)$/, 'unknown argument $1')
    .replace(/^Did you mean (.*)\?$/, 'no such command; did you mean $1?')
    .replace(/^Invalid values: *Argument: (\S+), Given: "(.*)", Choices: (.*)$/s, '--$1 $2: one of $3 is needed')
    .replace(/^Not enough arguments following: (.*)$/, '--$1 needs a value')
    .replace(/^Not enough non-option arguments: got (\d+), need at least (\d+)$/, 'the name of a trace is missing');
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may leave early (`| head`).
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
});

try {
  await parser.parseAsync();
} catch (error) {
  if (error instanceof UserError || error instanceof Divergence) {
    console.error(`chronovisor: ${error.message}`);
    process.exitCode = 1;
  } else {
    console.error(error);
    console.error('chronovisor: this is a bug of Chronovisor, not of yours');
    process.exitCode = 2;
  }
}
