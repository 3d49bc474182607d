/** `chronovisor repair`: makes a trace whole that was cut off or damaged. */
import type { CommandModule } from 'yargs';
import { type Repair, repair } from '../trace/index.ts';
import { bytes, count, jsonValue } from './format.ts';

interface Arguments {
  trace: string;
  output: string | undefined;
  force: boolean;
  json: boolean;
}

export const repairCommand: CommandModule<object, Arguments> = {
  command: 'repair <trace>',
  describe: 'make a trace whole that was cut off (killed recording, full disk) or damaged',
  builder: (y) =>
    y
      .positional('trace', { type: 'string', demandOption: true, describe: 'trace file' })
      .option('output', {
        type: 'string',
        alias: 'o',
        requiresArg: true,
        describe: 'write the whole trace here; the original stays',
      })
      .option('force', { type: 'boolean', default: false, describe: 'replace the output file if it exists' })
      .option('json', { type: 'boolean', default: false, describe: 'print the result as JSON' }),
  handler: ({ trace, output, force, json }) => {
    const result = repair(trace, output, { force });
    console.log(json ? JSON.stringify(result, jsonValue) : describe(trace, result));
  },
};

function describe(trace: string, result: Repair): string {
  const reach = `replays to position ${count(result.replayableTo)}`;
  const copy = result.path === trace ? '' : ` Written to ${result.path}.`;
  if (!result.repaired) return `${trace}: whole already, every byte checked; ${reach}.${copy}`;
  const { damage } = result;
  const lost = result.lostBytes > 0 ? `; the last ${bytes(result.lostBytes)} could not be kept` : '';
  const cause = damage ? `damaged at offset ${damage.offset} (${damage.message})` : 'the recording was not closed';
  return `${trace}: ${cause}. Repaired: ${reach}${lost}.${copy}`;
}
