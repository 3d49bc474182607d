/** The guest's console, as of now. */
import type * as vscode from 'vscode';
import type { Machine, Machines } from './machine.ts';
import type { ConsoleText } from './messages.ts';
import { type FromPage, View } from './view.ts';

const BYTES_MAX = 2 ** 18;

export class ConsoleView extends View {
  constructor(context: vscode.ExtensionContext, machines: Machines) {
    super(context, machines, 'console', 'Console');
    context.subscriptions.push(
      machines.onDidTell(({ machine, event, body }) => {
        if (event === 'chronovisor/console' && machine === machines.active)
          this.post({ kind: 'more', ...(body as object) });
      }),
    );
  }

  protected override async show(machine: Machine | null): Promise<void> {
    if (!machine?.when) return this.post({ kind: 'nothing' });
    if (machine.running) return;
    const text = await machine.request<ConsoleText>('chronovisor/consoleText', { bytesMax: BYTES_MAX });
    this.post({ kind: 'text', ...text, live: machine.when.live });
  }

  protected override async receive({ command, ...args }: FromPage, machine: Machine): Promise<void> {
    if (command === 'go') await machine.request('chronovisor/seek', { position: args.position });
    if (command === 'type') await machine.request('chronovisor/type', { text: args.text });
  }
}
