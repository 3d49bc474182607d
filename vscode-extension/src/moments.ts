/** Moments that were found: what console commands listed, and what log points said. Each can be gone to. */
import * as vscode from 'vscode';
import { count, seconds } from './format.ts';
import type { Machine, Machines } from './machine.ts';
import type { Moment } from './messages.ts';

/** Moments of one question. */
interface Group {
  readonly title: string;
  readonly machine: Machine;
  moments: Moment[];
}
type Node = Group | (Moment & { readonly group: Group });

const GROUPS_MAX = 20;
const MOMENTS_MAX = 10_000;
const LOG = 'Log points';

/** The body of an `output` event. */
interface Output {
  readonly output: string;
  readonly category?: string;
  readonly data?: { readonly position?: number; readonly timeNs?: number; readonly hart?: number };
}

export class Moments implements vscode.TreeDataProvider<Node> {
  readonly #machines: Machines;
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly onDidChange = this.#changed.event;
  /** The newest first. */
  #groups: Group[] = [];
  #told: NodeJS.Timeout | null = null;

  constructor(context: vscode.ExtensionContext, machines: Machines) {
    this.#machines = machines;
    const view = vscode.window.createTreeView('chronovisor.moments', { treeDataProvider: this });
    context.subscriptions.push(
      view,
      this.#changed,
      machines.onDidTell(({ machine, event, body }) => {
        if (event === 'chronovisor/moments') this.#add(machine, body as { title: string; moments: Moment[] });
        if (event === 'output') this.#log(machine, body as Output);
      }),
      machines.onDidStop(() => this.#changed.fire(undefined)),
      machines.onDidChange(() => this.#changed.fire(undefined)),
      vscode.debug.onDidTerminateDebugSession((session) => {
        this.#groups = this.#groups.filter(({ machine }) => machine.session.id !== session.id);
        this.#changed.fire(undefined);
      }),
      vscode.commands.registerCommand('chronovisor.clearMoments', () => {
        this.#groups = [];
        this.#changed.fire(undefined);
      }),
    );
  }

  /** Those of a machine, of all questions. */
  all(machine: Machine): Moment[] {
    return this.#groups.filter((group) => group.machine === machine).flatMap(({ moments }) => moments);
  }

  getChildren(node?: Node): Node[] {
    if (!node) return this.#groups.filter(({ machine }) => machine === this.#machines.active);
    if (!('moments' in node)) return [];
    return node.moments.map((moment) => ({ ...moment, group: node }));
  }

  getTreeItem(node: Node): vscode.TreeItem {
    if ('moments' in node) {
      const item = new vscode.TreeItem(node.title, vscode.TreeItemCollapsibleState.Expanded);
      item.description = count(node.moments.length);
      return item;
    }
    const { position, timeNs, hart, text } = node;
    const item = new vscode.TreeItem(text);
    const now = node.group.machine.when?.position === position;
    item.description = `${count(position)}${hart === null ? '' : `, hart ${hart}`}`;
    item.iconPath = new vscode.ThemeIcon(now ? 'debug-stackframe' : 'history');
    item.tooltip = `${text}\nPosition ${count(position)}${timeNs === null ? '' : `, ${seconds(timeNs)}`}${hart === null ? '' : `, hart ${hart}`}`;
    item.command = { command: 'chronovisor.goToPosition', title: 'Go There', arguments: [position] };
    return item;
  }

  /** The same question again takes the place of its former answer. */
  #add(machine: Machine, { title, moments }: { title: string; moments: Moment[] }): void {
    const others = this.#groups.filter((group) => group.title !== title || group.machine !== machine);
    this.#groups = [{ title, machine, moments: moments.slice(0, MOMENTS_MAX) }, ...others].slice(0, GROUPS_MAX);
    this.#changed.fire(undefined);
  }

  /** What a log point said, with the moment at which it did; each moment and text once. */
  #log(machine: Machine, { output, data }: Output): void {
    if (data?.position === undefined || data.hart === undefined) return;
    const { position, timeNs = null, hart } = data;
    let group = this.#groups.find(({ title, machine: m }) => title === LOG && m === machine);
    if (!group) {
      group = { title: LOG, machine, moments: [] };
      this.#groups.push(group);
    }
    const text = output.trimEnd();
    if (group.moments.some((one) => one.position === position && one.text === text)) return;
    const after = group.moments.findIndex((one) => one.position > position);
    group.moments.splice(after < 0 ? group.moments.length : after, 0, { position, timeNs, hart, text });
    if (group.moments.length > MOMENTS_MAX) group.moments.shift();
    // They come by the hundred.
    this.#told ??= setTimeout(() => {
      this.#told = null;
      this.#changed.fire(undefined);
    }, TELL_MS);
  }
}

const TELL_MS = 100;
