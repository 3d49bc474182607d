/** Paths of files in the guest, put together from directory entries and mounts. */
import { Unavailable } from '../symbols/index.ts';
import type { Kernel } from './kernel.ts';
import { hex } from './list.ts';
import type { KernelObject } from './object.ts';

/** More folders within folders than this are a circle. */
const PARTS_MAX = 512;
const NAME_BYTES_MAX = 255;

/** The path of a `struct path`, from the root of all mounts on. What is in no folder has a name of its own: `pipe:[7]`, `socket:[8]`. */
export function pathOf(kernel: Kernel, path: KernelObject): string {
  const entry = path.at('dentry').deref();
  const mount = kernel.container(path.at('mnt').pointer, 'struct mount', 'mnt');
  return bodiless(entry) ?? pathAt(kernel, mount, entry);
}

/** File systems that no folder shows, and how /proc/PID/fd names what is in them. */
const BODILESS: Readonly<Record<string, string>> = { pipefs: 'pipe', sockfs: 'socket' };

function bodiless(entry: KernelObject): string | null {
  const type = entry.at('d_sb').deref().at('s_type').deref().at('name').text;
  if (type === 'anon_inodefs') return `anon_inode:${nameOf(entry)}`;
  const kind = Object.hasOwn(BODILESS, type) ? BODILESS[type] : null;
  return kind === null ? null : `${kind}:[${entry.at('d_inode').deref().at('i_ino').big}]`;
}

/** The path of a directory entry that is reached by a mount. */
export function pathAt(kernel: Kernel, from: KernelObject, at: KernelObject): string {
  const parts: string[] = [];
  let [mount, entry] = [from, at];
  for (let n = 0; n < PARTS_MAX; n++) {
    const parent = entry.at('d_parent').pointer;
    if (entry.address !== mount.at('mnt.mnt_root').pointer && parent !== entry.address) {
      parts.unshift(nameOf(entry));
      entry = kernel.object('struct dentry', parent);
      continue;
    }
    const above = mount.at('mnt_parent').pointer;
    if (above === mount.address) return `/${parts.join('/')}`;
    entry = mount.at('mnt_mountpoint').deref();
    mount = kernel.object('struct mount', above);
  }
  throw new Unavailable(`the path of ${hex(at.address)} is garbled: it has more than ${PARTS_MAX} parts`);
}

function nameOf(entry: KernelObject): string {
  const length = Math.min(entry.at('d_name.len').number, NAME_BYTES_MAX);
  const name = entry.at('d_name.name');
  const bytes = name.value.frame.needMemory(name.pointer, length);
  return new TextDecoder().decode(bytes);
}
