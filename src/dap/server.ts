/** Carries messages between a client's streams and the adapter, by the framing of `@vscode/debugadapter`. */
import debugadapter from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { Adapter } from './adapter.ts';
import type { Host } from './protocol.ts';

/** A message that is longer than this no editor sends. */
const MESSAGE_BYTES_MAX = 2 ** 24;

/** One client. It is over when the client has disconnected or gone. */
export class AdapterServer extends debugadapter.DebugSession {
  readonly #adapter: Adapter;
  #end: () => void = () => {};
  /** What has come since the last whole message. */
  #unheard = 0;
  /** Resolves when all is closed. */
  readonly ended: Promise<void>;

  constructor(host: Host) {
    super();
    this.setRunAsServer(true);
    this.#adapter = new Adapter(host, (event, body) => {
      const message: DebugProtocol.Event = new debugadapter.Event(event, body);
      this.sendEvent(message);
    });
    this.ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    }).then(() => this.#adapter.close());
  }

  override start(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): void {
    // Heard before the package hears it, which waits for the end of a message however long it is.
    input.on('data', (bytes: Buffer) => {
      this.#unheard += bytes.length;
      if (this.#unheard > MESSAGE_BYTES_MAX) this.#end();
    });
    super.start(input, output);
  }

  /** Every request goes to the adapter, whether the package knows it or not. */
  protected override dispatchRequest(request: DebugProtocol.Request): void {
    this.#unheard = 0;
    void this.#answer(request);
  }

  async #answer(request: DebugProtocol.Request): Promise<void> {
    const response: DebugProtocol.Response = new debugadapter.Response(request);
    const answer = await this.#adapter.answer(request.seq, String(request.command), request.arguments);
    if (answer.success) {
      if (answer.body) response.body = answer.body;
      this.sendResponse(response);
      answer.afterwards?.();
      if (request.command === 'disconnect') this.#end();
    } else this.sendErrorResponse(response, { id: 1, format: escaped(answer.message), showUser: false });
  }

  /** The client is gone, or what it sends is no message. */
  override shutdown(): void {
    this.#end();
  }
}

/** Braces would stand for variables. */
const escaped = (text: string) => text.replaceAll('{', '(').replaceAll('}', ')');
