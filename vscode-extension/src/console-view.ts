/** The guest's console, as of now. */
import type * as vscode from 'vscode';
import type { Machine, Machines } from './machine.ts';
import type { ConsoleText } from './messages.ts';
import { type FromPage, View } from './view.ts';

const BYTES_MAX = 2 ** 18;

/** A line, or part of one, that a live guest has sent. */
interface Run {
  readonly position: number;
  readonly text: string;
}

export class ConsoleView extends View {
  /** What live guests have sent since they stood still; the recording has what came before. */
  readonly #runs = new WeakMap<Machine, Run[]>();

  constructor(context: vscode.ExtensionContext, machines: Machines) {
    super(context, machines, 'console', 'Console');
    context.subscriptions.push(
      machines.onDidTell(({ machine, event, body }) => {
        if (event === 'chronovisor/console') this.#sent(machine, (body as { runs: Run[] }).runs);
        if (event === 'stopped') this.#runs.delete(machine);
      }),
    );
  }

  #sent(machine: Machine, runs: readonly Run[]): void {
    const all = [...(this.#runs.get(machine) ?? []), ...runs];
    this.#runs.set(machine, all.slice(-RUNS_MAX));
    if (machine === this.machines.active) this.post({ kind: 'more', runs });
  }

  /** Once for each stop, and for each page that is opened: what a live guest sends meanwhile is told as it comes. */
  protected override async show(machine: Machine | null, fresh: boolean): Promise<void> {
    if (!machine?.when) return this.post({ kind: 'nothing' });
    if (machine.running && (!fresh || !machine.when.live)) return;
    const text = await machine.request<ConsoleText>('chronovisor/consoleText', { bytesMax: BYTES_MAX });
    this.post({ kind: 'text', ...text, live: machine.when.live });
    const runs = machine.running ? this.#runs.get(machine) : undefined;
    if (runs) this.post({ kind: 'more', runs });
  }

  protected override async receive({ command, ...args }: FromPage, machine: Machine): Promise<void> {
    if (command === 'go') await machine.request('chronovisor/seek', { position: args.position });
    if (command === 'type') await machine.request('chronovisor/type', { text: args.text });
  }
}

const RUNS_MAX = 5000;
