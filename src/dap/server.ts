/** Carries messages between a client's streams and the adapter, by the framing of `@vscode/debugadapter`. */
import debugadapter from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { Adapter } from './adapter.ts';
import type { Host } from './protocol.ts';

/** One client. It is over when the client has disconnected or gone. */
export class AdapterServer extends debugadapter.DebugSession {
  readonly #adapter: Adapter;
  #end: () => void = () => {};
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

  /** Every request goes to the adapter, whether the package knows it or not. */
  protected override dispatchRequest(request: DebugProtocol.Request): void {
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
