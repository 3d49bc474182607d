/** The debug adapter as an editor has it: a process that is talked to by its standard input and output. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../bundle/cli/main.js', import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: bodies are read as they are
type Body = any;

export class AdapterProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #received = Buffer.alloc(0);
  #seq = 0;
  readonly #answers = new Map<
    number,
    { readonly resolve: (body: Body) => void; readonly reject: (e: Error) => void }
  >();
  readonly #events = new Map<string, (body: Body) => void>();

  /** `cacheFolder` is where it keeps the indices of symbol files. */
  constructor(cacheFolder: string) {
    const env = { ...process.env, XDG_CACHE_HOME: cacheFolder };
    this.#child = spawn(process.execPath, [MAIN, 'dap'], { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#child.stdout.on('data', (bytes: Buffer) => this.#receive(bytes));
    this.#child.on('exit', () => {
      for (const { reject } of this.#answers.values()) reject(new Error('the debug adapter has ended'));
    });
  }

  ask(command: string, values: object = {}): Promise<Body> {
    const seq = ++this.#seq;
    const text = JSON.stringify({ seq, type: 'request', command, arguments: values });
    this.#child.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
    return new Promise((resolve, reject) => this.#answers.set(seq, { resolve, reject }));
  }

  /** The next event of a name; one is waited for at a time. */
  next(event: string): Promise<Body> {
    return new Promise((resolve) => this.#events.set(event, resolve));
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.on('exit', resolve));
    await this.ask('disconnect');
    this.#child.stdin.end();
    await ended;
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const head = /^Content-Length: (\d+)\r\n\r\n/.exec(this.#received.toString('latin1', 0, 64));
      if (!head) return;
      const end = head[0].length + Number(head[1]);
      if (this.#received.length < end) return;
      this.#hear(JSON.parse(this.#received.toString('utf8', head[0].length, end)));
      this.#received = this.#received.subarray(end);
    }
  }

  #hear(message: Body): void {
    if (message.type === 'event') {
      const waiting = this.#events.get(message.event);
      this.#events.delete(message.event);
      waiting?.(message.body);
      return;
    }
    const asked = this.#answers.get(message.request_seq);
    this.#answers.delete(message.request_seq);
    if (message.success) asked?.resolve(message.body);
    else asked?.reject(new Error(`${message.command}: ${message.message}`));
  }
}
