/** The machines that are being debugged: where each stands, told to whoever shows it. */
import * as vscode from 'vscode';
import { TYPE } from './configurations.ts';
import type { Moment } from './messages.ts';

/** What `chronovisor/when` answers. */
interface When {
  readonly position: number;
  readonly end: number;
  readonly timeNs: number;
  readonly hart: number;
  /** Whether it goes on from its end. */
  readonly live: boolean;
  readonly trace: string;
}

/** Requests after which the machine moves until a `stopped` event. Of other movements a `continued` event tells. */
const MOVING = new Set([
  'continue',
  'reverseContinue',
  'next',
  'stepIn',
  'stepOut',
  'stepBack',
  'restart',
  'configurationDone',
]);

/** One debug session. */
export class Machine {
  readonly session: vscode.DebugSession;
  when: When | null = null;
  running = true;
  /** The thread that is selected, or that the last stop was about. */
  threadId = 1;
  hexadecimal: boolean;
  /** Whether tasks of Linux that no hart runs are threads, too. */
  tasksShown: boolean;
  /** Stops at breakpoints, the oldest first. */
  readonly hits: Moment[] = [];

  constructor(session: vscode.DebugSession) {
    this.session = session;
    this.tasksShown = session.configuration.tasks === true;
    this.hexadecimal = vscode.workspace.getConfiguration(TYPE).get('hexadecimal', false);
  }

  /** An answer of the adapter, whose type the caller knows. */
  request<T = void>(command: string, args: object = {}): Promise<T> {
    return Promise.resolve(this.session.customRequest(command, args));
  }

  /** The frame that has been selected in the call stack since the machine stands; that of the last stop without one. */
  frameId: number | undefined;
}

/** Hits of breakpoints that are remembered. */
const HITS_MAX = 1000;

interface Message {
  readonly type: string;
  readonly command?: string;
  readonly event?: string;
  // biome-ignore lint/suspicious/noExplicitAny: bodies of the protocol's messages
  readonly body?: any;
}

export class Machines implements vscode.Disposable {
  readonly #machines = new Map<string, Machine>();
  readonly #changed = new vscode.EventEmitter<Machine | null>();
  readonly #stopped = new vscode.EventEmitter<Machine>();
  readonly #told = new vscode.EventEmitter<{ machine: Machine; event: string; body: unknown }>();
  readonly #selected = new vscode.EventEmitter<Machine>();
  readonly #subscriptions: vscode.Disposable[];
  #active: Machine | null = null;

  /** The machine that is looked at has become another, or runs, or stands. */
  readonly onDidChange = this.#changed.event;
  /** A machine stands, and `when` tells where. */
  readonly onDidStop = this.#stopped.event;
  /** Another frame is looked at. */
  readonly onDidSelect = this.#selected.event;
  /** An event that the adapter sent. */
  readonly onDidTell = this.#told.event;

  constructor() {
    const { debug } = vscode;
    this.#subscriptions = [
      debug.registerDebugAdapterTrackerFactory(TYPE, { createDebugAdapterTracker: (session) => this.#track(session) }),
      debug.onDidChangeActiveDebugSession((session) => this.#activate(session)),
      debug.onDidChangeActiveStackItem((item) => this.#select(item)),
      debug.onDidTerminateDebugSession(({ id }) => this.#remove(id)),
      this.#changed,
      this.#stopped,
      this.#told,
      this.#selected,
    ];
  }

  dispose(): void {
    for (const one of this.#subscriptions) one.dispose();
  }

  /** The machine that is looked at. */
  get active(): Machine | null {
    return this.#active;
  }

  /** The same; an error tells the person what is missing. */
  get current(): Machine {
    if (!this.#active) throw new Error('No trace is open. Start debugging first.');
    return this.#active;
  }

  #track(session: vscode.DebugSession): vscode.DebugAdapterTracker {
    const machine = new Machine(session);
    this.#machines.set(session.id, machine);
    return {
      onWillReceiveMessage: (message: Message) => {
        if (message.type === 'request' && MOVING.has(message.command ?? '')) this.#move(machine);
      },
      onDidSendMessage: (message: Message) => {
        if (message.type === 'event' && message.event) this.#tell(machine, message.event, message.body ?? {});
      },
    };
  }

  #move(machine: Machine): void {
    machine.running = true;
    machine.frameId = undefined;
    if (machine === this.#active) this.#changed.fire(machine);
  }

  #tell(machine: Machine, event: string, body: NonNullable<Message['body']>): void {
    this.#told.fire({ machine, event, body });
    if (event === 'chronovisor/position' && body.running) void this.#lived(machine, body);
    if (event === 'continued') this.#move(machine);
    if (event === 'stopped') void this.#stop(machine, body);
    if (event === 'initialized' && machine.hexadecimal)
      void machine.request('chronovisor/display', { hexadecimal: true });
  }

  /** A live machine has come so far. */
  async #lived(machine: Machine, { position, timeNs }: NonNullable<Message['body']>): Promise<void> {
    const known = machine.when ?? (await machine.request<When>('chronovisor/when').catch(() => null));
    if (!known || !machine.running) return;
    machine.when = { ...known, position, timeNs, end: position };
    if (machine === this.#active) this.#changed.fire(machine);
  }

  async #stop(machine: Machine, body: NonNullable<Message['body']>): Promise<void> {
    machine.threadId = body.threadId ?? machine.threadId;
    machine.frameId = undefined;
    try {
      machine.when = await machine.request<When>('chronovisor/when');
    } catch {
      // The session has ended meanwhile, or runs again: another event follows.
      return;
    }
    machine.running = false;
    if (/breakpoint|exception/.test(body.reason)) this.#hit(machine, body);
    // VS Code makes a session the active one after its first stop.
    if (!this.#active) this.#activate(vscode.debug.activeDebugSession);
    if (machine === this.#active) this.#changed.fire(machine);
    this.#stopped.fire(machine);
  }

  #hit(machine: Machine, { reason, text, threadId }: NonNullable<Message['body']>): void {
    const { position, timeNs } = machine.when!;
    if (machine.hits.some((hit) => hit.position === position)) return;
    machine.hits.push({ position, timeNs, hart: threadId - 1, text: text ?? reason });
    if (machine.hits.length > HITS_MAX) machine.hits.shift();
  }

  /** A person has selected something in the call stack, or VS Code has, after a stop. */
  #select(item: vscode.DebugThread | vscode.DebugStackFrame | undefined): void {
    const machine = item && this.#machines.get(item.session.id);
    if (!machine || machine.running) return;
    machine.threadId = item.threadId;
    machine.frameId = item instanceof vscode.DebugStackFrame ? item.frameId : undefined;
    if (machine === this.#active) this.#selected.fire(machine);
  }

  #activate(session: vscode.DebugSession | undefined): void {
    const machine = (session && this.#machines.get(session.id)) ?? null;
    if (machine === this.#active) return;
    this.#active = machine;
    void vscode.commands.executeCommand('setContext', 'chronovisor.active', machine !== null);
    this.#changed.fire(machine);
  }

  #remove(id: string): void {
    const machine = this.#machines.get(id);
    this.#machines.delete(id);
    if (machine && machine === this.#active) this.#activate(undefined);
  }
}
