/** The options that describe a machine, shared by `record` and `run`. What they make is in assemble.ts, which takes longer to load. */
import { HARTS_MAX } from '../vmm/layout.ts';
import type { Options, Values } from './command-line.ts';

const GROUP = 'Machine';

export const MACHINE_OPTIONS = {
  kernel: { type: 'text', value: 'FILE', describe: 'Linux Image, ELF kernel, or bare-metal program', group: GROUP },
  initrd: { type: 'text', value: 'FILE', describe: 'initial RAM disk', group: GROUP },
  append: { type: 'text', value: 'TEXT', default: '', describe: 'kernel command line', group: GROUP },
  bios: {
    type: 'text',
    value: 'FILE',
    default: 'builtin',
    describe: "'builtin' SBI firmware, a firmware file such as OpenSBI's fw_jump, or 'none'",
    group: GROUP,
  },
  memory: { type: 'text', value: 'SIZE', default: '512M', describe: 'guest memory, from 16M to 2G', group: GROUP },
  harts: { type: 'text', value: 'N', default: '1', describe: `harts, 1 to ${HARTS_MAX}`, group: GROUP },
  disk: {
    type: 'list',
    value: 'FILE',
    describe: 'raw disk image, never written: changes stay in the machine; append ,ro for read-only',
    group: GROUP,
  },
  quantum: { type: 'text', value: 'STEPS', default: '4096', describe: "steps of a hart's turn", group: GROUP },
  chaos: {
    type: 'text',
    value: 'SEED',
    describe:
      'draw whose turn it is, and how long, at random from this seed, so that races show; twice --quantum at most',
    group: GROUP,
  },
  'ns-per-step': {
    type: 'text',
    value: 'NS',
    default: '1',
    describe: 'virtual time of a step in nanoseconds',
    group: GROUP,
  },
  clock: {
    type: 'choice',
    choices: ['virtual', 'host'],
    default: 'virtual',
    describe: "guest time: a function of position, or the host's clock",
    group: GROUP,
  },
  rtc: {
    type: 'text',
    value: 'DATE',
    default: '2026-01-01T00:00:00Z',
    describe: "the guest's wall clock at the start",
    group: GROUP,
  },
  seed: {
    type: 'text',
    value: 'N',
    describe: "draw the guest's random numbers from this seed, so that equal inputs give equal runs",
    group: GROUP,
  },
} as const satisfies Options;

export type MachineArguments = Values<typeof MACHINE_OPTIONS>;

export const SEED_MAX = 2 ** 32 - 1;
