/** One client: bytes in and bytes out, acknowledgements, and packets served one after the other. Sockets are someone else's business. */
import { ACK, encodePacket, type Incoming, NAK, PacketReader } from './codec.ts';
import type { GdbSession, Reply } from './session.ts';

/** Packets that may wait while one is served. gdb sends the next when it has the answer; who sends this many has lost its mind. */
const WAITING_MAX = 256;

export interface ConnectionEvents {
  /** Bytes for the client. */
  send(bytes: Uint8Array): void;
  /** The conversation is over, because the client said so or because it does not keep to the protocol. */
  close(reason: string | null): void;
  /** A bug of ours came up while a packet was served. */
  failed(error: unknown): void;
}

export class GdbConnection {
  readonly #reader = new PacketReader();
  readonly #waiting: string[] = [];
  readonly #events: ConnectionEvents;
  readonly #session: GdbSession;
  #serving = false;
  #acknowledges = true;
  #closed = false;
  /** What is sent again if the client did not get it right. */
  #last: Uint8Array | null = null;

  /** `open` makes the session, which sends notes through the function that it is given. */
  constructor(events: ConnectionEvents, open: (notify: (payload: string) => void) => GdbSession) {
    this.#events = events;
    this.#session = open((payload) => this.#send(payload));
  }

  receive(bytes: Uint8Array): void {
    for (const item of this.#reader.push(bytes)) {
      if (this.#closed) return;
      this.#take(item);
    }
  }

  /** The client is gone: whatever still runs ends. */
  lost(): void {
    this.#closed = true;
    this.#waiting.length = 0;
    this.#session.interrupt();
  }

  #take(item: Incoming): void {
    switch (item.kind) {
      case 'packet':
        if (this.#acknowledges) this.#events.send(ACK);
        if (this.#waiting.length === WAITING_MAX) {
          this.#close(`more than ${WAITING_MAX} packets wait for an answer`);
          return;
        }
        this.#waiting.push(item.payload);
        void this.#serve();
        return;
      case 'bad':
        // The client sends it again; without acknowledgements it would wait forever.
        if (this.#acknowledges && item.problem === 'checksum') this.#events.send(NAK);
        else this.#refuse(item.problem);
        return;
      case 'nak':
        if (this.#acknowledges && this.#last) this.#events.send(this.#last);
        return;
      case 'interrupt':
        this.#session.interrupt();
        return;
      case 'ack':
        return;
    }
  }

  #refuse(problem: 'checksum' | 'encoding' | 'size'): void {
    if (this.#acknowledges) this.#events.send(ACK);
    const words = { checksum: 'wrong checksum', encoding: 'wrong encoding', size: 'packet too large' };
    this.#send(`E.${words[problem]}`);
  }

  async #serve(): Promise<void> {
    if (this.#serving) return;
    this.#serving = true;
    try {
      for (let packet = this.#waiting.shift(); packet !== undefined; packet = this.#waiting.shift()) {
        this.#answer(await this.#session.handle(packet));
      }
    } catch (error) {
      this.#events.failed(error);
      this.#close(null);
    } finally {
      this.#serving = false;
    }
  }

  #answer(reply: Reply): void {
    if (reply.payload !== null) this.#send(reply.payload);
    if (reply.after === 'no-ack') this.#acknowledges = false;
    if (reply.after === 'close') this.#close(null);
  }

  #send(payload: string): void {
    if (this.#closed) return;
    this.#last = encodePacket(payload);
    this.#events.send(this.#last);
  }

  #close(reason: string | null): void {
    if (this.#closed) return;
    this.lost();
    this.#events.close(reason);
  }
}
