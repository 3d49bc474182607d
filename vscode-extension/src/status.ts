/** The status bar: where the machine stands. */
import * as vscode from 'vscode';
import { count, seconds } from './format.ts';
import type { Machines } from './machine.ts';

export function statusBar(machines: Machines): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('chronovisor.position', vscode.StatusBarAlignment.Left, 40);
  item.name = 'Chronovisor Position';
  item.command = 'chronovisor.goTo';
  const show = () => {
    const machine = machines.active;
    if (!machine) return item.hide();
    const { when, running } = machine;
    if (!when) {
      item.text = '$(loading~spin) Opening';
      item.tooltip = 'Chronovisor';
      return item.show();
    }
    const live = when.live && when.position === when.end;
    const place = running ? '$(loading~spin)' : live ? '$(circle-filled)' : '$(history)';
    item.text = `${place} ${count(when.position)} · ${seconds(when.timeNs)} · ${live ? 'live' : 'past'}`;
    const percent = when.end === 0 ? 100 : (100 * when.position) / when.end;
    item.tooltip = new vscode.MarkdownString(
      `Position **${count(when.position)}** of ${count(when.end)} (${percent.toFixed(2)} %), ` +
        `guest time ${seconds(when.timeNs)}, hart ${when.hart}.\n\n` +
        (live ? 'The machine is live: it goes on from here.' : 'This is the past: it cannot be changed.') +
        '\n\nClick to go elsewhere.',
    );
    item.show();
  };
  show();
  return vscode.Disposable.from(item, machines.onDidChange(show), machines.onDidStop(show));
}
