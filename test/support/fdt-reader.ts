/** A small reader of flattened device trees, independent of our writer. */
export interface ReadNode {
  readonly path: string;
  readonly properties: Map<string, Buffer>;
}

/** All nodes by their path. */
export function readFdt(blob: Uint8Array): Map<string, ReadNode> {
  const data = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  const strings = data.readUInt32BE(12);
  const nodes = new Map<string, ReadNode>();
  const stack: ReadNode[] = [];
  let at = data.readUInt32BE(8);
  const text = (start: number) => data.toString('latin1', start, data.indexOf(0, start));
  for (;;) {
    const token = data.readUInt32BE(at);
    at += 4;
    if (token === 1) {
      const name = text(at);
      at += (name.length + 4) & ~3;
      const parent = stack.at(-1)?.path;
      const path = parent === undefined ? '/' : `${parent === '/' ? '' : parent}/${name}`;
      const node = { path, properties: new Map<string, Buffer>() };
      nodes.set(path, node);
      stack.push(node);
    } else if (token === 3) {
      const length = data.readUInt32BE(at);
      const name = text(strings + data.readUInt32BE(at + 4));
      stack.at(-1)!.properties.set(name, data.subarray(at + 8, at + 8 + length));
      at += 8 + ((length + 3) & ~3);
    } else if (token === 2) {
      stack.pop();
    } else if (token === 9) {
      return nodes;
    } else if (token !== 4) {
      throw new Error(`token ${token} at ${at - 4}`);
    }
  }
}

export function cells(value: Buffer): number[] {
  return Array.from({ length: value.length / 4 }, (_, i) => value.readUInt32BE(4 * i));
}
