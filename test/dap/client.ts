/** A client of the adapter, without streams between, that writes down what is said. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { guestFiles } from '../../src/cli/guest-files.ts';
import { isElf } from '../../src/cli/launch.ts';
import { Recordings } from '../../src/cli/recording.ts';
import { openSymbols } from '../../src/cli/symbol-options.ts';
import { Adapter } from '../../src/dap/adapter.ts';
import { openSession } from '../../src/debugger/open.ts';
import type { VirtMachine } from '../../src/vmm/riscv/virt.ts';
import { CHECKOUT } from '../cli/small.ts';
import { EMBEDDED_KERNEL } from '../support/guests.ts';

export const TRACE = join(CHECKOUT, 'traces/heisenbug-v1.trace');
/** A source file of the guest. */
export const source = (name: string) => ({ path: join(CHECKOUT, 'guests/embedded', name) });

// biome-ignore lint/suspicious/noExplicitAny: bodies are looked at by tests as they are
export type Body = any;

interface Stopped {
  readonly reason: string;
  readonly threadId: number;
  readonly hitBreakpointIds?: readonly number[];
  readonly text?: string;
  readonly description?: string;
}

/** Told as they come, which depends on how fast the host is; or the same as the answer that they come with. */
const UNWRITTEN = /^progress|^chronovisor\/moments$/;
/** Requests that imply that the machine moves; of any other movement an event must tell. */
const MOVING = /^(configurationDone|continue|reverseContinue|next|stepIn|stepOut|stepBack)$/;
/** Numbers from here on are handed out by the adapter, and mean nothing. */
const HANDLES = 1000;

export class Client {
  readonly adapter: Adapter;
  readonly recordings: Recordings;
  readonly events: { readonly event: string; readonly body: Body }[] = [];
  #seq = 0;
  #lines: string[] = [];
  #waiting: { readonly event: string; readonly resolve: (body: Body) => void }[] = [];
  readonly #names = new Map<number, string>();
  /** Whether the machine moves, as far as a client can know. */
  #moving = false;
  #wrong: string | null = null;

  /** Clients with the same recordings are of one server. */
  constructor(recordings = new Recordings()) {
    this.recordings = recordings;
    const host = {
      openTrace: (path: string) => openSession(path, { workers: 2, memoryBudget: 2 ** 30 }),
      openSymbols,
      guestFiles,
      kernelSymbols: (path: string) => (isElf(path) ? openSymbols([path]) : null),
      launch: (...args: Parameters<Recordings['launch']>) => this.recordings.launch(...args),
      adopt: (...args: Parameters<Recordings['adopt']>) => this.recordings.adopt(...args),
      branch: (...args: Parameters<Recordings['branch']>) => this.recordings.branch(...args),
      exists: existsSync,
    };
    this.adapter = new Adapter(host, (event, body) => {
      this.events.push({ event, body });
      if (event === 'continued' || event === 'stopped') this.#moves(event === 'continued');
      if (!UNWRITTEN.test(event)) this.#write(`! ${event}`, body);
      const woken = this.#waiting.filter((one) => one.event === event);
      this.#waiting = this.#waiting.filter((one) => one.event !== event);
      for (const { resolve } of woken) resolve(body);
    });
  }

  /** A trace, opened and entered. */
  static async open(t: TestContext, options: object = {}, recordings?: Recordings): Promise<Client> {
    const client = await Client.start(t, recordings);
    const initialized = client.next('initialized');
    await client.ask('attach', {
      trace: TRACE,
      symbolFiles: [EMBEDDED_KERNEL],
      sourceFolders: [CHECKOUT.replace(/\/$/, '')],
      ...options,
    });
    await initialized;
    return client;
  }

