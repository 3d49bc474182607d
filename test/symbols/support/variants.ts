/** The embedded guest, built in many ways: what compilers make of the same source. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../../../scripts/process.ts';
import { needTool } from '../../support/tools.ts';

const CHECKOUT = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
const SOURCES = join(CHECKOUT, 'guests/embedded');

export interface Variant {
  readonly name: string;
  readonly compiler: 'gcc' | 'clang';
  readonly flags: readonly string[];
}

const gcc = (name: string, ...flags: string[]): Variant => ({ name: `gcc ${name}`, compiler: 'gcc', flags });
const clang = (name: string, ...flags: string[]): Variant => ({ name: `clang ${name}`, compiler: 'clang', flags });

export const VARIANTS: readonly Variant[] = [
  gcc('-O0, DWARF 5', '-O0', '-gdwarf-5'),
  gcc('-O2, DWARF 5', '-O2', '-gdwarf-5'),
  gcc('-O2, DWARF 4', '-O2', '-gdwarf-4'),
  gcc('-O2, DWARF 3', '-O2', '-gdwarf-3', '-gstrict-dwarf'),
  gcc('-O0, DWARF 2', '-O0', '-gdwarf-2', '-gstrict-dwarf'),
  gcc('-O1, DWARF 2', '-O1', '-gdwarf-2', '-gstrict-dwarf'),
  gcc('-O2, type units', '-O2', '-gdwarf-4', '-fdebug-types-section'),
  gcc('-O2, type units, DWARF 5', '-O2', '-gdwarf-5', '-fdebug-types-section'),
  gcc('-O3, compressed, 64-bit DWARF', '-O3', '-gdwarf-5', '-gdwarf64', '-gz=zlib'),
  clang('-O0, DWARF 4', '-O0', '-gdwarf-4'),
  clang('-O2, DWARF 5', '-O2', '-gdwarf-5'),
  clang('-O2, DWARF 3', '-O2', '-gdwarf-3'),
];

const COMMON = [
  ...['-march=rv64imafdc', '-mabi=lp64d', '-mcmodel=medany', `-ffile-prefix-map=${CHECKOUT}=.`, '-std=gnu11'],
  ...['-ffreestanding', '-fno-pic', '-fno-stack-protector', '-fno-common', '-fno-asynchronous-unwind-tables'],
  ...['-fno-builtin', '-w'],
];
const COMPILERS = {
  gcc: { program: 'riscv64-linux-gnu-gcc', debian: 'gcc-riscv64-linux-gnu', flags: ['-msmall-data-limit=0'] },
  clang: {
    program: 'clang-14',
    debian: 'clang-14',
    flags: ['--target=riscv64-linux-gnu', '-mno-relax', '-msmall-data-limit=0'],
  },
} as const;

export function needCompiler(t: TestContext, variant: Variant): boolean {
  const { program, debian } = COMPILERS[variant.compiler];
  return needTool(t, program, debian) && needTool(t, 'riscv64-linux-gnu-gcc', 'gcc-riscv64-linux-gnu');
}

/** Builds a variant; the file goes away with the test. */
export async function buildVariant(t: TestContext, variant: Variant): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'chronovisor-symbols-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { program, flags } = COMPILERS[variant.compiler];
  const objects: string[] = [];
  for (const file of readdirSync(SOURCES).filter((name) => /\.[cS]$/.test(name))) {
    const object = join(folder, file === 'user.c' ? 'user.o' : `${file}.o`);
    const assembler = file.endsWith('.S') && variant.compiler === 'clang';
    const arguments_ = [...COMMON, ...(assembler ? COMPILERS.gcc.flags : flags), ...variant.flags];
    await run(assembler ? COMPILERS.gcc.program : program, [...arguments_, '-c', join(SOURCES, file), '-o', object]);
    objects.push(object);
  }
  const output = join(folder, 'kernel.elf');
  const link = ['-nostdlib', '-static', '-no-pie', '-Wl,--no-warn-rwx-segments', '-Wl,-z,max-page-size=4096'];
  const compress = variant.flags.filter((flag) => flag.startsWith('-gz'));
  const script = ['-T', join(SOURCES, 'kernel.ld')];
  await run(COMPILERS.gcc.program, [...link, ...compress, '-Wl,--build-id=sha1', ...script, ...objects, '-o', output]);
  return output;
}
