/** Answers about the machine as it stands: threads, stacks, memory, code, modules. */

import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/assert.ts';
import { EXCEPTIONS } from '../debugger/causes.ts';
import type { Hit } from '../debugger/session.ts';
import { satpOfSpace, taskText } from '../linux/index.ts';
import { breakableLines, inMemory } from '../symbols/index.ts';
import { type Arguments, hex, referenceTo } from './arguments.ts';
import { codeBefore, codeFrom, type Instruction, symbolText } from './code.ts';
import type { Debuggee } from './debuggee.ts';
import { taskThread } from './linux.ts';
import type { FrameReference } from './moment.ts';
import { dataId } from './points.ts';
import { watchedBy } from './variables.ts';

/** Of one request. */
const FRAMES_MAX = 1000;
const MEMORY_BYTES_MAX = 16 * 2 ** 20;
const INSTRUCTIONS_MAX = 10_000;

const STATES = { running: 'runs', ready: 'ready', waiting: 'waits', stopped: 'stopped' } as const;

/** Harts, with what they run; and the tasks of Linux that wait, where they are wanted. */
export async function threads({ variables }: Debuggee): Promise<DebugProtocol.ThreadsResponse['body']> {
  const { harts, linux } = variables.now;
  const currents = (await linux?.currents()) ?? [];
  const waiting = (await linux?.waiting()) ?? [];
  return {
    threads: [
      ...harts.map(({ hart, privilege, state }) => {
        const task = currents[hart];
        return {
          id: hart + 1,
          name: `hart ${hart}${task ? `: ${taskText(task)}` : ''} (${privilege}, ${STATES[state]})`,
        };
      }),
      ...waiting.map((task) => ({
        id: taskThread(task.pid) + 1,
        name: `${taskText(task)}, ${task.state.words}`,
      })),
    ],
  };
}

/** What can be told while the machine runs. */
export function movingThreads({ harts }: Debuggee): DebugProtocol.ThreadsResponse['body'] {
  return { threads: Array.from({ length: harts }, (_, hart) => ({ id: hart + 1, name: `hart ${hart}` })) };
}

export async function stackTrace(debuggee: Debuggee, hart: number, start: number, levels: number) {
  const { variables, sources } = debuggee;
  const moment = variables.now;
  const count = Math.min(levels === 0 ? FRAMES_MAX : levels, FRAMES_MAX);
  const { frames, whole } = await moment.stack(hart, start + count);
  const stackFrames: DebugProtocol.StackFrame[] = [];
  for (const [i, frame] of frames.slice(start, start + count).entries()) {
    const { machine, name, location } = frame;
    const module = machine.module;
    const place = await sources.place(moment, hart, machine.address, location);
    const program = moment.linux?.programAt(hart, machine.pc) ?? null;
    const shown = name === '??' ? hex(machine.pc) : name;
    stackFrames.push({
      id: variables.frameNumber({ hart, index: start + i }),
      name: program === null ? shown : `${program}!${shown}`,
      ...place,
      instructionPointerReference: referenceTo(machine.pc, moment.spaceOf(hart, machine.pc)),
      ...(module ? { moduleId: module.number } : {}),
    });
  }
  // One more than is known to be there makes the client ask for more.
  return { stackFrames, totalFrames: whole ? frames.length : frames.length + 1 };
}

/** Symbol files, and what Linux has loaded without one. */
export function modules({ symbols, linux }: Debuggee, start: number, count: number) {
  const withSymbols = symbols.modules.map((module): DebugProtocol.Module => {
    const { file } = module;
    return {
      id: module.number,
      name: file.name.split(/[\\/]/).at(-1) ?? file.name,
      path: file.name,
      symbolStatus: file.info.units.length > 0 ? 'debug information' : 'symbol table only',
      addressRange: hex(inMemory(module, file.elf.lowest)),
      ...(file.buildId === null ? {} : { version: file.buildId }),
    };
  });
  const others = linux?.modules.filter(({ name }) => !linux.guest.hasModule(name)) ?? [];
  const all = [
    ...withSymbols,
    ...others.map(
      ({ name, address, buildId }): DebugProtocol.Module => ({
        id: `linux ${name}`,
        name,
        symbolStatus: 'no symbol file found',
        addressRange: hex(address),
        ...(buildId === null ? {} : { version: buildId }),
      }),
    ),
  ];
  return { modules: all.slice(start, count === 0 ? undefined : start + count), totalModules: all.length };
}

export async function readMemory({ session, variables }: Debuggee, args: Arguments) {
  const { address, space } = args.place('memoryReference');
  const count = args.whole('count');
  if (count > MEMORY_BYTES_MAX)
    throw new UserError(`${count} bytes: at most ${MEMORY_BYTES_MAX} can be read at a time`);
  const { hart } = variables.now.event;
  const { bytes, readable } = await session.memory({
    hart,
    address,
    length: count,
    ...(space === undefined ? {} : { space }),
  });
  const first = readable[0];
  const length = first?.from === 0 ? first.to : 0;
  // Nothing up to the next place that can be read.
  const next = readable.find(({ from }) => from > length)?.from ?? (length === 0 ? (first?.from ?? count) : count);
  return {
    address: hex(address),
    data: Buffer.from(bytes.subarray(0, length)).toString('base64'),
    unreadableBytes: Math.max(0, next - length),
  };
}

