/** Whether the pages that a trace's checkpoints name are those that their digests were made of: as much as can be said without a replay. */
import { UserError } from '../base/assert.ts';
import { DIGESTER_BYTES, Digester } from '../vmm/digest.ts';
import { ABSENT, FIRST_CONTENT, HASH_BYTES } from './changes.ts';
import { PageMap } from './page-map.ts';
import type { TraceReader } from './reader.ts';

/** Reads all contents and checkpoints. Errors: `UserError` for one whose hash or digest is another. */
export function checkPages(trace: TraceReader): void {
  const digester = new Digester(new WebAssembly.Memory({ initial: Math.ceil(DIGESTER_BYTES / 65536) }));
  // By number: those of zeros (0) first.
  const numbers = Array.from({ length: FIRST_CONTENT + trace.statistics().contents }, (_, number) => number);
  const hashes = new Int32Array(numbers.length * 4);
  trace.readContents(numbers, (number, content) => digester.hashOf(content, hashes, number * 4));
  const pages = new PageMap();
  const [before, now] = [new Int32Array(4), new Int32Array(4)];
  let sum: Uint8Array = new Uint8Array(16);
  for (const checkpoint of trace.checkpoints) {
    const changes = trace.changes(checkpoint);
    digester.begin(sum);
    for (let row = 0; row < changes.pages.length; row++) {
      const [page, ref] = [changes.pages[row], changes.refs[row]];
      const listed = new Int32Array(changes.hashes.buffer, changes.hashes.byteOffset + row * HASH_BYTES, 4);
      pages.copyHash(page, before);
      digester.remove(page, before, 0);
      if (ref === ABSENT) now.fill(0);
      else now.set(hashes.subarray(ref * 4, ref * 4 + 4));
      digester.add(page, now, 0);
      if (listed.some((word, i) => word !== now[i])) {
        throw new UserError(
          `${trace.name}: page ${page} at ${checkpoint.position} does not have the content of its hash`,
        );
      }
    }
    pages.apply(changes);
    sum = digester.sum();
    if (Buffer.compare(digester.finish(sum, trace.state(checkpoint)), checkpoint.digest) !== 0) {
      throw new UserError(
        `${trace.name}: the checkpoint at ${checkpoint.position} does not have the state of its digest`,
      );
    }
  }
}
