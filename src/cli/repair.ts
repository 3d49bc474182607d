/** `chronovisor repair`: makes a trace whole that was cut off or damaged. */
import type { CommandModule } from 'yargs';
import { repair } from '../trace/index.ts';
import { count } from './format.ts';

interface Arguments {
  trace: string;
  output: string | undefined;
  force: boolean;
}

export const repairCommand: CommandModule<object, Arguments> = {
  command: 'repair <trace>',
  describe: 'make a trace whole that was cut off (killed recording, full disk) or damaged',
  builder: (y) =>
    y
      .positional('trace', { type: 'string', demandOption: true, describe: 'trace file' })
      .option('output', { type: 'string', alias: 'o', describe: 'write the whole trace here; the original stays' })
      .option('force', { type: 'boolean', default: false, describe: 'replace the output file if it exists' }),
  handler: ({ trace, output, force }) => {
    const result = repair(trace, output, { force });
    console.log(`${trace}: ${describe(result)}`);
  },
};

function describe(result: ReturnType<typeof repair>): string {
  return Object.entries(result)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? count(value) : JSON.stringify(value)}`)
    .join(', ');
}
