/**
 * The "newc" cpio archive, as the kernel's initramfs unpacker reads it (Documentation/driver-api/early-userspace/buffer-format):
 * a 110-byte header of hexadecimal fields, the name and the data, each padded to four bytes; the entry TRAILER!!! ends it.
 * Owners are root and times are zero, so the same entries always give the same bytes.
 */
export type CpioEntry =
  | { kind: 'folder'; path: string; mode?: number }
  | { kind: 'file'; path: string; data: Uint8Array; mode?: number }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'character-device'; path: string; major: number; minor: number; mode?: number };

const S_IFCHR = 0o020000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let inode = 1;
  for (const entry of entries) parts.push(...encodeEntry(entry, inode++));
  parts.push(...encodeRecord({ path: 'TRAILER!!!', inode: 0, mode: 0, links: 1, data: new Uint8Array(0) }));
  return Buffer.concat(parts);
}

function encodeEntry(entry: CpioEntry, inode: number): Uint8Array[] {
  const { path } = entry;
  const data = new Uint8Array(0);
  switch (entry.kind) {
    case 'folder':
      return encodeRecord({ path, inode, mode: S_IFDIR | (entry.mode ?? 0o755), links: 2, data });
    case 'file':
      return encodeRecord({ path, inode, mode: S_IFREG | (entry.mode ?? 0o644), links: 1, data: entry.data });
    case 'link':
      return encodeRecord({ path, inode, mode: S_IFLNK | 0o777, links: 1, data: Buffer.from(entry.target) });
    case 'character-device': {
      const device: [number, number] = [entry.major, entry.minor];
      return encodeRecord({ path, inode, mode: S_IFCHR | (entry.mode ?? 0o600), links: 1, data, device });
    }
  }
}

interface Record {
  path: string;
  inode: number;
  mode: number;
  links: number;
  data: Uint8Array;
  device?: [major: number, minor: number];
}

function encodeRecord({ path, inode, mode, links, data, device = [0, 0] }: Record): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const [ownerUser, ownerGroup, time, filesystem, checksum] = [0, 0, 0, 0, 0];
  const fields = [inode, mode, ownerUser, ownerGroup, links, time, data.length];
  fields.push(filesystem, filesystem, ...device, name.length, checksum);
  const header = '070701' + fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  return [Buffer.from(header), name, padding(header.length + name.length), data, padding(data.length)];
}

function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
