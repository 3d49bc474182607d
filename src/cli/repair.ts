/** `chronovisor repair`: makes a trace whole that was cut off or damaged. */
import { type Repair, repair } from '../trace/index.ts';
import { command } from './command-line.ts';
import { bytes, count, jsonValue } from './format.ts';

export const repairCommand = command(
  '<trace>',
  {
    output: { type: 'text', alias: 'o', value: 'TRACE', describe: 'write the whole trace here; the original stays' },
    force: { type: 'flag', describe: 'replace the output file if it exists' },
    json: { type: 'flag', describe: 'print the result as JSON' },
  },
  ({ trace, output, force, json }) => {
    const result = repair(trace, output, { force });
    console.log(json ? JSON.stringify(result, jsonValue) : describe(trace, result));
  },
);

function describe(trace: string, result: Repair): string {
  const reach = `replays to position ${count(result.replayableTo)}`;
  const copy = result.path === trace ? '' : ` Written to ${result.path}.`;
  if (!result.repaired) return `${trace}: whole already, every byte checked; ${reach}.${copy}`;
  const { damage } = result;
  const lost = result.lostBytes > 0 ? `; the last ${bytes(result.lostBytes)} could not be kept` : '';
  const cause = damage ? `damaged at offset ${damage.offset} (${damage.message})` : 'the recording was not closed';
  return `${trace}: ${cause}. Repaired: ${reach}${lost}.${copy}`;
}
