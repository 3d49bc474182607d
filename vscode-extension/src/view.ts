/** Views of web pages beside the editor: what they have in common. */
import * as vscode from 'vscode';
import type { Machine, Machines } from './machine.ts';
import { mediaRoots, page } from './page.ts';

/** What a page sends. */
export interface FromPage {
  readonly command: string;
  // biome-ignore lint/suspicious/noExplicitAny: each page and its view know what they say to each other
  readonly [key: string]: any;
}

export abstract class View implements vscode.WebviewViewProvider {
  protected readonly machines: Machines;
  readonly #context: vscode.ExtensionContext;
  readonly #name: string;
  readonly #title: string;
  #view: vscode.WebviewView | null = null;

  constructor(context: vscode.ExtensionContext, machines: Machines, name: string, title: string) {
    this.#context = context;
    this.machines = machines;
    this.#name = name;
    this.#title = title;
    context.subscriptions.push(
      vscode.window.registerWebviewViewProvider(`chronovisor.${name}`, this),
      machines.onDidChange(() => this.#changed(false)),
      machines.onDidStop((machine) => {
        if (machine === machines.active) this.#changed(true);
      }),
    );
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    const { webview } = view;
    this.#view = view;
    webview.options = { enableScripts: true, localResourceRoots: mediaRoots(this.#context) };
    webview.onDidReceiveMessage((message: FromPage) => {
      this.#received(message);
    });
    view.onDidChangeVisibility(() => this.#changed(true));
    view.onDidDispose(() => {
      this.#view = null;
    });
    webview.html = page(this.#context, webview, this.#name, this.#title);
  }

  /** Tells the page, if there is one to be seen. */
  protected post(message: object): void {
    if (this.#view?.visible) void this.#view.webview.postMessage(message);
  }

  /** Shows how things are now; `fresh` after a stop, or if the page has forgotten what it was told. */
  protected abstract show(machine: Machine | null, fresh: boolean): Promise<void>;
  protected abstract receive(message: FromPage, machine: Machine): Promise<void>;

  #changed(fresh: boolean): void {
    if (this.#view?.visible) this.#quietly(this.show(this.machines.active, fresh));
  }

  #received(message: FromPage): void {
    const machine = this.machines.active;
    if (message.command === 'ready') this.#changed(true);
    else if (machine) this.#quietly(this.receive(message, machine));
  }

  /** Whatever a page shows may be asked for while the machine begins to move, or the session ends: it is shown anew then. */
  #quietly(work: Promise<void>): void {
    work.catch((error: Error) => this.post({ kind: 'error', text: error.message }));
  }
}
