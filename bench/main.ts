/**
 * `npm run bench`: how fast real guests run, record and replay, beside QEMU doing the same work in the same minutes. All ways of running
 * take turns, so that a machine that grows slower does so for each of them.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { debianCache, readVersions } from '../scripts/debian.ts';
import { findProgram } from '../scripts/process.ts';
import { parseWhole } from '../src/cli/arguments.ts';
import { benchEditor, editorText } from './editor.ts';
import { benchGuests } from './guests.ts';
import { firstStep, isQemu, type Mode, modesOf, type Sample, sample } from './modes.ts';
import { measure } from './process.ts';
import { profileOf, profileText } from './profile.ts';
import { benchQemuReverse, qemuReverseText } from './qemu-reverse.ts';
import { type BenchResult, median, resultOf, SCHEMA_VERSION, tableOf } from './report.ts';
import { benchSymbols, symbolsText } from './symbols.ts';
import { benchTimeline, timelineText } from './timeline.ts';

const EMBEDDED = fileURLToPath(new URL('../../guests/embedded/kernel.elf', import.meta.url));

const RACE = fileURLToPath(new URL('../../traces/heisenbug-v2.trace', import.meta.url));

const USAGE = `npm run bench -- [options] [guest...]

Measures the guests whose names contain one of the words; all of them without any.
'timeline [TRACE...]' measures moving through traces instead, or through recordings of the guests that work for minutes, beside QEMU's
reverse debugging where qemu-img is installed, too.
'symbols [FILE...]' measures loading symbol files: by default Debian's vmlinux and the embedded guest.
'editor' measures how long an editor waits for the debug adapter, with the embedded guest and a recording of Debian's boot.

  --repeat N   runs of each kind; medians are shown [3]
  --long       also the guests that work for minutes
  --no-qemu    not QEMU, even where it is installed
  --profile    where the time goes and why code leaves the fast path, instead of measuring
  --json FILE  file to write all results to`;

const { values: args, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    repeat: { type: 'string', default: '3' },
    long: { type: 'boolean', default: false },
    'no-qemu': { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (args.help) {
  console.log(USAGE);
  process.exit();
}
if (words[0] === 'timeline') {
  await timelines(words.slice(1));
  process.exit();
}
if (words[0] === 'symbols') {
  const vmlinux = join(debianCache(), 'vmlinux');
  const usual = [EMBEDDED, ...(existsSync(vmlinux) ? [vmlinux] : [])];
  const measured = [];
  for (const path of words.length > 1 ? words.slice(1) : usual) {
    measured.push(await benchSymbols(path));
    console.log(`${symbolsText(measured[measured.length - 1])}\n`);
  }
  if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify({ measured }, null, 2)}\n`);
  process.exit();
}
if (words[0] === 'editor') {
  await editors();
  process.exit();
}
const repeat = parseWhole('--repeat', args.repeat, 1, 1000);

const cache = readVersions(debianCache()) ? debianCache() : null;
if (cache === null) console.log('no Debian guest (npm run debian brings it): only the guests of the checkout\n');
const guests = benchGuests(cache)
  .filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))
  .filter(({ long }) => args.long || !long);
const qemuVersion = !args['no-qemu'] && findProgram('qemu-system-riscv64') !== undefined ? await versionOfQemu() : null;
const folder = mkdtempSync(join(tmpdir(), 'chronovisor-bench-'));
const results = [];
const first = [];
const profiles = [];
try {
  for (const guest of args.profile ? guests : []) {
    const profile = await profileOf(guest);
    profiles.push(profile);
    console.log(`${profileText(profile)}\n`);
  }
  for (const guest of args.profile ? [] : guests) {
    const starts: number[] = [];
    const samples = new Map<Mode, Sample[]>(modesOf(guest, qemuVersion !== null).map((mode) => [mode, []]));
    for (let round = 0; round < repeat; round++) {
      starts.push(await firstStep(guest, folder));
      for (const [mode, taken] of samples) {
        try {
          taken.push(await sample(guest, mode, folder));
        } catch (error) {
          // Ours must work; a QEMU that does not is left out.
          if (!isQemu(mode)) throw error;
          samples.delete(mode);
          console.log(`${guest.name}: ${mode} is left out: ${String(error).split('\n')[0].slice(0, 300)}`);
        }
      }
    }
    const result = resultOf(guest, samples);
    results.push(result);
    first.push({ guest: guest.name, median: median(starts) });
    console.log(
      `${tableOf(result)}\n  startup: ${median(starts).toFixed(0)} ms from the start of the process to the guest's first step\n`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

if (args.json !== undefined) {
  const result: BenchResult = {
    schema: 'chronovisor-bench',
    version: SCHEMA_VERSION,
    product: JSON.parse(readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8')).version,
    takenAt: new Date().toISOString(),
    host: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version, qemu: qemuVersion },
    repeat,
    firstStepMs: first,
    guests: results,
    ...(args.profile ? { profiles } : {}),
  };
  writeFileSync(args.json, `${JSON.stringify(result, null, 2)}\n`);
}

async function versionOfQemu(): Promise<string> {
  return (await measure('qemu-system-riscv64', ['--version'])).stdout.split('\n')[0];
}

/** Traces that exist, or recordings of the guests that work for long. */
async function timelines(paths: readonly string[]): Promise<void> {
  const recorded = mkdtempSync(join(tmpdir(), 'chronovisor-bench-'));
  const debian = readVersions(debianCache()) ? benchGuests(debianCache()) : [];
  const measured = [];
  try {
    const own = paths.length > 0 ? [] : debian.filter(({ long }) => long);
    for (const guest of own) await sample(guest, 'record', recorded);
    for (const path of [...paths, ...own.map(({ name }) => join(recorded, `${name}.trace`))]) {
      measured.push(await benchTimeline(path));
      console.log(`${timelineText(measured[measured.length - 1])}\n`);
    }
  } finally {
    rmSync(recorded, { recursive: true, force: true });
  }
  const booting = debian.find(({ name }) => name === 'boot-1');
  const qemu = args['no-qemu'] || !booting ? null : await benchQemuReverse(booting);
  if (qemu) console.log(qemuReverseText(qemu));
  if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify({ measured, qemu }, null, 2)}\n`);
}

async function editors(): Promise<void> {
  const recorded = mkdtempSync(join(tmpdir(), 'chronovisor-bench-'));
  const measured = [];
  try {
    const guests = [{ trace: RACE, symbolFile: EMBEDDED, array: null as string | null }];
    const booting = readVersions(debianCache()) && benchGuests(debianCache()).find(({ name }) => name === 'boot-1');
    const vmlinux = join(debianCache(), 'vmlinux');
    if (booting && existsSync(vmlinux)) {
      await sample(booting, 'record', recorded);
      guests.push({ trace: join(recorded, `${booting.name}.trace`), symbolFile: vmlinux, array: '__log_buf' });
    }
    for (const guest of guests) {
      measured.push(await benchEditor(guest));
      console.log(`${editorText(measured[measured.length - 1])}\n`);
    }
  } finally {
    rmSync(recorded, { recursive: true, force: true });
  }
  if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify({ measured }, null, 2)}\n`);
}
