/** What is mounted where, as the first process sees it. */
import type { Kernel } from './kernel.ts';
import { collect, type Found, listOf, treeOf } from './list.ts';
import type { KernelObject } from './object.ts';
import { pathAt } from './path.ts';

/** The beginning of a line of /proc/mounts. */
export interface Mount {
  readonly device: string;
  readonly path: string;
  /** Type of the file system. */
  readonly type: string;
  readonly readOnly: boolean;
}

/** Flags of a mount and of a file system (include/linux/mount.h, include/linux/fs.h). */
const MNT_READONLY = 0x40;
const SB_RDONLY = 1n;

export function mountsOf(kernel: Kernel): Found<Mount> {
  return collect(function* () {
    const [first = kernel.need('init_task')] = listOf(
      kernel,
      'init_task.tasks',
      kernel.need('init_task').at('tasks'),
      'struct task_struct',
      'tasks',
    );
    for (const mount of mountObjects(kernel, first.at('nsproxy').deref().at('mnt_ns').deref())) {
      const path = pathAt(kernel, mount, mount.at('mnt.mnt_root').deref());
      const system = mount.at('mnt.mnt_sb').deref();
      yield {
        device: mount.at('mnt_devname').text,
        path,
        type: system.at('s_type').deref().at('name').text,
        readOnly:
          (mount.at('mnt.mnt_flags').number & MNT_READONLY) !== 0 || (system.at('s_flags').big & SB_RDONLY) !== 0n,
      };
    }
  });
}

function mountObjects(kernel: Kernel, namespace: KernelObject): Iterable<KernelObject> {
  // A list, up to Linux 6.7.
  return namespace.has('mounts')
    ? treeOf(kernel, 'the tree of mounts', namespace.at('mounts'), 'struct mount', 'mnt_node')
    : listOf(kernel, 'the list of mounts', namespace.at('list'), 'struct mount', 'mnt_list');
}
