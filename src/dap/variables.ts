/** Scopes and variables: what a client unfolds, level by level. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/assert.ts';
import {
  type Evaluated,
  ExpressionError,
  evaluate,
  type FormatOptions,
  type Frame,
  fileScope,
  formatValue,
  registerName,
  scopesOf,
  stripped,
  structMembers,
  typeName,
  Unavailable,
  type Value,
  type Variable,
} from '../symbols/index.ts';
import { hex, type Place, referenceTo } from './arguments.ts';
import { symbolText } from './code.ts';
import { isTaskThread } from './linux.ts';
import type { FrameReference, Moment } from './moment.ts';
import { controlRegisters, floatRegisters, type RegisterText } from './registers.ts';

type Shown = DebugProtocol.Variable;

/** What can be unfolded. */
interface Node {
  /** Elements of an array; others have named parts. */
  readonly indexed: number;
  readonly list: (start: number, count: number) => Promise<Shown[]>;
  /** Parts by name, as expressions that data breakpoints are made of. */
  readonly expression: (name: string) => string | null;
  readonly frame: FrameReference | null;
}

/** Elements listed for a client that does not say how many it wants. */
const ELEMENTS_MAX = 10_000;
const NODES_MAX = 1_000_000;
/** Frames' numbers and references to variables share nothing but this: neither is ever 0, and none is given twice. */
const FIRST = 1000;

export class Variables {
  #moment: Moment | null = null;
  readonly #nodes = new Map<number, Node>();
  readonly #frames = new Map<number, FrameReference>();
  #next = FIRST;
  /** Whether numbers are shown in hexadecimal where nothing else is asked for. */
  hexadecimal = false;

  /** Everything that was handed out is over; the machine stands elsewhere, or not at all. */
  enter(moment: Moment | null): void {
    this.#moment?.leave();
    this.#moment = moment;
    this.#nodes.clear();
    this.#frames.clear();
  }

  /** The machine as it stands. A `UserError` while it moves. */
  get now(): Moment {
    if (!this.#moment) throw new UserError('the machine is running; pause it first');
    return this.#moment;
  }

  frameNumber(reference: FrameReference): number {
    for (const [number, { hart, index }] of this.#frames) {
      if (hart === reference.hart && index === reference.index) return number;
    }
    this.#frames.set(this.#next, reference);
    return this.#next++;
  }

  frameOf(number: number): FrameReference {
    const reference = this.#frames.get(number);
    if (!reference) throw new UserError(`frame ${number} is no longer there: the machine has moved since`);
    return reference;
  }

  #node(reference: number): Node {
    const node = this.#nodes.get(reference);
    if (!node) throw new UserError(`variables ${reference} are no longer there: the machine has moved since`);
    return node;
  }

  #give(node: Node): number {
    if (this.#nodes.size >= NODES_MAX) throw new UserError('too many variables are unfolded at one time');
    this.#nodes.set(this.#next, node);
    return this.#next++;
  }

