/** The compiler's keeper: compiles regions that have become hot, puts them into the table, and throws them away. */
import { COUNTERS_BASE, ENTRIES_OFFSET, G, HAS_REGIONS_OFFSET, INVALIDATIONS_OFFSET, RECORD_BYTES } from '../layout.ts';
import { HANDLER, writeRecord } from './decoder.ts';
import type { Interpreter } from './interpreter.ts';
import { compileRegions, EXIT_REASONS, type ExitReason } from './region.ts';

/** Jumps to a place before it is compiled: compiling takes about as long as interpreting a few thousand instructions. */
const HOT_AFTER = 3000;
/** Slices that a request waits for others to join it. */
const SLICES_WAITED_MAX = 8;
/** Regions held at a time; V8 takes some kilobytes for each. When they are used up, all are thrown away. */
const REGIONS_MAX = 30_000;

export class Jit {
  readonly table: WebAssembly.Table;
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #interpreter: Interpreter;
  #exports: Record<string, unknown> = {};
  /** Entry 0 of the table stays empty: 0 stands for "no region". */
  #used = 1;
  #requests: { readonly records: number; readonly host: number; readonly offset: number }[] = [];
  #slicesWaited = 0;
  /** Regions compiled at a time. */
  batch = 8;
  /** Where each region is entered, by its place in the table. */
  readonly #entries: number[] = [0];
  compiled = 0;
  /** Makes regions compiled from now on count their exits. */
  counting = false;
  /** A page whose code is rewritten more often stays in the interpreter. */
  invalidationsMax = 8;

  constructor(memory: WebAssembly.Memory, interpreter: Interpreter) {
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#interpreter = interpreter;
    this.table = new WebAssembly.Table({ element: 'anyfunc', initial: REGIONS_MAX + 1 });
    this.hotAfter = HOT_AFTER;
  }

  /** Jumps to a place before it is compiled; Infinity compiles nothing. The results of a run do not depend on it. */
  set hotAfter(jumps: number) {
    this.#view.setInt32(G.hotAfter, Number.isFinite(jumps) ? -jumps : 1, true);
    // Who wants all code compiled wants it before it runs.
    if (jumps === 0) this.batch = 1;
  }

  /** How often compiled code handed over, by reason, while `counting` was on. */
  exits(): Record<ExitReason, number> {
    const count = (i: number) => this.#view.getUint32(COUNTERS_BASE + 4 * i, true);
    return Object.fromEntries(EXIT_REASONS.map((reason, i) => [reason, count(i)])) as Record<ExitReason, number>;
  }

  /** Takes the interpreter's functions, which regions call. */
  link(exports: Record<string, unknown>): void {
    this.#exports = exports;
  }

  /** Asks for the region that begins at an offset of a page, whose code lies at `host`; it is compiled with the next few. */
  request(records: number, host: number, offset: number): void {
    if (this.#view.getInt32(records + INVALIDATIONS_OFFSET, true) > this.invalidationsMax) return;
    this.#requests.push({ records, host, offset });
    if (this.#requests.length >= this.batch) this.compile();
  }

  /** Between two slices: what was asked for waits no longer than this. */
  betweenSlices(): void {
    if (this.#requests.length > 0 && ++this.#slicesWaited >= SLICES_WAITED_MAX) this.compile();
  }

  /** Compiles what was asked for. */
  compile(): void {
    const requests = this.#requests;
    this.#requests = [];
    this.#slicesWaited = 0;
    if (this.#used + requests.length > REGIONS_MAX) this.clear();
    const { rt, float, functions } = this.#interpreter;
    const view = this.#view;
    const recordOf = (records: number, offset: number) => records + offset * (RECORD_BYTES / 2);
    const sources = requests.map(({ records, host, offset }) => ({
      read: (at: number) => view.getUint16(host + at, true),
      executed: (at: number) => view.getUint16(recordOf(records, at), true) !== HANDLER.undecoded,
      entry: offset,
    }));
    const { bytes, imports, code } = compileRegions(sources, {
      rt,
      float,
      exported: functions,
      counting: this.counting,
    });
    const host: Record<string, unknown> = { memory: this.#memory };
    for (const name of imports) host[name] = this.#exports[name];
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host });
    requests.forEach(({ records, offset }, i) => {
      if (code[i].length === 0) return;
      // What the region was made of has records from now on: a store there throws it away.
      for (const { offset: at, bits } of code[i]) {
        const record = recordOf(records, at);
        if (view.getUint16(record, true) === HANDLER.undecoded) writeRecord(view, record, bits);
      }
      const place = this.#used++;
      const entry = records + ENTRIES_OFFSET + offset * 2;
      this.table.set(place, instance.exports[`r${i}`]);
      this.#entries[place] = entry;
      view.setInt32(entry, place, true);
      view.setInt32(records + HAS_REGIONS_OFFSET, 1, true);
      this.compiled++;
    });
  }

  /** Throws all regions away, and what was asked for. */
  clear(): void {
    this.#requests = [];
    for (let place = 1; place < this.#used; place++) {
      if (this.#view.getInt32(this.#entries[place], true) === place) this.#view.setInt32(this.#entries[place], 0, true);
      this.table.set(place, null);
    }
    this.#used = 1;
  }
}
