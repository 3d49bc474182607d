/** The timeline: what happened in the whole recording. The page asks for ranges, and is told where the machine stands. */
import * as vscode from 'vscode';
import { TYPE } from './configurations.ts';
import type { Machine, Machines } from './machine.ts';
import type { Bookmark, Standing } from './messages.ts';
import type { Moments } from './moments.ts';
import { type FromPage, View } from './view.ts';

interface Bookmarks {
  readonly bookmarks: Bookmark[];
}

export class TimelineView extends View {
  readonly #moments: Moments;
  #bookmarks: Bookmark[] = [];

  constructor(context: vscode.ExtensionContext, machines: Machines, moments: Moments) {
    super(context, machines, 'timeline', 'Timeline');
    this.#moments = moments;
    context.subscriptions.push(
      moments.onDidChange(() => this.show(machines.active)),
      machines.onDidTell(({ machine, event }) => {
        if (event === 'chronovisor/bookmarks' && machine === machines.active) void this.show(machine);
      }),
      vscode.debug.onDidStartDebugSession(({ type }) => {
        const wanted = vscode.workspace.getConfiguration(TYPE).get('openTimeline', true);
        if (type === TYPE && wanted)
          void vscode.commands.executeCommand('chronovisor.timeline.open', { preserveFocus: true });
      }),
    );
  }

  protected override async show(machine: Machine | null): Promise<void> {
    if (!machine?.when) return this.post({ kind: 'nothing' });
    const { position, timeNs, end, live } = machine.when;
    // A machine that runs tells where it is several times a second.
    if (!machine.running) this.#bookmarks = (await machine.request<Bookmarks>('chronovisor/bookmarks')).bookmarks;
    const standing: Standing = {
      ...{ kind: 'standing', position, timeNs, end, live },
      bookmarks: this.#bookmarks,
      running: machine.running,
      hits: machine.hits,
      moments: this.#moments.all(machine),
    };
    this.post(standing);
  }

  protected override async receive({ command, ...args }: FromPage, machine: Machine): Promise<void> {
    if (command === 'go') await machine.request('chronovisor/seek', { position: args.position });
    if (command === 'range') {
      const { id, ...range } = args;
      const data = await machine.request<object>('chronovisor/timeline', range);
      this.post({ kind: 'range', id, data });
    }
  }
}
