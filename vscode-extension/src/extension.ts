/** Puts the parts of the extension together. */
import * as vscode from 'vscode';
import { AdapterFactory } from './chronovisor.ts';
import { registerCommands, reported } from './commands.ts';
import { ConfigurationProvider, debugTrace, pickFile, TYPE } from './configurations.ts';
import { ConsoleView } from './console-view.ts';
import { debugDemo } from './demo.ts';
import { Machines } from './machine.ts';
import { MemoryView } from './memory-view.ts';
import { Moments } from './moments.ts';
import { hunt, recordKernel } from './record.ts';
import { statusBar } from './status.ts';
import { TimelineView } from './timeline-view.ts';
import { TraceEditor } from './trace-editor.ts';
import { Traces } from './traces.ts';

export function activate(context: vscode.ExtensionContext): void {
  const { commands, debug } = vscode;
  const machines = new Machines();
  const moments = new Moments(context, machines);
  new Traces(context, machines);
  new TimelineView(context, machines, moments);
  new ConsoleView(context, machines);
  new MemoryView(context, machines);
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
    commands.registerCommand('chronovisor.goToPosition', (position: number) =>
      reported(() => machines.current.request('chronovisor/seek', { position })),
    ),
    on('openTrace', () => debugPicked(pickFile('Open Trace', TRACES))),
    on('debugTrace', (uri) => debugPicked((uri ?? activeTrace())?.fsPath)),
    on('recordKernel', (uri) => recordKernel(uri)),
    on('hunt', () => hunt(context)),
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

async function debugPicked(path: string | undefined | Promise<string | undefined>): Promise<void> {
  const picked = await path;
  if (picked !== undefined) await debugTrace(picked);
}
