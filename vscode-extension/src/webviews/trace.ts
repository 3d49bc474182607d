/** A trace at a glance. */
import { bytes, count, plural, seconds } from '../format.ts';
import type { Summary } from '../summary.ts';
import { element, listen, send } from './host.ts';

type Row = readonly [label: string, value: string];

function rowsOf({ header, end, ...summary }: Summary): Row[] {
  const { machine, notes } = header;
  const { boot } = machine;
  const kinds = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .map(([kind, n]) => `${count(n)} ${kind}`)
      .join(', ') || 'none';
  const exit = end?.exitCode === undefined ? '' : `, exit code ${end.exitCode}`;
  return [
    ['Kernel', [boot.kernel, boot.append].filter((part) => part !== '').join(' ')],
    ['Machine', `${machine.isa}, ${plural(machine.harts, 'hart')}, ${bytes(machine.memoryBytes)} of memory`],
    ...machine.disks.map((disk): Row => ['Disk', `${disk.name}, ${bytes(disk.sizeBytes)}`]),
    ...notes.map(([key, value]): Row => [key[0].toUpperCase() + key.slice(1), value]),
    ['Duration', `${plural(summary.replayableTo, 'step')}, ${seconds(summary.guestTimeNs)} of guest time`],
    ['Ended', end ? `${end.reason}${exit}` : 'not closed: still recording, or cut off'],
    ['Inputs', kinds(summary.inputs)],
    ['Journal', kinds(summary.journal)],
    ['Checkpoints', count(summary.checkpoints.count)],
    ['Recorded', `${new Date(header.createdMs).toLocaleString()}, by Chronovisor ${header.productVersion}`],
    ['Size', bytes(summary.fileBytes)],
  ];
}

function show(summary: Summary): void {
  const name = summary.file.split(/[\\/]/).at(-1) ?? summary.file;
  const button = element('button', { type: 'button', autofocus: '' }, 'Debug');
  button.addEventListener('click', () => send({ command: 'debug' }));
  const list = element('dl');
  for (const [label, value] of rowsOf(summary)) list.append(element('dt', {}, label), element('dd', {}, value));
  document.body.replaceChildren(element('main', {}, element('h1', {}, name), button, list));
  button.focus();
}

listen<{ summary?: Summary; error?: string }>(({ summary, error }) => {
  if (summary) show(summary);
  else document.body.replaceChildren(element('main', {}, element('p', { class: 'error', role: 'alert' }, error ?? '')));
});
