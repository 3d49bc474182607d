/** Commands that move the machine, and that ask about what a person has selected. */
import * as vscode from 'vscode';
import { count } from './format.ts';
import type { Machine, Machines } from './machine.ts';

/** What a context menu of variables or watches hands over. */
interface VariableContext {
  readonly variable?: { readonly name: string; readonly evaluateName?: string };
}
/** What the menu of line numbers hands over. */
interface LineContext {
  readonly uri: vscode.Uri;
  readonly lineNumber: number;
}

export function registerCommands(machines: Machines): vscode.Disposable {
  const on = (name: string, action: (machine: Machine, context: never) => Promise<unknown>) =>
    vscode.commands.registerCommand(`chronovisor.${name}`, (context: unknown) =>
      reported(async () => action(machines.current, context as never)),
    );
  return vscode.Disposable.from(
    on('stepBackInto', (m) => m.request('chronovisor/stepBackInto', { threadId: m.threadId })),
    on('stepBackOut', (m) => m.request('chronovisor/stepBackOut', { threadId: m.threadId })),
    on('runBackToCursor', (m, context?: LineContext) => runTo(m, 'back', context)),
    on('runForwardToCursor', (m, context?: LineContext) => runTo(m, 'forward', context)),
    on('previousChange', (m, context?: VariableContext) => change(m, 'back', context)),
    on('nextChange', (m, context?: VariableContext) => change(m, 'forward', context)),
    on('whoWrote', whoWrote),
    on('history', history),
    on('goTo', goTo),
    on('toggleHexadecimal', toggleHexadecimal),
    on('toggleTasks', toggleTasks),
  );
}

/** Errors of the adapter are for the person to read. */
export async function reported(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    void vscode.window.showErrorMessage((error as Error).message);
  }
}

async function runTo(machine: Machine, direction: 'forward' | 'back', context?: LineContext): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const uri = context?.uri ?? editor?.document.uri;
  const line = context?.lineNumber ?? (editor ? editor.selection.active.line + 1 : undefined);
  if (uri?.scheme !== 'file' || line === undefined) throw new Error('Place the cursor on a line of a source file.');
  await machine.request('chronovisor/runTo', { source: { path: uri.fsPath }, line, direction });
}

/** The expression that a command is about: of the menu's variable, what is selected or under the cursor, or what the person types. */
async function expressionOf(context: VariableContext | undefined, prompt: string): Promise<string | undefined> {
  const variable = context?.variable;
  if (variable) {
    if (variable.evaluateName) return variable.evaluateName;
    throw new Error(`'${variable.name}' has no expression to ask about.`);
  }
  const editor = vscode.window.activeTextEditor;
  const range = editor?.selection.isEmpty
    ? editor.document.getWordRangeAtPosition(editor.selection.active)
    : editor?.selection;
  const value = editor && range ? editor.document.getText(range) : '';
  return vscode.window.showInputBox({ prompt, value, placeHolder: 'C expression, such as pool.count' });
}

async function change(machine: Machine, direction: 'forward' | 'back', context?: VariableContext): Promise<void> {
  const expression = await expressionOf(context, 'Go to the change of');
  if (!expression) return;
  await machine.request('chronovisor/change', { expression, direction, ...frameOf(machine) });
}

/** A command of the debug console; its text. */
async function console(machine: Machine, expression: string): Promise<string> {
  const { result } = await machine.request<{ result: string }>('evaluate', {
    expression,
    context: 'repl',
    ...frameOf(machine),
  });
  return result;
}

export const frameOf = ({ frameId }: Machine) => (frameId === undefined ? {} : { frameId });

async function whoWrote(machine: Machine, context?: VariableContext): Promise<void> {
  const expression = await expressionOf(context, 'Who wrote');
  if (!expression) return;
  const text = await console(machine, `last-write ${expression}`);
  vscode.debug.activeDebugConsole.appendLine(`${expression}: ${text}`);
  void vscode.window.setStatusBarMessage(`$(history) ${expression}: ${text}`, SHOWN_MS);
}

/** How long an answer stays in the status bar. */
const SHOWN_MS = 15_000;

async function history(machine: Machine, context?: VariableContext): Promise<void> {
  const expression = await expressionOf(context, 'Show the values of');
  if (!expression) return;
  const text = await console(machine, `history ${expression}`);
  vscode.debug.activeDebugConsole.appendLine(`${expression}:\n${text}`);
  await vscode.commands.executeCommand('workbench.debug.action.focusRepl');
}

async function goTo(machine: Machine): Promise<void> {
  const { when } = machine;
  const position = await vscode.window.showInputBox({
    title: 'Go to Position',
    prompt: `start, end, a position up to ${count(when?.end ?? 0)}, a percentage such as 50%, or the name of a bookmark`,
    value: String(when?.position ?? ''),
  });
  if (position) await machine.request('chronovisor/seek', { position: position.trim() });
}

async function toggleHexadecimal(machine: Machine): Promise<void> {
  machine.hexadecimal = !machine.hexadecimal;
  await machine.request('chronovisor/display', { hexadecimal: machine.hexadecimal });
}

/** The tasks of a Linux guest that no hart runs, as threads or not. */
async function toggleTasks(machine: Machine): Promise<void> {
  const on = !machine.tasksShown;
  await machine.request('chronovisor/tasks', { on });
  machine.tasksShown = on;
}
