/** Commands that record: one run of a kernel, or runs until one fails. */
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import * as vscode from 'vscode';
import { program } from './chronovisor.ts';
import { debugTrace, findKernels, pickFile, recordConfiguration, TYPE } from './configurations.ts';

const ANY = { 'All files': ['*'] };

/** A kernel of the workspace, or any other file that is one. */
async function pickKernel(title: string): Promise<vscode.DebugConfiguration | null> {
  const found = await findKernels();
  const items = [
    ...found.map((config) => ({ label: basename(config.kernel), description: config.kernel, config })),
    { label: 'Another file...', description: '', config: null },
  ];
  const picked = found.length === 0 ? items[0] : await vscode.window.showQuickPick(items, { title });
  if (!picked) return null;
  if (picked.config) return picked.config;
  const path = await pickFile(title, ANY);
  return path === undefined ? null : configurationOf(vscode.Uri.file(path));
}

async function configurationOf(uri: vscode.Uri): Promise<vscode.DebugConfiguration> {
  const config = await recordConfiguration(uri);
  if (!config)
    throw new Error(
      `${basename(uri.fsPath)} is no kernel for RISC-V: a Linux Image or an ELF file that runs is needed.`,
    );
  return config;
}

const folderOf = (uri?: vscode.Uri) =>
  (uri && vscode.workspace.getWorkspaceFolder(uri)) ?? vscode.workspace.workspaceFolders?.[0];

export async function recordKernel(uri: vscode.Uri | undefined): Promise<void> {
  const config = uri ? await configurationOf(uri) : await pickKernel('Record Kernel');
  if (config) await vscode.debug.startDebugging(folderOf(uri), config);
}

/** Records with another schedule each time, in a terminal, until a run fails; that run's trace can be debugged then. */
export async function hunt(context: vscode.ExtensionContext): Promise<void> {
  const title = 'Hunt: Record Until a Run Fails';
  const config = await pickKernel(title);
  if (!config) return;
  const folder = folderOf();
  // biome-ignore lint/suspicious/noTemplateCurlyInString: VS Code's own notation
  const kernel = String(config.kernel).replace('${workspaceFolder}', folder?.uri.fsPath ?? '');
  const script = await pickScript(title);
  if (script === undefined) return;
  const harts = await ask(title, 'Harts, whose turns are drawn at random', '4', /^[1-8]$/, 'a number from 1 to 8');
  if (harts === undefined) return;
  const runs = await ask(title, 'Give up after so many runs', '100', /^[1-9]\d{0,5}$/, 'a number of runs');
  if (runs === undefined) return;
  const trace = freeName(join(dirname(kernel), `${basename(kernel, extname(kernel))}-failure.trace`));
  const args = [
    'record',
    '--kernel',
    kernel,
    '--bios',
    config.bios,
    '--harts',
    harts,
    '--chaos',
    '1',
    '--until-failure',
  ];
  args.push('--repeat', runs, '-o', trace, ...(script === null ? [] : ['--script', script]));
  await runTask(context, `Hunt ${basename(kernel)}`, args);
  if (!existsSync(trace)) return;
  const debug = 'Debug';
  const answer = await vscode.window.showInformationMessage(`A run has failed: ${basename(trace)}`, debug);
  if (answer === debug) await debugTrace(trace);
}

/** What types at the console: null for nothing, undefined if the person has thought better of it. */
async function pickScript(title: string): Promise<string | null | undefined> {
  const found = await vscode.workspace.findFiles('**/*.script', '**/node_modules/**', 100);
  const items = [
    ...found.map(({ fsPath }) => ({ label: basename(fsPath), description: fsPath, path: fsPath })),
    { label: 'Another file...', description: '', path: undefined },
    { label: 'Nobody types', description: 'the guest fails, or ends, by itself', path: null },
  ];
  const picked = await vscode.window.showQuickPick(items, { title, placeHolder: 'Script that types at the console' });
  if (!picked) return undefined;
  return picked.path === undefined ? pickFile(title, ANY) : picked.path;
}

async function ask(title: string, prompt: string, value: string, allowed: RegExp, what: string) {
  const validateInput = (text: string) => (allowed.test(text.trim()) ? null : `${what} is needed`);
  return (await vscode.window.showInputBox({ title, prompt, value, validateInput }))?.trim();
}

function freeName(path: string): string {
  const stem = path.slice(0, -extname(path).length);
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? path : `${stem}-${n}${extname(path)}`;
    if (!existsSync(candidate)) return candidate;
  }
}

/** Runs a command in a terminal of its own until it ends. */
async function runTask(context: vscode.ExtensionContext, name: string, args: readonly string[]): Promise<void> {
  const { node, script, env } = program(context);
  const execution = new vscode.ProcessExecution(node, [script, ...args], { env: { ...env } });
  const task = new vscode.Task(
    { type: TYPE, task: name },
    vscode.TaskScope.Workspace,
    name,
    'Chronovisor',
    execution,
    [],
  );
  const running = await vscode.tasks.executeTask(task);
  await new Promise<void>((resolve) => {
    const ended = vscode.tasks.onDidEndTask(({ execution: one }) => {
      if (one !== running) return;
      ended.dispose();
      resolve();
    });
  });
}