  async scopes(number: number): Promise<DebugProtocol.Scope[]> {
    const reference = this.frameOf(number);
    const moment = this.now;
    const frame = await moment.frame(reference);
    const own = await moment.settle(() => scopesOf(frame).flatMap(({ variables }) => [...variables]));
    const file = await moment.settle(() => fileScope(frame).variables);
    const kinds = [
      { name: 'Arguments', presentationHint: 'arguments', of: own.filter(({ kind }) => kind === 'parameter') },
      { name: 'Locals', presentationHint: 'locals', of: own.filter(({ kind }) => kind === 'local') },
      { name: 'Statics', presentationHint: 'statics', of: [...own.filter(({ kind }) => kind === 'static'), ...file] },
    ];
    const scopes = kinds
      .filter(({ of }) => of.length > 0)
      .map(({ name, presentationHint, of }) => {
        const variablesReference = this.#give(this.#variables(reference, of));
        const expensive = name === 'Statics';
        return { name, presentationHint, namedVariables: of.length, variablesReference, expensive };
      });
    return [...scopes, ...this.#registers(reference, frame)];
  }

  #variables(frame: FrameReference, variables: readonly Variable[]): Node {
    return {
      indexed: 0,
      frame,
      expression: (name) => (variables.some((v) => v.name === name) ? name : null),
      list: () =>
        this.#showAll(
          frame,
          variables.map(({ name, value }) => ({ name, value, expression: name })),
        ),
    };
  }

  #registers(reference: FrameReference, frame: Frame): DebugProtocol.Scope[] {
    const moment = this.now;
    const { symbols } = moment;
    const all = () => moment.registers(reference.hart);
    const own: [name: string, rows: () => Promise<RegisterText[]>] = [
      'Registers',
      () => moment.settle(() => frameRegisters(frame, moment, reference.hart)),
    ];
    // A task that no hart runs has no others.
    const kinds: (typeof own)[] = isTaskThread(reference.hart)
      ? [own]
      : [
          own,
          ['Floating point', async () => floatRegisters(await all())],
          ['Control registers', async () => controlRegisters(await all(), symbols)],
        ];
    return kinds.map(([name, rows]) => {
      const node: Node = {
        indexed: 0,
        frame: reference,
        expression: (register) => `$${register}`,
        list: async () => (await rows()).map((row) => this.#register(reference, row)),
      };
      return { name, presentationHint: 'registers', variablesReference: this.#give(node), expensive: false };
    });
  }

  #register(frame: FrameReference, { name, text, address, fields }: RegisterText): Shown {
    const parts: Node = {
      indexed: 0,
      frame,
      expression: () => null,
      list: async () => (fields ?? []).map((field) => ({ name: field.name, value: field.text, variablesReference: 0 })),
    };
    return {
      name,
      value: text,
      evaluateName: `$${name}`,
      variablesReference: fields ? this.#give(parts) : 0,
      ...(address === undefined
        ? {}
        : { memoryReference: referenceTo(address, this.now.spaceOf(frame.hart, address)) }),
    };
  }

  async children(reference: number, filter: string, start: number, count: number): Promise<Shown[]> {
    const node = this.#node(reference);
    if (filter === 'indexed' && node.indexed === 0) return [];
    if (filter === 'named' && node.indexed > 0) return [];
    return node.list(start, count === 0 ? ELEMENTS_MAX : count);
  }

  /** The expression for a part of what is unfolded, and its frame. */
  part(reference: number, name: string): { expression: string; frame: FrameReference } {
    const { expression, frame } = this.#node(reference);
    const found = expression(name);
    if (found === null || !frame) throw new UserError(`'${name}' cannot be watched`);
    return { expression: found, frame };
  }

  /** What an expression is worth; `format` in hexadecimal if the client asks for it. */
  async evaluate(text: string, frame: FrameReference, hexadecimal: boolean): Promise<Shown> {
    const moment = this.now;
    const found = await moment.frame(frame);
    const evaluated = await moment.settle(() => evaluate(text, found));
    const part = { name: '', value: evaluated.value, expression: expressionOf(text) };
    return this.#hand(
      await moment.settle(() => this.#describe(frame, part, optionsOf(evaluated, hexadecimal || this.hexadecimal))),
    );
  }

  async #showAll(frame: FrameReference, parts: readonly Part[]): Promise<Shown[]> {
    const described = await this.now.settle(() =>
      parts.map((part) => this.#describe(frame, part, this.hexadecimal ? { format: 'x' } : {})),
    );
    return described.map((one) => this.#hand(one));
  }

  /** A value in one line, and what it can be unfolded to. */
  #describe(frame: FrameReference, { name, value, expression }: Part, options: FormatOptions): Described {
    const text = formatValue(value, options);
    const address = addressOf(value);
    return {
      name,
      expression,
      text,
      type: typeName(value.type),
      reference: address === null ? null : referenceTo(address, this.now.spaceOf(frame.hart, address)),
      node: this.#partsOf(frame, value, expression),
    };
  }

  #hand({ name, expression, text, type, reference, node }: Described): Shown {
    return {
      name,
      value: text,
      type,
      ...(expression === null ? {} : { evaluateName: expression }),
      variablesReference: node ? this.#give(node) : 0,
      ...(node && node.indexed > 0 ? { indexedVariables: node.indexed } : {}),
      ...(reference === null ? {} : { memoryReference: reference }),
    };
  }

  #partsOf(frame: FrameReference, value: Value, expression: string | null): Node | null {
    const { plain, storage } = value;
    if (storage.kind === 'unavailable') return null;
    const named = (parts: () => Part[]): Node => ({
      indexed: 0,
      frame,
      expression: (name) => parts().find((part) => part.name === name)?.expression ?? null,
      list: async () => this.#showAll(frame, await this.now.settle(parts)),
    });
    switch (plain.kind) {
      case 'struct':
        if (plain.size === null) return null;
        return named(() => membersOf(value, expression));
      case 'array':
        return (plain.count ?? 0) === 0 ? null : this.#elements(frame, value, plain.count ?? 0, expression);
      case 'pointer': {
        const target = stripped(plain.target);
        if (target.kind === 'void' || target.kind === 'function' || target.size === null) return null;
        if (storage.kind !== 'pointer' && value.raw === 0n) return null;
        if (target.kind === 'struct') return named(() => membersOf(value.deref(), expression && `(*${expression})`));
        return named(() => [
          { name: `*${expression ?? ''}`, value: value.deref(), expression: expression && `*${expression}` },
        ]);
      }
      default:
        return null;
    }
  }

  #elements(frame: FrameReference, value: Value, count: number, expression: string | null): Node {
    const element = (index: number): Part => {
      return { name: `[${index}]`, value: value.element(index), expression: expression && `${expression}[${index}]` };
    };
    return {
      indexed: count,
      frame,
      expression: (name) => (/^\[\d+\]$/.test(name) && expression ? `${expression}${name}` : null),
      list: async (start, wanted) => {
        const length = Math.max(0, Math.min(wanted, count - start, ELEMENTS_MAX));
        return this.#showAll(
          frame,
          Array.from({ length }, (_, i) => element(start + i)),
        );
      },
    };
  }
}

