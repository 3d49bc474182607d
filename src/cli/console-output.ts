/**
 * The guest's console on its way to a stream. Guests send single bytes, and writing costs as much as a hundred of them: they go together when a line
 * ends, when the event loop has its turn, and when asked to: before anything else is written, and at the end.
 */
import type { Writable } from 'node:stream';

const LINE_FEED = 10;

export class ConsoleOutput {
  readonly #stream: Writable;
  #pieces: Uint8Array[] = [];

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  write(data: Uint8Array): void {
    if (this.#pieces.length === 0) setImmediate(() => this.flush());
    this.#pieces.push(data);
    if (data[data.length - 1] === LINE_FEED) this.flush();
  }

  flush(): void {
    if (this.#pieces.length === 0) return;
    this.#stream.write(Buffer.concat(this.#pieces));
    this.#pieces = [];
  }
}
