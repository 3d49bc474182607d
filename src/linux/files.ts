/** The files that a process has open. */
import type { Kernel } from './kernel.ts';
import { collect, type Found } from './list.ts';
import { pathOf } from './path.ts';
import type { Task } from './tasks.ts';

export interface OpenFile {
  readonly descriptor: number;
  readonly path: string;
  /** Bytes from the beginning, at which it is read or written next. */
  readonly offset: bigint;
}

/** Descriptors that are looked at. */
const DESCRIPTORS_MAX = 65_536;

export function filesOf(kernel: Kernel, { object }: Task): Found<OpenFile> {
  const files = object.at('files');
  // A process that has ended, or a thread of the kernel.
  if (files.pointer === 0n) return { items: [], problem: null };
  return collect(function* () {
    const table = files.deref().at('fdt').deref();
    const count = Math.min(table.at('max_fds').number, DESCRIPTORS_MAX);
    const pointers = table.at('fd');
    for (let descriptor = 0; descriptor < count; descriptor++) {
      const pointer = kernel.object('struct file *', pointers.pointer + BigInt(descriptor) * 8n);
      if (pointer.pointer === 0n) continue;
      const file = pointer.deref();
      yield { descriptor, path: pathOf(kernel, file.at('f_path')), offset: file.at('f_pos').big };
    }
  });
}
