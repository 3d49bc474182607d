/** A process that loads a symbol file as a debugger does, and says as JSON what each step took. Arguments: the file, the folder of the cache. */
import { openUserFile } from '../src/cli/user-file.ts';
import {
  fileScope,
  folderCache,
  formatValue,
  framesOf,
  innermost,
  SymbolFile,
  Symbols,
  scopesOf,
} from '../src/symbols/index.ts';

export interface LoadStep {
  readonly what: string;
  /** Since the process began to load, as all of them. */
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly rssBytes: number;
}

const [path, folder] = process.argv.slice(2);
const STACK_FRAMES = 30;

const steps: LoadStep[] = [];
const began = performance.now();
const cpu = process.cpuUsage();
const step = (what: string) => {
  const { user, system } = process.cpuUsage(cpu);
  const wallMs = performance.now() - began;
  steps.push({ what, cpuMs: (user + system) / 1000, wallMs, rssBytes: process.memoryUsage().rss });
};
step('nothing');
const opened = openUserFile('file', path);
const source = { name: path, bytes: opened.bytes, read: opened.read };
const file = new SymbolFile(source, { cache: folderCache(folder) });
const symbols = new Symbols();
symbols.add(file);
const { lows, highs, length } = file.unitMap;
const context = { symbols, memory: { read: (_: bigint, bytes: number) => new Uint8Array(bytes) } };
const frameAt = (address: bigint) => framesOf(innermost(context, { pc: address, get: () => 0n }))[0];
// Evenly from all over the file, as a stack's functions are.
const addresses = Array.from({ length: STACK_FRAMES }, (_, i) => {
  const unit = Math.floor(((i + 0.5) * length) / STACK_FRAMES);
  return lows[unit] + ((highs[unit] - lows[unit]) / 4n) * 2n;
});
frameAt(addresses[0]);
step('one address symbolised');
for (const address of addresses) frameAt(address);
step(`a stack of ${STACK_FRAMES} functions`);
for (const address of addresses.slice(0, 3)) {
  const frame = frameAt(address);
  for (const { variables } of [...scopesOf(frame), fileScope(frame)])
    for (const { value } of variables) formatValue(value);
}
step('variables of three functions and their files');
for (const name of ['init_task', 'task_struct', 'schedule', 'panic']) file.names.find(name).next();
step('names found');
console.log(JSON.stringify(steps));
