/** The product's command line, which comes with the extension: the debug adapter is one of its commands. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Summary } from './summary.ts';

/** What must be run, by whom. */
export interface Program {
  readonly node: string;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
}

/** VS Code's own Node runs it, unless the settings name another. */
export function program(context: vscode.ExtensionContext): Program {
  const node = vscode.workspace.getConfiguration('chronovisor').get<string>('node', '').trim();
  return {
    node: node === '' ? process.execPath : node,
    script: join(context.extensionPath, 'dist/src/cli/main.js'),
    // VS Code's program is Electron, which is Node when it is told so; Node itself does not mind.
    env: { ELECTRON_RUN_AS_NODE: '1' },
  };
}

const OUTPUT_BYTES_MAX = 2 ** 24;

/** Runs a command of it to its end; its standard output. What it says on standard error is the error's message. */
function runCommand(context: vscode.ExtensionContext, args: readonly string[]): Promise<string> {
  const { node, script, env } = program(context);
  const options = { env: { ...process.env, ...env }, maxBuffer: OUTPUT_BYTES_MAX };
  return new Promise((resolve, reject) => {
    execFile(node, [script, ...args], options, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr.trim().replace(/^chronovisor: /, '') || error.message));
      else resolve(stdout);
    });
  });
}

/** What a trace holds. Rejects with what the command says of a file that is no trace. */
export async function readSummary(context: vscode.ExtensionContext, path: string): Promise<Summary> {
  return JSON.parse(await runCommand(context, ['info', path, '--json'])) as Summary;
}

export class AdapterFactory implements vscode.DebugAdapterDescriptorFactory {
  readonly #context: vscode.ExtensionContext;

  constructor(context: vscode.ExtensionContext) {
    this.#context = context;
  }

  createDebugAdapterDescriptor(session: vscode.DebugSession): vscode.DebugAdapterDescriptor {
    const { node, script, env } = program(this.#context);
    const cwd = session.workspaceFolder?.uri.fsPath;
    return new vscode.DebugAdapterExecutable(node, [script, 'dap'], { env, ...(cwd === undefined ? {} : { cwd }) });
  }
}
