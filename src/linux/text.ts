/** Linux as text for a person to read, in the manner of `ps`, `dmesg`, `lsmod` and the like. */
import type { OpenFile } from './files.ts';
import type { Found } from './list.ts';
import type { LogRecord } from './log.ts';
import type { Module } from './modules.ts';
import type { Mount } from './mounts.ts';
import type { Task } from './tasks.ts';

/** A problem stands behind what was found before it. */
function lines<T>({ items, problem }: Found<T>, text: (item: T) => string, head?: string): string {
  const all = [...(head === undefined ? [] : [head]), ...items.map(text)];
  return [...all, ...(problem === null ? [] : [`(${problem})`])].join('\n');
}

export function tasksText(tasks: Found<Task>): string {
  const wide = Math.max(5, ...tasks.items.map(({ pid }) => String(pid).length));
  const cell = (value: string | number) => String(value).padStart(wide);
  const head = `${cell('PID')} ${cell('TGID')} ${cell('PPID')} S  HART  NAME`;
  return lines(
    tasks,
    ({ pid, process, parent, state, hart, name, kernelThread }) =>
      `${cell(pid)} ${cell(process)} ${cell(parent)} ${state.letter}  ${String(hart ?? '').padStart(4)}  ${kernelThread ? `[${name}]` : name}`,
    head,
  );
}

const NS_PER_US = 1000n;

/** `[    4.291398] sysrq: Trigger a crash`; further lines of a record stand behind the same time. */
export function recordText({ timeNs, text }: LogRecord): string {
  const us = (timeNs / NS_PER_US).toString().padStart(7, '0');
  const stamp = `[${us.slice(0, -6).padStart(5)}.${us.slice(-6)}] `;
  return text
    .split('\n')
    .map((line) => `${stamp}${line}`)
    .join('\n');
}

export const logText = (log: Found<LogRecord>) => lines(log, recordText);

/** Lines of /proc/modules. */
export function modulesText(modules: Found<Module>): string {
  return lines(modules, ({ name, bytes, uses, usedBy, state, address }) => {
    const users = usedBy.length === 0 ? '-' : `${usedBy.join(',')},`;
    return `${name} ${bytes} ${uses ?? '-'} ${users} ${state} 0x${address.toString(16).padStart(16, '0')}`;
  });
}

export const mountsText = (mounts: Found<Mount>) =>
  lines(mounts, ({ device, path, type, readOnly }) => `${device} ${path} ${type} ${readOnly ? 'ro' : 'rw'}`);

export const filesText = (files: Found<OpenFile>) =>
  lines(files, ({ descriptor, path, offset }) => `${String(descriptor).padStart(4)}  ${path}  at ${offset}`);
