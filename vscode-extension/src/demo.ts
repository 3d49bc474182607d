/** The embedded demo: a kernel whose bug shows in some runs only, recorded in one that failed. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { openConfiguration } from './configurations.ts';

/** Lays it out where it can be written beside: bookmarks lie beside traces. */
export async function debugDemo(context: vscode.ExtensionContext): Promise<void> {
  const folder = join(context.globalStorageUri.fsPath, 'demo');
  await cp(join(context.extensionPath, 'demo'), folder, { recursive: true });
  await vscode.commands.executeCommand('workbench.view.debug');
  await vscode.debug.startDebugging(undefined, {
    ...openConfiguration(join(folder, 'heisenbug.trace'), 'Demo'),
    symbolFiles: [join(context.extensionPath, 'guests/embedded/kernel.elf')],
    sourceFolders: [folder],
  });
}
