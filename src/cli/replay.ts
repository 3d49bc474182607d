/** `chronovisor replay` and `chronovisor verify`: a trace from its beginning to its end, everything checked. */
import type { CommandModule } from 'yargs';
import { verify } from '../replay/verify.ts';
import { count, plural, seconds } from './format.ts';
import { openTrace } from './trace-argument.ts';

interface Arguments {
  trace: string;
  json: boolean;
}

const builder: CommandModule<object, Arguments>['builder'] = (y) =>
  y
    .positional('trace', { type: 'string', demandOption: true, describe: 'trace file' })
    .option('json', { type: 'boolean', default: false, describe: 'print the result as JSON' });

export const replayCommand: CommandModule<object, Arguments> = {
  command: 'replay <trace>',
  describe: 'replay a trace: the same console, the same everything, checked',
  builder,
  handler: ({ trace, json }) => replay(trace, json, true),
};

export const verifyCommand: CommandModule<object, Arguments> = {
  command: 'verify <trace>',
  describe: 'replay a trace and compare every digest, journal entry and console byte',
  builder,
  handler: ({ trace, json }) => replay(trace, json, false),
};

function replay(path: string, json: boolean, showConsole: boolean): void {
  const trace = openTrace(path, { check: !showConsole });
  const { console: device } = trace.header.machine;
  const { damage = null } = trace;
  const started = performance.now();
  let endsLine = true;
  const result = verify(trace, {
    output: (name, data) => {
      if (!showConsole || json || name !== device) return;
      process.stdout.write(data);
      endsLine = data[data.length - 1] === 10;
    },
  });
  // What is gone cannot be verified; a recording that was killed merely ends early.
  if (!showConsole && damage) process.exitCode = 1;
  const elapsed = (performance.now() - started) / 1000;
  const speed = result.steps / elapsed;
  if (json) {
    console.log(
      JSON.stringify({ ...result, seconds: elapsed, stepsPerSecond: Math.round(speed), equal: true, damage }),
    );
    return;
  }
  const { steps, digests, journalEntries, consoleBytes } = result;
  const checked = `${plural(digests, 'digest')}, ${count(journalEntries)} journal entries and ${plural(consoleBytes, 'console byte')} equal`;
  console.error(
    `${endsLine ? '' : '\n'}chronovisor: ${plural(steps, 'step')} (${seconds(trace.replayableToNs)} of guest time) replayed in ` +
      `${elapsed.toFixed(1)} s, ${(speed / 1e6).toFixed(0)} million a second; ${checked}`,
  );
}
