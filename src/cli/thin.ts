/** `chronovisor thin`: a smaller trace of the same recording, with fewer checkpoints. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { UserError } from '../base/assert.ts';
import { verify } from '../replay/verify.ts';
import { gapOfEighth, TraceReader, thin } from '../trace/index.ts';
import { parseWhole } from './arguments.ts';
import { command } from './command-line.ts';
import { bytes, count } from './format.ts';
import { openTrace } from './trace-argument.ts';

export const thinCommand = command(
  '<trace>',
  {
    output: { type: 'text', alias: 'o', value: 'TRACE', describe: 'where the thinned trace goes; the original stays' },
    spacing: {
      type: 'text',
      value: 'STEPS',
      default: '500,000,000',
      describe: 'steps between checkpoints near the end; those further back may lie an eighth of their age apart',
    },
    force: { type: 'flag', describe: 'replace the output file if it exists' },
    json: { type: 'flag', describe: 'print the result as JSON' },
  },
  async ({ trace: path, output, spacing: text, force, json }) => {
    if (!output) throw new UserError('--output (-o) is missing: name the trace file to write');
    const spacing = parseWhole('--spacing', text, 1, Number.MAX_SAFE_INTEGER);
    const trace = openTrace(path);
    if (existsSync(output) && realpathSync(output) === realpathSync(path)) {
      throw new UserError(`${output} is the trace itself: choose another name`);
    }
    // Only what replays to the same states takes the place of a recording.
    const accept = (written: string) => {
      const thinned = TraceReader.open(written, { check: true });
      verify(thinned);
      thinned.close();
    };
    const result = await thin(trace, output, { gapAt: gapOfEighth(spacing), force, accept });
    trace.close();
    const [before, after] = [path, output].map((file) => statSync(file).size);
    if (json) console.log(JSON.stringify({ path: output, ...result, bytesBefore: before, bytesAfter: after }));
    else {
      console.log(
        `${output}: ${result.kept} of ${result.of} checkpoints kept, at most ${count(result.gapMax)} steps apart; ` +
          `${bytes(before)} became ${bytes(after)}; replayed and verified`,
      );
    }
  },
);
