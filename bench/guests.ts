/** The guests that are measured: each does the same work here and in QEMU, from reset to power-off. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

/** When the guest has said `expect`, `send` is typed. */
export interface Exchange {
  readonly expect: string;
  readonly send: string;
}

export interface BenchGuest {
  readonly name: string;
  readonly what: string;
  readonly harts: number;
  readonly memoryMiB: number;
  /** A firmware file, or `none` for a program that runs on the bare machine. */
  readonly bios: string;
  readonly kernel: string;
  readonly initrd: string | null;
  readonly append: string;
  readonly script: readonly Exchange[];
  /** Said at the end by a guest that did its work. */
  readonly proof: string;
  /** Only with `--long`. */
  readonly long: boolean;
}

/** `cache` is the folder with Debian's kernel, or null where there is none: then only those of the checkout are measured. */
export function benchGuests(cache: string | null): BenchGuest[] {
  return [
    ...WORKLOADS.flatMap(workload),
    embedded(1),
    embedded(4),
    ...(cache === null ? [] : [1, 4].flatMap((harts) => debian(cache, harts))),
  ];
}

/** Programs on the bare machine that do one kind of work each: see guests/bench. */
const WORKLOADS = [
  ['sort', 'quicksort of random words'],
  ['matrix', 'products of matrices of integers and of doubles'],
  ['mix', 'linked lists, a state machine, a checksum bit by bit'],
  ['copy', 'memory copied in long and short pieces'],
  ['chase', 'pointers followed in random order'],
  ['double', 'bodies that attract each other, in double precision'],
  ['sha256', 'SHA-256'],
  ['parallel', 'sorting on all harts'],
] as const;

function workload([name, what]: (typeof WORKLOADS)[number]): BenchGuest[] {
  return (name === 'parallel' ? [1, 4] : [1]).map((harts) => ({
    name: `${name}-${harts}`,
    what,
    harts,
    memoryMiB: 64,
    bios: 'none',
    kernel: join(CHECKOUT, `guests/bench/${name}.elf`),
    initrd: null,
    append: '',
    script: [],
    proof: `bench ${name} done`,
    long: false,
  }));
}

function embedded(harts: number): BenchGuest {
  const commands = ['run primes 3000000', 'sum 200000000', 'run fp 20000000', 'run recurse 25', 'poweroff'];
  return {
    name: `embedded-${harts}`,
    what: `embedded guest, ${commands.slice(0, -1).join('; ')}`,
    harts,
    memoryMiB: 64,
    bios: 'none',
    kernel: join(CHECKOUT, 'guests/embedded/kernel.elf'),
    initrd: null,
    append: '',
    script: commands.map((command) => ({ expect: '> ', send: `${command}\n` })),
    proof: 'sum of depths',
    long: false,
  };
}

function debian(cache: string, harts: number): BenchGuest[] {
  const guest = (initrd: string) => ({
    harts,
    memoryMiB: 512,
    bios: join(cache, 'fw_dynamic.bin'),
    kernel: join(cache, 'kernel'),
    initrd: join(cache, `initrd-${initrd}.gz`),
    append: 'console=ttyS0 quiet',
    script: [],
  });
  return [
    {
      ...guest('poweroff'),
      name: `boot-${harts}`,
      what: "Debian's kernel to its init, and power-off",
      proof: 'chronovisor: init reached',
      long: false,
    },
    {
      ...guest('bench'),
      name: `script-${harts}`,
      what: 'boot, then a shell loop, sha256sum, gzip and find',
      proof: 'chronovisor: bench done',
      long: true,
    },
  ];
}
