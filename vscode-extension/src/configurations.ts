/** What `Run > Start Debugging` and `Add Configuration` know of Chronovisor. */
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { readSummary } from './chronovisor.ts';
import {
  bestSymbols,
  type Configuration,
  complete,
  HEAD_BYTES,
  isRiscvElf,
  kernelOptions,
  symbolNames,
} from './configuration.ts';

export const TYPE = 'chronovisor';
/** Files that a search in the workspace looks at. */
const FOUND_MAX = 200;
// biome-ignore lint/suspicious/noTemplateCurlyInString: VS Code's own notation
const PICK_TRACE = '${command:pickTrace}';
const ELSEWHERE = '**/{node_modules,.git}/**';

export class ConfigurationProvider implements vscode.DebugConfigurationProvider {
  readonly #context: vscode.ExtensionContext;

  constructor(context: vscode.ExtensionContext) {
    this.#context = context;
  }

  /** For a new launch.json: the traces that are there, or one to be filled in. */
  async provideDebugConfigurations(): Promise<vscode.DebugConfiguration[]> {
    const found = await this.#all();
    return found.length > 0 ? found : [openConfiguration(PICK_TRACE, 'Open trace')];
  }

  /** F5 without a configuration: a trace of the folder, or one that the person picks. */
  async resolveDebugConfiguration(
    _folder: vscode.WorkspaceFolder | undefined,
    config: vscode.DebugConfiguration,
  ): Promise<vscode.DebugConfiguration | null | undefined> {
    if (config.type || config.request) return config;
    return (await pickConfiguration(await this.#all())) ?? undefined;
  }

  async resolveDebugConfigurationWithSubstitutedVariables(
    folder: vscode.WorkspaceFolder | undefined,
    config: vscode.DebugConfiguration,
  ): Promise<vscode.DebugConfiguration | null> {
    const settings = vscode.workspace.getConfiguration('chronovisor', folder?.uri);
    const folders = (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
    const done = await complete(config, {
      folder: folder?.uri.fsPath ?? folders[0] ?? null,
      folders,
      settings: {
        symbolFiles: settings.get('symbolFiles', []),
        sourceMap: settings.get('sourceMap', {}),
        sourceFolders: settings.get('sourceFolders', []),
      },
      findSymbols: () => this.#findSymbols(config),
    });
    const panel = settings.get('openTimeline', true) ? { internalConsoleOptions: 'neverOpen' } : {};
    return { ...panel, ...config, ...done };
  }

  /** Traces first, then kernels. */
  async #all(): Promise<vscode.DebugConfiguration[]> {
    return [...(await findTraces()), ...(await findKernels())];
  }

  /** Debug information in the workspace that fits the kernel of a configuration by its name. */
  async #findSymbols(config: Configuration): Promise<string[]> {
    let kernel = typeof config.kernel === 'string' ? config.kernel : null;
    if (kernel === null && typeof config.trace === 'string') {
      // A trace that cannot be read is the adapter's to refuse.
      const summary = await readSummary(this.#context, config.trace).catch(() => null);
      kernel = summary?.header.machine.boot.kernel ?? null;
    }
    if (kernel === null) return [];
    const found = await vscode.workspace.findFiles(`**/{${symbolNames(kernel).join(',')}}`, ELSEWHERE, FOUND_MAX);
    const paths = found.map(({ fsPath }) => fsPath);
    const heads = await Promise.all(paths.map(headOf));
    const best = bestSymbols(
      kernel,
      paths.filter((_, i) => isRiscvElf(heads[i])),
    );
    return best === null ? [] : [best];
  }
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path).catch(() => null);
  if (!file) return new Uint8Array();
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

const byName = (a: vscode.DebugConfiguration, b: vscode.DebugConfiguration) => a.name.localeCompare(b.name);

async function findTraces(): Promise<vscode.DebugConfiguration[]> {
  const traces = await vscode.workspace.findFiles('**/*.trace', ELSEWHERE, FOUND_MAX);
  return traces.map((uri) => openConfiguration(inWorkspace(uri), `Open ${basename(uri.fsPath)}`)).sort(byName);
}

/** Files of the workspace that boot. */
export async function findKernels(): Promise<vscode.DebugConfiguration[]> {
  const found = await vscode.workspace.findFiles('**/{Image,kernel,vmlinux,*.elf}', ELSEWHERE, FOUND_MAX);
  const all = await Promise.all(found.map((uri) => recordConfiguration(uri)));
  return all.filter((config) => config !== null).sort(byName);
}

/** Records a kernel; null for a file that is none. */
export async function recordConfiguration(uri: vscode.Uri): Promise<vscode.DebugConfiguration | null> {
  const options = kernelOptions(await headOf(uri.fsPath));
  if (!options) return null;
  const name = `Record ${basename(uri.fsPath)}`;
  return { type: TYPE, request: 'launch', name, kernel: inWorkspace(uri), ...options, stopAt: 'panic' };
}

/** A path as launch.json should have it. */
function inWorkspace(uri: vscode.Uri): string {
  const folder = vscode.workspace.getWorkspaceFolder(uri);
  if (!folder) return uri.fsPath;
  return `\${workspaceFolder}/${vscode.workspace.asRelativePath(uri, false)}`;
}

export function openConfiguration(
  trace: string,
  name: string,
  stopAt: string | number = 'panic',
): vscode.DebugConfiguration {
  return { type: TYPE, request: 'attach', name, trace, stopAt };
}

/** Debugs a trace without a configuration of the person's. */
export async function debugTrace(path: string, stopAt?: number): Promise<void> {
  const folder = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(path)) ?? vscode.workspace.workspaceFolders?.[0];
  await vscode.debug.startDebugging(folder, openConfiguration(path, `Open ${basename(path)}`, stopAt));
}

async function pickConfiguration(found: vscode.DebugConfiguration[]): Promise<vscode.DebugConfiguration | null> {
  if (found.length === 1) return found[0];
  const items = [
    ...found.map((config) => ({ label: config.name, description: String(config.trace ?? config.kernel), config })),
    { label: 'Open another trace...', description: '', config: null },
  ];
  const picked =
    found.length === 0 ? items[0] : await vscode.window.showQuickPick(items, { title: 'Debug with Chronovisor' });
  if (!picked) return null;
  if (picked.config) return picked.config;
  const trace = await pickFile('Open Trace', { Traces: ['trace'], 'All files': ['*'] });
  return trace === undefined ? null : openConfiguration(trace, `Open ${basename(trace)}`);
}

/** A file that the person picks; undefined without one. */
export async function pickFile(title: string, filters: Record<string, string[]>): Promise<string | undefined> {
  const picked = await vscode.window.showOpenDialog({ title, openLabel: title, filters });
  return picked?.[0]?.fsPath;
}
