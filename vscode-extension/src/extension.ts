/** Puts the parts of the extension together. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { AdapterFactory } from './chronovisor.ts';
import { registerCommands, reported } from './commands.ts';
import { ConfigurationProvider, openConfiguration, pickFile, TYPE } from './configurations.ts';
import { debugDemo } from './demo.ts';
import { Machines } from './machine.ts';
import { statusBar } from './status.ts';
import { TraceEditor } from './trace-editor.ts';

export function activate(context: vscode.ExtensionContext): void {
  const { commands, debug } = vscode;
  const machines = new Machines();
  const configurations = new ConfigurationProvider(context);
  const { Dynamic } = vscode.DebugConfigurationProviderTriggerKind;
  const on = (name: string, action: (uri: vscode.Uri | undefined) => Promise<unknown>) =>
    commands.registerCommand(`chronovisor.${name}`, (uri?: vscode.Uri) => reported(() => action(uri)));
  context.subscriptions.push(
    machines,
    statusBar(machines),
    registerCommands(machines),
    debug.registerDebugAdapterDescriptorFactory(TYPE, new AdapterFactory(context)),
    debug.registerDebugConfigurationProvider(TYPE, configurations),
    debug.registerDebugConfigurationProvider(TYPE, configurations, Dynamic),
    TraceEditor.register(context),
    on('openTrace', async () => debugTrace(await pickFile('Open Trace', TRACES))),
    on('debugTrace', async (uri) => debugTrace((uri ?? activeTrace())?.fsPath)),
    on('demo', () => debugDemo(context)),
    commands.registerCommand('chronovisor.pickTrace', () => pickFile('Open Trace', TRACES)),
    commands.registerCommand('chronovisor.pickKernel', () => pickFile('Kernel', ANY)),
    commands.registerCommand('chronovisor.pickSymbols', () => pickFile('Symbols', ANY)),
  );
}

const ANY = { 'All files': ['*'] };
const TRACES = { Traces: ['trace'], ...ANY };

function activeTrace(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputCustom && input.viewType === TraceEditor.viewType ? input.uri : undefined;
}

async function debugTrace(path: string | undefined): Promise<void> {
  if (path === undefined) return;
  const folder = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(path)) ?? vscode.workspace.workspaceFolders?.[0];
  await vscode.debug.startDebugging(folder, openConfiguration(path, `Open ${basename(path)}`));
}
