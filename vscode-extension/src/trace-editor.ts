/** What opens when a trace is clicked: what it holds, and a button that debugs it. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { readSummary } from './chronovisor.ts';
import { mediaRoots, page } from './page.ts';

export class TraceEditor implements vscode.CustomReadonlyEditorProvider {
  static readonly viewType = 'chronovisor.trace';
  readonly #context: vscode.ExtensionContext;

  constructor(context: vscode.ExtensionContext) {
    this.#context = context;
  }

  static register(context: vscode.ExtensionContext): vscode.Disposable {
    return vscode.window.registerCustomEditorProvider(TraceEditor.viewType, new TraceEditor(context), {
      supportsMultipleEditorsPerDocument: true,
    });
  }

  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose: () => {} };
  }

  resolveCustomEditor({ uri }: vscode.CustomDocument, panel: vscode.WebviewPanel): void {
    const { webview } = panel;
    webview.options = { enableScripts: true, localResourceRoots: mediaRoots(this.#context) };
    const show = () =>
      readSummary(this.#context, uri.fsPath).then(
        (summary) => webview.postMessage({ summary }),
        (error: Error) => webview.postMessage({ error: error.message }),
      );
    const watcher = vscode.workspace.createFileSystemWatcher(
      new vscode.RelativePattern(vscode.Uri.joinPath(uri, '..'), basename(uri.fsPath)),
    );
    const listening = vscode.Disposable.from(
      watcher,
      watcher.onDidChange(show),
      webview.onDidReceiveMessage((message: { command: string }) => {
        if (message.command === 'ready') void show();
        if (message.command === 'debug') void vscode.commands.executeCommand('chronovisor.debugTrace', uri);
      }),
    );
    panel.onDidDispose(() => listening.dispose());
    webview.html = page(this.#context, webview, 'trace', basename(uri.fsPath));
  }
}