export async function disassemble(debuggee: Debuggee, args: Arguments) {
  const { symbols, sources, variables } = debuggee;
  const moment = variables.now;
  const { address: base, space } = args.place('memoryReference');
  // Its symbols are those of the programs that are there.
  const named = symbols.modules.find((module) => space !== undefined && satpOfSpace(module.space) === space)?.space;
  const here = named ?? undefined;
  const skip = args.integer('instructionOffset', 0);
  const count = args.whole('instructionCount');
  if (count > INSTRUCTIONS_MAX || Math.abs(skip) > INSTRUCTIONS_MAX) {
    throw new UserError(`at most ${INSTRUCTIONS_MAX} instructions can be asked for at a time`);
  }
  const resolve = args.flag('resolveSymbols');
  const code = await moment.settle(() => {
    const memory = moment.memory(space ?? moment.event.hart);
    const before = skip < 0 ? codeBefore(symbols, memory, base, -skip, here).slice(0, count) : [];
    const from = Math.max(0, skip);
    const after =
      count > before.length && -skip < count ? codeFrom(memory, base, from + count - before.length).slice(from) : [];
    return [...before, ...after].map((one) => ({
      one,
      location: symbols.symbolise(one.address, here)?.location ?? null,
    }));
  });
  return {
    instructions: code.map(({ one, location }) => {
      const source = location && location.line > 0 ? sources.file(location.path) : undefined;
      return { ...instruction(one), ...symbolOf(one), ...(source ? { location: source, line: location?.line } : {}) };
    }),
  };

  function symbolOf({ address }: Instruction) {
    const symbol = resolve ? symbolText(symbols, address, here) : null;
    return symbol === null ? {} : { symbol };
  }
}

function instruction({ address, bytes, text, valid }: Instruction): DebugProtocol.DisassembledInstruction {
  const shown = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return {
    address: `0x${address.toString(16).padStart(16, '0')}`,
    instruction: text,
    ...(shown === '' ? {} : { instructionBytes: shown }),
    ...(valid ? {} : { presentationHint: 'invalid' as const }),
  };
}

export function breakpointLocations({ symbols, sources }: Debuggee, args: Arguments) {
  const from = args.whole('line', undefined, 1);
  const to = args.whole('endLine', from, 1);
  const paths = sources.known(args.object('source').text('path'));
  const lines = new Set(paths.flatMap((path) => breakableLines(symbols, path, from, to)));
  return { breakpoints: [...lines].sort((a, b) => a - b).map((line) => ({ line })) };
}

/** Whether, and by which name, a variable, an expression or an address can be watched. */
export async function dataBreakpointInfo({ variables }: Debuggee, args: Arguments, frame: () => FrameReference) {
  const name = args.text('name');
  const mode = args.choice('mode', ['change', 'write'], 'change');
  try {
    const what = args.flag('asAddress')
      ? { address: args.address('name'), bytes: args.whole('bytes', 8, 1) }
      : await watched();
    const accessTypes = 'register' in what ? (['write'] as const) : (['read', 'write', 'readWrite'] as const);
    const where = 'register' in what ? `register ${what.register}` : `${what.bytes} bytes at ${hex(what.address)}`;
    return {
      dataId: dataId(what, mode),
      description: `${name} (${where})`,
      accessTypes,
      canPersist: !('register' in what),
    };
  } catch (error) {
    // That something cannot be watched is an answer, and no error.
    if (!(error instanceof UserError || (error as Error).name === 'Unavailable')) throw error;
    return { dataId: null, description: (error as Error).message };
  }

  async function watched() {
    const reference = args.whole('variablesReference', 0);
    const part = reference > 0 ? variables.part(reference, name) : { expression: name, frame: frame() };
    const what = await watchedBy(variables.now, part.frame, part.expression);
    return 'address' in what ? { ...what, bytes: args.whole('bytes', what.bytes, 1) } : what;
  }
}

/** What happened, in a few words. */
export function exceptionText({ detail = {} }: Hit): string {
  const { text, cause, value } = detail;
  if (text !== undefined) return `The guest says: ${text.trim()}`;
  const name = EXCEPTIONS[cause ?? -1] ?? `trap ${cause}`;
  return value === undefined || value === 0n ? name : `${name}, at ${hex(value)}`;
}

export function exceptionInfo(hit: Hit | null, hart: number) {
  if (!hit || hit.hart !== hart) throw new UserError(`hart ${hart} does not stand at an exception`);
  const { text, cause } = hit.detail ?? {};
  const exceptionId = text === undefined ? `cause ${cause}` : 'panic';
  return {
    exceptionId,
    description: exceptionText(hit),
    breakMode: 'always',
    details: { message: exceptionText(hit) },
  };
}
