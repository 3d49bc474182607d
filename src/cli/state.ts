/** `chronovisor state`: the machine at any position of a trace. */
import { Timeline } from '../replay/timeline.ts';
import type { Symbols } from '../symbols/index.ts';
import type { TraceReader } from '../trace/index.ts';
import { F_NAMES, X_NAMES } from '../vmm/riscv/disassembler.ts';
import { codeAround } from '../vmm/riscv/inspect.ts';
import type { VirtMachine } from '../vmm/riscv/virt.ts';
import { parseWhole } from './arguments.ts';
import { command } from './command-line.ts';
import { count, digestText, hex, jsonValue, seconds } from './format.ts';
import { backtrace, backtraceText, frameValue, openSymbols, symbolsOption } from './symbol-options.ts';
import { openTrace, parsePosition } from './trace-argument.ts';

export const stateCommand = command(
  '<trace>',
  {
    at: { type: 'text', value: 'POSITION', default: 'end', describe: "position, 'end', or a percentage such as 50%" },
    hart: { type: 'text', value: 'N', describe: 'only this hart' },
    lines: { type: 'text', value: 'N', default: '10', describe: 'console lines to show' },
    float: { type: 'flag', describe: 'floating-point registers, too' },
    symbols: symbolsOption,
    json: { type: 'flag', describe: 'print as JSON' },
  },
  (args) => {
    const lines = parseWhole('--lines', args.lines, 0, LINES_MAX);
    const trace = openTrace(args.trace);
    const position = parsePosition('--at', args.at, trace);
    const { harts: hartCount } = trace.header.machine;
    const harts =
      args.hart === undefined
        ? Array.from({ length: hartCount }, (_, hart) => hart)
        : [parseWhole('--hart', args.hart, 0, hartCount - 1)];
    const symbols = openSymbols(args.symbols);
    const started = performance.now();
    const timeline = new Timeline(trace, { at: position });
    const seekMs = performance.now() - started;
    const { machine } = timeline;
    const console_ = consoleTail(trace, position, lines);
    if (args.json) {
      const state = {
        position,
        timeNs: machine.clock.now(),
        digest: digestText(machine.digest()),
        harts: harts.map((hart) => ({
          hart,
          ...registers(machine, hart),
          ...(args.symbols.length > 0
            ? { backtrace: backtrace(symbols, machine, hart).map((frame) => frameValue(frame)) }
            : {}),
        })),
        console: console_,
      };
      console.log(JSON.stringify(state, jsonValue, 2));
      return;
    }
    console.log(`position ${count(position)} of ${count(timeline.end)}, ${seconds(machine.clock.now())} of guest time`);
    console.log(`digest ${digestText(machine.digest())}, reached in ${seekMs.toFixed(0)} ms`);
    for (const hart of harts) console.log(`\n${hartText(machine, hart, args.float, symbols)}`);
    for (const { file } of symbols.modules)
      for (const problem of file.problems) console.error(`chronovisor: ${problem.message}`);
    if (console_.length > 0) console.log(`\nconsole:\n${console_.map((line) => `  ${line}`).join('\n')}`);
  },
);

const LINES_MAX = 100_000;

const PRIVILEGES: Record<number, string> = { 0: 'U', 1: 'S', 3: 'M' };
const CSR_FIELDS = [
  ...['satp', 'mstatus', 'mie', 'mip', 'stvec', 'sepc', 'scause', 'stval', 'sscratch', 'stimecmp'],
  ...['mtvec', 'mepc', 'mcause', 'mtval', 'mscratch', 'medeleg', 'mideleg', 'mcounteren', 'menvcfg', 'scounteren'],
] as const;

function registers(machine: VirtMachine, hart: number) {
  const { cpu } = machine;
  return {
    pc: cpu.get(hart, 'pc'),
    privilege: PRIVILEGES[cpu.get32(hart, 'privilege')],
    waiting: cpu.get32(hart, 'waiting') !== 0,
    stopped: cpu.get32(hart, 'stopped') !== 0,
    x: Object.fromEntries(X_NAMES.map((name, n) => [name, cpu.x(hart, n)])),
    f: Object.fromEntries(F_NAMES.map((name, n) => [name, cpu.f(hart, n)])),
    fcsr: (cpu.get32(hart, 'frm') << 5) | cpu.get32(hart, 'fflags'),
    csrs: {
      ...Object.fromEntries(CSR_FIELDS.map((name) => [name, cpu.get(hart, name)])),
      // What software wrote, and what hardware drives.
      mip: cpu.get(hart, 'mip') | cpu.get(hart, 'lines'),
    },
  };
}

/** What a person wants to see of a hart; its stack, too, where there are symbols. */
export function hartText(machine: VirtMachine, hart: number, float: boolean, symbols: Symbols): string {
  const state = registers(machine, hart);
  const flags = [
    `privilege ${state.privilege}`,
    ...(machine.currentHart === hart ? ['has the turn'] : []),
    ...(state.waiting ? ['waits for an interrupt'] : []),
    ...(state.stopped ? ['stopped'] : []),
  ];
  const columns = (values: Record<string, bigint>, width: number) => {
    const cells = Object.entries(values).map(([name, value]) => `${name.padStart(width)} ${hex(value)}`);
    const rows: string[] = [];
    for (let i = 0; i < cells.length; i += 4) rows.push(`  ${cells.slice(i, i + 4).join('  ')}`);
    return rows.join('\n');
  };
  const code = codeAround(machine, hart, state.pc, 4, 5).map((line) => {
    const raw = hex(line.bits, line.length * 2)
      .slice(2)
      .padEnd(8);
    return `${line.address === state.pc ? '=>' : '  '} ${hex(line.address)}  ${raw}  ${line.text}`;
  });
  return [
    `hart ${hart}: pc ${hex(state.pc)}, ${flags.join(', ')}`,
    columns(state.x, 6),
    ...(float ? [columns(state.f, 6), `    fcsr ${hex(state.fcsr, 2)}`] : []),
    columns(state.csrs, 10),
    ...(code.length > 0 ? code : ['  (no code can be read at pc)']),
    ...(symbols.modules.length > 0 ? ['backtrace:', backtraceText(backtrace(symbols, machine, hart))] : []),
  ].join('\n');
}

/** The last lines that the console had shown before a position. */
export function consoleTail(trace: TraceReader, position: number, lines: number): string[] {
  const { console: device } = trace.header.machine;
  const decoder = new TextDecoder();
  let text = '';
  for (const run of trace.consoleOutput(0, position)) {
    if (run.device !== device || run.position >= position) continue;
    text += decoder.decode(run.bytes, { stream: true });
    // Only the tail is wanted: what is far above it goes.
    if (text.length > 1 << 20) text = text.slice(-(1 << 19));
  }
  const all = text.replaceAll('\r', '').split('\n');
  if (all.at(-1) === '') all.pop();
  return all.slice(-lines);
}
