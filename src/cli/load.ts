/**
 * How the bundle's programs begin (scripts/bundle.mjs): all their code is one script, and V8's compiled form of what each runs first lies beside it, for a start takes
 * a quarter longer without. Where that is of another V8, or a flag of V8 is set that it was not made with, the code is compiled as usual.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { setV8Flags } from '../compiler/v8-flags.ts';

type Programs = Readonly<Record<string, () => Promise<unknown>>>;

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const SCRIPT = `${FOLDER}chronovisor.js`;
/** Keep what is compiled by now, so often, in ms: threads end without notice. */
const KEEP_MS = 200;

/** Starts one of the bundle's programs. */
export function load(name: string): void {
  // Flags must be the same when the compiled form is made and when it is used.
  setV8Flags();
  const cache = `${FOLDER}${name}-${process.versions.v8}.cache`;
  const making = process.env.CHRONOVISOR_CODE_CACHE === 'make';
  const programs = (making || existsSync(cache) ? fromCache(cache, making) : null) ?? compiled();
  void programs[name]();
}

/** Null where the cache cannot be used. */
function fromCache(file: string, making: boolean): Programs | null {
  // esbuild writes ASCII only.
  const source = module.wrap(readFileSync(SCRIPT, 'latin1'));
  const cachedData = making ? undefined : readFileSync(file);
  const script = new Script(source, { filename: SCRIPT, ...(cachedData ? { cachedData } : {}) });
  if (script.cachedDataRejected) return null;
  const exported: { exports: { programs?: Programs } } = { exports: {} };
  const run = script.runInThisContext() as (...parameters: unknown[]) => void;
  run(exported.exports, module.createRequire(SCRIPT), exported, SCRIPT, FOLDER);
  if (making) {
    const keep = () => {
      writeFileSync(`${file}.new`, script.createCachedData());
      renameSync(`${file}.new`, file);
    };
    setInterval(keep, KEEP_MS).unref();
    process.on('exit', keep);
  }
  return exported.exports.programs!;
}

function compiled(): Programs {
  // Newer Nodes keep the compiled code of modules from one run to the next by themselves.
  (module as { enableCompileCache?: () => unknown }).enableCompileCache?.();
  return (module.createRequire(SCRIPT)(SCRIPT) as { readonly programs: Programs }).programs;
}
