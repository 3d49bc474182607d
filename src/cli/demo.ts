import type { CommandModule } from 'yargs';
export const demoCommand: CommandModule = { command: 'demo', describe: 'demo', handler: () => {} };