  static async start(t: TestContext, recordings?: Recordings): Promise<Client> {
    const client = new Client(recordings);
    t.after(async () => {
      await client.adapter.close();
      assert.equal(client.#wrong, null);
    });
    const answer = await client.adapter.answer(0, 'initialize', { adapterID: 'chronovisor', pathFormat: 'path' });
    if (!answer.success) throw new Error(answer.message);
    return client;
  }

  /** A guest that is recorded, before its first step. */
  static async launch(t: TestContext, options: object): Promise<Client> {
    const client = await Client.start(t);
    const initialized = client.next('initialized');
    const answer = await client.ask('launch', options);
    if (typeof answer === 'string') throw new Error(answer);
    await initialized;
    return client;
  }

  #moves(now: boolean): void {
    if (now === this.#moving) this.#wrong ??= `${now ? 'a start after a start' : 'a stop after a stop'} (${this.#seq})`;
    this.#moving = now;
  }

  next(event: string): Promise<Body> {
    return new Promise((resolve) => this.#waiting.push({ event, resolve }));
  }

  /** Waits until something is put out, from now on, that fits. */
  async said(pattern: RegExp): Promise<string> {
    const from = this.events.length;
    for (;;) {
      // Several may come before anyone who waits has a turn.
      const outputs = this.events.slice(from).filter(({ event }) => event === 'output');
      const found = outputs.find(({ body }) => pattern.test(body.output));
      if (found) return found.body.output;
      await this.next('output');
    }
  }

  /** The answer's body; an error's message as a text. */
  async ask(command: string, values?: unknown): Promise<Body> {
    this.#write(`> ${command}`, values);
    const answer = await this.adapter.answer(++this.#seq, command, values);
    if (answer.success) {
      this.#write('<', answer.body);
      if (MOVING.test(command)) this.#moves(true);
      answer.afterwards?.();
      return answer.body;
    }
    this.#write('< error', answer.message);
    return answer.message;
  }

  /** A request that moves the machine; gives where it stopped. */
  async move(command: string, values?: unknown): Promise<Stopped> {
    const stopped = this.next('stopped');
    const answer = await this.ask(command, values);
    if (typeof answer === 'string') throw new Error(`${command}: ${answer}`);
    return stopped;
  }

  /** The innermost frames of a thread. */
  async stack(threadId: number, levels = 1): Promise<Body[]> {
    return (await this.ask('stackTrace', { threadId, startFrame: 0, levels })).stackFrames;
  }

  /** Variables of a scope of a thread's innermost frame, or another one. */
  async scope(name: string, frameId: number): Promise<Body[]> {
    const { scopes } = await this.ask('scopes', { frameId });
    const { variablesReference } = scopes.find((scope: Body) => scope.name === name);
    return (await this.ask('variables', { variablesReference })).variables;
  }

  /** Asserts that the client sees the integer registers of all harts as a machine has them. */
  async isLike({ cpu }: VirtMachine, where: string): Promise<void> {
    for (let hart = 0; hart < cpu.harts; hart++) {
      const [frame] = await this.stack(hart + 1);
      assert.equal(
        BigInt(frame.instructionPointerReference.split('@')[0]),
        cpu.get(hart, 'pc'),
        `${where}, hart ${hart}`,
      );
      const all = await this.scope('Registers', frame.id);
      for (let x = 0; x < 32; x++) {
        assert.equal(BigInt(all[x + 1].value.split(' ')[0]), cpu.x(hart, x), `${where}, hart ${hart}, x${x}`);
      }
    }
  }

  async position(): Promise<number> {
    const answer = await this.adapter.answer(++this.#seq, 'chronovisor/when', {});
    if (!answer.success) throw new Error(answer.message);
    return (answer.body as Body).position;
  }

  /** A line for the reader of a transcript. */
  say(text: string): void {
    this.#lines.push(`# ${text}`);
  }

  /** What was said, with paths and numbers that mean nothing made the same everywhere. */
  transcript(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  #write(head: string, body: Body): void {
    const shown = body === undefined ? '' : ` ${pretty(this.#plain(body), '')}`;
    this.#lines.push(`${head}${shown}`);
  }

  #plain(value: Body, key = ''): Body {
    if (typeof value === 'string') return value.replaceAll(CHECKOUT.replace(/\/$/, ''), 'CHECKOUT');
    if (typeof value === 'number' && value >= HANDLES && /^(id|frameId|variablesReference)$/.test(key)) {
      const name = this.#names.get(value) ?? `#${this.#names.size + 1}`;
      this.#names.set(value, name);
      return name;
    }
    if (Array.isArray(value)) return value.map((one) => this.#plain(one));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, this.#plain(one, name)]));
  }
}

const WIDTH = 140;

/** JSON with what is short in one line. */
function pretty(value: Body, indent: string): string {
  const line = JSON.stringify(value);
  if (line.length + indent.length <= WIDTH || typeof value !== 'object' || value === null) return line;
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    return `[\n${value.map((one) => deeper + pretty(one, deeper)).join(',\n')}\n${indent}]`;
  }
  const parts = Object.entries(value).map(([name, one]) => `${deeper}${JSON.stringify(name)}: ${pretty(one, deeper)}`);
  return `{\n${parts.join(',\n')}\n${indent}}`;
}