interface Part {
  readonly name: string;
  readonly value: Value;
  /** An expression that gives the same value; null where there is none. */
  readonly expression: string | null;
}

interface Described {
  readonly name: string;
  readonly expression: string | null;
  readonly text: string;
  readonly type: string;
  readonly reference: string | null;
  readonly node: Node | null;
}

function membersOf(value: Value, expression: string | null): Part[] {
  return structMembers(value).map(({ name, value: member }) => {
    const named = /^[A-Za-z_]\w*$/.test(name);
    const arrow =
      expression?.startsWith('(*') && expression.endsWith(')') ? `${expression.slice(2, -1)}->` : `${expression}.`;
    // Members of an anonymous struct are those of the one around it.
    const own = expression === null ? null : named ? `${arrow}${name}` : name === '' ? expression : null;
    return { name: name === '' ? '(anonymous)' : name, value: member, expression: own };
  });
}

/** An expression without its format, in parentheses where it needs them. */
function expressionOf(text: string): string | null {
  const plain = text.trim();
  if (/^(p(rint)?\b|\/)/.test(plain) || /,\s*\w\s*$/.test(plain)) return null;
  return /^[\w$.[\]>-]+$/.test(plain) && !/[^-]>|-(?!>)/.test(plain) ? plain : `(${plain})`;
}

function optionsOf({ format }: Evaluated, hexadecimal: boolean): FormatOptions {
  if (format) return { format };
  return hexadecimal ? { format: 'x' } : {};
}

/** What the client may look at in memory: the value itself, or what it points to. */
function addressOf(value: Value): bigint | null {
  try {
    return value.plain.kind === 'pointer' && value.storage.kind !== 'pointer' ? value.raw : value.address;
  } catch (error) {
    if (error instanceof Unavailable) return null;
    throw error;
  }
}

/** Integer registers as the frame has them: those of a caller may be lost. */
function frameRegisters({ machine }: Frame, { symbols, harts }: Moment, hart: number): RegisterText[] {
  const row = (name: string, value: bigint | undefined): RegisterText => {
    if (value === undefined) return { name, text: '<not saved>' };
    const symbol = symbolText(symbols, value);
    return { name, text: symbol === null ? hex(value) : `${hex(value)} <${symbol}>`, address: value };
  };
  const rows = Array.from({ length: 32 }, (_, n) => row(registerName(n), machine.get(n)));
  const mode = machine.method === 'registers' ? harts[hart]?.privilege : undefined;
  return [row('pc', machine.pc), ...rows, ...(mode === undefined ? [] : [{ name: 'priv', text: mode }])];
}

/** What can be watched. */
export type Watched = (Place & { readonly bytes: number }) | { readonly register: string };

/** The memory, or the register, that an expression names: what a data breakpoint can watch. */
export async function watchedBy(moment: Moment, reference: FrameReference, text: string): Promise<Watched> {
  const register = /^\s*\$(\w+)\s*$/.exec(text)?.[1];
  if (register !== undefined) return { register };
  const frame = await moment.frame(reference);
  return moment.settle(() => {
    const { value } = evaluate(text, frame);
    const { storage } = value;
    if (storage.kind === 'register') {
      return { register: registerName(storage.register) };
    }
    if (storage.kind !== 'memory') throw new ExpressionError(`'${text}' is not in memory`);
    const { bits } = value;
    const first = bits ? Math.floor(bits.offset / 8) : 0;
    const bytes = bits ? Math.ceil((bits.offset + bits.size) / 8) - first : value.size;
    const address = BigInt.asUintN(64, storage.address + BigInt(first));
    const space = moment.spaceOf(reference.hart, address);
    return { address, bytes, ...(space === undefined ? {} : { space }) };
  });
}
