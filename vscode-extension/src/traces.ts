/** The tree of the workspace's traces and their bookmarks. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { Bookmarks } from '../../src/debugger/bookmarks.ts';
import { reported } from './commands.ts';
import { debugTrace } from './configurations.ts';
import { count } from './format.ts';
import type { Machine, Machines } from './machine.ts';
import type { Bookmark } from './messages.ts';

interface TraceNode {
  readonly path: string;
}
interface BookmarkNode {
  readonly trace: TraceNode;
  readonly bookmark: Bookmark;
}
type Node = TraceNode | BookmarkNode;

const TRACES_MAX = 1000;

export class Traces implements vscode.TreeDataProvider<Node> {
  readonly #machines: Machines;
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changed.event;

  constructor(context: vscode.ExtensionContext, machines: Machines) {
    this.#machines = machines;
    const files = vscode.workspace.createFileSystemWatcher('**/*.{trace,trace.bookmarks}');
    const changed = () => this.#changed.fire(undefined);
    const on = <T extends Node>(name: string, action: (node: T) => Promise<unknown>) =>
      vscode.commands.registerCommand(`chronovisor.${name}`, (node: T) => reported(() => action(node)));
    context.subscriptions.push(
      vscode.window.registerTreeDataProvider('chronovisor.traces', this),
      this.#changed,
      files,
      files.onDidCreate(changed),
      files.onDidChange(changed),
      files.onDidDelete(changed),
      machines.onDidChange(changed),
      machines.onDidTell(({ event }) => {
        if (event === 'chronovisor/bookmarks') changed();
      }),
      vscode.commands.registerCommand('chronovisor.addBookmark', () => reported(() => this.#add(machines.current))),
      on('goToBookmark', ({ trace, bookmark }: BookmarkNode) => this.#goTo(trace, bookmark)),
      on('renameBookmark', (node: BookmarkNode) => this.#rename(node)),
      on('deleteBookmark', ({ trace, bookmark }: BookmarkNode) => this.#delete(trace, bookmark.name)),
    );
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (!node) return this.#traces();
    if ('bookmark' in node) return [];
    return new Bookmarks(node.path).list().map((bookmark) => ({ trace: node, bookmark }));
  }

  /** Those of the workspace, and that which is being debugged, wherever it lies. */
  async #traces(): Promise<TraceNode[]> {
    const found = await vscode.workspace.findFiles('**/*.trace', '**/node_modules/**', TRACES_MAX);
    const open = this.#machines.active?.when?.trace;
    const paths = new Set([...found.map(({ fsPath }) => fsPath), ...(open === undefined ? [] : [open])]);
    return [...paths].sort().map((path) => ({ path }));
  }

  getTreeItem(node: Node): vscode.TreeItem {
    const { Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
    if ('bookmark' in node) {
      const { name, position, note } = node.bookmark;
      const item = new vscode.TreeItem(name);
      item.description = `${count(position)}${note === '' ? '' : `  ${note}`}`;
      item.iconPath = new vscode.ThemeIcon('bookmark');
      item.contextValue = 'bookmark';
      item.command = { command: 'chronovisor.goToBookmark', title: 'Go There', arguments: [node] };
      return item;
    }
    const uri = vscode.Uri.file(node.path);
    const open = this.#machineOf(node) !== null;
    const item = new vscode.TreeItem(basename(node.path), open ? Expanded : Collapsed);
    const folder = vscode.workspace.asRelativePath(vscode.Uri.joinPath(uri, '..'), false);
    item.description = open ? 'being debugged' : folder === vscode.Uri.joinPath(uri, '..').fsPath ? '' : folder;
    item.tooltip = node.path;
    item.iconPath = new vscode.ThemeIcon(open ? 'debug-alt' : 'history');
    item.contextValue = 'trace';
    item.command = { command: 'vscode.open', title: 'Open', arguments: [uri] };
    return item;
  }

  #machineOf({ path }: TraceNode): Machine | null {
    const machine = this.#machines.active;
    return machine?.when?.trace === path ? machine : null;
  }

  async #add(machine: Machine): Promise<void> {
    const name = await vscode.window.showInputBox({ title: 'Add Bookmark', prompt: 'Name of this position' });
    if (name?.trim()) await machine.request('chronovisor/setBookmark', { name: name.trim() });
  }

  async #goTo(trace: TraceNode, { position }: Bookmark): Promise<void> {
    const machine = this.#machineOf(trace);
    if (machine) await machine.request('chronovisor/seek', { position });
    else await debugTrace(trace.path, position);
  }

  async #rename({ trace, bookmark }: BookmarkNode): Promise<void> {
    const name = (await vscode.window.showInputBox({ title: 'Rename Bookmark', value: bookmark.name }))?.trim();
    if (!name || name === bookmark.name) return;
    const store = this.#store(trace);
    await store.set({ ...bookmark, name });
    await store.remove(bookmark.name);
    this.#changed.fire(undefined);
  }

  async #delete(trace: TraceNode, name: string): Promise<void> {
    await this.#store(trace).remove(name);
    this.#changed.fire(undefined);
  }

  /** Bookmarks of a trace: the session's if it is being debugged, so that all its views hear of it, or else the file's. */
  #store(trace: TraceNode) {
    const machine = this.#machineOf(trace);
    if (machine) {
      return {
        set: (bookmark: Bookmark) => machine.request('chronovisor/setBookmark', bookmark),
        remove: (name: string) => machine.request('chronovisor/removeBookmark', { name }),
      };
    }
    const file = new Bookmarks(trace.path);
    return { set: async (bookmark: Bookmark) => file.set(bookmark), remove: async (name: string) => file.remove(name) };
  }
}
