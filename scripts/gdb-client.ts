import * as net from 'node:net';

/** The stub has gone, mostly because its program has ended. */
export class StubClosed extends Error {
  constructor() {
    super('the gdb stub closed the connection');
  }
}

/** The asking side of gdb's remote protocol. Requests may be sent without waiting: answers come in the same order. */
export class GdbClient {
  readonly #socket: net.Socket;
  #buffer = '';
  #waiting: { resolve: (answer: string) => void; reject: (error: Error) => void }[] = [];
  #closed: Error | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('close', () => this.#fail(new StubClosed()));
    // The close that follows tells those who wait.
    socket.on('error', () => {});
  }

  /** Connects to a Unix socket. */
  static connect(path: string): Promise<GdbClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new GdbClient(socket));
      });
    });
  }

  request(packet: string): Promise<string> {
    if (this.#closed) return Promise.reject(this.#closed);
    let sum = 0;
    for (let index = 0; index < packet.length; index++) sum += packet.charCodeAt(index);
    this.#socket.write(`$${packet}#${(sum & 0xff).toString(16).padStart(2, '0')}`, 'latin1');
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Acknowledges by hand: only needed until no-acknowledgement mode is on. */
  acknowledge(): void {
    this.#socket.write('+');
  }

  /** Stops a running target; its stop reply answers the request that made it run. */
  interrupt(): void {
    this.#socket.write('\x03', 'latin1');
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#buffer += text;
    for (;;) {
      const start = this.#buffer.indexOf('$');
      const end = this.#buffer.indexOf('#', start);
      if (start < 0 || end < 0 || end + 3 > this.#buffer.length) return;
      const body = this.#buffer.slice(start + 1, end);
      this.#buffer = this.#buffer.slice(end + 3);
      const answer = body.replace(/\}([\s\S])/g, (_, escaped: string) =>
        String.fromCharCode(escaped.charCodeAt(0) ^ 0x20),
      );
      this.#waiting.shift()?.resolve(answer);
    }
  }

  #fail(error: Error): void {
    this.#closed = error;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
  }
}

export interface RegisterDescription {
  name: string;
  number: number;
  bits: number;
  feature: string;
}

/** Reads the stub's own description of its registers. */
export async function describeRegisters(gdb: GdbClient): Promise<RegisterDescription[]> {
  const registers: RegisterDescription[] = [];
  const target = await readFeature(gdb, 'target.xml');
  let number = 0;
  for (const [, file] of target.matchAll(/<xi:include\s+href="([^"]+)"/g)) {
    const xml = await readFeature(gdb, file);
    const feature = /<feature\s+name="([^"]+)"/.exec(xml)?.[1] ?? file;
    for (const [, attributes] of xml.matchAll(/<reg\s+([^>]*?)\/?>/g)) {
      const attribute = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1];
      number = Number(attribute('regnum') ?? number);
      registers.push({ name: attribute('name') ?? '', number, bits: Number(attribute('bitsize')), feature });
      number++;
    }
  }
  return registers;
}

async function readFeature(gdb: GdbClient, file: string): Promise<string> {
  const chunkBytes = 0x7f0;
  let text = '';
  for (;;) {
    const range = `${text.length.toString(16)},${chunkBytes.toString(16)}`;
    const answer = await gdb.request(`qXfer:features:read:${file}:${range}`);
    if (!/^[lm]/.test(answer)) throw new Error(`the gdb stub has no ${file}: ${answer}`);
    text += answer.slice(1);
    if (answer[0] === 'l') return text;
  }
}

/** A number as the protocol writes registers: hexadecimal bytes, the lowest first. */
export function littleEndianHex(value: bigint, bytes: number): string {
  const digits = BigInt.asUintN(8 * bytes, value)
    .toString(16)
    .padStart(2 * bytes, '0');
  return (digits.match(/../g) ?? []).reverse().join('');
}

export function fromLittleEndianHex(hex: string): bigint {
  return BigInt(`0x${(hex.match(/../g) ?? []).reverse().join('')}`);
}
