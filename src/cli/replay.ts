/** `chronovisor replay` and `chronovisor verify`: a trace from its beginning to its end, everything checked. */
import { preferMainThread } from '../base/priority.ts';
import { type VerifyResult, verify } from '../replay/verify.ts';
import { command } from './command-line.ts';
import { ConsoleOutput } from './console-output.ts';
import { count, plural, seconds } from './format.ts';
import { openTrace } from './trace-argument.ts';

const OPTIONS = { json: { type: 'flag', describe: 'print the result as JSON' } } as const;

export const replayCommand = command('<trace>', OPTIONS, ({ trace, json }) => replay(trace, json, true));

export const verifyCommand = command('<trace>', OPTIONS, ({ trace, json }) => replay(trace, json, false));

function replay(path: string, json: boolean, showConsole: boolean): void {
  preferMainThread();
  const trace = openTrace(path, { check: !showConsole });
  const { console: device } = trace.header.machine;
  const { damage = null } = trace;
  const started = performance.now();
  let endsLine = true;
  const shown = new ConsoleOutput(process.stdout);
  let result: VerifyResult;
  try {
    result = verify(trace, {
      output: (name, data) => {
        if (!showConsole || json || name !== device) return;
        shown.write(data);
        endsLine = data[data.length - 1] === 10;
      },
      progress: () => shown.flush(),
    });
  } finally {
    shown.flush();
  }
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
