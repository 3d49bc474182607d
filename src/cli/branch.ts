/** `chronovisor branch`: lets a recorded guest live on from any position, as a new recording. */
import { UserError } from '../base/assert.ts';
import { BRANCH_OPTIONS, branchOff } from './branching.ts';
import { command } from './command-line.ts';
import { count } from './format.ts';
import { checkOutput, conduct, planRun, SESSION_OPTIONS } from './one-run.ts';
import { reportRun } from './record.ts';
import { openTrace, parsePosition } from './trace-argument.ts';

export const branchCommand = command(
  '<trace>',
  {
    at: { type: 'text', value: 'POSITION', default: 'end', describe: 'where the new recording leaves the old one' },
    output: { type: 'text', alias: 'o', value: 'TRACE', describe: 'trace file to write' },
    force: { type: 'flag', describe: 'replace the file if it exists' },
    ...BRANCH_OPTIONS,
    ...SESSION_OPTIONS,
  },
  async (args) => {
    if (!args.output) throw new UserError('--output (-o) is missing: name the trace file to write');
    const output = { path: args.output, force: args.force };
    const plan = planRun(args);
    checkOutput(output);
    const trace = openTrace(args.trace);
    const at = parsePosition('--at', args.at, trace);
    const { living, close } = await branchOff(trace, at, args, output);
    console.error(
      `chronovisor: position ${count(at)} of ${args.trace}: from here on the guest lives, and is recorded to ${output.path}`,
    );
    try {
      reportRun(await conduct(living, args, plan));
    } finally {
      await close();
    }
  },
);
